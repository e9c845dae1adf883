# SPDX-License-Identifier: Apache-2.0
"""Every counter of /metrics moves when it should, and what is built on it knows its names."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from fault import Faults
from harness import proxyproto
from harness.address import connect, free_address, text
from harness.admin import Doors, stopped_thread
from harness.conf import simple
from harness.metrics import (
    PACKAGING,
    Metrics,
    assert_known,
    described,
    labels_of,
    live,
    moved,
    moves,
    of_proxy,
    of_relay,
    promtool,
    scrape,
    wait_metric,
)
from harness.peers import echo, fill_all, read_all, read_exactly, turned_away
from harness.sluice import FAULT_BINARY, ROOT
from harness.tools import need, need_root, pump
from harness.wait import eventually

CLIENT, VISITED = ("192.0.2.7", 40112), ("198.51.100.4", 443)
CHECK = {"type": "tcp", "interval": "100ms", "fast_interval": "20ms", "timeout": "5s"}
KIB = 1024
PROMETHEUS = PACKAGING / "prometheus"
KERNELS = ("sluice_offload",)  # moved in tests/kernel
RULES = PROMETHEUS / "sluice.rules.yml"
RULES_TEST = Path(__file__).parent / "prometheus" / "rules_test.yml"


@pytest.fixture
def start(sluice, tmp_path):
    """start(target...) gives the Admin of a proxy; admin.front is where it listens."""

    def run(*targets, **sections):
        options = sections.pop("options", {})
        doors, front = Doors(tmp_path), sections.pop("front", free_address())
        config = simple(text(front), *targets, admin={"socket": str(doors.path)}, **sections)
        proxy = sluice(config=config, **options)
        admin = doors.full()
        admin.front, admin.proxy, admin.config = front, proxy, config
        return admin

    return run


def _talk(front, data=b"hello"):
    with connect(front) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == data


def _hold(front):
    client = connect(front)
    client.sendall(b"hi")
    assert read_exactly(client, 2) == b"hi"
    return client


# ---- counters ----


@moves(
    "sluice_sessions_total",
    "sluice_clients_total",
    "sluice_sessions_ended_total",
    "sluice_connects_total",
    "sluice_client_received_bytes_total",
    "sluice_client_sent_bytes_total",
    "sluice_syscalls_total",
    "sluice_worker_sessions_total",
    "sluice_worker_turns_total",
    "sluice_connect_duration_seconds",
    "sluice_first_byte_duration_seconds",
    "sluice_session_duration_seconds",
    "sluice_listener_accepted_total",
    "sluice_listener_received_bytes_total",
    "sluice_listener_sent_bytes_total",
    "sluice_listener_worker_accepted_total",
    "sluice_target_sessions_total",
    "sluice_target_sent_bytes_total",
    "sluice_target_received_bytes_total",
)
def test_sessions_and_bytes_are_exact(start, backend):
    def thrice(sock, _index):
        sock.sendall(3 * read_all(sock))
        sock.shutdown(socket.SHUT_WR)

    admin = start(text(backend(thrice).address), workers=2)
    for name, kind in scrape(admin).types.items():
        if kind != "gauge" and "_syscalls_" not in name and "_turns_" not in name:
            unmoved = scrape(admin).sum(name) == 0
            assert unmoved or name == "sluice_events_total", f"{name} before any session"
    for _ in range(20):
        with connect(admin.front) as client:
            client.sendall(b"x" * 5000)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"x" * 15000
    wait_metric(admin, "sluice_session_duration_seconds", 20)
    eventually(lambda: scrape(admin).sum("sluice_sessions_open") == 0, "the last one is over")
    seen = scrape(admin)
    for name in (
        "sluice_sessions_total",
        "sluice_clients_total",
        "sluice_sessions_ended_total",
        "sluice_connects_total",
        "sluice_worker_sessions_total",
        "sluice_connect_duration_seconds",
        "sluice_first_byte_duration_seconds",
        "sluice_listener_accepted_total",
        "sluice_listener_worker_accepted_total",
        "sluice_target_sessions_total",
    ):
        assert seen.sum(name) == 20, name
    for of, up, down in (
        ("client", "received", "sent"),
        ("listener", "received", "sent"),
        ("target", "sent", "received"),
    ):
        assert seen.sum(f"sluice_{of}_{up}_bytes_total") == 100_000, of
        assert seen.sum(f"sluice_{of}_{down}_bytes_total") == 300_000, of
    assert seen.sum("sluice_sessions_ended_total", reason="client_fin") == 20
    per_session = seen.sum("sluice_syscalls_total") / 20
    assert abs(seen.sum("sluice_syscalls_per_session") - per_session) < 0.01 * per_session
    per_gb = seen.sum("sluice_syscalls_total") / 400_000e-9
    assert abs(seen.sum("sluice_syscalls_per_gigabyte") - per_gb) < 0.01 * per_gb
    shares = seen.get("sluice_listener_worker_accepted_total").values()
    assert abs(seen.sum("sluice_listener_accept_imbalance_ratio") - max(shares) / 10) < 1e-9
    assert 0 < seen.sum("sluice_session_duration_seconds_sum") < 60
    assert seen.sum("sluice_sessions_open") == seen.sum("sluice_listener_sessions_open") == 0
    return admin


@moves("sluice_spliced_bytes_total")
def test_spliced_bytes_are_told_apart(start, pump_server):
    server = pump_server()
    admin = start(text(server.address), relay="splice")
    pump(admin.front, up=4_000_000, down=4_000_000, total=2, at_once=2)
    assert server.report()["exact"] == 2
    assert scrape(admin).sum("sluice_pipes_open") >= 0
    return admin


@moves("sluice_probes_total", "sluice_listener_probes_total")
def test_probes_are_counted(start, backend):
    admin = start(text(backend(echo).address), log={"format": "json"})
    connect(admin.front).close()
    return admin


@moves(
    "sluice_retries_total",
    "sluice_retries_denied_total",
    "sluice_target_retries_total",
    "sluice_target_connect_failures_total",
)
def test_failed_connects_and_retries_are_counted(start, refusing):
    dead = [text(refusing().address) for _ in range(3)]
    pool = {"retries": 2, "retry_budget": "20%", "outlier": {"failures": "off"}}
    admin = start(*dead, pool=pool)
    for _ in range(60):
        turned_away(admin.front)
    seen = wait_metric(admin, "sluice_sessions_ended_total", 60)
    connects = seen.sum("sluice_connects_total")
    assert seen.sum("sluice_target_connect_failures_total") == connects
    assert seen.sum("sluice_target_retries_total") == seen.sum("sluice_retries_total")
    assert seen.sum("sluice_sessions_ended_total", reason="connect_refused") == 60
    return admin


@moves(
    "sluice_listener_proxy_headers_total",
    "sluice_listener_proxy_errors_total",
    "sluice_listener_vpce_sessions_total",
)
def test_headers_and_endpoints_are_counted(start, backend):
    listener = {"proxy_protocol": "required", "trusted": ["127.0.0.2/32"]}
    admin = start(text(backend(echo).address), listener=listener)
    header = proxyproto.v2(CLIENT, VISITED, proxyproto.vpce("vpce-08d2bf15fac5001c9"))
    for _ in range(3):
        with connect(admin.front, source="127.0.0.2") as client:
            client.sendall(header + b"x")
            assert read_exactly(client, 1) == b"x"
    turned_away(admin.front, header)
    seen = wait_metric(admin, "sluice_listener_proxy_errors_total", 1, listener="front")
    assert seen.sum("sluice_listener_proxy_headers_total") == 3
    ids = seen.get("sluice_listener_vpce_sessions_total")
    assert ids == {(("listener", "front"), ("vpce", "vpce-08d2bf15fac5001c9")): 3}
    return admin


@moves("sluice_listener_shed_total")
def test_connections_beyond_a_limit_are_counted(start, backend):
    admin = start(text(backend(echo).address), listener={"max_connections": 1})
    with _hold(admin.front):
        turned_away(admin.front)
    return admin


@moves(
    "sluice_pool_queued_total", "sluice_pool_queue_refused_total", "sluice_pool_queue_timeouts_total"
)
def test_the_pools_queue_is_counted(start, backend, keep):
    pool = {"max_connections": 1, "queue": {"size": 1, "timeout": "4s"}}
    admin = start(text(backend(echo).address), pool=pool, workers=1)
    holder = keep(_hold(admin.front))
    seen = scrape(admin)
    assert seen.sum("sluice_pool_sessions_open") == seen.sum("sluice_pool_sessions_limit") == 1
    assert seen.sum("sluice_pool_queue_limit") == 1
    waiting = keep(connect(admin.front))
    waiting.sendall(b"x")
    wait_metric(admin, "sluice_pool_queue_sessions", 1)
    for _ in range(3):
        turned_away(admin.front, b"y")
    wait_metric(admin, "sluice_pool_queue_timeouts_total", 1)
    served = keep(connect(admin.front))
    served.sendall(b"z")
    wait_metric(admin, "sluice_pool_queue_sessions", 1)
    holder.close()
    assert read_exactly(served, 1) == b"z"
    seen = wait_metric(admin, "sluice_pool_queue_sessions", 0)
    assert seen.sum("sluice_pool_queued_total") == 2
    assert seen.sum("sluice_pool_queue_refused_total") == 3
    assert seen.sum("sluice_pool_queue_timeouts_total") == 1
    return admin


@moves("sluice_accept_pauses_total")
def test_a_listener_that_rests_is_counted(start, backend, keep):
    admin = start(text(backend(echo).address), workers=1)
    keep(*[_hold(admin.front) for _ in range(20)])
    usual = resource.prlimit(admin.proxy.pid, resource.RLIMIT_NOFILE)
    api = keep(admin.connection())  # there is no descriptor for another one, later
    api.request("GET", "/metrics")
    api.getresponse().read()
    resource.prlimit(admin.proxy.pid, resource.RLIMIT_NOFILE, (16, usual[1]))
    keep(connect(admin.front))

    def pauses():
        api.request("GET", "/metrics")
        return Metrics(api.getresponse().read().decode()).sum("sluice_accept_pauses_total")

    eventually(lambda: pauses() > 0, "the listener rests")
    resource.prlimit(admin.proxy.pid, resource.RLIMIT_NOFILE, usual)
    return admin


FAULTS = {
    "connect:EADDRNOTAVAIL:every:4": "sluice_source_ports_exhausted_total",
    "pipe2:EMFILE:1-": "sluice_pipe_refusals_total",
}
moved.update(FAULTS.values())


@pytest.mark.parametrize("rule, name", FAULTS.items())
def test_what_the_kernel_refuses_is_counted(start, pump_server, rule, name):
    server = pump_server()
    with Faults(rule) as faults:
        options = {"binary": FAULT_BINARY, "env": faults.env()}
        admin = start(text(server.address), relay="splice", options=options)
        faults.arm()
        for _ in range(8):
            try:
                pump(admin.front, up=200_000, down=200_000, total=1, at_once=1, deadline=20)
            except AssertionError:
                assert name == "sluice_source_ports_exhausted_total"
        faults.disarm()
        wait_metric(admin, name, lambda value: value > 0)


@moves("sluice_buffer_refusals_total")
def test_buffers_are_measured(start, listener, keep):
    server = listener()
    small = {"send_buffer": "4KiB", "receive_buffer": "4KiB"}
    admin = start(text(server.address), buffers="256KiB", workers=1, relay="copy", tcp=small)
    clients = []
    for _ in range(12):
        clients.append(keep(connect(admin.front)))
        clients[-1].sendall(b"x")
        keep(server.accept())
    fill_all(clients)
    seen = wait_metric(admin, "sluice_buffer_bytes", lambda value: value > 0)
    assert seen.sum("sluice_buffer_bytes") <= seen.sum("sluice_buffer_limit_bytes") == 256 * KIB
    return admin


@moves("sluice_flow_log_dropped_total")
def test_lines_that_the_flow_log_lost_are_counted(start, pump_server):
    server, (read_end, write_end) = pump_server(), os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, read_end)
        admin = start(
            text(server.address), workers=2, log={"format": "json"}, options={"stdout": write_end}
        )
        os.close(write_end)
        pump(admin.front, up=100, down=100, at_once=100, total=20_000, deadline=30)
        wait_metric(admin, "sluice_flow_log_dropped_total", lambda value: value > 0)
    return admin


@moves("sluice_target_cross_zone_bytes_total")
def test_bytes_that_cross_zones_are_told_by_target(start, backend):
    near, far = (
        {"address": text(backend(echo).address), "zone": zone} for zone in ("here", "there")
    )
    admin = start(near, far, zone="here", pool={"zone_aware": False})
    for _ in range(10):
        _talk(admin.front, b"x" * 1000)
    seen = wait_metric(admin, "sluice_sessions_ended_total", 10)
    crossed = {k: v for k, v in seen.get("sluice_target_cross_zone_bytes_total").items() if v}
    assert list(crossed.values()) == [10_000], "five sessions, a thousand bytes each way"
    assert dict(next(iter(crossed)))["target"] == far["address"]
    return admin


@moves("sluice_listener_queue_overflows_total")
def test_the_accept_queue_and_its_overflow_are_measured(start, backend, tmp_path, keep):
    """In a network namespace, whose queues are as short as the test says."""
    need_root("to make a network namespace")
    script = 'ip link set lo up && echo 4 >/proc/sys/net/core/somaxconn && exec "$@"'
    admin = start(
        f"unix:{tmp_path}/back",
        front=("127.0.0.1", 7000),
        workers=1,
        options={"prefix": (need("unshare"), "-n", "sh", "-c", script, "sh")},
    )
    admin.do("POST", "/v1/listeners/front/pause")
    seen = scrape(admin)
    assert seen.sum("sluice_listener_paused") == 1
    assert seen.sum("sluice_listener_queue_limit") == 4
    knock = (
        "import socket, sys\n"
        "held = [socket.socket() for _ in range(12)]\n"
        "for one in held: one.setblocking(False); one.connect_ex(('127.0.0.1', 7000))\n"
        "sys.stdin.read()\n"
    )
    inside = (need("nsenter"), "-t", str(admin.proxy.pid), "-n", sys.executable, "-c", knock)
    with subprocess.Popen(inside, stdin=subprocess.PIPE) as clients:
        seen = wait_metric(admin, "sluice_listener_queue_overflows_total", lambda value: value > 0)
        assert seen.sum("sluice_listener_queue_depth") == 5, "one more than its limit, tcp(7)"
        clients.stdin.close()
    admin.do("POST", "/v1/listeners/front/resume")
    wait_metric(admin, "sluice_listener_queue_depth", 0)
    return admin


@moves("sluice_events_total")
def test_reloads_are_events_and_the_last_one_is_remembered(start, backend):
    admin = start(text(backend(echo).address))
    assert scrape(admin).sum("sluice_events_total", kind="reloaded") == 0
    admin.proxy.reload("no: good\n", event="reload_failed")
    seen = wait_metric(admin, "sluice_config_last_reload_successful", 0)
    assert seen.sum("sluice_events_total", kind="reload_failed") == 1
    before = seen.sum("sluice_snapshot_generation")
    admin.proxy.reload(admin.config)
    seen = wait_metric(admin, "sluice_config_last_reload_successful", 1)
    assert seen.sum("sluice_snapshot_generation") > before
    return admin


def test_every_counter_was_moved_by_a_test(start, backend):
    types = scrape(start(text(backend(echo).address))).types
    counters = {name for name, kind in types.items() if kind != "gauge"}
    assert {name for name in counters if not name.startswith(KERNELS)} == moved


# ---- gauges ----


def test_targets_that_go_down_show_in_every_gauge(start, refusing, backend):
    bad, good = refusing(), backend(echo)
    pool = {"health": CHECK, "min_healthy": "80%"}
    admin = start(text(bad.address), text(good.address), pool=pool)
    seen = wait_metric(admin, "sluice_pool_panic", 1)
    of = {"pool": "back", "target": text(bad.address)}
    assert seen.sum("sluice_target_up", **of) == 0
    assert seen.sum("sluice_target_state", **of, state="down") == 1
    assert seen.sum("sluice_pool_targets", state="down") == 1
    assert seen.sum("sluice_pool_targets_healthy") == 1
    assert seen.sum("sluice_pool_targets_eligible") == 2
    assert seen.sum("sluice_pool_targets_usable") == 2, "panic uses all"
    bad.listen()
    seen = wait_metric(admin, "sluice_target_up", 1, **of)
    assert seen.sum("sluice_pool_panic") == 0
    assert seen.sum("sluice_target_effective_weight", **of) == 100
    assert len(seen.get("sluice_target_check_duration_seconds")) == 2
    assert 0 < seen.sum("sluice_target_check_duration_seconds") < 10


def test_backups_that_serve_show(start, refusing, backend):
    spare = {"address": text(backend(echo).address), "backup": True}
    admin = start(text(refusing().address), spare, pool={"health": CHECK})
    wait_metric(admin, "sluice_pool_backup_in_use", 1)


def test_open_sessions_show_and_take_source_ports(start, backend, keep):
    server = text(backend(echo, address=free_address()).address)  # nobody else's leftovers
    admin = start(server, workers=1)
    left = "sluice_target_source_ports_left"
    range_ = scrape(admin).sum("sluice_source_ports")
    wait_metric(admin, left, range_)
    keep(*[_hold(admin.front) for _ in range(7)])
    seen = scrape(admin)
    for name in ("sluice_sessions_open", "sluice_worker_sessions_open", "sluice_pool_sessions_open"):
        assert seen.sum(name) == 7, name
    assert seen.sum("sluice_target_sessions_open", target=server) == 7
    seen = wait_metric(admin, left, range_ - 7, within=20)
    assert seen.sum("sluice_worker_sessions_limit") == seen.sum("sluice_sessions_limit")


def test_sources_show_their_generation(start, backend):
    admin = start(text(backend(echo).address))
    path = "/v1/pools/back/sources/fleet"
    admin.do("PUT", path, {"generation": 41, "targets": [{"address": "127.0.0.1:9"}]})
    of = {"pool": "back", "source": "fleet"}
    seen = scrape(admin)
    assert seen.sum("sluice_pool_source_generation", **of) == 41
    assert seen.sum("sluice_pool_source_targets", **of) == 1
    assert 0 <= seen.sum("sluice_pool_source_age_seconds", **of) < 60


def test_a_drain_shows(start, backend, keep):
    admin = start(text(backend(echo).address), drain_timeout="20s")
    client = keep(_hold(admin.front))
    seen = scrape(admin)
    assert seen.sum("sluice_phase", phase="serving") == seen.sum("sluice_ready") == 1
    admin.proxy.signal(signal.SIGTERM)
    seen = wait_metric(admin, "sluice_phase", 1, phase="sessions")
    assert seen.sum("sluice_phase") == 1
    assert seen.sum("sluice_ready") == 0
    client.close()


def test_a_worker_that_stands_still_turns_no_more(start, backend):
    admin = start(text(backend(echo).address), workers=1)
    with stopped_thread(admin.proxy, "worker-0"):
        before = scrape(admin).sum("sluice_worker_turns_total")
        assert scrape(admin).sum("sluice_worker_turns_total") == before
    wait_metric(admin, "sluice_worker_turns_total", lambda value: value > before)


# ---- what is built on it ----


def test_promtool_has_nothing_to_say(start, backend, keep):
    odd = {"address": text(backend(echo).address), "id": 'an"odd\\id'}
    admin = start(odd, pool={"health": CHECK})
    keep(_hold(admin.front))
    seen = wait_metric(admin, "sluice_target_source_ports_left", lambda value: value > 0)
    assert promtool("check", "metrics", stdin=seen.text) == ""
    names = {dict(labels)["target"] for labels in seen.get("sluice_target_up")}
    assert names == {f'an\\"odd\\\\id/{odd["address"]}'}


def _live(start, backend):
    """The metrics of a proxy that has one of everything."""
    target = text(backend(echo).address)
    listener = {"proxy_protocol": "required", "trusted": ["127.0.0.0/8"]}
    admin = start(target, listener=listener, pool={"health": CHECK})
    header = proxyproto.v2(CLIENT, VISITED, proxyproto.vpce("vpce-08d2bf15fac5001c9"))
    with connect(admin.front) as client:
        client.sendall(header + b"x")
        assert read_exactly(client, 1) == b"x"
    wait_metric(admin, "sluice_target_source_ports_left", lambda value: value > 0)
    return wait_metric(admin, "sluice_target_check_duration_seconds", lambda value: value > 0)


def test_every_metric_is_described(start, backend):
    assert described(of_relay) == live(_live(start, backend))


def test_the_dashboard_asks_for_what_there_is(start, backend, tmp_path):
    expressions, seen = [], _live(start, backend)
    dashboard = json.loads((PACKAGING / "grafana" / "sluice.json").read_text())
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    assert set(variables) == {"datasource", "instance", "pool", "control"}
    for name in ("instance", "pool"):
        metric, label = re.fullmatch(
            r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variables[name]["query"]["query"]
        ).groups()
        assert label == name and (label == "instance" or label in labels_of(seen, metric))
    places, ids = set(), set()
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["id"] not in ids
        ids.add(panel["id"])
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not places & cells and at["x"] + at["w"] <= 24, f"{panel['title']} overlaps"
        places |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert "$instance" in target["expr"] or "$control" in target["expr"]
            assert_known(seen, target["expr"], panel["title"], of_relay)
            expressions.append(_filled(target["expr"]))
    for note in dashboard["annotations"]["list"]:
        assert_known(seen, note["expr"], note["name"], of_proxy)
        expressions.append(_filled(note["expr"]))
    _assert_parsed(expressions, tmp_path)


def _assert_parsed(expressions, directory):
    """promtool knows only whole files of rules, so each expression becomes one."""
    rules = [{"record": f"panel:{i}", "expr": expr} for i, expr in enumerate(expressions)]
    path = directory / "expressions.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "--lint=none", path)


def _filled(expression):
    """As Grafana fills its variables in."""
    for name in ("$instance", "$pool", "$control"):
        expression = expression.replace(name, ".+")
    return expression.replace("$__rate_interval", "1m")


def test_alerts_ask_for_what_there_is(start, backend):
    seen = _live(start, backend)
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        assert_known(seen, rule["expr"], rule["alert"], of_proxy)
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
    tested = yaml.safe_load(RULES_TEST.read_text())["tests"]
    fired = {
        case["alertname"] for test in tested for case in test["alert_rule_test"] if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in rules}


def test_alerts_do_what_they_say(tmp_path):
    for path in (RULES, RULES_TEST):
        shutil.copy(path, tmp_path)
    promtool("check", "rules", tmp_path / RULES.name)
    assert "SUCCESS" in promtool("test", "rules", tmp_path / RULES_TEST.name)
