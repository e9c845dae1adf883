# SPDX-License-Identifier: Apache-2.0
"""sluice-control as seen from outside: its API on the socket and by TCP, its description, its
figures, approvals and who is told of them, and peers that mean no good."""

import os
import signal
import socket
import subprocess
import time

import jsonschema
import pytest
from harness.address import free_address, text
from harness.admin import Admin
from harness.openapi import Api
from harness.pair import Pair
from harness.sluice import PATIENCE
from harness.wait import eventually

A, B, C, D = (f"127.0.0.{number}:9" for number in (11, 12, 13, 14))
DESCRIPTION = "control/serve/openapi.json"
FEED = "/v1/discovery/p/a"


def write(path, *addresses):
    draft = path.with_suffix(".new")
    draft.write_text("".join(f"- {address}\n" for address in addresses) or "[]\n")
    draft.rename(path)


@pytest.fixture
def targets(tmp_path):
    path = tmp_path / "targets.yaml"
    write(path, A, B)
    return path


@pytest.fixture
def both(sluice, tmp_path, targets):
    """A proxy with two targets of a file, and its daemon; `http` is where that may be read."""
    pools = [{"name": "p", "discover": {"file": {"name": "a", "path": str(targets)}}}]
    http = free_address()
    made = Pair(sluice, None, pools, directory=tmp_path, control={"http": text(http)})
    made.http = Admin(http)
    made.start()
    made.wait_addresses("p", [A, B])
    eventually(lambda: made.daemon.discovery()["ready"], "it is ready", 10 * PATIENCE)
    yield made
    made.close()


def hold(both, targets, *addresses):
    """Have the file say what is not believed."""
    write(targets, *addresses)
    both.daemon.refresh("p", "a")
    return eventually(lambda: both.daemon.feed("p", "a")["held"], "it is held", 10 * PATIENCE)


# ---- what is said ----

# method, path, body, status; of these nothing is held yet
CALLS_BEFORE = [
    ("post", f"{FEED}/reject", None, 404),
    ("post", f"{FEED}/approve", {"digest": None}, 404),
]
# The file is empty by then, and what it says held.
CALLS = [
    ("get", "/openapi.json", None, 200),
    ("get", "/metrics", None, 200),
    ("get", "/healthz", None, 200),
    ("get", "/readyz", None, 200),
    ("get", "/v1/discovery", None, 200),
    ("get", FEED, None, 200),
    ("get", "/v1/discovery/p/none", None, 404),
    ("get", "/v1/events", None, 200),
    ("get", "/v1/events?limit=1001", None, 400),
    ("get", "/v1/events?after=1&limit=2&wait_s=1", None, 200),
    ("post", f"{FEED}/refresh", None, 200),
    ("post", f"{FEED}/refresh", {"digest": "x"}, 400),
    ("post", "/v1/discovery/p/none/refresh", None, 404),
    ("post", f"{FEED}/approve", {"digest": "0" * 32}, 409),
    ("post", f"{FEED}/approve", {"digest": 7}, 400),
    ("post", f"{FEED}/reject", {"digest": None}, 400),
    ("post", f"{FEED}/reject", {}, 200),
]


def test_every_answer_is_as_described(both, targets):
    api, called = Api(DESCRIPTION), set()
    for calls in (CALLS_BEFORE, CALLS):
        for method, url, body, status in calls:
            answer = both.daemon.admin.ask(method.upper(), url, body)
            assert answer.status == status, f"{method} {url}: {answer}"
            called.add(api.check(method, url, answer))
        hold(both, targets)
    answer = both.daemon.admin.ask("POST", f"{FEED}/approve")
    assert answer.status == 200
    called.add(api.check("post", f"{FEED}/approve", answer))
    assert called == api.described()


def test_the_program_has_the_description_of_this_tree(both):
    document = both.daemon.admin.get("/openapi.json")
    assert document == Api(DESCRIPTION).document
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_a_source_that_fails_is_as_described(both, targets):
    targets.unlink()
    both.daemon.refresh("p", "a")
    error = eventually(lambda: both.daemon.feed("p", "a")["error"], "an error", 10 * PATIENCE)
    assert str(targets) in error["text"]
    answer = both.daemon.admin.ask("GET", FEED)
    Api(DESCRIPTION).check("get", FEED, answer)
    assert [m["address"] for m in answer.json["members"]] == [A, B]


def test_the_proxy_is_described(both):
    found = both.daemon.discovery()
    assert found["proxy"] == {
        "up": True,
        "socket": str(both.doors.path),
        "problem": None,
        "pid": both.proxy.pid,
    }
    assert found["pid"] == both.daemon.pid
    assert found["ready"] and found["not_ready_reason"] is None
    both.proxy.stop()

    def lost():
        proxy = both.daemon.discovery()["proxy"]
        assert not proxy["up"] and proxy["problem"] and proxy["pid"] is None
        return True

    eventually(lost, "the proxy is lost", 10 * PATIENCE)
    answer = both.daemon.admin.ask("GET", "/readyz")
    assert answer.status == 503 and str(both.doors.path) in answer.json["reason"]
    assert both.daemon.admin.ask("GET", "/healthz").status == 200


def test_it_is_not_ready_before_its_sources_are(sluice, tmp_path):
    pools = [{"name": "p", "discover": {"file": {"path": str(tmp_path / "absent.yaml")}}}]
    both = Pair(sluice, None, pools, directory=tmp_path)
    try:
        both.start()
        answer = both.daemon.admin.ask("GET", "/readyz")
        assert answer.status == 503
        eventually(
            lambda: "absent.yaml" in both.daemon.admin.ask("GET", "/readyz").json["reason"],
            "the reason",
            10 * PATIENCE,
        )
        write(tmp_path / "absent.yaml", A)
        eventually(
            lambda: both.daemon.admin.ask("GET", "/readyz").status == 200, "ready", 10 * PATIENCE
        )
    finally:
        both.close()


# ---- what is decided ----


def test_an_empty_set_is_let_through_by_whoever_looked_at_it(both, targets):
    held = hold(both, targets)
    assert held["why"] == "empty" and held["targets"] == 0
    assert [(c["change"], c["address"]) for c in held["diff"]] == [("removed", A), ("removed", B)]
    both.daemon.do_feed("p", "a", "approve", {"digest": "0" * 32}, status=409)
    assert both.addresses("p") == [A, B]
    after = both.daemon.do_feed("p", "a", "approve", {"digest": held["digest"]})
    assert after["held"] is None and after["targets"] == 0
    both.wait_addresses("p", [])


def test_a_decision_is_audited_with_its_user(both, targets):
    hold(both, targets)
    both.daemon.do_feed("p", "a", "approve", {"digest": "0" * 32}, status=409)
    both.daemon.do_feed("p", "a", "approve")
    events = both.daemon.admin.events()
    refused, done = [e for e in events if e["kind"] == "audit" and "approve" in e["text"]]
    assert f"uid {os.getuid()} " in done["text"] and f"pid {os.getpid()}:" in done["text"]
    assert done["text"].endswith(f"POST {FEED}/approve: 200") and done["level"] == "info"
    assert f"POST {FEED}/approve: 409" in refused["text"] and refused["level"] == "warn"
    assert [e for e in events if e["kind"] == "approved" and f"uid {os.getuid()}" in e["text"]]


def test_a_rejected_set_is_held_anew(both, targets):
    first = hold(both, targets)
    assert both.daemon.do_feed("p", "a", "reject")["held"] is None
    assert hold(both, targets)["digest"] == first["digest"]
    assert both.addresses("p") == [A, B]


def test_by_tcp_it_may_only_be_read(both, targets):
    held = hold(both, targets)
    for verb in ("approve", "reject", "refresh"):
        answer = both.http.ask("POST", f"{FEED}/{verb}", {})
        assert answer.status == 403 and "Unix socket" in answer.json["error"]
    assert both.daemon.feed("p", "a")["held"]["digest"] == held["digest"]
    assert both.http.get(FEED)["members"]
    answer = both.http.ask("GET", "/v1/discovery", headers={"Host": "evil.example"})
    assert answer.status == 421


def test_the_socket_has_the_mode_it_was_given(sluice, tmp_path, targets):
    pools = [{"name": "p", "discover": {"file": {"path": str(targets)}}}]
    both = Pair(sluice, None, pools, directory=tmp_path, control={"mode": "0600"})
    try:
        both.start()
        assert both.socket.stat().st_mode & 0o777 == 0o600
        both.daemon.stop()
        assert not both.socket.exists()
    finally:
        both.close()


# ---- events ----


def test_a_long_poll_ends_with_the_next_event(both, targets):
    last = both.daemon.admin.get("/v1/events")["last_id"]
    connection = both.daemon.admin.connection()
    connection.request("GET", f"/v1/events?after={last}&wait_s=30")
    began = time.monotonic()
    write(targets, A, B, C)
    answer = connection.getresponse()
    assert answer.status == 200
    assert b'"target_added"' in answer.read()
    assert time.monotonic() - began < 29
    connection.close()


def test_a_long_poll_without_an_event_ends_by_itself(both):
    last = both.daemon.admin.get("/v1/events")["last_id"]
    assert both.daemon.admin.get(f"/v1/events?after={last}&wait_s=1") == {
        "events": [],
        "last_id": last,
    }


def test_whoever_waits_is_told_of_the_end(both):
    last = both.daemon.admin.get("/v1/events")["last_id"]
    connection = both.daemon.admin.connection()
    connection.request("GET", f"/v1/events?after={last}&wait_s=30")
    both.daemon.admin.get("/healthz")
    both.daemon.signal(signal.SIGTERM)
    assert connection.getresponse().status in (200, 503)
    connection.close()
    assert both.daemon.wait_exit() == 0


def test_who_leaves_while_waiting_is_forgotten(both, targets):
    last = both.daemon.admin.get("/v1/events")["last_id"]
    for _ in range(5):
        peer = both.daemon.admin.socket()
        peer.sendall(f"GET /v1/events?after={last}&wait_s=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        peer.close()
    assert both.daemon.admin.get(f"/v1/events?after={last}&wait_s=2")["last_id"] == last
    write(targets, A, B, C)
    both.wait_addresses("p", [A, B, C])


# ---- figures ----


def figures(both):
    answer = both.http.ask("GET", "/metrics")
    assert answer.status == 200
    return answer.text


def test_metrics_pass_promtool(both, targets):
    hold(both, targets)
    result = subprocess.run(
        ["promtool", "check", "metrics"], input=figures(both), text=True, capture_output=True
    )
    assert result.returncode == 0 and not result.stderr, result.stderr + result.stdout


def test_figures_follow_what_happens(both, targets):
    labels = '{pool="p",source="a",kind="file"}'
    lines = figures(both).splitlines()
    assert f"sluice_control_source_targets{labels} 2" in lines
    assert f"sluice_control_source_held{labels} 0" in lines
    assert f"sluice_control_source_pushed{labels} 1" in lines
    assert "sluice_control_proxy_up 1" in lines and "sluice_control_ready 1" in lines
    assert 'sluice_control_source_origin{pool="p",source="a",kind="file",origin="source"} 1' in lines
    assert f"sluice_control_source_age_seconds{labels} " in figures(both)
    hold(both, targets)
    lines = figures(both).splitlines()
    assert f"sluice_control_source_held{labels} 1" in lines
    assert f"sluice_control_source_holds_total{labels} 1" in lines
    targets.unlink()
    both.daemon.refresh("p", "a")
    eventually(lambda: f"sluice_control_source_failing{labels} 0" not in figures(both), "failing")


def test_credentials_and_calls_are_counted(strict, pair):
    conf = {"cluster": "prod", "service": "api", "port": 80, "region": "eu-west-1"}
    both = pair(strict, [{"name": "p", "discover": {"ecs": conf}}])
    both.daemon.wait_event("source_failed")
    found = both.daemon.admin.ask("GET", "/metrics").text
    calls = [line for line in found.splitlines() if "aws_calls_total{" in line]
    assert 'sluice_control_aws_calls_total{service="ecs"} 0' not in calls
    assert 'sluice_control_aws_calls_total{service="ec2"} 0' in calls
    for name in ("retries", "throttles", "budget_waits", "errors"):
        assert f"sluice_control_aws_{name}_total{{" in found
    result = subprocess.run(
        ["promtool", "check", "metrics"], input=found, text=True, capture_output=True
    )
    assert result.returncode == 0 and not result.stderr, result.stderr


# ---- peers that mean no good ----

MALFORMED = [
    b"\x00\xff\xfe\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /v1/discovery HTTP/9.9\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/discovery/%00/a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a/" * 500 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/events?after=-1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/events?after=1&after=2 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
    b"POST /v1/discovery/p/a/approve HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /v1/discovery/p/a/approve HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n[[[[[",
    b"POST /v1/discovery/p/a/approve HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_what_is_malformed_is_refused(both, number):
    for door in (both.daemon.admin, both.http):
        with door.socket() as peer:
            try:
                peer.sendall(MALFORMED[number])
                peer.shutdown(socket.SHUT_WR)
                said = peer.recv(65536)
            except ConnectionError:
                said = b""
        assert not said or said.split()[1][:1] == b"4" or said.split()[1] == b"505", said[:200]
    assert both.daemon.admin.get("/healthz")["healthy"]
    assert both.addresses("p") == [A, B]


def test_a_peer_that_is_slow_delays_nobody(both, targets):
    slow = [both.daemon.admin.socket() for _ in range(20)]
    for peer in slow:
        peer.sendall(b"POST /v1/discovery/p/a/refresh HTTP/1.1\r\nHost: x\r\nContent-Le")
    write(targets, A, B, C)
    both.wait_addresses("p", [A, B, C])
    assert both.daemon.discovery()["ready"]
    for peer in slow:
        peer.close()


def test_too_many_peers_leave_the_daemon_at_work(both, targets):
    crowd = []
    for _ in range(200):
        peer = socket.create_connection(both.http.where)
        crowd.append(peer)
    write(targets, A, B, C)
    both.wait_addresses("p", [A, B, C])
    assert both.daemon.discovery()["ready"]
    for peer in crowd:
        peer.close()

    def has_room():
        try:
            return both.http.ask("GET", "/healthz").status == 200
        except OSError:
            return False  # those who left are not all gone yet

    eventually(has_room, "room for one more", 10 * PATIENCE)


def test_a_taken_address_fails_the_start(both, tmp_path):
    second = both.start_daemon(wait=False)
    assert second.wait_exit() == 1
    failed = second.events("serve_failed")
    assert failed and str(both.socket) in failed[0].text
    assert both.daemon is second
    assert Admin(both.socket).get("/healthz")["healthy"]
