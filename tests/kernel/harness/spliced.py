# SPDX-License-Identifier: Apache-2.0
"""A real proxy with `offload: flow` in a Network, and what its admin API says of its sessions."""

import json
import subprocess
import threading

from .address import connect, text
from .admin import Admin
from .conf import simple
from .ctl import run as sluicectl
from .peers import pattern, read_exactly
from .sluice import PATIENCE
from .tools import own_tool
from .wait import eventually

FRONT_PORT, BACKEND_PORT = 7300, 7301


class Spliced:
    """`pool`, `listener` and `top` add to the configuration."""

    def __init__(self, net, start, directory, pool=None, listener=None, options=None, **top):
        self.net, self.directory = net, directory
        self.socket = directory / "admin.sock"
        self.front = (net.front_host, FRONT_PORT)
        self.target = (net.backend_host, BACKEND_PORT)
        self.way = "sockmap" if (pool or {}).get("offload") == "sockmap" else "flow"
        self.config = simple(
            text(self.front),
            text(self.target),
            pool={"offload": "flow", **(pool or {})},
            listener=listener,
            **{
                "workers": 2,
                "log": {"format": "json"},
                "admin": {"socket": str(self.socket)},
                "drain_timeout": "1s",
                **top,
            },
        )
        with net.proxy:
            self.proxy = start(config=self.config, directory=directory, **(options or {}))
        self.admin = Admin(self.socket)

    # ---- peers ----

    def connect(self, **options):
        with self.net.client:
            return connect(self.front, **options)

    def pair(self, server, **options):
        """A client's socket, and the backend's of the same session."""
        client = self.connect(**options)
        try:
            return client, server.accept()
        except BaseException:
            client.close()
            raise

    # ---- what became of sessions ----

    def sessions(self, **fields):
        found = self.admin.get("/v1/sessions?limit=1000")["sessions"]
        return [s for s in found if all(s[key] == value for key, value in fields.items())]

    def wait_offloaded(self, count=1, within=10.0):
        """Every session is in the kernel's hands, `count` of them."""

        def look():
            now = self.sessions()
            gone = [s for s in now if s["state"] == "offloaded"]
            states = [session["state"] for session in now]
            counts = self.counts()
            assert len(gone) == len(now) == counts["open"] == count, f"{states}, {counts}"
            return gone

        found = eventually(look, f"{count} offloaded sessions", within * PATIENCE)
        assert {session["relay"] for session in found} == {self.way}
        return found

    def wait_relayed(self, count=1, within=10.0):
        return eventually(
            lambda: len(s := self.sessions(state="relaying")) == count and s,
            f"{count} sessions on the relay",
            within * PATIENCE,
        )

    def promote(self, server, **options):
        """A pair of sockets that the kernel joins."""
        client, backend = self.pair(server, **options)
        try:
            exchange(client, backend, 1000)
            self.wait_offloaded(len(self.sessions()))
        except BaseException:
            client.close()
            backend.close()
            raise
        return client, backend

    def counts(self):
        return self.admin.get("/v1/status")["offload"]

    def ended(self, reason, count=1):
        """Flow lines of that many sessions, which ended for `reason`."""
        flows = self.proxy.wait_flows(count, within=10)
        assert {flow["reason"] for flow in flows} == {reason}, flows
        return flows

    def ctl(self, *words):
        return sluicectl(*words, admin=self.socket)


class PingPong:
    """`pingpong load` in the background, against `pingpong serve`."""

    def __init__(self, spliced, deadline=40, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        tool = own_tool("pingpong")
        with spliced.net.backend:
            self.server = self._start(tool, "serve", text(spliced.target))
        assert "listening" in self.server.stdout.readline()
        with spliced.net.client:
            self.load = self._start(
                tool, "load", text(spliced.front), f"deadline={int(deadline * PATIENCE)}", *words
            )

    @staticmethod
    def _start(*argv):
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        """No new connection; those that are open go on to their end."""
        self.load.terminate()

    def exact(self):
        """Wait for the end; fail unless every turn of every connection was right."""
        out, problems = self.load.communicate()
        tally = json.loads(out.splitlines()[-1])
        assert not tally["failed"] and not tally["open"], f"{tally}\n{problems}"
        return tally

    def running(self):
        return self.load.poll() is None

    def close(self):
        for process in (self.load, self.server):
            process.terminate()
            process.communicate()


def is_reset(sock):
    """To be asked until it is: whoever sends hears that nobody is there."""
    try:
        sock.sendall(b"is anybody there?")
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def exchange(one, other, count=1000):
    """`count` bytes each way, every one of them right."""
    data = pattern(count)
    for to, of in ((one, other), (other, one)):
        send(to, data, of)


def send(one, data, other):
    """Both at once, since what is under way finds room in buffers only up to a point."""
    sender = threading.Thread(target=one.sendall, args=(data,), daemon=True)
    sender.start()
    assert read_exactly(other, len(data)) == data
    sender.join(10)
