# SPDX-License-Identifier: Apache-2.0
"""Active checks of real and of hostile servers: what is noticed, in which words, and what is not."""

import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from fault import Faults
from harness.address import connect, free_address, text
from harness.admin import Admin
from harness.conf import simple
from harness.peers import name_of, reset
from harness.server import Server
from harness.sluice import FAULT_BINARY, PATIENCE
from harness.tools import need
from harness.wait import eventually, settled

# A loaded machine may let a good server wait for long; only what never answers needs a short time.
QUICK = {"interval": "100ms", "fast_interval": "20ms", "timeout": "5s"}
IMPATIENT = {"timeout": "300ms"}
TCP = {"type": "tcp", **QUICK}
HTTP = {"type": "http", **QUICK}
PING = {"type": "send_expect", "send": "hex:50494e470d0a", "expect": "+PONG", **QUICK}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def checked(sluice):
    """checked(health, target...) starts a proxy; proxy.front is where it listens."""

    def start(health, *targets, pool=None, **options):
        front = free_address()
        sections = {"log": {"format": "json"}, "workers": 2, **options.pop("top", {})}
        pool = {"health": health, **(pool or {})}
        config = simple(text(front), *map(text, targets), pool=pool, **sections)
        proxy = sluice(config=config, **options)
        proxy.front, proxy.config = front, config
        return proxy

    return start


def change(proxy, **health):
    """Reload with other settings of the check."""
    proxy.config["pools"][0]["health"].update(health)
    proxy.reload(proxy.config)


def wait_up(proxy, address, after=0):
    return proxy.wait_event("target_up", containing=text(address), after=after)


def wait_down(proxy, address, why="", after=0):
    event = proxy.wait_event("target_down", containing=text(address), after=after)
    assert why in event.text, event
    return event


class Site:
    """An HTTP server's handler that answers as it is told, and keeps what it was asked."""

    def __init__(self, answer=OK):
        self.answer = answer
        self.asked = []
        self._lock = threading.Lock()

    def __call__(self, sock, _index):
        request = b""
        try:
            while b"\r\n\r\n" not in request.removeprefix(b"\r\n\r\n\0"):
                data = sock.recv(4096)
                if not data:
                    return
                request += data
            with self._lock:
                self.asked.append((request, self.answer))
            sock.sendall(self.answer)
        except OSError:
            pass

    def given(self, answer):
        """How often it was given."""
        with self._lock:
            return sum(1 for _, said in self.asked if said == answer)


# ---- real servers ----


@pytest.fixture
def redis(tmp_path, keep):
    """redis() starts one, at the same address each time."""
    address = free_address()
    argv = [need("redis-server"), "--port", address[1], "--bind", "127.0.0.1", "--save", ""]
    return lambda: keep(Server([*argv, "--appendonly", "no"], address, tmp_path))


def test_a_redis_that_is_killed_is_down_until_it_is_back(checked, redis):
    server = redis()
    proxy = checked(PING, server.address)
    wait_up(proxy, server.address)
    server.process.kill()
    server.process.wait()
    wait_down(proxy, server.address, "connect refused, 3 of 3 checks failed")
    seen = proxy.position()
    redis()
    event = wait_up(proxy, server.address, after=seen)
    assert "expected text found, 2 of 2 checks passed" in event.text


def test_a_redis_that_is_stopped_accepts_and_is_down_all_the_same(checked, redis):
    server = redis()
    proxy = checked({**PING, **IMPATIENT}, server.address)
    wait_up(proxy, server.address)
    server.process.send_signal(signal.SIGSTOP)
    try:
        wait_down(proxy, server.address, "no answer within 300 ms")
        seen = proxy.position()
    finally:
        server.process.send_signal(signal.SIGCONT)
    wait_up(proxy, server.address, after=seen)


class Nginx:
    """One with a page /up whose status is ours to say."""

    def __init__(self, directory, keep):
        self.address = free_address()
        self.log = directory / "access.log"
        self.conf = directory / "nginx.conf"
        self.say(200)
        argv = [need("nginx"), "-p", directory, "-c", self.conf]
        self.server = keep(Server(argv, self.address, directory))

    def say(self, status):
        self.conf.write_text(
            f"daemon off; pid nginx.pid; error_log error.log; worker_processes 1;\n"
            f"events {{}}\nhttp {{ log_format it '$status $http_user_agent';\n"
            f"access_log {self.log} it; server {{ listen {text(self.address)};\n"
            f"location = /up {{ return {status}; }} }} }}\n"
        )
        if hasattr(self, "server"):
            self.server.process.send_signal(signal.SIGHUP)

    def checks(self, status):
        """How many it has answered with this status."""
        return self.log.read_text().splitlines().count(f"{status} sluice-check")


def test_an_nginx_is_believed_again_after_rise_checks_and_no_sooner(checked, tmp_path, keep):
    nginx = Nginx(tmp_path, keep)
    proxy = checked({**HTTP, "path": "/up", "rise": 4}, nginx.address)
    wait_up(proxy, nginx.address)
    nginx.say(503)
    wait_down(proxy, nginx.address, "HTTP 503, 3 of 3 checks failed")
    good, bad, seen = nginx.checks(200), nginx.checks(503), proxy.position()
    eventually(lambda: nginx.checks(503) > bad + 3, "it is still checked", 8 * PATIENCE)
    nginx.say(200)
    wait_up(proxy, nginx.address, after=seen)
    # Its old and its new worker may have answered by turns for a moment.
    eventually(lambda: nginx.checks(200) >= good + 4, "nginx has logged its answers")


def test_a_check_leaves_no_error_in_nginx(checked, tmp_path, keep):
    nginx = Nginx(tmp_path, keep)
    proxy = checked({**HTTP, "path": "/up"}, nginx.address)
    wait_up(proxy, nginx.address)
    eventually(lambda: nginx.checks(200) >= 5, "five checks", 8 * PATIENCE)
    assert (tmp_path / "error.log").read_text() == ""


@pytest.fixture
def tls_server(tmp_path, keep):
    """tls_server(flag...) starts `openssl s_server`, at the same address each time."""
    openssl, address = need("openssl"), free_address()
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a.example"]
        + ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True,
        capture_output=True,
    )
    argv = [openssl, "s_server", "-accept", text(address), "-www", "-quiet"]
    argv += ["-key", "key.pem", "-cert", "cert.pem"]
    return lambda *flags: keep(Server([*argv, *flags], address, tmp_path))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_tls_server_is_up_while_it_says_hello(checked, tls_server, version):
    server = tls_server(version)
    proxy = checked({"type": "tls", "host": "a.example", **QUICK}, server.address)
    assert "TLS ServerHello" in wait_up(proxy, server.address).text
    server.process.kill()
    server.process.wait()
    wait_down(proxy, server.address, "connect refused")
    seen = proxy.position()
    tls_server(version)
    wait_up(proxy, server.address, after=seen)


def test_an_alert_is_told_by_its_number(checked, tls_server):
    server = tls_server("-tls1_2", "-cipher", "PSK-AES128-CBC-SHA")
    proxy = checked({"type": "tls", **QUICK}, server.address)
    wait_down(proxy, server.address, "TLS alert 40 (handshake failure)")


# ---- hostile ones ----


def _closes(sock, _index):
    sock.shutdown(socket.SHUT_RDWR)


def _resets(sock, _index):
    if sock.recv(1):
        reset(sock)


def _begins(sock, _index):
    sock.sendall(b"H")
    _idle(sock)


def _idle(sock):
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass


def _never_ends(sock, _index):
    try:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n")
        while True:
            sock.sendall(b"X-Header: one more\r\n" * 50)
    except OSError:
        pass


def _says(what):
    def handler(sock, _index):
        try:
            sock.sendall(what)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        _idle(sock)

    return handler


TLS = {"type": "tls", **QUICK}
WANT = {"type": "send_expect", "expect": "welcome", **QUICK}
HOSTILE = [
    (HTTP, _closes, "closed without an answer"),
    (HTTP, _resets, "reset without an answer"),
    ({**HTTP, **IMPATIENT}, _begins, "no whole answer within 300 ms, only 1 bytes"),
    (HTTP, _never_ends, "no end of the answer in 16384 bytes"),
    (HTTP, _says(b"SSH-2.0-server\r\n"), "answer is not HTTP"),
    (HTTP, _says(b"HTTP/1.1 200"), "closed after 12 bytes"),
    (HTTP, _says(b"HTTP/1.1 404 \r\n\r\n"), "HTTP 404"),
    (TLS, _says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "answer is not TLS"),
    (WANT, _says(b"go away"), "expected text not found in 7 bytes"),
    (WANT, _says(b"x" * 100_000), "expected text not found in 16384 bytes"),
]


@pytest.mark.parametrize(("health", "handler", "why"), HOSTILE, ids=[case[2] for case in HOSTILE])
def test_a_server_that_misbehaves_is_down_and_the_event_says_how(
    checked, backend, health, handler, why
):
    server = backend(handler)
    proxy = checked(health, server.address)
    wait_down(proxy, server.address, why)


def test_nobody_there_and_a_black_hole_are_told_apart(checked, refusing, black_hole):
    nobody, hole = refusing(), black_hole()
    proxy = checked({**TCP, **IMPATIENT}, nobody.address, hole.address)
    wait_down(proxy, nobody.address, "connect refused")
    wait_down(proxy, hole.address, "no connection within 300 ms")


# ---- how they are made ----


def test_workers_do_not_multiply_checks(checked, backend):
    site = Site()
    server = backend(site)
    proxy = checked({**HTTP, "interval": "1h"}, server.address, top={"workers": 4})
    wait_up(proxy, server.address)
    assert settled(lambda: len(site.asked), "checks") == 1


def test_another_port_may_be_checked(checked, backend, refusing):
    site = Site()
    server, nobody = backend(site), refusing()
    proxy = checked({**HTTP, "port": server.address[1]}, nobody.address)
    wait_up(proxy, nobody.address)
    assert site.asked[0][0].startswith(b"GET / HTTP/1.1\r\nHost: " + text(server.address).encode())


@pytest.mark.parametrize(
    ("version", "header"),
    [("v1", b"PROXY UNKNOWN\r\n"), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")],
)
def test_a_pool_that_speaks_proxy_is_checked_in_it(checked, backend, version, header):
    site = Site()
    server = backend(site)
    proxy = checked(HTTP, server.address, pool={"proxy_protocol": version})
    wait_up(proxy, server.address)
    assert site.asked[0][0].startswith(header + b"GET / HTTP/1.1\r\n")


def test_a_unix_socket_is_checked(checked, backend, tmp_path):
    server = backend(Site(), address=str(tmp_path / "site"))
    proxy = checked(HTTP, server.address)
    wait_up(proxy, server.address)
    server.close()
    os.unlink(server.address)
    wait_down(proxy, server.address, "no such socket")


def test_a_shorter_interval_applies_at_once(checked, backend):
    site = Site()
    server = backend(site)
    proxy = checked({**HTTP, "interval": "1h"}, server.address)
    wait_up(proxy, server.address)
    change(proxy, interval="20ms")
    eventually(lambda: len(site.asked) > 5, "checks", 8 * PATIENCE)


def test_hundreds_of_targets_are_checked_by_one_thread(checked, tmp_path, keep):
    nginx = Nginx(tmp_path, keep)
    health = {"type": "tcp", "timeout": "10s", "port": nginx.address[1]}
    few = checked(health, nginx.address)
    many = checked(health, *(("127.0.0.1", 1 + n) for n in range(300)))
    eventually(lambda: len(many.events("target_up")) == 300, "all are up", 20 * PATIENCE)
    assert len(many.threads()) == len(few.threads())
    assert not many.events("target_down")


def test_want_of_descriptors_is_no_verdict(checked, backend):
    site = Site()
    server = backend(site)
    with Faults("socket:EMFILE:1-") as faults:
        proxy = checked(HTTP, server.address, binary=FAULT_BINARY, env=faults.env())
        wait_up(proxy, server.address)
        faults.arm()
        proxy.wait_event("health_check_put_off", containing="EMFILE")
        eventually(lambda: faults.injected("socket") > 10, "it is tried again", 8 * PATIENCE)
        faults.disarm()
        asked = len(site.asked)
        eventually(lambda: len(site.asked) > asked + 3, "checks go on", 8 * PATIENCE)
        assert not proxy.events("target_down")


def test_a_target_that_flaps_must_succeed_longer_each_time(checked, backend):
    site = Site()
    server = backend(site)
    proxy = checked({**HTTP, "interval": "1s"}, server.address)
    wait_up(proxy, server.address)
    needed = []
    for _ in range(3):
        seen = proxy.position()
        site.answer = BUSY
        wait_down(proxy, server.address, "HTTP 503", after=seen)
        seen, good = proxy.position(), site.given(OK)
        site.answer = OK
        up = wait_up(proxy, server.address, after=seen)
        needed.append(int(re.search(r"(\d+) of \1 checks passed", up.text)[1]))
        assert site.given(OK) - good >= needed[-1]
    assert needed == [2, 4, 8]


# ---- what it is good for ----


def test_clients_meet_only_targets_that_are_up(checked, backend):
    """A server dies and returns under clients that never stop: none of them sees an error."""
    first, second = backend(name_of("first")), backend(name_of("second"))
    proxy = checked(TCP, first.address, second.address)

    def visit():
        with connect(proxy.front) as client:
            name = client.makefile("rb").readline().decode().strip()
            assert name, "a client was sent to nobody"
            return name

    def meets(*names):
        return {visit() for _ in range(10)} == set(names)

    eventually(lambda: meets("first", "second"), "both serve")
    first.close()
    while not proxy.events("target_down"):
        visit()
    eventually(lambda: meets("second"), "the other serves alone")
    seen = proxy.position()
    backend(name_of("first"), address=first.address)
    wait_up(proxy, first.address, after=seen)
    eventually(lambda: meets("first", "second"), "both serve again")


def test_the_admin_api_says_why_a_target_is_down(checked, backend, tmp_path):
    site = Site()
    server = backend(site)
    admin = Admin(tmp_path / "admin.sock")
    proxy = checked(HTTP, server.address, top={"admin": {"socket": str(admin.where)}})

    def target():
        return admin.targets("back")[text(server.address)]

    eventually(lambda: target()["state"] == "serving", "it serves")
    assert target()["health"]["status"] == "up"
    site.answer = BUSY
    eventually(lambda: target()["state"] == "down", "it is down")
    # The counts go on; every tenth check is heard of, and the words stay.
    eventually(lambda: target()["health"]["failed"] >= 10, "it is checked on", 8 * PATIENCE)
    assert target()["health"]["text"] == "HTTP 503"
    assert "HTTP 503, 3 of 3 checks failed" in target()["reason"]
    assert proxy.events("target_down")
