# SPDX-License-Identifier: Apache-2.0
"""What a service manager hears (sd_notify(3)); its part is played by a datagram socket."""

import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from harness.address import connect, free_address, text
from harness.admin import stopped_thread
from harness.conf import simple
from harness.peers import echo, read_exactly
from harness.sluice import BINARY, environment, run
from harness.wait import eventually, settled

PATIENT = 60.0


class Manager:
    """Everything that was said, in order, with the pid of who said it."""

    def __init__(self, path):
        self.path, self.heard = str(path), []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(4096, 64)
            except OSError:
                return
            if not data:
                return
            pid = int.from_bytes(ancillary[0][2][:4], "little")
            self.heard.append((pid, dict(line.split("=", 1) for line in data.decode().split("\n"))))

    def said(self, name, value=None, pid=None, after=0):
        """Where in `heard` the messages with NAME=VALUE stand."""
        return [
            index
            for index, (sender, said) in enumerate(list(self.heard))
            if index >= after
            and name in said
            and (value is None or re.search(value, said[name]))
            and (pid is None or sender == pid)
        ]

    def wait(self, name, value=None, **where):
        what = f"{name}={value}"
        index = eventually(lambda: self.said(name, value, **where), what, within=PATIENT)[0]
        return index, self.heard[index][1]

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def manager(public_path):
    made = Manager(public_path / "notify")
    yield made
    made.close()


@pytest.fixture
def managed(sluice, backend, manager, public_path):
    """managed(*flags, **sections): a proxy with a manager, and its configuration."""

    def make(*flags, front=None, **sections):
        config = simple(text(front or free_address()), text(backend(echo).address), **sections)
        env = {"NOTIFY_SOCKET": manager.path}
        return sluice(*flags, config=config, directory=public_path, env=env), config

    return make


def test_a_start_is_told_and_then_that_everything_is_alive(manager, managed):
    proxy, _ = managed(workers=2)
    at, said = manager.wait("READY", "^1$")
    assert said["MAINPID"] == str(proxy.pid)
    assert "1 listeners, 1 pools" in said["STATUS"]
    manager.wait("WATCHDOG", "^1$", after=at, pid=proxy.pid)


def test_a_stuck_worker_is_one_whose_watchdog_is_not_fed(manager, managed):
    """Three times as long as it takes between two feeds is what counts as hunger."""
    proxy, _ = managed(workers=2)
    manager.wait("WATCHDOG")
    with stopped_thread(proxy, "worker-1"):
        feeds = settled(lambda: len(manager.said("WATCHDOG")), "hunger", still=6, within=PATIENT)
    eventually(lambda: len(manager.said("WATCHDOG")) > feeds, "a feed", within=PATIENT)


def test_a_reload_is_told_with_the_place_of_the_mistake(manager, managed):
    proxy, config = managed()
    at, _ = manager.wait("READY")
    proxy.reload({**config, "lame_duck": "soon"}, event="reload_failed")
    began, said = manager.wait("RELOADING", after=at)
    assert int(said["MONOTONIC_USEC"]) > 0
    at, said = manager.wait("READY", after=began)
    assert re.search(r"\.yaml:\d+:\d+: lame_duck", said["STATUS"])
    proxy.reload(config)
    began, _ = manager.wait("RELOADING", after=at)
    _, said = manager.wait("READY", after=began)
    assert "serves" in said["STATUS"]


def test_a_stop_says_how_long_it_may_take_and_is_final_only_behind_the_lame_duck(manager, managed):
    proxy, _ = managed(lame_duck="1h", drain_timeout="2h")
    proxy.signal(signal.SIGTERM)
    at, said = manager.wait("EXTEND_TIMEOUT_USEC")
    assert int(said["EXTEND_TIMEOUT_USEC"]) > 3600e6
    assert "STOPPING" not in said
    proxy.signal(signal.SIGTERM)  # enough of the lame duck
    _, said = manager.wait("STOPPING", after=at)
    assert int(said["EXTEND_TIMEOUT_USEC"]) > 7000e6
    assert proxy.wait_exit() == 0


def test_a_predecessor_is_silent_once_its_successor_speaks(manager, managed, backend, keep):
    front = free_address()
    old, _ = managed(front=front)
    client = keep(connect(front))  # so that it has something to drain
    client.sendall(b"before")
    assert read_exactly(client, 6) == b"before"
    new, _ = managed("--replace", front=front)
    at, _ = manager.wait("MAINPID", f"^{new.pid}$")
    old.wait_event("drain_sessions")
    manager.wait("WATCHDOG", pid=new.pid, after=at)
    client.close()
    assert old.wait_exit() == 0
    assert manager.said("WATCHDOG", pid=new.pid, after=at)
    later = [entry for entry in manager.heard[at:] if entry[0] == old.pid]
    assert [said for _, said in later if "STOPPING" in said or "READY" in said] == []


def test_detached_it_returns_once_it_serves(manager, backend, public_path):
    front = free_address()
    args = ("--listen", text(front), "--target", text(backend(echo).address), "--detach")
    with open(public_path / "log", "wb") as log:  # a pipe would stay open with the child
        status = subprocess.call(
            [str(BINARY), *args],
            env=environment({"NOTIFY_SOCKET": manager.path}),
            stdout=log,
            stderr=log,
            timeout=PATIENT,
        )
    _, said = manager.wait("MAINPID")
    pid = int(said["MAINPID"])
    try:
        assert status == 0
        with connect(front) as client:
            client.sendall(b"hello")
            assert read_exactly(client, 5) == b"hello"
    finally:
        os.kill(pid, signal.SIGKILL)


def test_detached_a_start_that_fails_is_the_callers_failure(listener, backend):
    taken = listener()
    target = text(backend(echo).address)
    finished = run("--listen", text(taken.address), "--target", target, "--detach")
    assert finished.returncode == 1
    assert "error" in finished.stderr
