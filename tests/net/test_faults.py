# SPDX-License-Identifier: Apache-2.0
"""System calls and allocations that fail: some sessions end, with a reset and a reason; the
process survives, and every other session is exact. tests/lib/fault.c makes them fail."""

import re

import pytest
from fault import Faults
from harness.address import free_address, text
from harness.conf import simple
from harness.sluice import FAULT_BINARY, targets_of, wait_open_sessions
from harness.tools import PumpLoad, pump

KIB = 1 << 10


@pytest.fixture
def faulty(sluice, pump_server):
    """faulty(rules) gives (front, proxy, faults): armed, in front of a pump."""
    assert FAULT_BINARY.exists(), f"{FAULT_BINARY} is missing; `make {FAULT_BINARY}` builds it"
    opened = []

    def start(rules, **sections):
        faults = Faults(rules)
        opened.append(faults)
        front, server = free_address(), pump_server()
        sections = {"log": {"format": "json"}, "workers": 2, **sections}
        config = simple(text(front), text(server.address), **sections)
        proxy = sluice(config=config, binary=FAULT_BINARY, env=faults.env())
        faults.arm()
        return front, proxy, faults

    yield start
    for faults in opened:
        faults.disarm()
        faults.__exit__()


def _load(front, **options):
    options = {"up": 100 * KIB, "down": 100 * KIB, "at_once": 20, "total": 200, **options}
    load = PumpLoad(front, deadline=30, **options)
    try:
        return load.tally()
    finally:
        load.close()


def _injected(faults, rules):
    return sum(faults.injected(name) for name in set(re.findall(r"(\w+):E", rules)))


# What may fail without any session noticing, since there is another way.
HARMLESS = [
    "accept4:EAGAIN:every:3",
    "accept4:ECONNABORTED:every:5",
    "accept4:EINTR:every:4",
    "splice:EINVAL:1-",
    "splice:EINVAL:every:2",
    "splice:EINVAL:every:5",
    "pipe2:EMFILE:1-",
    "pipe2:ENFILE:every:2",
    "accept4:EMFILE:5-8",
]


@pytest.mark.parametrize("relay", ["auto", "splice"])
@pytest.mark.parametrize("rules", HARMLESS)
def test_a_failure_with_a_way_around_is_noticed_by_nobody(faulty, rules, relay):
    front, proxy, faults = faulty(rules, relay=relay)
    tally = _load(front, up=600 * KIB, down=600 * KIB, total=60)
    assert tally["exact"] == 60, f"{tally}\n{proxy.report()}"
    if "accept4" in rules or relay == "splice":
        assert _injected(faults, rules) > 0


# What must cost sessions, or may.
HARMFUL = [
    ("accept4:EMFILE:every:3", None),
    ("accept4:ENFILE:10-60", None),
    ("accept4:ENOBUFS:every:5", None),
    ("accept4:ENOMEM:every:5", None),
    ("connect:ECONNREFUSED:every:4", "connect_refused"),
    ("connect:ENETUNREACH:every:4", "connect_unreachable"),
    ("connect:EHOSTUNREACH:every:4", "connect_unreachable"),
    ("connect:EADDRNOTAVAIL:every:4", "no_source_port"),
    ("connect:ETIMEDOUT:every:4", "connect_timeout"),
    ("socket:EMFILE:every:4", "no_fd"),
    ("socket:ENFILE:every:4", "no_fd"),
    ("socket:ENOBUFS:every:4", "no_memory"),
    ("epoll_ctl:ENOMEM:every:9", "no_memory"),
    ("epoll_ctl:ENOSPC:every:9", "no_memory"),
    ("malloc:ENOMEM:every:3", "no_memory"),
    ("malloc:ENOMEM:1-", "no_memory"),
    ("calloc:ENOMEM:every:3", "no_memory"),
    ("calloc:ENOMEM:1-", "no_memory"),
    ("realloc:ENOMEM:1-", "no_memory"),
    ("splice:ENOMEM:every:7", "no_memory"),
    ("splice:ECONNRESET:every:9", None),
]


@pytest.mark.parametrize("rules, reason", HARMFUL)
def test_a_failure_costs_only_the_session_it_hits(faulty, rules, reason):
    front, proxy, faults = faulty(rules, relay="splice" if "splice" in rules else "auto")
    tally = _load(front)
    assert tally["open"] == 0, f"sessions hang: {tally}\n{proxy.report()}"
    assert proxy.alive(), proxy.report()
    faults.disarm()  # or there would be no memory for the counters either
    wait_open_sessions(proxy, 0)
    reasons = {key: n for key, n in proxy.counters()["reasons"].items() if n}
    assert "internal" not in reasons or reason is None, f"{reasons}\n{proxy.report()}"
    if reason and _injected(faults, rules) and tally["failed"]:
        assert reason in reasons, f"{reasons} for {_injected(faults, rules)} faults"
    assert pump(front, up=KIB, down=KIB, at_once=10, total=100)["exact"] == 100


def test_nothing_is_lost_for_good_when_every_call_fails_now_and_then(faulty):
    rules = ";".join(
        f"{call}:{error}:every:{step}"
        for call, error, step in (
            ("accept4", "EMFILE", 31),
            ("connect", "ECONNREFUSED", 37),
            ("splice", "EINVAL", 41),
            ("epoll_ctl", "ENOMEM", 43),
            ("malloc", "ENOMEM", 47),
            ("calloc", "ENOMEM", 53),
            ("pipe2", "EMFILE", 11),
            ("socket", "EMFILE", 59),
        )
    )
    front, proxy, faults = faulty(rules)
    tally = _load(front, total=1000, up=300 * KIB, down=300 * KIB)
    assert tally["open"] == 0
    assert tally["exact"] > 500, f"{tally}\n{proxy.report()}"
    faults.disarm()
    wait_open_sessions(proxy, 0)
    assert pump(front, up=KIB, down=KIB, at_once=50, total=500)["exact"] == 500
    after = proxy.counters()
    assert after["buffer_bytes"] == 0
    assert [target["open"] for target in targets_of(after)] == [0]


def test_a_reload_without_memory_changes_nothing(faulty):
    front, proxy, faults = faulty("malloc:ENOMEM:every:11;calloc:ENOMEM:every:7")
    text_before = proxy.config_path.read_text()
    for _ in range(10):
        seen = proxy.position()
        proxy.reload(text_before, event="reload.*")
        assert proxy.alive(), proxy.report()
        assert proxy.position() > seen
    faults.disarm()
    proxy.reload(text_before)
    assert pump(front, up=KIB, down=KIB, at_once=10, total=100)["exact"] == 100
