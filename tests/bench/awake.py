# SPDX-License-Identifier: Apache-2.0
"""Keeps CPUs awake: as long as somebody holds this file open and asks for no delay at all, a CPU
with nothing to do polls for work (Documentation/power/pm_qos_interface.rst, as tuned's profile
`network-latency` does).

A CPU of a virtual machine that halts is handed back to the host, and every packet that wakes it
waits until it is there again: ten microseconds or a thousand, as the host's other guests leave it.
With a few connections that, and nothing else, would be measured.
"""
import struct
import sys

LATENCY = "/dev/cpu_dma_latency"


class Awake:
    """From its making until close(); where that cannot be had, it is said."""

    def __init__(self):
        try:
            self.file = open(LATENCY, "wb", buffering=0)
            self.file.write(struct.pack("i", 0))
        except OSError as error:
            self.file = None
            print(f"bench: CPUs may fall asleep meanwhile: {error}", file=sys.stderr)

    def close(self):
        """CPUs may sleep again."""
        if self.file:
            self.file.close()
            self.file = None
