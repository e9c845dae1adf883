# SPDX-License-Identifier: Apache-2.0
"""A proxy dies; the connections that the kernel carries do not, and the next process has them."""

import errno
import os
import random
import socket
import tempfile
import time
from pathlib import Path

import pytest
from harness import proxyproto
from harness.peers import echo, read_all, read_exactly, read_until_reset, reset
from harness.sluice import BINARY
from harness.spliced import exchange, is_reset
from harness.survivors import Crowd, Dynasty, PinRoom, Stream, goes_on
from harness.wait import eventually

MB = 1_000_000
NOBODY = (65534, 65534)
LIVES = 10  # of each dynasty
FIRST = 1000  # bytes each way that Spliced.promote() moves
FILTERED = Path(os.environ.get("SLUICE_FILTERS_BIN", BINARY.parent / "filters" / "sluice"))
# Before Linux 6.6 programs are filters, which outlive their process by themselves.
HOOKS = pytest.mark.parametrize("binary", (BINARY, FILTERED), ids=("links", "filters"))


@pytest.fixture
def room(keep):
    return keep(PinRoom())


@pytest.fixture
def dynasty(network, sluice, room, tmp_path):
    """dynasty(net=..., pool=..., **top) gives a Dynasty."""

    def make(net=None, directory=tmp_path, **options):
        return Dynasty(net or network(), sluice, directory, room, **options)

    return make


@pytest.fixture
def homes():
    """A directory of an ordinary user's, out of the way of whoever runs tests as root."""
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, *NOBODY)
        yield Path(home)


@pytest.mark.parametrize("family", (4, 6))
def test_an_idle_connection_is_adopted_and_then_used(network, dynasty, serve, family):
    line = dynasty(network(family=family))
    server = serve(line)
    client, backend = line.promote(server)
    before = line.sessions()[0]
    line.crash()
    moved = goes_on(client, backend, FIRST)
    line.succeed()
    [session] = line.wait_offloaded()
    assert {session[key] for key in ("listener", "pool")} == {before[key] for key in ("listener", "pool")}
    assert session["target"] == before["target"] and session["client"] == before["client"]
    assert session["age_ms"] >= before["age_ms"]
    moved = goes_on(client, backend, moved)
    client.close()
    assert read_all(backend) == b""
    backend.close()
    flow = line.proxy.wait_flow(reason="client_fin")
    assert (flow["client_bytes"], flow["backend_bytes"]) == (moved, moved)
    assert flow["client"] == before["client"] and flow["target"] == before["target"]
    line.stop()


def test_what_a_proxy_header_said_is_logged_by_a_successor(dynasty, serve, keep):
    said = ("203.0.113.9", 4711), ("198.51.100.1", 443)
    header = proxyproto.v2(*said, proxyproto.vpce("vpce-08d2bf15fac5001c9"))
    line = dynasty(listener={"proxy_protocol": "required", "trusted": ["10.77.1.0/24"]})
    server = serve(line)
    client = keep(line.connect())
    client.sendall(header + b"hello")
    backend = keep(server.accept())
    assert read_exactly(backend, 5) == b"hello"
    backend.sendall(b"hello")
    assert read_exactly(client, 5) == b"hello"
    line.wait_offloaded()
    line.crash()
    line.succeed()
    line.wait_offloaded()
    client.close()
    assert read_all(backend) == b""
    backend.close()
    flow = line.proxy.wait_flow()
    assert flow["proxy_source"] == "203.0.113.9:4711"
    assert flow["proxy_destination"] == "198.51.100.1:443"
    assert flow["vpce"] == "vpce-08d2bf15fac5001c9"
    line.stop()


@HOOKS
def test_what_another_version_left_ends_and_is_told(dynasty, serve, keep, binary):
    """Its maps have another layout: nobody can count or end what runs by them."""
    line = dynasty(binary=binary)
    server = serve(line)
    client, backend = keep(*line.promote(server))
    line.crash()
    line.room.rename("flow-v*", "flow-v1")
    line.succeed()
    event = line.proxy.wait_event("offload_not_adopted")
    assert "version=1" in event.text
    assert not [pin for pin in line.room.pins() if "flow-v1" in pin]
    client.sendall(b"is anybody there?")
    assert read_until_reset(client) == b""
    exchange(*keep(*line.promote(server)))
    line.stop()


def test_idle_connections_come_back_when_a_successor_drains(dynasty, serve):
    line = dynasty(drain_timeout="0s")
    server = serve(line)
    client, backend = line.promote(server)
    line.crash()
    line.succeed()
    line.wait_offloaded()
    line.stop()
    assert read_all(client) == read_all(backend) == b""
    [flow] = line.proxy.wait_flows(1)
    assert flow["reason"] == "drain"
    assert (flow["client_bytes"], flow["backend_bytes"]) == (FIRST, FIRST)
    client.close()
    backend.close()


def test_two_hundred_megabytes_each_way_go_on_while_nobody_is_there(dynasty, serve):
    line = dynasty()
    server = serve(line)
    client, backend = line.promote(server)
    ways = [Stream(client, backend, 200 * MB), Stream(backend, client, 200 * MB)]
    eventually(lambda: all(way.received > 10 * MB for way in ways), "it has begun")
    line.crash()
    moved = [way.received for way in ways]
    eventually(
        lambda: all(way.received > before + 20 * MB for way, before in zip(ways, moved)),
        "both ways go on while nobody is there",
    )
    line.succeed()
    line.wait_offloaded()
    for way in ways:
        way.exact()
    client.close()
    backend.close()
    [flow] = line.proxy.wait_flows(1)
    assert flow["client_bytes"] == flow["backend_bytes"] == 200 * MB + FIRST
    line.stop()


@pytest.mark.parametrize("end", ("client_fin", "backend_fin", "client_rst", "backend_rst"))
def test_what_ended_while_nobody_was_there_is_logged(dynasty, serve, end):
    line = dynasty()
    server = serve(line)
    client, backend = line.promote(server)
    line.crash()
    first, last = (client, backend) if end.startswith("client") else (backend, client)
    if end.endswith("rst"):
        reset(first)
        read_until_reset(last)
    else:
        first.close()
        assert read_all(last) == b""
    last.close()
    line.succeed()
    [flow] = line.proxy.wait_flows(1)
    assert flow["reason"] == end
    line.stop()


def test_a_second_crash_is_survived_like_the_first(dynasty, serve):
    line = dynasty()
    server = serve(line)
    old = line.promote(server)
    moved = FIRST
    for _ in range(3):
        line.crash()
        moved = goes_on(*old, moved)
        line.succeed()
        line.wait_offloaded()
        moved = goes_on(*old, moved)
    new = line.promote(server)
    line.crash()
    line.succeed()
    line.wait_offloaded(2)
    goes_on(*old, moved)
    goes_on(*new, FIRST)
    for sock in (*old, *new):
        sock.close()
    assert {flow["reason"] for flow in line.proxy.wait_flows(2)} <= {"client_fin", "backend_fin"}
    line.stop()


def dial(line, source):
    """From the proxy's host to the target, as the proxy would from that port."""
    with line.net.proxy:
        sock = socket.socket()
    sock.settimeout(10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(source)
        sock.connect(line.target)
    finally:
        sock.close()


def test_nobody_gets_the_ports_of_a_connection_that_was_adopted(dynasty, serve):
    line = dynasty()
    server = serve(line)
    client, backend = line.promote(server)
    source = backend.getpeername()
    line.crash()
    line.succeed()
    line.wait_offloaded()
    with pytest.raises(OSError) as refused:
        dial(line, source)
    assert refused.value.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
    goes_on(client, backend, FIRST)
    client.close()
    backend.close()
    line.stop()


def test_the_ports_of_one_that_was_over_before_are_anybodys(dynasty, serve):
    """Its flow lingers; a SYN from there is not its flow's to swallow."""
    line = dynasty()
    server = serve(line)
    client, backend = line.promote(server)
    source = backend.getpeername()
    client.close()
    backend.close()
    line.proxy.wait_flows(1)
    line.crash()
    line.succeed()
    dial(line, source)
    line.stop()


@HOOKS
def test_a_successor_begins_its_own_while_the_old_keeps_its_own(dynasty, serve, binary):
    line = dynasty(drain_timeout="20s", binary=binary)
    server = serve(line)
    old = line.promote(server)
    before = line.proxy
    line.succeed("--replace")
    new = line.pair(server)
    moved = goes_on(*new, 0)
    line.wait_offloaded()
    assert len(line.room.directories()) == 2
    goes_on(*old, FIRST)
    goes_on(*new, moved)
    assert not before.flows()
    for sock in old:
        sock.close()
    assert before.wait_exit() == 0
    assert len(before.flows()) == 1
    assert len(line.room.directories()) == 1
    goes_on(*new, moved)
    for sock in new:
        sock.close()
    line.stop()


def talk(sock, _index):
    """Echo, however it ends; a client that is gone for good has said so long before."""
    sock.settimeout(30)
    echo(sock, _index)


@pytest.mark.parametrize("seed", (0, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2, 3))))
def test_no_crash_in_the_middle_of_anything_makes_a_connection_hang(dynasty, serve, seed):
    line = dynasty(drain_timeout="0s")
    backend = serve(line, talk)
    rng = random.Random(seed)
    crowd = Crowd(line, 12, seed)
    for _ in range(LIVES):
        time.sleep(rng.random() * 0.15)  # the point of the test: any moment will do
        line.crash()
        line.succeed()
    outcomes = crowd.stop()
    assert outcomes["wrong"] == outcomes["hung"] == 0, outcomes
    assert outcomes["done"] > 10 and outcomes["ended"], outcomes
    eventually(lambda: not backend.busy(), "no backend waits for a client that is gone", 10)
    eventually(lambda: _none(line), "no session is left", 10)
    line.stop()


def test_a_thousand_are_adopted(dynasty, serve):
    line = dynasty(drain_timeout="0s")
    server = serve(line)
    pairs = [line.pair(server) for _ in range(1000)]
    moved = {pair: goes_on(*pair, 0, 100) for pair in pairs}
    line.wait_offloaded(1000, within=30)
    line.crash()
    line.succeed()
    line.wait_offloaded(1000)
    for pair in pairs:
        goes_on(*pair, moved[pair], 100)
    for pair in pairs[:500]:
        for sock in pair:
            sock.close()
    line.proxy.wait_flows(500, reason="client_fin")
    line.wait_offloaded(500)
    line.stop()
    for pair in pairs[500:]:
        assert read_all(pair[0]) == read_all(pair[1]) == b""
        for sock in pair:
            sock.close()


@HOOKS
def test_the_flows_of_two_that_died_go_on_in_one(dynasty, serve, binary):
    line = dynasty(drain_timeout="30s", binary=binary)
    server = serve(line)
    old = line.promote(server)
    first = line.proxy
    line.succeed("--replace")
    new = line.pair(server)
    moved = goes_on(*new, 0)
    line.wait_offloaded()
    first.kill()
    line.crash()
    assert len(line.room.directories()) == 2
    goes_on(*old, FIRST)
    line.succeed()
    line.wait_offloaded(2)
    assert len(line.room.directories()) == 1
    goes_on(*old, FIRST + 20_000)
    goes_on(*new, moved)
    for sock in (*old, *new):
        sock.close()
    line.proxy.wait_flows(2, reason="client_fin")
    line.stop()


def test_a_process_without_root_has_it_all_the_same(dynasty, serve, homes):
    line = dynasty(directory=homes, user="nobody")
    server = serve(line)
    client, backend = line.promote(server)
    line.crash()
    line.succeed()
    line.wait_offloaded()
    goes_on(client, backend, FIRST)
    client.close()
    assert read_all(backend) == b""
    backend.close()
    line.proxy.wait_flow(reason="client_fin")
    line.stop()


def test_without_pins_a_crash_ends_what_it_must(dynasty, serve):
    line = dynasty(fast_path={"pin": "off"})
    server = serve(line)
    client, backend = line.promote(server)
    assert not line.room.pins()
    line.crash()
    for sock in (client, backend):
        eventually(lambda: is_reset(sock), "the peer hears of it", 30)
    line.succeed()
    assert not line.sessions()
    line.stop()


def _none(line):
    left = line.sessions()
    assert not left, left
    return True
