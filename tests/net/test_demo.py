# SPDX-License-Identifier: Apache-2.0
"""What `make run` shows a newcomer."""

import re
import signal

from harness.address import connect, free_address, text
from harness.peers import read_all
from harness.sluice import run


def _get(front):
    with connect(front) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
        return read_all(client)


def test_three_demo_backends_name_themselves(sluice):
    front = free_address()
    sluice("--demo", "--listen", text(front))
    answers = [_get(front) for _ in range(12)]
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    names = {re.search(rb"backend (\d+)", answer)[1] for answer in answers}
    assert names == {b"1", b"2", b"3"}


def test_the_demo_says_what_to_curl(sluice):
    front = free_address()
    proxy = sluice("--demo", "--listen", text(front))
    proxy._wait(
        lambda: any("curl" in line and str(front[1]) in line for line in proxy.said()),
        "a line with what to curl",
        10,
    )


def test_the_demo_ends_with_a_summary_on_ctrl_c(sluice):
    front = free_address()
    proxy = sluice("--demo", "--listen", text(front))
    for _ in range(7):
        _get(front)
    proxy.signal(signal.SIGINT)
    assert proxy.wait_exit() == 0
    assert any("7 sessions" in line for line in proxy.said()), proxy.said()


def test_a_busy_demo_port_says_what_to_try(listener):
    taken = listener()
    result = run("--demo", "--listen", text(taken.address))
    assert result.returncode != 0
    assert str(taken.address[1]) in result.stderr
    assert "choose another address" in result.stderr
