# SPDX-License-Identifier: Apache-2.0
"""What a test must not leave behind, and what the kernel must not say meanwhile."""

import errno
import json
import os
import re
from pathlib import Path

from .namespace import run
from .wait import eventually

OF_IPROUTE2 = ("ip", "tc", "xdp")
ALARM = re.compile(r"WARNING:|BUG:|Oops|RCU stall|refcount_t|Call Trace|general protection")


class KernelLog:
    """Lines of /dev/kmsg from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        found = []
        while True:
            try:
                found.append(os.read(self.fd, 8192).decode(errors="replace"))
            except OSError as error:
                if error.errno == errno.EPIPE:  # it was overwritten before we read it
                    continue
                return found

    def close(self):
        os.close(self.fd)


def programs_of(pid):
    """Ids of the BPF programs that a process has open, in any of its threads' tables."""
    found = set()
    for path in Path(f"/proc/{pid}/task").glob("*/fdinfo/*"):
        try:
            found |= {int(number) for number in re.findall(r"prog_id:\s*(\d+)", path.read_text())}
        except OSError:
            pass
    return found


def _loaded():
    return {program["id"] for program in json.loads(run("bpftool", "-j", "prog", "show") or "[]")}


def _pins():
    """All but what `ip` and `tc` make for themselves, and keep, when they first meet a bpffs."""
    root = Path("/sys/fs/bpf")
    return {str(path) for path in root.rglob("*") if path.relative_to(root).parts[0] not in OF_IPROUTE2}


def _mounts():
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def _links():
    return set(os.listdir("/sys/class/net"))


def _sysctls():
    values = {}
    for path in Path("/proc/sys/net/ipv4").glob("*"):
        try:
            values[path.name] = path.read_text()
        except OSError:
            pass
    return values


def _changed(before, after):
    return sorted(name for name in before if name in after and after[name] != before[name])


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _is_a_siblings(pid):
    """Of tests that run beside these, whose namespaces may have the numbers of ones that are gone."""
    while pid > 1 and pid != os.getpid():
        parent = _parent(pid)
        if parent == os.getppid():
            return True
        pid = parent
    return False


def _users(inodes):
    """Processes in these namespaces, or with descriptors of them."""
    wanted = {f"net:[{inode}]" for inode in inodes}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if _is_a_siblings(int(process.name)):
            continue
        try:
            paths = [process / "ns/net", *(process / "fd").iterdir()]
        except OSError:
            continue
        for path in paths:
            try:
                if os.readlink(path) in wanted:
                    found.append(str(path))
            except OSError:
                pass
    return found


class Watch:
    """From before a test to after it, which says what it made: namespaces by inode, programs."""

    def __init__(self):
        self.log = KernelLog()
        self.before = (_pins(), _mounts(), _links())
        self.sysctls = _sysctls()
        self.inodes, self.programs = set(), set()

    def _left(self):
        pins, mounts, links = self.before
        return {
            "programs": sorted(self.programs & _loaded()) if self.programs else [],
            "pins": sorted(_pins() - pins),
            "mounts": sorted(_mounts() - mounts),
            "links": sorted(_links() - links),
            "namespaces": _users(self.inodes),
        }

    def check(self):
        """The kernel frees programs and devices a while after their last user has gone."""
        try:
            eventually(lambda: self._nothing(), "nothing is left behind", 20)
            changed = _changed(self.sysctls, _sysctls())
            assert not changed, f"changed for good: {changed}"
            alarms = [line for line in self.log.lines() if ALARM.search(line)]
            assert not alarms, "the kernel complains:\n" + "".join(alarms)
        finally:
            self.log.close()

    def _nothing(self):
        left = {kind: what for kind, what in self._left().items() if what}
        assert not left, f"left behind: {left}"
        return True
