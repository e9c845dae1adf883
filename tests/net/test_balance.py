# SPDX-License-Identifier: Apache-2.0
"""Whom real backends see, under each way of choosing."""

from collections import Counter

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import name_of, read_exactly
from harness.tools import pump


@pytest.fixture
def spread(sluice, backend):
    """spread(balance, weights) starts named backends and a proxy; returns ask(), proxy, names."""

    def start(balance, weights=(1, 1, 1), workers=1):
        names = [chr(ord("a") + i) for i in range(len(weights))]
        servers = [backend(name_of(name)) for name in names]
        targets = [
            {"address": text(server.address), "weight": weight}
            for server, weight in zip(servers, weights)
        ]
        front = free_address()
        config = simple(text(front), *targets, pool={"balance": balance}, workers=workers)
        proxy = sluice(config={**config, "log": {"format": "json"}})

        def ask(hold=None, source=None):
            client = connect(front, source=source)
            name = read_exactly(client, 2)[:1].decode()
            if hold is None:
                client.close()
            else:
                hold.append(client)
            return name

        return ask, proxy, servers

    return start


def _close(held):
    for client in held:
        client.close()


def test_round_robin_follows_the_weights_exactly(spread):
    ask, _, _ = spread("round_robin", (1, 2, 5))
    assert Counter(ask() for _ in range(80)) == {"a": 10, "b": 20, "c": 50}


def test_round_robin_is_smooth(spread):
    """A heavy target's turns are spread out: 5:1:1 is never served as five in a row."""
    ask, _, _ = spread("round_robin", (5, 1, 1))
    order = "".join(ask() for _ in range(14))
    assert "aaaa" not in order, order


def test_round_robin_over_several_workers_stays_even(spread):
    ask, _, _ = spread("round_robin", (1, 1, 1), workers=4)
    counts = Counter(ask() for _ in range(300))
    assert all(80 <= counts[name] <= 120 for name in "abc"), counts


def test_least_connections_evens_out_what_is_open(spread):
    ask, _, _ = spread("least_connections")
    held = []
    counts = Counter(ask(held) for _ in range(30))
    _close(held)
    assert counts == {"a": 10, "b": 10, "c": 10}


def test_least_connections_fills_the_one_that_became_idle(spread):
    ask, proxy, _ = spread("least_connections", (1, 1))
    held, names = [], []
    for _ in range(20):
        names.append(ask(held))
    for client, name in zip(held, names):
        if name == "a":
            client.close()
    proxy.wait_flows(10)
    again = []
    assert [ask(again) for _ in range(10)] == ["a"] * 10
    _close(held + again)


def test_least_connections_counts_weights(spread):
    ask, _, _ = spread("least_connections", (1, 3))
    held = []
    counts = Counter(ask(held) for _ in range(40))
    _close(held)
    assert 28 <= counts["b"] <= 32, counts


def test_least_connections_sees_what_other_workers_hold(spread):
    ask, _, _ = spread("least_connections", workers=4)
    held = []
    counts = Counter(ask(held) for _ in range(90))
    _close(held)
    assert counts == {"a": 30, "b": 30, "c": 30}


def test_random_two_keeps_open_sessions_nearly_even(spread):
    ask, _, _ = spread("random_two", workers=2)
    held = []
    counts = Counter(ask(held) for _ in range(150))
    _close(held)
    assert all(40 <= counts[name] <= 60 for name in "abc"), counts


def test_first_takes_the_first_alone(spread):
    ask, _, _ = spread("first")
    assert Counter(ask() for _ in range(50)) == {"a": 50}


def test_first_goes_on_to_the_second_when_the_first_is_full(sluice, backend):
    servers = [backend(name_of(name)) for name in "ab"]
    front = free_address()
    targets = [{"address": text(servers[0].address), "max_connections": 3}, text(servers[1].address)]
    sluice(config=simple(text(front), *targets, pool={"balance": "first"}))
    held, names = [], b""
    for _ in range(5):
        held.append(connect(front))
        names += read_exactly(held[-1], 1)
    assert names == b"aaabb"
    _close(held)


def test_maglev_keeps_each_client_address_on_its_target(spread):
    ask, _, _ = spread("maglev", (1, 1, 1), workers=4)
    chosen = {}
    for last in range(2, 62):
        source = f"127.0.0.{last}"
        names = {ask(source=source) for _ in range(3)}
        assert len(names) == 1, f"{source} went to {names}"
        chosen[source] = names.pop()
    counts = Counter(chosen.values())
    assert all(8 <= counts[name] <= 35 for name in "abc"), counts


def test_maglev_moves_few_clients_when_a_target_goes(sluice, backend):
    servers = {name: backend(name_of(name)) for name in "abcd"}
    front = free_address()

    def config(names):
        targets = [text(servers[name].address) for name in names]
        return simple(text(front), *targets, pool={"balance": "maglev"})

    def ask(last):
        with connect(front, source=f"127.0.1.{last}") as client:
            return read_exactly(client, 1).decode()

    proxy = sluice(config=config("abcd"))
    before = {last: ask(last) for last in range(2, 82)}
    proxy.reload(config("abc"))
    after = {last: ask(last) for last in range(2, 82)}
    stayed = [last for last in before if before[last] != "d" and before[last] == after[last]]
    had_to_stay = [last for last in before if before[last] != "d"]
    assert len(stayed) > 0.8 * len(had_to_stay)
    assert "d" not in after.values()


@pytest.mark.parametrize("balance", ["round_robin", "least_connections", "random_two", "maglev"])
def test_weight_zero_takes_nothing_new(spread, balance):
    ask, _, servers = spread(balance, (1, 0, 1))
    for last in range(2, 32):
        assert ask(source=f"127.0.0.{last}") != "b"
    assert servers[1].accepted == 0


@pytest.mark.parametrize("balance", ["round_robin", "least_connections", "random_two", "first"])
def test_a_crowd_is_exact_under_each_way_of_choosing(sluice, pump_server, balance):
    servers = [pump_server() for _ in range(3)]
    front = free_address()
    targets = [text(server.address) for server in servers]
    sluice(config=simple(text(front), *targets, pool={"balance": balance}, workers=2))
    pump(front, up=2000, down=2000, at_once=60, total=1200)
    assert sum(server.report()["exact"] for server in servers) == 1200


def test_maglev_behind_a_balancer_that_hides_its_clients_is_warned_about_once(sluice, backend):
    server = backend(name_of("a"))
    fronts = [free_address(), free_address()]
    config = simple(text(fronts[0]), text(server.address), pool={"balance": "maglev"})
    config["listeners"][0]["trusted"] = ["127.0.0.1/32"]
    config["listeners"].append({"name": "other", "bind": text(fronts[1]), "pool": "back"})
    proxy = sluice(config=config)
    for front in fronts:
        for _ in range(150):
            with connect(front) as client:
                read_exactly(client, 1)
    event = proxy.wait_event("clients_hidden")
    assert event.level == "warn" and "listener=front pool=back" in event.text
    proxy.stop()
    assert len(proxy.events("clients_hidden")) == 1


def test_round_robin_meets_a_refusing_target_at_its_own_turns_alone(sluice, backend, refusing):
    good, bad = backend(name_of("a")), refusing()
    front = free_address()
    config = simple(
        text(front),
        text(bad.address),
        text(good.address),
        pool={"balance": "round_robin", "retry_budget": "100%", "outlier": {"failures": "off"}},
        workers=1,
        log={"format": "json"},
    )
    proxy = sluice(config=config)
    for _ in range(20):
        with connect(front) as client:
            assert read_exactly(client, 1) == b"a"
    assert sum(flow["retries"] for flow in proxy.wait_flows(20)) == 10
