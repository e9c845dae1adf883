# SPDX-License-Identifier: Apache-2.0
"""A peer that does not read stops the other, costs bounded memory, and loses nothing."""

import socket
import threading

import pytest
from harness.address import connect
from harness.peers import echo, fill_all, pattern, read_exactly, reset
from harness.tools import pump, skip_sanitized
from harness.wait import eventually

MIB = 1 << 20
SESSIONS = 200

# Kernel buffers of a known size, so that what is parked in user space shows.
SMALL_QUEUES = {"send_buffer": "64KiB", "receive_buffer": "64KiB"}
# Twice per socket for the kernel's own accounting, over four sockets, and one chunk in between.
PARKED_AT_MOST = 3 * MIB


def _pairs(route, server, count):
    pairs = []
    for _ in range(count):
        client, peer = route.pair(server, receive_buffer=32768)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        pairs.append((client, peer))
    return pairs


@pytest.mark.parametrize("stopped", ["client", "backend"])
def test_two_hundred_readers_that_stop_cost_bounded_memory(proxied, listener, keep, stopped):
    skip_sanitized("memory is measured")
    server = listener()
    proxied.to(server, buffers="4MiB", workers=2, tcp=SMALL_QUEUES)
    pairs = _pairs(proxied, server, SESSIONS)
    for client, peer in pairs:
        keep(client, peer)
    before = proxied.proxy.rss()
    writers = [pair[1 if stopped == "client" else 0] for pair in pairs]
    readers = [pair[0 if stopped == "client" else 1] for pair in pairs]
    sent = fill_all(writers)
    assert min(sent) > 0
    assert max(sent) < PARKED_AT_MOST, f"a stopped reader let {max(sent)} bytes through"
    grown = proxied.proxy.rss() - before
    assert grown < 4 * MIB + 4 * MIB, f"{grown} bytes of user memory for 4 MiB of buffers"
    assert proxied.proxy.counters()["buffer_bytes"] <= 4 * MIB
    for reader, count in zip(readers, sent):
        assert read_exactly(reader, count) == pattern(count)
    for writer, reader in zip(writers, readers):
        writer.sendall(b"and on it goes")
        assert read_exactly(reader, 14) == b"and on it goes"
    assert proxied.proxy.counters()["buffer_bytes"] == 0


def test_a_stopped_reader_does_not_disturb_its_neighbours(proxied, pump_server, listener, keep):
    server = pump_server()
    proxied.to(server, workers=1, buffers="1MiB", tcp=SMALL_QUEUES)
    stuck = [connect(proxied.front, receive_buffer=16384) for _ in range(50)]
    header = _pump_header(down=64 * MIB)
    for sock in stuck:
        keep(sock)
        sock.sendall(header)
    eventually(lambda: _stalled(proxied.proxy), "the stuck sessions stand still")
    pump(proxied.front, up=MIB, down=MIB, at_once=8, total=16, deadline=30)
    for sock in stuck:
        reset(sock)


def _pump_header(down):
    magic = 0x736C756963653031
    return b"".join(n.to_bytes(8, "little") for n in (magic, 99, 0, down))


def _stalled(proxy):
    first = proxy.counters()["client_sent_bytes"]
    return first and first == proxy.counters()["client_sent_bytes"]


def test_a_direction_that_stands_still_does_not_stop_the_other(pair):
    client, server = pair(receive_buffer=16384)
    fill_all([server])
    for step in range(200):
        client.sendall(b"%4d" % step)
        assert read_exactly(server, 4) == b"%4d" % step


def test_a_reader_that_stops_and_resumes_over_and_over_gets_every_byte(pair):
    client, server = pair(receive_buffer=16384)
    total = 0
    for _ in range(12):
        server.setblocking(False)
        sent = 0
        try:
            while sent < 3 * MIB:
                sent += server.send(pattern(65536, total + sent))
        except BlockingIOError:
            pass
        server.settimeout(8.0)
        assert read_exactly(client, sent) == pattern(sent, total)
        total += sent


def test_a_fin_behind_a_full_queue_arrives_after_the_data(pair):
    client, server = pair(receive_buffer=16384)
    sent = fill_all([server])[0]
    server.shutdown(socket.SHUT_WR)
    assert read_exactly(client, sent) == pattern(sent)
    assert client.recv(1) == b""


def test_a_slow_loris_gets_its_answer_and_holds_up_nobody(proxied, backend):
    proxied.to(backend(echo), workers=1)
    slow = [connect(proxied.front) for _ in range(100)]
    for turn in range(20):
        for sock in slow:
            sock.sendall(bytes([turn]))
        with connect(proxied.front) as quick:
            quick.sendall(b"quick")
            assert read_exactly(quick, 5) == b"quick"
    for sock in slow:
        assert read_exactly(sock, 20) == bytes(range(20))
        sock.close()


def test_a_reader_of_one_byte_at_a_time_gets_them_all(pair):
    client, server = pair(receive_buffer=4096)
    sender = threading.Thread(target=server.sendall, args=(pattern(20_000),))
    sender.start()
    assert b"".join(client.recv(1) for _ in range(20_000)) == pattern(20_000)
    sender.join()


def test_idle_sessions_hold_no_buffer_and_no_pipe(proxied, backend, keep):
    proxied.to(backend(echo), workers=1)
    for _ in range(100):
        sock = keep(connect(proxied.front))
        sock.sendall(b"ping" * 50_000)
        assert read_exactly(sock, 200_000) == b"ping" * 50_000
    counts = proxied.proxy.counters()
    assert counts["buffer_bytes"] == 0
    assert counts["pipes_open"] < 40, "idle sessions must give their pipes back"
