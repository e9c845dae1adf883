# SPDX-License-Identifier: Apache-2.0
"""AWS on one port of loopback, in this process.

Happy path: the signature is verified, the operation read by the service's model, answered from an
Account, and written by the model again. Whatever is wrong with a request is an error answer and is
kept in `complaints`, so that a test can say there was nothing to complain of.
"""

import http.server
import itertools
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from email.utils import formatdate

from . import wire
from .account import Account
from .faults import Faults
from .metadata import PREFIX, Metadata
from .signature import Identity, scope_of, verify
from .sts import SecurityTokens
from .wire import ApiError

# A client's own mistakes, unlike what a test arranges.
MISTAKES_NOT = {"throttle", "internal", "expired", "denied", "clock"}


class Request:
    """One request as it came."""

    def __init__(self, handler, body):
        self.method, self.path = handler.command, handler.path
        self.headers, self.body = handler.headers, body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(timestamp or self.server.strict.clock(), usegmt=True)

    def handle_any(self):
        strict = self.server.strict
        if strict.down:
            return self.reset()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if path == "/container":
            return self.send(*strict.metadata.container(self.headers))
        if path.startswith(PREFIX):
            answer = strict.metadata.answer(self.command, path, self.headers)
            return self.send(*answer) if answer else self.stay_silent()
        return self.api(strict, Request(self, body))

    do_GET = do_PUT = do_POST = handle_any

    def api(self, strict, request):
        status, headers, body, fault = strict.serve(request)
        kind = fault.kind if fault else None
        if kind == "reset":
            self.reset()
        elif kind == "hang":
            self.stay_silent()
        elif kind == "garbage":
            self.send(status, b"\x00\xff<<<{{{" + body[::-1], headers)
        elif kind == "html":
            self.send(200, "<html><body>Welcome to the hotel's network</body></html>")
        elif kind == "cut":
            self.send(status, body[: len(body) // 2], headers)
        elif kind == "truncated":
            self.send(status, body[: len(body) // 2], headers, length=len(body))
            self.close_connection = True
        elif kind == "slow":
            strict.over.wait(fault.wait_s)
            self.send(status, body, headers)
        else:
            self.send(status, body, headers)

    def send(self, status, body, headers=None, length=None):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            if name.lower() != "content-length":
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def stay_silent(self):
        self.server.strict.over.wait(30)
        self.close_connection = True


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # a client that leaves early is none


class Strict:
    """`hasten`: its clock runs so much faster from now on (tests/lib/hasten.c)."""

    def __init__(self, region="eu-west-1", hasten=1):
        self.region, self.hasten, self.born = region, hasten, time.time()
        self.ahead_s = 0.0  # how wrong the clock is
        self.account, self.faults = Account(region), Faults()
        self.identity = Identity("AKIASTRICT", "its+secret/key")
        self.identities = {self.identity.key_id: self.identity}
        self.metadata = Metadata(self.clock, region)
        self.tokens = SecurityTokens(self)
        self.calls, self.complaints = Counter(), []
        self.over = threading.Event()
        self._serial = itertools.count(1)
        self.port, self.down = 0, False
        self.resume()
        self.url = f"http://127.0.0.1:{self.port}"

    def resume(self):
        """Be there (again)."""
        self.down = False
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self._server.strict = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def pause(self):
        """Nobody listens any more, and who is connected already is reset at the next word."""
        self.down = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def clock(self):
        return self.born + (time.time() - self.born) * self.hasten + self.ahead_s

    def issue(self, lifetime_s, role=None):
        """Temporary credentials that are good for so long."""
        serial = next(self._serial)
        identity = Identity(
            f"ASIASTRICT{serial}",
            f"secret/{serial}",
            f"session+token/{serial}==",
            self.clock() + lifetime_s,
            role,
        )
        self.identities[identity.key_id] = identity
        return identity

    def serve(self, request):
        """(status, headers, body, fault) for a request to an API."""
        service, action = "sts", "GetCallerIdentity"  # whose errors are the answer until we know
        try:
            service, action = self._what(request)
            identity = self._who(service, action, request)
            return self._act(service, action, request, identity)
        except ApiError as error:
            if error.code not in MISTAKES_NOT:
                self.complaints.append(f"{service}:{action}: {error}")
            return (*wire.write(service, action, error), None)

    def _what(self, request):
        if "Authorization" not in request.headers:
            service = "sts"  # which has the only operation that nobody signs
            if b"Action=AssumeRoleWithWebIdentity&" not in request.body:
                raise ApiError("MissingAuthenticationToken", "the request is not signed", 403)
        else:
            name = scope_of(request.headers)[1][2]
            if name not in wire.SERVICES:
                raise ApiError("SignatureDoesNotMatch", f"no service {name}", 403)
            service = wire.SERVICES[name]
        return service, wire.action_of(service, request.headers, request.body)

    def _who(self, service, action, request):
        if action == "AssumeRoleWithWebIdentity":
            return None
        return verify(request, self.identities, self.region, self.clock())[0]

    def _act(self, service, action, request, identity):
        params = wire.read(service, action, request)
        first = not any(params.get(key) for key in ("NextToken", "nextToken", "Marker"))
        fault = self.faults.take(action, 1 if first else 2)
        self.calls[action] += 1
        if fault and fault.error():
            raise fault.error()
        place = self.tokens if service == "sts" else self.account
        if not hasattr(place, action):
            raise ApiError("InvalidAction", f"the double has no {action}")
        with self.account.lock:
            result = getattr(place, action)(params, fault if service != "sts" else identity)
            return (*wire.write(service, action, result), fault)

    def environment(self):
        """For a program that shall come here, with the double's own key."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.identity.key_id,
            "AWS_SECRET_ACCESS_KEY": self.identity.secret,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
        }

    def close(self):
        self.over.set()
        if not self.down:
            self.pause()


