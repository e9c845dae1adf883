# SPDX-License-Identifier: Apache-2.0
"""Proxy and daemon need each other in no order: either may start, end, crash, reload or be replaced
first or alone."""

import signal

import pytest
from harness.address import free_address, text
from harness.pair import Pair, Watch
from harness.wait import eventually


class Linked(Pair):
    """A pool whose targets are in a file of ours."""

    def __init__(self, sluice, directory, **pool):
        self.list = directory / "targets.yaml"
        source = {"path": str(self.list), "interval": "1s"}
        self.pool = {"name": "back", "discover": {"file": source}, **pool}
        self.ports = {}
        super().__init__(sluice, None, [self.pool], directory)

    def say(self, *names):
        """The file lists these; a name keeps its address. Returns the addresses."""
        found = [self.ports.setdefault(name, text(free_address())) for name in names]
        draft = self.list.with_suffix(".new")
        lines = [f"  - {{ id: {n}, address: {a} }}\n" for n, a in zip(names, found)]
        draft.write_text("targets:\n" + "".join(lines) if lines else "targets: []\n")
        draft.rename(self.list)
        return found

    def daemon_starts(self):
        return self.start_daemon(wait=False)

    def replace_proxy(self):
        self.proxy = self._sluice("--config", self.path, "--replace")

    def kill(self, program):
        program.signal(signal.SIGKILL)
        program.wait_exit()

    def generation(self):
        sources = self.admin.get("/v1/pools/back")["sources"]
        return next(each["generation"] for each in sources if each["name"] == "file")


@pytest.fixture
def linked(sluice, tmp_path):
    made = []

    def make(**pool):
        made.append(Linked(sluice, tmp_path, **pool))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_the_proxy_may_start_first(linked):
    rig = linked()
    addresses = rig.say("a", "b")
    rig.start_proxy()
    rig.daemon_starts()
    rig.wait_addresses("back", addresses)
    source = rig.admin.get("/v1/pools/back")["sources"][-1]
    assert (source["name"], source["kind"], source["unverified"]) == ("file", "file", False)


def test_the_daemon_may_start_first(linked):
    rig = linked()
    addresses = rig.say("a")
    daemon = rig.daemon_starts()
    daemon.wait_event("proxy_down", "no socket")
    rig.start_proxy()
    rig.wait_addresses("back", addresses)


def test_changes_follow_within_moments(linked):
    rig = linked()
    rig.start_proxy()
    rig.say("a")
    rig.daemon_starts()
    for names in ("ab", "abc", "bc", "cd"):
        rig.wait_addresses("back", rig.say(*names))


def test_the_proxy_keeps_its_set_while_the_daemon_is_gone(linked):
    rig = linked()
    addresses = rig.say("a", "b")
    rig.start_proxy()
    daemon = rig.daemon_starts()
    rig.wait_addresses("back", addresses)
    rig.kill(daemon)
    with Watch(rig, "back") as watch:
        rig.proxy.signal(signal.SIGHUP)
        rig.proxy.wait_event("reloaded")
        generation = rig.generation()
        rig.daemon_starts().wait_event("proxy_up")
        eventually(lambda: rig.generation() > generation, "it pushes above what it found")
        eventually(lambda: watch.looks > 20, "it was looked at")
    watch.only(addresses)


def test_a_proxy_that_crashed_is_given_its_set_again(linked):
    rig = linked()
    addresses = rig.say("a", "b")
    rig.start_proxy()
    daemon = rig.daemon_starts()
    rig.wait_addresses("back", addresses)
    for _ in range(3):
        rig.kill(rig.proxy)
        daemon.wait_event("proxy_down")
        rig.start_proxy()
        rig.wait_addresses("back", addresses)


def test_a_proxy_that_is_replaced_is_pushed_to_at_once(linked):
    rig = linked()
    addresses = rig.say("a")
    rig.start_proxy()
    daemon = rig.daemon_starts()
    rig.wait_addresses("back", addresses)
    before, seen = rig.proxy, daemon.position()
    rig.replace_proxy()
    daemon.wait_event("proxy_up", after=seen, within=5)
    rig.wait_addresses("back", rig.say("a", "b"))
    assert rig.admin.get("/v1/status")["pid"] == rig.proxy.pid
    assert before.wait_exit() == 0


def test_a_pool_that_the_proxy_does_not_have_yet_is_pushed_after_its_reload(linked):
    rig = linked()
    other = {"name": "other", "targets": [text(free_address())]}
    addresses = rig.say("a")
    rig.configure([other])
    rig.start_proxy()
    rig.front.append(free_address())
    rig.configure([other, rig.pool])
    daemon = rig.daemon_starts()
    daemon.wait_event("push_refused", "no pool")
    rig.proxy.signal(signal.SIGHUP)
    rig.wait_addresses("back", addresses)


def test_a_set_that_somebody_took_away_comes_back(linked):
    rig = linked()
    addresses = rig.say("a")
    rig.start_proxy()
    rig.daemon_starts()
    rig.wait_addresses("back", addresses)
    rig.admin.do("DELETE", "/v1/pools/back/sources/file")
    rig.wait_addresses("back", addresses)


def test_a_source_that_left_the_configuration_is_taken_back_by_a_restarted_daemon(linked):
    rig = linked()
    rig.say("a")
    keep = text(free_address())
    rig.pool["targets"] = [keep]
    rig.configure([rig.pool])
    rig.start_proxy()
    daemon = rig.daemon_starts()
    rig.wait_addresses("back", [keep, rig.ports["a"]])
    rig.kill(daemon)
    rig.pool["discover"]["file"]["name"] = "blue"
    rig.configure([rig.pool])
    rig.daemon_starts()
    eventually(
        lambda: [s["name"] for s in rig.admin.get("/v1/pools/back")["sources"]]
        == ["config", "blue"],
        "the old name is gone, the new one is there",
        15,
    )
    rig.wait_addresses("back", [keep, rig.ports["a"]])
