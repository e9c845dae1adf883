# SPDX-License-Identifier: Apache-2.0
"""A proxy with something to show: several pools, light traffic, and a backend that may die."""

import random
import socket
import threading
import time
from contextlib import ExitStack

from .address import connect, free_address, text
from .peers import Backend, echo, read_all

CHECK = {"type": "tcp", "interval": "300ms", "fast_interval": "100ms", "jitter": "0%"}
ZONES = ("eu-west-1a", "eu-west-1b")


def swallow(sock, _index):
    """A handler: take what comes and say nothing."""
    try:
        while sock.recv(1 << 18):
            pass
    except OSError:
        pass


class Traffic:
    """Sessions that come and go, `per_second` of them on a thread, each open for a while."""

    def __init__(self, front, per_second=20, lasting=1.0):
        self.front, self.pause, self.lasting = front, 1 / per_second, lasting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        open_now = []
        while not self._stop.wait(self.pause * random.uniform(0.5, 1.5)):
            now = time.monotonic()
            for until, sock in open_now:
                if until <= now:
                    self._end(sock)
            open_now = [(until, sock) for until, sock in open_now if until > now]
            try:
                sock = connect(self.front)
                sock.sendall(random.randbytes(random.randrange(500, 20000)))
            except OSError:
                continue
            open_now.append((now + random.uniform(0.2, 2) * self.lasting, sock))
        for _, sock in open_now:
            sock.close()

    @staticmethod
    def _end(sock):
        """As a client does that has all it wanted."""
        try:
            sock.shutdown(socket.SHUT_WR)
            read_all(sock)
        except OSError:
            pass
        sock.close()

    def close(self):
        self._stop.set()
        self._thread.join(10)


class Bulk:
    """One session that sends some 10 MB a second until it is closed."""

    def __init__(self, front):
        self.sock = connect(front)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.wait(0.025):
                self.sock.sendall(bytes(1 << 18))
        except OSError:
            pass

    def close(self):
        self._stop.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(10)
        self.sock.close()


class Scene:
    """Backends, the configuration of a proxy in front of them, and traffic once it runs."""

    def __init__(self, directory):
        self.stack = ExitStack()
        self.admin = free_address()
        self.socket = directory / "admin.sock"
        self.url = f"http://{text(self.admin)}/"
        self.fronts = {name: free_address() for name in ("web", "orders", "uploads")}
        self.web = [self._backend(echo) for _ in range(5)]
        self.orders = [self._backend(echo) for _ in range(3)]
        self.uploads = [self._backend(swallow) for _ in range(2)]

    def _backend(self, handler):
        backend = Backend(handler, free_address())
        self.stack.callback(backend.close)
        return backend

    def _pool(self, name, backends, **more):
        targets = [
            {"address": text(backend.address), "id": f"i-{name}-{index + 1}", "zone": ZONES[index % 2]}
            for index, backend in enumerate(backends)
        ]
        return {"name": name, "health": CHECK, "targets": targets, "drain_timeout": 0, **more}

    def config(self):
        orders = self._pool("orders", self.orders, balance="least_connections")
        orders["targets"][-1]["backup"] = True
        return {
            "zone": ZONES[0],
            "drain_timeout": "60s",
            "lame_duck": "60s",
            "admin": {"socket": f"unix:{self.socket}", "http": text(self.admin)},
            "listeners": [
                {"name": name, "bind": text(front), "pool": name} for name, front in self.fronts.items()
            ],
            "pools": [
                self._pool("web", self.web, max_ejected="0%", zone_aware=False),
                orders,
                self._pool("uploads", self.uploads, balance="first"),
            ],
        }

    def traffic(self):
        for name, per_second in (("web", 30), ("orders", 8)):
            self.stack.callback(Traffic(self.fronts[name], per_second).close)
        for _ in range(2):
            self.stack.callback(Bulk(self.fronts["uploads"]).close)

    def close(self):
        self.stack.close()
