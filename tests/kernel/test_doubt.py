# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the fast path itself: it is seen, told, and ends in sockets or in a clean end."""

import resource
import signal
import socket

from harness.metrics import scrape
from harness.peers import read_until_reset
from harness.raw import SYN, packet
from harness.sluice import PATIENCE
from harness.spliced import exchange, is_reset
from harness.wait import eventually

RING = 1 << 20  # bytes of the ring of events
RECORD = 24


def _overflow(spliced, client):
    """Handshakes on a live tuple are told each; nobody reads while the process stands still."""
    source, target = client.getsockname(), client.getpeername()
    with spliced.net.client:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    spliced.proxy.signal(signal.SIGSTOP)
    with raw:
        for seq in range(RING // RECORD + 1000):
            raw.sendto(packet(source, target, SYN, seq, 0), (target[0], 0))
    spliced.proxy.signal(signal.SIGCONT)


def test_a_doubt_ends_promotions_and_asks_sessions_back(splice, serve, keep):
    spliced = splice()
    server = serve(spliced)
    pairs = [keep(*spliced.promote(server)) for _ in range(3)]
    assert spliced.counts()["doubts"] == []
    assert scrape(spliced.admin).sum("sluice_offload_doubted") == 0
    _overflow(spliced, pairs[0][0])
    spliced.proxy.wait_event("offload_doubted", within=30 * PATIENCE)
    assert spliced.counts()["doubts"] == ["events_lost"]
    seen = scrape(spliced.admin).get("sluice_offload_doubted")
    assert seen[(("why", "events_lost"),)] == 1 and sum(seen.values()) == 1
    spliced.wait_relayed(3, within=30)
    assert spliced.counts()["recalled"] == 3
    for pair in pairs:
        exchange(*pair, 100_000)
    pair = keep(*spliced.pair(server))
    exchange(*pair)
    eventually(lambda: spliced.counts()["refusals"].get("doubt"), "it is refused", 30 * PATIENCE)
    spliced.wait_relayed(4)


def test_without_a_free_descriptor_a_session_ends_and_leaves_nothing(splice, serve, keep):
    """Its sockets do not arrive at the keeper: both peers hear of it, and the slot is free."""
    spliced = splice()
    server = serve(spliced)
    keep(*spliced.promote(server))  # from now on the ways are known
    client, backend = keep(*spliced.pair(server))
    eventually(lambda: len(spliced.sessions()) == 2, "both sessions are there")
    whole = resource.prlimit(spliced.proxy.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(spliced.proxy.pid, resource.RLIMIT_NOFILE, (3, whole[1]))
    client.sendall(b"x" * 1000)
    client.settimeout(30 * PATIENCE)
    backend.settimeout(30 * PATIENCE)
    read_until_reset(backend)
    assert read_until_reset(client) == b""
    resource.prlimit(spliced.proxy.pid, resource.RLIMIT_NOFILE, whole)
    spliced.wait_offloaded(1, within=30)
    assert spliced.counts()["promoted"] == 1
    exchange(*keep(*spliced.promote(server)), 100_000)
    spliced.wait_offloaded(2)


def test_an_abort_without_a_free_descriptor_ends_it_all_the_same(splice, serve, keep):
    """There is no socket to say RST with; the kernel says it to whoever still sends."""
    spliced = splice(pool={"timeouts": {"half_close": "1s"}})
    client, backend = keep(*spliced.promote(serve(spliced)))
    whole = resource.prlimit(spliced.proxy.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(spliced.proxy.pid, resource.RLIMIT_NOFILE, (3, whole[1]))
    client.shutdown(socket.SHUT_WR)
    assert backend.recv(1) == b""
    flow = spliced.proxy.wait_flow(within=30 * PATIENCE)
    assert flow["reason"] == "half_close"
    resource.prlimit(spliced.proxy.pid, resource.RLIMIT_NOFILE, whole)
    eventually(lambda: spliced.counts()["open"] == 0, "the keeper has none", 30 * PATIENCE)
    eventually(lambda: is_reset(backend), "the backend hears of it", 30 * PATIENCE)
