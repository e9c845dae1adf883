# SPDX-License-Identifier: Apache-2.0
"""A stage: the place where one candidate is measured, and the processes on it.

With root (or user namespaces) every stage is a network namespace of its own, so TIME_WAIT sockets
of one candidate never meet the next one and the port range can be set without touching the host.
Without, stages share the host's loopback and get ports of their own.

Every process is ended through the handle it was started with; closing a stage ends all of it.
"""
import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time

import machine

FD_LIMIT = 20000  # what the founding case was measured under; lower hard limits are kept
PR_SET_PDEATHSIG = 1
PORT_SETTINGS = {"default": None, "wide": "1024 65535"}


class Failed(Exception):
    """A candidate or a tool did not do what it should; the text says what was seen."""


def _namespace_prefix():
    """The unshare options that work here, or None."""
    for options in (["-n"], ["-U", "-r", "-n"]):
        argv = ["unshare", *options, "ip", "link", "set", "lo", "up"]
        if shutil.which("unshare") and subprocess.run(argv, capture_output=True).returncode == 0:
            return options
    return None


NAMESPACE = _namespace_prefix()
_libc = ctypes.CDLL(None)


def _before_exec():
    """In the child: die with the benchmark, and live under the fd limit all are compared under."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], FD_LIMIT)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_split():
    """(proxy's CPU, load's CPU) as taskset lists; (None, None) with one CPU only."""
    cpus = sorted(os.sched_getaffinity(0))
    return (str(cpus[0]), str(cpus[1])) if len(cpus) > 1 else (None, None)


class Stage:
    """See the module. `port_range` is a key of PORT_SETTINGS."""
    _count = 0

    def __init__(self, port_range="default"):
        base = 0 if NAMESPACE else 10 * (Stage._count % 200)
        Stage._count += 1
        self.proxy_port, self.backend_port = 8000 + base, 9000 + base
        self.front = f"127.0.0.1:{self.proxy_port}"  # where a proxy listens
        self.workers = 1  # of a proxy, outside the founding case
        self.processes = []
        self.directory = tempfile.mkdtemp(prefix="sluice-bench-")
        self.net_pid = os.getpid()
        if NAMESPACE:
            self._enter_namespace(port_range)
        elif PORT_SETTINGS[port_range]:
            raise Failed("the port range can only be changed in a network namespace: needs root")

    def _enter_namespace(self, port_range):
        script = "ip link set lo up && "
        if PORT_SETTINGS[port_range]:
            path = "/proc/sys/net/ipv4/ip_local_port_range"
            script += f"echo {PORT_SETTINGS[port_range]} >{path} && "
        script += "echo up && exec sleep infinity"
        holder = self._popen(["unshare", *NAMESPACE, "sh", "-c", script], stdout=subprocess.PIPE)
        if read_line(holder, 5) != "up":
            raise Failed("could not set up a network namespace")
        self.net_pid = holder.pid

    def _popen(self, argv, **more):
        process = subprocess.Popen(argv, text=True, preexec_fn=_before_exec, bufsize=1, **more)
        self.processes.append(process)
        return process

    def spawn(self, argv, cpus=None, net_pid=None, **more):
        """Start a program on this stage, bound to `cpus` if given; `net_pid` has another namespace
        than the stage's own."""
        argv = list(map(str, argv))
        if cpus is not None:
            argv = ["taskset", "-c", cpus, *argv]
        if NAMESPACE:
            user = ["-U", "--preserve-credentials"] if "-U" in NAMESPACE else []
            argv = ["nsenter", "-t", str(net_pid or self.net_pid), *user, "-n", *argv]
        if "stdout" not in more:
            more["stdout"] = open(self.path(f"log-{len(self.processes)}"), "w")
            more["stderr"] = subprocess.STDOUT
        return self._popen(argv, **more)

    def path(self, name):
        """A file of this stage's own directory."""
        return os.path.join(self.directory, name)

    def output_of(self, process):
        """What a spawned program has printed so far."""
        return machine.read(self.path(f"log-{self.processes.index(process)}"))

    def wait_listening(self, process, count=1, seconds=15):
        """Until `count` sockets listen on the proxy's port."""
        deadline = time.monotonic() + seconds
        while machine.listening(self.net_pid, self.proxy_port) < count:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("does not listen: " + self.output_of(process).strip()[-300:])
            time.sleep(0.02)
        time.sleep(0.05)

    def end(self, process, how=signal.SIGTERM, seconds=3):
        """End one process and wait for it."""
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self):
        """End everything, the newest first. Killing a master leaves its workers behind: they are
        recorded before and ended after, each only if it is still the process it was."""
        for process in reversed(self.processes):
            family = [(pid, machine.birth(pid)) for pid in machine.children_of(process.pid)[1:]]
            self.end(process, signal.SIGKILL)
            for pid, born in family:
                if born and machine.birth(pid) == born:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def read_line(process, seconds):
    """One line of a program's output; Failed after `seconds` or when it ended first.

    Read byte by byte: what a buffered reader holds back, select() cannot see."""
    line, name = b"", " ".join(process.args[-6:])
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], seconds)[0]:
            raise Failed(f"no answer in {seconds} s from {name}")
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            raise Failed(f"ended early: {name}")
        line += byte
    return line.decode().strip()


def read_json(process, seconds):
    """One line of JSON of a program's output."""
    return json.loads(read_line(process, seconds))


def settle(seconds):
    """Wait until the machine is quiet, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy = machine.machine_ticks()[0]
        time.sleep(0.1)
        if machine.machine_ticks()[0] - busy <= 0.02:
            return
