# SPDX-License-Identifier: Apache-2.0
"""A name server on loopback that knows what a test tells it."""

import socket
import struct
import threading

TYPES = {"A": 1, "AAAA": 28, "SRV": 33}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def _name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.strip(".").split(".")) + b"\0"


def _read_name(data, at):
    parts = []
    while data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]].decode().lower())
        at += 1 + data[at]
    return ".".join(parts), at + 1


def _data(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    priority, weight, port, host = value
    return struct.pack("!HHH", priority, weight, port) + _name(host)


class NameServer:
    """`records` maps (name, type) to values; SRV values are (priority, weight, port, host).
    `rcode` overrides every answer; `silent` gives none. Answers over 512 bytes are for TCP."""

    def __init__(self):
        self.records, self.ttl = {}, 1
        self.rcode, self.silent, self.asked = None, False, 0
        self.udp, self.tcp = self._bind()
        self.address = self.udp.getsockname()
        self.text = f"127.0.0.1:{self.address[1]}"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._run_udp, self._run_tcp)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _bind():
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            tcp = socket.socket()
            try:
                tcp.bind(udp.getsockname())
            except OSError:  # somebody has this port for TCP
                udp.close()
                tcp.close()
                continue
            tcp.listen(16)
            for sock in (udp, tcp):
                sock.settimeout(0.1)
            return udp, tcp

    def answer(self, query, limit):
        self.asked += 1
        name, at = _read_name(query, 12)
        number = struct.unpack_from("!H", query, at)[0]
        kind = next((k for k, n in TYPES.items() if n == number), None)
        found = self.records.get((name, kind), [])
        known = any(each == name for each, _ in self.records)
        rcode = self.rcode if self.rcode is not None else (NOERROR if known else NXDOMAIN)
        values = found if rcode == NOERROR else []
        rest = b""
        for value in values:
            data = _data(kind, value)
            rest += struct.pack("!HHHIH", 0xC00C, number, 1, self.ttl, len(data)) + data
        question = query[12 : at + 4]
        cut = len(rest) + len(question) + 12 > limit
        flags = 0x8580 | rcode | (0x0200 if cut else 0)
        counts = (1, 0 if cut else len(values), 0, 0)
        return query[:2] + struct.pack("!HHHHH", flags, *counts) + question + (b"" if cut else rest)

    def _run_udp(self):
        while not self._over.is_set():
            try:
                query, peer = self.udp.recvfrom(4096)
            except TimeoutError:
                continue
            if not self.silent:
                self.udp.sendto(self.answer(query, 512), peer)

    def _run_tcp(self):
        while not self._over.is_set():
            try:
                sock, _ = self.tcp.accept()
            except TimeoutError:
                continue
            with sock:
                sock.settimeout(2)
                try:
                    size = struct.unpack("!H", sock.recv(2))[0]
                    reply = self.answer(sock.recv(size), 65535)
                    sock.sendall(struct.pack("!H", len(reply)) + reply)
                except (OSError, struct.error):
                    pass  # a client that leaves early is none

    def close(self):
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        self.udp.close()
        self.tcp.close()
