# SPDX-License-Identifier: Apache-2.0
"""Programs beside the proxy: our own C tools, and real servers and clients."""

import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from .address import text
from .sluice import BINARY, PATIENCE

LIB = Path(os.environ.get("SLUICE_LIB", BINARY.parent / "lib"))


def own_tool(name):
    """The path of a helper built from tests/lib/NAME.c."""
    path = LIB / name
    assert path.exists(), f"{path} is missing; `make {path}` builds it"
    return str(path)


def need(name, *places):
    """The path of a program from the distribution; without it fail under CI, else skip loudly."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *places]))
    if found:
        return found
    message = f"{name} is not installed: `make deps` does it"
    if os.environ.get("CI"):
        pytest.fail(message)
    return pytest.skip(message)


def skip_sanitized(why):
    """For tests that measure memory or privileges, which a sanitizer changes."""
    if os.environ.get("SLUICE_SANITIZE"):
        pytest.skip(f"a sanitizer is at work: {why}")


def skip_without_pipes(proxy):
    """After a transfer that should have been spliced."""
    if proxy.counters()["pipe_refusals"]:
        pytest.skip("somebody else holds this user's pipe pages (pipe(7))")


def need_root(what):
    if os.geteuid() != 0:
        pytest.skip(f"needs root: {what}")


class PumpServer:
    """`pump serve`: checks and sends streams as each client's header says."""

    def __init__(self, address="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [own_tool("pump"), "serve", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = json.loads(self.process.stdout.readline())
        is_unix = address.startswith("unix:")
        self.address = address[5:] if is_unix else (first["host"], first["port"])

    def report(self):
        """End it; returns its tally, after failing on any session that was not exact."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=15 * PATIENCE)
        tally = json.loads(out.splitlines()[-1])
        assert tally["failed"] == 0, f"the backend's side was not exact: {tally}\n{err}"
        return tally

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def pump_argv(front, **options):
    """`at_once=5, barrier=True` becomes `at_once=5 barrier=1`."""
    words = [f"{name}={int(value)}" for name, value in options.items()]
    return [own_tool("pump"), "load", text(front), *words]


class PumpLoad:
    """`pump load` in the background."""

    def __init__(self, front, **options):
        options["deadline"] = options.get("deadline", 60) * PATIENCE
        self.deadline = options["deadline"]
        self.process = subprocess.Popen(
            pump_argv(front, **options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._problems = []
        self._reader = threading.Thread(target=self._read_problems, daemon=True)
        self._reader.start()

    def _read_problems(self):
        self._problems.extend(self.process.stderr)

    def stop(self):
        """Open nothing new; what is open goes on."""
        self.process.send_signal(signal.SIGTERM)

    def tally(self):
        """Wait for the end; the counts, whatever they are."""
        out = self.process.stdout.read()
        self.process.wait(self.deadline + 10)
        self._reader.join(5)
        return json.loads(out.splitlines()[-1])

    def exact(self):
        """Wait for the end, and fail unless every session was exact."""
        tally = self.tally()
        wrong = tally["failed"] or tally["open"]
        assert not wrong, f"the client's side was not exact: {tally}\n{''.join(self._problems)}"
        return tally

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def pump(front, **options):
    """Run `pump load` to its end; every session must have been exact."""
    load = PumpLoad(front, **options)
    try:
        return load.exact()
    finally:
        load.close()
