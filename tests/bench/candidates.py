# SPDX-License-Identifier: Apache-2.0
"""The candidates: sluice, HAProxy and nginx in their settings, and no proxy at all.

Each knows how to start itself on a stage, for the one-CPU cells or for the founding case, and
answers with the pids whose CPU and memory are its own.
"""
import json
import os
import re
import signal
import subprocess
import time

import machine
from stage import NAMESPACE, Failed

FOUNDING_WORKERS = 6
NGINX_MODULES = ["/usr/lib/nginx/modules/ngx_stream_module.so",
                 "/usr/lib64/nginx/modules/ngx_stream_module.so"]


class Direct:
    """The load talks to the backend."""
    name, kind, version = "direct", "direct", ""

    def start(self, stage, backends, cpus, founding):
        """Nothing to start: no pid."""
        return []

    def address(self, stage, backends):
        """Where the load connects to."""
        return backends


class Proxy:
    """What the proxies share: one port, and processes to start."""
    kind = ""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.main = None

    def address(self, stage, backends):
        """Where the load connects to."""
        return [stage.front]

    def logging(self):
        """The same with all that it can keep for a log; the peers log nothing."""
        return self

    def start(self, stage, backends, cpus, founding):
        """Start it and wait until it listens; returns its pids."""
        processes = self.launch(stage, backends, cpus, founding)
        self.main = processes[0]
        for process in processes:
            stage.wait_listening(process, len(processes))
        return [pid for process in processes for pid in machine.children_of(process.pid)]


class Sluice(Proxy):
    """`relay` as in --relay. No flow log, as the peers have none, unless a cell asks for it."""
    kind = "sluice"
    flow_log = ["--log", "json", "--log-file", "/dev/null"]

    def __init__(self, name, path, relay="auto", more=()):
        super().__init__(name, path)
        self.relay, self.more = relay, list(more)
        self.version = machine.first_line([path, "--version"])

    def launch(self, stage, backends, cpus, founding):
        argv = [self.path, *self._ways(stage, backends)]
        argv += ["--workers", FOUNDING_WORKERS if founding else stage.workers,
                 "--relay", self.relay]
        if self.offloads:
            argv += ["--admin", f"unix:{self.admin(stage)}"]
        return [stage.spawn(argv + self.more, cpus)]

    def _ways(self, stage, backends):
        """Whoever offloads is killed in the end, and leaves nothing pinned: that needs a file."""
        if not self.offloads:
            targets = [word for backend in backends for word in ("--target", backend)]
            return ["--listen", stage.front, *targets]
        config = {
            "fast_path": {"pin": "off"},
            "listeners": [{"name": "main", "bind": stage.front, "pool": "main"}],
            "pools": [{"name": "main", "targets": list(backends)}],
        }
        path = stage.path("sluice.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        return ["--config", path]

    @property
    def offloads(self):
        """Whether the kernel is to carry sessions."""
        return "--offload" in self.more

    @staticmethod
    def admin(stage):
        """Where its admin API is, if it offloads."""
        return stage.path("admin")

    def logging(self):
        return Sluice(self.name, self.path, self.relay, [*self.more, *self.flow_log])

    def own_calls(self, stage):
        """System calls so far by its own counters, None if it does not say."""
        self.main.send_signal(signal.SIGUSR2)
        time.sleep(0.3)
        for line in reversed(stage.output_of(self.main).split("\n")):
            try:
                counts = json.loads(line)
            except ValueError:
                continue
            for key in ("sys_calls", "syscalls", "system_calls"):
                if isinstance(counts, dict) and key in counts:
                    return sum(counts[key].values())
        return None


class Haproxy(Proxy):
    """`tuning` are lines of its global section; one thread, as the cells give it one CPU."""
    kind = "haproxy"

    def __init__(self, name, path, tuning="", splice=False):
        super().__init__(name, path)
        self.tuning, self.splice = tuning, splice
        self.version = machine.first_line([path, "-v"])

    def config(self, stage, backends, founding):
        servers = "\n".join(f"    server s{i} {address}" for i, address in enumerate(backends))
        return f"""global
    nbthread {1 if founding else stage.workers}
    maxconn {9000 if founding else 8000}
    {self.tuning}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    {"option splice-auto" if self.splice else ""}
listen bench
    bind {stage.front}
{servers}
"""

    def launch(self, stage, backends, cpus, founding):
        path = stage.path("haproxy.cfg")
        with open(path, "w") as file:
            file.write(self.config(stage, backends, founding))
        return [stage.spawn([self.path, "-db", "-f", path], cpus)
                for _ in range(FOUNDING_WORKERS if founding else 1)]


class Nginx(Proxy):
    """The stream module, loaded from a file where it is not built in."""
    kind = "nginx"

    def __init__(self, name, path, buffer_size=None):
        super().__init__(name, path)
        self.buffer_size = buffer_size
        self.version = machine.first_line([path, "-v"])
        built = subprocess.run([path, "-V"], capture_output=True, text=True, check=False).stderr
        self.module = None
        if not re.search(r"--with-stream(\s|$)", built):
            self.module = next(filter(os.path.exists, NGINX_MODULES), None)
            if not self.module:
                raise Failed(f"{path} has no stream module")

    def config(self, stage, backends, founding):
        servers = "\n".join(f"        server {address};" for address in backends)
        return f"""{f"load_module {self.module};" if self.module else ""}
{"user root;" if os.geteuid() == 0 or "-r" in (NAMESPACE or ()) else ""}
worker_processes {FOUNDING_WORKERS if founding else stage.workers};
error_log stderr crit;
pid {stage.path("nginx.pid")};
events {{ worker_connections 19900; }}
stream {{
    {f"proxy_buffer_size {self.buffer_size};" if self.buffer_size else ""}
    upstream bench {{
{servers}
    }}
    server {{
        listen {stage.front}{" reuseport backlog=4096" if founding else ""};
        proxy_pass bench;
    }}
}}
"""

    def launch(self, stage, backends, cpus, founding):
        path = stage.path("nginx.conf")
        with open(path, "w") as file:
            file.write(self.config(stage, backends, founding))
        argv = [self.path, "-p", stage.directory, "-e", "stderr", "-g", "daemon off;", "-c", path]
        process = stage.spawn(argv, cpus)
        stage.wait_listening(process)
        time.sleep(0.2)  # the workers follow the master, and their pids are wanted
        return [process]
