# SPDX-License-Identifier: Apache-2.0
"""Urgent data (MSG_OOB, RFC 6093) crosses the proxy as it crosses a wire."""

import select
import socket

import pytest
from harness.peers import pattern, read_all, read_exactly
from harness.wait import eventually


def _ends(pair, who):
    client, server = pair()
    return (client, server) if who == "client" else (server, client)


def _has_mark(sock):
    poller = select.poll()
    poller.register(sock, select.POLLPRI)
    return bool(poller.poll(0))


@pytest.mark.parametrize("who", ["client", "backend"])
def test_the_stream_is_exact_for_a_receiver_that_takes_urgent_data_inline(pair, who):
    sender, receiver = _ends(pair, who)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    before, after = pattern(100_000), pattern(100_000, 55_555)
    sender.sendall(before)
    sender.send(b"!", socket.MSG_OOB)
    sender.sendall(after)
    sender.shutdown(socket.SHUT_WR)
    assert read_all(receiver) == before + b"!" + after


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_lone_urgent_byte_arrives_at_once(pair, who):
    sender, receiver = _ends(pair, who)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    for _ in range(20):
        sender.send(b"!", socket.MSG_OOB)
        assert read_exactly(receiver, 1) == b"!"
        sender.sendall(b"plain")
        assert read_exactly(receiver, 5) == b"plain"


@pytest.mark.parametrize("who", ["client", "backend"])
def test_an_urgent_byte_can_be_taken_out_of_band(pair, who):
    sender, receiver = _ends(pair, who)
    sender.sendall(b"before")
    assert read_exactly(receiver, 6) == b"before"
    sender.send(b"!", socket.MSG_OOB)
    eventually(lambda: _has_mark(receiver), "the receiver is told of urgent data")
    receiver.setblocking(False)  # else Python would wait for ordinary data first
    assert receiver.recv(1, socket.MSG_OOB) == b"!"
    receiver.settimeout(8.0)
    sender.sendall(b"after")
    assert read_exactly(receiver, 5) == b"after"


@pytest.mark.parametrize("who", ["client", "backend"])
def test_bytes_before_an_urgent_one_are_not_held_back_by_it(pair, who):
    sender, receiver = _ends(pair, who)
    sender.sendall(pattern(50_000))
    sender.send(b"!", socket.MSG_OOB)
    assert read_exactly(receiver, 50_000) == pattern(50_000)


@pytest.mark.parametrize("who", ["client", "backend"])
def test_urgent_bytes_amid_a_bulk_transfer_leave_it_exact(pair, who):
    sender, receiver = _ends(pair, who)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    expected, got = bytearray(), bytearray()
    for step in range(60):
        block = pattern(70_000, step * 70_000)
        expected += block + b"!"
        sender.sendall(block)
        sender.send(b"!", socket.MSG_OOB)
        got += read_exactly(receiver, 70_001)
    assert got == expected


def test_an_urgent_byte_straight_before_the_fin_is_kept(pair):
    sender, receiver = _ends(pair, "client")
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    sender.sendall(b"data")
    sender.send(b"!", socket.MSG_OOB)
    sender.shutdown(socket.SHUT_WR)
    assert read_all(receiver) == b"data!"
