# SPDX-License-Identifier: Apache-2.0
"""Asks a running sluice, over its admin socket, what the kernel carries for it."""
import http.client
import json
import socket
import time


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("sluice", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def counts(path):
    """`offload` of /v1/status: open, limit, refusals and the rest."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/v1/status")
        return json.loads(connection.getresponse().read())["offload"]
    finally:
        connection.close()


def wait(path, wanted, seconds):
    """Until `wanted` sessions are the kernel's, or the time is up; how many there are, and how many
    seconds went by between the first and the last of them, as seen from outside."""
    deadline = time.monotonic() + seconds
    first = last = None
    seen = counts(path)["open"]
    while True:
        now = counts(path)["open"]
        if now and first is None:
            first = time.monotonic()
        if now != seen or last is None:
            last = time.monotonic()
        seen = now
        if now >= wanted or time.monotonic() > deadline:
            return now, last - (first or last)
        time.sleep(0.02)
