# SPDX-License-Identifier: Apache-2.0
"""What is between client and backend: a router, the kernel's own address translation, the proxies,
and Sluice's ways past itself."""
import json
import subprocess
import sys
import tempfile

from candidates import Direct, Haproxy, Nginx, Sluice
from stage import Failed

PROMOTED = ("tc", "xdp", "sockmap")  # by name


class Route(Direct):
    """Packets are routed, and on loopback go straight."""
    name, kind, version = "direct", "direct", ""

    def start(self, stage, backends, cpus, founding):
        if not stage.setting.loopback:
            stage.forward()
        return []


class Dnat(Route):
    """nftables translates the destination; connections are tracked."""
    name = kind = "nft"

    def start(self, stage, backends, cpus, founding):
        family = "ip" if stage.setting.family == 4 else "ip6"
        stage.run("proxy", "nft", "-f", "-", text=f"""table {family} bench {{
 chain in {{ type nat hook prerouting priority dstnat;
  tcp dport {stage.proxy_port} dnat to {backends[0]}; }}
}}""")
        return super().start(stage, backends, cpus, founding)

    def address(self, stage, backends):
        return [stage.front]


class Spliced(Sluice):
    """Sluice with `offload:` of some kind, and a hook."""

    def __init__(self, name, path, offload, hook="tc"):
        super().__init__(name, path)
        self.offload, self.hook = offload, hook

    @property
    def offloads(self):
        return True

    def launch(self, stage, backends, cpus, founding):
        path = stage.path("sluice.json")  # which is YAML as well
        with open(path, "w") as file:
            json.dump({
                "workers": stage.workers, "offload": self.offload,
                "fast_path": {"hook": self.hook, "pin": "off"},
                "admin": {"socket": self.admin(stage)},
                "listeners": [{"name": "bench", "bind": stage.front, "pool": "bench"}],
                "pools": [{"name": "bench", "targets": backends}]}, file)
        if self.hook == "xdp":
            # It cannot finish a checksum that a virtual wire leaves open, and what it sends is
            # received there by NAPI alone.
            for host in ("client", "backend"):
                stage.run(host, "ethtool", "-K", "eth0", "tx", "off", "gro", "on")
        return [stage.spawn([self.path, "--config", path], cpus)]


def _knows(path, offload):
    """Whether this build of sluice has that kind of offload."""
    text = json.dumps({"listeners": [{"name": "a", "bind": "127.0.0.1:1", "pool": "a"}],
                       "pools": [{"name": "a", "targets": ["127.0.0.1:2"], "offload": offload}]})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        known = subprocess.run([path, "--check", file.name], capture_output=True,
                               check=False).returncode == 0
    if not known:
        print(f"bench: this sluice has no offload: {offload}: NOT MEASURED", file=sys.stderr)
    return known


def candidates(path, haproxy, nginx):
    """All that can be measured here."""
    found = [Route(), Dnat()]
    found += [Haproxy("haproxy", haproxy)] if haproxy else []
    try:
        found += [Nginx("nginx", nginx)] if nginx else []
    except (Failed, OSError):
        pass  # a build without streams
    found += [Sluice("sluice", path), Spliced("tc", path, "auto"),
              Spliced("xdp", path, "auto", "xdp")]
    return found + ([Spliced("sockmap", path, "sockmap")] if _knows(path, "sockmap") else [])
