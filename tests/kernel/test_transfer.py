# SPDX-License-Identifier: Apache-2.0
"""Bytes through the kernel are the bytes that were sent: in every number, over every path."""

import threading

import pytest
from harness.peers import pattern, read_exactly
from harness.sluice import PATIENCE
from harness.spliced import exchange
from harness.wait import eventually

MB = 1_000_000
HEADER = 32  # of tests/lib/pump.c, from the client
FIRST = 1000  # bytes each way that Spliced.promote() moves


def _exact(spliced, server, load, sessions=1):
    """Every byte is right at both ends, and counted once."""
    up, down = load.exact()["bytes"], server.report()["bytes"]
    flows = spliced.proxy.wait_flows(sessions)
    assert sum(flow["backend_bytes"] for flow in flows) == down
    assert sum(flow["client_bytes"] for flow in flows) == up + sessions * HEADER
    return flows


def _exchange_at_once(client, backend, total):
    """Both directions are full at the same time, and every byte is right."""
    data = pattern(total)
    for sock in (client, backend):
        sock.settimeout(60 * PATIENCE)
    senders = [
        threading.Thread(target=sock.sendall, args=(data,), daemon=True) for sock in (client, backend)
    ]
    got = {}
    readers = [
        threading.Thread(target=lambda s=sock: got.update({s: read_exactly(s, total)}), daemon=True)
        for sock in (client, backend)
    ]
    for thread in senders + readers:
        thread.start()
    for thread in senders + readers:
        thread.join(90 * PATIENCE)
    assert got[client] == data and got[backend] == data


@pytest.mark.parametrize("family", (4, 6))
def test_a_hundred_megabytes_each_way_at_once(network, splice, serve, keep, family):
    spliced = splice(network(family=family))
    client, backend = keep(*spliced.promote(serve(spliced)))
    _exchange_at_once(client, backend, 100 * MB)
    spliced.wait_offloaded(within=30)
    assert spliced.counts()["recalled"] == 0
    client.close()
    backend.close()
    [flow] = spliced.proxy.wait_flows(1, within=30)
    assert (flow["client_bytes"], flow["backend_bytes"]) == (FIRST + 100 * MB,) * 2
    assert flow["relay"] == "flow"


@pytest.mark.parametrize("way", (("up", "down"), ("down", "up")))
def test_a_hundred_megabytes_one_way(splice, pumped, way):
    """The other side has finished long before."""
    spliced = splice()
    server, load = pumped(spliced, **{way[0]: 100 * MB, way[1]: 2 * MB})
    _exact(spliced, server, load)


def test_two_thousand_connections_of_random_sizes(splice, pumped):
    """Many end while they are promoted, on the relay in part and past it in part."""
    spliced = splice()
    server, load = pumped(spliced, up=200_000, down=200_000, vary=1, at_once=40, total=2000)
    flows = _exact(spliced, server, load, 2000)
    assert {flow["reason"] for flow in flows} == {"client_fin", "backend_fin"}
    assert spliced.counts()["promoted"] > 50
    assert not spliced.sessions()


@pytest.mark.parametrize("where", ("one_link", "sidecar"))
@pytest.mark.parametrize("family", (4, 6))
def test_both_legs_on_one_interface_and_the_backend_on_this_host(
    network, splice, serve, keep, where, family
):
    spliced = splice(network(family=family, **{where: True}))
    client, backend = keep(*spliced.promote(serve(spliced)))
    _exchange_at_once(client, backend, 40 * MB)
    spliced.wait_offloaded(within=30)
    assert spliced.counts()["recalled"] == 0


@pytest.mark.parametrize("mtu", ((1500, 9001), (9001, 9001), (1280, 1500)))
@pytest.mark.parametrize("family", (4, 6))
def test_the_backend_is_told_to_send_what_the_client_takes(
    network, splice, serve, keep, mtu, family
):
    """A segment that fits the one leg and not the other would never arrive."""
    spliced = splice(network(mtu=mtu, family=family))
    client, backend = keep(*spliced.promote(serve(spliced)))
    _exchange_at_once(client, backend, 10 * MB)
    spliced.wait_offloaded(within=30)
    assert spliced.counts()["recalled"] == 0


@pytest.mark.parametrize("family", (4, 6))
def test_a_client_that_sends_more_than_the_backend_takes_stays_on_the_relay(
    network, splice, serve, keep, family
):
    spliced = splice(network(mtu=(9001, 1500), family=family))
    client, backend = keep(*spliced.pair(serve(spliced)))
    exchange(client, backend)
    eventually(
        lambda: spliced.counts()["refusals"].get("mss") == 1, "it is refused", 30 * PATIENCE
    )
    _exchange_at_once(client, backend, 10 * MB)
    assert spliced.counts()["promoted"] == 0


@pytest.mark.parametrize("family, mss", ((4, 1460), (6, 1440)))
def test_unless_the_listener_says_what_backends_take(network, splice, serve, keep, family, mss):
    net = network(mtu=(9001, 1500), family=family)
    spliced = splice(net, listener={"tcp": {"mss": mss}})
    client, backend = keep(*spliced.promote(serve(spliced)))
    _exchange_at_once(client, backend, 10 * MB)
    spliced.wait_offloaded(within=30)
    assert spliced.counts()["recalled"] == 0


OPTIONS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("side", ("client", "backend", "both"))
def test_one_side_lacks_an_option(network, splice, serve, keep, option, side):
    net = network()
    for name in ("client", "backend"):
        if side in (name, "both"):
            getattr(net, name).sysctl(**{option: 0})
    spliced = splice(net)
    client, backend = keep(*spliced.pair(serve(spliced)))
    exchange(client, backend)
    if option == "tcp_timestamps" and side != "both":
        refused = lambda: spliced.counts()["refusals"].get("timestamps") == 1
        eventually(refused, "it is refused", 30 * PATIENCE)
    else:
        spliced.wait_offloaded(within=30)
    _exchange_at_once(client, backend, 5 * MB)


def test_ecn_on_both_legs_is_carried_on(network, splice, serve, keep):
    net = network()
    for namespace in net.namespaces():
        namespace.sysctl(tcp_ecn=1)
    spliced = splice(net)
    client, backend = keep(*spliced.promote(serve(spliced)))
    _exchange_at_once(client, backend, 20 * MB)
    spliced.wait_offloaded(within=30)


@pytest.mark.parametrize("side", ("client", "backend"))
def test_ecn_on_one_leg_alone_stays_on_the_relay(network, splice, serve, keep, side):
    """Marks would be lost on the way: one side hears of congestion, the other cannot tell it."""
    net = network()
    net.client.sysctl(tcp_ecn=1 if side == "client" else 0)
    net.proxy.sysctl(tcp_ecn=1)
    net.backend.sysctl(tcp_ecn=1 if side == "backend" else 0)
    spliced = splice(net)
    client, backend = keep(*spliced.pair(serve(spliced)))
    exchange(client, backend)
    eventually(
        lambda: spliced.counts()["refusals"].get("ecn") == 1, "it is refused", 30 * PATIENCE
    )
    _exchange_at_once(client, backend, 5 * MB)
    assert spliced.counts()["promoted"] == 0


@pytest.mark.parametrize("per_cent", (1, 3))
@pytest.mark.parametrize("family", (4, 6))
def test_lost_packets_are_sent_again_end_to_end(network, splice, serve, keep, per_cent, family):
    net = network(family=family)
    for namespace in (net.client, net.backend):
        net.lose(namespace, per_cent)
    spliced = splice(net)
    client, backend = keep(*spliced.pair(serve(spliced)))
    exchange(client, backend)
    spliced.wait_offloaded(within=60)
    _exchange_at_once(client, backend, 4 * MB)
    spliced.wait_offloaded(within=30)
    assert spliced.counts()["recalled"] == 0


@pytest.mark.parametrize("rough", ({"reorder": 50}, {"reorder": 20, "drop": 10, "copy": 10}))
def test_packets_arrive_late_twice_or_in_another_order(network, splice, serve, keep, rough):
    spliced = splice(network(rough={"delay": 2000, **rough}))
    client, backend = keep(*spliced.pair(serve(spliced)))
    exchange(client, backend)
    spliced.wait_offloaded(within=60)
    _exchange_at_once(client, backend, 4 * MB)
    spliced.wait_offloaded(within=30)
    assert spliced.counts()["recalled"] == 0
