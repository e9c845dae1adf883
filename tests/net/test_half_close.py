# SPDX-License-Identifier: Apache-2.0
"""A FIN closes one direction and leaves the other open, for as long as the peers like."""

import socket
import threading

from harness.address import connect
from harness.peers import pattern, read_all, read_exactly


def test_the_backend_answers_after_the_clients_fin(route, pair):
    client, server = pair()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"question"
    server.sendall(b"answer after your FIN")
    server.close()
    assert read_all(client) == b"answer after your FIN"
    client.close()
    route.ended("client_fin")


def test_the_client_goes_on_after_the_backends_fin(route, pair):
    client, server = pair()
    server.sendall(b"that is all from me")
    server.shutdown(socket.SHUT_WR)
    assert read_all(client) == b"that is all from me"
    client.sendall(b"but not from me")
    client.close()
    assert read_all(server) == b"but not from me"
    server.close()
    route.ended("backend_fin")


def test_a_fin_without_a_byte_is_passed_on(route, pair):
    client, server = pair()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.sendall(b"x")
    assert client.recv(1) == b"x"
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""


def test_megabytes_flow_against_a_fin_in_either_order(pair):
    for first, second in ((0, 1), (1, 0)):
        ends = pair()
        ends[first].shutdown(socket.SHUT_WR)
        assert ends[second].recv(1) == b""
        data = pattern(5_000_000)
        sender = threading.Thread(target=_send_and_finish, args=(ends[second], data))
        sender.start()
        assert read_all(ends[first]) == data
        sender.join()


def _send_and_finish(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def test_conversation_goes_on_in_small_steps_before_each_fin(pair):
    client, server = pair()
    for step in range(100):
        client.sendall(b"%3d?" % step)
        assert read_exactly(server, 4) == b"%3d?" % step
        server.sendall(b"%3d!" % step)
        assert read_exactly(client, 4) == b"%3d!" % step
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    for _ in range(100):
        client.sendall(b"more")
        assert read_exactly(server, 4) == b"more"
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""


def test_a_client_that_has_already_finished_still_gets_its_answer(route, backend):
    """Request and FIN are in the kernel before the proxy has a backend at all."""

    def answer(sock, _index):
        request = read_all(sock)
        sock.sendall(request[::-1])

    route.to(backend(answer))
    for _ in range(50):
        with connect(route.front) as client:
            client.sendall(b"abc" * 300)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"cba" * 300


def test_a_backend_that_answers_and_finishes_at_once_loses_nothing(route, backend):
    def answer(sock, index):
        sock.sendall(pattern(index * 7000 + 1))
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"thanks"

    route.to(backend(answer))
    for index in range(50):
        with connect(route.front) as client:
            assert read_all(client) == pattern(index * 7000 + 1)
            client.sendall(b"thanks")
