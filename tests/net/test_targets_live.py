# SPDX-License-Identifier: Apache-2.0
"""Targets that come, go and are drained while sessions run, and what an operator said of them."""

import http.client
import itertools
import threading
import time
from collections import Counter

import pytest
from harness.address import connect, free_address, text
from harness.admin import Doors
from harness.conf import simple
from harness.live import Hammer, Live, Named
from harness.peers import read_all, read_exactly
from harness.sluice import wait_open_sessions
from harness.wait import eventually


@pytest.fixture
def live(sluice, backend, tmp_path):
    """live("ab", ...) starts backends of these names and a proxy over all of them, or `targets`."""

    def start(names, hold=0.0, **options):
        servers = {name: backend(Named(name, hold)) for name in names}
        return Live(sluice, tmp_path, servers, **options)

    return start


# ---- nobody comes once it was answered ----


def _toggle(rig, way, turn):
    """Take `a` out and say how to bring it back."""
    if way == "removed":
        rig.put("push", 2 * turn, ["b"])
        return lambda: rig.put("push", 2 * turn + 1, ["a", "b"])
    rig.patch("a", override=way)
    return lambda: rig.patch("a", override="none")


@pytest.mark.parametrize("way", ["drain", "maintenance", "removed"])
def test_no_session_comes_once_it_was_answered(live, way):
    rig = live("ab", targets={"b": {}})
    rig.put("push", 1, ["a", "b"])
    handler = rig.servers["a"].handler
    with Hammer(rig.front) as hammer:
        for turn in range(1, 11):
            back = _toggle(rig, way, turn)
            rig.mark("a")
            served = hammer.served
            eventually(lambda: hammer.served >= served + 8, "clients are served meanwhile")
            rig.mark("a")
            back()
            served = len(handler.peers)
            eventually(lambda: len(handler.peers) > served + 2, "it serves again")
        hammer.stop()
    assert handler.between_marks() == [0] * 10


def test_weight_zero_and_back_is_answered_when_it_holds(live):
    rig = live("ab")
    with Hammer(rig.front) as hammer:
        for _ in range(5):
            rig.patch("a", weight=0)
            rig.mark("a")
            served = hammer.served
            eventually(lambda: hammer.served >= served + 8, "clients are served meanwhile")
            rig.mark("a")
            rig.patch("a", weight=None)
        hammer.stop()
    assert rig.servers["a"].handler.between_marks() == [0] * 5


def test_sessions_that_are_not_concerned_go_on(live, keep):
    rig = live("ab", targets={"a": {}})
    rig.put("push", 1, ["a", "b"])
    held = [rig.hold() for _ in range(8)]
    for sock, _ in held:
        keep(sock)
    assert {name for _, name in held} == {"a", "b"}
    rig.patch("b", weight=7)
    rig.patch("b", override="drain")
    rig.put("push", 2, ["a"])
    rig.patch("a", override="maintenance")
    for sock, _ in held:
        sock.sendall(b"still here")
        assert read_exactly(sock, 10) == b"still here"


def test_a_removed_target_closes_its_sessions_after_the_deadline_and_nobody_elses(live, keep):
    pool = {"drain_timeout": "500ms", "drain_spread": "500ms"}
    rig = live("ab", pool=pool, targets={"b": {}})
    rig.put("push", 1, ["a", "b"])
    held = [rig.hold() for _ in range(40)]
    for sock, _ in held:
        keep(sock)
    removed = time.monotonic()
    rig.put("push", 2, ["b"])
    state = rig.target("a")
    assert state["state"] == "removed" and state["drain_deadline"]
    ends = []
    for sock, name in held:
        if name == "a":
            assert read_all(sock) == b""
            ends.append(time.monotonic() - removed)
    assert len(ends) == 20 and min(ends) >= 0.45
    for sock, name in held:
        if name == "b":
            sock.sendall(b"!")
            assert read_exactly(sock, 1) == b"!"
    closed = rig.proxy.wait_flows(20)
    assert {flow["target"] for flow in closed} == {rig.address["a"]}
    assert {flow["reason"] for flow in closed} == {"target_removed"}, closed


# ---- what an operator said ----


def _word(target):
    word = target["override"]
    return word and {key: word[key] for key in ("kind", "weight", "who", "why", "until")}


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_word_survives_reload_push_and_restart(live, tmp_path, way):
    (tmp_path / "state").mkdir()
    rig = live("ab", state_directory=str(tmp_path / "state"))
    rig.patch("a", override="drain", weight=3, for_s=3600, why="disk is full")
    before = _word(rig.target("a"))
    assert before["kind"] == "drain" and before["weight"] == 3
    assert before["why"] == "disk is full" and "uid" in before["who"] and before["until"]
    rig.proxy.reload(rig.config(retries=1))
    rig.put("push", 1, ["a", "b"])
    assert _word(rig.target("a")) == before
    if way == "stop":
        rig.proxy.stop()
    else:
        rig.proxy.kill()
    rig.proxy = rig.start()
    assert _word(rig.target("a")) == before
    assert rig.target("a")["state"] == "draining"
    assert {rig.who() for _ in range(6)} == {"b"}
    assert rig.target("b")["override"] is None


def test_every_word_that_was_answered_survives_a_kill(live, tmp_path):
    """Killed between two words, several times over, while others speak as well."""
    (tmp_path / "state").mkdir()
    hosts = [f"127.0.4.{last}" for last in range(1, 31)]
    rig = live("b", state_directory=str(tmp_path / "state"))
    rig.targets += [{"address": f"{host}:9"} for host in hosts]
    rig.proxy.reload(rig.config())
    answered, over = {}, threading.Event()
    for _ in range(3):
        spoken = []
        over.clear()

        def speak(mine):
            for host in itertools.cycle(mine):
                weight = answered.get(host, 0) + 1
                try:
                    rig.admin.do("PATCH", f"/v1/targets/{host}:9", {"weight": weight})
                except (OSError, http.client.HTTPException, AssertionError):
                    return
                answered[host] = weight
                spoken.append(host)
                if over.is_set():
                    return

        speakers = [threading.Thread(target=speak, args=(hosts[at::3],)) for at in range(3)]
        for speaker in speakers:
            speaker.start()
        eventually(lambda: len(spoken) >= 12, "words are answered")
        rig.proxy.kill()
        over.set()
        for speaker in speakers:
            speaker.join(20)
        rig.proxy = rig.start()
        targets = rig.admin.targets("back")
        for host, weight in answered.items():
            kept = targets[f"{host}:9"]["override"]
            assert kept and kept["weight"] in (weight, weight + 1), (host, weight, kept)


def test_a_word_ends_when_it_was_said_to(live):
    rig = live("ab")
    rig.patch("a", override="maintenance", for_s=1)
    assert rig.target("a")["state"] == "maintenance"
    assert {rig.who() for _ in range(4)} == {"b"}
    eventually(lambda: rig.target("a")["override"] is None, "it ends")
    eventually(lambda: rig.who() == "a", "it serves again")
    assert any("ended" in e["text"] for e in rig.admin.events("override_end"))


def test_a_word_is_on_a_target_not_on_an_address(live):
    rig = live("ab", targets={"b": {}})
    first = {"id": "task-1", "address": rig.address["a"]}
    second = {"id": "task-2", "address": rig.address["a"]}
    rig.put("push", 1, [first])
    rig.admin.do("PATCH", "/v1/targets/task-1", {"override": "drain"})
    assert {rig.who() for _ in range(4)} == {"b"}
    rig.put("push", 2, [second])
    new = rig.admin.get("/v1/targets/task-2/explain")
    assert new["override"] is None and new["state"] == "serving"
    assert "a" in {rig.who() for _ in range(4)}
    rig.put("push", 3, [first])
    assert rig.admin.get("/v1/targets/task-1/explain")["override"]["kind"] == "drain"


# ---- sources ----


def test_generations_only_go_up(live):
    rig = live("ab", targets={"b": {}})
    assert rig.put("push", 5, ["a"])["result"] == "applied"
    assert rig.put("push", 5, ["a"])["result"] == "same"
    assert rig.put("push", 5, ["b"], status=409)["generation"] == 5
    assert rig.put("push", 4, ["a"], status=409)["generation"] == 5
    assert {rig.who() for _ in range(4)} == {"a", "b"}
    assert rig.put("push", 6, [])["result"] == "applied"
    assert {rig.who() for _ in range(4)} == {"b"}
    assert rig.put("other", 1, ["a"])["result"] == "applied"  # a generation is a source's own


def test_of_two_that_push_at_once_the_newer_set_stays(live):
    """Whatever the order of arrival: every answer is right for the generation it was given to."""
    rig = live("ab", targets={"b": {}})
    generations, answers = iter(range(1, 81)), []
    lock = threading.Lock()

    def push():
        while True:
            with lock:
                generation = next(generations, None)
            if generation is None:
                return
            target = {"address": rig.address["a"], "weight": generation}
            body = {"generation": generation, "targets": [target]}
            answers.append(
                (generation, rig.admin.ask("PUT", "/v1/pools/back/sources/push", body).status)
            )

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {status for _, status in answers} <= {200, 409}
    assert (80, 200) in answers
    assert rig.target("a")["weight"] == 80


def test_a_target_stays_while_any_source_lists_it(live):
    rig = live("ab", targets={"b": {}})
    rig.put("one", 1, ["a"])
    rig.put("two", 1, ["a"])
    rig.admin.do("DELETE", "/v1/pools/back/sources/one")
    assert {rig.who() for _ in range(4)} == {"a", "b"}
    sock, name = next(pair for pair in iter(rig.hold, None) if pair[1] == "a")
    rig.admin.do("DELETE", "/v1/pools/back/sources/two")
    assert {rig.who() for _ in range(4)} == {"b"}
    with sock:
        sock.sendall(b"!")
        assert read_exactly(sock, 1) == b"!"


def test_a_source_that_left_the_file_is_drained_by_the_reload(live, keep):
    rig = live("ab", pool={"discover": {"dns": {"name": "a.test", "port": 1}}}, targets={"b": {}})
    rig.put("control", 1, ["a"])
    sock, name = next(pair for pair in iter(rig.hold, None) if keep(pair[0]) and pair[1] == "a")
    del rig.pool["discover"]
    rig.proxy.reload(rig.config())
    assert {rig.who() for _ in range(6)} == {"b"}
    assert rig.target("a")["state"] == "removed"
    sock.sendall(b"!")
    assert read_exactly(sock, 1) == b"!"


# ---- pools ----


def test_pools_come_go_and_are_renamed_while_sessions_run(sluice, backend, tmp_path, keep):
    servers = {name: backend(Named(name)) for name in "abc"}
    fronts = {name: free_address() for name in "abc"}
    doors = Doors(tmp_path)

    def config(pools):
        """`pools`: names of pools, by the backend they have."""
        conf = simple(text(fronts["a"]), admin=doors.conf, workers=2)
        conf["pools"] = [
            {"name": pool, "targets": [text(servers[name].address)]} for name, pool in pools.items()
        ]
        conf["listeners"] = [
            {"name": name, "bind": text(fronts[name]), "pool": pool} for name, pool in pools.items()
        ]
        return conf

    def hold(name):
        sock = keep(connect(fronts[name]))
        assert read_exactly(sock, 1).decode() == name
        return sock

    sets = [{"a": "x", "b": "y"}, {"a": "y", "b": "x"}, {"a": "z", "c": "y"}, {"c": "x", "a": "q"}]
    proxy = sluice(config=config(sets[0]))
    held = [hold("a"), hold("b")]
    with Hammer(fronts["a"], threads=2) as hammer:
        for turn in range(1, 13):
            pools = sets[turn % len(sets)]
            proxy.reload(config(pools))
            held += [hold(name) for name in pools]
            assert {p["name"] for p in doors.full().get("/v1/pools")["pools"]} == set(pools.values())
            for sock in held:
                sock.sendall(b"!")
                assert read_exactly(sock, 1) == b"!"
        hammer.stop()
    for sock in held:
        sock.close()
    wait_open_sessions(proxy, 0)


# ---- rounds go on ----


def test_turns_go_on_while_snapshots_come_faster_than_sessions(live):
    """A ramp or a busy source makes 20 snapshots a second; nobody is forgotten over that."""
    rig = live("abc", workers=1)
    counts = Counter()
    for turn in range(30):
        rig.patch("c", weight=100 + turn % 2)
        counts[rig.who()] += 1
    assert all(8 <= counts[name] <= 12 for name in "abc"), counts
