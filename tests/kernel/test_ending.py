# SPDX-License-Identifier: Apache-2.0
"""How sessions end that nobody of ours sees: both FINs in either order, resets, dead peers."""

import socket
import struct
import threading
from pathlib import Path

import pytest
from harness.peers import pattern, read_all, read_exactly, read_until_reset, reset
from harness.spliced import exchange
from harness.sluice import PATIENCE
from harness.wait import eventually

BLOCK = 300_000


@pytest.fixture
def joined(splice, serve, keep):
    """joined(...) gives a Spliced and both ends of a session that the kernel carries."""

    def make(net=None, **options):
        spliced = splice(net, **options)
        return spliced, *keep(*spliced.promote(serve(spliced)))

    return make


@pytest.mark.parametrize("first", ("client", "backend"))
@pytest.mark.parametrize("family", (4, 6))
def test_each_side_may_finish_first_and_still_hear_the_other(network, joined, first, family):
    spliced, client, backend = joined(network(family=family))
    one, other = (client, backend) if first == "client" else (backend, client)
    one.sendall(pattern(1000))
    one.shutdown(socket.SHUT_WR)
    assert read_all(other) == pattern(1000)
    for at in range(0, BLOCK, 1000):
        other.sendall(pattern(1000, at))
        assert read_exactly(one, 1000) == pattern(1000, at)
    other.sendall(pattern(BLOCK))
    other.shutdown(socket.SHUT_WR)
    assert read_all(one) == pattern(BLOCK)
    spliced.ended(f"{first}_fin")
    eventually(lambda: not spliced.sessions(), "no session is left")


def test_both_finish_at_once(joined):
    spliced, client, backend = joined()
    client.shutdown(socket.SHUT_WR)
    backend.shutdown(socket.SHUT_WR)
    assert client.recv(1) == backend.recv(1) == b""
    [flow] = spliced.proxy.wait_flows(1)
    assert flow["reason"] in ("client_fin", "backend_fin")


@pytest.mark.parametrize("first", ("client", "backend"))
def test_a_reset_is_the_other_sides_reset(joined, first):
    spliced, client, backend = joined()
    one, other = (client, backend) if first == "client" else (backend, client)
    reset(one)
    assert read_until_reset(other) == b""
    spliced.ended(f"{first}_rst")


@pytest.mark.parametrize("first", ("client", "backend"))
def test_a_reset_in_the_middle_of_a_transfer(joined, first):
    spliced, client, backend = joined()
    one, other = (client, backend) if first == "client" else (backend, client)
    other.settimeout(0.2)
    with pytest.raises(TimeoutError):
        while True:
            other.sendall(pattern(65536))
    other.settimeout(8)
    reset(one)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while True:
            other.sendall(pattern(65536))
    spliced.ended(f"{first}_rst")


def test_a_half_closed_session_on_which_nothing_moves_is_reset(joined):
    spliced, client, backend = joined(pool={"timeouts": {"half_close": "1s"}})
    client.shutdown(socket.SHUT_WR)
    assert backend.recv(1) == b""
    flow = spliced.proxy.wait_flow(within=15)
    assert flow["reason"] == "half_close"
    assert read_until_reset(client) == b""


def test_a_stalled_reader_stops_its_sender_and_nothing_is_lost(joined):
    """The window that the one closes is the window that the other sees."""
    spliced, client, backend = joined()
    total = 0
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            total += client.send(pattern(65536, total))
    assert 0 < total < 30_000_000
    [session] = spliced.wait_offloaded()
    got = read_exactly(backend, total)
    assert got == b"".join(pattern(65536, at) for at in range(0, total, 65536))[:total]
    client.settimeout(8)
    exchange(client, backend, BLOCK)
    exchange(backend, client, BLOCK)
    spliced.wait_offloaded()


def test_a_closed_window_is_still_closed_after_the_promotion(splice, serve, keep):
    """It was closed on the relay; the kernel takes the session over, if at all, without a loss."""
    spliced = splice()
    server = serve(spliced)
    client, backend = keep(*spliced.pair(server, receive_buffer=8192))
    total = 4_000_000
    backend.settimeout(30)
    sender = threading.Thread(target=lambda: backend.sendall(pattern(total)))
    sender.start()
    eventually(lambda: spliced.sessions(), "the session is there")
    got = bytearray()
    while len(got) < total:
        got += client.recv(5000)
    sender.join()
    assert bytes(got) == pattern(total)
    exchange(client, backend)


@pytest.mark.parametrize("side", ("client", "backend"))
def test_a_peer_that_vanished_is_found_out(joined, side):
    """Its wire is cut: nothing comes any more, not even a reset."""
    tcp = {"keepalive": {"idle": "1s", "interval": "1s"}, "user_timeout": "3s"}
    spliced, client, backend = joined(listener={"tcp": tcp}, pool={"tcp": tcp})
    spliced.net.proxy.nft(
        "table inet cut {\n chain in { type filter hook prerouting priority -500;"
        f' iifname "{side}" drop; }}\n chain out {{ type filter hook output priority -500;'
        f' oifname "{side}" drop; }}\n}}'
    )
    flow = spliced.proxy.wait_flow(within=25 * PATIENCE)
    assert flow["reason"].startswith(side), flow
    assert spliced.counts()["recalled"] == 1


def test_a_backend_that_dies_resets_every_session_on_it(splice, serve, keep):
    """The kernel closes what it had open, with bytes that it had not read yet."""
    spliced = splice()
    server = serve(spliced)
    pairs = [keep(*spliced.promote(server)) for _ in range(20)]
    spliced.wait_offloaded(20)
    for client, _ in pairs:
        client.sendall(pattern(50_000))
    for client, backend in pairs:
        read_exactly(backend, 1)
        backend.close()
    for client, _ in pairs:
        client.settimeout(60 * PATIENCE)
        assert read_until_reset(client) == b""
    spliced.ended("backend_rst", 20)


TOTAL_RETRANS = 100  # offset of tcpi_total_retrans in linux/tcp.h


def sent_again(sock):
    """How many segments, its SYN included."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("I", info, TOTAL_RETRANS)[0]


def finish(client, backend, first):
    """Both FINs, `first`'s before the other's; or its reset."""
    one, other = (client, backend) if first.startswith("client") else (backend, client)
    if first.endswith("rst"):
        reset(one)
        assert read_until_reset(other) == b""
        other.close()
        return
    one.shutdown(socket.SHUT_WR)
    assert other.recv(1) == b""
    other.close()
    assert one.recv(1) == b""
    one.close()


ENDS = ("client", "backend", "client_rst", "backend_rst")


@pytest.mark.parametrize("family", (4, 6))
def test_a_client_may_use_its_port_again_at_once(network, splice, serve, family):
    """As where the old connection is in TIME_WAIT: the first SYN finds nothing in its way."""
    spliced = splice(network(family=family))
    server = serve(spliced)
    for turn, end in enumerate(ENDS * 2):
        with spliced.net.client:
            client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((spliced.net._host(1, 1).strip("[]"), 40000))
        client.settimeout(8)
        client.connect(spliced.front)
        assert not sent_again(client)
        backend = server.accept()
        exchange(client, backend, 500 + turn)
        spliced.wait_offloaded()
        exchange(client, backend, 500 + turn)
        finish(client, backend, end)
        eventually(lambda: not spliced.sessions(), "the session ended")
    assert spliced.counts()["promoted"] == 2 * len(ENDS)


def test_the_proxy_may_use_its_ports_again_at_once(network, splice, serve):
    """Towards its backend it has two of them, each taken by a flow that is over."""
    net = network()
    with net.proxy:
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("50000 50001")
    spliced = splice(net)
    server = serve(spliced)
    for end in ENDS * 2:
        client, backend = spliced.promote(server)
        assert not sent_again(backend)
        finish(client, backend, end)
        eventually(lambda: not spliced.sessions(), "the session ended")
    assert spliced.counts()["promoted"] == 2 * len(ENDS)
    assert {flow["retries"] for flow in spliced.proxy.wait_flows(2 * len(ENDS))} == {0}


def test_who_is_over_makes_room_for_who_is_not(splice, serve):
    """Flows linger for a minute, but not in the way of others."""
    spliced = splice(fast_path={"sessions": 4})
    server = serve(spliced)
    for _ in range(12):
        finish(*spliced.promote(server), "client")
        eventually(lambda: not spliced.sessions(), "the session ended")
    counts = spliced.counts()
    assert counts["promoted"] == 12 and "full" not in counts["refusals"], counts
