# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol as the specification has it, to hold the proxy's own against."""

import socket
import struct

from .peers import read_exactly

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"
VPCE = 0xEA


def v1(source, destination):
    kind = "TCP6" if ":" in source[0] else "TCP4"
    words = ("PROXY", kind, source[0], destination[0], str(source[1]), str(destination[1]))
    return " ".join(words).encode() + b"\r\n"


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def vpce(endpoint):
    """As Elastic Load Balancing sends it."""
    return tlv(VPCE, b"\x01" + endpoint.encode())


def v2(source, destination, tlvs=b"", command=1, transport=1):
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    hosts = socket.inet_pton(family, source[0]) + socket.inet_pton(family, destination[0])
    body = hosts + struct.pack("!HH", source[1], destination[1]) + tlvs
    kind = (2 if family == socket.AF_INET6 else 1) << 4 | transport
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, kind, len(body)) + body


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Header:
    """What a header said. `source` and `destination` are None where it gave none."""

    version, local, source, destination = 0, False, None, None

    def __init__(self):
        self.tlvs = []


def _read_line(sock, begun):
    line = begun
    while not line.endswith(b"\r\n"):
        assert len(line) < 107, line
        line += read_exactly(sock, 1)
    header, words = Header(), line.decode().split()
    header.version = 1
    if words[1] != "UNKNOWN":
        header.source = (words[2], int(words[4]))
        header.destination = (words[3], int(words[5]))
    return header


def _split_tlvs(data):
    while data:
        kind, size = struct.unpack("!BH", data[:3])
        assert len(data) >= 3 + size, data
        yield kind, data[3 : 3 + size]
        data = data[3 + size :]


def _check_sum(whole):
    at = whole.index(tlv(3, b"xxxx")[:3]) + 3
    assert struct.unpack("!I", whole[at : at + 4])[0] == crc32c(
        whole[:at] + bytes(4) + whole[at + 4 :]
    )


def _read_binary(sock, begun):
    fixed = begun + read_exactly(sock, 16 - len(begun))
    assert fixed[:12] == SIGNATURE, fixed
    command, kind, size = struct.unpack("!BBH", fixed[12:])
    body = read_exactly(sock, size) if size else b""
    header = Header()
    header.version, header.local = 2, command == 0x20
    family, each = {
        0x00: (None, 0),
        0x11: (socket.AF_INET, 4),
        0x21: (socket.AF_INET6, 16),
        0x31: (socket.AF_UNIX, 108),
    }[kind]
    at = 2 * each
    if family == socket.AF_UNIX:
        header.source = body[:each].rstrip(b"\0").decode()
        header.destination = body[each:at].rstrip(b"\0").decode()
    elif family:
        ports = struct.unpack("!HH", body[2 * each : 2 * each + 4])
        header.source = (socket.inet_ntop(family, body[:each]), ports[0])
        header.destination = (socket.inet_ntop(family, body[each : 2 * each]), ports[1])
        at = 2 * each + 4
    header.tlvs = list(_split_tlvs(body[at:]))
    if any(kind == 3 for kind, _ in header.tlvs):
        _check_sum(fixed + body)
    return header


def read_header(sock):
    """Read a Header of either version, and not a byte more."""
    begun = read_exactly(sock, 6)
    return _read_line(sock, begun) if begun == b"PROXY " else _read_binary(sock, begun)
