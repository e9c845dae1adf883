# SPDX-License-Identifier: Apache-2.0
"""The test's hand on build/fault/sluice: say what shall fail, from when on, and see that it did.

    with Faults("accept4:EMFILE:1-5;malloc:ENOMEM:every:50") as faults:
        start(os.environ["SLUICE_FAULT_BIN"], env={**os.environ, **faults.env()})
        faults.arm()                      # calls are counted from here on
        ...
        assert faults.injected("accept4") == 5

tests/lib/fault.c has the grammar of rules, and the other half of this file format.
"""
import mmap
import struct
import tempfile

# The order of enum call in tests/lib/fault.c.
CALLS = ["accept4", "connect", "splice", "epoll_ctl", "malloc", "calloc", "realloc", "pipe2",
         "socket"]


class Faults:
    def __init__(self, rules):
        self.rules = rules
        self._file = tempfile.NamedTemporaryFile(prefix="sluice-fault-")
        self._file.truncate(4096)
        self._map = mmap.mmap(self._file.fileno(), 4096)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._map.close()
        self._file.close()

    def env(self):
        return {"SLUICE_FAULT": self.rules, "SLUICE_FAULT_CONTROL": self._file.name}

    def arm(self):
        struct.pack_into("=Q", self._map, 0, 1)

    def disarm(self):
        struct.pack_into("=Q", self._map, 0, 0)

    def calls(self, name):
        """How often the function was called while armed."""
        return self._word(1 + CALLS.index(name))

    def injected(self, name):
        """How many of those calls were made to fail."""
        return self._word(1 + len(CALLS) + CALLS.index(name))

    def _word(self, index):
        return struct.unpack_from("=Q", self._map, 8 * index)[0]
