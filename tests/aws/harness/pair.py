# SPDX-License-Identifier: Apache-2.0
"""A proxy and its daemon on one configuration, and what is served at every moment."""

import threading
import time
from collections import namedtuple
from contextlib import ExitStack
from pathlib import Path

from .address import free_address, text
from .admin import Admin, Doors
from .conf import to_yaml
from .control import Control
from .sluice import PATIENCE
from .wait import eventually

Served = namedtuple("Served", "id address zone weight backup", defaults=(None, 100, False))


def _is_served(member):
    return member["removed"] is None and member["state"] not in ("draining", "drained", "removed")


class Pair:
    """`endpoint` is a Moto, a Strict or None (for sources that ask no API); `pools` are as in the
    file; `control` adds to that mapping, the other keywords to the top level."""

    def __init__(self, sluice, endpoint, pools, directory, control=None, env=None, **top):
        self.directory, self.endpoint = Path(directory), endpoint
        self.doors, self.front = Doors(directory), [free_address() for _ in pools]
        self.socket = self.directory / "control.sock"
        self.path = self.directory / "sluice.yaml"
        self.env = {**(endpoint.environment() if endpoint else {}), **(env or {})}
        self.control = {"socket": str(self.socket), "api_rate": 1000, **(control or {})}
        self.top, self.admin = top, self.doors.full()
        self._sluice, self._daemons = sluice, []
        self.proxy = self.daemon = None
        self.configure(pools)

    def configure(self, pools):
        """Write the file; a running program is not told."""
        self.pools = pools
        listeners = [
            {"name": f"front-{pool['name']}", "bind": text(front), "pool": pool["name"]}
            for pool, front in zip(pools, self.front)
        ]
        config = {
            "workers": 1,
            "state_directory": str(self.directory / "state"),
            "admin": self.doors.conf,
            "control": self.control,
            "listeners": listeners,
            "pools": pools,
            **self.top,
        }
        (self.directory / "state").mkdir(exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(to_yaml(config))
        draft.rename(self.path)

    # ---- the programs ----

    def start_proxy(self):
        self.proxy = self._sluice("--config", self.path, ready=False)
        eventually(self._proxy_answers, "the proxy's API", 10 * PATIENCE)
        return self.proxy

    def _proxy_answers(self):
        assert self.proxy.alive(), self.proxy.report()
        try:
            return self.admin.get("/v1/status")
        except OSError as problem:
            raise AssertionError(str(problem)) from None

    def start_daemon(self, wait=True, **options):
        double = self.endpoint if hasattr(self.endpoint, "hasten") else None
        daemon = Control(self.path, self.socket, env=self.env, double=double, **options)
        self._daemons.append(daemon)
        self.daemon = daemon
        if wait:
            daemon.wait_answers()
        return daemon

    def start(self):
        self.start_proxy()
        self.start_daemon()
        return self

    def report(self):
        """The last words of the last daemon, without what it did with each target."""
        if not self._daemons:
            return ""
        lines = self._daemons[-1].report().splitlines()
        return "\n".join([line for line in lines if " target_" not in line][-15:])

    # ---- what is served ----

    def members(self, pool):
        return self.admin.get(f"/v1/pools/{pool}")["members"]

    def served(self, pool):
        """The targets that a new session may get, as a set of Served."""
        return {
            Served(m["id"], m["address"], m["zone"], m["weight"], m["backup"])
            for m in self.members(pool)
            if _is_served(m)
        }

    def addresses(self, pool):
        return sorted(m["address"] for m in self.members(pool) if _is_served(m))

    def wait_addresses(self, pool, addresses, within=15.0):
        wanted = sorted(addresses)

        def reached():
            found = self.addresses(pool)
            assert found == wanted, f"{found} is served, not {wanted}\n{self.report()}"
            return True

        eventually(reached, f"{pool} serves {wanted}", within * PATIENCE)

    def wait_served(self, pool, wanted, within=20.0):
        """`wanted` is a set of Served, or a function that gives one."""

        def reached():
            expected = wanted() if callable(wanted) else wanted
            found = self.served(pool)
            assert found == expected, (
                f"too many: {sorted(found - expected, key=str)[:5]}; "
                f"missing: {sorted(expected - found, key=str)[:5]}\n{self.report()}"
            )
            return True

        eventually(reached, f"{pool} serves what it should", within * PATIENCE)

    def wait_same(self, pool, fleet, within=20.0):
        """The proxy comes to serve what boto3 sees now on the same endpoint."""

        def project(every):
            return {tuple(each[field] for field in fleet.fields) for each in every}

        seen = project(fleet.sees())

        def reached():
            found = project([each._asdict() for each in self.served(pool)])
            assert found == seen, (
                f"too many: {sorted(found - seen, key=str)[:5]}; "
                f"missing: {sorted(seen - found, key=str)[:5]}\n{self.report()}"
            )
            return True

        eventually(reached, f"{pool} serves what boto3 sees", within * PATIENCE)

    def close(self):
        with ExitStack() as stack:
            for daemon in self._daemons:
                stack.callback(daemon.stop)


class Watch:
    """Looks at a pool all the time; `seen` are the sets of addresses, each as it began.

    with Watch(pair, "back") as watch:
        ...
    assert watch.seen == [...]
    """

    def __init__(self, pair, pool, pause_s=0.004):
        self.admin, self.pool, self.pause_s = Admin(pair.doors.path), pool, pause_s
        self.seen, self.looks = [], 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _look(self):
        members = self.admin.get(f"/v1/pools/{self.pool}")["members"]
        now = frozenset(m["address"] for m in members if _is_served(m))
        if not self.seen or self.seen[-1] != now:
            self.seen.append(now)
        self.looks += 1

    def _run(self):
        while not self._over.wait(self.pause_s):
            try:
                self._look()
            except OSError:
                time.sleep(0.01)  # the proxy is just not there

    def __enter__(self):
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(20)
        self._look()

    def only(self, *allowed):
        """Nothing but these sets was ever served."""
        allowed = [frozenset(each) for each in allowed]
        wrong = [sorted(each) for each in self.seen if each not in allowed]
        assert not wrong, f"served for a while: {wrong[:3]}"
