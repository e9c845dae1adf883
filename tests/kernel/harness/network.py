# SPDX-License-Identifier: Apache-2.0
"""Three hosts and the wires between them: client, proxy, backend, each a namespace.

        client  eth0 ---- client  proxy  backend ---- eth0  backend
        10.77.1.1         10.77.1.2      10.77.2.2          10.77.2.1
        fd77:1::1         fd77:1::2      fd77:2::2          fd77:2::1

`one_link` puts client and backend on the proxy's one interface, `sidecar` the backend on its
loopback. `rough` makes the client's wire one of tests/lib/tunrelay.c, with these options.
"""

import subprocess

from .namespace import Namespace
from .tools import own_tool

ADDRESSES = {4: "10.77.{0}.{1}", 6: "fd77:{0}::{1}"}


class Network:
    def __init__(self, mtu=(1500, 1500), family=4, one_link=False, sidecar=False, rough=None):
        self.family = family
        self.relay = None
        self.client, self.proxy = Namespace(), Namespace()
        self.backend = self.client if one_link else self.proxy if sidecar else Namespace()
        self.front_host = self._host(1, 2)
        self._wire("client", self.client, 1, mtu[0], rough)
        if sidecar:
            self.backend_host = "127.0.0.1" if family == 4 else "::1"
        elif one_link:
            self.backend_host = self._host(1, 3)
            self._address(self.client, "eth0", 1, 3)
        else:
            self.backend_host = self._host(2, 1)
            self._wire("backend", self.backend, 2, mtu[1])

    def _host(self, net, host):
        return ADDRESSES[self.family].format(net, host)

    @staticmethod
    def _address(namespace, device, net, host):
        for family, length in ((4, 24), (6, 64)):
            address = f"{ADDRESSES[family].format(net, host)}/{length}"
            words = ("nodad",) if family == 6 else ()
            namespace.ip("addr", "add", address, "dev", device, *words)

    def _relay(self, device, peer, rough):
        words = [f"{name}={value}" for name, value in rough.items()]
        self.relay = subprocess.Popen(
            [own_tool("tunrelay"), self.proxy.path, device, peer.path, "eth0", *words],
            stdout=subprocess.PIPE,
        )
        assert self.relay.stdout.readline() == b"up\n"

    def _wire(self, device, peer, net, mtu, rough=None):
        if rough:
            self._relay(device, peer, rough)
        else:
            self.proxy.ip(
                *("link", "add", device, "mtu", mtu, "type", "veth"),
                *("peer", "name", "eth0", "mtu", mtu, "netns", peer.path),
            )
        for namespace, name, host in ((self.proxy, device, 2), (peer, "eth0", 1)):
            self._address(namespace, name, net, host)
            namespace.ip("link", "set", name, "up")

    def namespaces(self):
        return list({id(n): n for n in (self.client, self.proxy, self.backend)}.values())

    def lose(self, namespace, per_cent):
        """Of what arrives there, by chance."""
        namespace.nft(
            "table inet loss {\n chain in { type filter hook prerouting priority -500;"
            f" meta l4proto tcp numgen random mod 1000 < {10 * per_cent} drop; }}\n}}"
        )

    def close(self):
        if self.relay:
            self.relay.terminate()
            self.relay.communicate()
        for namespace in self.namespaces():
            namespace.close()
