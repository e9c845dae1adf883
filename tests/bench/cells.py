# SPDX-License-Identifier: Apache-2.0
"""The one-CPU cells: what each measures, and how one measure of one candidate is taken.

The proxy runs on one CPU, load and backend on another. A rig is one candidate on its stage with a
backend behind it; cells that leave TIME_WAIT sockets behind get a fresh rig for every measure.
"""
import re
import signal
import subprocess
import time
from dataclasses import dataclass

import machine
from machine import Snapshot
from stage import Failed, Stage, cpu_split, read_json, read_line


@dataclass(frozen=True)
class Cell:
    """`group` decides what is derived from the load's answer, `cost` names the compared figure."""
    name: str
    title: str
    group: str
    cost: str
    load: tuple
    fresh: bool = False     # a new rig for every measure
    greets: bool = False    # the backend speaks first
    together: bool = False  # proxy, load and backend on one CPU


def _bulk(name, title, mode, conns):
    return Cell(name, title, "bulk", "proxy_cpu_s_per_gb", ("--mode", mode, "--conns", conns))


def _request(size_kib, conns):
    plural = "s" if conns > 1 else ""
    return Cell(f"rr-{size_kib}k-{conns}", f"{size_kib} KiB replies, {conns} connection{plural}",
                "request", "proxy_cpu_us",
                ("--mode", "request", "--bytes", size_kib * 1024, "--conns", conns))


def _connect(name, title, *more):
    return Cell(name, title, "connect", "proxy_cpu_us",
                ("--mode", "connect", "--bytes", 1024, "--conns", 32, *more), fresh=True)


CELLS = [
    _bulk("bulk-1", "bulk, 1 connection", "download", 1),
    _bulk("bulk-32", "bulk, 32 connections", "download", 32),
    _bulk("upload-1", "bulk upload, 1 connection", "upload", 1),
    *[_request(size, conns) for size in (1, 16, 64) for conns in (1, 64, 512)],
    _connect("conn-client", "connections, client closes"),
    _connect("conn-server", "connections, server closes", "--server-closes"),
    # On one CPU: waking an idle one takes longer than all that is to be seen here.
    Cell("greet", "server-first greeting", "delay", "p50_us", ("--mode", "greet"),
         fresh=True, greets=True, together=True),
    Cell("two-writes", "reply in two small writes", "delay", "p50_us",
         ("--mode", "request", "--bytes", 100, "--two-writes"), fresh=True, together=True),
]

IDLE_CONNECTIONS = 5000
CALLS_CONNECTIONS = 500


class Rig:
    """One candidate with a backend behind it, on a stage of its own."""

    def __init__(self, tools, candidate, greets=False, together=False):
        self.tools, self.candidate = tools, candidate
        self.stage = Stage()
        try:
            self._start(greets, together)
        except BaseException:
            self.stage.close()
            raise

    def _start(self, greets, together):
        proxy_cpu, self.load_cpu = cpu_split()
        proxy_cpu = self.load_cpu if together else proxy_cpu
        backends = [f"127.0.0.1:{self.stage.backend_port}"]
        argv = [self.tools["backend"], "--listen", backends[0], *(["--greet"] if greets else [])]
        self.backend = self.stage.spawn(argv, self.load_cpu, stdout=subprocess.PIPE)
        read_line(self.backend, 5)
        self.pids = self.candidate.start(self.stage, backends, proxy_cpu, founding=False)
        self.target = self.candidate.address(self.stage, backends)[0]

    def close(self):
        """End the candidate, its backend and the stage."""
        self.stage.close()

    def load(self, *options):
        """Start the load tool and wait until it is in full swing."""
        argv = [self.tools["load"], "--target", self.target, *options]
        load = self.stage.spawn(argv, self.load_cpu, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            read_line(load, 40)
        except Failed:
            self.stage.end(load)
            raise
        return load

    def timed(self, seconds, *options):
        """One timed load: (what the load says, what the machine's clocks say)."""
        load = self.load("--seconds", seconds, *options)
        ours = (load.pid, self.backend.pid)
        try:
            before = Snapshot.take(self.pids, ours, self.stage.net_pid)
            load.stdin.write("go\n")
            said = read_json(load, seconds + 20)
            after = Snapshot.take(self.pids, ours, self.stage.net_pid)
        finally:
            self.stage.end(load)
        for pid in self.pids:
            if not machine.read(f"/proc/{pid}/comm"):
                raise Failed("the proxy ended: " + self.stage.output_of(self.candidate.main)[-300:])
        return said, before.until(after)


def derive(cell, said, spent):
    """The figures of a cell from one measure."""
    seconds, answers, gb = said["seconds"], said["answers"], said["bytes"] / 1e9
    result = {"stolen_share": spent["stolen_s"] / seconds, "errors": said["errors"],
              "foreign_share": spent["foreign_cpu_s"] / seconds}
    if cell.group == "bulk":
        if gb <= 0:
            raise Failed("no byte arrived")
        return result | {"gbit_per_s": gb * 8 / seconds,
                         "proxy_cpu_s_per_gb": spent["proxy_cpu_s"] / gb,
                         "system_cpu_s_per_gb": spent["system_cpu_s"] / gb}
    if answers == 0:
        raise Failed("no answer arrived")
    result |= {"per_s": answers / seconds, "p50_us": said["p50_us"], "p99_us": said["p99_us"],
               "proxy_cpu_us": spent["proxy_cpu_s"] * 1e6 / answers,
               "system_cpu_us": spent["system_cpu_s"] * 1e6 / answers}
    if cell.group == "connect":
        result["segments"] = spent["segments"] / answers
    return result


def measure(rig, cell, seconds):
    """One measure of one cell."""
    said, spent = rig.timed(seconds, *cell.load)
    return derive(cell, said, spent)


def measure_idle(rig):
    """User memory per idle connection that has carried some bytes."""
    rig.stage.end(rig.load("--mode", "hold", "--conns", 64))
    before = machine.private_bytes(rig.pids)
    load = rig.load("--mode", "hold", "--conns", IDLE_CONNECTIONS)
    after = machine.private_bytes(rig.pids)
    rig.stage.end(load)
    return {"bytes_per_connection": (after - before) / IDLE_CONNECTIONS}


def _traced_calls(rig, options):
    """System calls per connection as strace counts them."""
    path = rig.stage.path("strace")
    attach = [arg for pid in rig.pids for arg in ("-p", str(pid))]
    tracer = rig.stage.spawn(["strace", "-f", "-c", "-o", path, *attach])
    for _ in range(100):
        if "TracerPid:\t0" not in machine.read(f"/proc/{rig.pids[-1]}/status"):
            break
        time.sleep(0.02)
    said, _ = rig.timed(30, *options)
    rig.stage.end(tracer, signal.SIGINT)
    total = re.search(r"^100\.00\s+\S+\s+\S*?\s+(\d+).*total$", machine.read(path), re.M)
    if not total:
        raise Failed("strace cannot attach: " + rig.stage.output_of(tracer).strip()[-200:])
    return int(total.group(1)) / said["dials"]




def measure_calls(rig):
    """System calls per connection: by strace, and by the candidate's own counters if it has any."""
    cell = next(cell for cell in CELLS if cell.name == "conn-client")
    options = (*cell.load, "--count", CALLS_CONNECTIONS)
    result = {}
    if hasattr(rig.candidate, "own_calls"):
        before = rig.candidate.own_calls(rig.stage)
        said, _ = rig.timed(30, *options)
        after = rig.candidate.own_calls(rig.stage)
        if before is not None and after is not None:
            result["counted"] = (after - before) / said["dials"]
    result["calls"] = result.get("counted", 0)
    try:
        result["traced"] = result["calls"] = _traced_calls(rig, options)
    except (Failed, OSError) as error:
        if not result["calls"]:
            raise Failed(str(error)) from error
    return result
