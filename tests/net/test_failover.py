# SPDX-License-Identifier: Apache-2.0
"""Backends that die, stop, vanish and return under load: who notices, and who does not."""

import signal
import subprocess
import sys
import time
from datetime import datetime, timezone

import pytest
from harness.address import connect, free_address
from harness.live import Hammer, Live, Named
from harness.peers import Backend, Listener, read_exactly, turned_away
from harness.sluice import PATIENCE
from harness.tools import PumpServer
from harness.wait import eventually

CLEAN = {"client_fin", "backend_fin"}
CHECK = {"type": "tcp", "interval": "100ms", "fast_interval": "40ms", "rise": 2, "fall": 2}
RETRY = {"retries": 2, "retry_budget": "100%"}

# Echoes lines, a thread for each connection.
LINES = """
import socket, sys, threading
def serve(sock):
    try:
        for line in sock.makefile("rwb", 0):
            sock.sendall(line)
    except OSError:
        pass
    sock.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Process:
    """A backend in a process of its own, which can be stopped."""

    def __init__(self):
        self.address = free_address()
        self.process = subprocess.Popen([sys.executable, "-c", LINES, str(self.address[1])])
        eventually(self._answers, "it listens")

    def _answers(self):
        try:
            return connect(self.address).close() is None
        except OSError:
            return False

    def close(self):
        self.process.kill()
        self.process.wait()


def _accepted_at(flow):
    at = datetime.strptime(flow["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return at.replace(tzinfo=timezone.utc).timestamp()


@pytest.fixture
def live(sluice, tmp_path):
    return lambda servers, **options: Live(sluice, tmp_path, servers, **options)


def _state(rig, name, state):
    eventually(lambda: rig.target(name)["state"] == state, f"{name} is {state}", 8 * PATIENCE)


# ---- death ----


@pytest.mark.parametrize("checked", [True, False])
def test_a_killed_backend_costs_only_what_was_in_flight(live, keep, pump_load, checked):
    """With checks, and with the failures of sessions alone to go by."""
    servers = {name: keep(PumpServer()) for name in "abc"}
    pool = {**RETRY, "max_ejected": "50%", "outlier": {"failures": 3, "ejection": "2s"}}
    rig = live(servers, pool={**pool, "health": CHECK} if checked else pool)
    load = pump_load(rig.front, up=20000, down=20000, at_once=8, total=0)
    rig.proxy.wait_flows(30, target=rig.address["a"])
    servers["a"].process.kill()
    servers["a"].process.wait()
    died = time.time()
    _state(rig, "a", "down" if checked else "ejected")
    seen = len(rig.proxy.flows())
    rig.proxy.wait_flows(seen + 200)
    back = keep(PumpServer(rig.address["a"]))
    _state(rig, "a", "serving")
    seen = len(rig.proxy.flows(target=rig.address["a"]))
    rig.proxy.wait_flows(seen + 30, target=rig.address["a"])
    load.stop()
    failed = load.tally()["failed"]
    assert failed <= 8, f"{failed} failed, where at most 8 were in flight"
    for flow in rig.proxy.flows():
        if flow["reason"] not in CLEAN:
            assert flow["target"] == rig.address["a"] and _accepted_at(flow) <= died, flow
    assert back.process.poll() is None


class Counting:
    """Answers each session with its name, and remembers in which order checks and sessions came."""

    def __init__(self, name):
        self.name, self.order = name, []

    def __call__(self, sock, index):
        try:
            data = sock.recv(1)
        except OSError:
            data = b""
        self.order.append((index, bool(data)))
        if data:
            sock.sendall(self.name.encode())

    def checks_before_a_session(self):
        kinds = [is_session for _, is_session in sorted(self.order)]
        return kinds.index(True) if True in kinds else None


def _ask(rig):
    with connect(rig.front) as client:
        client.sendall(b"x")
        return read_exactly(client, 1).decode()


def test_a_backend_returns_after_rise_checks(live, backend, keep):
    """Counted by what it sees itself: checks say nothing, sessions do."""
    handler, other = Counting("a"), backend(Counting("b"))
    gone = Listener(free_address())  # an address alone, until it serves
    gone.close()
    rig = live({"a": gone, "b": other}, pool={**RETRY, "health": {**CHECK, "rise": 4}})
    _state(rig, "a", "down")
    assert {_ask(rig) for _ in range(4)} == {"b"}
    keep(Backend(handler, gone.address))
    eventually(lambda: _ask(rig) == "a", "it serves again")
    eventually(handler.checks_before_a_session, "it has seen that session")
    assert 4 <= handler.checks_before_a_session() <= 6


def _talking(rig, keep):
    """Sessions that have said something, on both backends; and how many of them are on `a`."""
    held = []

    def another():
        held.append(keep(connect(rig.front)))
        held[-1].sendall(b"one\n")
        assert read_exactly(held[-1], 4) == b"one\n"
        return rig.target("a")["open"] >= 3 and rig.target("b")["open"] >= 3

    eventually(another, "both serve")
    return held, rig.target("a")["open"]


def test_a_stopped_backend_gets_nothing_new_and_loses_nobody(live, keep):
    """on_down: keep. Whoever was on it goes on where he was when it wakes up."""
    servers = {name: keep(Process()) for name in "ab"}
    health = {**CHECK, "type": "send_expect", "send": "hex:700a", "expect": "p", "timeout": "400ms"}
    rig = live(servers, pool={**RETRY, "health": health})
    held, on_a = _talking(rig, keep)
    servers["a"].process.send_signal(signal.SIGSTOP)
    try:
        for sock in held:
            sock.sendall(b"two\n")
        _state(rig, "a", "down")
        for _ in range(20):
            with connect(rig.front, timeout=4.0) as sock:
                sock.sendall(b"new\n")
                assert read_exactly(sock, 4) == b"new\n"
        assert rig.target("a")["open"] == on_a
    finally:
        servers["a"].process.send_signal(signal.SIGCONT)
    for sock in held:
        assert read_exactly(sock, 4) == b"two\n"
    _state(rig, "a", "serving")
    opened = rig.target("a")["sessions"]

    def serves():
        connect(rig.front).close()
        return rig.target("a")["sessions"] > opened

    eventually(serves, "it serves again")


def test_on_down_close_ends_the_sessions_of_a_stopped_backend(live, keep):
    servers = {name: keep(Process()) for name in "ab"}
    health = {**CHECK, "type": "send_expect", "send": "hex:700a", "expect": "p", "timeout": "400ms"}
    pool = {**RETRY, "health": health, "on_down": "close", "drain_spread": "200ms"}
    rig = live(servers, pool=pool)
    held, on_a = _talking(rig, keep)
    servers["a"].process.send_signal(signal.SIGSTOP)
    flows = rig.proxy.wait_flows(on_a, target=rig.address["a"])
    assert {flow["reason"] for flow in flows} == {"target_down"}
    served = 0
    for sock in held:
        try:
            sock.sendall(b"two\n")
            served += sock.recv(4) == b"two\n"
        except OSError:
            pass
    assert served == len(held) - on_a


# ---- no answer at all ----


def test_a_black_hole_costs_nobody_more_than_its_connect_deadline(live, backend, black_hole):
    """Whoever comes there is sent on; after `failures` of them nobody comes there any more."""
    pool = {**RETRY, "timeouts": {"connect": "200ms"}, "max_ejected": "50%"}
    pool["outlier"] = {"failures": 3, "ejection": "60s"}
    rig = live({"a": black_hole(), "b": backend(Named("b"))}, pool=pool)
    with Hammer(rig.front, threads=4) as hammer:
        _state(rig, "a", "ejected")
        served, failures = hammer.served, rig.target("a")["connect_failures"]
        assert failures >= 3
        eventually(lambda: hammer.served > served + 40, "clients are served without it")
        hammer.stop()
    assert rig.target("a")["connect_failures"] <= 3 + 4, "more than were under way"
    reason = rig.target("a")["reason"]
    assert "connect" in reason and "fail" in reason, reason


def test_an_ejected_target_returns_and_is_ejected_longer(live, backend, refusing, keep):
    gone = refusing()
    pool = {**RETRY, "max_ejected": "50%", "outlier": {"failures": 2, "ejection": "300ms"}}
    rig = live({"a": gone, "b": backend(Named("b"))}, pool=pool, workers=1)
    with Hammer(rig.front, threads=1) as hammer:
        eventually(lambda: len(rig.admin.events("target_ejected")) == 3, "ejected three times")
        hammer.stop()
    events = [e for e in rig.admin.events() if e["target"] == rig.address["a"]]
    times = [
        datetime.strptime(e["time"], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()
        for e in events
        if e["kind"] in ("target_ejected", "target_up")
    ]
    away = [after - before for before, after in zip(times[::2], times[1::2])]
    assert away[0] >= 0.29 and away[1] >= 0.59, (away, events)
    gone.listen()
    _state(rig, "a", "serving")


def test_no_more_than_max_ejected_and_never_the_last(live, backend, refusing):
    dead = {name: refusing() for name in "abc"}
    pool = {"retries": 5, "retry_budget": "100%", "max_ejected": "50%"}
    pool["outlier"] = {"failures": 1, "ejection": "60s"}
    rig = live({**dead, "d": backend(Named("d"))}, pool=pool, workers=1)
    for _ in range(12):
        assert rig.who() == "d"
    states = [rig.target(name)["state"] for name in "abcd"]
    assert states.count("ejected") == 2 and states[3] == "serving", states
    rig.proxy.reload(rig.config(max_ejected="100%"))
    for _ in range(12):
        assert rig.who() == "d"
    assert [rig.target(name)["state"] for name in "abc"] == ["ejected"] * 3
    rig.servers["d"].close()
    for _ in range(3):
        turned_away(rig.front)
    assert rig.target("d")["state"] == "serving", "the last one was ejected"
