# SPDX-License-Identifier: Apache-2.0
"""Bytes through the kernel are the bytes that were sent: in every number, over every path."""

import pytest

MB = 1_000_000
HEADER = 32  # of tests/lib/pump.c, from the client


def _exact(spliced, server, load, sessions=1):
    """Every byte is right at both ends, and counted once."""
    up, down = load.exact()["bytes"], server.report()["bytes"]
    flows = spliced.proxy.wait_flows(sessions)
    assert sum(flow["backend_bytes"] for flow in flows) == down
    assert sum(flow["client_bytes"] for flow in flows) == up + sessions * HEADER
    return flows


@pytest.mark.parametrize("family", (4, 6))
def test_a_hundred_megabytes_each_way_at_once(network, splice, pumped, family):
    spliced = splice(network(family=family))
    server, load = pumped(spliced, up=100 * MB, down=100 * MB)
    [flow] = _exact(spliced, server, load)
    assert (flow["client_bytes"], flow["backend_bytes"]) == (100 * MB + HEADER, 100 * MB)
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
    assert spliced.counts()["promoted"] > 100
    assert not spliced.sessions()


@pytest.mark.parametrize("where", ("one_link", "sidecar"))
@pytest.mark.parametrize("family", (4, 6))
def test_both_legs_on_one_interface_and_the_backend_on_this_host(
    network, splice, pumped, where, family
):
    spliced = splice(network(family=family, **{where: True}))
    server, load = pumped(spliced, up=40 * MB, down=40 * MB, at_once=2, total=4)
    _exact(spliced, server, load, 4)
    assert spliced.counts()["promoted"] > 0


@pytest.mark.parametrize("mtu", ((1500, 9001), (9001, 1500), (9001, 9001), (1280, 1500)))
@pytest.mark.parametrize("family", (4, 6))
def test_the_legs_have_different_mtus(network, splice, pumped, mtu, family):
    """A segment that fits the one leg and not the other would never arrive."""
    spliced = splice(network(mtu=mtu, family=family))
    server, load = pumped(spliced, up=20 * MB, down=20 * MB, at_once=2, total=4)
    _exact(spliced, server, load, 4)


OPTIONS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("side", ("client", "backend", "both"))
def test_one_side_lacks_an_option(network, splice, pumped, option, side):
    net = network()
    for name in ("client", "backend"):
        if side in (name, "both"):
            getattr(net, name).sysctl(**{option: 0})
    spliced = splice(net)
    server, load = pumped(spliced, up=20 * MB, down=20 * MB)
    _exact(spliced, server, load)
    assert spliced.counts()["offered"] == 1


def test_ecn_on_both_legs_is_carried_on(network, splice, pumped):
    net = network()
    for namespace in net.namespaces():
        namespace.sysctl(tcp_ecn=1)
    spliced = splice(net)
    server, load = pumped(spliced, up=20 * MB, down=20 * MB)
    spliced.wait_offloaded()
    _exact(spliced, server, load)


@pytest.mark.parametrize("side", ("client", "backend"))
def test_ecn_on_one_leg_alone_stays_on_the_relay(network, splice, pumped, side):
    """Marks would be lost on the way: one side hears of congestion, the other cannot tell it."""
    net = network()
    net.client.sysctl(tcp_ecn=1 if side == "client" else 0)
    net.proxy.sysctl(tcp_ecn=1)
    net.backend.sysctl(tcp_ecn=1 if side == "backend" else 0)
    spliced = splice(net)
    server, load = pumped(spliced, up=5 * MB, down=5 * MB)
    _exact(spliced, server, load)
    counts = spliced.counts()
    assert counts["promoted"] == 0 and counts["refusals"]["ecn"] == 1


@pytest.mark.parametrize("per_cent", (1, 3))
@pytest.mark.parametrize("family", (4, 6))
def test_lost_packets_are_sent_again_end_to_end(network, splice, pumped, per_cent, family):
    net = network(family=family)
    for namespace in (net.client, net.backend):
        net.lose(namespace, per_cent)
    spliced = splice(net)
    server, load = pumped(spliced, up=8 * MB, down=8 * MB, at_once=4, total=4)
    _exact(spliced, server, load, 4)
    assert spliced.counts()["offered"] > 0


@pytest.mark.parametrize("rough", ({"reorder": 50}, {"reorder": 20, "drop": 10, "copy": 10}))
def test_packets_arrive_late_twice_or_in_another_order(network, splice, pumped, rough):
    spliced = splice(network(rough={"delay": 2000, **rough}))
    server, load = pumped(spliced, up=3 * MB, down=3 * MB, at_once=3, total=6)
    _exact(spliced, server, load, 6)
    assert spliced.counts()["promoted"] > 0
