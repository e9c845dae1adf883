# SPDX-License-Identifier: Apache-2.0
"""Three hosts and the wires between them, for one candidate: client, proxy and backend, a network
namespace each. Needs root.

        client  eth0 ---- client  proxy  backend ---- eth0  backend
        10.77.1.1         10.77.1.2      10.77.2.2          10.77.2.1

By default a virtual wire carries what the sender made, up to 64 KiB at once. Wire-like, it carries
what a real one does: senders cut segments to its MTU, and the other end merges them (GRO).

Congestion control is Reno everywhere, which every namespace may have, and which differs from CUBIC,
the usual default, only after a loss. BBR, where it is the default, sends by timers: then the
timers of a virtual machine are what is measured.
"""
import subprocess
from dataclasses import dataclass

from stage import Failed, Stage, read_line

ENDS = (("client", "eth0"), ("proxy", "client"), ("proxy", "backend"), ("backend", "eth0"))


@dataclass(frozen=True)
class Setting:
    """How the wires are. `cut`: wire-like; `threads`: receivers merge in threads of their own."""
    name: str
    title: str
    mtu: int = 1500
    family: int = 4
    cut: bool = False
    threads: bool = False
    loopback: bool = False


SETTINGS = [
    Setting("default", "MTU 1500"),
    Setting("jumbo", "MTU 9001", mtu=9001),
    Setting("v6", "MTU 1500, IPv6", family=6),
    Setting("jumbo-v6", "MTU 9001, IPv6", mtu=9001, family=6),
    Setting("wire", "MTU 1500, wire-like, threaded NAPI", cut=True, threads=True),
    Setting("wire-plain", "MTU 1500, wire-like", cut=True),
    Setting("wire-jumbo", "MTU 9001, wire-like, threaded NAPI", mtu=9001, cut=True, threads=True),
    Setting("loopback", "loopback", loopback=True),
]


class Wires(Stage):
    """A stage of three hosts; the stage's own namespace is the proxy's."""

    def __init__(self, setting):
        super().__init__()
        self.workers = 2
        self.setting = setting
        self.hosts = {"proxy": self.net_pid, "client": self.net_pid, "backend": self.net_pid}
        try:
            if setting.loopback:
                self.backend_address = f"127.0.0.1:{self.backend_port}"
            else:
                self._wire_up()
            for host in set(self.hosts.values()):
                self._unpace(host)
        except BaseException:
            self.close()
            raise

    def _unpace(self, net_pid):
        self._in(net_pid, "sh", "-c", "echo reno >/proc/sys/net/ipv4/tcp_congestion_control")

    def _host(self, net, host):
        form = "10.77.{}.{}" if self.setting.family == 4 else "[fd77:{}::{}]"
        return form.format(net, host)

    def _wire_up(self):
        for net, name in ((1, "client"), (2, "backend")):
            self.hosts[name] = self._hold()
            self._wire(net, name)
        for host in self.hosts:  # else new connections run out of ports within two seconds
            self.shell(host, "echo 1000 >/proc/sys/net/ipv4/tcp_max_tw_buckets")
        self.front = f"{self._host(1, 2)}:{self.proxy_port}"
        self.backend_address = f"{self._host(2, 1)}:{self.backend_port}"
        for host, device in ENDS if self.setting.cut else ():
            self.run(host, "ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "on")
            if self.setting.threads:
                self.shell(host, "mount -t sysfs none /sys && "
                           f"echo 1 >/sys/class/net/{device}/threaded", mounts=True)

    def _hold(self):
        holder = self._popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && "
                              "exec sleep infinity"], stdout=subprocess.PIPE)
        if read_line(holder, 5) != "up":
            raise Failed("could not set up a network namespace")
        return holder.pid

    def _wire(self, net, name):
        mtu = str(self.setting.mtu)
        self.run("proxy", "ip", "link", "add", name, "mtu", mtu, "type", "veth", "peer", "name",
                 "eth0", "mtu", mtu, "netns", str(self.hosts[name]))
        for host, device, number in (("proxy", name, 2), (name, "eth0", 1)):
            self.run(host, "ip", "addr", "add", f"10.77.{net}.{number}/24", "dev", device)
            self.run(host, "ip", "addr", "add", f"fd77:{net}::{number}/64", "dev", device, "nodad")
            self.run(host, "ip", "link", "set", device, "up")
        self.run(name, "ip", "route", "add", "default", "via", f"10.77.{net}.2")
        self.run(name, "ip", "-6", "route", "add", "default", "via", f"fd77:{net}::2")

    def run(self, host, *argv, text=None):
        """A command on a host, to its good end."""
        self._in(self.hosts[host], *argv, text=text)

    @staticmethod
    def _in(net_pid, *argv, text=None):
        done = subprocess.run(["nsenter", "-t", str(net_pid), "-n", *argv], input=text,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(argv)}: {done.stderr.strip()}")

    def shell(self, host, script, mounts=False):
        """The same for a script; `mounts`: with mounts that nobody else sees."""
        self.run(host, *(["unshare", "-m"] if mounts else []), "sh", "-c", script)

    def forward(self):
        """The proxy's host passes packets on."""
        self.shell("proxy", "echo 1 >/proc/sys/net/ipv4/ip_forward && "
                   "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
