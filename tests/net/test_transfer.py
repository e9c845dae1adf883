# SPDX-License-Identifier: Apache-2.0
"""Every byte arrives once, in order, in both directions at once, in every relay mode."""

import pytest
from harness.address import free_address, text
from harness.tools import pump, skip_without_pipes

MIB = 1 << 20


@pytest.mark.parametrize("size", [1, 2, 4095, 65536, 65537, 3 * MIB + 1, 64 * MIB])
def test_streams_of_any_length_arrive_exactly_in_both_directions(route, pump_server, size):
    server = pump_server()
    route.to(server)
    pump(route.front, up=size, down=size, seed=size)
    assert server.report()["exact"] == 1
    if not route.direct:
        flow = route.proxy.wait_flow()
        assert flow["client_bytes"] == size + 32  # the header that names the lengths
        assert flow["backend_bytes"] == size


@pytest.mark.parametrize("up, down", [(0, 0), (0, 5 * MIB), (5 * MIB, 0)])
def test_a_direction_without_bytes_leaves_the_other_exact(route, pump_server, up, down):
    server = pump_server()
    route.to(server)
    pump(route.front, up=up, down=down, at_once=4, total=16)
    assert server.report()["exact"] == 16


@pytest.mark.parametrize("chunk", [1, 7, 1460])
def test_streams_cut_into_small_writes_arrive_exactly(route, pump_server, chunk):
    server = pump_server()
    route.to(server)
    pump(route.front, up=20_000, down=20_000, chunk=chunk, at_once=10, total=10)
    assert server.report()["exact"] == 10


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_two_thousand_connections_at_once_are_each_exact(proxied, pump_server, workers):
    server = pump_server()
    proxied.to(server, workers=workers)
    options = {"up": 60_000, "down": 60_000, "vary": True, "barrier": True}
    pump(proxied.front, at_once=2000, total=2000, **options)
    assert server.report()["exact"] == 2000
    counts = proxied.proxy.counters()
    assert counts["sessions"] == 2000
    reasons = counts["reasons"]
    assert reasons.get("client_fin", 0) + reasons.get("backend_fin", 0) == 2000, reasons


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_many_large_streams_side_by_side_are_each_exact(proxied, pump_server, workers):
    server = pump_server()
    proxied.to(server, workers=workers)
    pump(proxied.front, up=8 * MIB, down=8 * MIB, at_once=24, total=24)
    assert server.report()["exact"] == 24


def test_short_sessions_in_quick_succession_are_each_exact(proxied, pump_server):
    server = pump_server()
    proxied.to(server, workers=2)
    pump(proxied.front, up=300, down=3000, vary=True, at_once=50, total=5000)
    assert server.report()["exact"] == 5000


def test_a_tiny_buffers_cap_still_moves_every_byte(proxied, pump_server):
    server = pump_server()
    proxied.to(server, workers=2, buffers="1MiB", tcp={"send_buffer": "16KiB"})
    pump(proxied.front, up=2 * MIB, down=2 * MIB, at_once=64, total=64)
    assert server.report()["exact"] == 64


@pytest.mark.alone
def test_a_bulk_transfer_is_spliced_when_left_to_choose(sluice, pump_server):
    server = pump_server()
    front = free_address()
    proxy = sluice("--listen", text(front), "--target", text(server.address), "--log", "json")
    pump(front, down=64 * MIB)
    flow = proxy.wait_flow()
    skip_without_pipes(proxy)
    assert flow["spliced_bytes"] > 32 * MIB, flow


@pytest.mark.alone
def test_forcing_copy_splices_nothing_and_forcing_splice_splices_nearly_all(proxied, pump_server):
    server = pump_server()
    proxied.to(server)
    pump(proxied.front, up=4 * MIB, down=4 * MIB)
    spliced = proxied.proxy.wait_flow()["spliced_bytes"]
    if proxied.mode == "copy":
        assert spliced == 0
    if proxied.mode == "splice":
        skip_without_pipes(proxied.proxy)
        assert spliced > 7 * MIB


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_thousands_of_mixed_sessions_stay_exact(proxied, pump_server, workers):
    server = pump_server()
    proxied.to(server, workers=workers)
    for seed in range(5):
        options = {"up": MIB, "down": MIB, "vary": True, "seed": seed, "deadline": 300}
        pump(proxied.front, at_once=500, total=5000, **options)
    assert server.report()["exact"] == 25_000
