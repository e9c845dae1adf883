# SPDX-License-Identifier: Apache-2.0
"""The founding case: 48,000 connections held with 6 workers, 12,000 requests a second across them.

Nothing is pinned: proxy, load and backends share all CPUs, as they did where the case comes from.
"""
import subprocess
import time

import machine
import promoted
from machine import Snapshot
from stage import Failed, Stage, read_json, read_line, settle

CONNECTIONS = 48000
RATE, NEW_RATE = 12000, 300
SETUP_SECONDS = 90  # HAProxy and nginx take 6 to 40 s in the default port range
ANSWERS = 6  # in set-up, on each connection, where it has to prove itself
PROMOTION_SECONDS = 30
PROCESSES = 3  # of load and backend each: 16,000 fds apiece, under the limit of 20,000


def measure(tools, candidate, port_range, seconds):
    """One run of one candidate in one port range."""
    stage = Stage(port_range)
    try:
        return _on_stage(stage, tools, candidate, seconds)
    finally:
        stage.close()
        settle(5)


def _on_stage(stage, tools, candidate, seconds):
    backends = [f"127.0.0.{host}:{stage.backend_port}" for host in (1, 2)]
    listens = [arg for address in backends for arg in ("--listen", address)]
    backend = stage.spawn([tools["backend"], *listens, "--procs", PROCESSES],
                          stdout=subprocess.PIPE)
    for _ in range(PROCESSES):
        read_line(backend, 5)
    pids = candidate.start(stage, backends, None, founding=True)
    targets = [arg for address in candidate.address(stage, backends)
               for arg in ("--target", address)]
    before = machine.private_bytes(pids)
    offloads = getattr(candidate, "offloads", False)
    swarm = stage.spawn([tools["swarm"], *targets, "--conns", CONNECTIONS, "--procs", PROCESSES,
                         "--rate", RATE, "--new-rate", NEW_RATE, "--seconds", seconds,
                         "--setup-seconds", SETUP_SECONDS,
                         "--answers", ANSWERS if offloads else 1],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    setup = read_json(swarm, SETUP_SECONDS + 15)
    offload = _promotion(stage, candidate, setup) if offloads else {}
    memory = machine.private_bytes(pids) - before
    settle(2)
    ours = [*machine.children_of(backend.pid), *machine.children_of(swarm.pid)]
    start = Snapshot.take(pids, ours, stage.net_pid)
    swarm.stdin.write("go\n")
    said = read_json(swarm, seconds + 30)
    spent = start.until(Snapshot.take(pids, ours, stage.net_pid))
    if said["requests"] == 0:
        raise Failed(f"{setup['opened']} connections opened, no request answered")
    return _figures(setup, said, spent, memory, seconds) | offload


def _promotion(stage, candidate, setup):
    """How many the kernel carries, and how long after set-up the last was promoted."""
    began = time.monotonic()
    path = candidate.admin(stage)
    count, _ = promoted.wait(path, setup["opened"], PROMOTION_SECONDS)
    figures = {"promoted": count, "promotion_s": time.monotonic() - began}
    refused = promoted.counts(path)["refusals"]
    return figures | {f"refused_{why}": n for why, n in refused.items() if n}


def _figures(setup, said, spent, memory, seconds):
    return {
        "setup_s": setup["setup"], "opened": setup["opened"], "held": said["held"],
        "p50_ms": said["request_p50_us"] / 1e3, "p99_ms": said["request_p99_us"] / 1e3,
        "max_ms": said["request_max_us"] / 1e3,
        "new_p50_ms": said["connect_p50_us"] / 1e3, "new_p99_ms": said["connect_p99_us"] / 1e3,
        "requests": said["requests"], "unanswered": said["unanswered"],
        "lost": said["broken"] + said["connects_failed"] + said["connects_unanswered"],
        "proxy_cpu_us": spent["proxy_cpu_s"] * 1e6 / (said["requests"] + said["connects"]),
        "bytes_per_connection": memory / CONNECTIONS,
        "stolen_share": spent["stolen_s"] / seconds,
        "foreign_share": spent["foreign_cpu_s"] / seconds,
    }
