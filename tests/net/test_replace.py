# SPDX-License-Identifier: Apache-2.0
"""`sluice --replace`: a new process takes over beside the old one, and no client notices."""

import pytest
from harness.address import connect, free_address, text
from harness.peers import echo, read_exactly


@pytest.mark.alone
@pytest.mark.parametrize("times", [100])
def test_a_hundred_replacements_under_load_fail_no_connection(
    sluice, pump_server, pump_load, times
):
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address), "--workers", "2")
    current = sluice(*args)
    load = pump_load(front, up=1000, down=1000, at_once=20, total=0, deadline=170)
    for _ in range(times):
        successor = sluice(*args, "--replace")
        assert current.wait_exit() == 0, current.report()
        current = successor
    load.stop()
    tally = load.exact()
    assert tally["connect_failed"] == 0
    assert tally["exact"] > times
    assert server.report()["failed"] == 0


def test_a_session_of_the_old_process_goes_on_until_it_ends(sluice, backend, keep):
    front = free_address()
    args = ("--listen", text(front), "--target", text(backend(echo).address))
    old = sluice(*args)
    client = keep(connect(front))
    client.sendall(b"before")
    assert read_exactly(client, 6) == b"before"
    sluice(*args, "--replace")
    client.sendall(b"after")
    assert read_exactly(client, 5) == b"after"
    with connect(front) as another:
        another.sendall(b"new")
        assert read_exactly(another, 3) == b"new"
    assert old.alive()
    client.close()
    assert old.wait_exit() == 0


def test_a_proxy_on_a_unix_socket_is_replaced_too(sluice, backend, tmp_path):
    front = str(tmp_path / "front.sock")
    args = ("--listen", f"unix:{front}", "--target", text(backend(echo).address))
    old = sluice(*args)
    sluice(*args, "--replace")
    assert old.wait_exit() == 0
    with connect(front) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"


def test_replacing_nobody_is_an_ordinary_start(sluice, backend):
    front = free_address()
    sluice("--listen", text(front), "--target", text(backend(echo).address), "--replace")
    with connect(front) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"


def test_a_successor_that_cannot_start_leaves_the_old_one_alone(sluice, backend, listener):
    front, taken = free_address(), listener()
    target = text(backend(echo).address)
    old = sluice("--listen", text(front), "--target", target)
    with pytest.raises(AssertionError):
        args = ("--listen", text(front), "--listen", text(taken.address), "--target", target)
        sluice(*args, "--replace")
    assert old.alive()
    with connect(front) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
