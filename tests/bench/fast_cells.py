# SPDX-License-Identifier: Apache-2.0
"""What is measured between three hosts, and how: client on one CPU, backend on the other, the proxy
with two workers wherever there is room.

CPU is that of everything that takes part: load, backend, proxy, and the kernel's threads for
packets and deferred work. What the kernel does for packets it does in the name of whoever sends them, so it
is in there (not with CONFIG_IRQ_TIME_ACCOUNTING: read the machine's CPU then, which is saved too).
"""
from dataclasses import dataclass

import machine
import promoted
from cells import Rig
from stage import Failed, cpu_split, read_line
from wires import Wires

PROMOTION_SECONDS = 5
HELD = 2000  # connections, for what a promotion costs


@dataclass(frozen=True)
class FastCell:
    """`unit` is what counts, `load` the tool's arguments."""
    name: str
    title: str
    unit: str
    conns: int
    load: tuple


def _request(conns):
    return FastCell(f"rr-{conns}", f"1 KiB requests, {conns} at once", "requests/s", conns,
                    ("--mode", "request", "--bytes", 1024, "--conns", conns))


def _bulk(conns):
    return FastCell(f"bulk-{conns}", f"bulk, {conns} at once", "Gbit/s", conns,
                    ("--mode", "download", "--conns", conns))


CELLS = [_request(1), _request(16), _request(64), _bulk(1), _bulk(16)]
CONNECT = FastCell("connect", "connections with one request", "conn/s", 0,
                   ("--mode", "connect", "--bytes", 1024, "--conns", 16))


class FastRig(Rig):
    """One candidate between client and backend."""

    def __init__(self, tools, candidate, setting):  # pylint: disable=super-init-not-called
        self.tools, self.candidate = tools, candidate
        self.stage = Wires(setting)
        try:
            self._start_hosts()
        except BaseException:
            self.stage.close()
            raise

    def _start_hosts(self):
        backend_cpu, self.load_cpu = cpu_split()
        backends = [self.stage.backend_address]
        self.backend = self.stage.spawn(
            [self.tools["backend"], "--listen", backends[0]], backend_cpu,
            net_pid=self.stage.hosts["backend"], stdout=-1)
        read_line(self.backend, 5)
        self.pids = self.candidate.start(self.stage, backends, None, founding=False)
        self.target = self.candidate.address(self.stage, backends)[0]
        self.conns, self.promoted = 0, None

    def load(self, *options):
        """Start the load on its host; in full swing, and promoted if that is what is measured."""
        load = self.stage.spawn([self.tools["load"], "--target", self.target, *options],
                                self.load_cpu, net_pid=self.stage.hosts["client"],
                                stdin=-1, stdout=-1)
        try:
            read_line(load, 40)
            if self.conns and getattr(self.candidate, "offloads", False):
                path = self.candidate.admin(self.stage)
                self.promoted, _ = promoted.wait(path, self.conns, PROMOTION_SECONDS)
        except (Failed, OSError):
            self.stage.end(load)
            raise
        return load

    def measure(self, cell, seconds):
        """The figures of one cell."""
        self.conns, self.promoted = cell.conns, None
        said, spent = self.timed(seconds, *cell.load)
        took = said["seconds"]
        units = said["bytes"] * 8 / 1e9 if cell.unit == "Gbit/s" else said["answers"]
        if not units:
            raise Failed("nothing arrived")
        figures = {"rate": units / took, "cpu": spent["participants_cpu_s"] / units,
                   "system_cpu": spent["system_cpu_s"] / units,
                   "process_share": spent["process_cpu_s"] / took, "errors": said["errors"],
                   "p50_us": said["p50_us"], "p99_us": said["p99_us"],
                   "stolen_share": spent["stolen_s"] / took,
                   "foreign_share": spent["foreign_cpu_s"] / took}
        if self.promoted is not None:
            figures["promoted"] = self.promoted
        return figures

    def measure_held(self):
        """CPU seconds that everybody together needs to connect and hold a connection that carried
        one request, and to promote it if that is what the candidate does at once."""
        ours = [self.backend.pid, *self.pids]
        self.conns = HELD
        helpers, before = machine.kernel_helper_ns(), sum(map(machine.task_ns, ours))
        load = self.load("--mode", "hold", "--conns", HELD)
        after = sum(map(machine.task_ns, [load.pid, *ours]))
        more = sum(ns - helpers.get(pid, 0) for pid, ns in machine.kernel_helper_ns().items())
        self.stage.end(load)
        figures = {"cpu": (after - before + more) / 1e9 / HELD}
        if self.promoted is not None:
            figures["promoted"] = self.promoted
        return figures
