# SPDX-License-Identifier: Apache-2.0
"""`sluicectl discovery`, against a real daemon whose source is a file."""

import json

import pytest
from harness import ctl
from harness.pair import Pair
from harness.sluice import PATIENCE
from harness.wait import eventually

A, B, C = (f"127.0.0.{number}:9" for number in (11, 12, 13))


def write(path, *lines):
    draft = path.with_suffix(".new")
    draft.write_text("".join(f"- {line}\n" for line in lines) or "[]\n")
    draft.rename(path)


@pytest.fixture
def both(sluice, tmp_path):
    targets = tmp_path / "targets.yaml"
    write(targets, A, f"{{address: {B}, id: i-2, zone: z1}}")
    pools = [{"name": "p", "discover": {"file": {"name": "a", "path": str(targets)}}}]
    made = Pair(sluice, None, pools, directory=tmp_path)
    made.targets = targets
    made.start()
    made.wait_addresses("p", [A, B])
    eventually(lambda: made.daemon.discovery()["ready"], "it is ready", 10 * PATIENCE)
    yield made
    made.close()


def run(both, *args, **env):
    return ctl.run(
        *args, admin=both.doors.path, env={"SLUICE_CONTROL_SOCKET": str(both.socket), **env}
    )


def discovery(both, *args):
    return run(both, "discovery", *args)


def said(result, *parts):
    assert result.returncode == ctl.OK, result.stderr
    for part in parts:
        assert part in result.stdout, result.stdout
    return result.stdout


def hold(both, *lines):
    write(both.targets, *lines)
    both.daemon.refresh("p", "a")
    return eventually(lambda: both.daemon.feed("p", "a")["held"], "it is held", 10 * PATIENCE)


def test_sources_are_listed(both):
    text = said(discovery(both), f"pid {both.daemon.pid}", f"pid {both.proxy.pid}", "ready")
    row = next(line.split() for line in text.splitlines() if line.startswith("p "))
    assert row[:6] == ["p", "a", "file", "ok", "2", "2"]
    assert discovery(both, "list").returncode == ctl.OK
    assert "\np " not in said(discovery(both, "list", "--pool", "other"))


def test_with_json_it_is_the_answer_itself(both):
    answer = json.loads(said(discovery(both, "--json")))
    assert answer["feeds"][0]["source"] == "a"
    answer = json.loads(said(discovery(both, "show", "p", "a", "--json")))
    assert [member["id"] for member in answer["members"]] == [None, "i-2"]


def test_one_source_is_shown_with_its_targets(both):
    text = said(discovery(both, "show", "p", "a"), "2, 2 usable, from source")
    rows = [line.split() for line in text.splitlines()]
    assert [A, "-", "-", "100"] in rows and [B, "i-2", "z1", "100"] in rows


def test_a_held_change_is_shown_line_by_line(both):
    held = hold(both)
    said(discovery(both), "held", "see: sluicectl discovery show p a")
    said(
        discovery(both, "show", "p", "a"),
        f"- {A}\n",
        f"- {B} i-2\n",
        f"sluicectl discovery approve p a --digest {held['digest']}",
    )


def test_the_status_mentions_what_is_held(both):
    assert "holds a change" not in said(run(both, "status"))
    hold(both)
    said(run(both, "status"), "sluice-control holds a change of p/a", "discovery show p a")
    assert "holds" not in said(run(both, "status", SLUICE_CONTROL_SOCKET="/nonexistent"))
    json.loads(said(run(both, "status", "--json")))


def test_an_approval_lets_it_through(both):
    held = hold(both)
    wrong = discovery(both, "approve", "p", "a", "--digest", "0" * 32)
    assert wrong.returncode == ctl.REFUSED and held["digest"] in wrong.stderr
    assert both.addresses("p") == [A, B]
    said(discovery(both, "approve", "p", "a", "--digest", held["digest"]), "0, 0 usable")
    both.wait_addresses("p", [])
    again = discovery(both, "approve", "p", "a")
    assert again.returncode == ctl.REFUSED and "held" in again.stderr


def test_a_rejection_forgets_it(both):
    hold(both)
    assert "held of" not in said(discovery(both, "reject", "p", "a"))
    assert both.addresses("p") == [A, B]


def test_a_refresh_asks_at_once(both):
    fetches = 'sluice_control_source_fetches_total{pool="p",source="a",kind="file"} '

    def count():
        lines = both.daemon.admin.ask("GET", "/metrics").text.splitlines()
        return next(int(line.split()[-1]) for line in lines if line.startswith(fetches))

    before = count()
    said(discovery(both, "refresh", "p", "a"))
    eventually(lambda: count() > before, "it was asked", 10 * PATIENCE)


def test_events_say_what_was_done_and_by_whom(both):
    hold(both)
    said(discovery(both, "approve", "p", "a"))
    text = said(discovery(both, "events"), "approved", "audit", f"p/a/{A}: ")
    assert "POST /v1/discovery/p/a/approve: 200" in text
    assert len(said(discovery(both, "events", "--limit", "3")).splitlines()) == 3
    follower = ctl.start(
        "discovery", "events", "--follow", env={"SLUICE_CONTROL_SOCKET": str(both.socket)}
    )
    try:
        write(both.targets, C)
        while f"p/a/{C}" not in follower.stdout.readline():
            pass
    finally:
        follower.terminate()
        follower.communicate()


@pytest.mark.parametrize(
    "words",
    [
        ["approve"],
        ["show", "p"],
        ["list", "p"],
        ["events", "p"],
        ["shwo"],
        ["show", "p", "a", "--digest", "x"],
        ["show", "p", "a", "b"],
    ],
)
def test_a_line_that_makes_no_sense_is_refused(both, words):
    assert discovery(both, *words).returncode == ctl.USAGE


def test_what_is_not_there_is_named(both):
    none = discovery(both, "show", "p", "none")
    assert none.returncode == ctl.REFUSED and "none" in none.stderr
    gone = ctl.run("discovery", "--control-socket", "/nonexistent/control.sock")
    assert gone.returncode == ctl.UNREACHABLE
    assert "sluice-control" in gone.stderr and "SLUICE_CONTROL_SOCKET" in gone.stderr


def complete(both, *words):
    lines = said(run(both, "__complete", *words)).splitlines()
    return [line.split("\t")[0] for line in lines]


def test_shells_complete_actions_pools_and_sources(both):
    assert "discovery" in complete(both, "disc")
    assert complete(both, "discovery", "re") == ["reject", "refresh"]
    assert complete(both, "discovery", "approve", "") == ["p"]
    assert complete(both, "discovery", "approve", "p", "") == ["a"]
    assert complete(both, "discovery", "approve", "other", "") == []
    assert complete(both, "discovery", "--pool=") == ["--pool=p"]
    assert complete(both, "discovery", "--control") == ["--control-socket"]
