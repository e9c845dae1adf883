# SPDX-License-Identifier: Apache-2.0
"""The tools the other tests judge by must themselves be able to fail."""

import pytest
from harness.address import connect
from harness.peers import pattern, read_until_reset, reset, unsent
from harness.tools import PumpLoad, pump
from harness.wait import eventually


def _meddler(upstream, change):
    """A handler that relays the answer of `upstream`, after `change(data, offset)`."""

    def handler(sock, _index):
        with connect(upstream) as onward:
            onward.sendall(sock.recv(65536))
            offset = 0
            while data := onward.recv(65536):
                sock.sendall(change(data, offset))
                offset += len(data)

    return handler


def _flip(data, offset):
    spot = 70000 - offset
    if not 0 <= spot < len(data):
        return data
    return data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]


def _swallow(data, offset):
    return data[1:] if offset == 0 else data


@pytest.mark.parametrize("change", [_flip, _swallow])
def test_pump_notices_a_stream_that_is_not_exact(backend, pump_server, change):
    server = pump_server()
    meddler = backend(_meddler(server.address, change))
    load = PumpLoad(meddler.address, down=100_000, deadline=5)
    try:
        assert load.tally()["failed"] == 1
    finally:
        load.close()
        meddler.problems.clear()


def test_pump_passes_an_exact_stream(pump_server):
    server = pump_server()
    assert pump(server.address, up=300_000, down=300_000, at_once=20, total=40)["exact"] == 40
    assert server.report()["exact"] == 40


def test_pattern_is_one_stream_however_it_is_cut():
    whole = pattern(300_000)
    assert pattern(1000, 131_000) == whole[131_000:132_000]
    assert pattern(200_000, 65_000) == whole[65_000:265_000]


def test_read_until_reset_refuses_a_clean_end(listener, keep):
    server = listener()
    for finish, clean in ((lambda s: s.close(), True), (reset, False)):
        client = keep(connect(server.address))
        peer = server.accept()
        peer.sendall(b"data")
        eventually(lambda: unsent(peer) == 0, "the data has arrived")
        finish(peer)
        if clean:
            with pytest.raises(AssertionError):
                read_until_reset(client)
        else:
            assert read_until_reset(client) == b"data"
