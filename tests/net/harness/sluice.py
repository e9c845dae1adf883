# SPDX-License-Identifier: Apache-2.0
"""Start a proxy, read what it says, change it, stop it, and show its stderr when a test fails."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from .conf import to_yaml
from .wait import eventually

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice")).absolute()
FAULT_BINARY = Path(os.environ.get("SLUICE_FAULT_BIN", BINARY.parent / "fault" / "sluice"))

# TIME LEVEL EVENT key=value ... (proxy/base/log.h)
_OP_LINE = re.compile(r"^\S+ (error|warn|info|debug) (\w+)(?: (.*))?$")

# A sanitized build runs several times slower, and so do its deadlines.
PATIENCE = float(os.environ.get("SLUICE_PATIENCE", "1"))


# What only these tests read; the proxy refuses a SLUICE_* variable that it does not know.
OURS = {
    "SLUICE_BIN",
    "SLUICE_LIB",
    "SLUICE_FAULT_BIN",
    "SLUICE_DELAY_BIN",
    "SLUICE_FILTERS_BIN",
    "SLUICE_CONTROL_BIN",
    "SLUICE_HASTEN_BIN",
    "SLUICE_PATIENCE",
    "SLUICE_SANITIZE",
}


def environment(more=None):
    """Ours without OURS; a call that the sandbox refuses kills."""
    inherited = {key: value for key, value in os.environ.items() if key not in OURS}
    return {"SLUICE_SECCOMP": "kill", **inherited, **(more or {})}


class Event:
    """One line of the operational log."""

    def __init__(self, level, name, text, line):
        self.level, self.name, self.text, self.line = level, name, text, line

    def __repr__(self):
        return self.line


class Sluice:
    """One process. `args` are flags; or `config`, a dict or the text of a YAML file."""

    def __init__(
        self,
        *args,
        config=None,
        directory=None,
        env=None,
        prefix=(),
        binary=None,
        stdout=None,
        ready=True,
        ready_within=20.0,
        **popen,
    ):
        self.config_path = None
        if config is not None:
            self.config_path = Path(directory) / f"sluice-{id(self):x}.yaml"
            self.write_config(config)
            args = ("--config", str(self.config_path), *args)
        self.argv = [*prefix, str(binary or BINARY), *map(str, args)]
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env=environment(env),
            **popen,
        )
        self.pid = self.process.pid
        self.stopped = False
        self._changed = threading.Condition()
        self._stdout, self._stderr, self._open = [], [], 0
        self._threads = []
        for stream, lines in (
            (self.process.stdout, self._stdout),
            (self.process.stderr, self._stderr),
        ):
            if stream:
                self._open += 1
                thread = threading.Thread(target=self._read, args=(stream, lines), daemon=True)
                self._threads.append(thread)
                thread.start()
        if ready:
            self.wait_event("ready", within=ready_within)

    # ---- configuration ----

    def write_config(self, config):
        """Replace the file at once, as an operator's tool would."""
        text = config if isinstance(config, str) else to_yaml(config)
        draft = self.config_path.with_suffix(".new")
        draft.write_text(text)
        draft.rename(self.config_path)

    def reload(self, config, event="reloaded"):
        """Write, SIGHUP, wait for the answer; returns its Event."""
        seen = len(self._stderr)
        self.write_config(config)
        self.signal(signal.SIGHUP)
        return self.wait_event(event, after=seen)

    # ---- what it says ----

    def _read(self, stream, lines):
        for raw in stream:
            with self._changed:
                lines.append(raw.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _wait(self, find, what, within):
        deadline = time.monotonic() + within * PATIENCE
        with self._changed:
            while True:
                found = find()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._open:
                    state = "it ended" if not self._open else f"not within {within} s"
                    raise AssertionError(f"{state}: {what}\n{self.report()}")
                self._changed.wait(left)

    def position(self):
        """Where stderr stands, for `after=`."""
        with self._changed:
            return len(self._stderr)

    def events(self, name=None, after=0):
        """The operational log so far."""
        found = []
        for line in self._stderr[after:]:
            match = _OP_LINE.match(line)
            if match and (name is None or re.fullmatch(name, match[2])):
                found.append(Event(match[1], match[2], match[3] or "", line))
        return found

    def wait_event(self, name, containing="", after=0, within=20.0):
        """The first Event whose name matches the pattern `name` entirely."""

        def find():
            return [e for e in self.events(name, after) if containing in e.line]

        return self._wait(find, f"event {name!r} with {containing!r}", within)[0]

    def wait_stderr(self, containing, within=20.0):
        def find():
            return [line for line in self._stderr if containing in line]

        return self._wait(find, f"{containing!r} on stderr", within)[0]

    def said(self):
        """All lines of both streams so far."""
        with self._changed:
            return [*self._stdout, *self._stderr]

    def _json(self):
        return [json.loads(line) for line in self._stdout if line.startswith("{")]

    def flows(self, **fields):
        """The flow log so far, those lines that have `fields`."""
        return [
            line
            for line in self._json()
            if "event" not in line and all(line.get(k) == v for k, v in fields.items())
        ]

    def wait_flows(self, count=1, within=20.0, **fields):
        return self._wait(
            lambda: len(found := self.flows(**fields)) >= count and found,
            f"{count} flow lines with {fields}",
            within,
        )

    def wait_flow(self, within=20.0, **fields):
        return self.wait_flows(1, within, **fields)[0]

    def counters(self):
        """The counters as they are now, by SIGUSR2."""
        with self._changed:
            seen = len(self._counter_lines())
        self.signal(signal.SIGUSR2)
        return self._wait(lambda: self._counter_lines()[seen:], "counters", 10.0)[0]

    def _counter_lines(self):
        return [line for line in self._json() if line.get("event") == "counters"]

    def report(self):
        """What a person needs to see when a test fails."""
        status = self.process.poll()
        tail = "\n".join(f"  | {line}" for line in self._stderr[-60:])
        return f"{' '.join(self.argv)}\n  pid {self.pid}, status {status}, stderr:\n{tail}"

    # ---- the process ----

    def signal(self, number):
        assert self.process.poll() is None, f"the proxy is gone\n{self.report()}"
        self.process.send_signal(number)

    def alive(self):
        return self.process.poll() is None

    def rss(self):
        """Resident bytes of user space."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def threads(self):
        return sorted(int(t) for t in os.listdir(f"/proc/{self.pid}/task"))

    def wait_exit(self, within=20.0):
        try:
            status = self.process.wait(within * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not exit within {within} s\n{self.report()}") from None
        for thread in self._threads:
            thread.join(5)
        self.stopped = True
        return status

    def stop(self, within=15.0):
        """SIGTERM, and again until it leaves; the exit status must be 0."""
        if self.stopped:
            return
        try:
            if self.alive():
                self.signal(signal.SIGTERM)
                self._nudge()
            status = self.wait_exit(within)
        except AssertionError:
            self.kill()
            raise
        assert status == 0, f"exit status {status}\n{self.report()}"

    def _nudge(self):
        """A test that ended with sessions open has no need of drain_timeout."""
        for _ in range(2):
            try:
                self.process.wait(1.0 * PATIENCE)
                return
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.stopped = True


def run(*args, env=None, within=20.0, **kwargs):
    """Run to the end, e.g. --check; returns a CompletedProcess with text."""
    return subprocess.run(
        [str(BINARY), *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(env),
        timeout=within * PATIENCE,
        **kwargs,
    )


def targets_of(counts):
    """The targets of every pool, in the counters."""
    return [target for pool in counts["pools"] for target in pool["targets"]]


def open_sessions(proxy):
    return proxy.counters()["sessions_open"]


def wait_open_sessions(proxy, count, within=20.0):
    eventually(lambda: open_sessions(proxy) == count, f"{count} open sessions", within)
