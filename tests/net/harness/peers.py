# SPDX-License-Identifier: Apache-2.0
"""Scripted backends, and the ways a peer can misbehave."""

import array
import fcntl
import random
import select
import socket
import struct
import termios
import threading

from .address import bind, connect, family, free_address
from .wait import eventually

LINGER_RESET = struct.pack("ii", 1, 0)


def reset(sock):
    """Close with an RST; what is unsent is thrown away."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    sock.close()


def unsent(sock):
    """Bytes written that the next hop's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, count)
    return count[0]


def read_all(sock, limit=1 << 30):
    """Everything up to EOF."""
    parts, total = [], 0
    while total < limit:
        part = sock.recv(65536)
        if not part:
            break
        parts.append(part)
        total += len(part)
    return b"".join(parts)


def read_exactly(sock, count):
    data = bytearray()
    while len(data) < count:
        part = sock.recv(min(65536, count - len(data)))
        assert part, f"EOF after {len(data)} of {count} bytes"
        data += part
    return bytes(data)


def read_until_reset(sock):
    """Everything before a reset; a clean EOF in its place is a failure."""
    data = bytearray()
    try:
        while True:
            part = sock.recv(65536)
            assert part, f"a clean EOF after {len(data)} bytes, where a reset was due"
            data += part
    except ConnectionResetError:
        return bytes(data)


def turned_away(address, send=b"", source=None):
    """Connect, and fail unless a reset is all that comes; it may be as early as in connect()."""
    try:
        with connect(address, source=source) as client:
            if send:
                client.sendall(send)
            assert read_until_reset(client) == b""
    except (ConnectionResetError, BrokenPipeError):
        pass


def fill_all(socks, still=0.5, within=20.0):
    """Write to each of `socks` until none has taken a byte for `still` seconds; totals by index."""
    poller = select.poll()
    totals = [0] * len(socks)
    by_fd = {}
    for index, sock in enumerate(socks):
        sock.setblocking(False)
        poller.register(sock, select.POLLOUT)
        by_fd[sock.fileno()] = index
    quiet = False
    while not quiet:
        ready = poller.poll(still * 1000)
        quiet = not ready
        for fd, _ in ready:
            index = by_fd[fd]
            try:
                totals[index] += socks[index].send(pattern(65536, totals[index]))
            except BlockingIOError:
                pass
    for sock in socks:
        sock.settimeout(8.0)
    return totals


_PERIOD = 65521
_pattern = random.Random(7).randbytes(_PERIOD) * 3


def pattern(count, offset=0):
    """`count` bytes of a fixed stream, from `offset` on."""
    start = offset % _PERIOD
    if start + count <= len(_pattern):
        return _pattern[start : start + count]
    whole, rest = divmod(start + count, _PERIOD)
    return (_pattern[:_PERIOD] * whole + _pattern[:rest])[start:]


class Listener:
    """A listening socket for tests that accept by themselves."""

    def __init__(self, address=("127.0.0.1", 0), backlog=4096):
        self.sock = socket.socket(family(address), socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bind(self.sock, address)
        self.sock.listen(backlog)
        self.sock.settimeout(8.0)
        self.address = self.sock.getsockname()

    def accept(self):
        peer, _ = self.sock.accept()
        peer.settimeout(8.0)
        return peer

    def close(self):
        self.sock.close()


class Refusing:
    """An address that answers every SYN with RST: bound, so nobody else gets it, not listening."""

    def __init__(self, host="127.0.0.1"):
        self.sock = socket.socket(family((host, 0)), socket.SOCK_STREAM)
        self.sock.bind(free_address(host))
        self.address = self.sock.getsockname()

    def listen(self):
        """Begin to answer after all."""
        self.sock.listen(128)
        self.sock.settimeout(8.0)

    def close(self):
        self.sock.close()


class BlackHole:
    """An address that answers no SYN: its accept queue is full and nobody accepts."""

    def __init__(self, host="127.0.0.1"):
        self.listener = Listener((host, 0), backlog=0)
        self.address = self.listener.address
        self.fillers = []
        eventually(self._is_full, "the accept queue is full")

    def _is_full(self):
        try:
            self.fillers.append(connect(self.address, timeout=0.2))
        except TimeoutError:
            return True
        return False

    def close(self):
        for filler in self.fillers:
            filler.close()
        self.listener.close()


class Backend:
    """Accepts on a thread, and runs `handler(sock, index)` on a thread per connection.

    Whatever a handler raises is kept; close() raises the first.
    """

    def __init__(self, handler, address=("127.0.0.1", 0)):
        self.handler = handler
        self.listener = Listener(address)
        self.address = self.listener.address
        self.accepted = 0
        self.problems = []
        self._threads = []
        self._socks = []
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self):
        self.listener.sock.settimeout(None)
        while True:
            try:
                sock, _ = self.listener.sock.accept()
            except OSError:
                return
            sock.settimeout(8.0)
            thread = threading.Thread(target=self._run, args=(sock, self.accepted), daemon=True)
            self.accepted += 1
            self._socks.append(sock)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock, index):
        try:
            self.handler(sock, index)
        except Exception as error:  # judged by the test's thread, in close()
            if not self._closing:
                self.problems.append(error)
        finally:
            sock.close()

    def busy(self):
        """How many handlers have not ended."""
        return sum(thread.is_alive() for thread in self._threads)

    def close(self):
        self._closing = True
        try:
            self.listener.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock in self._socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in [self._acceptor, *self._threads]:
            thread.join(10)
            assert not thread.is_alive(), "a backend's handler did not end"
        if self.problems:
            raise self.problems[0]


def echo(sock, _index):
    """A handler: send back what comes, then EOF for EOF. Who resets, needs no answer."""
    try:
        while data := sock.recv(65536):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def name_of(name):
    """A handler that names itself, for tests that count who was chosen."""

    def handler(sock, _index):
        try:
            sock.sendall(name.encode() + b"\n")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except OSError:
            pass

    return handler
