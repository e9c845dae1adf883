# SPDX-License-Identifier: Apache-2.0
"""What a pool does when its targets are few, full, new or elsewhere."""

import threading
from collections import Counter

import pytest
from harness.address import connect, free_port
from harness.live import Hammer, Live, Named
from harness.peers import Backend, Listener, read_all, read_exactly, turned_away
from harness.sluice import PATIENCE
from harness.wait import eventually

CHECK = {"type": "tcp", "interval": "100ms", "fast_interval": "30ms", "rise": 1, "fall": 2}
DISCOVER = {"discover": {"dns": {"name": "a.test", "port": 1}}}  # so that it may have no targets


class Vital:
    """A backend on a host of its own, whose checks are answered at another port, or not."""

    def __init__(self, name, number, port):
        self.backend = Backend(Named(name), (f"127.0.2.{number}", 0))
        self.address, self.where = self.backend.address, (f"127.0.2.{number}", port)
        self.listener = Listener(self.where)

    def fail(self):
        self.listener.close()

    def recover(self):
        self.listener = Listener(self.where)

    def close(self):
        self.listener.close()
        self.backend.close()


@pytest.fixture
def vital(sluice, tmp_path, keep):
    """vital("abc", pool=...) starts backends whose checks can fail while they serve."""

    def start(names, pool=None, **options):
        port = free_port()
        servers = {name: keep(Vital(name, at, port)) for at, name in enumerate(names, 1)}
        pool = {"health": {**CHECK, "port": port}, **(pool or {})}
        rig = Live(sluice, tmp_path, servers, pool=pool, **options)
        for name in names:
            wait_state(rig, name, "serving", "idle_backup")
        return rig

    return start


@pytest.fixture
def live(sluice, backend, tmp_path):
    def start(names, **options):
        servers = {name: backend(Named(name)) for name in names}
        return Live(sluice, tmp_path, servers, **options)

    return start


def wait_state(rig, name, *states):
    eventually(lambda: rig.target(name)["state"] in states, f"{name}: {states}", 8 * PATIENCE)


def fail(rig, *names):
    for name in names:
        rig.servers[name].fail()
    for name in names:
        eventually(lambda: rig.target(name)["health"]["status"] == "down", f"{name} is down")


def recover(rig, *names):
    for name in names:
        rig.servers[name].recover()
    for name in names:
        eventually(lambda: rig.target(name)["health"]["status"] == "up", f"{name} is up")


def spread(rig, sessions):
    return Counter(rig.who() for _ in range(sessions))


def wait_served_by(rig, names):
    """Health is published within 50 ms; who serves then."""
    eventually(lambda: set(spread(rig, 4 * len(names))) == set(names), f"{names} serve")


# ---- too few ----


def test_below_min_healthy_all_are_used_and_it_is_said_aloud(vital):
    rig = vital("abc", {"min_healthy": "60%"})
    fail(rig, "a")
    wait_served_by(rig, "bc")
    assert not rig.admin.get("/v1/pools/back")["panic"]
    fail(rig, "b")
    assert rig.proxy.wait_event("panic").level == "error"
    assert rig.admin.get("/v1/pools/back")["panic"]
    wait_served_by(rig, "abc")
    recover(rig, "a", "b")
    rig.proxy.wait_event("panic_end")
    fail(rig, "c")
    wait_served_by(rig, "ab")


def test_a_pool_that_rather_refuses_does(vital):
    rig = vital("ab", {"min_healthy": "60%", "panic": "refuse"})
    held, name = rig.hold()
    fail(rig, "a")
    rig.proxy.wait_event("panic", containing="refused")
    turned_away(rig.front)
    with held:
        held.sendall(b"!")
        assert read_exactly(held, 1) == b"!"
    assert rig.proxy.wait_flow(reason="pool_down")
    recover(rig, "a")
    wait_served_by(rig, "ab")


def test_backups_serve_when_no_primary_does_and_rest_when_one_is_back(vital):
    rig = vital("abc", targets={"a": {}, "b": {}, "c": {"backup": True}})
    wait_served_by(rig, "ab")
    fail(rig, "a")
    wait_served_by(rig, "b")
    with Hammer(rig.front, threads=2) as hammer:
        fail(rig, "b")
        wait_served_by(rig, "c")
        assert rig.admin.get("/v1/pools/back")["backup_in_use"]
        recover(rig, "b")
        hammer.stop()
    wait_served_by(rig, "b")
    assert rig.target("c")["state"] == "idle_backup"


def test_when_backups_fail_as_well_primaries_serve_and_backups_help_out(vital):
    targets = {"a": {}, "b": {}, "c": {"backup": True}}
    rig = vital("abc", {"retry_budget": "100%"}, targets=targets)
    fail(rig, "c", "a", "b")
    rig.proxy.wait_event("panic")
    wait_served_by(rig, "ab")
    rig.servers["a"].backend.close()
    rig.servers["b"].backend.close()
    wait_served_by(rig, "c")


def test_on_down_keep_leaves_sessions_alone_and_close_does_not(vital):
    rig = vital("ab", {"drain_spread": "100ms"})
    held = dict(reversed(rig.hold()) for _ in range(2))
    fail(rig, "a")
    held["a"].sendall(b"!")
    assert read_exactly(held["a"], 1) == b"!"
    rig.proxy.reload(rig.config(on_down="close"))
    recover(rig, "a")
    fail(rig, "a")
    assert read_all(held["a"]) == b""
    held["b"].sendall(b"!")
    assert read_exactly(held["b"], 1) == b"!"
    for sock in held.values():
        sock.close()


# ---- full ----


class Exact:
    """Counts who is there at once; a session is over for it before its client knows."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, sock, _index):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        said = read_exactly(sock, 1)
        with self.lock:
            self.now -= 1
        sock.sendall(said)


def test_a_limit_is_exact_while_targets_change(sluice, backend, tmp_path):
    handlers = {name: Exact() for name in "ab"}
    servers = {name: backend(handler) for name, handler in handlers.items()}
    targets = {"a": {"max_connections": 3}, "b": {"max_connections": 2}}
    pool = {"queue": {"size": 100, "timeout": "20s"}, "max_connections": 4}
    rig = Live(sluice, tmp_path, servers, pool=pool, targets=targets)
    failed, over = [], threading.Event()

    def client():
        while not over.is_set():
            try:
                with connect(rig.front) as sock:
                    sock.sendall(b"x")
                    assert read_all(sock) == b"x"
            except (OSError, AssertionError) as error:
                failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for turn in range(12):
        rig.patch("a", weight=50 + turn)
        rig.patch("b", override="drain" if turn % 2 else "none")
        if turn % 4 == 0:
            rig.proxy.reload(rig.config())
    eventually(lambda: handlers["a"].most >= 3, "so many at once")
    over.set()
    for thread in threads:
        thread.join(30)
    assert not failed, f"{len(failed)} failed, first {failed[0]!r}"
    assert handlers["a"].most == 3 and 1 <= handlers["b"].most <= 2
    eventually(lambda: rig.admin.get("/v1/pools/back")["sessions_open"] == 0, "all have ended")
    assert rig.admin.get("/v1/pools/back")["waiting"] == 0


def test_a_raised_limit_lets_those_who_wait_in_at_once(live, keep):
    rig = live("a", pool={"queue": 10, **DISCOVER}, targets={})
    rig.put("push", 1, [{"address": rig.address["a"], "max_connections": 1}])
    keep(rig.hold()[0])
    waiting = []
    for number in (1, 2, 3):
        waiting.append(keep(connect(rig.front)))
        eventually(lambda: rig.admin.get("/v1/pools/back")["waiting"] == number, "it waits")
    rig.put("push", 2, [{"address": rig.address["a"], "max_connections": 3}])
    got = []
    eventually(lambda: rig.admin.get("/v1/pools/back")["waiting"] == 1, "two were let in")
    for sock in waiting[:2]:
        got.append(read_exactly(sock, 1))
    rig.put("push", 3, [{"address": rig.address["a"], "max_connections": 0}])
    assert got + [read_exactly(waiting[2], 1)] == [b"a"] * 3


def test_those_who_wait_for_a_drained_target_go_to_another(live, keep):
    rig = live("ab", pool={"queue": 10, **DISCOVER}, targets={})
    only = {"address": rig.address["a"], "max_connections": 1}
    rig.put("push", 1, [only])
    keep(rig.hold()[0])
    waiting = keep(connect(rig.front))
    eventually(lambda: rig.admin.get("/v1/pools/back")["waiting"] == 1, "one waits")
    rig.patch("a", override="drain")
    rig.put("push", 2, [only, "b"])
    assert read_exactly(waiting, 1) == b"b"


# ---- new ----


def test_when_all_are_new_nobody_is_held_back(live):
    rig = live("abc", pool={"slow_start": "10m"}, workers=1)
    assert spread(rig, 60) == {"a": 20, "b": 20, "c": 20}


def test_a_new_target_begins_with_a_small_share(live):
    rig = live("abc", targets={"a": {}, "b": {}}, workers=1)
    rig.proxy.reload(rig.config(slow_start="10m"))
    rig.put("push", 1, ["c"])
    assert rig.target("c")["state"] == "ramping"
    counts = spread(rig, 200)
    assert 1 <= counts["c"] <= 5, counts
    assert abs(counts["a"] - counts["b"]) <= 2


def test_a_ramp_grows_and_ends(live):
    rig = live("ab", targets={"a": {}}, workers=1)
    rig.proxy.reload(rig.config(slow_start="1500ms"))
    rig.put("push", 1, ["b"])
    order = ""
    while rig.target("b")["state"] == "ramping":
        order += rig.who()
    first, last = order[: len(order) // 3], order[-len(order) // 3 :]
    assert 0 < first.count("b") < last.count("b"), order
    assert spread(rig, 20) == {"a": 10, "b": 10}


def test_a_recovered_target_ramps_too(vital):
    rig = vital("ab", workers=1)
    rig.proxy.reload(rig.config(slow_start="10m"))
    fail(rig, "b")
    recover(rig, "b")
    wait_state(rig, "b", "ramping")
    eventually(lambda: spread(rig, 50)["b"], "it gets something")
    assert spread(rig, 100)["b"] <= 3


# ---- elsewhere ----


def _zoned(vital, **top):
    targets = {n: {"zone": "here" if n in "ab" else "there"} for n in "abcd"}
    return vital("abcd", targets=targets, workers=1, zone="here", **top)


def test_the_own_zone_is_preferred_and_spills_by_what_it_can_carry(vital):
    rig = _zoned(vital)
    wait_served_by(rig, "ab")
    fail(rig, "a")  # half of the zone, which carries 1.4 of its share
    wait_served_by(rig, "bcd")
    counts = spread(rig, 100)
    assert counts["b"] == 70 and counts["c"] == counts["d"] == 15, counts
    assert rig.target("c")["cross_zone_bytes"] > 0
    assert rig.target("b")["cross_zone_bytes"] == 0
    fail(rig, "b")
    wait_served_by(rig, "cd")
    recover(rig, "a", "b")
    wait_served_by(rig, "ab")


def test_a_full_zone_spills_to_the_other(live, keep):
    targets = {
        "a": {"zone": "here", "max_connections": 2},
        "b": {"zone": "there"},
    }
    rig = live("ab", targets=targets, zone="here")
    held = [rig.hold() for _ in range(5)]
    for sock, _ in held:
        keep(sock)
    assert [name for _, name in held] == ["a", "a", "b", "b", "b"]
