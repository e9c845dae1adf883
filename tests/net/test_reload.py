# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: all of a valid file at once, nothing of an invalid one, and no session disturbed."""

import signal
import socket
import threading

import pytest
from harness.address import connect, free_address, free_port, text
from harness.conf import simple
from harness.peers import echo, name_of, pattern, read_all, read_exactly, turned_away
from harness.sluice import targets_of, wait_open_sessions
from harness.tools import skip_sanitized
from harness.wait import eventually

REFUSED = "reload_(failed|refused|rejected)"


def _name_at(address):
    with connect(address) as client:
        return read_exactly(client, 1).decode()


@pytest.fixture
def served(sluice, backend):
    """A proxy in front of the backend that says `a`: (front, proxy, config naming a target)."""
    front = free_address()

    def config(*targets, **sections):
        return simple(text(front), *map(text, targets), log={"format": "json"}, **sections)

    first = backend(name_of("a"))
    return front, sluice(config=config(first.address, workers=2)), config, first


def test_targets_are_swapped_for_new_sessions(served, backend):
    front, proxy, config, _ = served
    assert _name_at(front) == "a"
    proxy.reload(config(backend(name_of("b")).address))
    assert {_name_at(front) for _ in range(20)} == {"b"}


@pytest.mark.parametrize(
    "wrong, told",
    [
        ("listeners: [", ":1:"),
        ("workers: many\n", "workers"),
        ("listners: []\n", "listeners"),
        ("", "listeners"),
    ],
)
def test_an_invalid_file_changes_nothing_and_says_why(served, wrong, told):
    front, proxy, config, first = served
    begun = proxy.position()
    proxy.reload(wrong, event=REFUSED)
    proxy.wait_stderr(str(proxy.config_path))
    assert told in "\n".join(proxy._stderr[begun:])
    assert _name_at(front) == "a"
    proxy.reload(config(first.address))
    assert _name_at(front) == "a"


def test_a_listener_that_cannot_be_bound_changes_nothing(served, backend, listener):
    front, proxy, config, _ = served
    taken = listener()
    wanted = config(backend(name_of("b")).address)
    wanted["listeners"].append({"name": "more", "bind": text(taken.address), "pool": "back"})
    extra = free_address()
    wanted["listeners"].append({"name": "fine", "bind": text(extra), "pool": "back"})
    begun = proxy.position()
    proxy.reload(wanted, event=REFUSED)
    assert str(taken.address[1]) in "\n".join(proxy._stderr[begun:])
    assert {_name_at(front) for _ in range(10)} == {"a"}
    with pytest.raises(ConnectionRefusedError):
        connect(extra)


def test_a_session_keeps_its_target_while_it_is_swapped_away(served, backend, listener, keep):
    front, proxy, config, _ = served
    old = listener()
    proxy.reload(config(old.address))
    client = keep(connect(front))
    peer = keep(old.accept())
    half = pattern(3_000_000)
    sender = threading.Thread(target=peer.sendall, args=(half + half,))
    sender.start()
    got = read_exactly(client, 1_000_000)
    proxy.reload(config(backend(name_of("b")).address))
    assert _name_at(front) == "b"
    assert got + read_exactly(client, 5_000_000) == half + half
    sender.join()
    client.sendall(b"and back")
    assert read_exactly(peer, 8) == b"and back"
    peer.close()
    assert client.recv(1) == b""


def test_targets_swapped_while_dialing_disturb_nobody(served, backend, black_hole):
    front, proxy, config, _ = served
    slow = {"timeouts": {"connect": "400ms"}, "retries": 0}
    good = backend(name_of("g")).address
    for _ in range(5):
        proxy.reload(config(black_hole().address, pool=slow))
        dialing = [connect(front) for _ in range(5)]
        eventually(lambda: proxy.counters()["sessions_open"] >= 5, "they are dialing")
        proxy.reload(config(good, pool=slow))
        assert _name_at(front) == "g"
        for client in dialing:
            with client, pytest.raises(ConnectionResetError):
                client.recv(1)
        wait_open_sessions(proxy, 0)
    assert len(proxy.wait_flows(25, reason="connect_timeout")) == 25


def test_listeners_come_and_go(served):
    front, proxy, config, first = served
    extra = free_address()
    more = config(first.address)
    more["listeners"].append({"name": "extra", "bind": text(extra), "pool": "back"})
    for _ in range(5):
        proxy.reload(more)
        assert {_name_at(extra), _name_at(front)} == {"a"}
        proxy.reload(config(first.address))
        eventually(lambda: _is_refused(extra), "the removed listener is closed")
        assert _name_at(front) == "a"


def _is_refused(address):
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_sessions_of_a_removed_listener_go_on(served, backend, keep):
    front, proxy, config, first = served
    extra = free_address()
    talker = backend(echo)
    more = config(first.address)
    more["pools"].append({"name": "talk", "targets": [text(talker.address)]})
    more["listeners"].append({"name": "extra", "bind": text(extra), "pool": "talk"})
    proxy.reload(more)
    client = keep(connect(extra))
    client.sendall(b"before")
    assert read_exactly(client, 6) == b"before"
    proxy.reload(config(first.address))
    eventually(lambda: _is_refused(extra), "the removed listener is closed")
    client.sendall(b"after")
    assert read_exactly(client, 5) == b"after"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert proxy.wait_flow(listener="extra")["pool"] == "talk"


def test_a_removed_listener_resets_nobody_who_was_queued(served, backend):
    """Clients connect without pause while the listener is taken away and put back."""
    front, proxy, config, first = served
    extra = free_address()
    talker = backend(echo)
    more = config(first.address)
    more["pools"].append({"name": "talk", "targets": [text(talker.address)]})
    more["listeners"].append({"name": "extra", "bind": text(extra), "pool": "talk"})
    lost, served_count, stop = [], [0], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                client = connect(extra, timeout=2.0)
            except (ConnectionRefusedError, TimeoutError):
                continue  # not listening, or a SYN that was dropped: nobody was let in and lost
            with client:
                try:
                    client.sendall(b"in")
                    assert read_exactly(client, 2) == b"in"
                    served_count[0] += 1
                except (OSError, AssertionError) as error:
                    lost.append(error)

    knockers = [threading.Thread(target=knock) for _ in range(4)]
    proxy.reload(more)
    for thread in knockers:
        thread.start()
    for _ in range(8):
        proxy.reload(config(first.address))
        proxy.reload(more)
        so_far = served_count[0]
        eventually(lambda: served_count[0] > so_far, "clients are served in between")
    stop.set()
    for thread in knockers:
        thread.join()
    assert not lost, f"{len(lost)} of {served_count[0] + len(lost)} were lost: {lost[0]!r}"


def test_a_listener_that_stays_loses_nobody_over_many_reloads(served, pump_server, pump_load):
    front, proxy, config, _ = served
    servers = [pump_server(), pump_server()]
    proxy.reload(config(servers[0].address))
    load = pump_load(front, up=3000, down=3000, vary=True, at_once=30, total=0)
    for turn in range(1, 41):
        proxy.reload(config(servers[turn % 2].address))
    load.stop()
    assert load.exact()["connect_failed"] == 0
    assert all(server.report()["exact"] > 0 for server in servers)


def test_reloading_over_and_over_does_not_grow(served):
    skip_sanitized("memory is measured")
    front, proxy, config, first = served

    def turn(number):
        wanted = config(first.address)
        port = free_port()
        for index in range(50):
            wanted["pools"].append({"name": f"p{number}-{index}", "targets": [f"127.0.0.1:{port}"]})
        proxy.reload(wanted)

    for number in range(20):
        turn(number)
    before = proxy.rss()
    for number in range(20, 80):
        turn(number)
    assert proxy.rss() - before < 2 << 20
    assert _name_at(front) == "a"


def test_statistics_of_a_target_that_stays_go_on(served):
    front, proxy, config, first = served
    for _ in range(10):
        _name_at(front)
    proxy.reload(config(first.address))
    for _ in range(10):
        _name_at(front)
    wait_open_sessions(proxy, 0)
    targets = [t for t in targets_of(proxy.counters()) if t["sessions"]]
    assert [t["sessions"] for t in targets] == [20]


def test_limits_of_the_new_file_hold_for_what_is_open_already(served, backend, keep):
    front, proxy, config, _ = served
    server = backend(echo)
    proxy.reload(config(server.address))
    held = [keep(connect(front)) for _ in range(3)]
    for client in held:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    limited = config(server.address)
    limited["pools"][0]["targets"] = [{"address": text(server.address), "max_connections": 3}]
    proxy.reload(limited)
    turned_away(front)
    assert proxy.wait_flow()["reason"] == "pool_full"


def test_timeouts_of_the_old_file_stay_with_its_sessions(served, backend, keep):
    front, proxy, config, _ = served
    server = backend(echo)
    proxy.reload(config(server.address))
    old = keep(connect(front))
    old.sendall(b"old")
    assert read_exactly(old, 3) == b"old"
    proxy.reload(config(server.address, timeouts={"idle": "300ms"}))
    with connect(front) as new:
        assert read_all(new) == b""
    old.sendall(b"still")
    assert read_exactly(old, 5) == b"still"


def test_many_signals_in_a_row_end_with_the_last_file(served, backend):
    front, proxy, config, first = served
    last = backend(name_of("z"))
    for turn in range(50):
        proxy.write_config(config(first.address if turn < 49 else last.address))
        proxy.signal(signal.SIGHUP)
    eventually(lambda: _name_at(front) == "z", "the last file is in force")
