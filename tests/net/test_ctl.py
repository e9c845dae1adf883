# SPDX-License-Identifier: Apache-2.0
"""sluicectl against canned answers: what it asks, what it prints, how it exits."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
from harness.ctl import OK, REFUSED, TIMED_OUT, UNHEALTHY, UNREACHABLE, USAGE, FakeAdmin
from harness.ctl import run, start
from harness.ctl_answers import answers, event, pool, session, status, target
from harness.openapi import Api
from harness.sluice import PATIENCE
from harness.wait import eventually


@pytest.fixture
def ctl(admin):
    """ctl("pools", ...) runs a verb against the fake."""
    return lambda *args, **options: run(*args, admin=admin.path, **options)


def told(result, code=OK):
    assert result.returncode == code, result
    return result.stdout


# ---- the command line ----


def test_help_names_every_verb_and_status_code():
    text = told(run("--help"))
    for verb in (
        "status pools targets sessions events set-weight add-target remove-target drain undrain "
        "maint listener close-sessions kill-session reload health explain top sources completion "
        "doctor"
    ).split():
        assert re.search(rf"^  {verb} ", text, re.M), verb
    for code in range(6):
        assert re.search(rf"^  {code}  ", text, re.M), code


def test_each_verb_has_help_with_its_options_and_an_example():
    verbs = re.findall(r"^  ([a-z]+(?:-[a-z]+)*) {2,}\S", told(run("--help")), re.M)
    assert len(verbs) > 18
    for verb in verbs:
        text = told(run(verb, "--help"))
        assert f"usage: sluicectl {verb}" in text
        assert f"sluicectl {verb}" in text.split("Examples:")[1], verb
        assert told(run("help", verb)) == text


def test_version_is_the_proxys():
    assert re.fullmatch(r"sluicectl \d+\.\d+\.\d+\n", told(run("--version")))


def test_a_misspelt_verb_names_the_nearest():
    result = run("drian", "x")
    assert result.returncode == USAGE
    assert "did you mean drain?" in result.stderr


@pytest.mark.parametrize(
    "args, complaint",
    [
        ((), "usage:"),
        (("--sokcet", "x"), "--socket"),
        (("pools", "--tpo"), "no option --tpo"),
        (("sessions", "--tpo"), "did you mean --top?"),
        (("sessions", "--limit", "many"), "--limit"),
        (("sessions", "--limit", "0"), "--limit"),
        (("sessions", "--limit"), "--limit needs N"),
        (("sessions", "--sort", "byte"), "did you mean bytes?"),
        (("explain",), "explain needs TARGET"),
        (("explain", "a", "b"), 'no use for "b"'),
        (("drain", "a", "--wait", "10m"), "a time to wait is --wait=10m"),
        (("explain", ""), "TARGET is empty"),
        (("listener", "pausse", "x"), "did you mean pause?"),
        (("set-weight", "x", "1001"), "more than 1000"),
        (("set-weight", "x", "heavy"), "is not a number"),
        (("drain",), "needs TARGET"),
        (("drain", "x", "--self"), "not both"),
        (("drain", "x", "--for", "1"), "has no unit"),
        (("drain", "x", "--for", "1h", "--until", "2026-01-02T03:04:05Z"), "one of them"),
        (("maint", "x", "--until", "tomorrow"), "no time"),
        (("pools", "--wait"), "nothing to wait for"),
        (("drain", "x", "--wait=soon"), "--wait"),
        (("pools", "--json=yes"), "takes no value"),
        (("kill-session", "x"), "ID"),
        (("completion", "tcsh"), "bash|zsh|fish"),
    ],
)
def test_a_wrong_command_line_exits_2_and_asks_nobody(ctl, admin, args, complaint):
    result = ctl(*args)
    assert result.returncode == USAGE, result
    assert complaint in result.stderr
    assert result.stdout == ""
    assert admin.requests == []


def test_options_stand_before_or_behind_the_verb(admin):
    before = ("--socket", admin.path, "pools", "--json")
    behind = ("--json", "pools", f"--socket={admin.path}")
    for args in (before, behind):
        assert json.loads(told(run(*args)))["pools"][0]["name"] == "api"
    assert told(run("pools", "--socket", f"unix:{admin.path}"))


# ---- nobody there ----


def test_a_missing_socket_is_named_with_what_to_try(tmp_path):
    result = run("status", admin=tmp_path / "none.sock")
    assert result.returncode == UNREACHABLE
    assert "none.sock" in result.stderr
    assert "--socket" in result.stderr and "SLUICE_SOCKET" in result.stderr


def test_a_socket_that_nobody_serves_is_told_apart(tmp_path):
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    result = run("status", admin=path)
    assert result.returncode == UNREACHABLE
    assert "nobody listens" in result.stderr


def test_a_path_too_long_for_a_socket_is_said_to_be():
    result = run("status", admin="/tmp/" + "x" * 120)
    assert result.returncode == UNREACHABLE
    assert "too long" in result.stderr


def test_a_server_of_another_kind_is_no_admin_server(tmp_path, keep):
    path = tmp_path / "other.sock"
    other = keep(socket.socket(socket.AF_UNIX))
    other.bind(str(path))
    other.listen(4)
    process = start("status", admin=path)
    peer, _ = other.accept()
    with peer:
        peer.recv(1000)
        peer.sendall(b"220 smtp ready\r\n")
    _, err = process.communicate(timeout=10)
    assert process.returncode == UNREACHABLE
    assert "other.sock" in err


def test_an_answer_that_is_no_json_is_no_admin_server(ctl, admin):
    admin.answers["GET /v1/status"] = b"<html>"
    assert ctl("status").returncode == UNREACHABLE


# ---- looking ----


def test_json_is_the_answer_untouched(ctl, admin):
    raw = b'{"pools":[ ],\n "future": 1.50}'
    admin.answers["GET /v1/pools"] = raw
    assert told(ctl("pools", "--json")) == raw.decode() + "\n"


def test_status_tells_what_matters(ctl):
    text = told(ctl("status"))
    for part in ("0.1.0", "4711", "2h15m", "eu-west-1a", "1.2 MB/s", "12/s", "[::]:443", "web"):
        assert part in text, part


def test_status_tells_an_upgrade_that_does_not_run_yet(ctl, admin):
    assert "upgrade" not in told(ctl("status"))
    admin.answers["GET /v1/status"] = status(version="0.0.9")
    assert "running 0.0.9, installed 0.1.0;" in told(ctl("status"))


def test_status_tells_a_rebuild_by_the_file_that_runs(ctl, admin, tmp_path):
    copy = tmp_path / "sleep"
    shutil.copy(shutil.which("sleep"), copy)
    with subprocess.Popen([copy, "1000"]) as process:
        try:
            admin.answers["GET /v1/status"] = status(pid=process.pid)
            assert "upgrade" not in told(ctl("status"))
            copy.unlink()
            assert "running 0.1.0, installed another build of 0.1.0;" in told(ctl("status"))
        finally:
            process.kill()


def test_a_proxy_that_is_not_ready_says_why(ctl, admin):
    admin.answers["GET /v1/status"] = status(ready=False, not_ready_reason="pool web is awaited")
    assert "no: pool web is awaited" in told(ctl("status"))


def test_pools_and_sources_are_tables(ctl):
    lines = told(ctl("pools")).splitlines()
    assert lines[0].split()[0] == "POOL"
    assert re.match(r"api +least_connections +2/2 +2/2 +6 +0 +1 +2 +3", lines[1])
    assert re.search(r"api +config +4 +2 +1m\d+s", told(ctl("sources")))
    assert "web" not in told(ctl("sources", "api"))


def test_targets_of_all_pools_or_one(ctl):
    text = told(ctl("targets"))
    assert " since " not in text, "a column has it already"
    assert re.search(r"api +10\.0\.0\.2:80 +down +\d+m(\d+s)? .*it is down", text)
    assert "10.0.1.1:8080" in text
    assert "10.0.1.1:8080" not in told(ctl("targets", "api"))
    assert told(ctl("targets", "--state", "down")).count("10.0.") == 1


def test_removed_targets_are_shown_while_they_have_sessions(ctl, admin):
    gone = [target(f"10.0.9.{n}:80", 90 + n, state="removed", open=n) for n in (0, 1)]
    admin.answers["GET /v1/pools/api"] = {**pool("api"), "members": gone}
    assert "10.0.9.0" not in told(ctl("targets", "api"))
    assert "10.0.9.1" in told(ctl("targets", "api"))
    assert "10.0.9.0" in told(ctl("targets", "api", "--state", "removed"))


def test_a_weight_by_hand_is_shown_with_its_reason_and_its_sources(ctl, admin):
    word = {"kind": "none", "weight": 7, "who": "uid 0 (root)", "why": "canary", "until": None}
    one = target("10.0.0.1:80", 1, state="serving", weight=100, override=word)
    admin.answers["GET /v1/pools/api"] = {**pool("api"), "members": [one]}
    assert re.search(r" 7 \(100\) .*weight by uid 0 \(root\): canary", told(ctl("targets", "api")))
    admin.answers["PATCH /v1/targets/x"] = one
    assert "its weight is 7 instead of 100" in told(ctl("set-weight", "x", "7"))


def test_a_drain_says_when_what_is_left_is_closed(ctl, admin):
    one = target("10.0.0.1:80", 1, state="draining", open=2, drain_deadline="2099-01-01T00:00:00Z")
    admin.answers["PATCH /v1/targets/x"] = one
    assert re.search(r"what is still open in \d+d", told(ctl("drain", "x")))


def test_a_set_that_cannot_be_read_is_said_plainly(ctl):
    assert "-1" not in ctl("put-targets", "api", "new", "/nonexistent.json").stderr


def test_targets_as_json_are_one_document(ctl):
    document = json.loads(told(ctl("targets", "--json")))
    assert [p["name"] for p in document["pools"]] == ["api", "web"]
    assert json.loads(told(ctl("targets", "web", "--json")))["members"][0]["key"] == "3"


def test_an_unknown_pool_is_the_servers_word(ctl):
    result = ctl("targets", "apy")
    assert result.returncode == REFUSED
    assert "nothing at GET /v1/pools/apy" in result.stderr


def test_names_are_encoded_on_their_way(ctl, admin):
    ctl("explain", "db.internal:5432/10.0.0.1", "--pool", "a b&c")
    assert admin.asked() == [
        ("/v1/targets/db.internal%3A5432%2F10.0.0.1/explain?pool=a%20b%26c", None)
    ]


def test_explain_has_reason_health_override_and_history(ctl, admin):
    admin.answers["GET /v1/targets/x/explain"] = {
        **target(
            "10.0.0.2:80",
            2,
            state="down",
            reason="connect refused, 3 of 3 checks failed",
            health={
                "status": "down",
                "checked": "2026-01-01T00:00:00.000Z",
                "took_ms": 1.25,
                "text": "connect refused",
                "passed": 0,
                "failed": 3,
            },
            override={
                "kind": "drain",
                "weight": None,
                "who": "uid 1000 (alice)",
                "why": "kernel update",
                "since": "2026-01-01T00:00:00.000Z",
                "until": "2099-01-01T00:00:00.000Z",
            },
        ),
        "history": [{"time": "2026-01-01T00:00:00.000Z", "text": "went down"}],
        "pool_state": {"panic": True, "usable": 2, "healthy": 0},
    }
    text = told(ctl("explain", "x"))
    for part in (
        "connect refused, 3 of 3 checks failed",
        "3 in a row failed",
        "drain by uid 1000 (alice)",
        "kernel update",
        "2099-01-01T00:00:00.000Z (in ",
        "went down",
        "panic",
    ):
        assert part in text, part


def test_a_name_that_fits_several_lists_them(ctl, admin):
    admin.answers["GET /v1/targets/x/explain"] = (
        409,
        {"error": "several targets fit", "candidates": ["a/10.0.0.1:80", "b/10.0.0.1:80"]},
    )
    result = ctl("explain", "x")
    assert result.returncode == REFUSED
    assert "several targets fit" in result.stderr
    assert "perhaps b/10.0.0.1:80" in result.stderr


def test_what_a_server_says_cannot_move_the_cursor(ctl, admin):
    admin.answers["GET /v1/targets/x/explain"] = (409, {"error": "bad\x1b[2J\x9b thing"})
    assert "\x1b" not in ctl("explain", "x").stderr
    evil = pool("a\x1b[31m\nb")
    admin.answers["GET /v1/pools"] = {"pools": [evil]}
    text = told(ctl("pools"))
    assert "\x1b" not in text and len(text.splitlines()) == 2


def test_tables_align_by_columns_and_not_by_bytes(ctl, admin):
    names = ["api", "größe", "日本", "e\u0301"]
    admin.answers["GET /v1/pools"] = {"pools": [pool(name) for name in names]}
    lines = told(ctl("pools")).splitlines()[1:]
    wide = {"日本": 4, "e\u0301": 1}
    starts = {
        wide.get(name, len(name)) + len(re.match(rf"{name}( +)", line)[1])
        for name, line in zip(names, lines)
    }
    assert len(starts) == 1


# ---- sessions ----


def test_sessions_are_filtered_by_the_server(ctl, admin):
    text = told(ctl("sessions", "--pool", "api", "--target", "10.0.0.1:80", "--top"))
    assert "192.0.2.7:40001" in text and "2.5 MB" in text and "1m1s" in text
    path, _ = admin.asked()[0]
    for part in ("pool=api", "target=10.0.0.1%3A80", "sort=bytes", "limit=20"):
        assert part in path, part


def test_sessions_follow_pages_up_to_the_limit(ctl, admin):
    admin.answers["GET /v1/sessions"] = [
        {"sessions": [session(n) for n in range(1, 4)], "next": "3"},
        {"sessions": [session(n) for n in range(4, 7)], "next": "6"},
        {"sessions": [session(n) for n in range(7, 10)], "next": "9"},
    ]
    result = ctl("sessions", "--limit", "6")
    assert len(told(result).splitlines()) == 1 + 6
    assert "--after 6" in result.stderr
    assert [re.findall(r"after=(\d+)", path) for path, _ in admin.asked()] == [[], ["3"]]


# ---- events ----


def test_events_are_the_last_few_in_order(ctl, admin):
    text = told(ctl("events", "--limit", "2"))
    assert "event 1" not in text
    assert text.index("event 2") < text.index("event 3")


def test_events_can_be_of_one_target(ctl, admin):
    admin.answers["GET /v1/events"] = [
        {"events": [event(1), event(2, target="10.0.0.2:80")], "last_id": 2},
        {"events": [], "last_id": 2},
    ]
    text = told(ctl("events", "--target", "10.0.0.2:80"))
    assert "event 2" in text and "event 1" not in text


def test_followed_events_come_as_they_happen_one_json_a_line(admin):
    admin.answers["GET /v1/events"] = [
        {"events": [event(1)], "last_id": 1},
        {"events": [], "last_id": 1},
        {"events": [event(2)], "last_id": 2},
        (503, {"error": "ending"}),
    ]
    process = start("events", "--follow", "--json", admin=admin.path)
    out, err = process.communicate(timeout=10)
    assert process.returncode == REFUSED and "ending" in err
    *events, error = map(json.loads, out.splitlines())
    assert [e["id"] for e in events] == [1, 2] and error == {"error": "ending"}
    asked = [path for path, _ in admin.asked()]
    assert "wait_s" not in asked[1] and "wait_s" in asked[2]
    assert "after=1" in asked[2] and "after=2" in asked[3]


# ---- health ----


def test_health_is_told_by_the_exit_status(ctl, admin):
    assert told(ctl("health")) == "healthy\n"
    admin.answers["GET /v1/status"] = status(pools=[pool("api"), pool("web", usable=0)])
    text = told(ctl("health"), UNHEALTHY)
    assert "pool web has no usable target" in text
    assert told(ctl("health", "--pool", "api"))
    assert ctl("health", "--pool", "apy").returncode == REFUSED


@pytest.mark.parametrize(
    "state, reason",
    [
        ({"phase": "lame_duck"}, "lame_duck"),
        ({"ready": False, "not_ready_reason": "still binding"}, "still binding"),
        ({"pools": [pool("api", panic=True)]}, "panic"),
    ],
)
def test_health_gives_every_reason_against_it(ctl, admin, state, reason):
    admin.answers["GET /v1/status"] = status(**state)
    assert reason in told(ctl("health"), UNHEALTHY)
    assert json.loads(told(ctl("health", "--json"), UNHEALTHY))["pid"] == 4711


def test_health_waits_for_a_proxy_that_is_not_there_yet(tmp_path):
    path = tmp_path / "late.sock"
    process = start("health", "--wait=10s", admin=path)
    fake = FakeAdmin(path, answers())
    out, _ = process.communicate(timeout=15)
    fake.close()
    assert (process.returncode, out) == (OK, "healthy\n")


def test_health_waits_no_longer_than_it_was_told(ctl, admin):
    admin.answers["GET /v1/status"] = status(ready=False)
    assert ctl("health", "--wait=200ms").returncode == TIMED_OUT


# ---- changing targets ----


@pytest.mark.parametrize(
    "args, body",
    [
        (("set-weight", "10.0.0.1:80", "50"), {"weight": 50}),
        (("set-weight", "10.0.0.1:80", "default"), {"weight": None}),
        (
            ("set-weight", "10.0.0.1:80", "0", "--for", "90m", "--why", "canary"),
            {"weight": 0, "for_s": 5400, "why": "canary"},
        ),
        (("drain", "10.0.0.1:80"), {"override": "drain"}),
        (("drain", "10.0.0.1:80", "--for", "1500ms"), {"override": "drain", "for_s": 2}),
        (("undrain", "10.0.0.1:80"), {"override": "none"}),
        (
            ("maint", "10.0.0.1:80", "--until", "2099-01-02T03:04:05Z", "--why", "größer"),
            {"override": "maintenance", "until": "2099-01-02T03:04:05Z", "why": "größer"},
        ),
    ],
)
def test_overrides_are_one_patch(ctl, admin, args, body):
    admin.answers["PATCH /v1/targets/10.0.0.1%3A80"] = target("10.0.0.1:80", 1, state="draining")
    text = told(ctl(*args, "--pool", "api"))
    assert "10.0.0.1:80 in pool api: draining (" in text and "3 open sessions" in text
    assert admin.asked("PATCH") == [("/v1/targets/10.0.0.1%3A80?pool=api", body)]


def test_a_refused_change_exits_1_with_the_reason(ctl, admin):
    admin.answers["DELETE /v1/targets/x"] = (409, {"error": "config lists it: drain it instead"})
    result = ctl("remove-target", "x")
    assert result.returncode == REFUSED
    assert "drain it instead" in result.stderr
    refused = ctl("remove-target", "x", "--json")
    assert json.loads(told(refused, REFUSED))["error"].startswith("config lists it")


def test_waiting_for_a_drain_asks_by_key_until_nothing_is_open(ctl, admin):
    busy = target("10.0.0.1:80", 17, state="draining", open=2)
    empty = {**busy, "open": 0}
    admin.answers["PATCH /v1/targets/x"] = busy
    admin.answers["GET /v1/targets/17/explain"] = [busy, busy, empty]
    assert "0 open sessions" in told(ctl("drain", "x", "--wait"))
    assert len(admin.asked("GET")) == 3


def test_waiting_ends_with_a_target_that_is_forgotten(ctl, admin):
    admin.answers["DELETE /v1/targets/x"] = target("10.0.0.1:80", 17, state="removed", open=2)
    admin.answers["GET /v1/targets/17/explain"] = (404, {"error": "no such target"})
    assert ctl("remove-target", "x", "--wait=5s").returncode == OK


def test_waiting_too_long_exits_4_and_says_what_is_left(ctl, admin):
    busy = target("10.0.0.1:80", 17, state="draining", open=2)
    admin.answers["PATCH /v1/targets/x"] = busy
    admin.answers["GET /v1/targets/17/explain"] = busy
    result = ctl("drain", "x", "--wait=300ms", "--json")
    assert result.returncode == TIMED_OUT
    assert "2 open sessions" in result.stderr
    assert json.loads(result.stdout)["open"] == 2


def test_a_target_is_added_with_what_was_said_of_it(ctl, admin):
    admin.answers["POST /v1/pools/api/targets"] = (201, target("10.0.0.3:80", 5))
    told(ctl("add-target", "api", "10.0.0.3:80"))
    told(
        ctl(
            *("add-target", "api", "10.0.0.3:80", "--id", "i-1", "--weight", "0", "--backup"),
            *("--zone", "eu-west-1c", "--max-connections", "9"),
        )
    )
    assert admin.asked("POST") == [
        ("/v1/pools/api/targets", {"address": "10.0.0.3:80"}),
        (
            "/v1/pools/api/targets",
            {
                "address": "10.0.0.3:80",
                "id": "i-1",
                "weight": 0,
                "backup": True,
                "zone": "eu-west-1c",
                "max_connections": 9,
            },
        ),
    ]


def test_a_set_of_targets_gets_the_next_generation(ctl, admin, tmp_path):
    admin.answers["PUT /v1/pools/api/sources/config"] = {"result": "applied", "generation": 5}
    admin.answers["PUT /v1/pools/api/sources/new"] = {"result": "same", "generation": 9}
    file = tmp_path / "set.json"
    file.write_text('[{"address": "10.0.0.3:80"}]')
    assert "applied: generation 5" in told(ctl("put-targets", "api", "config", file))
    set9 = '{"generation": 9, "targets": []}'
    assert "same: generation 9" in told(ctl("put-targets", "api", "new", "-", stdin=set9))
    assert admin.asked("PUT") == [
        (
            "/v1/pools/api/sources/config",
            {"generation": 5, "targets": [{"address": "10.0.0.3:80"}]},
        ),
        ("/v1/pools/api/sources/new", {"generation": 9, "targets": []}),
    ]


def test_a_set_that_is_no_json_is_refused_with_its_line(ctl, admin):
    result = ctl("put-targets", "api", "x", "-", stdin="[\n{,}]")
    assert result.returncode == USAGE
    assert "-:2:" in result.stderr
    assert admin.requests == []


# ---- sessions, listeners, the proxy ----


def test_sessions_are_closed_with_or_without_a_reset(ctl, admin):
    admin.answers["DELETE /v1/targets/x/sessions"] = (202, {"closing": 2})
    admin.answers["DELETE /v1/sessions/12"] = {}
    assert "closing 2 sessions" in told(ctl("close-sessions", "x", "--spread", "30s"))
    told(ctl("close-sessions", "x", "--rst", "--pool", "api"))
    told(ctl("kill-session", "12"))
    told(ctl("kill-session", "12", "--rst"))
    assert [path for path, _ in admin.asked("DELETE")] == [
        "/v1/targets/x/sessions?spread_s=30",
        "/v1/targets/x/sessions?pool=api&rst=1",
        "/v1/sessions/12",
        "/v1/sessions/12?rst=1",
    ]


def test_a_listener_is_paused_and_resumed(ctl, admin):
    paused = {**status()["listeners"][0], "state": "paused"}
    admin.answers["POST /v1/listeners/front/pause"] = paused
    admin.answers["POST /v1/listeners/front/resume"] = status()["listeners"][0]
    assert "front is paused" in told(ctl("listener", "pause", "front"))
    assert "front is listening" in told(ctl("listener", "resume", "front"))


def test_a_reload_prints_every_error_of_the_configuration(ctl, admin):
    admin.answers["POST /v1/reload"] = [
        {"generation": 4, "warnings": ["pool web: no target"]},
        (
            422,
            {
                "error": "the configuration is invalid, nothing was changed",
                "errors": ["sluice.yaml:3:5: unknown key", "sluice.yaml:9:1: no pool"],
                "warnings": ["sluice.yaml:1:1: odd"],
            },
        ),
    ]
    result = ctl("reload")
    assert "generation 4" in told(result) and "pool web: no target" in result.stderr
    result = ctl("reload", "--wait=5s")
    assert result.returncode == REFUSED
    assert "sluice.yaml:3:5: unknown key" in result.stderr
    assert "sluice.yaml:9:1: no pool" in result.stderr
    assert "warning: sluice.yaml:1:1: odd" in result.stderr


def test_an_answer_that_takes_too_long_exits_4(ctl, admin):
    released = threading.Event()
    admin.answers["POST /v1/reload"] = lambda: released.wait(20) and {"generation": 4}
    result = ctl("reload", "--wait=200ms")
    released.set()
    assert result.returncode == TIMED_OUT


def test_draining_the_proxy_waits_until_its_socket_is_silent(admin):
    admin.answers["POST /v1/drain"] = (202, status(phase="lame_duck"))
    process = start("drain", "--self", "--wait", admin=admin.path)
    eventually(lambda: len(admin.asked("GET")) >= 2, "it asks whether the proxy is gone")
    assert process.poll() is None
    admin.close()
    out, err = process.communicate(timeout=10)
    assert process.returncode == OK, err
    assert "lame_duck" in out
    assert admin.asked("POST") == [("/v1/drain", {"exit": True})]


def test_draining_ends_when_another_process_took_over(ctl, admin):
    admin.answers["POST /v1/drain"] = (202, status(phase="lame_duck"))
    admin.answers["GET /v1/status"] = [status(phase="lame_duck"), status(pid=4712)]
    assert ctl("drain", "--self", "--wait=10s").returncode == OK


def test_a_drain_is_taken_back(ctl, admin):
    admin.answers["DELETE /v1/drain"] = [{}, (409, {"error": "too late: listeners are closed"})]
    assert told(ctl("undrain", "--self"))
    assert ctl("undrain", "--self").returncode == REFUSED


# ---- pipes and interrupts ----


def test_a_full_disk_behind_stdout_is_no_success(admin):
    with open("/dev/full", "w") as full:
        process = start("pools", admin=admin.path, stdout=full)
        _, err = process.communicate(timeout=10)
    assert process.returncode == REFUSED and "No space left" in err


def test_following_ends_by_an_interrupt(admin):
    process = start("events", "--follow", admin=admin.path)
    eventually(lambda: len(admin.requests) > 2, "it follows")
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=10 * PATIENCE)
    assert process.returncode == -signal.SIGINT


# ---- the canned answers ----


def test_the_canned_answers_are_what_the_api_describes():
    for what, answer in answers().items():
        method, path = what.split(" ", 1)
        for body in answer if isinstance(answer, list) else [answer]:
            Api().check_answer(method, path, 200, body)
