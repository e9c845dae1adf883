# SPDX-License-Identifier: Apache-2.0
"""A blind attacker knows addresses and ports, and guesses numbers: nothing changes for the two."""

import random
import socket

import pytest
from harness.raw import ACK, ANYWHERE, FIN, PSH, RST, SYN, packet
from harness.sluice import PATIENCE
from harness.spliced import exchange
from harness.wait import eventually

@pytest.fixture
def attacked(splice, serve, keep):
    """A promoted session, and a raw socket where its client is."""
    spliced = splice()
    client, backend = keep(*spliced.promote(serve(spliced)))
    with spliced.net.client:
        raw = keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
    return spliced, client, backend, raw


GUESSES = {
    "resets": lambda: (RST, b""),
    "resets with an ACK": lambda: (RST | ACK, b""),
    "ends": lambda: (FIN | ACK, b""),
    "data": lambda: (PSH | ACK, b"GET / HTTP/1.1\r\n\r\n"),
    "acknowledgements": lambda: (ACK, b""),
    "handshakes": lambda: (SYN, b""),
    "answers to handshakes": lambda: (SYN | ACK, b""),
    "no flag at all": lambda: (0, b"xx"),
    "anything": lambda: (random.randrange(64), random.randbytes(random.randrange(50))),
}


def test_guessed_numbers_change_nothing(attacked):
    spliced, client, backend, raw = attacked
    source = client.getsockname()
    sent = 1000
    for kind, guess in GUESSES.items():
        for _ in range(300):
            flags, payload = guess()
            seq, ack = random.randrange(ANYWHERE), random.randrange(ANYWHERE)
            raw.sendto(packet(source, spliced.front, flags, seq, ack, payload), (spliced.front[0], 0))
        for turn in range(4):
            exchange(client, backend, 5000 + turn)
            sent += 5000 + turn
        assert spliced.wait_offloaded(), kind
    eventually(
        lambda: spliced.sessions()[0]["client_bytes"] == sent,
        "bytes are counted, but those that nobody believed",
        30 * PATIENCE,
    )


def test_other_tuples_change_nothing(attacked):
    spliced, client, backend, raw = attacked
    host, port = client.getsockname()
    for _ in range(300):
        source = (host, port + random.choice((-1, 1, 2)))
        front = (spliced.front[0], spliced.front[1] + random.choice((0, 1)))
        flags, payload = GUESSES["anything"]()
        seq, ack = random.randrange(ANYWHERE), random.randrange(ANYWHERE)
        raw.sendto(packet(source, front, flags, seq, ack, payload), (front[0], 0))
    exchange(client, backend, 50_000)
    spliced.wait_offloaded()


def test_odd_options_do_no_harm(attacked):
    """Lengths that lie, kinds that nobody knows, a header longer than the packet."""
    spliced, client, backend, raw = attacked
    source = client.getsockname()
    for _ in range(300):
        options = random.randbytes(4 * random.randrange(11))
        if random.random() < 0.3:
            options = b"\x05\xff\x08\x00" + options[:36]
        seq, ack = random.randrange(ANYWHERE), random.randrange(ANYWHERE)
        whole = packet(source, spliced.front, ACK, seq, ack, b"", options)
        raw.sendto(whole[: random.randrange(40, len(whole) + 1)], (spliced.front[0], 0))
    exchange(client, backend, 50_000)
    spliced.wait_offloaded()
