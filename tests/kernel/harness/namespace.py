# SPDX-License-Identifier: Apache-2.0
"""A network namespace without a name: held by a descriptor of ours, so that it goes when we go.

Whatever is made inside `with namespace:` belongs to it: sockets, threads, processes.
"""

import ctypes
import os
import subprocess
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _enter(fd):
    _must(_libc.setns(fd, CLONE_NEWNET), "setns")


def run(*argv, stdin=None):
    """To its end, which must be a good one; what it wrote."""
    done = subprocess.run(
        [str(word) for word in argv],
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        input=stdin,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: {done.stderr}"
    return done.stdout


class Namespace:
    def __init__(self):
        thread = threading.Thread(target=self._make)
        self.fd = -1
        thread.start()
        thread.join()
        assert self.fd >= 0, "no new network namespace: not root?"
        self.inode = os.fstat(self.fd).st_ino
        self._before = threading.local()
        self.ip("link", "set", "lo", "up")

    def _make(self):
        _must(_libc.unshare(CLONE_NEWNET), "unshare")
        self.fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def path(self):
        """For programs that take a namespace by a file."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self):
        stack = self._before.__dict__.setdefault("stack", [])
        stack.append(os.open(OWN, os.O_RDONLY | os.O_CLOEXEC))
        _enter(self.fd)
        return self

    def __exit__(self, *_):
        before = self._before.stack.pop()
        _enter(before)
        os.close(before)

    def run(self, *argv, stdin=None):
        with self:
            return run(*argv, stdin=stdin)

    def ip(self, *words):
        return self.run("ip", *words)

    def nft(self, script):
        return self.run("nft", "-f", "-", stdin=script)

    def sysctl(self, **values):
        """net.ipv4, e.g. tcp_sack=0."""
        with self:
            for name, value in values.items():
                Path(f"/proc/sys/net/ipv4/{name}").write_text(f"{value}\n")

    def close(self):
        os.close(self.fd)
