# SPDX-License-Identifier: Apache-2.0
"""Behind a Network Load Balancer: nodes are replaced under load and nobody notices, as long as the
target group has the template's attributes; with the defaults, somebody does."""

import signal
import socket
import threading

import pytest
from harness.address import connect, free_address, text
from harness.admin import Doors
from harness.nlb import ENDPOINT, SOURCES, SUBNET
from harness.peers import echo, read_all, read_exactly
from harness.proxyproto import read_header
from harness.wait import eventually
from templates import Template

TEMPLATE = Template("nlb.yaml").attributes(
    "AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes"
)
WITH_DEFAULTS = {"proxy_protocol_v2.enabled": "true"}
# The template's are a minute and more, which its attributes have to exceed; for a test, less will do.
TIMES = {"lame_duck": "500ms", "lame_duck_quiet": "3s", "lame_duck_max": "40s", "drain_timeout": "40s"}
SAID_BY_PEERS = {"client_fin", "backend_fin"}


class Session:
    """A client that stays: it says a word and waits for its echo, over and over."""

    def __init__(self, address):
        self.sock = connect(address, timeout=30.0)
        self.exchanges, self.problem = 0, None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._ending.wait(0.02):
                self.sock.sendall(b"word")
                assert read_exactly(self.sock, 4) == b"word"
                self.exchanges += 1
            self.sock.shutdown(socket.SHUT_WR)
            assert read_all(self.sock) == b"", "more than was sent"
        except (OSError, AssertionError) as error:
            self.problem = error
        finally:
            self.sock.close()

    def is_open(self):
        return self._thread.is_alive()

    def talks(self):
        """It goes on: two more exchanges from here."""
        seen = self.exchanges
        eventually(lambda: self.problem or self.exchanges >= seen + 2, "it talks", 30)
        return not self.problem

    def end(self):
        self._ending.set()
        self._thread.join(30)

    close = end


class Site:
    """Nodes that share nothing, and two target groups they are all in: one for a crowd that comes
    and goes, one for sessions that stay."""

    def __init__(self, sluice, directory, nlb, crowd, stay, **options):
        self.sluice, self.directory, self.backends = sluice, directory, {"crowd": crowd, "stay": stay}
        self.groups = {name: nlb(**options) for name in self.backends}
        self.sessions = []

    def node(self, name, **times):
        """A new instance, in service once it is healthy."""
        directory = self.directory / name
        directory.mkdir()
        doors = Doors(directory)
        fronts = {group: free_address() for group in self.groups}
        config = {
            "workers": 2,
            "log": {"format": "json"},
            "admin": doors.conf,
            **{**TIMES, **times},
            "listeners": [
                {"name": group, "bind": text(front), "pool": group}
                | {"proxy_protocol": "required", "trusted": [SUBNET]}
                for group, front in fronts.items()
            ],
            "pools": [
                {"name": group, "targets": [text(backend.address)]}
                for group, backend in self.backends.items()
            ],
        }
        proxy = self.sluice(config=config, directory=directory)
        for group, balancer in self.groups.items():
            balancer.register(name, fronts[group], doors.probe)
        self.await_state(name, "healthy")
        return proxy

    def await_state(self, name, state):
        for balancer in self.groups.values():
            eventually(lambda: balancer.state(name) == state, f"{name} is {state}", 30)

    def deregister(self, name):
        for balancer in self.groups.values():
            balancer.deregister(name)

    def hold(self, count):
        """Sessions that stay, over all the nodes in service; those who came now."""
        made = [Session(self.groups["stay"].address) for _ in range(count)]
        self.sessions += made
        assert all(session.talks() for session in made), [s.problem for s in made]
        return made

    def counts(self, word):
        return sum(balancer.counts[word] for balancer in self.groups.values())

    def close(self):
        for session in self.sessions:
            session.end()


@pytest.fixture
def site(sluice, tmp_path, nlb, keep, backend, pump_server):
    def make(attributes, **options):
        crowd, stay = pump_server(), backend(echo)
        return keep(Site(sluice, tmp_path, nlb, crowd, stay, attributes=attributes, **options))

    return make


def _retire(site, name, proxy, announced):
    """As its instance is taken out of service: told to stop, with or without the balancer's
    knowing. It leaves when the last of its sessions has ended by itself."""
    staying = [session for session in site.sessions if session.is_open()]
    assert site.groups["stay"].flows_of(name) > 0, "somebody has to be on the node"
    if announced:
        site.deregister(name)
    proxy.signal(signal.SIGTERM)
    proxy.wait_event("drain_lame_duck", within=30)
    if not announced:
        site.await_state(name, "unhealthy.draining")
    proxy.wait_event("drain_sessions", within=60)
    assert all(session.talks() for session in staying), [s.problem for s in staying]
    for session in staying:
        session.end()
    assert proxy.wait_exit(60) == 0
    assert [s.problem for s in staying if s.problem] == []
    assert not proxy.events("drain_not_quiet")


def test_a_rolling_replacement_under_load_fails_nobody_and_cuts_nobody(site, pump_load):
    """One node whose deregistration comes first, as from a lifecycle hook, and one that is just told
    to stop."""
    place = site(TEMPLATE)
    old = {name: place.node(name) for name in ("a", "b")}
    load = pump_load(place.groups["crowd"].address, up=500, down=500, at_once=8, total=0)
    for name, announced in (("a", True), ("b", False)):
        place.hold(6)
        place.node(f"{name}-successor")
        _retire(place, name, old[name], announced)
    load.stop()
    tally = load.exact()
    assert tally["connect_failed"] == 0 and tally["exact"] > 100, tally
    assert place.counts("failed_dials") == place.counts("cut") == 0
    assert place.counts("late") > 0, "the balancer went on sending, or this proves nothing"
    for proxy in old.values():
        reasons = {flow["reason"] for flow in proxy.flows()}
        assert reasons <= SAID_BY_PEERS, reasons


def test_with_the_default_attribute_an_unready_node_loses_its_sessions(site):
    place = site(WITH_DEFAULTS)
    nodes = {name: place.node(name) for name in ("a", "b")}
    place.hold(6)
    lost = place.groups["stay"].flows_of("a")
    assert 0 < lost < 6
    nodes["a"].signal(signal.SIGTERM)
    place.await_state("a", "unhealthy")
    eventually(lambda: sum(s.problem is not None for s in place.sessions) == lost, "they are cut", 30)
    assert place.groups["stay"].counts["cut"] == lost
    kept = [session for session in place.sessions if not session.problem]
    assert all(session.talks() for session in kept)
    nodes["a"].wait_flows(lost, reason="client_rst", within=30)


def test_without_a_lame_duck_connections_that_come_late_fail(site):
    """The balancer, which is not told, sends them for as long as it believes the node healthy."""
    place = site(TEMPLATE, lag=5.0)
    proxy = place.node("a", lame_duck=0)
    place.node("b")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit(30) == 0

    def one_fails():
        for _ in range(2):
            try:
                with connect(place.groups["stay"].address) as client:
                    client.sendall(b"x")
                    read_exactly(client, 1)
            except ConnectionResetError:
                return True
        return False

    eventually(one_fails, "a late connection fails", 30)
    assert place.counts("failed_dials") > 0


@pytest.mark.parametrize("keepalive", [{"idle": "1s", "interval": "1s"}, "off"])
def test_keepalive_is_what_keeps_an_idle_flow(sluice, nlb, backend, keep, keepalive):
    front, balancer = free_address(), nlb(idle=3.5)
    config = {
        "tcp": {"keepalive": keepalive},
        "listeners": [{"name": "front", "bind": text(front), "pool": "back"}],
        "pools": [{"name": "back", "targets": [text(backend(echo).address)]}],
    }
    sluice(config=config)
    balancer.register("a", front)
    eventually(lambda: balancer.state("a") == "healthy", "it is healthy", 30)
    client = keep(connect(balancer.address))
    client.sendall(b"before")
    assert read_exactly(client, 6) == b"before"
    flow = next(iter(balancer.flows))
    begun = flow.seen
    if keepalive == "off":
        eventually(lambda: flow.forgotten, "the flow is forgotten", 30)
        with pytest.raises(ConnectionResetError):
            client.sendall(b"after")
            client.recv(5)
    else:
        eventually(lambda: flow.seen - begun > 2 * balancer.idle, "it is kept", 40)
        assert not flow.forgotten
        client.sendall(b"after")
        assert read_exactly(client, 5) == b"after"


def test_clients_are_known_by_the_header_and_checks_are_counted_and_not_logged(
    sluice, nlb, backend, tmp_path
):
    headers = []

    def reads_header(sock, index):
        headers.append(read_header(sock))
        echo(sock, index)

    front = free_address()
    balancer = nlb(attributes=TEMPLATE, check={"interval": 0.05})
    expects = {"proxy_protocol": "required", "trusted": [SUBNET]}
    proxy = sluice(
        config={
            "log": {"format": "json"},
            "listeners": [{"name": "front", "bind": text(front), "pool": "back", **expects}],
            "pools": [
                {"name": "back", "proxy_protocol": "v2", "targets": [text(backend(reads_header).address)]}
            ],
        }
    )
    balancer.register("a", front)  # the checks come to the port of the traffic
    eventually(lambda: balancer.state("a") == "healthy", "it is healthy", 30)
    names = []
    for host in ("127.0.1.7", "127.0.2.9"):
        with connect(balancer.address, source=host) as client:
            names.append(client.getsockname())
            client.sendall(b"hello")
            assert read_exactly(client, 5) == b"hello"
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
    eventually(lambda: proxy.counters()["probes"] >= 10, "checks are counted", 30)
    flows = proxy.wait_flows(2, within=30)
    assert len(flows) == 2, "no check is logged"
    assert {flow["proxy_source"] for flow in flows} == {text(name) for name in names}
    assert {flow["proxy_destination"] for flow in flows} == {text(balancer.address)}
    assert {flow["client"].split(":")[0] for flow in flows} <= set(SOURCES)
    assert {flow["vpce"] for flow in flows} == {ENDPOINT}
    assert set(names) <= {header.source for header in headers}
    assert proxy.counters()["clients"] == 2
