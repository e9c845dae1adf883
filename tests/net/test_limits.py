# SPDX-License-Identifier: Apache-2.0
"""What happens when there is no more of something: connections, file descriptors."""

import resource

from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import echo, read_exactly, turned_away
from harness.sluice import wait_open_sessions
from harness.tools import PumpLoad, need, pump
from harness.wait import eventually, settled


def _works(address):
    with connect(address) as client:
        client.sendall(b"ping")
        return read_exactly(client, 4) == b"ping"


def _hold(address, count):
    held = []
    for _ in range(count):
        client = connect(address)
        client.sendall(b"hold")
        assert read_exactly(client, 4) == b"hold"
        held.append(client)
    return held


def _connect_or_none(address):
    try:
        return connect(address)
    except ConnectionResetError:
        return None


def _listener_of(proxy):
    return proxy.counters()["listeners"][0]


def test_a_listener_at_its_limit_resets_what_is_more(sluice, backend):
    front = free_address()
    server = backend(echo)
    limit = {"max_connections": 5}
    config = simple(text(front), text(server.address), listener=limit, workers=2)
    proxy = sluice(config={**config, "log": {"format": "json"}})
    held = _hold(front, 5)
    for _ in range(7):
        turned_away(front)
    assert eventually(lambda: _listener_of(proxy)["shed"] == 7, "all were shed")
    assert server.accepted == 5
    held.pop().close()
    wait_open_sessions(proxy, 4)
    assert _works(front)
    for client in held:
        client.close()


def test_the_process_at_its_limit_resets_what_is_more(sluice, backend):
    front = free_address()
    config = simple(text(front), text(backend(echo).address), max_connections=8, workers=2)
    proxy = sluice(config={**config, "log": {"format": "json"}})
    held = _hold(front, 8)
    turned_away(front)
    for client in held:
        client.close()
    wait_open_sessions(proxy, 0)
    assert _works(front)


def test_the_limit_that_was_derived_is_told_at_start(sluice, refusing):
    front = free_address()
    proxy = sluice("--listen", text(front), "--target", text(refusing().address))
    assert "max_connections=" in "\n".join(e.line for e in proxy.events())


def test_a_low_fd_limit_sheds_the_surplus_and_recovers(sluice, backend):
    prlimit = need("prlimit")
    front = free_address()
    args = ("--listen", text(front), "--target", text(backend(echo).address), "--workers", "1")
    proxy = sluice(*args, "--log", "json", prefix=(prlimit, "--nofile=128:128"))
    clients = [client for _ in range(300) if (client := _connect_or_none(front))]
    counts = eventually(
        lambda: (c := proxy.counters()) and (c["listeners"][0]["shed"] or c["accept_pauses"]) and c,
        "the surplus is shed, or the listener rests",
    )
    assert counts["sessions_open"] < 64
    for client in clients:
        client.close()
    wait_open_sessions(proxy, 0)
    assert _works(front)
    assert all(_works(front) for _ in range(30))


def test_running_out_of_fds_pauses_the_listener_without_spinning(sluice, backend):
    """The limit falls below what is open, so accept4() itself fails with EMFILE."""
    front = free_address()
    args = ("--listen", text(front), "--target", text(backend(echo).address), "--workers", "1")
    proxy = sluice(*args, "--log", "json")
    held = _hold(front, 20)
    usual = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (16, usual[1]))
    waiting = [client for _ in range(20) if (client := _connect_or_none(front))]
    eventually(lambda: proxy.counters()["accept_pauses"] > 0, "the listener rests")
    # A loop that spun on a level-triggered listener would turn many thousand times meanwhile.
    before = proxy.counters()["turns"]
    settled(lambda: proxy.counters()["sessions"], "no session begins", still=0.5)
    assert proxy.counters()["turns"] - before < 2000
    for client in held:
        client.sendall(b"still")
        assert read_exactly(client, 5) == b"still"
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, usual)
    served = 0
    for client in waiting:
        try:
            client.sendall(b"late")
            served += read_exactly(client, 4) == b"late"
        except (ConnectionResetError, BrokenPipeError):
            pass  # shed with the reserved descriptor
        client.close()
    assert _works(front)
    for client in held:
        client.close()
    wait_open_sessions(proxy, 0)


def test_a_crowd_under_a_low_fd_limit_is_served_in_part_and_never_wrongly(sluice, pump_server):
    prlimit = need("prlimit")
    front, server = free_address(), pump_server()
    args = ("--listen", text(front), "--target", text(server.address), "--workers", "2")
    proxy = sluice(*args, "--log", "json", prefix=(prlimit, "--nofile=200:200"))
    load = PumpLoad(front, up=20_000, down=20_000, at_once=500, total=1500, deadline=20)
    try:
        tally = load.tally()
    finally:
        load.close()
    assert tally["exact"] > 0 and tally["open"] == 0
    wait_open_sessions(proxy, 0)
    assert pump(front, up=1000, down=1000, at_once=10, total=100)["exact"] == 100
