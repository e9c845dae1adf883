# SPDX-License-Identifier: Apache-2.0
"""Where packets are met: what `fast_path:` says, and what becomes of sessions when it cannot be."""

import pytest
from harness.spliced import exchange
from harness.wait import eventually


def _complete_checksums(net):
    """XDP cannot finish a checksum that a virtual wire leaves open; a real one leaves none."""
    for namespace in net.namespaces():
        if namespace is not net.proxy:
            namespace.run("ethtool", "-K", "eth0", "tx", "off")


@pytest.fixture
def xdp(network, splice):
    """xdp(fast_path={...}, **network) is a Spliced on wires that suit XDP."""

    def make(fast_path, **options):
        net = network(**options)
        _complete_checksums(net)
        return splice(net, fast_path=fast_path)

    return make


def _attached(spliced, device):
    return "prog/xdp" in spliced.net.proxy.ip("link", "show", "dev", device)


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("one_link", (False, True))
def test_bytes_go_both_ways_by_generic_xdp(xdp, serve, family, one_link):
    spliced = xdp({"hook": "xdp-generic"}, family=family, one_link=one_link)
    client, backend = spliced.promote(serve(spliced))
    assert _attached(spliced, "client")
    for _ in range(50):
        exchange(client, backend, 20_000)
    spliced.wait_offloaded()


def test_an_interface_has_a_hook_of_its_own(xdp, serve):
    fast_path = {"hook": "tc", "interfaces": ["backend", {"name": "client", "hook": "xdp-generic"}]}
    spliced = xdp(fast_path)
    client, backend = spliced.promote(serve(spliced))
    assert _attached(spliced, "client") and not _attached(spliced, "backend")
    exchange(client, backend, 20_000)


def test_sessions_over_interfaces_that_are_not_listed_are_relayed(xdp, serve):
    spliced = xdp({"interfaces": ["client"]})
    client, backend = spliced.pair(serve(spliced))
    exchange(client, backend, 1000)
    spliced.wait_relayed()
    exchange(client, backend, 20_000)
    assert not spliced.sessions(state="offloaded")


def test_xdp_does_not_reach_a_backend_on_this_host_so_the_relay_does(xdp, serve):
    spliced = xdp({"hook": "xdp-generic"}, sidecar=True)
    client, backend = spliced.pair(serve(spliced))
    exchange(client, backend, 20_000)
    assert not spliced.sessions(state="offloaded")


def test_a_neighbour_that_changes_its_mac_is_followed(xdp, serve):
    spliced = xdp({"hook": "xdp-generic"})
    client, backend = spliced.promote(serve(spliced))
    spliced.net.backend.ip("link", "set", "eth0", "address", "02:00:00:00:be:ef")
    spliced.net.proxy.ip("neigh", "flush", "dev", "backend")
    exchange(client, backend, 20_000)
    spliced.wait_offloaded()


def test_an_interface_that_changes_its_mac_is_followed(xdp, serve):
    spliced = xdp({"hook": "xdp-generic"})
    client, backend = spliced.promote(serve(spliced))
    spliced.net.proxy.ip("link", "set", "backend", "address", "02:00:00:00:be:ef")
    spliced.net.backend.ip("neigh", "flush", "dev", "eth0")
    exchange(client, backend, 20_000)
    spliced.wait_offloaded()


def test_an_interface_that_comes_back_is_met_again(xdp, serve):
    spliced = xdp({"hook": "xdp-generic", "interfaces": ["client", "backend"]})
    server = serve(spliced)
    client, _ = spliced.promote(server)
    spliced.net.proxy.ip("link", "del", "backend")
    client.close()
    spliced.net._wire("backend", spliced.net.backend, 2, 1500)
    _complete_checksums(spliced.net)
    eventually(lambda: _attached(spliced, "backend"), "the program on the new interface")
    client, backend = spliced.pair(server)
    exchange(client, backend, 1000)
    newest = max(spliced.sessions(), key=lambda session: session["id"])["id"]
    eventually(
        lambda: spliced.sessions(id=newest, state="offloaded"),
        "the session over the new interface is offloaded",
    )
    exchange(client, backend, 20_000)
