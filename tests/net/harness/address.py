# SPDX-License-Identifier: Apache-2.0
"""Addresses in the notation of the configuration, and ports that nobody has."""

import errno
import os
import random
import socket

_given = set()
SHARES, FIRST_PORT, PORTS_EACH = 4, 10000, 5500


def text(address):
    """What getsockname() gave, as `host:port`, `[v6]:port` or `unix:/path`."""
    if isinstance(address, str):
        return address if address.startswith("unix:") else f"unix:{address}"
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def family(address):
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _is_free(port, kind):
    for host, fam in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        with socket.socket(fam, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def _own_ports():
    """The first of this worker's ports and the one behind its last."""
    turn = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % SHARES
    first = FIRST_PORT + turn * PORTS_EACH
    return first, first + PORTS_EACH


def free_port(count=1):
    """The first of `count` free ports in a row, never given twice.

    They are taken below the ephemeral range: a port that bind(0) gave and close() returned may be
    another connection's source port by the time the proxy binds it. Of those, tests that run beside
    these (pytest-xdist's gw0, gw1, ...) have others.
    """
    first, end = _own_ports()
    while True:
        port = random.randrange(first, end - count)
        wanted = range(port, port + count)
        if _given.isdisjoint(wanted) and all(_is_free(p, socket.SOCK_STREAM) for p in wanted):
            _given.update(wanted)
            return port


def bind(sock, address):
    """Port 0 is any of this worker's own: where a server of one test was, a proxy of that test may
    still connect to, and would be counted by the server of another that got the port."""
    if isinstance(address, str) or address[1]:
        sock.bind(address)
        return
    while True:
        port = random.randrange(*_own_ports())
        try:
            if port not in _given:
                sock.bind((address[0], port))
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def free_address(host="127.0.0.1"):
    return (host, free_port())


def connect(address, timeout=8.0, receive_buffer=None, source=None):
    """A connected blocking socket with a timeout on everything it does."""
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock
