# SPDX-License-Identifier: Apache-2.0
"""Bytes through the kernel are the bytes that were sent, in every number and direction."""

import pytest

MB = 1_000_000


def _exact(server, load):
    tally = load.exact()
    server.report()
    return tally


@pytest.mark.parametrize("family", (4, 6))
def test_a_hundred_megabytes_each_way_at_once(network, splice, pumped, family):
    spliced = splice(network(family=family))
    server, load = pumped(spliced, up=100 * MB, down=100 * MB, at_once=1, total=1)
    spliced.wait_offloaded()
    _exact(server, load)
    [flow] = spliced.proxy.wait_flows(1)
    assert (flow["client_bytes"], flow["backend_bytes"]) == (100 * MB + 32, 100 * MB)
