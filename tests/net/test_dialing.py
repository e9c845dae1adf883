# SPDX-License-Identifier: Apache-2.0
"""Backends that refuse, vanish or hang up; retries, their budget, and what the client is told."""

import socket
import subprocess

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import (
    echo,
    name_of,
    read_all,
    read_exactly,
    turned_away,
)
from harness.sluice import wait_open_sessions
from harness.tools import need, need_root

NOBODY = {"discover": {"ec2": {"tags": {"role": "none"}, "port": 80}}}


@pytest.fixture
def front(sluice):
    """front(target..., **sections of conf.simple()) starts a proxy and returns (address, proxy)."""

    def start(*targets, **sections):
        address = free_address()
        sections = {"log": {"format": "json"}, "workers": 1, **sections}
        return address, sluice(config=simple(text(address), *targets, **sections))

    return start


def test_a_backend_that_refuses_means_a_reset_at_once(front, refusing):
    address, proxy = front(text(refusing().address))
    for _ in range(20):
        turned_away(address)
    for flow in proxy.wait_flows(20):
        assert flow["reason"] == "connect_refused"
        assert flow["duration_ms"] < 1000


def test_a_refused_client_that_has_sent_data_gets_a_reset_too(front, refusing):
    address, proxy = front(text(refusing().address))
    for _ in range(20):
        turned_away(address, b"request" * 1000)
    proxy.wait_flows(20)


def test_a_black_hole_means_a_reset_at_the_connect_deadline(front, black_hole):
    quick = {"timeouts": {"connect": "300ms"}, "retries": 0}
    address, proxy = front(text(black_hole().address), pool=quick)
    turned_away(address, b"anybody?")
    flow = proxy.wait_flow()
    assert flow["reason"] == "connect_timeout"
    assert flow["duration_ms"] >= 300
    assert flow["connect_ms"] in (0, None)


def test_a_black_hole_is_left_for_another_target(front, black_hole, backend):
    quick = {"timeouts": {"connect": "200ms"}, "balance": "first"}
    good = backend(echo)
    address, proxy = front(text(black_hole().address), text(good.address), pool=quick)
    for _ in range(3):
        with connect(address) as client:
            client.sendall(b"kept while dialing")
            assert read_exactly(client, 18) == b"kept while dialing"
    for flow in proxy.wait_flows(3):
        assert flow["retries"] == 1
        assert flow["target"] == text(good.address)


def test_every_session_survives_one_refusing_target_among_good_ones(front, refusing, backend):
    good = backend(echo)
    pool = {"retry_budget": "100%", "outlier": {"failures": "off"}}
    address, proxy = front(text(refusing().address), text(good.address), pool=pool)
    for _ in range(100):
        with connect(address) as client:
            client.sendall(b"x" * 3000)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"x" * 3000
    flows = proxy.wait_flows(100)
    assert 1 in {flow["retries"] for flow in flows} <= {0, 1}
    assert {flow["reason"] for flow in flows} == {"client_fin"}
    counts = proxy.counters()
    assert counts["retries"] == sum(flow["retries"] for flow in flows) >= 40


def test_a_retry_budget_bounds_the_load_on_a_dead_pool(front, refusing):
    dead = [refusing() for _ in range(3)]
    pool = {"retries": 2, "retry_budget": "20%"}
    address, proxy = front(*(text(d.address) for d in dead), pool=pool)
    for _ in range(400):
        turned_away(address)
    proxy.wait_flows(400)
    counts = proxy.counters()
    assert counts["connects"] >= 400
    assert counts["connects"] <= 400 * 1.2 + 40, "a dead pool's load is multiplied"
    assert counts["retries_denied"] > 0


def test_no_retry_goes_to_a_target_that_was_tried(front, refusing):
    dead = [refusing() for _ in range(2)]
    pool = {"retries": 5, "retry_budget": "100%"}
    address, proxy = front(*(text(d.address) for d in dead), pool=pool)
    for _ in range(10):
        turned_away(address)
    assert all(flow["retries"] <= 1 for flow in proxy.wait_flows(10))


def test_a_backend_that_hangs_up_at_once_is_a_clean_end(front, backend):
    server = backend(lambda sock, _index: sock.shutdown(socket.SHUT_WR))
    address, proxy = front(text(server.address))
    for _ in range(50):
        with connect(address) as client:
            assert read_all(client) == b""
    for flow in proxy.wait_flows(50):
        assert flow["reason"] == "backend_fin"


def test_a_listener_that_closes_during_connect_is_survived(front, listener, backend):
    """A backend that is restarted over and over: some sessions fail, none hangs or is forged."""
    good = backend(echo)
    for _ in range(10):
        flapping = listener()
        address, proxy = front(text(flapping.address), text(good.address))
        clients = [connect(address) for _ in range(10)]
        flapping.close()
        for client in clients:
            with client:
                try:
                    client.sendall(b"alive?")
                    client.shutdown(socket.SHUT_WR)
                    assert read_all(client) in (b"alive?",)
                except (ConnectionResetError, BrokenPipeError, OSError):
                    pass
        wait_open_sessions(proxy, 0)
        proxy.stop()


def test_a_pool_without_targets_resets_and_says_empty(front):
    address, proxy = front(pool=NOBODY)
    turned_away(address)
    assert proxy.wait_flow()["reason"] == "pool_empty"


def test_a_pool_of_weight_zero_resets_and_says_draining(front, backend):
    server = backend(echo)
    address, proxy = front({"address": text(server.address), "weight": 0})
    turned_away(address)
    assert proxy.wait_flow()["reason"] == "pool_draining"
    assert server.accepted == 0


def test_a_full_target_resets_and_says_full_until_a_slot_is_free(front, backend):
    server = backend(echo)
    limited = {"address": text(server.address), "max_connections": 3}
    address, proxy = front(limited, workers=4)
    held = [connect(address) for _ in range(3)]
    for client in held:
        client.sendall(b"mine")
        assert read_exactly(client, 4) == b"mine"
    for _ in range(10):
        turned_away(address)
    assert {flow["reason"] for flow in proxy.wait_flows(10)} == {"pool_full"}
    assert server.accepted == 3
    held.pop().close()
    proxy.wait_flow(reason="client_fin")
    with connect(address) as client:
        client.sendall(b"next")
        assert read_exactly(client, 4) == b"next"
    for client in held:
        client.close()


def test_a_target_is_never_given_more_than_its_limit(front, listener, keep):
    """All workers at once on one limit."""
    server = listener()
    limited = {"address": text(server.address), "max_connections": 20}
    address, proxy = front(limited, workers=4)
    let_in = 0
    for _ in range(200):
        try:
            keep(connect(address))
            let_in += 1
        except ConnectionResetError:
            pass
    proxy.wait_flows(180, reason="pool_full")
    assert let_in >= 20
    assert len(proxy.flows()) == 180
    wait_open_sessions(proxy, 20)


def test_a_name_is_resolved(front, backend):
    server = backend(name_of("here"))
    address, proxy = front(f"localhost:{server.address[1]}")
    with connect(address) as client:
        assert read_all(client) == b"here\n"
    flow = proxy.wait_flow()
    assert "localhost" in flow["target"]
    assert flow["backend"] == text(server.address)


def test_a_name_that_does_not_resolve_leaves_the_pool_down(front):
    address, proxy = front("no-such-host.invalid:80")
    turned_away(address)
    assert proxy.wait_flow()["reason"] == "pool_down"


def test_a_good_target_works_beside_a_name_that_does_not_resolve(front, backend):
    server = backend(name_of("here"))
    address, _ = front("no-such-host.invalid:80", text(server.address))
    for _ in range(10):
        with connect(address) as client:
            assert read_all(client) == b"here\n"


def test_source_addresses_are_used_in_turn(front, listener):
    server = listener()
    pool = {"source": ["127.0.0.2", "127.0.0.3"]}
    address, proxy = front(text(server.address), pool=pool)
    seen = []
    for _ in range(20):
        with connect(address) as client:
            client.sendall(b"x")
            with server.accept() as peer:
                seen.append(peer.getpeername()[0])
    assert seen.count("127.0.0.2") == 10
    assert seen.count("127.0.0.3") == 10
    for flow in proxy.wait_flows(20):
        assert flow["backend_local"].split(":")[0] in pool["source"]


def test_an_unreachable_target_resets_and_says_so(sluice, tmp_path):
    """In a network namespace without a route; a Unix socket leads into it."""
    need_root("to make a network namespace")
    address = f"{tmp_path}/front"
    log, prefix = {"format": "json"}, (need("unshare"), "-n")
    proxy = sluice(config=simple(text(address), "192.0.2.1:9", log=log), prefix=prefix)
    with connect(address) as client:
        assert client.recv(1) == b"", "a Unix socket knows no reset"
    assert proxy.wait_flow()["reason"] == "connect_unreachable"


def test_a_unix_target_that_is_not_there_counts_as_refusing(front, tmp_path):
    address, proxy = front(f"unix:{tmp_path}/nobody")
    turned_away(address)
    assert proxy.wait_flow()["reason"] == "connect_refused"


def test_source_ports_follow_the_range_of_the_kernel(sluice, backend, tmp_path):
    """In a network namespace, whose range is its own: one proxy connects to another by TCP.

    The proxy takes the ports of its queue in order, so those of 20 connects lie close together; the
    kernel jumps about.
    """
    need_root("to make a network namespace")
    server = backend(echo, address=f"{tmp_path}/echo")
    knob = "/proc/sys/net/ipv4/ip_local_port_range"
    script = f'ip link set lo up && echo 20000 20099 >{knob} && exec "$@"'
    log = {"format": "json"}
    outer = sluice(
        config=simple(f"unix:{tmp_path}/front", "127.0.0.1:7000", log=log, workers=1),
        prefix=(need("unshare"), "-n", "sh", "-c", script, "sh"),
    )
    inside = (need("nsenter"), "-t", str(outer.pid), "-n")
    sluice(config=simple("127.0.0.1:7000", f"unix:{tmp_path}/echo"), prefix=inside)

    def ports_in_order():
        seen = len(outer.flows())
        for _ in range(50):
            with connect(f"{tmp_path}/front") as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
        flows = outer.wait_flows(seen + 50)[seen:]
        ports = [int(flow["backend_local"].split(":")[1]) for flow in flows]
        assert max(ports[-20:]) - min(ports[-20:]) < 50, ports
        return ports

    assert all(20000 <= port <= 20099 for port in ports_in_order())
    subprocess.run([*inside, "sh", "-c", f"echo 30000 30099 >{knob}"], check=True)
    assert outer.wait_event("source_ports_changed").text == "source_ports=30000-30099"
    assert all(30000 <= port <= 30099 for port in ports_in_order())
