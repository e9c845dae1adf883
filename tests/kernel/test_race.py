# SPDX-License-Identifier: Apache-2.0
"""Thousands of promotions of busy connections, with pauses at every step: none loses or stalls."""

import os
from pathlib import Path

import pytest
from harness.sluice import BINARY, PATIENCE
from harness.tools import skip_sanitized
from harness.wait import eventually

DELAYED = Path(os.environ.get("SLUICE_DELAY_BIN", BINARY.parent / "delay" / "sluice"))
PLACES = {
    "three hosts": {},
    "sidecar": {"sidecar": True},
    "rough": {"rough": {"delay": 300, "reorder": 20, "drop": 2}},
}
SOAK = [pytest.param(place, 10, marks=pytest.mark.soak) for place in PLACES]


@pytest.mark.parametrize(("place", "times"), [*((place, 1) for place in PLACES), *SOAK])
def test_promotions_at_any_moment_lose_nothing(network, splice, pingpong, place, times):
    """Every step of a promotion may last longer than the connection's next request. Some connections
    end in the middle of theirs, so it goes on until there were enough."""
    skip_sanitized("it has pauses of its own")
    options = {"binary": DELAYED, "env": {"SLUICE_FAULT_DELAY": "30:2000"}}
    spliced = splice(network(**PLACES[place]), options=options)
    least, turns = (700, 50) if place == "rough" else (1200, 150)
    within = 80 + 40 * times
    load = pingpong(
        spliced, deadline=within + 40, at_once=40, total=times * 5000, turns=turns, most=3000
    )
    eventually(
        lambda: spliced.counts()["promoted"] >= times * least, "enough promotions", within * PATIENCE
    )
    load.stop()
    tally = load.exact()
    flows = spliced.proxy.wait_flows(tally["exact"], within=60 * PATIENCE)
    assert {flow["reason"] for flow in flows} == {"client_fin"}
    for side in ("client_bytes", "backend_bytes"):
        assert sum(flow[side] for flow in flows) == tally["bytes"], side
    assert not spliced.sessions()
