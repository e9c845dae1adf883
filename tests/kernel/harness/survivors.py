# SPDX-License-Identifier: Apache-2.0
"""Processes that die and are followed by others, on a bpffs of their own."""

import collections
import itertools
import os
import random
import subprocess
import threading
import time
from pathlib import Path

from .conf import to_yaml
from .peers import pattern, read_exactly
from .sluice import BINARY
from .spliced import Spliced
from .wait import eventually

BPFFS = Path("/sys/fs/bpf")
MOUNT = f"mount -t bpf bpf {BPFFS} && echo mounted && exec sleep infinity"


class PinRoom:
    """A mount namespace with a bpffs that nobody else sees, for as long as it is held."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout.readline() == "mounted\n"

    @property
    def prefix(self):
        """What a process is started with to be in it."""
        return ("nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--")

    def pins(self):
        """All that is pinned there; two files are the kernel's own."""
        root = Path(f"/proc/{self.holder.pid}/root{BPFFS}")
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.suffix != ".debug")

    def directories(self):
        """One per process that lives, or died without a successor."""
        return [pin for pin in self.pins() if pin.count("/") == 1]

    def rename(self, old, new):
        """The one directory of that name, a level below the processes'."""
        [path] = Path(f"/proc/{self.holder.pid}/root{BPFFS}").glob(f"sluice/*/{old}")
        path.rename(path.with_name(new))

    def close(self):
        self.holder.kill()
        self.holder.communicate()


class Dynasty(Spliced):
    """A Spliced whose proxy can be killed and followed by another, in one PinRoom."""

    def __init__(self, net, start, directory, room, binary=BINARY, **options):
        self.room, self._start, self._binary = room, start, binary
        self._numbers = itertools.count()
        super().__init__(net, self._begin, directory, **options)

    def _begin(self, config, directory, **options):
        return self._start(
            config=config,
            directory=directory,
            prefix=self.room.prefix,
            binary=self._binary,
            **options,
        )

    def crash(self):
        """SIGKILL, in the middle of whatever it does."""
        self.proxy.kill()

    def succeed(self, *flags, config=None):
        """The next process, once the last one is dead or told to go."""
        path = Path(self.directory) / f"next-{next(self._numbers)}.yaml"
        path.write_text(to_yaml(config or self.config))
        with self.net.proxy:
            self.proxy = self._start(
                "--config", path, *flags, prefix=self.room.prefix, binary=self._binary
            )
        return self.proxy

    def _is_clean(self):
        left = self.room.pins()
        assert not left, left
        return True

    def stop(self):
        """In good order: then nothing is left."""
        self.proxy.stop()
        eventually(self._is_clean, "every pin is gone", 3)


def goes_on(one, other, offset, count=20_000):
    """`count` more bytes each way of a stream that has come to `offset`."""
    data = pattern(count, offset)
    for to, of in ((one, other), (other, one)):
        to.sendall(data)
        assert read_exactly(of, count) == data
    return offset + count


class Stream:
    """So many bytes one way, in threads of their own."""

    BLOCK = os.urandom(1 << 20)

    def __init__(self, source, sink, count):
        self.count, self.received = count, 0
        self._problems = []
        self._threads = [
            threading.Thread(target=self._try, args=(work, sock), daemon=True)
            for work, sock in ((self._send, source), (self._receive, sink))
        ]
        for thread in self._threads:
            thread.start()

    def _try(self, work, sock):
        try:
            work(sock)
        except (OSError, AssertionError) as problem:
            self._problems.append(problem)

    def _part(self, offset):
        at = offset % len(self.BLOCK)
        return memoryview(self.BLOCK)[at : at + self.count - offset]

    def _send(self, sock):
        sent = 0
        while sent < self.count:
            sent += sock.send(self._part(sent))

    def _receive(self, sock):
        while self.received < self.count:
            part = self._part(self.received)
            data = sock.recv(len(part))
            assert data and data == part[: len(data)], f"wrong from byte {self.received} on"
            self.received += len(data)

    def exact(self):
        for thread in self._threads:
            thread.join(40)
        assert not self._problems and self.received == self.count, (self._problems, self.received)


class Ended(Exception):
    """A connection is over, with RST or FIN, before all that it had to say was answered."""


class Crowd:
    """Clients of an echo that come, talk a while, and go; counted by what became of them."""

    def __init__(self, line, count, seed, patience=20.0):
        self.line, self.patience = line, patience
        self.outcomes = collections.Counter()
        self._going = True
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(f"{seed} {i}"),), daemon=True)
            for i in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _note(self, outcome):
        with self._lock:
            self.outcomes[outcome] += 1

    def _live(self, rng):
        while self._going:
            try:
                sock = self.line.connect(timeout=self.patience)
            except OSError:
                self._note("refused")
                time.sleep(0.01)  # nobody is there for a while
                continue
            with sock:
                self._note(self._visit(sock, rng))

    def _visit(self, sock, rng):
        offset = 0
        try:
            for _ in range(rng.randrange(1, 80)):
                count = rng.randrange(1, 4000)
                self._ask(sock, pattern(count, offset))
                offset += count
                if not rng.randrange(4):
                    time.sleep(rng.random() * 0.02)
            return "done"
        except TimeoutError:
            return "hung"
        except (Ended, ConnectionError):
            return "ended"
        except AssertionError:
            return "wrong"

    @staticmethod
    def _ask(sock, data):
        sock.sendall(data)
        at = 0
        while at < len(data):
            part = sock.recv(65536)
            if not part:
                raise Ended
            assert data[at : at + len(part)] == part
            at += len(part)

    def stop(self):
        """Nobody new; those that are there finish. What became of all."""
        self._going = False
        for thread in self._threads:
            thread.join(self.patience + 5)
            assert not thread.is_alive(), "a client hangs"
        return self.outcomes
