# SPDX-License-Identifier: Apache-2.0
"""Reads the machine: what it is, who used how much CPU, memory and how many TCP segments.

CPU time of processes comes from /proc/PID/task/*/schedstat (nanoseconds), that of the whole machine
from /proc/stat. Softirqs and kernel workers do part of a proxy's work, so they are read as well.
"""
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field

KERNEL_HELPERS = ("ksoftirqd", "kworker", "napi/")
TICKS = os.sysconf("SC_CLK_TCK")


def read(path):
    """The text of a /proc file, empty if it is gone."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def first_line(argv):
    """The first line that a command prints on either stream, or "" if it cannot be run."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().split("\n")[0]


def describe():
    """What the numbers were measured on."""
    model = re.search(r"model name\s*:\s*(.*)", read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "load_average": os.getloadavg()[0],
    }


def children_of(pid):
    """The pid and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = read(f"/proc/{entry}/stat").rpartition(")")[2].split()
            if len(stat) > 1:
                parents.setdefault(int(stat[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def birth(pid):
    """When a process started, in ticks: with the pid it names one process for good."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else None


def task_ns(pid):
    """Nanoseconds on a CPU, all threads of a process together."""
    total = 0
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0
    for task in tasks:
        total += int((read(f"/proc/{pid}/task/{task}/schedstat").split() or ["0"])[0])
    return total


def reaped_ns(pid):
    """Nanoseconds on a CPU of children that a process has waited for."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * 10**9 // TICKS if len(fields) > 14 else 0


def kernel_helper_ns():
    """pid -> nanoseconds, of every ksoftirqd, kworker and NAPI thread."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and read(f"/proc/{entry}/comm").startswith(KERNEL_HELPERS):
            found[entry] = int((read(f"/proc/{entry}/schedstat").split() or ["0"])[0])
    return found


def machine_ticks():
    """(busy, stolen) seconds of all CPUs since boot."""
    user, nice, system, _, _, irq, softirq, stolen = map(int, read("/proc/stat").split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS, stolen / TICKS


def tcp_segments(net_pid):
    """TCP segments sent so far in the network namespace of a process."""
    rows = [line.split() for line in read(f"/proc/{net_pid}/net/snmp").split("\n")
            if line.startswith("Tcp:")]
    return int(rows[1][rows[0].index("OutSegs")]) if len(rows) == 2 else 0


def private_bytes(pids):
    """User memory held by these processes alone: private pages they have written."""
    total = 0
    for pid in pids:
        found = re.search(r"Private_Dirty:\s*(\d+)", read(f"/proc/{pid}/smaps_rollup"))
        total += int(found.group(1)) * 1024 if found else 0
    return total


def listening(net_pid, port):
    """How many TCP sockets listen on a port in the network namespace of a process."""
    wanted = f":{port:04X}"
    rows = [line.split() for version in ("tcp", "tcp6")
            for line in read(f"/proc/{net_pid}/net/{version}").split("\n")[1:]]
    return sum(1 for row in rows if len(row) > 3 and row[3] == "0A" and row[1].endswith(wanted))


@dataclass
class Snapshot:
    """All clocks at one moment; the difference of two is what a measure cost."""
    proxy_ns: int = 0
    load_ns: int = 0
    busy_s: float = 0.0
    stolen_s: float = 0.0
    segments: int = 0
    helpers: dict = field(default_factory=dict)

    @classmethod
    def take(cls, proxy_pids, load_pids, net_pid):
        """Read everything; the proxy last, as its figure must be the sharpest."""
        load_ns = sum(task_ns(pid) + reaped_ns(pid) for pid in load_pids)
        helpers = kernel_helper_ns()
        busy_s, stolen_s = machine_ticks()
        segments = tcp_segments(net_pid)
        return cls(sum(map(task_ns, proxy_pids)), load_ns, busy_s, stolen_s, segments, helpers)

    def until(self, later):
        """What passed between this snapshot and a later one."""
        helpers = sum(ns - self.helpers.get(pid, 0) for pid, ns in later.helpers.items())
        proxy_cpu_s = (later.proxy_ns - self.proxy_ns + helpers) / 1e9
        system_cpu_s = later.busy_s - self.busy_s
        return {
            "proxy_cpu_s": proxy_cpu_s,
            "participants_cpu_s": proxy_cpu_s + (later.load_ns - self.load_ns) / 1e9,
            "process_cpu_s": (later.proxy_ns - self.proxy_ns) / 1e9,
            "system_cpu_s": system_cpu_s,
            "foreign_cpu_s": system_cpu_s - proxy_cpu_s - (later.load_ns - self.load_ns) / 1e9,
            "stolen_s": later.stolen_s - self.stolen_s,
            "segments": later.segments - self.segments,
        }
