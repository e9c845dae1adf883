# SPDX-License-Identifier: Apache-2.0
"""The way changes under a session: another MAC, a link that goes away and comes back, a smaller MTU."""

import threading

import pytest
from harness.peers import pattern, read_exactly
from harness.raw import SmallPath
from harness.sluice import PATIENCE
from harness.spliced import exchange
from harness.wait import eventually


@pytest.fixture
def joined(splice, serve, keep):
    spliced = splice()
    return spliced, *keep(*spliced.promote(serve(spliced)))


@pytest.mark.parametrize("side", ("client", "backend"))
def test_a_neighbour_changes_its_mac(joined, side):
    """As when an address moves to another interface or host: ARP says so, and that is enough."""
    spliced, client, backend = joined
    namespace = getattr(spliced.net, side)
    namespace.ip("link", "set", "eth0", "address", "02:00:00:00:00:77")
    host = {"client": "10.77.1.1", "backend": "10.77.2.1"}[side]
    spliced.net.proxy.ip(
        *("neigh", "replace", host, "lladdr", "02:00:00:00:00:77", "dev", side, "nud", "reachable")
    )
    exchange(client, backend, 200_000)
    exchange(backend, client, 200_000)
    spliced.wait_offloaded()


@pytest.mark.parametrize("side", ("client", "backend"))
def test_a_link_flaps_in_the_middle_of_a_transfer(joined, side):
    spliced, client, backend = joined
    total = 60_000_000
    client.settimeout(20)
    backend.settimeout(20)
    sender = threading.Thread(target=lambda: client.sendall(pattern(total)), daemon=True)
    sender.start()
    got = bytearray(read_exactly(backend, 5_000_000))
    for _ in range(3):
        spliced.net.proxy.ip("link", "set", side, "down")
        spliced.net.proxy.ip("link", "set", side, "up")
        if spliced.net.family == 4:
            got += read_exactly(backend, 1_000_000)
    got += read_exactly(backend, total - len(got))
    sender.join(20)
    assert bytes(got) == pattern(total)
    exchange(backend, client)
    spliced.wait_offloaded()


def test_the_path_takes_less_than_before(joined, keep):
    """A router says "fragmentation needed" about a packet that we passed on: the session goes back
    to the sockets, whose kernel knows what to do about it, though what was too big for the path is
    never acknowledged."""
    spliced, client, backend = joined
    exchange(client, backend, 100_000)
    spliced.net.proxy.run("ethtool", "-K", "backend", "tso", "off", "gso", "off")
    path = keep(SmallPath(spliced.net.backend, "10.77.2.2", 1300))
    data = pattern(400_000)
    client.settimeout(60 * PATIENCE)
    backend.settimeout(60 * PATIENCE)
    sender = threading.Thread(target=lambda: client.sendall(data), daemon=True)
    sender.start()
    assert read_exactly(backend, len(data)) == data
    sender.join(20)
    assert path.told
    [session] = spliced.wait_relayed()
    assert spliced.counts()["recalled"] == 1
    exchange(client, backend, 50_000)
    [session] = spliced.sessions()
    assert (session["client_bytes"], session["backend_bytes"]) == (551_000, 151_000)


def test_an_interface_that_goes_takes_nothing_else_with_it(joined, serve):
    spliced, client, backend = joined
    spliced.net.proxy.ip("link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    spliced.net.proxy.ip("link", "del", "spare0")
    exchange(client, backend, 100_000)
    spliced.net.proxy.ip("link", "del", "backend")
    eventually(lambda: spliced.proxy.alive(), "the proxy lives")
    assert spliced.admin.get("/v1/status")["phase"] == "serving"
