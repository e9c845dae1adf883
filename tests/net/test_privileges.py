# SPDX-License-Identifier: Apache-2.0
"""Root binds, and nobody serves; every thread may do only what it needs."""

import os
import pwd
from pathlib import Path

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import echo, read_exactly
from harness.tools import need_root, pump, skip_sanitized

CAP_NET_BIND_SERVICE = 10  # linux/capability.h


def _status(pid, tid):
    lines = Path(f"/proc/{pid}/task/{tid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _caps(status, kind):
    return int(status[kind], 16)


@pytest.fixture
def dropped(sluice, backend):
    need_root("to drop privileges")
    front = free_address()
    target = text(backend(echo).address)
    proxy = sluice(config=simple(text(front), target, user="nobody", workers=2))
    return front, proxy


def test_every_thread_becomes_the_user(dropped):
    _, proxy = dropped
    nobody = pwd.getpwnam("nobody")
    for tid in proxy.threads():
        status = _status(proxy.pid, tid)
        assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
        assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
        assert status["Groups"].split() in ([], [str(nobody.pw_gid)])


def test_main_alone_keeps_the_right_to_bind_low_ports(dropped):
    skip_sanitized("it starts a thread of its own")
    _, proxy = dropped
    for tid in proxy.threads():
        allowed = 1 << CAP_NET_BIND_SERVICE if tid == proxy.pid else 0
        status = _status(proxy.pid, tid)
        for kind in ("CapPrm", "CapEff"):
            assert _caps(status, kind) == allowed, f"{kind} of {status['Name']}"
        assert _caps(status, "CapInh") == _caps(status, "CapAmb") == 0


def test_not_even_main_keeps_it_when_reloads_need_no_low_ports(sluice, backend):
    skip_sanitized("it starts a thread of its own")
    need_root("to drop privileges")
    sections = {"user": "nobody", "reload_ports": "unprivileged"}
    target = text(backend(echo).address)
    proxy = sluice(config=simple(text(free_address()), target, **sections))
    for tid in proxy.threads():
        assert _caps(_status(proxy.pid, tid), "CapPrm") == 0


def test_no_thread_can_gain_privileges_and_each_has_a_filter(dropped):
    _, proxy = dropped
    for tid in proxy.threads():
        status = _status(proxy.pid, tid)
        assert status["NoNewPrivs"] == "1", status["Name"]
        if os.environ.get("SLUICE_SECCOMP") != "off":
            assert status["Seccomp"] == "2", f"no filter on {status['Name']}"


def test_it_serves_after_the_drop(dropped):
    front, _ = dropped
    with connect(front) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"


def test_a_low_port_is_bound_at_start_and_added_by_a_reload(sluice, backend, public_path):
    need_root("to bind low ports")
    target = text(backend(echo).address)
    fronts = [("127.83.76.85", 443), ("127.83.76.85", 444)]
    config = simple(text(fronts[0]), target, user="nobody")
    proxy = sluice(config=config, directory=public_path)
    config["listeners"].append({"name": "more", "bind": text(fronts[1]), "pool": "back"})
    proxy.reload(config)
    for front in fronts:
        with connect(front) as client:
            client.sendall(b"hello")
            assert read_exactly(client, 5) == b"hello"


def test_an_unknown_user_is_refused(sluice, backend):
    need_root("to drop privileges")
    target = text(backend(echo).address)
    with pytest.raises(AssertionError, match="no-such-user"):
        sluice(config=simple(text(free_address()), target, user="no-such-user"))


def test_heavy_use_calls_nothing_that_the_filter_refuses(sluice, pump_server, public_path):
    """With SLUICE_SECCOMP=kill one refused call would be the end; see harness/sluice.py."""
    need_root("to drop privileges")
    server, front = pump_server(), free_address()
    log = {"format": "json", "path": str(public_path / "flow.log")}
    config = simple(text(front), text(server.address), user="nobody", workers=2, log=log)
    proxy = sluice(config=config, directory=public_path)
    for _ in range(3):
        pump(front, up=3_000_000, down=3_000_000, at_once=20, total=40)
        proxy.reload(config)
        proxy.counters()
    assert not [event for event in proxy.events() if "seccomp" in event.name]


def test_without_root_it_serves_as_whoever_started_it(sluice, pump_server):
    need_root("to become somebody else first")
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address))
    proxy = sluice(*args, user=65534, group=65534)
    assert set(_status(proxy.pid, proxy.pid)["Uid"].split()) == {"65534"}
    pump(front, up=100_000, down=100_000, at_once=20, total=100)


def test_no_descriptor_leaks_into_workers_that_have_their_own_tables(dropped):
    """A worker keeps a handful: its epoll, eventfd, listeners, logs, spare descriptors."""
    _, proxy = dropped
    for tid in proxy.threads():
        assert len(os.listdir(f"/proc/{proxy.pid}/task/{tid}/fd")) < 32
