# SPDX-License-Identifier: Apache-2.0
"""The admin API of a running proxy: who may do what, that a change is in force once it is
answered, and that whatever comes by its sockets never touches the sessions."""

import json
import os
import socket
import stat
import threading
import time

import pytest
from harness.address import connect, free_address, text
from harness.admin import Admin, Doors, stopped_thread
from harness.conf import simple
from harness.peers import echo, name_of, read_all
from harness.wait import eventually


@pytest.fixture
def doors(tmp_path):
    return Doors(tmp_path)


@pytest.fixture
def pair(sluice, backend, doors):
    """A proxy over two backends that name themselves: (proxy, admin, listen, names by target)."""
    servers = {name: backend(name_of(name)) for name in ("one", "two")}
    listen = free_address()
    config = simple(
        text(listen), *(text(s.address) for s in servers.values()), admin=doors.conf
    )
    proxy = sluice(config=config)
    return proxy, doors.full(), listen, {n: text(s.address) for n, s in servers.items()}


def who(listen):
    with connect(listen) as client:
        return read_all(client).decode().strip()


# ---- who may do what ----


def test_the_socket_has_its_mode_and_is_removed(pair, doors):
    proxy, _admin, _listen, _names = pair
    assert stat.S_IMODE(os.stat(doors.path).st_mode) == 0o660
    proxy.stop()
    assert not doors.path.exists()


def test_tcp_reads_and_changes_nothing(pair, doors):
    _proxy, admin, _listen, names = pair
    reading = doors.reading()
    assert reading.get("/v1/pools")["pools"][0]["name"] == "back"
    for method, path in (
        ("PATCH", f"/v1/targets/{names['one']}"),
        ("POST", "/v1/drain"),
        ("POST", "/v1/reload"),
        ("DELETE", "/v1/sessions/1"),
        ("PUT", "/v1/pools/back/sources/control"),
    ):
        assert reading.ask(method, path, {"weight": 0}).status == 403, path
    assert reading.ask("POST", "/v1/pools").status == 405
    assert admin.events("audit") == []


def test_a_change_is_an_audit_event(pair):
    proxy, admin, _listen, names = pair
    admin.do("PATCH", f"/v1/targets/{names['one']}", {"weight": 7, "why": "a test"})
    (event,) = admin.events("audit")
    assert f"uid {os.getuid()}" in event["text"]
    assert f"pid {os.getpid()}" in event["text"]
    assert "PATCH /v1/targets/" in event["text"]
    proxy.wait_event("audit", "PATCH /v1/targets/")
    word = admin.targets("back")[names["one"]]["override"]
    assert word["why"] == "a test" and word["who"].startswith(f"uid {os.getuid()}")


def test_a_path_that_is_served_is_not_taken(pair, sluice, doors):
    _proxy, admin, _listen, _names = pair
    other = sluice(
        config=simple(text(free_address()), "127.0.0.1:9", admin={"socket": str(doors.path)}),
        ready=False,
    )
    assert other.wait_exit() == 1
    assert admin.get("/v1/pools")


# ---- a change is in force once it is answered ----


def test_a_drained_target_gets_no_session_once_that_was_answered(pair):
    _proxy, admin, listen, names = pair
    for _ in range(5):
        for name, other in (("one", "two"), ("two", "one")):
            target = admin.do("PATCH", f"/v1/targets/{names[name]}", {"override": "drain"})
            assert target["state"] == "draining"
            assert {who(listen) for _ in range(8)} == {other}
            admin.do("PATCH", f"/v1/targets/{names[name]}", {"override": "none"})
            assert {who(listen) for _ in range(8)} == {name, other}


def test_a_pushed_target_serves_once_that_was_answered(pair, backend):
    _proxy, admin, listen, _names = pair
    three = backend(name_of("three"))
    where = "/v1/pools/back/sources/control"
    body = {"generation": 1, "targets": [{"address": text(three.address), "id": "i-3"}]}
    assert admin.do("PUT", where, body) == {"result": "applied", "generation": 1}
    assert {who(listen) for _ in range(12)} == {"one", "two", "three"}
    assert admin.do("PUT", where, body)["result"] == "same"
    assert admin.do("PUT", where, {"generation": 1, "targets": []}, 409)["generation"] == 1
    admin.do("DELETE", where)
    assert {who(listen) for _ in range(12)} == {"one", "two"}


def test_an_added_target_serves_until_it_is_removed(pair, backend):
    _proxy, admin, listen, _names = pair
    three = backend(name_of("three"))
    admin.do("POST", "/v1/pools/back/targets", {"address": text(three.address)}, 201)
    assert "three" in {who(listen) for _ in range(12)}
    admin.do("DELETE", f"/v1/targets/{text(three.address)}")
    assert "three" not in {who(listen) for _ in range(12)}


def test_a_paused_listener_accepts_again(pair):
    _proxy, admin, listen, _names = pair
    assert admin.do("POST", "/v1/listeners/front/pause")["state"] == "paused"
    with connect(listen) as waiting:
        waiting.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        assert admin.do("POST", "/v1/listeners/front/resume")["state"] == "listening"
        waiting.settimeout(8.0)
        assert waiting.recv(1)


def test_sessions_are_listed_and_ended(sluice, backend, doors, keep):
    server = backend(echo)
    listen = free_address()
    sluice(config=simple(text(listen), text(server.address), admin=doors.conf))
    admin = doors.full()
    clients = [keep(connect(listen)) for _ in range(3)]
    for number, client in enumerate(clients):
        client.sendall(b"x" * (number + 1))
        assert client.recv(1)
    sessions = eventually(
        lambda: len(found := admin.get("/v1/sessions?sort=bytes")["sessions"]) == 3 and found,
        "three sessions",
    )
    assert [s["client_bytes"] for s in sessions] == [3, 2, 1]
    assert sessions[0]["client"] == text(clients[2].getsockname())
    assert sessions[0]["target"] == text(server.address)
    admin.do("DELETE", f"/v1/sessions/{sessions[0]['id']}?rst=1")
    with pytest.raises(ConnectionResetError):
        read_all(clients[2])
    assert admin.do("DELETE", f"/v1/targets/{text(server.address)}/sessions?rst=1", None, 202)[
        "closing"
    ] == 2
    eventually(lambda: admin.get("/v1/sessions")["sessions"] == [], "no session")


def test_a_drain_is_taken_back(sluice, backend, doors):
    server = backend(name_of("one"))
    listen = free_address()
    sluice(
        config=simple(text(listen), text(server.address), admin=doors.conf, lame_duck="1m")
    )
    admin, probe = doors.full(), doors.probing()
    assert admin.do("POST", "/v1/drain", {"exit": True}, 202)["phase"] == "lame_duck"
    assert probe.ask("GET", "/readyz").status == 503
    assert admin.do("DELETE", "/v1/drain")["phase"] == "serving"
    assert probe.ask("GET", "/readyz").status == 200
    assert who(listen) == "one"


def test_a_drain_ends_the_process(pair):
    proxy, admin, _listen, _names = pair
    admin.do("POST", "/v1/drain", {"exit": True}, 202)
    assert proxy.wait_exit() == 0


def test_a_reload_answers_with_the_errors(pair):
    proxy, admin, listen, _names = pair
    good = proxy.config_path.read_text()
    proxy.write_config(good + "nonsense: 1\n")
    answer = admin.do("POST", "/v1/reload", None, 422)
    assert any("nonsense" in error for error in answer["errors"]), answer
    assert who(listen) in ("one", "two")
    proxy.write_config(good)
    before = admin.get("/v1/status")["generation"]
    assert admin.do("POST", "/v1/reload")["generation"] > before


def test_a_long_poll_hears_of_an_event(pair):
    _proxy, admin, _listen, names = pair
    last = admin.get("/v1/events")["last_id"]
    heard = []
    poller = threading.Thread(
        target=lambda: heard.append(admin.get(f"/v1/events?after={last}&wait_s=30"))
    )
    poller.start()
    admin.do("PATCH", f"/v1/targets/{names['one']}", {"override": "maintenance"})
    poller.join(15)
    assert heard and heard[0]["events"], "the poll did not end with the event"


# ---- a successor ----


def test_a_successor_takes_the_addresses_over(sluice, backend, doors):
    server = backend(name_of("one"))
    config = simple(text(free_address()), text(server.address), admin=doors.conf)
    first = sluice(config=config)
    second = sluice("--replace", config=config)
    assert first.wait_exit() == 0
    assert doors.full().get("/v1/status")["pid"] == second.pid
    assert doors.reading().get("/v1/status")["pid"] == second.pid
    assert doors.probing().ask("GET", "/healthz").status == 200


def test_a_predecessor_that_still_drains_answers_nobody(sluice, backend, doors, keep):
    listen = free_address()
    config = simple(text(listen), text(backend(echo).address), admin=doors.conf)
    first = sluice(config=config)
    client = keep(connect(listen))
    client.sendall(b"hello")
    assert client.recv(5) == b"hello"
    second = sluice("--replace", config=config)
    first.wait_event("drain_sessions")

    def all_by_the_second():
        pids = {doors.reading().get("/v1/status")["pid"] for _ in range(30)}
        return pids == {second.pid}

    eventually(all_by_the_second, "the first one lets go of the address")
    assert first.alive()
    client.close()
    assert first.wait_exit() == 0
    assert doors.full().get("/v1/status")["pid"] == second.pid


# ---- the probe ----


PROXY_HEADERS = [
    b"",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",  # v2 LOCAL
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 192, 0, 2, 2, 1, 0, 2, 0]),
]


def probe_says(doors, header, path, pieces=1):
    request = header + f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with doors.probing().socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = -(-len(request) // pieces)
        for at in range(0, len(request), size):
            sock.sendall(request[at : at + size])
        return read_all(sock).decode()


@pytest.mark.parametrize("header", PROXY_HEADERS, ids=["none", "v1", "unknown", "local", "v2"])
def test_the_probe_answers_behind_a_proxy_header(pair, doors, header):
    for pieces in (1, 7):
        assert probe_says(doors, header, "/healthz", pieces).startswith("HTTP/1.1 200 ")
    assert '"ready":true' in probe_says(doors, header, "/readyz")
    assert probe_says(doors, header, "/v1/status").startswith("HTTP/1.1 404 ")


def test_healthz_finds_a_worker_that_stands_still(sluice, backend, doors):
    server = backend(name_of("one"))
    proxy = sluice(
        config=simple(text(free_address()), text(server.address), admin=doors.conf, workers=2)
    )
    probe = doors.probing()

    def status():
        return probe.ask("GET", "/healthz").status

    assert status() == 200
    with stopped_thread(proxy, "worker-1"):
        eventually(lambda: status() == 503, "a stuck worker is seen", within=15)
        assert "worker 1" in probe.ask("GET", "/healthz").text
    eventually(lambda: status() == 200, "it is well again", within=15)


def test_idle_workers_are_healthy(pair, doors):
    """Longer than a worker may stand still."""
    probe = doors.probing()
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        assert probe.ask("GET", "/healthz").status == 200
        threading.Event().wait(0.5)


# ---- whose page asks ----


def asked_as(where, host, path="/v1/status"):
    """The whole answer to a request for `host`."""
    with where.socket() as sock:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        sock.sendall(head.encode())
        return read_all(sock).decode()


@pytest.mark.parametrize("path", ["/v1/status", "/", "/metrics"])
def test_a_strangers_name_for_the_loopback_address_is_told_nothing(pair, doors, path):
    answer = asked_as(Admin(doors.http), "rebound.example:9900", path)
    assert answer.startswith("HTTP/1.1 421 ") and '{"error":"the Host is not' in answer
    assert "pid" not in answer


def test_the_loopback_address_answers_to_its_own_names(pair, doors):
    host, port = doors.http
    for name in ("localhost", f"localhost:{port}", f"{host}:{port}", "127.0.0.1", "[::1]:1"):
        assert asked_as(Admin(doors.http), name).startswith("HTTP/1.1 200 "), name


def test_who_comes_by_the_socket_or_to_the_probe_may_call_it_anything(pair, doors):
    assert asked_as(Admin(doors.path), "rebound.example").startswith("HTTP/1.1 200 ")
    assert asked_as(Admin(doors.probe), "nlb.example", "/readyz").startswith("HTTP/1.1 200 ")


# ---- abuse ----


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
    b"GET\r\n\r\n",
    b"GET /v1/pools\r\n\r\n",
    b"GET /v1/pools HTTP/1.1\r\n\r\n",
    b"GET /v1/pools HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
    b"POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"PATCH /v1/targets/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n" + b"[" * 9,
    b"GET /v1/events?" + b"a=1&" * 300 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    bytes(range(256)) * 64,
]


def abuse(where, seconds):
    """Everything that a peer can do wrong, as fast as it goes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for junk in MALFORMED:
            try:
                with Admin(where, timeout=2.0).socket() as sock:
                    sock.sendall(junk)
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(65536)
            except OSError:
                pass


def hold(where, count):
    """Connections that have begun a request and say no more."""
    held = []
    for _ in range(count):
        sock = Admin(where).socket()
        sock.sendall(b"GET /v1/pools HTTP/1.1\r\nHost: localhost\r\nX-Slow")
        held.append(sock)
    return held


def test_malformed_requests_are_refused_and_nothing_else_happens(pair, doors):
    proxy, admin, listen, _names = pair
    for where in (doors.path, doors.http, doors.probe):
        abuse(where, 0.2)
    assert admin.get("/v1/status")["phase"] == "serving"
    assert proxy.alive() and who(listen) in ("one", "two")


def test_json_that_is_wrong_is_refused_by_name(pair):
    _proxy, admin, _listen, names = pair
    url = f"/v1/targets/{names['one']}"
    for body, part in (
        (b'{"weight": 1, "weight": 2}', "weight"),
        (b'{"weight": 1001}', "weight"),
        (b'{"wieght": 1}', "wieght"),
        (b'{"weight": 1} x', "JSON"),
        (b'{"why": "\xff"}', "JSON"),
        (b'{"weight": 1, "why": 7}', "why"),
        (b"[" * 100000, "JSON"),
    ):
        answer = admin.ask("PATCH", url, body)
        assert answer.status == 400 and part in answer.json["error"], answer


def test_a_body_of_five_mebibytes_is_refused(pair):
    _proxy, admin, _listen, _names = pair
    url = "/v1/pools/back/sources/control"
    sock = admin.socket()
    sock.sendall(f"PUT {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {5 << 20}\r\n\r\n".encode())
    assert sock.recv(64).startswith(b"HTTP/1.1 413 ")
    sock.close()


def test_a_large_set_is_taken(pair):
    _proxy, admin, _listen, _names = pair
    targets = [
        {"address": f"127.1.{n >> 8}.{n & 255}:9", "id": f"i-{n:05}", "weight": 0}
        for n in range(500)
    ]
    url = "/v1/pools/back/sources/control"
    admin.do("PUT", url, {"generation": 1, "targets": targets})
    assert len(admin.targets("back")) == 502
    admin.do("DELETE", url)


def test_a_slow_peer_is_cut_off(pair, doors):
    _proxy, admin, _listen, _names = pair
    (slow,) = hold(doors.http, 1)
    slow.settimeout(20)
    assert slow.recv(1) == b""
    assert admin.get("/v1/pools")


def test_held_connections_leave_the_socket_free(pair, doors):
    _proxy, admin, _listen, _names = pair
    held = hold(doors.http, 64)
    assert admin.get("/v1/pools")
    assert doors.probing().ask("GET", "/healthz").status == 200
    for sock in held:
        sock.close()

    def has_room():
        try:
            return doors.reading().ask("GET", "/v1/pools").status == 200
        except OSError:  # one too many from this address
            return False

    eventually(has_room, "room again")


def test_sessions_run_on_while_the_admin_side_is_abused(sluice, backend, doors):
    """Many at once, on every door; a session's round trips go on all the while."""
    server = backend(echo)
    listen = free_address()
    proxy = sluice(config=simple(text(listen), text(server.address), admin=doors.conf))
    admin = doors.full()
    threads = [
        threading.Thread(target=abuse, args=(where, 3.0), daemon=True)
        for where in (doors.path, doors.http, doors.probe)
        for _ in range(2)
    ]

    def ask_often():
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            assert admin.ask("GET", "/v1/status").status == 200

    failures = []

    def guarded():
        try:
            ask_often()
        except Exception as error:
            failures.append(error)

    threads += [threading.Thread(target=guarded, daemon=True) for _ in range(4)]
    held = hold(doors.http, 32)
    with connect(listen) as client:
        client.settimeout(5)
        for thread in threads:
            thread.start()
        trips = 0
        while any(thread.is_alive() for thread in threads):
            client.sendall(json.dumps(trips).encode().ljust(64))
            got = b""
            while len(got) < 64:
                got += client.recv(64)
            assert json.loads(got) == trips
            trips += 1
    for sock in held:
        sock.close()
    assert not failures, failures[0]
    assert trips > 100 and proxy.alive()
