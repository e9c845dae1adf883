# SPDX-License-Identifier: Apache-2.0
"""Every kind of address to listen on and to connect to."""

import os
import socket
import stat

import pytest
from harness.address import connect, free_address, free_port, text
from harness.conf import simple
from harness.peers import echo, read_exactly, reset, turned_away
from harness.sluice import run
from harness.tools import pump
from harness.wait import eventually


def _echoes(address, data=b"hello"):
    with connect(address) as client:
        client.sendall(data)
        return read_exactly(client, len(data)) == data


def test_unix_sockets_serve_on_both_legs(route, pump_server, tmp_path):
    server = pump_server(f"unix:{tmp_path}/back")
    if route.direct:
        route.front = server.address
    else:
        route.front = f"{tmp_path}/front"
        config = simple(text(route.front), text(server.address), relay=route.mode, workers=2)
        route.proxy = route._start(config={**config, "log": {"format": "json"}})
    pump(route.front, up=2_000_000, down=2_000_000, at_once=20, total=40)
    assert server.report()["exact"] == 40
    for flow in route.ended(("client_fin", "backend_fin"), 40):
        assert flow["client_bytes"] == 2_000_032
        assert flow["backend_bytes"] == 2_000_000


@pytest.mark.parametrize("unix_leg", ["front", "back"])
def test_a_unix_leg_and_a_tcp_leg_go_together(sluice, backend, tmp_path, unix_leg):
    path = f"{tmp_path}/sock"
    server = backend(echo, path) if unix_leg == "back" else backend(echo)
    front = path if unix_leg == "front" else free_address()
    target = text(path) if unix_leg == "back" else text(server.address)
    sluice("--listen", text(front), "--target", target)
    assert _echoes(front, b"x" * 100_000)


def test_every_worker_shares_one_unix_listener(sluice, pump_server, tmp_path):
    server, front = pump_server(), f"{tmp_path}/front"
    sluice("--listen", text(front), "--target", text(server.address), "--workers", "4")
    pump(front, up=1000, down=1000, at_once=200, total=2000)
    assert server.report()["exact"] == 2000


def test_a_unix_listener_has_the_mode_that_was_asked_for(sluice, backend, tmp_path):
    path = f"{tmp_path}/front"
    target = text(backend(echo).address)
    sluice(config=simple(text(path), target, listener={"mode": "0620"}))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o620


def test_a_stale_unix_socket_is_replaced_and_removed_at_the_end(sluice, backend, tmp_path):
    path = f"{tmp_path}/front"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    proxy = sluice("--listen", text(path), "--target", text(backend(echo).address))
    assert _echoes(path)
    proxy.stop()
    assert not os.path.exists(path)


def test_a_unix_path_in_use_is_refused(sluice, backend, tmp_path):
    path = f"{tmp_path}/front"
    args = ("--listen", text(path), "--target", text(backend(echo).address))
    sluice(*args)
    second = run(*args)
    assert second.returncode != 0
    assert path in second.stderr
    assert _echoes(path), "the first is undisturbed"


def test_ipv6_serves_on_both_legs(has_ipv6, sluice, backend):
    front = free_address("::1")
    server = backend(echo, ("::1", 0))
    proxy = sluice("--listen", text(front), "--target", text(server.address), "--log", "json")
    assert _echoes(front)
    flow = proxy.wait_flow()
    assert flow["client"].startswith("[::1]:")
    assert flow["backend"] == text(server.address)


def test_a_dual_stack_listener_takes_both_and_logs_plain_ipv4(has_ipv6, sluice, backend):
    port = free_port()
    target = text(backend(echo).address)
    proxy = sluice("--listen", f"[::]:{port}", "--target", target, "--log", "json")
    assert _echoes(("127.0.0.1", port))
    assert proxy.wait_flow()["client"].startswith("127.0.0.1:")
    assert _echoes(("::1", port))
    assert proxy.wait_flows(2)[1]["client"].startswith("[::1]:")


def test_v6_only_keeps_ipv4_out(has_ipv6, sluice, backend):
    port = free_port()
    target = text(backend(echo).address)
    sluice(config=simple(f"[::]:{port}", target, listener={"v6_only": True}))
    assert _echoes(("::1", port))
    with pytest.raises(ConnectionRefusedError):
        connect(("127.0.0.1", port))


def test_a_port_alone_listens_on_every_address(sluice, backend):
    port = free_port()
    sluice("--listen", f":{port}", "--target", text(backend(echo).address))
    assert _echoes(("127.0.0.1", port))
    assert _echoes(("127.0.0.7", port))


def test_each_port_of_a_range_serves(sluice, backend):
    first = free_port(20)
    target = text(backend(echo).address)
    proxy = sluice(
        *("--listen", f"127.0.0.1:{first}-{first + 19}", "--target", target),
        *("--workers", "2", "--log", "json"),
    )
    for port in range(first, first + 20):
        assert _echoes(("127.0.0.1", port))
    fronts = {flow["client_local"] for flow in proxy.wait_flows(20)}
    assert fronts == {f"127.0.0.1:{port}" for port in range(first, first + 20)}


def test_several_listeners_lead_to_their_own_pools(sluice, backend):
    fronts = [free_address() for _ in range(3)]
    servers = [backend(lambda sock, _i, n=n: sock.sendall(b"%d" % n)) for n in range(3)]
    config = {
        "listeners": [
            {"name": f"l{n}", "bind": text(fronts[n]), "pool": f"p{n}"} for n in range(3)
        ],
        "pools": [{"name": f"p{n}", "targets": [text(servers[n].address)]} for n in range(3)],
    }
    proxy = sluice(config={**config, "log": {"format": "json"}})
    for n in range(3):
        with connect(fronts[n]) as client:
            assert read_exactly(client, 1) == b"%d" % n
        assert proxy.wait_flow(listener=f"l{n}")["pool"] == f"p{n}"


@pytest.mark.parametrize("steer", ["hash", "cpu"])
def test_either_steering_serves_everyone(sluice, pump_server, steer):
    front, server = free_address(), pump_server()
    listener = {"steer": steer}
    sluice(config=simple(text(front), text(server.address), listener=listener, workers=2))
    pump(front, up=500, down=500, at_once=50, total=1000)


def test_the_kernels_hash_spreads_connections_over_the_workers(sluice, pump_server):
    front, server = free_address(), pump_server()
    args = ("--listen", text(front), "--target", text(server.address), "--workers", "4")
    proxy = sluice(*args, "--log", "json")
    pump(front, up=10, down=10, at_once=50, total=400)
    by_worker = [flow["worker"] for flow in proxy.wait_flows(400)]
    assert sorted(set(by_worker)) == [0, 1, 2, 3]
    assert all(by_worker.count(worker) > 40 for worker in range(4))


def test_a_busy_port_names_its_holder_and_what_to_try(listener):
    taken = listener()
    result = run("--listen", text(taken.address), "--target", "127.0.0.1:9")
    assert result.returncode != 0
    assert str(taken.address[1]) in result.stderr
    assert str(os.getpid()) in result.stderr, "who holds it"
    assert "choose another address" in result.stderr, "what to try"


def test_keepalive_is_on_for_both_legs_by_default(sluice, listener, keep):
    server, front = listener(), free_address()
    sluice("--listen", text(front), "--target", text(server.address))
    client = keep(connect(front))
    peer = keep(server.accept())
    clients, backends = client.getsockname()[1], peer.getpeername()[1]

    def timers():
        rows = [row.split() for row in open("/proc/net/tcp").read().splitlines()[1:]]
        # "tr" 02 is a pending keepalive timer (proc_net_tcp.rst).
        return {
            (int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16)): row[5].split(":")[0]
            for row in rows
            if row[3] == "01"
        }

    eventually(lambda: timers().get((front[1], clients)) == "02", "keepalive to the client", 20)
    to_backend = (backends, server.address[1])
    eventually(lambda: timers().get(to_backend) == "02", "keepalive to the backend", 20)


def test_configured_socket_options_do_no_harm(sluice, pump_server):
    front, server = free_address(), pump_server()
    tcp = {
        "keepalive": {"idle": "30s", "interval": "5s", "count": 2},
        "user_timeout": "20s",
        "send_buffer": "128KiB",
        "receive_buffer": "128KiB",
        "congestion": "reno",
    }
    sluice(config=simple(text(front), text(server.address), tcp=tcp))
    pump(front, up=3_000_000, down=3_000_000, at_once=4, total=8)


def test_a_client_gone_before_accept_is_no_problem(sluice, backend):
    front = free_address()
    proxy = sluice("--listen", text(front), "--target", text(backend(echo).address))
    for _ in range(100):
        reset(connect(front))
    assert _echoes(front)
    assert proxy.alive()


def test_a_listener_on_a_refusing_pool_still_accepts(sluice, refusing):
    front = free_address()
    sluice("--listen", text(front), "--target", text(refusing().address))
    turned_away(front)
