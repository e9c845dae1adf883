# SPDX-License-Identifier: Apache-2.0
"""`offload: sockmap`: the kernel moves the bytes between a session's sockets, and loses none."""

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import threading

import pytest
from harness.metrics import scrape
from harness.peers import fill_all, pattern, read_all, read_exactly, read_until_reset, reset, unsent
from harness.spliced import exchange
from harness.wait import eventually

MB = 1_000_000

SOCKMAP = {"offload": "sockmap"}


def _is_refused():
    """The rule of xdp/sockmap/test.c."""
    major, minor, patch = (int(n) for n in re.match(r"(\d+)\.(\d+)\.(\d+)", os.uname().release).groups())
    if (major, minor) == (6, 12):
        return patch < 111
    return (major, minor) < (6, 12)


pytestmark = pytest.mark.skipif(
    _is_refused(), reason=f"NOT TESTED: sluice refuses sockmap on Linux {os.uname().release}"
)


@pytest.fixture
def joined(splice, network):
    def make(pool=None, **options):
        return splice(network(), pool={**SOCKMAP, **(pool or {})}, **options)

    return make


class Stream:
    """Both ends of one way: what was sent and what has arrived, byte by byte."""

    def __init__(self, sender, reader):
        self.sender, self.reader = sender, reader
        self.sent = self.got = 0

    def send(self, count):
        """In the background, until all of it is taken."""
        data = pattern(count, self.sent)
        self.sent += count
        thread = threading.Thread(target=self.sender.sendall, args=(data,), daemon=True)
        thread.start()
        return thread

    def fill(self):
        taken = 0
        self.sender.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            while taken < 200 * MB:
                taken += self.sender.send(pattern(65536, self.sent + taken))
        self.sender.settimeout(60.0)
        self.sent += taken
        return taken

    def catch_up(self):
        self.reader.settimeout(60.0)
        while self.got < self.sent:
            data = self.reader.recv(min(1 << 16, self.sent - self.got))
            assert data, f"ended after {self.got} of {self.sent} bytes"
            assert data == pattern(len(data), self.got), f"wrong after {self.got} bytes"
            self.got += len(data)


def both_catch_up(*ways):
    """At once; what goes wrong in a thread is raised here."""
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        for done in [pool.submit(way.catch_up) for way in ways]:
            done.result(60)


def _exact(server, load):
    load.exact()
    server.report()


def test_bulk_both_ways_is_exact_and_counted_once(joined, serve):
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    up, down = Stream(client, backend), Stream(backend, client)
    with client, backend:
        senders = [way.send(100 * MB) for way in (up, down)]
        both_catch_up(up, down)
        for thread in senders:
            thread.join(60)
        client.shutdown(socket.SHUT_WR)
        assert read_all(backend) == b""
    [flow] = spliced.ended("client_fin")
    assert (flow["client_bytes"], flow["backend_bytes"]) == (100 * MB + 1000, 100 * MB + 1000)
    assert flow["relay"] == "sockmap"


def test_two_thousand_connections_of_random_sizes(joined, pumped):
    spliced = joined()
    server, load = pumped(spliced, up=300_000, down=300_000, vary=1, at_once=32, total=2000)
    eventually(lambda: spliced.sessions(relay="sockmap"), "a session in the kernel's hands")
    _exact(server, load)
    flows = spliced.proxy.wait_flows(2000)
    assert {flow["reason"] for flow in flows} <= {"client_fin", "backend_fin"}


def test_messages_go_back_and_forth(joined, serve):
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with backend, client:
        for count in range(1, 400):
            exchange(client, backend, count * 37)
        client.close()
        assert read_all(backend) == b""
    spliced.ended("client_fin")


@pytest.mark.parametrize("first", ("client", "backend"))
def test_each_end_may_finish_first(joined, serve, first):
    spliced = joined()
    server = serve(spliced)
    for _ in range(20):
        client, backend = spliced.promote(server)
        one, other = (client, backend) if first == "client" else (backend, client)
        with client, backend:
            one.sendall(pattern(150_000))
            one.shutdown(socket.SHUT_WR)
            assert read_all(other) == pattern(150_000)
            other.sendall(pattern(150_000))
            other.shutdown(socket.SHUT_WR)
            assert read_all(one) == pattern(150_000)
        eventually(lambda: not spliced.sessions(), "the session's end")
    spliced.ended(f"{first}_fin", 20)


@pytest.mark.parametrize("ours", ("client", "backend"))
def test_a_reader_that_stalls_blocks_its_sender_and_has_every_byte_later(joined, serve, ours):
    """A window of zero, for as long as it takes."""
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    sender, reader = (client, backend) if ours == "client" else (backend, client)
    way, back = Stream(sender, reader), Stream(reader, sender)
    before = spliced.proxy.rss()
    with client, backend:
        assert MB < way.fill() < 48 * MB
        grown = spliced.proxy.rss() - before
        assert grown < 4 * MB, f"the proxy holds {grown} bytes"
        back.send(5 * MB)
        back.catch_up()
        more = way.send(MB)
        way.catch_up()
        more.join(60)
        sender.shutdown(socket.SHUT_WR)
        assert read_all(reader) == b""
        back.send(5)
        back.catch_up()
    spliced.ended(f"{ours}_fin")
    assert spliced.counts()["gates"] >= 1


@pytest.mark.parametrize("one", ("client", "backend"))
def test_a_reset_arrives_behind_the_bytes(joined, serve, one):
    """Those that its peer had acknowledged: what TCP itself had not delivered dies with it."""
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    sender, reader = (client, backend) if one == "client" else (backend, client)
    with client, backend:
        sender.sendall(pattern(50_000))
        eventually(lambda: unsent(sender) == 0, "the acknowledgement of all bytes")
        reset(sender)
        assert read_until_reset(reader) == pattern(50_000)
    spliced.ended(f"{one}_rst")


def test_an_urgent_byte_is_a_byte_like_any_other(joined, serve):
    """Its mark is lost, and nothing else."""
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with client, backend:
        for _ in range(20):
            client.sendall(pattern(100))
            client.send(b"!", socket.MSG_OOB)
            client.sendall(pattern(100))
            assert read_exactly(backend, 201) == pattern(100) + b"!" + pattern(100)
        client.shutdown(socket.SHUT_WR)
        assert read_all(backend) == b""
    spliced.ended("client_fin")


def test_more_sessions_than_there_are_slots_are_relayed(joined, serve):
    spliced = joined(fast_path={"sessions": 2})
    server = serve(spliced)
    pairs = [spliced.pair(server) for _ in range(5)]
    for client, backend in pairs:
        for _ in range(3):
            exchange(client, backend, 10_000)
    eventually(lambda: spliced.counts()["open"] == 2, "as many as there are slots")
    assert spliced.counts()["refusals"]["full"] >= 3
    assert sorted(s["state"] for s in spliced.sessions()) == ["offloaded"] * 2 + ["relaying"] * 3
    for client, backend in pairs:
        exchange(client, backend, 10_000)
    for client, backend in pairs:
        client.close()
        assert read_all(backend) == b""
        backend.close()
    flows = spliced.ended("client_fin", 5)
    assert sum(flow["relay"] == "sockmap" for flow in flows) >= 2
    client, backend = spliced.promote(server)  # the slots are free again
    client.close()
    backend.close()


def test_a_process_that_is_killed_closes_what_it_joined(joined, serve):
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with client, backend:
        client.sendall(pattern(3000))
        assert read_exactly(backend, 3000) == pattern(3000)
        spliced.proxy.kill()
        assert read_all(client) == b"" and read_all(backend) == b""


def test_figures_are_right_while_the_kernel_moves_the_bytes(joined, serve):
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with client, backend:
        exchange(client, backend, 200_000)
        [session] = spliced.sessions()
        assert (session["state"], session["relay"]) == ("offloaded", "sockmap")
        assert session["client_bytes"] == session["backend_bytes"] == 201_000
        assert spliced.counts()["open"] == 1
        figures = scrape(spliced.admin)
        assert figures.sum("sluice_offload_sessions_open") == 1
        assert figures.sum("sluice_offload_gates_total") == 0
        assert figures.sum("sluice_offloaded_bytes_total") == 400_000
        client.close()
        assert read_all(backend) == b""
    [flow] = spliced.ended("client_fin")
    assert (flow["client_bytes"], flow["backend_bytes"]) == (201_000, 201_000)
    assert flow["relay"] == "sockmap"


def test_a_drain_ends_quiet_sessions_with_fin(joined, serve):
    spliced = joined(drain_timeout="4s")
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with client, backend:
        spliced.proxy.signal(signal.SIGTERM)
        assert read_all(client) == b"" and read_all(backend) == b""
    spliced.ended("drain")


def test_a_drain_resets_those_that_have_bytes_under_way(joined, serve):
    spliced = joined(drain_timeout="3s")
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with client, backend:
        fill_all([client])
        spliced.proxy.signal(signal.SIGTERM)
        spliced.ended("drain_rst")


def test_an_idle_session_ends_with_fin(joined, serve):
    spliced = joined({"timeouts": {"idle": "1500ms"}})
    server = serve(spliced)
    client, backend = spliced.promote(server)
    with client, backend:
        exchange(client, backend, 100)
        assert read_all(client) == b"" and read_all(backend) == b""
    spliced.ended("idle")


def test_both_ways_saturated_go_on_where_they_stood(joined, serve):
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    up, down = Stream(client, backend), Stream(backend, client)
    with client, backend:
        assert MB < up.fill() < 48 * MB and MB < down.fill() < 48 * MB
        assert spliced.counts()["gates"] >= 1
        more = [up.send(3 * MB), down.send(3 * MB)]
        both_catch_up(up, down)
        for thread in more:
            thread.join(60)
        client.shutdown(socket.SHUT_WR)
        assert read_all(backend) == b""
    spliced.ended("client_fin")


@pytest.mark.parametrize("stalled", ("client", "backend"))
def test_a_way_goes_on_while_the_other_one_stands_still(joined, serve, stalled):
    """Who does not read before its own answer is sent must not wait for itself."""
    spliced = joined()
    server = serve(spliced)
    client, backend = spliced.promote(server)
    peers = {"client": client, "backend": backend}
    slow = peers.pop(stalled)
    [fast] = peers.values()
    to_slow, to_fast = Stream(fast, slow), Stream(slow, fast)
    with client, backend:
        to_slow.fill()
        to_fast.fill()
        more = to_fast.send(8 * MB)
        to_fast.catch_up()
        more.join(60)
        to_slow.catch_up()
        client.shutdown(socket.SHUT_WR)
        assert read_all(backend) == b""
    spliced.ended("client_fin")
