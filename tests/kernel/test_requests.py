# SPDX-License-Identifier: Apache-2.0
"""Requests and answers: promoted while they go on, and no work of ours from then on."""

import os
from pathlib import Path

import pytest
from harness.peers import echo
from harness.spliced import exchange
from harness.sluice import PATIENCE
from harness.wait import eventually


def _moved(spliced):
    """System calls that move bytes."""
    calls = spliced.proxy.counters()["syscalls"]
    return sum(calls.get(name, 0) for name in ("recv", "send", "splice", "epoll_ctl"))


def test_a_promoted_session_costs_the_workers_no_system_call(splice, serve):
    spliced = splice()
    client, backend = spliced.promote(serve(spliced))
    with client, backend:
        before = _moved(spliced)
        for _ in range(1000):
            exchange(client, backend, 100)
        assert _moved(spliced) == before
        [session] = spliced.wait_offloaded()
        assert session["relay"] == "flow"


def test_figures_go_on_while_no_byte_passes_us(splice, serve):
    spliced = splice()
    client, backend = spliced.promote(serve(spliced))
    with client, backend:
        for _ in range(50):
            exchange(client, backend, 1000)

        def figures():
            [session] = spliced.sessions()
            return (session["client_bytes"], session["backend_bytes"]) == (51_000, 51_000)

        eventually(figures, "the figures have caught up", 10 * PATIENCE)
    [flow] = spliced.proxy.wait_flows(1)
    assert (flow["client_bytes"], flow["backend_bytes"]) == (51_000, 51_000)
    assert flow["relay"] == "flow"
    assert spliced.admin.get("/v1/status")["totals"]["client_received_bytes"] == 51_000


@pytest.mark.parametrize("mode", ("flow", "auto"))
def test_many_connections_are_promoted_while_they_ask(splice, pingpong, mode):
    spliced = splice(pool={"offload": mode})
    load = pingpong(spliced, at_once=100, total=100, turns=400, most=4000)
    tally = load.exact()
    assert tally["exact"] == 100
    assert tally["slowest_ms"] < 10_000 * PATIENCE, "somebody waited again and again"
    counts = spliced.counts()
    assert counts["promoted"] >= 90, counts
    spliced.proxy.wait_flows(100)


def test_a_server_that_speaks_first_is_promoted_too(splice, serve):
    spliced = splice()
    server = serve(spliced)
    client, backend = spliced.pair(server)
    with client, backend:
        backend.sendall(b"220 hello")
        assert client.recv(100) == b"220 hello"
        exchange(client, backend)
        spliced.wait_offloaded()
        exchange(backend, client)


def test_the_sockets_of_a_promoted_session_are_not_the_workers(splice, serve):
    """What a worker's fd table can hold is not used up by them."""
    spliced = splice()
    server = serve(spliced)

    def descriptors():
        counts = []
        for tid in spliced.proxy.threads():
            task = Path(f"/proc/{spliced.proxy.pid}/task/{tid}")
            if (task / "comm").read_text().startswith("worker"):
                counts.append(len(os.listdir(task / "fd")))
        return sum(counts)

    before = descriptors()
    pairs = [spliced.promote(server) for _ in range(10)]
    assert descriptors() == before
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_asked_back_in_the_middle_of_requests_nothing_is_lost(splice, pingpong):
    """The keepalive time is one second here: sessions go to the kernel and come back by themselves
    whenever they are silent, while others are busy."""
    keepalive = {"tcp": {"keepalive": {"idle": "1s", "interval": "1s"}}}
    spliced = splice(listener=keepalive, pool=keepalive)
    load = pingpong(spliced, at_once=50, total=300, turns=300, most=2000)
    load.exact()
    assert spliced.counts()["promoted"] > 100


def test_an_echo_over_ipv6_and_from_loopback(network, splice, serve):
    spliced = splice(network(family=6, sidecar=True))
    serve(spliced, echo)
    with spliced.connect() as client:
        for turn in range(300):
            client.sendall(b"%05d" % turn)
            assert client.recv(5) == b"%05d" % turn
        spliced.wait_offloaded()
        client.sendall(b"after")
        assert client.recv(5) == b"after"
