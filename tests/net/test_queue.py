# SPDX-License-Identifier: Apache-2.0
"""Sessions that wait for a slot, and the limits that make them wait."""

import http.client
import json
import socket
import threading
import time

from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import echo, read_all, read_exactly, reset, turned_away
from harness.sluice import wait_open_sessions
from harness.wait import eventually


class _Counting:
    """A backend that answers each session after a moment, and knows how many it had at once."""

    def __init__(self, hold=0.0):
        self.lock = threading.Lock()
        self.hold, self.now, self.most = hold, 0, 0

    def __call__(self, sock, _index):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        said = read_exactly(sock, 2)
        time.sleep(self.hold)
        with self.lock:
            self.now -= 1  # before the answer, which is what ends the session
        sock.sendall(said)


def _start(sluice, pool, *targets, workers=2):
    front, admin = free_address(), free_address()
    config = simple(
        text(front),
        *targets,
        pool=pool,
        workers=workers,
        log={"format": "json"},
        admin={"http": text(admin)},
    )
    return front, admin, sluice(config=config)


def _pool(admin):
    conn = http.client.HTTPConnection(*admin, timeout=8)
    try:
        conn.request("GET", "/v1/pools/back")
        return json.loads(conn.getresponse().read())
    finally:
        conn.close()


def _hold(front):
    client = connect(front)
    client.sendall(b"hi")
    assert read_exactly(client, 2) == b"hi"
    return client


def _wait_for_line(admin, count):
    eventually(lambda: _pool(admin)["waiting"] == count, f"{count} sessions wait")


def test_a_limit_is_exact_and_everybody_is_served(sluice, backend):
    """Many more clients than slots, on two workers: none refused, never too many at once."""
    handlers = [_Counting(0.002), _Counting(0.002)]
    targets = [
        {"address": text(backend(handler).address), "max_connections": 3} for handler in handlers
    ]
    pool = {"queue": {"size": 1000, "timeout": "20s"}}
    front, admin, proxy = _start(sluice, pool, *targets)
    failed = []

    def client():
        for _ in range(25):
            try:
                with connect(front) as sock:
                    sock.sendall(b"hi")
                    assert read_all(sock) == b"hi"
            except (OSError, AssertionError) as error:
                failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, f"{len(failed)} of 1000 failed: {failed[0]!r}"
    assert [handler.most for handler in handlers] == [3, 3]
    wait_open_sessions(proxy, 0)
    seen = _pool(admin)
    assert seen["waiting"] == 0 and seen["queued"] > 100
    assert proxy.counters()["reasons"].keys() <= {"backend_fin", "client_fin"}


def test_the_limit_of_the_pool_counts_over_its_targets(sluice, backend):
    servers = [backend(echo) for _ in range(2)]
    pool = {"max_connections": 3, "queue": 5}
    front, admin, proxy = _start(sluice, pool, *(text(s.address) for s in servers))
    held = [_hold(front) for _ in range(3)]
    with connect(front) as waiting:
        waiting.sendall(b"ho")
        _wait_for_line(admin, 1)
        assert sum(server.accepted for server in servers) == 3
        held.pop().close()
        assert read_exactly(waiting, 2) == b"ho"
    for client in held:
        client.close()


def test_slots_are_given_in_the_order_of_arrival(sluice, backend):
    target = {"address": text(backend(echo).address), "max_connections": 1}
    front, admin, proxy = _start(sluice, {"queue": 10}, target)
    holder, order, threads = _hold(front), [], []

    def wait_for_answer(number, sock):
        assert read_exactly(sock, 2) == b"ho"
        order.append(number)
        sock.close()

    for number in range(6):
        sock = connect(front)
        sock.sendall(b"ho")
        _wait_for_line(admin, number + 1)
        threads.append(threading.Thread(target=wait_for_answer, args=(number, sock)))
        threads[-1].start()
    holder.close()
    for thread in threads:
        thread.join(10)
    assert order == list(range(6))


def test_a_full_queue_and_a_long_wait_have_reasons_of_their_own(sluice, backend):
    target = {"address": text(backend(echo).address), "max_connections": 1}
    pool = {"queue": {"size": 1, "timeout": "300ms"}}
    front, admin, proxy = _start(sluice, pool, target)
    with _hold(front), connect(front) as waiting:
        _wait_for_line(admin, 1)
        turned_away(front)
        proxy.wait_flow(reason="queue_full")
        flow = proxy.wait_flow(reason="queue_timeout")
        proxy.wait_event("queue_overflow", "1 found no place in the queue")
        assert flow["target"] in (None, "", "-")
        try:
            assert waiting.recv(1) == b"", "neither an answer nor an orderly end"
            raise AssertionError("a session that was never served ended in a clean EOF")
        except ConnectionResetError:
            pass
    seen = _pool(admin)
    assert (seen["queue_full"], seen["queue_timeouts"], seen["waiting"]) == (1, 1, 0)


def test_clients_that_leave_the_queue_take_no_slot(sluice, backend):
    server = backend(echo)
    target = {"address": text(server.address), "max_connections": 1}
    front, admin, proxy = _start(sluice, {"queue": 10}, target)
    with _hold(front):
        gone = [connect(front) for _ in range(4)]
        _wait_for_line(admin, 4)
        for index, client in enumerate(gone):
            if index % 2:
                reset(client)
            client.close()
        _wait_for_line(admin, 0)
        proxy.wait_flows(4, reason="client_abort")
    wait_open_sessions(proxy, 0)
    assert server.accepted == 1
    _hold(front).close()


def test_a_request_with_its_fin_waits_like_any_other(sluice, backend):
    target = {"address": text(backend(echo).address), "max_connections": 1}
    front, admin, _ = _start(sluice, {"queue": 10}, target)
    holder = _hold(front)
    with connect(front) as client:
        client.sendall(b"all I have to say")
        client.shutdown(socket.SHUT_WR)
        _wait_for_line(admin, 1)
        holder.close()
        assert read_all(client) == b"all I have to say"


def test_a_stop_ends_those_who_wait(sluice, backend):
    target = {"address": text(backend(echo).address), "max_connections": 1}
    front, admin, proxy = _start(sluice, {"queue": {"size": 10, "timeout": "1m"}}, target)
    with _hold(front), connect(front):
        _wait_for_line(admin, 1)
        proxy.stop()


def test_a_reload_that_raises_the_limit_serves_those_who_wait(sluice, backend):
    target = {"address": text(backend(echo).address), "max_connections": 1}
    front, admin, proxy = _start(sluice, {"queue": {"size": 10, "timeout": "1m"}}, target)
    with _hold(front), connect(front) as waiting:
        waiting.sendall(b"ho")
        _wait_for_line(admin, 1)
        config = simple(
            text(front),
            {**target, "max_connections": 2},
            pool={"queue": 10},
            workers=2,
            log={"format": "json"},
            admin={"http": text(admin)},
        )
        proxy.reload(config)
        assert read_exactly(waiting, 2) == b"ho"


def test_a_connect_rate_is_kept_and_the_queue_evens_it_out(sluice, backend):
    """20 a second and a tenth of a second in advance: 12 sessions take half a second."""
    server = backend(echo)
    pool = {"connect_rate": 20, "queue": {"size": 100, "timeout": "20s"}}
    front, _, proxy = _start(sluice, pool, text(server.address))
    began = time.monotonic()
    clients = [connect(front) for _ in range(12)]
    for client in clients:
        client.sendall(b"ho")
    for client in clients:
        assert read_exactly(client, 2) == b"ho"
        client.close()
    assert time.monotonic() - began >= (12 - 2) / 20 * 0.9
