# SPDX-License-Identifier: Apache-2.0
"""Ask a proxy's admin API, by its Unix socket or by TCP; and stop one of its threads."""

import ctypes
import http.client
import json
import os
import socket
from contextlib import contextmanager
from pathlib import Path

from .address import free_address, text

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
WALL = 0x40000000  # __WALL: a thread is waited for like a process


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Answer:
    """What came back."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"{self.status} {self.text[:500]}"


class Admin:
    """`where` is a path or a (host, port)."""

    def __init__(self, where, timeout=20.0):
        self.where, self.timeout = where, timeout

    def connection(self):
        if isinstance(self.where, tuple):
            return http.client.HTTPConnection(*self.where, timeout=self.timeout)
        return _UnixConnection(self.where, self.timeout)

    def socket(self):
        """A connection on which a test says what it likes."""
        connection = self.connection()
        connection.connect()
        return connection.sock

    def ask(self, method, path, body=None, headers=None):
        """`body` is JSON's value, or bytes as they are."""
        connection = self.connection()
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        """The JSON at `path`, which must be there."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def do(self, method, path, body=None, status=200):
        answer = self.ask(method, path, body)
        assert answer.status == status, answer
        return answer.json

    def targets(self, pool):
        """The members of a pool by name."""
        return {target["name"]: target for target in self.get(f"/v1/pools/{pool}")["members"]}

    def events(self, kind=None, after=0):
        events = self.get(f"/v1/events?limit=1000&after={after}")["events"]
        return [event for event in events if kind in (None, event["kind"])]


class Doors:
    """Free addresses for `admin:` in a configuration."""

    def __init__(self, directory):
        self.path = Path(directory) / "admin.sock"
        self.http, self.probe = free_address(), free_address()
        self.conf = {
            "socket": str(self.path),
            "http": text(self.http),
            "probe": text(self.probe),
        }

    def full(self, **options):
        return Admin(self.path, **options)

    def reading(self):
        return Admin(self.http)

    def probing(self):
        return Admin(self.probe)


@contextmanager
def stopped_thread(proxy, name):
    """One thread of a proxy stands still meanwhile (ptrace(2) stops threads one by one)."""
    libc = ctypes.CDLL(None, use_errno=True)
    tids = [
        tid
        for tid in proxy.threads()
        if Path(f"/proc/{proxy.pid}/task/{tid}/comm").read_text().strip() == name
    ]
    assert tids, f"no thread {name}"
    assert libc.ptrace(PTRACE_ATTACH, tids[0], None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(tids[0], WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tids[0], None, None)
