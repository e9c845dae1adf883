# SPDX-License-Identifier: Apache-2.0
"""A real proxy with a guard in a Network: from outside, what is let in and what stands at the door."""

import json
import socket
import subprocess
from pathlib import Path

from .address import text
from .admin import Admin
from .conf import simple
from .ctl import run as sluicectl
from .flood import Flood, Wire
from .namespace import run
from .peers import read_exactly
from .sluice import PATIENCE
from .wait import eventually

FRONT_PORT, BACKEND_PORT = 7300, 7301
DEVICE = "client"  # the proxy's interface towards clients


class PrivateBpffs:
    """A mount namespace with a bpf file system, kept by a process that does nothing else."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c",
             "mount -t bpf bpf /sys/fs/bpf && echo mounted && exec sleep 600"],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout.readline() == b"mounted\n"
        self.prefix = ("nsenter", "-m", "-t", str(self.process.pid), "--")

    def pins(self):
        # nsenter takes the root of that process too, so the path is of its mounts.
        root = Path(f"/proc/{self.process.pid}/root/sys/fs/bpf/sluice/guard-v1")
        return sorted(path.name for path in root.iterdir()) if root.exists() else []

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Guarded:
    """`guard` is the configuration's part; `listener` and `top` add to it."""

    def __init__(self, net, start, directory, guard, listener=None, **top):
        self.net, self.start, self.directory = net, start, directory
        self.socket = directory / "admin.sock"
        self.front = (net.front_host, FRONT_PORT)
        self.target = (net.backend_host, BACKEND_PORT)
        self.config = simple(
            text(self.front),
            text(self.target),
            listener=listener,
            **{
                "guard": {"interfaces": DEVICE, **guard},
                "workers": 2,
                "log": {"format": "json"},
                "admin": {"socket": str(self.socket)},
                "drain_timeout": "1s",
                **top,
            },
        )
        self.proxy = None

    def up(self, **options):
        options.setdefault("config", self.config)
        with self.net.proxy:
            self.proxy = self.start(directory=self.directory, **options)
        return self

    @property
    def admin(self):
        return Admin(self.socket)

    # ---- from outside ----

    def gets_in(self, source=None, within=1.0):
        """Whether a connection is made within that time."""
        with self.net.client:
            sock = socket.socket(socket.AF_INET6 if ":" in self.front[0] else socket.AF_INET)
        with sock:
            sock.settimeout(within * PATIENCE)
            if source:
                sock.bind((source, 0))
            try:
                sock.connect(self.front)
            except (TimeoutError, OSError):
                return False
        return True

    def says(self, data, source=None):
        """A whole exchange with an echo behind the proxy."""
        with self.net.client:
            sock = socket.create_connection(
                self.front, 20 * PATIENCE, source_address=source and (source, 0)
            )
        with sock:
            sock.sendall(data)
            return read_exactly(sock, len(data))

    def flood(self):
        with self.net.client:
            return Flood("eth0", self._gateway(), self.front[0], FRONT_PORT)

    def wire(self):
        gateway = self._gateway()
        with self.net.client:
            return Wire("eth0", gateway)

    def _gateway(self):
        return json.loads(self.net.proxy.ip("-j", "link", "show", DEVICE))[0]["address"]

    # ---- at the door ----

    def attached(self):
        """The id of the program at the interface, or None."""
        shown = json.loads(self.net.proxy.run("ip", "-j", "-d", "link", "show", DEVICE))[0]
        return shown.get("xdp", {}).get("prog", {}).get("id")

    def links(self):
        """Ids of XDP links whose program is a guard."""
        shown = json.loads(run("bpftool", "-j", "link", "show") or "[]")
        return [link["id"] for link in shown
                if link["type"] == "xdp" and link["prog_id"] == self.attached()]

    def counts(self, kind="verdicts"):
        [listener] = self.admin.get("/v1/guard")["listeners"]
        return listener[kind]

    def wait_count(self, verdict, least=1):
        return eventually(lambda: self.counts().get(verdict, 0) >= least, f"{least} {verdict}")

    def ctl(self, *words):
        return sluicectl(*words, admin=self.socket)
