# SPDX-License-Identifier: Apache-2.0
"""When the machine gives less than was hoped for: pipes, CPU."""

import fcntl
import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.address import free_address, text
from harness.tools import need, need_root, pump, skip_sanitized, skip_without_pipes
from harness.wait import eventually

NOBODY = 65534
MIB = 1 << 20
F_SETPIPE_SZ = 1031


@pytest.fixture
def no_pipe_pages_left():
    """Hold pipes as uid nobody until the user's soft quota is spent (pipe(7))."""
    need_root("to become another user")
    limit = int(Path("/proc/sys/fs/pipe-user-pages-soft").read_text())
    if not limit:
        pytest.skip("this machine has no quota on pipes")
    ready_read, ready_write = os.pipe()
    stop_read, stop_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(stop_write)
        _hold_pipes(limit, ready_write)
        os.read(stop_read, 1)
        os._exit(0)
    os.close(stop_read)
    assert os.read(ready_read, 1) == b"1"
    yield
    os.close(stop_write)
    os.waitpid(child, 0)
    os.close(ready_read)
    os.close(ready_write)


def _hold_pipes(limit, ready):
    os.setresuid(NOBODY, NOBODY, NOBODY)
    page, held = os.sysconf("SC_PAGESIZE"), []
    pages = 0
    while pages < limit:
        pipe = os.pipe()
        held.append(pipe)
        try:
            pages += fcntl.fcntl(pipe[0], F_SETPIPE_SZ, MIB) // page
        except PermissionError:
            break
    for _ in range(2000):  # what is left of it, in the smallest pieces
        pipe = os.pipe()
        held.append(pipe)
        if fcntl.fcntl(pipe[0], 1032) // page < 16:  # F_GETPIPE_SZ
            break
    os.write(ready, b"1")


@pytest.mark.parametrize("relay", ["auto", "splice"])
def test_without_pipe_pages_every_byte_is_copied(
    sluice, pump_server, no_pipe_pages_left, relay
):
    server, front = pump_server(), free_address()
    proxy = sluice(
        *("--listen", text(front), "--target", text(server.address), "--log", "json"),
        *("--relay", relay),
        user=NOBODY,
        group=NOBODY,
    )
    pump(front, up=16 * MIB, down=16 * MIB, at_once=8, total=16)
    assert server.report()["exact"] == 16
    counts = proxy.counters()
    assert counts["pipe_refusals"] > 0
    assert counts["spliced_bytes"] == 0


def _cgroup_v2():
    """Where a cgroup v2 hierarchy with the cpu controller is mounted, or None."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        controllers = Path(where, "cgroup.controllers")
        if kind == "cgroup2" and "cpu" in controllers.read_text().split():
            return Path(where)
    return None


@contextmanager
def _real_cgroup(quota_percent):
    """A fresh cgroup with a CPU quota; yields what Popen needs to start in it."""
    root = _cgroup_v2()
    if root is None:
        pytest.skip("no cgroup v2 hierarchy with the cpu controller")
    group = root / f"sluice-test-{os.getpid()}"
    try:
        (root / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir()
        (group / "cpu.max").write_text(f"{quota_percent * 1000} 100000")
    except OSError as error:
        pytest.skip(f"cgroup v2 is not writable here: {error}")
    try:
        yield {"preexec_fn": lambda: (group / "cgroup.procs").write_text(str(os.getpid()))}
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), "the cgroup is empty")
        group.rmdir()


@contextmanager
def _seeming_cgroup(quota_percent):
    """The same only as the process reads it: files of ours over /sys/fs/cgroup, seen by it alone."""
    fields = Path("/proc/self/cgroup").read_text().splitlines()[-1].split(":", 2)
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        group = Path(root + (fields[2] if fields[0] == "0" else "/"))
        group.mkdir(parents=True, exist_ok=True)
        (group / "cpu.max").write_text(f"{quota_percent * 1000} 100000\n")
        script = 'mount --bind "$0" /sys/fs/cgroup && exec "$@"'
        yield {"prefix": (need("unshare"), "-m", "sh", "-c", script, root)}


@pytest.mark.parametrize("kind", [_real_cgroup, _seeming_cgroup])
@pytest.mark.parametrize("percent, workers", [(50, 1), (100, 1), (150, 2)])
def test_workers_follow_the_quota_of_the_cgroup(sluice, pump_server, kind, percent, workers):
    need_root("to make a cgroup or a mount namespace")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    with kind(percent) as options:
        server, front = pump_server(), free_address()
        args = ("--listen", text(front), "--target", text(server.address))
        proxy = sluice(*args, **options)
        try:
            assert proxy.counters()["workers"] == workers
            pump(front, up=100_000, down=100_000, at_once=20, total=100)
        finally:
            proxy.stop()


def test_workers_follow_the_cpus_allowed(sluice, refusing):
    front = free_address()
    one = {min(os.sched_getaffinity(0))}
    args = ("--listen", text(front), "--target", text(refusing().address))
    proxy = sluice(*args, preexec_fn=lambda: os.sched_setaffinity(0, one))
    assert proxy.counters()["workers"] == 1


def test_more_workers_than_cpus_are_given_when_asked_for(sluice, pump_server):
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address), "--workers", "8")
    proxy = sluice(*args)
    pump(front, up=1000, down=1000, at_once=100, total=1000)
    assert proxy.counters()["workers"] == 8


def test_little_memory_is_no_reason_to_be_inexact(sluice, pump_server):
    """The smallest cap on buffers that is allowed, with readers slower than writers. Only what is
    sent has a small buffer: into a receive buffer below one segment of loopback the peer's kernel
    may send by its persist timer alone, some 2 KB each 200 ms."""
    server, front = pump_server(), free_address()
    config = {
        "buffers": "64KiB",
        "workers": 2,
        "listeners": [{"name": "front", "bind": text(front), "pool": "back"}],
        "pools": [{"name": "back", "targets": [text(server.address)]}],
        "tcp": {"send_buffer": "4KiB"},
    }
    proxy = sluice(config=config)
    pump(front, up=MIB, down=MIB, at_once=50, total=50, deadline=40)
    assert proxy.counters()["buffer_refusals"] > 0, "the cap was reached"
    assert server.report()["exact"] == 50


@pytest.mark.alone
def test_a_pipe_is_never_left_behind(sluice, pump_server):
    skip_sanitized("the fd table is shared, and each thread shows all of it")
    server, front = pump_server(), free_address()
    args = ("--listen", text(front), "--target", text(server.address), "--relay", "splice")
    proxy = sluice(*args, "--workers", "1")
    other = _pipes_of(proxy.pid)  # its standard streams
    for _ in range(2):
        pump(front, up=2 * MIB, down=2 * MIB, at_once=50, total=200)
        eventually(lambda: proxy.counters()["sessions_open"] == 0, "all sessions have ended")
    skip_without_pipes(proxy)
    kept = proxy.counters()["pipes_open"]
    assert 0 < kept <= 2 * 50, "one each way at the most"
    assert _pipes_of(proxy.pid) - other <= 2 * kept, "no pipe but those that are kept"


def _pipes_of(pid):
    """Over all fd tables of the process; a worker has its own."""
    command = f"ls -l /proc/{pid}/task/*/fd 2>/dev/null | grep -c pipe: || true"
    return int(subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout)
