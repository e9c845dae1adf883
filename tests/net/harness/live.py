# SPDX-License-Identifier: Apache-2.0
"""A proxy whose targets change while it runs, and backends that know who came to them."""

import threading
import time

from .address import connect, free_address, text
from .admin import Doors
from .conf import simple
from .peers import read_all, read_exactly

MARK = "127.9.9.9"  # where a test's own connections to a backend come from


class Named:
    """A handler that names itself, echoes, and keeps count of who is there."""

    def __init__(self, name, hold=0.0):
        self.name, self.hold = name, hold
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.peers = {}

    def __call__(self, sock, index):
        with self.lock:
            self.peers[index] = sock.getpeername()[0]
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            time.sleep(self.hold)
            sock.sendall(self.name.encode())
            while data := sock.recv(65536):
                sock.sendall(data)
        except OSError:
            pass
        finally:
            with self.lock:
                self.now -= 1

    def between_marks(self):
        """How many came between one mark and the next, for each pair of marks."""
        with self.lock:
            order = [peer for _, peer in sorted(self.peers.items())]
        marks = [at for at, peer in enumerate(order) if peer == MARK]
        return [end - start - 1 for start, end in zip(marks[::2], marks[1::2])]


class Live:
    """`servers` by name; `pool` and `top` as in conf.simple(). The pool is `back`."""

    def __init__(self, sluice, directory, servers, pool=None, targets=None, **top):
        self.directory, self.servers = directory, servers
        self.front, self.doors = free_address(), Doors(directory)
        self.address = {name: text(server.address) for name, server in servers.items()}
        if targets is None:
            targets = {name: {} for name in servers}
        self.targets = [{"address": self.address[n], **more} for n, more in targets.items()]
        self.pool, self.top = pool or {}, top
        self._sluice = sluice
        self.admin = self.doors.full()
        self.proxy = self.start()

    def config(self, **pool):
        return simple(
            text(self.front),
            *self.targets,
            pool={**self.pool, **pool},
            **{"workers": 2, "log": {"format": "json"}, "admin": self.doors.conf, **self.top},
        )

    def start(self):
        return self._sluice(config=self.config(), directory=self.directory)

    def hold(self):
        """A session that stays: (its client's socket, who serves it)."""
        sock = connect(self.front)
        return sock, read_exactly(sock, 1).decode()

    def who(self):
        sock, name = self.hold()
        sock.close()
        return name

    def target(self, name):
        return self.admin.targets("back")[self.address[name]]

    def patch(self, name, **word):
        return self.admin.do("PATCH", f"/v1/targets/{self.address[name]}", word)

    def put(self, source, generation, targets, status=200):
        """`targets`: names, or whole objects."""
        body = [{"address": self.address[t]} if isinstance(t, str) else t for t in targets]
        path = f"/v1/pools/back/sources/{source}"
        return self.admin.do("PUT", path, {"generation": generation, "targets": body}, status)

    def mark(self, name):
        """Whoever the backend accepts from now on comes after this."""
        with connect(self.servers[name].address, source=MARK) as sock:
            assert read_exactly(sock, 1).decode() == name


class Hammer:
    """Clients that connect without a pause; whatever goes wrong is kept."""

    def __init__(self, front, threads=4):
        self.front, self.problems = front, []
        self.served, self._over = 0, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self):
        while not self._over.is_set():
            try:
                with connect(self.front) as sock:
                    assert len(read_exactly(sock, 1)) == 1
                    sock.sendall(b"!")
                    assert read_exactly(sock, 1) == b"!"
                    sock.shutdown(1)
                    assert read_all(sock) == b""
                self.served += 1
            except (OSError, AssertionError) as error:
                self.problems.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def stop(self):
        """End it, and fail if a client met an error."""
        self.__exit__()
        assert not self.problems, f"{len(self.problems)} failed, first {self.problems[0]!r}"
        assert self.served > 0
