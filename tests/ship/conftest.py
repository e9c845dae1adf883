# SPDX-License-Identifier: Apache-2.0
"""Fixtures: those of tests/net, and a load balancer as AWS has it."""

import pytest
from harness.nlb import Nlb

pytest_plugins = ["harness.fixtures"]


@pytest.fixture
def nlb(keep):
    """nlb(attributes={}, idle=350, lag=1, check={}) gives a harness.nlb.Nlb."""
    return lambda **options: keep(Nlb(**options))
