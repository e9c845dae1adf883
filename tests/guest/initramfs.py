# SPDX-License-Identifier: Apache-2.0
"""The root of a guest, as the archive that a kernel unpacks into memory (newc; the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst).

Happy path: programs are put in with every library that they name (packaging/image/closure.py).
Failure: FileNotFoundError for a library that is not installed."""

import gzip
import os
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "../../packaging/image"))
from closure import libraries, strip  # noqa: E402


class Initramfs:
    def __init__(self, machine):
        self.machine = machine
        self._entries = {}
        for path in ("bin", "dev", "modules", "proc", "root", "run", "sys", "tmp", "lib", "etc"):
            self._directory(path)
        # Before anything is mounted there is nothing to speak to.
        self._entries["dev/console"] = (0o020600, b"", (5, 1))
        self._entries["dev/null"] = (0o020666, b"", (1, 3))

    def _directory(self, path):
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self._directory(parent)
        self._entries.setdefault(path, (0o040755, b"", (0, 0)))

    def write(self, path, data, mode=0o100755):
        if os.path.dirname(path):
            self._directory(os.path.dirname(path))
        self._entries[path] = (mode, data, (0, 0))

    def link(self, path, to):
        self.write(path, to.encode(), 0o120777)

    def program(self, path, source):
        """A program of this machine, without what only a debugger reads, and its libraries."""
        with tempfile.NamedTemporaryFile() as stripped:
            strip(source, stripped.name, self.machine)
            self._copy(path, stripped.name)
        for place, file in libraries(source, self.machine).items():
            if place not in self._entries:
                self._copy(place, file)

    def _copy(self, path, source):
        with open(source, "rb") as file:
            self.write(path, file.read())

    def _record(self, number, path, mode, data, device):
        name = path.encode() + b"\0"
        head = b"070701" + b"".join(
            b"%08x" % value
            for value in (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        )
        return b"".join(part + b"\0" * (-len(part) % 4) for part in (head + name, data))

    def save(self, path):
        with gzip.open(path, "wb", compresslevel=1) as file:
            for number, (name, (mode, data, device)) in enumerate(self._entries.items(), 1):
                file.write(self._record(number, name, mode, data, device))
            file.write(self._record(0, "TRAILER!!!", 0, b"", (0, 0)))
