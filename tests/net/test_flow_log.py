# SPDX-License-Identifier: Apache-2.0
"""One line per finished session, complete and right, and never at the expense of a session."""

import fcntl
import json
import os
import re
import signal
import socket
import threading

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import echo, read_all, read_exactly, reset, turned_away
from harness.sluice import wait_open_sessions
from harness.tools import pump
from harness.wait import eventually

FIELDS = set(
    "time id listener pool target client client_local backend_local backend connect_ms "
    "client_first_ms backend_first_ms duration_ms client_bytes backend_bytes relay spliced_bytes "
    "retries client_rtt_us client_retransmits client_rate backend_rtt_us backend_retransmits "
    "backend_rate worker reason proxy_source proxy_destination vpce".split()
)


@pytest.fixture
def logged(sluice):
    """logged(target, log={...}) starts a proxy with a JSON flow log: (address, proxy)."""

    def start(target, log=None, **sections):
        front = free_address()
        log = {"format": "json", **(log or {})}
        return front, sluice(config=simple(text(front), target, log=log, **sections))

    return start


def _talk(front, data=b"hello"):
    """One session that the client finishes first; returns the client's address."""
    with connect(front) as client:
        name = client.getsockname()
        client.sendall(data)
        assert read_exactly(client, len(data)) == data
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
    return text(name)


def test_every_field_is_there_and_right(logged, listener, keep):
    server = listener()
    front, proxy = logged(text(server.address), workers=1)
    client = keep(connect(front))
    peer = keep(server.accept())
    client_name, peer_name = text(client.getsockname()), text(peer.getpeername())
    client.sendall(b"twelve bytes")
    assert read_exactly(peer, 12) == b"twelve bytes"
    peer.sendall(b"and seventeen now")
    assert read_exactly(client, 17) == b"and seventeen now"
    client.shutdown(socket.SHUT_WR)
    assert peer.recv(1) == b""
    peer.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    flow = proxy.wait_flow()
    assert set(flow) == FIELDS
    assert flow["listener"] == "front" and flow["pool"] == "back"
    assert flow["target"] == flow["backend"] == text(server.address)
    assert flow["client"] == client_name
    assert flow["client_local"] == text(front)
    assert flow["backend_local"] == peer_name
    assert flow["client_bytes"] == 12 and flow["backend_bytes"] == 17
    assert flow["spliced_bytes"] == 0 and flow["relay"] == "copy"
    assert flow["retries"] == 0 and flow["worker"] == 0
    assert flow["reason"] == "client_fin"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", flow["time"])
    assert 0 < flow["connect_ms"] <= flow["backend_first_ms"] <= flow["duration_ms"]
    assert 0 < flow["client_first_ms"] <= flow["backend_first_ms"]
    assert flow["client_rtt_us"] > 0 and flow["backend_rtt_us"] > 0
    assert flow["client_retransmits"] == 0 and flow["backend_retransmits"] == 0


def _both_finish(first):
    def end(client, peer):
        ends = (client, peer) if first == "client" else (peer, client)
        ends[0].shutdown(socket.SHUT_WR)
        assert ends[1].recv(1) == b""
        ends[1].close()

    return end


ENDINGS = {
    "client_fin": _both_finish("client"),
    "backend_fin": _both_finish("backend"),
    "client_rst": lambda client, peer: reset(client),
    "backend_rst": lambda client, peer: reset(peer),
}


@pytest.mark.parametrize("reason", sorted(ENDINGS))
def test_the_reason_says_who_ended_the_session(logged, listener, keep, reason):
    server = listener()
    front, proxy = logged(text(server.address))
    client = keep(connect(front))
    peer = keep(server.accept())
    client.sendall(b"x")
    assert read_exactly(peer, 1) == b"x"
    ENDINGS[reason](client, peer)
    flow = proxy.wait_flow()
    assert set(flow) == FIELDS
    assert flow["reason"] == reason
    assert flow["client_bytes"] == 1 and flow["backend_bytes"] == 0
    assert flow["backend_first_ms"] in (0, None)
    assert proxy.counters()["reasons"][reason] == 1


def test_a_session_without_a_backend_says_so_in_every_field(logged, refusing):
    front, proxy = logged(text(refusing().address))
    turned_away(front)
    flow = proxy.wait_flow()
    assert set(flow) == FIELDS
    assert flow["client"].startswith("127.0.0.1:")
    assert flow["connect_ms"] in (0, None)
    assert flow["client_bytes"] == flow["backend_bytes"] == 0


def test_each_session_has_its_own_id_and_one_line(logged, backend):
    front, proxy = logged(text(backend(echo).address), workers=4)
    names = {_talk(front) for _ in range(200)}
    flows = proxy.wait_flows(200)
    assert len({flow["id"] for flow in flows}) == 200
    assert {flow["client"] for flow in flows} == names
    assert len(proxy.flows()) == 200


def test_a_probe_is_counted_and_not_logged(logged, backend):
    front, proxy = logged(text(backend(echo).address))
    for _ in range(20):
        connect(front).close()
    eventually(lambda: proxy.counters()["probes"] == 20, "the probes are counted")
    wait_open_sessions(proxy, 0)
    client = _talk(front)
    assert proxy.wait_flow()["client"] == client
    assert len(proxy.flows()) == 1
    assert proxy.counters()["listeners"][0]["probes"] == 20


def test_a_connection_with_a_byte_is_no_probe(logged, backend):
    front, proxy = logged(text(backend(echo).address))
    with connect(front) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    assert proxy.wait_flow()["client_bytes"] == 1
    assert proxy.counters()["probes"] == 0


def test_only_errors_leaves_out_what_ended_well(logged, listener, keep):
    server = listener()
    front, proxy = logged(text(server.address), log={"only": "errors"})
    for finish in (ENDINGS["client_fin"], ENDINGS["backend_rst"], ENDINGS["backend_fin"]):
        client = keep(connect(front))
        peer = keep(server.accept())
        client.sendall(b"x")
        assert read_exactly(peer, 1) == b"x"
        finish(client, peer)
        client.close()
    wait_open_sessions(proxy, 0)
    assert proxy.wait_flow()["reason"] == "backend_rst"
    proxy.stop()
    assert len(proxy.flows()) == 1


def test_a_sample_keeps_its_share_and_every_error(logged, listener, keep):
    server = listener()
    front, proxy = logged(text(server.address), log={"sample": 10}, workers=1)
    for index in range(100):
        client = keep(connect(front))
        peer = keep(server.accept())
        client.sendall(b"x")
        assert read_exactly(peer, 1) == b"x"
        ENDINGS["backend_rst" if index % 20 == 0 else "client_fin"](client, peer)
        client.close()
        peer.close()
    wait_open_sessions(proxy, 0)
    proxy.stop()
    assert len(proxy.flows(reason="backend_rst")) == 5
    assert 5 <= len(proxy.flows(reason="client_fin")) <= 15


def test_text_is_one_line_of_pairs(sluice, backend, tmp_path):
    front, path = free_address(), tmp_path / "flow.log"
    target = text(backend(echo).address)
    sluice("--listen", text(front), "--target", target, "--log", "text", "--log-file", path)
    client = _talk(front)
    line = eventually(lambda: path.read_text(), "a line in the file")
    assert line.count("\n") == 1
    assert f"client={client}" in line
    assert "reason=client_fin" in line


def test_off_writes_nothing(sluice, backend):
    front = free_address()
    target = text(backend(echo).address)
    proxy = sluice("--listen", text(front), "--target", target, "--log", "off")
    _talk(front)
    wait_open_sessions(proxy, 0)
    proxy.stop()
    assert proxy.flows() == []


def test_a_renamed_file_is_left_and_a_new_one_begun_on_sigusr1(sluice, backend, tmp_path):
    front, path, old = free_address(), tmp_path / "flow.log", tmp_path / "flow.log.1"
    target = text(backend(echo).address)
    args = ("--listen", text(front), "--target", target, "--log", "json")
    proxy = sluice(*args, "--log-file", path)
    clients = []
    for turn in range(5):
        clients.append(_talk(front))
        eventually(lambda: _clients_in(path) == clients[-1:], "the line of this turn")
        path.rename(old)
        after = proxy.position()
        proxy.signal(signal.SIGUSR1)
        proxy.wait_event(".*reopen.*", after=after)
        eventually(path.exists, "a new file")
        assert _clients_in(old) == clients[-1:]


def _clients_in(path):
    return [json.loads(line)["client"] for line in path.read_text().splitlines()]


def test_a_file_is_appended_to_not_overwritten(sluice, backend, tmp_path):
    front, path = free_address(), tmp_path / "flow.log"
    path.write_text('{"client":"before"}\n')
    target = text(backend(echo).address)
    args = ("--listen", text(front), "--target", target, "--log", "json")
    sluice(*args, "--log-file", path)
    client = _talk(front)
    eventually(lambda: _clients_in(path) == ["before", client], "one more line")


@pytest.fixture
def stalled_pipe():
    """A pipe of one page: (reading end, writing end)."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, 1031, 4096)  # F_SETPIPE_SZ
    yield read_end, write_end
    for end in (read_end, write_end):
        try:
            os.close(end)
        except OSError:
            pass


def test_a_log_reader_that_stands_still_costs_lines_not_sessions(
    sluice, pump_server, stalled_pipe
):
    read_end, write_end = stalled_pipe
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address), "--workers", "2")
    proxy = sluice(*args, "--log", "json", stdout=write_end)
    os.close(write_end)
    total = 20_000
    pump(front, up=100, down=100, at_once=100, total=total, deadline=30)
    assert server.report()["exact"] == total
    lines = _read_in_background(read_end)
    proxy.signal(signal.SIGUSR2)
    counts = eventually(lambda: _counters_in(lines), "counters, now that someone reads")
    written = sum('"reason"' in line and '"event"' not in line for line in list(lines))
    assert counts["sessions"] == total
    assert counts["log_dropped"] > 0
    assert written + counts["log_dropped"] <= total
    proxy.stop()
    eventually(lambda: lines and lines[-1] == "", "the reader saw the end")
    flows = [line for line in lines if '"reason"' in line and '"event"' not in line]
    assert all(line.endswith("}") and json.loads(line) for line in flows), "no line is torn"


def _read_in_background(read_end):
    lines = []

    def collect():
        with os.fdopen(os.dup(read_end)) as stream:
            for line in stream:
                lines.append(line.rstrip("\n"))
        lines.append("")

    threading.Thread(target=collect, daemon=True).start()
    return lines


def _counters_in(lines):
    found = [json.loads(line) for line in list(lines) if '"event":"counters"' in line]
    return found[0] if found else None


def test_a_log_reader_that_stands_still_does_not_hold_up_the_exit(
    sluice, pump_server, stalled_pipe
):
    _, write_end = stalled_pipe
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address))
    proxy = sluice(*args, "--log", "json", stdout=write_end)
    pump(front, up=10, down=10, at_once=50, total=2000)
    proxy.stop(within=15)


def test_a_log_reader_that_goes_away_does_not_end_the_proxy(sluice, pump_server, stalled_pipe):
    read_end, write_end = stalled_pipe
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address))
    proxy = sluice(*args, "--log", "json", stdout=write_end)
    os.close(write_end)
    pump(front, up=10, down=10, at_once=10, total=20)
    os.close(read_end)
    pump(front, up=10, down=10, at_once=50, total=1000)
    assert proxy.alive()


def test_what_a_client_provokes_in_the_operational_log_is_rate_limited(sluice, refusing):
    front = free_address()
    target = text(refusing().address)
    proxy = sluice("--listen", text(front), "--target", target)
    for _ in range(500):
        turned_away(front)
    assert len(proxy.events()) < 100
