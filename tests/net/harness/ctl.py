# SPDX-License-Identifier: Apache-2.0
"""Run sluicectl, against a real proxy or against an admin server that answers what a test wants."""

import copy
import fcntl
import http.server
import json
import os
import pty
import select
import socket
import socketserver
import struct
import signal
import subprocess
import termios
import threading
from pathlib import Path
from subprocess import PIPE

from .sluice import BINARY, PATIENCE

CTL = Path(os.environ.get("SLUICECTL_BIN", BINARY.parent / "sluicectl")).absolute()

OK, REFUSED, USAGE, UNREACHABLE, TIMED_OUT, UNHEALTHY = range(6)


def environment(admin, **more):
    kept = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
    inherited = {key: os.environ[key] for key in kept if key in os.environ}
    env = {"LC_ALL": "C.UTF-8", **inherited, **more}
    if admin:
        env["SLUICE_SOCKET"] = str(admin)
    return env


def start(*args, admin=None, env=None, **popen):
    """A running sluicectl, its output in pipes."""
    return subprocess.Popen(
        [str(CTL), *map(str, args)],
        text=True,
        env=environment(admin, **(env or {})),
        # A shell that runs us in the background has SIGINT ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **{"stdin": subprocess.DEVNULL, "stdout": PIPE, "stderr": PIPE, **popen},
    )


def run(*args, admin=None, env=None, stdin="", within=20.0):
    """To its end; a CompletedProcess with text."""
    return subprocess.run(
        [str(CTL), *map(str, args)],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(admin, **(env or {})),
        timeout=within * PATIENCE,
    )


class Terminal:
    """sluicectl at a terminal of its own; what it draws is gathered as text."""

    def __init__(self, *args, admin=None, columns=100, rows=30, env=None):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [str(CTL), *map(str, args)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(admin, **{"TERM": "xterm-256color", **(env or {})}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.text = ""

    def resize(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """What has been drawn so far."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text

    def type(self, keys):
        os.write(self.master, keys.encode())

    def mode(self):
        """The terminal's settings as they are now."""
        return termios.tcgetattr(self.slave)

    def wait_exit(self, within=20.0):
        """The exit status; what is still drawn meanwhile must not block it."""
        try:
            return self.process.wait(within * PATIENCE)
        finally:
            self.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class FakeAdmin:
    """An admin server with canned answers, by "METHOD /path" without the query.

    An answer is a body (status 200), or (status, body); a list of them is given one after another,
    the last one for ever. A body is JSON, or bytes as they are. Requests are kept as (method,
    path with query, body).
    """

    def __init__(self, path, answers):
        self.path = str(path)
        self.answers = copy.deepcopy(answers)
        self.requests = []
        self.connections = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                fake.connections.append(self.request)
                super().setup()

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                fake.requests.append(
                    (self.command, self.path, json.loads(body) if body else None)
                )
                status, data = fake.answer(f"{self.command} {self.path.split('?')[0]}")
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass  # a client that leaves early is none

        self.server = Server(self.path, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def answer(self, what):
        answer = self.answers.get(what, (404, {"error": f"nothing at {what}"}))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer()
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()

    def asked(self, method=None):
        """Requests so far, as (path with query, body)."""
        return [(path, body) for m, path, body in self.requests if method in (None, m)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has left already
        self.thread.join(5)
        if os.path.exists(self.path):
            os.unlink(self.path)
