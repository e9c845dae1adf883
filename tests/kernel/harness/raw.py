# SPDX-License-Identifier: Apache-2.0
"""Packets made by hand, IPv4 with right checksums: what no socket of the kernel would send."""

import select
import socket
import struct
import threading

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ANYWHERE = 1 << 32


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, destination, flags, seq, ack, payload=b"", options=b""):
    """IPv4 and TCP with right checksums."""
    hosts = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    offset = (20 + len(options)) // 4 << 12
    body = payload + b"\0" * (len(payload) % 2)

    def tcp(check):
        return (
            struct.pack(
                "!HHIIHHHH",
                *(source[1], destination[1], seq % ANYWHERE, ack % ANYWHERE),
                *(offset | flags, 500, check, 0),
            )
            + options
        )

    pseudo = hosts + struct.pack("!HH", 6, 20 + len(options) + len(payload))
    segment = tcp(checksum(pseudo + tcp(0) + body)) + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 7, 0, 64, 6, 0) + hosts
    return header + segment


def too_big(quoted, mtu):
    """ICMP "fragmentation needed", as a router sends it about the packet that begins so."""
    message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted[:28]
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


class SmallPath:
    """From now on nothing longer than `mtu` gets to this namespace's eth0, and whoever sent it is
    told, as by a router on the way."""

    def __init__(self, namespace, sender, mtu):
        self.told, self._mtu, self._sender = 0, mtu, sender
        with namespace:
            self._seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            self._out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._seen.bind(("eth0", 0x0800))
        namespace.nft(
            "table inet small {\n chain in { type filter hook prerouting priority -500;"
            f" iifname eth0 meta length > {mtu} drop; }}\n}}"
        )
        self._going = True
        self._thread = threading.Thread(target=self._route, daemon=True)
        self._thread.start()

    def _route(self):
        while self._going:
            if not select.select([self._seen], [], [], 0.05)[0]:
                continue
            frame, address = self._seen.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING and len(frame) - 14 > self._mtu:
                self._out.sendto(too_big(frame[14:], self._mtu), (self._sender, 0))
                self.told += 1

    def close(self):
        self._going = False
        self._thread.join()
        self._seen.close()
        self._out.close()
