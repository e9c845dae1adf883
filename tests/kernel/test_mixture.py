# SPDX-License-Identifier: Apache-2.0
"""Everything at once over wires that lose, copy and reorder: requests, bulk, and sessions that fall
silent, so that they come back to their sockets and go again. No byte is lost; for seconds, or, as a
soak, for ten minutes."""

import random
import threading
import time
from types import SimpleNamespace

import pytest
from harness.address import connect, text
from harness.peers import echo, pattern, read_exactly
from harness.sluice import PATIENCE
from harness.spliced import PingPong
from harness.tools import PumpLoad, PumpServer
from harness.wait import eventually

# Three probes in a row are lost here now and then.
SHORT = {
    "tcp": {"keepalive": {"idle": "1s", "interval": "1s", "count": 9}, "user_timeout": "0"}
}
# What is lost again and again, a SYN or the same segment, comes late, and is no reason to give up.
PATIENT = {"connect": "60s", "half_close": "0"}
HEADER = 32  # of tests/lib/pump.c, from the client
MIB = 1 << 20


def _lane(spliced, name, number):
    """One more listener with a pool of its own, once the proxy is reloaded."""
    front = (spliced.front[0], spliced.front[1] + 2 * number)
    target = (spliced.target[0], spliced.target[1] + 2 * number)
    [listener, *_], [pool, *_] = spliced.config["listeners"], spliced.config["pools"]
    spliced.config["listeners"].append({**listener, "name": name, "bind": text(front), "pool": name})
    spliced.config["pools"].append({**pool, "name": name, "targets": [text(target)]})
    return SimpleNamespace(net=spliced.net, front=front, target=target)


def _patient_echo(sock, index):
    sock.settimeout(100 * PATIENCE)
    echo(sock, index)


class Sleepers:
    """Clients of an echo that say something now and then, and sleep for up to three seconds."""

    def __init__(self, lane, count):
        self.lane, self.visits, self.bytes, self.problems = lane, 0, 0, []
        self._over, self._lock = threading.Event(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(seed),), daemon=True)
            for seed in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _live(self, rng):
        try:
            while not self._over.is_set():
                with self.lane.net.client:
                    sock = connect(self.lane.front, timeout=100 * PATIENCE)
                with sock:
                    self._visit(sock, rng)
        except Exception as error:  # judged by the test's thread, in exact()
            self.problems.append(error)

    def _visit(self, sock, rng):
        with self._lock:
            self.visits += 1
        for _ in range(rng.randrange(2, 9)):
            count = rng.randrange(1, 5000)
            sock.sendall(pattern(count))
            assert read_exactly(sock, count) == pattern(count), "wrong bytes"
            with self._lock:
                self.bytes += count
            if self._over.wait(rng.random() * 3):
                return

    def exact(self):
        """Wait for the end; how many bytes went each way."""
        self._over.set()
        for thread in self._threads:
            thread.join(110 * PATIENCE)
            assert not thread.is_alive(), "somebody stands still"
        assert not self.problems, self.problems
        return self.bytes


@pytest.fixture
def mixture(network, splice, serve, keep):
    """A proxy with three kinds of load, all of them in full swing."""

    def start(deadline):
        net = network(rough={"delay": 200, "reorder": 5, "drop": 3, "copy": 2})
        net.lose(net.backend, 1)
        spliced = splice(net, pool={**SHORT, "timeouts": PATIENT}, listener=SHORT)
        bulk, quiet = _lane(spliced, "bulk", 1), _lane(spliced, "quiet", 2)
        spliced.proxy.reload(spliced.config)
        with net.backend:
            server = keep(PumpServer(text(bulk.target)))
        serve(quiet, _patient_echo)
        requests = keep(
            PingPong(spliced, at_once=20, total=10**6, turns=200, most=3000, deadline=deadline)
        )
        with net.client:
            load = keep(
                PumpLoad(
                    bulk.front, up=2 * MIB, down=2 * MIB, vary=1, at_once=4, total=0, deadline=deadline
                )
            )
        return SimpleNamespace(
            spliced=spliced, server=server, requests=requests, load=load, sleepers=Sleepers(quiet, 12)
        )

    return start


def _finish(rig):
    """Let all of it end; bytes that were sent and not counted by the proxy, or the other way round."""
    rig.requests.stop()
    rig.load.stop()
    rig.requests.load.wait()
    rig.load.process.wait()
    odd = [f for f in rig.spliced.proxy.flows() if f["reason"] not in ("client_fin", "backend_fin")]
    assert not odd, "\n".join(str(flow) for flow in odd)  # whole: a list would be cut short
    asked, up, silent = rig.requests.exact(), rig.load.exact(), rig.sleepers.exact()
    total = asked["opened"] + up["opened"] + rig.sleepers.visits
    flows = rig.spliced.proxy.wait_flows(total, within=60 * PATIENCE)
    assert not rig.spliced.sessions()
    down = rig.server.report()["bytes"]
    sent = {
        "front": (asked["bytes"], asked["bytes"]),
        "bulk": (up["bytes"] + HEADER * up["opened"], down),
        "quiet": (silent, silent),
    }
    got = {
        name: tuple(
            sum(flow[side] for flow in flows if flow["listener"] == name)
            for side in ("client_bytes", "backend_bytes")
        )
        for name in sent
    }
    lost = sum(abs(a - b) for name in sent for a, b in zip(sent[name], got[name]))
    assert lost == 0, f"sent {sent}, counted {got}"


@pytest.mark.parametrize("seconds", (5, pytest.param(600, marks=pytest.mark.soak)))
def test_everything_at_once_loses_no_byte(mixture, seconds):
    rig = mixture(deadline=seconds + 120)
    began, memory = time.monotonic(), []

    def is_over():
        past = time.monotonic() - began
        if past > seconds / 2 and not memory:
            memory.append(rig.spliced.proxy.rss())
        counts = rig.spliced.counts()
        assert counts["promoted"] >= 10 * seconds and counts["recalled"] >= seconds, counts
        return past >= seconds

    eventually(is_over, "the time is over, with many promotions", seconds + 60 * PATIENCE)
    grown = rig.spliced.proxy.rss() - memory[0]
    counts = rig.spliced.counts()
    _finish(rig)
    assert not counts["doubts"], counts
    if seconds > 60:
        assert grown < 8 * MIB, f"grew by {grown >> 10} KiB in its second half"
