# SPDX-License-Identifier: Apache-2.0
"""What an operator does to sessions that the kernel carries, and what the configuration asks."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from harness.metrics import assert_known, of_fast_path, scrape
from harness.peers import Listener, echo, fill_all, read_all, read_exactly, read_until_reset
from harness.sluice import PATIENCE, ROOT
from harness.spliced import exchange, send
from harness.wait import eventually

SHORT = {"tcp": {"keepalive": {"idle": "1s", "interval": "1s"}}}


@pytest.fixture
def joined(splice, serve, keep):
    """joined(...) gives a Spliced and both ends of a session that the kernel carries."""

    def make(**options):
        spliced = splice(**options)
        return spliced, *keep(*spliced.promote(serve(spliced)))

    return make


def _saturate(client, backend):
    """Bytes are under way that nobody reads."""
    fill_all([client], still=0.2)


# ---- silence ----


def test_a_silent_session_comes_back_to_its_sockets_and_goes_again(joined):
    spliced, client, backend = joined(listener=SHORT, pool=SHORT)
    for turn in range(1, 3):
        spliced.wait_relayed()
        assert spliced.counts()["recalled"] == turn
        exchange(client, backend, 3000)
        spliced.wait_offloaded()
        exchange(backend, client, 300_000)
    assert spliced.counts()["promoted"] == 3


def test_what_came_back_works_without_being_offered_again(joined):
    """Windows, clocks and segment sizes of the new sockets are those of the old ones."""
    spliced, client, backend = joined(listener=SHORT, pool=SHORT)
    spliced.wait_relayed()
    config = spliced.config
    config["pools"][0]["offload"] = "off"
    spliced.proxy.reload(config)
    _, _, offered = (spliced.counts()[name] for name in ("open", "recalled", "offered"))
    exchange(client, backend, 3_000_000)
    exchange(backend, client, 3_000_000)
    for _ in range(100):
        exchange(client, backend, 10)
    client.shutdown(socket.SHUT_WR)
    assert backend.recv(1) == b""
    send(backend, os.urandom(500_000), client)


def test_an_idle_session_ends_as_it_would_on_the_relay(joined):
    spliced, client, backend = joined(pool={"timeouts": {"idle": "1s"}})
    assert client.recv(1) == backend.recv(1) == b""
    spliced.ended("idle")


@pytest.mark.parametrize("busy", (False, True))
def test_a_lifetime_ends_it_at_a_quiet_moment(joined, busy):
    spliced, client, backend = joined(pool={"timeouts": {"lifetime": "2s"}})
    backend.settimeout(60 * PATIENCE)
    if busy:
        _saturate(client, backend)
        eventually(
            lambda: spliced.sessions()[0]["age_ms"] > 4000, "the lifetime is over", 60 * PATIENCE
        )
        assert spliced.counts()["recall_busy"] <= 2, "it is not asked back again and again"
        read_all(backend)
    client.settimeout(60 * PATIENCE)
    assert client.recv(1) == backend.recv(1) == b""
    spliced.ended("lifetime")


# ---- our own endings ----


def test_a_quiet_session_is_drained_with_fin(joined):
    spliced, client, backend = joined()
    spliced.proxy.signal(signal.SIGTERM)
    assert client.recv(1) == backend.recv(1) == b""
    spliced.ended("drain")
    assert spliced.proxy.wait_exit() == 0


def test_a_session_with_bytes_under_way_is_reset_at_the_drains_end(joined):
    spliced, client, backend = joined()
    _saturate(client, backend)
    spliced.proxy.signal(signal.SIGTERM)
    spliced.ended("drain_rst")
    client.settimeout(8)
    assert read_until_reset(client) == b""
    backend.settimeout(8)
    read_until_reset(backend)
    assert spliced.proxy.wait_exit() == 0


def test_a_third_sigterm_resets_what_is_there(joined):
    spliced, client, backend = joined(drain_timeout="60s")
    spliced.proxy.signal(signal.SIGTERM)
    spliced.proxy.wait_event("drain_sessions")
    after = spliced.proxy.position()
    spliced.proxy.signal(signal.SIGTERM)
    spliced.proxy.wait_event("signal", after=after)
    spliced.proxy.signal(signal.SIGTERM)
    assert spliced.proxy.wait_exit() == 0
    assert read_until_reset(client) == read_until_reset(backend) == b""


def test_a_removed_targets_sessions_end_and_no_others(joined, keep):
    spliced, client, backend = joined(pool={"drain_timeout": "1s", "drain_spread": 0})
    other_target = (spliced.target[0], spliced.target[1] + 1)
    with spliced.net.backend:
        other = keep(Listener(other_target))
    config = spliced.config
    before = config["pools"][0]["targets"]
    after = [f"{other_target[0]}:{other_target[1]}"]
    config["pools"][0]["targets"] = before + after
    spliced.proxy.reload(config)
    config["pools"][0]["targets"] = after
    spliced.proxy.reload(config)
    stays = keep(*spliced.pair(other))
    exchange(*stays)
    assert client.recv(1) == backend.recv(1) == b""
    spliced.ended("target_removed")
    exchange(*stays)
    spliced.wait_offloaded()


@pytest.mark.parametrize("reset", (False, True))
def test_an_operator_closes_it(joined, reset):
    spliced, client, backend = joined()
    [session] = spliced.sessions()
    done = spliced.ctl("kill-session", session["id"], *(["--rst"] if reset else []))
    assert done.returncode == 0, done.stderr
    if reset:
        assert read_until_reset(client) == read_until_reset(backend) == b""
        spliced.ended("killed_rst")
    else:
        assert client.recv(1) == backend.recv(1) == b""
        spliced.ended("killed")


def test_a_reload_leaves_it_alone(joined):
    spliced, client, backend = joined()
    for _ in range(3):
        spliced.proxy.reload(spliced.config)
        exchange(client, backend)
    spliced.wait_offloaded()
    assert spliced.counts()["recalled"] == 0


# ---- limits ----


def test_when_there_is_no_room_the_rest_is_relayed(splice, serve, keep):
    spliced = splice(fast_path={"sessions": 4})
    server = serve(spliced)
    pairs = [keep(*spliced.pair(server)) for _ in range(8)]
    for _ in range(20):
        for pair in pairs:
            exchange(*pair)
    wanted = ["offloaded"] * 4 + ["relaying"] * 4
    eventually(lambda: sorted(session["state"] for session in spliced.sessions()) == wanted,
               "four go and four stay")
    counts = spliced.counts()
    assert counts["open"] == counts["limit"] == 4, counts
    assert counts["refusals"]["full"] >= 4
    for pair in pairs:
        for sock in pair:
            sock.close()
    eventually(lambda: not spliced.sessions(), "all sessions end")


def test_least_connections_counts_sessions_that_the_kernel_carries(splice, serve, keep):
    spliced = splice(pool={"max_connections": 2})
    server = serve(spliced)
    for _ in range(2):
        keep(*spliced.promote(server))
    target = spliced.admin.targets("back")["10.77.2.1:7301"]
    assert target["open"] == 2


# ---- figures ----


def test_counts_and_metrics_say_what_became_of_sessions(splice, serve, keep):
    keepalive = {"tcp": {"keepalive": {"idle": "4s"}}}
    spliced = splice(listener=keepalive, pool=keepalive)
    client, backend = keep(*spliced.promote(serve(spliced)))
    spliced.wait_relayed()
    exchange(client, backend, 5000)
    spliced.wait_offloaded()
    exchange(client, backend, 100_000)
    client.close()
    backend.close()
    spliced.proxy.wait_flows(1)
    seen = scrape(spliced.admin)
    counts = spliced.counts()
    assert counts == {**counts, "offered": 2, "promoted": 2, "recalled": 1, "ended": 1, "open": 0}
    for name in ("offered", "promoted", "recalled", "recall_busy", "ended", "adopted"):
        assert seen.sum(f"sluice_offload_{name}_total") == counts[name]
    assert seen.sum("sluice_offloaded_bytes_total") >= 200_000
    assert seen.sum("sluice_offload_sessions_open") == 0
    assert seen.sum("sluice_offload_sessions_limit") == counts["limit"]
    described = (ROOT / "packaging" / "prometheus" / "README.md").read_text()
    for name in seen.types:
        assert f"`{name}`" in described, f"{name} is not described"


def test_the_dashboard_asks_for_what_the_fast_path_has(splice, serve, keep):
    spliced = splice(guard={"interfaces": ["client"]})
    keep(*spliced.promote(serve(spliced)))
    keep(spliced.connect())  # nobody has anything to say: a door was passed all the same
    seen = eventually(
        lambda: (now := scrape(spliced.admin)).sum("sluice_guard_packets_total") and now,
        "the guard counts",
        10 * PATIENCE,
    )
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "sluice.json").read_text())
    asked = [
        panel["title"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        if assert_known(seen, target["expr"], panel["title"], of_fast_path)
    ]
    assert len(asked) >= 10 and "At the door, by verdict" in asked


# ---- privileges ----


def test_as_nobody_with_what_it_kept(splice, serve, keep, public_path):
    spliced = splice(directory=public_path, user="nobody", pool=SHORT, listener=SHORT)
    client, backend = keep(*spliced.promote(serve(spliced)))
    for tid in spliced.proxy.threads():
        status = Path(f"/proc/{spliced.proxy.pid}/task/{tid}/status").read_text()
        assert "Uid:\t65534" in status
    spliced.wait_relayed()
    exchange(client, backend)
    spliced.wait_offloaded()
    assert not [event for event in spliced.proxy.events() if "seccomp" in event.name]


def test_without_any_capability_it_says_so_once_and_relays(splice, serve, public_path):
    spliced = splice(directory=public_path, options={"user": 65534, "group": 65534})
    serve(spliced, echo)
    for _ in range(3):
        with spliced.connect() as client:
            client.sendall(b"hello")
            assert read_exactly(client, 5) == b"hello"
    said = spliced.proxy.events("offload_unavailable")
    assert len(said) == 1 and said[0].level == "warn" and "CAP_" in said[0].text, said
    assert spliced.counts() is None
