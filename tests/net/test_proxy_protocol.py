# SPDX-License-Identifier: Apache-2.0
"""PROXY headers: from balancers in front, to targets behind, and from whoever should not send any."""

import socket
import time

import pytest
from harness import proxyproto
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import echo, pattern, read_all, read_exactly, reset, turned_away
from harness.proxyproto import LOCAL, v1, v2
from harness.server import Server
from harness.sluice import PATIENCE
from harness.tools import need
from harness.wait import eventually

BALANCER = "127.0.0.2"  # trusted; everybody else is not
CLIENT = ("192.0.2.7", 40112)
VISITED = ("198.51.100.4", 443)
CLIENT6 = ("2001:db8::7", 40112)
VISITED6 = ("2001:db8::1", 443)

HEADERS = {
    "v1": v1(CLIENT, VISITED),
    "v1 over IPv6": v1(CLIENT6, VISITED6),
    "v2": v2(CLIENT, VISITED),
    "v2 over IPv6": v2(CLIENT6, VISITED6),
    "v2 with TLVs": v2(CLIENT, VISITED, proxyproto.tlv(2, b"example.net") + proxyproto.tlv(4, b"")),
}
EVERY_HEADER = pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())


@pytest.fixture
def proxy(sluice):
    """proxy(mode, target...): (address, proxy), with a flow log; `listener` and `pool` add keys."""

    def start(mode, *targets, listener=None, pool=None):
        front = free_address()
        expects = {} if mode == "off" else {"proxy_protocol": mode, "trusted": [f"{BALANCER}/32"]}
        config = simple(
            text(front),
            *targets,
            listener={**expects, **(listener or {})},
            pool=pool,
            log="json",
        )
        return front, sluice(config=config)

    return start


def _connect(front, source=BALANCER):
    return connect(front, source=source)


def _echoed(client, data):
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    return read_all(client)


def _listener_counts(proxy):
    return proxy.counters()["listeners"][0]


# ---- from a balancer ----


@EVERY_HEADER
@pytest.mark.parametrize("mode", ["required", "optional"])
def test_payload_in_the_segment_of_the_header_arrives_alone(proxy, backend, mode, header):
    front, running = proxy(mode, text(backend(echo).address))
    with _connect(front) as client:
        client.sendall(header + b"hello")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"hello"
        peer = text(client.getsockname())
    flow = running.wait_flow(client=peer)
    over_v6 = header in (HEADERS["v1 over IPv6"], HEADERS["v2 over IPv6"])
    assert flow["proxy_source"] == text(CLIENT6 if over_v6 else CLIENT)
    assert flow["proxy_destination"] == text(VISITED6 if over_v6 else VISITED)
    assert flow["client_bytes"] == flow["backend_bytes"] == 5
    assert flow["reason"] == "client_fin"
    assert _listener_counts(running)["proxy_headers"] == 1


@EVERY_HEADER
def test_a_megabyte_behind_the_header_is_whole(proxy, backend, header):
    def count(sock, _index):
        sock.sendall(read_all(sock) == pattern(1 << 20) and b"whole" or b"wrong")
        sock.shutdown(socket.SHUT_WR)

    front, _ = proxy("required", text(backend(count).address))
    with _connect(front) as client:
        assert _echoed(client, header + pattern(1 << 20)) == b"whole"


@EVERY_HEADER
def test_a_header_that_drips_is_put_together(proxy, backend, header):
    front, _ = proxy("required", text(backend(echo).address))
    with _connect(front) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            client.sendall(bytes([byte]))
        assert _echoed(client, b"hello") == b"hello"


def test_the_endpoint_is_logged_counted_and_passed_on(proxy, listener, keep):
    server = listener()
    front, running = proxy("required", text(server.address), pool={"proxy_protocol": "v2"})
    endpoint = "vpce-08d2bf15fac5001c9"
    client = keep(_connect(front))
    client.sendall(v2(CLIENT, VISITED, proxyproto.vpce(endpoint)) + b"hello")
    peer = keep(server.accept())
    header = proxyproto.read_header(peer)
    assert read_exactly(peer, 5) == b"hello"
    assert header.tlvs == [(proxyproto.VPCE, b"\x01" + endpoint.encode())]
    assert (header.source, header.destination) == (CLIENT, VISITED)
    client.close()
    peer.close()
    assert running.wait_flow()["vpce"] == endpoint
    assert _listener_counts(running)["vpce"] == {endpoint: 1}


def test_sessions_are_spread_by_the_headers_source(proxy, backend):
    servers = [backend(lambda sock, _index, n=n: sock.sendall(b"%d" % n)) for n in range(4)]
    targets = [text(server.address) for server in servers]
    front, _ = proxy("required", *targets, pool={"balance": "maglev"})

    def chosen(host):
        with _connect(front) as client:
            client.sendall(v2((host, 1000), VISITED))
            return read_exactly(client, 1)

    hosts = [f"192.0.2.{n}" for n in range(1, 41)]
    first = [chosen(host) for host in hosts]
    assert len(set(first)) == 4
    assert [chosen(host) for host in hosts] == first


def test_probes_of_a_balancer_are_counted_and_not_logged(proxy, backend):
    front, running = proxy("required", text(backend(echo).address))
    _connect(front).close()
    reset(_connect(front))
    with _connect(front) as client:
        client.sendall(LOCAL)
    with _connect(front) as client:
        assert _echoed(client, LOCAL + b"GET /health") == b"GET /health"
    eventually(lambda: _listener_counts(running)["probes"] == 4, "four probes")
    with _connect(front) as client:
        assert _echoed(client, HEADERS["v2"] + b"x") == b"x"
    running.wait_flow(proxy_source=text(CLIENT))
    assert len(running.flows()) == 1
    assert _listener_counts(running)["proxy_errors"] == 0


# ---- from whoever should not ----


@pytest.mark.parametrize(
    "header", [HEADERS["v1"], HEADERS["v2"], b"", LOCAL], ids=["v1", "v2", "none", "LOCAL"]
)
def test_a_peer_that_is_not_trusted_is_refused_where_a_header_is_required(proxy, backend, header):
    server = backend(echo)
    front, running = proxy("required", text(server.address))
    turned_away(front, header, source="127.0.0.1")
    flow = running.wait_flow(reason="proxy_untrusted")
    assert flow["proxy_source"] is None and flow["target"] is None
    running.wait_event("proxy_header_refused", "not trusted")
    assert _listener_counts(running)["proxy_errors"] == 1
    assert server.accepted == 0


@EVERY_HEADER
def test_a_forged_header_is_payload_where_one_is_optional(proxy, backend, header):
    front, running = proxy("optional", text(backend(echo).address))
    with _connect(front, source="127.0.0.1") as client:
        assert _echoed(client, header + b"hello") == header + b"hello"
    assert running.wait_flow()["proxy_source"] is None
    assert _listener_counts(running)["proxy_headers"] == 0


BAD = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "a malformed line": b"PROXY TCP4 192.0.2.7 198.51.100.4 40112\r\n",
    "an endless line": b"PROXY UNKNOWN " + b"x" * 200,
    "an unknown command": v2(CLIENT, VISITED, command=2),
    "a datagram": v2(CLIENT, VISITED, transport=2),
    "a length beyond reason": HEADERS["v2"][:14] + b"\xff\xff",
    "a TLV past the end": v2(CLIENT, VISITED, b"\x02\xff\xff"),
    "a wrong checksum": v2(CLIENT, VISITED, proxyproto.tlv(3, b"\0\0\0\0")),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_no_proper_header_is_refused_at_once(proxy, backend, data):
    server = backend(echo)
    front, running = proxy("required", text(server.address), listener={"header_timeout": "60s"})
    turned_away(front, data, source=BALANCER)
    running.wait_flow(reason="proxy_header_bad")
    running.wait_event("proxy_header_refused", "proxy_header_bad")
    assert server.accepted == 0


@pytest.mark.parametrize("mode", ["required", "optional"])
@EVERY_HEADER
def test_half_a_header_is_reset_at_its_deadline(proxy, backend, mode, header):
    server = backend(echo)
    times = {"header_timeout": "300ms", "proxy_timeout": "100ms"}
    front, running = proxy(mode, text(server.address), listener=times)
    begin = time.monotonic()
    turned_away(front, header[: len(header) // 2], source=BALANCER)
    assert 0.29 < time.monotonic() - begin < 3 * PATIENCE
    running.wait_flow(reason="proxy_header_timeout")
    assert server.accepted == 0


def test_a_trickle_does_not_prolong_the_deadline(proxy, backend):
    front, running = proxy(
        "required", text(backend(echo).address), listener={"header_timeout": "500ms"}
    )
    begin = time.monotonic()
    with _connect(front) as client, pytest.raises(OSError):
        for byte in b"PROXY UNKNOWN " + b"x" * 80:
            client.sendall(bytes([byte]))
            time.sleep(0.05)  # the rate of the trickle; nothing is waited for
    assert time.monotonic() - begin < 3 * PATIENCE
    running.wait_flow(reason="proxy_header_timeout")


# ---- optional ----


def test_a_server_may_speak_first_where_a_header_is_optional(proxy, backend):
    def greet(sock, _index):
        sock.sendall(b"220 ready\r\n")
        assert read_exactly(sock, 6) == b"EHLO\r\n"

    front, running = proxy(
        "optional", text(backend(greet).address), listener={"proxy_timeout": "100ms"}
    )
    begin = time.monotonic()
    with _connect(front) as client:
        assert read_exactly(client, 11) == b"220 ready\r\n"
        assert 0.09 < time.monotonic() - begin < 2 * PATIENCE
        client.sendall(b"EHLO\r\n")
    with _connect(front, source="127.0.0.1") as client:
        assert read_exactly(client, 11) == b"220 ready\r\n"
        client.sendall(b"EHLO\r\n")
    assert len(running.wait_flows(2)) == 2


def test_a_header_too_late_is_payload_where_one_is_optional(proxy, listener, keep):
    server = listener()
    front, _ = proxy("optional", text(server.address), listener={"proxy_timeout": "50ms"})
    client = keep(_connect(front))
    peer = keep(server.accept())
    client.sendall(HEADERS["v2"])
    assert read_exactly(peer, len(HEADERS["v2"])) == HEADERS["v2"]


def test_optional_is_warned_about_at_start_and_reload(proxy, sluice, backend):
    target, front = text(backend(echo).address), free_address()
    before = simple(text(front), target)
    expects = {"proxy_protocol": "optional", "trusted": [BALANCER]}
    after = simple(text(front), target, listener=expects)
    running = sluice(config=before)
    running.reload(after)
    running.wait_event("config_warning", "clients can forge one")
    _, another = proxy("optional", target)
    another.wait_stderr("clients can forge one")


# ---- to targets ----


@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_targets_are_told_who_connected(proxy, listener, keep, sluice, has_ipv6, host, version, crc):
    server, front = listener(), free_address(host)
    pool = {"proxy_protocol": version}
    if crc and version == "v2":
        pool["proxy_crc32c"] = True
    sluice(config=simple(text(front), text(server.address), pool=pool))
    client = keep(connect(front))
    peer = keep(server.accept())
    header = proxyproto.read_header(peer)
    assert header.version == int(version[1]) and not header.local
    assert header.source == client.getsockname()[:2]
    assert header.destination == front
    assert any(kind == 3 for kind, _ in header.tlvs) == ("proxy_crc32c" in pool)
    client.sendall(b"hello")
    assert read_exactly(peer, 5) == b"hello"
    peer.sendall(b"world")
    assert read_exactly(client, 5) == b"world"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_unix_sockets_on_both_sides_are_told_of_too(listener, keep, sluice, tmp_path, version):
    server, front = listener(str(tmp_path / "back")), str(tmp_path / "front")
    pool = {"proxy_protocol": version}
    sluice(config=simple(text(front), text(server.address), pool=pool))
    client = keep(connect(front))
    client.sendall(b"hello")
    peer = keep(server.accept())
    header = proxyproto.read_header(peer)
    assert (header.source, header.destination) == ((None, None) if version == "v1" else ("", front))
    assert read_exactly(peer, 5) == b"hello"


def test_a_target_tried_second_gets_header_and_payload(proxy, listener, refusing, keep):
    dead, server = refusing(), listener()
    pool = {"proxy_protocol": "v2", "balance": "first"}
    front, running = proxy("required", text(dead.address), text(server.address), pool=pool)
    client = keep(_connect(front))
    client.sendall(HEADERS["v1"] + b"hello")
    peer = keep(server.accept())
    assert proxyproto.read_header(peer).source == CLIENT
    assert read_exactly(peer, 5) == b"hello"
    client.close()
    peer.close()
    assert running.wait_flow()["retries"] == 1


def test_a_check_of_the_balancers_own_reaches_the_target_as_such(proxy, listener, keep):
    server = listener()
    front, _ = proxy("required", text(server.address), pool={"proxy_protocol": "v2"})
    client = keep(_connect(front))
    client.sendall(LOCAL)
    assert proxyproto.read_header(keep(server.accept())).local


# ---- with others' implementations ----


@pytest.fixture
def nginx(tmp_path, keep):
    """Answers with the address and port that a PROXY header told it."""
    address, conf = free_address(), tmp_path / "nginx.conf"
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    conf.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/err.log;\n"
        "events { }\nhttp { access_log off;\n"
        + "".join(f"  {name}_temp_path {tmp_path};\n" for name in paths)
        + f"  server {{ listen 127.0.0.1:{address[1]} proxy_protocol;\n"
        '    location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port"; } } }\n'
    )
    return keep(Server([need("nginx"), "-p", tmp_path, "-c", conf], address, tmp_path))


@pytest.fixture
def haproxy(tmp_path, keep):
    """haproxy(address, options): its front address, with that server line behind it."""

    def start(address, options):
        front, conf = free_address(), tmp_path / "haproxy.cfg"
        conf.write_text(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n"
            "  timeout server 30s\n"
            f"listen front\n  bind {text(front)}\n"
            f"  server sluice {text(address)} source {BALANCER} {options}\n"
        )
        return keep(Server([need("haproxy"), "-db", "-f", conf], front, tmp_path)).address

    return start


@pytest.mark.parametrize(
    "sent", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"]
)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_in_front_and_nginx_behind_agree_on_the_client(
    proxy, haproxy, nginx, sent, version
):
    front, running = proxy("required", text(nginx.address), pool={"proxy_protocol": version})
    balancer = haproxy(front, f"{sent} check inter 100ms check-send-proxy")
    with connect(balancer) as client:
        name = text(client.getsockname())
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(client).endswith(b"\r\n\r\n" + name.encode())
    flow = running.wait_flow(proxy_source=name)
    assert flow["client"].startswith(BALANCER)
    assert flow["proxy_destination"] == text(balancer)
    eventually(lambda: _listener_counts(running)["probes"] >= 3, "checks that count as probes")
    assert _listener_counts(running)["proxy_errors"] == 0


def test_checks_without_a_header_keep_haproxy_content(proxy, haproxy, nginx):
    front, running = proxy("required", text(nginx.address), pool={"proxy_protocol": "v2"})
    haproxy(front, "send-proxy-v2 check inter 100ms no-check-send-proxy")
    eventually(lambda: _listener_counts(running)["probes"] >= 3, "checks that count as probes")
    assert _listener_counts(running)["proxy_errors"] == 0
    assert not running.flows()
