# SPDX-License-Identifier: Apache-2.0
"""A connection over loopback is never paced by BBR's timers, unless somebody asked for it."""

import re
import subprocess

import pytest
from harness.address import connect, free_address, text
from harness.peers import echo, read_exactly

DEFAULT = open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii").read().strip()


def _congestion(where):
    """Of the established sockets that ss(8) finds so."""
    listed = subprocess.run(
        ["ss", "-HOtin", "state", "established", where], capture_output=True, text=True, check=True
    ).stdout
    return re.findall(r"\s(bbr\d*|cubic|reno|dctcp|vegas)\s", listed)


@pytest.mark.parametrize("configured", [None, "reno"])
def test_both_legs_over_loopback(sluice, backend, configured):
    server, front = backend(echo), free_address()
    tcp = {"tcp": {"congestion": configured}} if configured else {}
    sluice(
        config={
            "listeners": [{"name": "front", "bind": text(front), "pool": "back", **tcp}],
            "pools": [{"name": "back", "targets": [text(server.address)], **tcp}],
        }
    )
    with connect(front) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        found = _congestion(f"sport = :{front[1]}") + _congestion(f"dport = :{server.address[1]}")
    wanted = configured or ("cubic|reno" if DEFAULT.startswith("bbr") else DEFAULT)
    assert len(found) == 2
    assert all(re.fullmatch(wanted, name) for name in found), found
