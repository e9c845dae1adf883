# SPDX-License-Identifier: Apache-2.0
"""Thousands of promotions of busy connections, with pauses at every step: none loses or stalls."""

import os
from pathlib import Path

import pytest
from harness.sluice import BINARY
from harness.tools import skip_sanitized

DELAYED = Path(os.environ.get("SLUICE_DELAY_BIN", BINARY.parent / "delay" / "sluice"))


@pytest.mark.parametrize(
    "where", ({}, {"sidecar": True}, {"rough": {"delay": 300, "reorder": 20, "drop": 2}})
)
def test_promotions_at_any_moment_lose_nothing(network, splice, pingpong, where):
    """Every step of a promotion may last longer than the connection's next request."""
    skip_sanitized("it has pauses of its own")
    options = {"binary": DELAYED, "env": {"SLUICE_FAULT_DELAY": "30:2000"}}
    spliced = splice(network(**where), options=options)
    count, turns = (100, 200) if "rough" in where else (200, 600)
    load = pingpong(spliced, deadline=120, at_once=40, total=count, turns=turns, most=3000)
    tally = load.exact()
    assert tally["exact"] == count
    flows = spliced.proxy.wait_flows(count)
    assert {flow["reason"] for flow in flows} == {"client_fin"}
    for side in ("client_bytes", "backend_bytes"):
        assert sum(flow[side] for flow in flows) == tally["bytes"], side
    assert not spliced.sessions()
    counts = spliced.counts()
    assert counts["promoted"] >= count * 0.8, counts
