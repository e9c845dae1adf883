# SPDX-License-Identifier: Apache-2.0
"""An API that errs, throttles, breaks off or lies, for every source at once. A pool serves what it
served before until a whole answer has come, and then that; nobody has to help."""

from contextlib import ExitStack

import pytest
from harness.pair import Pair, Watch
from harness.sluice import PATIENCE, Sluice
from harness.strict import Strict
from harness.strict.fleet import one_of_each
from harness.wait import eventually

COUNT = 12


class Five:
    """A proxy and a daemon with a pool for each kind of source, all on one double."""

    def __init__(self, directory):
        self.strict = Strict()
        self.strict.account.page_size = 5
        self.fleets = one_of_each(self.strict, COUNT)
        make = lambda *args, **options: Sluice(*args, **options)  # noqa: E731
        self.pair = Pair(make, self.strict, [f.pool() for f in self.fleets], directory)

    def settle(self):
        for fleet in self.fleets:
            self.pair.wait_addresses(fleet.name, fleet.addresses())

    def feed(self, fleet):
        return self.pair.daemon.feed(fleet.name, fleet.kind)

    def refresh(self, fleets=None):
        for fleet in fleets or self.fleets:
            self.pair.daemon.refresh(fleet.name, fleet.kind)

    def turn(self):
        """One target is added to each fleet and the oldest leaves: (before, after) of each."""
        before = [fleet.addresses() for fleet in self.fleets]
        for fleet in self.fleets:
            with fleet.account.lock:
                fleet.add()
                fleet.take()
        return [(was, fleet.addresses()) for was, fleet in zip(before, self.fleets)]

    def watched(self, stack):
        return [stack.enter_context(Watch(self.pair, fleet.name)) for fleet in self.fleets]

    def close(self):
        try:
            self.pair.close()
            self.pair.proxy.stop()
        finally:
            self.strict.close()


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    made = Five(tmp_path_factory.mktemp("five"))
    try:
        made.pair.start()
        made.settle()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def healed(five):
    """One test's faults are not the next one's."""
    yield
    five.strict.faults.clear()
    five.strict.ahead_s = 0


def fails(five, fleet, kinds):
    error = five.feed(fleet)["error"]
    assert error, five.pair.daemon.report()
    assert error["kind"] in kinds, error
    return True


FAULTS = {
    "throttle": {"throttled"},
    "unavailable": {"throttled"},
    "error500": {"server"},
    "denied": {"denied"},
    "reset": {"unreachable"},
    "truncated": {"unreachable", "garbage"},
    "cut": {"garbage"},
    "garbage": {"garbage"},
    "html": {"garbage"},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_pool_keeps_its_targets_until_a_whole_answer_comes(five, kind):
    with ExitStack() as stack:
        watches = five.watched(stack)
        fault = five.strict.faults.add(None, kind)
        changes = five.turn()
        five.refresh()
        for fleet in five.fleets:
            eventually(
                lambda f=fleet: fails(five, f, FAULTS[kind]),
                f"{fleet.kind} fails",
                15 * PATIENCE,
            )
        assert fault.hits >= 5
        five.strict.faults.clear()
        five.refresh()
        five.settle()
    for watch, (before, after) in zip(watches, changes):
        watch.only(before, after)
    assert not five.strict.complaints


@pytest.mark.parametrize("kind", ["error500", "throttle", "reset", "truncated"])
def test_one_failed_call_of_an_operation_is_made_again(five, kind):
    with ExitStack() as stack:
        watches = five.watched(stack)
        faults = [
            five.strict.faults.add(action, kind, 1, page=2 if fleet.paged else None)
            for fleet in five.fleets
            for action in fleet.actions[:1]
        ]
        changes = five.turn()
        five.refresh()
        five.settle()
        assert all(fault.hits == 1 for fault in faults)
    for watch, (before, after) in zip(watches, changes):
        watch.only(before, after)


def test_a_later_page_that_fails_discards_the_first(five):
    paged = [fleet for fleet in five.fleets if fleet.paged]
    with ExitStack() as stack:
        watches = five.watched(stack)
        for fleet in paged:
            five.strict.faults.add(fleet.actions[0], "error500", page=2)
        changes = five.turn()
        five.refresh()
        for fleet in paged:
            eventually(lambda f=fleet: fails(five, f, {"server"}), "it fails", 15 * PATIENCE)
        five.strict.faults.clear()
        five.refresh()
        five.settle()
    for watch, (before, after) in zip(watches, changes):
        watch.only(before, after)


def test_a_page_that_comes_again_is_not_believed(five):
    paged = [fleet for fleet in five.fleets if fleet.paged]
    with ExitStack() as stack:
        watches = five.watched(stack)
        for fleet in paged:
            five.strict.faults.add(fleet.actions[0], "duplicate_page", page=2)
        changes = five.turn()
        five.refresh()
        for fleet in paged:
            eventually(lambda f=fleet: fails(five, f, {"garbage"}), "it fails", 15 * PATIENCE)
        five.strict.faults.clear()
        five.refresh()
        five.settle()
    for watch, (before, after) in zip(watches, changes):
        watch.only(before, after)


def test_pages_without_end_are_given_up(five):
    fleet = five.fleets[0]
    before = fleet.addresses()
    with Watch(five.pair, fleet.name) as watch:
        fault = five.strict.faults.add("DescribeInstances", "endless")
        eventually(lambda: fails(five, fleet, {"garbage"}), "it gives up", 50 * PATIENCE)
        assert fault.hits <= 2000
        five.strict.faults.clear()
        five.refresh()
        five.settle()
    watch.only(before)


def test_slow_answers_change_nothing_but_when(five):
    with ExitStack() as stack:
        watches = five.watched(stack)
        five.strict.faults.add(None, "slow", 10, wait_s=0.5)
        changes = five.turn()
        five.refresh()
        five.settle()
    for watch, (before, after) in zip(watches, changes):
        watch.only(before, after)


def test_an_empty_answer_is_held_and_let_go_when_it_fills(five):
    with ExitStack() as stack:
        watches = five.watched(stack)
        before = [fleet.addresses() for fleet in five.fleets]
        for fleet in five.fleets:
            five.strict.faults.add(fleet.actions[0], "empty")
            if fleet.kind == "cloudmap":
                fleet.touch()

        def held():
            every = {fleet.kind: five.feed(fleet) for fleet in five.fleets}
            assert every.pop("asg")["error"]  # a group that is not there is no empty group
            assert all(feed["held"] for feed in every.values()), every
            assert {feed["held"]["why"] for feed in every.values()} == {"empty"}
            return all(feed["held"]["seen"] > 3 for feed in every.values())

        eventually(held, "all are held, time and again", 20 * PATIENCE)
        five.strict.faults.clear()
        five.strict.account.namespaces["internal", "pool-cloudmap"]["revision"] += 1
        five.refresh()
        five.settle()
        eventually(
            lambda: not any(five.feed(fleet)["held"] for fleet in five.fleets), "nothing is held"
        )
    for watch, was in zip(watches, before):
        watch.only(was)


@pytest.mark.parametrize("ahead_s", [3600, -3600])
def test_a_clock_that_is_an_hour_wrong_is_corrected(five, ahead_s):
    five.strict.ahead_s = ahead_s
    with ExitStack() as stack:
        watches = five.watched(stack)
        changes = five.turn()
        five.refresh()
        five.settle()
    five.strict.ahead_s = 0
    five.refresh()
    five.settle()
    for watch, (before, after) in zip(watches, changes):
        watch.only(before, after)


def test_an_api_that_is_gone_and_comes_back(five):
    """Last: the double's port is closed for a while."""
    before = [fleet.addresses() for fleet in five.fleets]
    with ExitStack() as stack:
        watches = five.watched(stack)
        five.strict.pause()
        five.refresh()
        for fleet in five.fleets:
            eventually(
                lambda f=fleet: fails(five, f, {"unreachable"}), "unreachable", 20 * PATIENCE
            )
        five.strict.resume()
        five.turn()
        five.refresh()
        five.settle()
    for watch, was, fleet in zip(watches, before, five.fleets):
        watch.only(was, fleet.addresses())
