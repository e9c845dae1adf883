# SPDX-License-Identifier: Apache-2.0
"""A reset is passed on as a reset, never as a clean end, and what was sent before it arrives."""

import socket

import pytest
from harness.address import connect
from harness.peers import (
    pattern,
    read_exactly,
    read_until_reset,
    reset,
    unsent,
)
from harness.wait import eventually


def _sent(sock, data):
    """Send, and wait until the next hop has it, so that a reset cannot overtake it there."""
    sock.sendall(data)
    eventually(lambda: unsent(sock) == 0, "the next hop has acknowledged all")


def _is_reset(sock):
    """True once the kernel has been told; for a socket whose own FIN or EOF hides it from recv."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (104, 32)


def test_a_clients_reset_reaches_the_backend(route, pair):
    client, server = pair()
    client.sendall(b"hello")
    assert read_exactly(server, 5) == b"hello"
    reset(client)
    assert read_until_reset(server) == b""
    route.ended("client_rst")


def test_a_backends_reset_reaches_the_client(route, pair):
    client, server = pair()
    server.sendall(b"hello")
    assert read_exactly(client, 5) == b"hello"
    reset(server)
    assert read_until_reset(client) == b""
    route.ended("backend_rst")


def test_a_reset_before_any_byte_is_passed_on(route, pair):
    client, server = pair()
    reset(server)
    assert read_until_reset(client) == b""
    client, server = pair()
    reset(client)
    assert read_until_reset(server) == b""


def test_data_that_a_backend_sent_before_its_reset_arrives_first(route, pair):
    client, server = pair()
    _sent(server, b"short answer")
    reset(server)
    assert read_until_reset(client) == b"short answer"
    route.ended("backend_rst")


def test_data_that_a_client_sent_before_its_reset_arrives_first(route, pair):
    client, server = pair()
    _sent(client, b"last words")
    reset(client)
    assert read_until_reset(server) == b"last words"
    route.ended("client_rst")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_half_a_megabyte_still_queued_arrives_before_the_reset(route, pair, who):
    data = pattern(500_000)
    client, server = pair(receive_buffer=16384)
    sender, receiver = (client, server) if who == "client" else (server, client)
    got = bytearray()
    sender.setblocking(False)
    sent = 0
    while sent < len(data) or unsent(sender):
        try:
            sent += sender.send(data[sent : sent + 65536]) if sent < len(data) else 0
        except BlockingIOError:
            pass
        if unsent(sender):  # read no more than it takes for the next hop to have it all
            got += receiver.recv(1024)
    reset(sender)
    got += read_until_reset(receiver)
    assert bytes(got) == data
    route.ended(f"{who}_rst")


def test_closing_with_unread_data_resets_the_client_after_the_answer(route, pair):
    """The kernel turns close() into RST when the application left bytes unread."""
    client, server = pair()
    client.sendall(b"x" * 5000)
    eventually(lambda: len(server.recv(5000, socket.MSG_PEEK)) == 5000, "the request is there")
    _sent(server, b"413 too large")
    server.close()
    assert read_until_reset(client) == b"413 too large"
    route.ended("backend_rst")


def test_closing_with_unread_data_resets_the_backend(route, pair):
    client, server = pair()
    server.sendall(b"y" * 5000)
    eventually(lambda: len(client.recv(5000, socket.MSG_PEEK)) == 5000, "the answer is there")
    _sent(client, b"never mind")
    client.close()
    assert read_until_reset(server) == b"never mind"
    route.ended("client_rst")


def test_a_backends_reset_after_the_clients_fin_reaches_the_client(route, pair):
    client, server = pair()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    _sent(server, b"half an ans")
    reset(server)
    assert read_until_reset(client) == b"half an ans"
    route.ended("backend_rst")


def test_a_clients_reset_after_the_backends_fin_reaches_the_backend(route, pair):
    client, server = pair()
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    _sent(client, b"half a requ")
    reset(client)
    assert read_until_reset(server) == b"half a requ"
    route.ended("client_rst")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_reset_after_the_same_sides_fin_reaches_the_other(route, pair, who):
    client, server = pair()
    first, other = (client, server) if who == "client" else (server, client)
    first.shutdown(socket.SHUT_WR)
    assert other.recv(1) == b""
    reset(first)
    eventually(lambda: _is_reset(other), "an error on the other side's socket")
    route.ended(f"{who}_rst")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_writing_to_a_side_that_closed_ends_in_an_error_not_in_silence(pair, who):
    client, server = pair()
    gone, writer = (client, server) if who == "client" else (server, client)
    gone.close()
    assert writer.recv(1) == b""

    def fails():
        try:
            writer.send(b"anybody there?")
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    eventually(fails, "a write fails")


def test_a_client_that_resets_while_the_backend_is_dialed_is_noticed(proxied, black_hole):
    proxied.to(black_hole(), pool={"timeouts": {"connect": "30s"}})
    client = connect(proxied.front)
    eventually(lambda: proxied.proxy.counters()["sessions_open"] == 1, "it dials")
    reset(client)
    flow = proxied.proxy.wait_flow()
    assert flow["reason"] == "client_abort"
    assert flow["backend_bytes"] == 0


def test_a_client_that_sends_and_resets_while_dialing_is_noticed(proxied, black_hole):
    proxied.to(black_hole(), pool={"timeouts": {"connect": "30s"}})
    client = connect(proxied.front)
    eventually(lambda: proxied.proxy.counters()["sessions_open"] == 1, "it dials")
    client.sendall(b"z" * 10_000)
    reset(client)
    assert proxied.proxy.wait_flow()["reason"] == "client_abort"


def test_a_client_that_resets_at_once_leaves_nothing_behind(proxied, backend):
    def until_gone(sock, _index):
        try:
            while sock.recv(4096):
                pass
        except ConnectionResetError:
            pass

    proxied.to(backend(until_gone))
    for index in range(200):
        client = connect(proxied.front)
        if index % 2:
            client.sendall(b"bye")
        reset(client)
    eventually(lambda: proxied.proxy.counters()["sessions"] == 200, "all were accepted")
    eventually(lambda: proxied.proxy.counters()["sessions_open"] == 0, "all have ended")
    with connect(proxied.front) as client:
        client.sendall(b"still here?")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


def test_a_backend_that_resets_at_once_never_looks_like_a_clean_end(route, backend):
    route.to(backend(lambda sock, _index: reset(sock)))
    for _ in range(100):
        try:
            client = connect(route.front)
        except ConnectionResetError:  # direct, the reset may even beat connect()
            continue
        with client:
            assert read_until_reset(client) == b""


def test_a_backend_that_answers_and_resets_never_looks_like_a_clean_end(route, backend):
    """Short streams are where other proxies forge a FIN."""

    def answer_and_reset(sock, _index):
        read_exactly(sock, 4)
        _sent(sock, b"partial")
        reset(sock)

    route.to(backend(answer_and_reset))
    for _ in range(100):
        with connect(route.front) as client:
            client.sendall(b"GET!")
            assert read_until_reset(client) == b"partial"
