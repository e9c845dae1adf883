# SPDX-License-Identifier: Apache-2.0
"""A Network Load Balancer, as far as its targets can tell, on the loopback.

Happy path: a client connects, a healthy target is chosen, the connection to it begins with a PROXY
header of version 2, and bytes, FINs and resets are passed on both ways until both sides are done.
Targets are checked all the while, with the header too.

Failure modes are what it is here for. A target that is unhealthy or deregistered is still sent
connections for `lag` seconds, because the nodes of a balancer do not learn of it at once. An
unhealthy target's sessions are cut, unless the attributes say otherwise. A flow of which no packet
was seen for `idle` seconds, keepalive counted, is forgotten: its next packet is answered with RST.
Where no target is healthy, all that are registered are used.

Attributes have the names, the values and the defaults of the API.
"""

import asyncio
import itertools
import socket
import struct
import threading
import time

from .address import free_address
from .peers import LINGER_RESET, Listener
from .proxyproto import LOCAL, v2, vpce

SOURCES = [f"127.0.3.{n}" for n in range(1, 9)]  # its own addresses, in the subnet below
SUBNET = "127.0.3.0/24"
ENDPOINT = "vpce-08d2bf15fac5001c9"
TICK = 0.05
SEGMENTS_IN = 140  # tcpi_segs_in in struct tcp_info (linux/tcp.h)
NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT: connect(2) chooses it

_UNHEALTHY = "target_health_state.unhealthy."
CUT_UNHEALTHY = _UNHEALTHY + "connection_termination.enabled"
DRAIN_UNHEALTHY = _UNHEALTHY + "draining_interval_seconds"
DELAY = "deregistration_delay.timeout_seconds"
CUT_DEREGISTERED = "deregistration_delay.connection_termination.enabled"
DEFAULTS = {
    "preserve_client_ip.enabled": "false",
    "proxy_protocol_v2.enabled": "false",
    CUT_UNHEALTHY: "true",
    DRAIN_UNHEALTHY: "0",
    DELAY: "300",
    CUT_DEREGISTERED: "false",
}
CHECK = {"interval": 0.2, "timeout": 5.0, "healthy": 2, "unhealthy": 2, "path": "/readyz"}


class _Leg:
    """One of a flow's two connections."""

    sock = peer = None
    ended = shut = False  # its FIN came; the other side's was passed on to it
    reading = writing = False

    def __init__(self, flow, sock, first=b""):
        self.flow, self.sock, self.unsent = flow, sock, bytearray(first)
        self.loop, self.fd = flow.nlb.loop, sock.fileno()

    def listen(self, wanted):
        if wanted != self.reading and self.sock:
            self.reading = wanted
            if wanted:
                self.loop.add_reader(self.fd, self._on_readable)
            else:
                self.loop.remove_reader(self.fd)

    def _wait_to_write(self, wanted):
        if wanted != self.writing and self.sock:
            self.writing = wanted
            if wanted:
                self.loop.add_writer(self.fd, self.flush)
            else:
                self.loop.remove_writer(self.fd)

    def _on_readable(self):
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self.flow.cut()
            return
        self.ended = not data
        self.peer.unsent += data
        self.peer.flush()

    def flush(self):
        """Pass on what there is, and the FIN behind it; meanwhile the other side is not heard."""
        try:
            while self.unsent:
                del self.unsent[: self.sock.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.flow.cut()
            return
        self._wait_to_write(bool(self.unsent))
        self.peer.listen(not self.unsent and not self.peer.ended and not self.flow.forgotten)
        if self.peer.ended and not self.unsent and not self.shut:
            self._pass_on_fin()

    def _pass_on_fin(self):
        self.shut = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.flow.cut()
            return
        if self.peer.shut:
            self.flow.finish()

    def segments(self):
        """Packets that came, those without data included."""
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SEGMENTS_IN + 4)
        return struct.unpack_from("=I", info, SEGMENTS_IN)[0]

    def close(self):
        if self.sock:
            self.listen(False)
            self._wait_to_write(False)
            self.sock.close()
            self.sock = None

    def reset(self):
        if self.sock:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
            self.close()


class _Flow:
    """From a client to the target that was chosen for it."""

    client = backend = target = None
    over = forgotten = False

    def __init__(self, nlb, sock, peer):
        self.nlb = nlb
        self.packets, self.seen = 0, time.monotonic()
        self.client = _Leg(self, sock)
        nlb.flows.add(self)
        self.task = nlb.loop.create_task(self._dial(peer, sock.getsockname()))

    async def _dial(self, peer, name):
        self.target = self.nlb.choose()
        first = v2(peer, name, vpce(ENDPOINT)) if self.nlb.speaks_proxy else b""
        try:
            sock = await self.nlb.dial(self.target and self.target.address)
        except OSError:
            self.nlb.counts["failed_dials"] += 1
            self.cut()
            return
        self.backend = _Leg(self, sock, first)
        self.client.peer, self.backend.peer = self.backend, self.client
        if self.over:  # cut meanwhile
            self.backend.reset()
            return
        self.client.flush()
        self.backend.flush()

    def legs(self):
        return [leg for leg in (self.client, self.backend) if leg and leg.sock]

    def _leave(self):
        self.over = True
        self.nlb.flows.discard(self)

    def finish(self):
        self._leave()
        for leg in self.legs():
            leg.close()

    def cut(self):
        """RST both ways."""
        self._leave()
        for leg in self.legs():
            leg.reset()

    def tick(self, now):
        packets = sum(leg.segments() for leg in self.legs())
        if self.forgotten:
            self._answer_late()
        elif packets != self.packets:
            self.packets, self.seen = packets, now
        elif now - self.seen >= self.nlb.idle:
            self.forgotten = True
            self.nlb.counts["forgotten"] += 1
            self.known = {leg: leg.segments() for leg in self.legs()}
            for leg in self.known:
                leg.listen(False)

    def _answer_late(self):
        """Each side finds out by itself, when it says something."""
        for leg in self.legs():
            if leg.segments() != self.known[leg]:
                leg.reset()
        if not self.legs():
            self._leave()


class Target:
    """`state` is one of the API's words."""

    def __init__(self, name, address, probe):
        self.name, self.address, self.probe = name, address, probe
        self.state, self.streak, self.left = "initial", 0, None
        self.checks = 0

    def takes(self, now, lag):
        """Healthy, or not for so long that some node has not heard of it."""
        return self.state == "healthy" or (self.left is not None and now - self.left < lag)


class Nlb:
    def __init__(self, attributes=None, idle=350.0, lag=1.0, check=None):
        unknown = set(attributes or {}) - set(DEFAULTS)
        assert not unknown, f"no such attribute: {unknown}"
        self.attributes = {**DEFAULTS, **(attributes or {})}
        assert self.attributes["preserve_client_ip.enabled"] == "false", "not on a loopback"
        self.idle, self.lag, self.check = idle, lag, {**CHECK, **(check or {})}
        self.speaks_proxy = self.attributes["proxy_protocol_v2.enabled"] == "true"
        self.address = free_address()
        self.targets, self.flows = {}, set()
        self.counts = dict.fromkeys(("connections", "failed_dials", "cut", "forgotten", "late"), 0)
        self._turn, self._source = itertools.count(), itertools.cycle(SOURCES)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._ask(self._start())

    # ---- for tests, from their own thread ----

    def register(self, name, address, probe=None):
        """`probe` is where it is checked by HTTP; without it its own port is, by a connection."""
        self._ask(self._register(Target(name, address, probe)))

    def deregister(self, name):
        self._ask(self._deregister(self.targets[name]))

    def state(self, name):
        return self.targets[name].state

    def flows_of(self, name):
        """How many clients' flows lead to it."""
        return sum(f.target is self.targets[name] for f in self.flows.copy())

    def close(self):
        self._ask(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def _ask(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    # ---- its own thread ----

    async def _start(self):
        self._listener = Listener(self.address)
        self._listener.sock.setblocking(False)
        self._tasks = [self.loop.create_task(each) for each in (self._tick(), self._accept())]

    async def _accept(self):
        while True:
            sock, peer = await self.loop.sock_accept(self._listener.sock)
            self.counts["connections"] += 1
            _Flow(self, sock, peer)

    async def _close(self):
        for flow in self.flows.copy():
            flow.task.cancel()
            flow.cut()
        for task in self._tasks:
            task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()
        broken = [why for why in done if isinstance(why, Exception)]
        assert not broken, broken

    async def _register(self, target):
        self.targets[target.name] = target
        self._tasks.append(self.loop.create_task(self._look_after(target)))

    async def _deregister(self, target):
        if target.state == "healthy":
            target.left = time.monotonic()
        target.state = "draining"
        if self.attributes[CUT_DEREGISTERED] == "true":
            self.loop.call_later(float(self.attributes[DELAY]), self._cut_all, target)

    def choose(self):
        """The next in turn of those that take connections; of all, if none is healthy."""
        now, targets = time.monotonic(), list(self.targets.values())
        able = [t for t in targets if t.takes(now, self.lag)]
        able = able or [t for t in targets if t.state != "draining"]
        if not able:
            return None
        target = able[next(self._turn) % len(able)]
        self.counts["late"] += target.state != "healthy"
        return target

    async def dial(self, address):
        """A socket, from one of its addresses."""
        if address is None:
            raise OSError("no target is left")
        sock = socket.socket()
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, NO_PORT_YET, 1)
            sock.bind((next(self._source), 0))
            await self.loop.sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _tick(self):
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for flow in self.flows.copy():
                flow.tick(now)

    async def _look_after(self, target):
        while target.state != "draining":
            try:
                async with asyncio.timeout(self.check["timeout"]):
                    passed = await self._passes(target)
            except OSError:  # TimeoutError is one
                passed = False
            target.checks += 1
            if target.state != "draining":
                self._judge(target, passed)
            await asyncio.sleep(self.check["interval"])

    def _check_header(self, sock, target):
        """Both that are seen: nobody's, and the balancer's own."""
        if not self.speaks_proxy:
            return b""
        return LOCAL if target.checks % 2 else v2(sock.getsockname(), sock.getpeername())

    async def _passes(self, target):
        sock = await self.dial(target.probe or target.address)
        try:
            await self.loop.sock_sendall(sock, self._check_header(sock, target))
            if not target.probe:
                return True
            asked = f"GET {self.check['path']} HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n"
            await self.loop.sock_sendall(sock, asked.encode())
            return b" 200 " in (await self.loop.sock_recv(sock, 4096)).split(b"\r\n")[0]
        finally:
            sock.close()

    def _judge(self, target, passed):
        """A verdict takes as many equal checks in a row as the thresholds say."""
        if passed == (target.state == "healthy"):
            target.streak = 0
            return
        target.streak += 1
        if passed and target.streak >= self.check["healthy"]:
            target.state, target.streak, target.left = "healthy", 0, None
        elif not passed and target.streak >= self.check["unhealthy"] and target.state == "healthy":
            self._fell_ill(target)

    def _fell_ill(self, target):
        target.streak, target.left = 0, time.monotonic()
        target.state = "unhealthy"
        if self.attributes[CUT_UNHEALTHY] == "true":
            self._cut_all(target)
        elif interval := float(self.attributes[DRAIN_UNHEALTHY]):
            target.state = "unhealthy.draining"
            self.loop.call_later(interval, self._drained, target)

    def _drained(self, target):
        if target.state == "unhealthy.draining":
            target.state = "unhealthy"
            self._cut_all(target)

    def _cut_all(self, target):
        for flow in self.flows.copy():
            if flow.target is target:
                self.counts["cut"] += 1
                flow.cut()
