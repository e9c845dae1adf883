# SPDX-License-Identifier: Apache-2.0
"""Many changes, many sessions: nobody who is not concerned may notice."""

import itertools
import threading
import time

import pytest
from harness.address import connect
from harness.live import Hammer, Live, Named
from harness.sluice import PATIENCE, wait_open_sessions
from harness.tools import PumpServer, skip_sanitized
from harness.wait import eventually

DISCOVER = {"discover": {"dns": {"name": "a.test", "port": 1}}}  # so that it may have no targets
MIB = 1 << 20
HOSTS = [f"127.0.3.{last}" for last in range(1, 91)]
FEW = 8  # that always stay


class Churn:
    """Changes targets as fast as they are answered: whole sets, and words on single ones."""

    def __init__(self, rig, port):
        self.rig, self.port = rig, port
        self.changes, self.problems = 0, []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._generation = itertools.count(1)
        self.put(0)
        jobs = [self._sets, self._words, self._words]
        self._threads = [
            threading.Thread(target=self._run, args=(job, seed)) for seed, job in enumerate(jobs)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, turn):
        """Another set than the last: some came, some left, all the others' weights differ."""
        generation = next(self._generation)
        targets = [
            {
                "address": f"{host}:{self.port}",
                "weight": 100 + (turn + at) % 7,
                # Every other one is somebody else each time, for ever.
                "id": f"task-{turn if at % 2 else turn % 3}-{at}" if at >= FEW else None,
            }
            for at, host in enumerate(HOSTS)
            if at < FEW or (at + turn) % 3
        ]
        for target in targets:
            if not target["id"]:
                del target["id"]
        path = "/v1/pools/back/sources/churn"
        self.rig.admin.do("PUT", path, {"generation": generation, "targets": targets})
        return len(targets)

    def _sets(self, _seed):
        for turn in itertools.count(1):
            if self._over.is_set():
                return
            self._count(self.put(turn))

    def _words(self, seed):
        for turn in itertools.count():
            if self._over.is_set():
                return
            name = f"{HOSTS[1 + (turn * 2 + seed) % (FEW - 1)]}:{self.port}"
            word = {"weight": 1 + turn % 1000} if turn % 3 else {"override": "drain"}
            if turn % 3 == 2:
                word = {"override": "none", "weight": None}
            self.rig.admin.do("PATCH", f"/v1/targets/{name}", word)
            self._count(1)

    def _count(self, changes):
        with self._lock:
            self.changes += changes

    def _run(self, job, seed):
        try:
            job(seed)
        except (AssertionError, OSError) as error:
            self.problems.append(error)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join(20 * PATIENCE)
        assert not self.problems, self.problems[0]


@pytest.fixture
def churned(sluice, tmp_path, keep, pump_load):
    """A proxy over one server by many addresses, under load, while its targets change."""

    def start():
        server = keep(PumpServer("0.0.0.0:0"))
        pool = {**DISCOVER, "drain_timeout": "1h"}
        rig = Live(sluice, tmp_path, {}, pool=pool, log={"format": "json", "only": "errors"})
        churn = Churn(rig, server.address[1])
        load = pump_load(rig.front, up=3000, down=3000, at_once=6, total=0, deadline=120)
        return rig, server, churn, load

    return start


def _generation(rig):
    return rig.admin.get("/v1/status")["generation"]


def _run(churned, seconds):
    """Returns what the memory grew by in the second half."""
    rig, server, churn, load = churned()
    began, first, changed = time.monotonic(), _generation(rig), churn.changes
    warm = 0
    while time.monotonic() - began < seconds:
        time.sleep(0.1)
        if not warm and time.monotonic() - began > seconds / 2:
            warm = rig.proxy.rss()
    took, generations = time.monotonic() - began, _generation(rig) - first
    changes, after = churn.changes - changed, rig.proxy.rss()
    churn.stop()
    load.stop()
    tally = load.exact()
    assert tally["exact"] > 50 * seconds / PATIENCE
    assert changes >= 300 * took / PATIENCE, f"{changes} in {took:.1f} s"
    assert generations <= 20 * took + 2, f"{generations} in {took:.1f} s"
    assert server.report()["failed"] == 0
    wait_open_sessions(rig.proxy, 0)
    eventually(lambda: _members(rig) <= 1000 + 2 * len(HOSTS), "those that left are forgotten")
    return after - warm


def _members(rig):
    return len(rig.admin.get("/v1/pools/back")["members"])


def test_a_thousand_changes_a_second_cost_no_session(churned):
    _run(churned, 3.0)


@pytest.mark.soak
def test_a_minute_of_changes_costs_no_session_and_no_memory(churned):
    skip_sanitized("it measures memory")
    grown = _run(churned, 60.0)
    assert grown < 4 * MIB, f"grew by {grown >> 10} KiB in half a minute"


# ---- many sessions on one target ----


def _has_ended(sock):
    """Whether it has ended."""
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _crowd(rig, count):
    """So many sessions that say nothing."""
    socks = []
    for _ in range(count):
        socks.append(connect(rig.front))
        socks[-1].setblocking(False)
    return socks


def _others_amid(rig, way, count):
    """How many others ended between the first and the last of `count` sessions on target a, which
    `way` ended together. The flow log is in the order in which they ended."""
    rig.put("push", 1, ["a"])
    rig.patch("b", override="drain")
    socks = _crowd(rig, count)
    try:
        eventually(lambda: rig.target("a")["open"] == count, "all are open", 30 * PATIENCE)
        rig.patch("b", override="none")
        if way == "removed":
            rig.put("push", 2, [])
        else:
            rig.patch("a", override="drain")
        with Hammer(rig.front, threads=3) as hammer:
            eventually(lambda: hammer.served > 3, "others are served")
            if way == "at once":
                path = f"/v1/targets/{rig.address['a']}/sessions?rst=1"
                rig.admin.do("DELETE", path, status=202)
            eventually(lambda: rig.target("a")["open"] == 0, "all have ended", 30 * PATIENCE)
            hammer.stop()
        eventually(lambda: all(map(_has_ended, socks)), "all have heard of it")
    finally:
        for sock in socks:
            sock.close()
    ended = [flow["target"] == rig.address["a"] for flow in rig.proxy.flows()]
    first, last = ended.index(True), len(ended) - 1 - ended[::-1].index(True)
    return ended[first:last].count(False)


@pytest.mark.parametrize("way", ["removed", "at once"])
def test_thousands_of_sessions_that_end_together_hold_up_nobody(
    sluice, backend, tmp_path, keep, way
):
    """On one worker. That the clients in between got a turn is the machine's doing too: one of a few
    attempts must show it."""
    count, least = (8000, 3) if PATIENCE == 1 else (5000, 0)
    servers = {"a": keep(PumpServer()), "b": backend(Named("b"))}
    pool = {"drain_timeout": "500ms" if way == "removed" else "never", "drain_spread": "500ms"}
    others = []
    while len(others) < 4 and (not others or others[-1] < least):
        rig = Live(sluice, tmp_path, servers, pool=pool, targets={"b": {}}, workers=1)
        others.append(_others_amid(rig, way, count))
        rig.proxy.stop()
    assert others[-1] >= least, f"{others} others ended between the first and the last of {count}"
