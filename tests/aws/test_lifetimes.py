# SPDX-License-Identifier: Apache-2.0
"""Either program first, alone, restarted, killed: the proxy keeps its last set, the daemon reads
what there is, and both come together again."""

import hashlib
import json
import random
import time

from harness.address import connect
from harness.control import run
from harness.files import TargetFile
from harness.pair import Pair, Watch
from harness.peers import read_exactly
from harness.sluice import PATIENCE
from harness.strict.fleet import Local, Names
from harness.wait import eventually

HEAD = "sluice last-good 1"


def make(sluice, tmp_path, endpoint, pools, **options):
    return Pair(sluice, endpoint, pools, tmp_path, **options)


def last_good_files(pair):
    return sorted((pair.directory / "state").rglob("*.set"))


def read_whole(path):
    """The targets in a last-known-good file, its checksum verified here anew."""
    head, digest, body = path.read_text().split("\n", 2)
    assert head == HEAD, path
    assert digest.split()[1] == hashlib.sha256(body.encode()).hexdigest(), path
    return sorted(target["address"] for target in json.loads(body)["targets"])


def test_the_daemon_may_be_first(strict, sluice, tmp_path):
    fleet = Names(strict, 5, count=3)
    pair = make(sluice, tmp_path, strict, [fleet.pool()])
    try:
        daemon = pair.start_daemon()
        eventually(lambda: strict.calls["DiscoverInstances"], "it has asked")
        assert daemon.discovery()["proxy"]["up"] is False
        assert daemon.discovery()["ready"] is False
        pair.start_proxy()
        pair.wait_addresses("back", fleet.addresses())
        eventually(lambda: daemon.discovery()["ready"], "it is ready")
    finally:
        pair.close()


def test_a_proxy_alone_keeps_what_it_was_told(strict, pair):
    fleet = Names(strict, 5, count=4)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    before = fleet.addresses()
    with Watch(both, "back") as watch:
        both.daemon.stop()
        fleet.add(2)
        looks = watch.looks
        eventually(lambda: watch.looks > looks + 20, "it was looked at")
        both.start_daemon()
        both.wait_addresses("back", fleet.addresses())
    watch.only(before, fleet.addresses())


def test_a_proxy_that_comes_again_is_told_again(strict, pair):
    fleet = Names(strict, 5, count=4)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    both.proxy.kill()
    both.proxy.process.stdout.close()
    eventually(lambda: not both.daemon.discovery()["proxy"]["up"], "it is missed")
    fleet.add(1)
    both.start_proxy()
    both.wait_addresses("back", fleet.addresses())


def test_a_daemon_that_comes_again_changes_nothing_that_is_so(strict, pair):
    fleet = Names(strict, 5, count=4)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    keys = {m["key"] for m in both.members("back")}
    with Watch(both, "back") as watch:
        for _ in range(3):
            both.daemon.kill()
            daemon = both.start_daemon()
            eventually(lambda d=daemon: d.discovery()["ready"], "it is ready")
    watch.only(fleet.addresses())
    assert {m["key"] for m in both.members("back")} == keys


def greet(sock, _):
    try:
        sock.sendall(b"!")
    except OSError:
        pass  # a check that has seen enough


def test_what_was_last_known_serves_after_one_passed_check(strict, sluice, tmp_path, backend):
    """Nobody answers but the file: the targets on this machine that are alive serve, the others
    never do."""
    alive = [backend(greet) for _ in range(2)]
    fleet = Local(strict, [each.address for each in alive] + [("127.0.0.1", 1)])
    checks = {"type": "tcp", "interval": "300ms", "rise": 2, "fall": 2}
    pool = {**fleet.pool(), "health": checks}
    first = make(sluice, tmp_path, strict, [pool])
    try:
        first.start()
        first.wait_addresses("back", fleet.addresses())
        eventually(lambda: last_good_files(first), "it is written down")
        assert read_whole(last_good_files(first)[0]) == fleet.addresses()
        first.daemon.stop()
        first.proxy.stop()
        strict.pause()
        first.start()
        members = eventually(lambda: first.members("back"), "known from before")
        assert {m["state"] for m in members} <= {"checking", "serving", "down"}
        ready = [f"{host}:{port}" for host, port in (each.address for each in alive)]

        def serving():
            return sorted(m["address"] for m in first.members("back") if m["state"] == "serving")

        eventually(lambda: serving() == sorted(ready), "those alive serve", 10 * PATIENCE)
        with connect(first.front[0]) as sock:
            assert read_exactly(sock, 1) == b"!"

        def says():
            feed = first.daemon.feed("back", "cloudmap")
            return feed["origin"] == "last_good" and feed["error"]

        eventually(says, "what it has, and why")
        assert first.daemon.events("last_good")
        strict.resume()
        fleet.add(0)
        eventually(
            lambda: first.daemon.feed("back", "cloudmap")["origin"] == "source", "it answers"
        )
    finally:
        first.close()


def test_what_is_too_old_is_not_used(strict_maker, sluice, tmp_path):
    strict = strict_maker(hasten=600)
    fleet = Names(strict, 5, count=3)
    given = {"last_good_max_age": "1h"}
    pair = make(sluice, tmp_path, strict, [fleet.pool()], control=given)
    try:
        pair.start()
        pair.wait_addresses("back", fleet.addresses())
        eventually(lambda: last_good_files(pair), "it is written down")
        pair.daemon.stop()
        pair.proxy.stop()
        strict.pause()
        stopped = strict.clock()
        eventually(lambda: strict.clock() > stopped + 2 * 3600, "two hours", 20 * PATIENCE)
        pair.start()
        pair.daemon.wait_event("last_good", containing="old")
        assert pair.served("back") == set()
    finally:
        pair.close()


def test_a_file_that_was_damaged_is_kept_aside(strict, pair):
    fleet = Names(strict, 5, count=3)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    path = eventually(lambda: last_good_files(both), "it is written down")[0]
    both.daemon.stop()
    text = path.read_text()
    path.write_text(text[:-20] + text[-19:])
    both.start_daemon()
    both.daemon.wait_event("last_good", containing="bad")
    both.wait_addresses("back", fleet.addresses())
    assert path.with_suffix(".set.bad").exists() or list(path.parent.glob("*.bad"))


def test_a_reload_adds_and_removes_sources(strict, pair):
    one, two = Names(strict, 5, "one", count=2), Names(strict, 6, "two", count=2)
    both = pair(strict, [one.pool(), {"name": "two", "targets": ["10.9.9.9:1"]}])
    both.wait_addresses("one", one.addresses())
    both.configure([{"name": "one", "targets": ["10.9.9.8:1"]}, two.pool()])
    for program in (both.proxy, both.daemon):
        seen = program.position()
        program.signal(1)
        program.wait_event("reloaded", after=seen)
    both.wait_addresses("two", two.addresses())
    both.wait_addresses("one", ["10.9.9.8:1"])


def test_a_broken_file_changes_nothing(strict, pair):
    fleet = Names(strict, 5, count=2)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    both.path.write_text("pools: [")
    both.daemon.signal(1)
    both.daemon.wait_event("reload_failed")
    fleet.add(1)
    both.wait_addresses("back", fleet.addresses())


def test_a_dry_run_says_what_would_change_and_changes_nothing(strict, pair):
    fleet = Names(strict, 5, count=3)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    both.daemon.stop()
    before = fleet.addresses()
    fleet.add(1)
    gone = before[0]
    fleet.take(1)
    args = ("--config", both.path, "--once", "--dry-run")
    done = run(*args, env=both.env)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    added = fleet.addresses()[-1]
    assert any(line[0] == "+" and added in line for line in lines), done.stdout
    assert any(line[0] == "-" and gone in line for line in lines), done.stdout
    assert both.addresses("back") == before


def test_once_converges_and_ends(strict, sluice, tmp_path):
    fleet = Names(strict, 5, count=3)
    pair = make(sluice, tmp_path, strict, [fleet.pool()])
    pair.start_proxy()
    done = run("--config", pair.path, "--once", env=pair.env)
    assert done.returncode == 0, done.stderr
    assert pair.addresses("back") == fleet.addresses()
    strict.pause()
    done = run("--config", pair.path, "--once", env=pair.env)
    assert done.returncode == 3, done.stderr
    assert pair.addresses("back") == fleet.addresses()


def check_files(pair):
    for path in last_good_files(pair):
        read_whole(path)
    assert not list((pair.directory / "state").rglob("*.bad"))


def test_two_hundred_kills_at_random_points(strict, sluice, tmp_path):
    """One process killed and another started, while both fleets change; now and then it is the
    proxy that dies. Whatever is on disk is whole, and what is served is what was once true."""
    chance = random.Random(4)
    names, listed = Names(strict, 5, "names", count=12), TargetFile(tmp_path / "targets.yaml", 12)
    pair = make(sluice, tmp_path, strict, [names.pool(), listed.pool("listed")])
    try:
        pair.start()
        for round_number in range(200):
            for fleet in (names, listed):
                fleet.add(1)
                fleet.take(1)
            time.sleep(chance.random() * 0.03)  # the point in its life is chance: that is the test
            pair.daemon.kill()
            check_files(pair)
            if round_number % 20 == 19:
                pair.proxy.kill()
                pair.start_proxy()
            pair.start_daemon(wait=False)
            if round_number % 20 == 0:
                pair.wait_addresses("names", names.addresses())
                pair.wait_addresses("listed", listed.addresses())
        pair.wait_addresses("names", names.addresses())
        pair.wait_addresses("listed", listed.addresses())
        assert len(last_good_files(pair)) == 2
        eventually(
            lambda: {tuple(read_whole(path)) for path in last_good_files(pair)}
            == {tuple(names.addresses()), tuple(listed.addresses())},
            "the files have what is served",
        )
    finally:
        pair.close()
