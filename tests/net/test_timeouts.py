# SPDX-License-Identifier: Apache-2.0
"""The proxy's own closings: which reason, in which order, and how each peer hears of it.

Values are short, and nothing is asserted on exact times: only what must have happened before what.
"""

import socket

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import fill_all, read_exactly, read_until_reset, turned_away
from harness.wait import eventually


@pytest.fixture
def session(sluice, listener, keep):
    """session(timeouts) gives the two ends of one session, and its proxy."""

    def start(timeouts, **sections):
        server, front = listener(), free_address()
        log = {"format": "json"}
        pool = {"timeouts": timeouts}
        config = simple(text(front), text(server.address), pool=pool, log=log, **sections)
        proxy = sluice(config=config)

        def another(**options):
            client = keep(connect(front, timeout=20.0, **options))
            return client, keep(server.accept())

        return (*another(), proxy, another)

    return start


def test_an_idle_session_ends_cleanly_on_both_sides(session):
    client, server, proxy, _ = session({"idle": "300ms"})
    client.sendall(b"hello")
    assert read_exactly(server, 5) == b"hello"
    assert client.recv(1) == b""
    assert server.recv(1) == b""
    flow = proxy.wait_flow()
    assert flow["reason"] == "idle"
    assert flow["duration_ms"] >= 300


def test_a_session_that_never_had_a_byte_is_idle_too(session):
    client, server, proxy, _ = session({"idle": "300ms"})
    assert client.recv(1) == b""
    assert server.recv(1) == b""
    assert proxy.wait_flow()["reason"] == "idle"


def test_a_session_in_use_outlives_an_idle_one(session):
    busy_client, busy_server, proxy, another = session({"idle": "1s"})
    idle_client, _ = another()
    idle_client.setblocking(False)

    def idle_has_ended():
        busy_client.sendall(b"x")
        assert read_exactly(busy_server, 1) == b"x"
        try:
            return idle_client.recv(1) == b""
        except BlockingIOError:
            return False

    eventually(idle_has_ended, "the idle session ends", 20)
    busy_server.sendall(b"still there")
    assert read_exactly(busy_client, 11) == b"still there"
    assert [flow["reason"] for flow in proxy.wait_flows()] == ["idle"]


def test_traffic_in_one_direction_alone_keeps_a_session(session):
    client, server, proxy, another = session({"idle": "1s"})
    idle_client, _ = another()
    idle_client.setblocking(False)

    def idle_has_ended():
        server.sendall(b"tick")
        assert read_exactly(client, 4) == b"tick"
        try:
            return idle_client.recv(1) == b""
        except BlockingIOError:
            return False

    eventually(idle_has_ended, "the idle session ends", 20)
    server.sendall(b"tock")
    assert read_exactly(client, 4) == b"tock"


def test_an_idle_session_with_bytes_stuck_in_it_ends_in_a_reset(session):
    """A clean FIN would claim that what is buffered had been the end."""
    tcp = {"send_buffer": "32KiB", "receive_buffer": "32KiB"}
    client, server, proxy, another = session({"idle": "500ms"}, tcp=tcp)
    stuck_client, stuck_server = another(receive_buffer=8192)
    fill_all([stuck_server], still=0.2)
    flow = proxy.wait_flow(within=20, reason="idle_rst")
    assert flow["backend_bytes"] > 0
    read_until_reset(stuck_client)


def test_a_half_closed_session_ends_when_nothing_moves(session):
    client, server, proxy, _ = session({"half_close": "400ms"})
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    assert read_exactly(server, 7) == b"request"
    assert server.recv(1) == b""
    assert client.recv(1) == b""
    assert proxy.wait_flow(within=20)["reason"] == "half_close"


def test_a_half_closed_session_goes_on_while_something_moves(session):
    client, server, proxy, another = session({"half_close": "1s"})
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    quiet_client, quiet_server = another()
    quiet_client.shutdown(socket.SHUT_WR)
    assert quiet_server.recv(1) == b""

    def the_quiet_one_has_ended():
        server.sendall(b"more")
        assert read_exactly(client, 4) == b"more"
        return proxy.flows(reason="half_close")

    eventually(the_quiet_one_has_ended, "the quiet half-closed session ends", 20)
    server.sendall(b"the end")
    server.close()
    assert read_exactly(client, 7) == b"the end"
    assert client.recv(1) == b""
    client.close()
    proxy.wait_flow(reason="client_fin")


def test_a_lifetime_ends_a_quiet_session_cleanly(session):
    client, server, proxy, _ = session({"lifetime": "500ms"})
    client.sendall(b"hello")
    assert read_exactly(server, 5) == b"hello"
    assert client.recv(1) == b""
    assert server.recv(1) == b""
    flow = proxy.wait_flow(within=20)
    assert flow["reason"] == "lifetime"
    assert flow["duration_ms"] >= 500


@pytest.mark.soak  # it waits 25 s for a quiet moment
def test_a_lifetime_waits_for_a_quiet_moment_and_then_resets(session):
    client, server, proxy, _ = session({"lifetime": "500ms"})

    told = []  # a socket says only once that it was reset

    def keep_talking():
        try:
            client.sendall(b"x")
        except ConnectionResetError:
            told.append(client)
            return True
        try:
            read_exactly(server, 1)
        except ConnectionResetError:
            return True
        return proxy.flows()

    eventually(keep_talking, "the busy session is reset", 50)
    assert proxy.wait_flow(within=20)["reason"] == "lifetime_rst"
    if not told:
        read_until_reset(client)


def test_a_connect_deadline_lets_the_next_target_have_its_own(sluice, black_hole, backend):
    holes = [black_hole(), black_hole()]
    front = free_address()
    targets = [text(hole.address) for hole in holes]
    pool = {"timeouts": {"connect": "250ms"}, "retries": 1, "retry_budget": "100%"}
    proxy = sluice(config=simple(text(front), *targets, pool=pool, log={"format": "json"}))
    turned_away(front)
    flow = proxy.wait_flow()
    assert flow["retries"] == 1
    assert flow["duration_ms"] >= 500
    assert flow["reason"] == "connect_timeout"
