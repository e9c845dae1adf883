# SPDX-License-Identifier: Apache-2.0
"""What holds a bad answer back, and how it is let through."""

from harness.pair import Watch
from harness.sluice import PATIENCE
from harness.strict.fleet import Instances, Local, Names
from harness.wait import eventually

HOUR_S = 3600


def held(pair, fleet):
    return pair.daemon.feed(fleet.name, fleet.kind)["held"]


def served(strict, pair, count=10, **more):
    fleet = Names(strict, 5, count=count)
    both = pair(strict, [fleet.pool(**more)])
    both.wait_addresses("back", fleet.addresses())
    return fleet, both


def test_an_hour_of_empty_answers_empties_nothing(strict_maker, pair):
    strict = strict_maker(hasten=600)
    fleets = [Instances(strict, 1, "web", count=5), Names(strict, 5, count=5)]
    both = pair(strict, [each.pool() for each in fleets])
    for fleet in fleets:
        both.wait_addresses(fleet.name, fleet.addresses())
    before = [fleet.addresses() for fleet in fleets]
    with Watch(both, "web") as web, Watch(both, "back") as back:
        for fleet in fleets:
            fleet.take(5)
        begun = strict.clock()
        for fleet in fleets:
            eventually(lambda f=fleet: held(both, f), "it is held", 10 * PATIENCE)
        eventually(lambda: strict.clock() > begun + HOUR_S, "an hour", 30 * PATIENCE)
        for fleet in fleets:
            found = held(both, fleet)
            assert found["why"] == "empty" and found["seen"] > 60, found
            fleet.add(5)
        for fleet in fleets:
            both.wait_addresses(fleet.name, fleet.addresses())
    web.only(before[0], fleets[0].addresses())
    back.only(before[1], fleets[1].addresses())


def test_an_empty_set_goes_through_when_approved_with_its_digest(strict, pair):
    fleet, both = served(strict, pair)
    fleet.take(10)
    both.daemon.refresh("back", "cloudmap")
    found = eventually(lambda: held(both, fleet), "it is held")
    assert found["why"] == "empty" and len(found["diff"]) == 10
    daemon = both.daemon
    daemon.do_feed("back", "cloudmap", "approve", {"digest": "0" * 32}, status=409)
    assert len(both.served("back")) == 10
    daemon.do_feed("back", "cloudmap", "approve", {"digest": found["digest"]})
    both.wait_addresses("back", [])
    assert held(both, fleet) is None
    daemon.do_feed("back", "cloudmap", "approve", {}, status=404)
    assert both.daemon.events("approved")


def test_an_empty_set_goes_through_where_the_file_allows_it(strict, pair):
    fleet, both = served(strict, pair, allow_empty=True)
    fleet.take(10)
    both.daemon.refresh("back", "cloudmap")
    both.wait_addresses("back", [])


def test_a_large_shrink_waits_for_three_answers_that_agree(strict, pair):
    fleet, both = served(strict, pair, interval="1h")
    before = fleet.addresses()
    with Watch(both, "back") as watch:
        fleet.take(4)
        for count in (1, 2):
            both.daemon.refresh("back", "cloudmap")
            eventually(
                lambda n=count: (held(both, fleet) or {}).get("seen") == n, f"held {count} times"
            )
        assert both.addresses("back") == before
        both.daemon.refresh("back", "cloudmap")
        both.wait_addresses("back", fleet.addresses())
    watch.only(before, fleet.addresses())


def test_answers_that_disagree_confirm_nothing(strict, pair):
    fleet, both = served(strict, pair, interval="1h")
    before = fleet.addresses()
    with Watch(both, "back") as watch:
        fleet.take(4)
        for _ in range(4):
            both.daemon.refresh("back", "cloudmap")
            eventually(lambda: (held(both, fleet) or {}).get("seen") == 1, "held anew")
            digest = held(both, fleet)["digest"]
            fleet.take(1)
            both.daemon.refresh("back", "cloudmap")
            eventually(lambda d=digest: held(both, fleet)["digest"] != d, "another set is held")
    watch.only(before)
    assert both.daemon.do_feed("back", "cloudmap", "reject")["held"] is None


def test_a_third_or_one_target_may_always_go(strict, pair):
    fleet, both = served(strict, pair, interval="1h")
    fleet.take(3)
    both.daemon.refresh("back", "cloudmap")
    both.wait_addresses("back", fleet.addresses())
    fleet.take(2)
    both.daemon.refresh("back", "cloudmap")
    both.wait_addresses("back", fleet.addresses())
    fleet.take(1)
    both.daemon.refresh("back", "cloudmap")
    both.wait_addresses("back", fleet.addresses())


def test_what_health_checks_hold_down_may_go_at_once(strict, pair, backend, refusing):
    """Targets on this machine's loopback, since they are really checked."""
    alive = [backend(lambda sock, _: None) for _ in range(3)]
    dead = [refusing() for _ in range(5)]
    fleet = Local(strict, [each.address for each in (*alive, *dead)])
    checks = {"type": "tcp", "interval": "200ms", "rise": 1, "fall": 1}
    both = pair(strict, [{**fleet.pool(interval="1h"), "health": checks}])

    def down():
        return sum(m["state"] == "down" for m in both.members("back"))

    eventually(lambda: down() == 5, "five are down", 10 * PATIENCE)

    def gone_with_the_first_answer():
        """Held only as long as the daemon has not heard of the checks; then we begin again."""
        for each in dead:
            fleet.leave(each.address)
        asked = strict.calls["DiscoverInstances"]
        both.daemon.refresh("back", "cloudmap")
        eventually(lambda: strict.calls["DiscoverInstances"] > asked, "it asked")
        judged = eventually(
            lambda: "held" if held(both, fleet) else len(both.served("back")) == 3 and "gone",
            "it is judged",
        )
        if judged == "gone":
            return True
        with fleet.account.lock:
            for number in range(3, 8):
                fleet.put(number)
        both.daemon.refresh("back", "cloudmap")
        eventually(lambda: not held(both, fleet), "as before")
        return False

    eventually(gone_with_the_first_answer, "the dead are gone", 15 * PATIENCE)
