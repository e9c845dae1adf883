# SPDX-License-Identifier: Apache-2.0
"""Whoever speaks first, and however a reply is cut: nothing waits for an ACK timer."""

import socket
import time

from harness.address import connect
from harness.peers import read_exactly

# A delayed ACK takes at least 40 ms (TCP_DELACK_MIN, net/tcp.h), a withheld one 200 ms.
DELAYED_ACK = 0.040


def _median(samples):
    return sorted(samples)[len(samples) // 2]


def _timed(count, step):
    samples = []
    for _ in range(count):
        begin = time.monotonic()
        step()
        samples.append(time.monotonic() - begin)
    return _median(samples)


def test_a_server_that_speaks_first_is_heard_before_the_client_speaks(route, backend):
    def greet(sock, _index):
        sock.sendall(b"220 ready\r\n")
        assert read_exactly(sock, 6) == b"EHLO\r\n"
        sock.sendall(b"250 hello\r\n")

    route.to(backend(greet))

    def converse():
        with connect(route.front) as client:
            assert read_exactly(client, 11) == b"220 ready\r\n"
            client.sendall(b"EHLO\r\n")
            assert read_exactly(client, 11) == b"250 hello\r\n"

    assert _timed(31, converse) < DELAYED_ACK


def _reply_in_two_writes(sock, _index):
    while sock.recv(4096):
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        sock.sendall(b"Content-Length: 0\r\n\r\n")


def _ask_for_two_writes(front):
    with connect(front) as client:

        def ask():
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            read_exactly(client, 38)

        return _timed(31, ask)


def test_a_reply_in_two_small_writes_is_not_held_back(route, backend):
    def reply(sock, index):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _reply_in_two_writes(sock, index)

    route.to(backend(reply))
    assert _ask_for_two_writes(route.front) < DELAYED_ACK


def test_a_backend_that_waits_for_an_ack_waits_no_longer_than_direct(proxied, backend):
    """With Nagle's algorithm its second write waits for the ACK of the first, which may be late."""
    server = backend(_reply_in_two_writes)
    proxied.to(server)
    direct = _ask_for_two_writes(server.address)
    assert _ask_for_two_writes(proxied.front) < direct + DELAYED_ACK / 2


def test_a_request_in_two_small_writes_is_not_held_back(proxied, backend):
    def serve(sock, _index):
        while True:
            try:
                read_exactly(sock, 20)
            except AssertionError:
                return
            sock.sendall(b"+OK\r\n")

    proxied.to(backend(serve))
    with connect(proxied.front) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # nor may the proxy wait

        def ask():
            client.sendall(b"SET key ")
            client.sendall(b"value 12345\n")
            read_exactly(client, 5)

        assert _timed(31, ask) < DELAYED_ACK


def test_both_sides_may_speak_first_at_once(route, pair):
    for _ in range(20):
        client, server = pair()
        client.sendall(b"from the client")
        server.sendall(b"from the backend")
        assert read_exactly(client, 16) == b"from the backend"
        assert read_exactly(server, 15) == b"from the client"
