# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: whoever was let in is served, phases are told, and the exit status is 0."""

import os
import signal
import socket
import threading
import time

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import echo, fill_all, read_all, read_exactly, read_until_reset
from harness.wait import eventually


@pytest.fixture
def served(sluice, backend):
    """served(**sections) starts a proxy in front of an echo: (front, proxy)."""

    def start(**sections):
        front = free_address()
        target = text(backend(echo).address)
        return front, sluice(config=simple(text(front), target, log={"format": "json"}, **sections))

    return start


def _say(client, word=b"hello"):
    client.sendall(word)
    return read_exactly(client, len(word)) == word


def _is_refused(address):
    try:
        connect(address, timeout=0.5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_proxy_leaves_at_once_with_status_zero(served, number):
    _, proxy = served()
    proxy.signal(number)
    assert proxy.wait_exit(5) == 0


def test_the_counters_are_told_at_exit(served):
    front, proxy = served()
    with connect(front) as client:
        assert _say(client)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    proxy.stop()
    counts = proxy._counter_lines()[-1]
    assert counts["sessions"] == 1
    assert counts["reasons"]["client_fin"] == 1
    assert counts["syscalls"]["accept4"] >= 1


def test_open_sessions_go_on_while_draining_and_nobody_new_is_let_in(served, keep):
    front, proxy = served()
    client = keep(connect(front))
    assert _say(client)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: _is_refused(front), "the listener is closed")
    for _ in range(20):
        assert _say(client, b"still talking")
    assert proxy.alive()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert proxy.wait_exit() == 0
    assert proxy.wait_flow()["reason"] == "client_fin"
    assert not proxy.events("drain_not_quiet"), "nobody was waited for"


@pytest.mark.parametrize("workers", [1, 4])
def test_nobody_in_a_full_accept_queue_is_reset(served, workers):
    """Stopped, the proxy accepts nothing; then it learns of SIGTERM before it can."""
    front, proxy = served(workers=workers)
    waiting = []
    os.kill(proxy.pid, signal.SIGSTOP)
    try:
        for index in range(600):
            client = connect(front)
            waiting.append(client)
            if index % 2:
                client.sendall(b"queued")
        proxy.process.send_signal(signal.SIGTERM)
    finally:
        os.kill(proxy.pid, signal.SIGCONT)
    for index, client in enumerate(waiting):
        with client:
            if not index % 2:
                client.sendall(b"queued")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"queued", f"client {index} of {len(waiting)}"
    assert proxy.wait_exit() == 0
    assert len(proxy.flows(reason="client_fin")) == 600


def test_nobody_is_reset_while_clients_keep_coming(served):
    """SIGTERM in the midst of connects: each is served or never let in."""
    front, proxy = served(workers=2)
    lost, served_count, refused = [], [0], threading.Event()

    def knock():
        while not refused.is_set():
            try:
                client = connect(front, timeout=3.0)
            except (ConnectionRefusedError, TimeoutError):
                refused.set()
                continue
            with client:
                try:
                    assert _say(client, b"in")
                    served_count[0] += 1
                except (OSError, AssertionError) as error:
                    lost.append(error)

    knockers = [threading.Thread(target=knock) for _ in range(6)]
    for thread in knockers:
        thread.start()
    eventually(lambda: served_count[0] > 200, "clients are being served")
    proxy.signal(signal.SIGTERM)
    for thread in knockers:
        thread.join()
    assert not lost, f"{len(lost)} lost: {lost[0]!r}"
    assert proxy.wait_exit() == 0


def test_phases_are_told_with_what_remains_and_the_deadline(served, keep):
    front, proxy = served(lame_duck="300ms", lame_duck_quiet=0, drain_timeout="20s")
    client = keep(connect(front))
    assert _say(client)
    seen = proxy.position()
    proxy.signal(signal.SIGTERM)
    duck = proxy.wait_event("(drain_)?lame_duck", after=seen)
    drain = proxy.wait_event(".*drain.*", containing="sessions=1", after=seen)
    assert "deadline" in duck.text + drain.text
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert proxy.wait_exit() == 0
    proxy.wait_stderr("stopped")


def test_a_lame_duck_goes_on_accepting(served, keep):
    front, proxy = served(lame_duck="60s")
    seen = proxy.position()
    proxy.signal(signal.SIGTERM)
    proxy.wait_event("(drain_)?lame_duck", after=seen)
    for _ in range(10):
        with connect(front) as client:
            assert _say(client)
    assert proxy.alive()


def _probes(front, over):
    """Come and leave without a byte, as a balancer's TCP checks do, until there is no listener."""
    while not over.wait(0.05):
        try:
            connect(front, timeout=1.0).close()
        except OSError:
            return


def test_a_lame_duck_outlasts_its_time_while_clients_come_and_not_while_probes_do(served):
    front, proxy = served(lame_duck="100ms", lame_duck_quiet="5s", drain_timeout="20s")
    over = threading.Event()
    prober = threading.Thread(target=_probes, args=(front, over))
    seen = proxy.position()
    proxy.signal(signal.SIGTERM)
    proxy.wait_event("drain_lame_duck", after=seen)
    prober.start()
    try:
        until = time.monotonic() + 1.5  # its time would be up
        while time.monotonic() < until:
            with connect(front) as client:
                assert _say(client)
        assert not proxy.events("drain_listeners")
        proxy.wait_event("drain_listeners", after=seen, within=40)
        assert not proxy.events("drain_not_quiet")
    finally:
        over.set()
        prober.join()
    assert proxy.wait_exit() == 0
    assert proxy._counter_lines()[-1]["probes"] > 0


def test_who_keeps_coming_keeps_a_lame_duck_no_longer_than_its_maximum(served):
    front, proxy = served(lame_duck="100ms", lame_duck_quiet="50s", lame_duck_max="1s")
    seen = proxy.position()
    proxy.signal(signal.SIGTERM)
    proxy.wait_event("drain_lame_duck", after=seen)
    while not proxy.events("drain_listeners"):
        try:
            with connect(front) as client:
                _say(client)
        except OSError:
            continue
    assert proxy.wait_exit() == 0
    assert proxy.events("drain_not_quiet")


def test_a_second_signal_skips_the_lame_duck_and_a_third_leaves(served, keep):
    front, proxy = served(lame_duck="60s", drain_timeout="60s")
    client = keep(connect(front))
    assert _say(client)
    seen = proxy.position()
    proxy.signal(signal.SIGTERM)
    proxy.wait_event("(drain_)?lame_duck", after=seen)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: _is_refused(front), "the second signal closes the listener")
    assert _say(client), "and leaves the session alone"
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit() == 0


def test_a_quiet_session_ends_in_a_fin_at_the_drain_deadline(served, keep):
    front, proxy = served(drain_timeout="1500ms")
    client = keep(connect(front))
    assert _say(client)
    proxy.signal(signal.SIGTERM)
    assert client.recv(1) == b""
    assert proxy.wait_exit() == 0
    assert proxy.wait_flow()["reason"] == "drain"


def test_a_busy_session_is_reset_at_the_drain_deadline(served, keep):
    front, proxy = served(drain_timeout="1500ms")
    client = keep(connect(front))
    assert _say(client)
    proxy.signal(signal.SIGTERM)

    def until_reset():
        try:
            _say(client, b"x")
        except (ConnectionResetError, BrokenPipeError):
            return True
        return False

    eventually(until_reset, "the busy session is reset", 20)
    assert proxy.wait_exit() == 0
    assert proxy.wait_flow()["reason"] == "drain_rst"


def test_a_stuck_session_is_reset_at_the_drain_deadline(sluice, listener, keep):
    server, front = listener(), free_address()
    tcp = {"send_buffer": "32KiB", "receive_buffer": "32KiB"}
    sections = {"drain_timeout": "1500ms", "tcp": tcp, "log": {"format": "json"}}
    proxy = sluice(config=simple(text(front), text(server.address), **sections))
    client = keep(connect(front, receive_buffer=8192))
    peer = keep(server.accept())
    fill_all([peer], still=0.2)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit(20) == 0
    assert proxy.wait_flow()["reason"] == "drain_rst"
    read_until_reset(client)


def test_a_session_that_is_dialing_may_still_connect_while_draining(sluice, black_hole, backend):
    """Its first target hangs; the second is reached after the listeners are gone."""
    hole = black_hole()
    front = free_address()
    pool = {"timeouts": {"connect": "700ms"}, "balance": "first"}
    targets = [text(hole.address), text(backend(echo).address)]
    proxy = sluice(config=simple(text(front), *targets, pool=pool, log={"format": "json"}))
    client = connect(front)
    eventually(lambda: proxy.counters()["sessions_open"] == 1, "it dials")
    proxy.signal(signal.SIGTERM)
    with client:
        assert _say(client)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert proxy.wait_exit() == 0


def test_sighup_while_draining_is_harmless(served, keep):
    front, proxy = served()
    client = keep(connect(front))
    assert _say(client)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: _is_refused(front), "the listener is closed")
    proxy.signal(signal.SIGHUP)
    assert _say(client)
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert proxy.wait_exit() == 0
