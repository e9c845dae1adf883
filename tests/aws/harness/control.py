# SPDX-License-Identifier: Apache-2.0
"""Run sluice-control."""

import os
import subprocess
from pathlib import Path

from .admin import Admin
from .sluice import BINARY, PATIENCE, ROOT, Sluice
from .sluice import environment as proxy_environment
from .wait import eventually

CONTROL = Path(os.environ.get("SLUICE_CONTROL_BIN", BINARY.parent / "sluice-control")).absolute()
HASTENED = Path(
    os.environ.get("SLUICE_HASTEN_BIN", BINARY.parent / "hasten" / "sluice-control")
).absolute()


def environment(more=None):
    """Nothing of the account of whoever runs the tests, and no metadata service but the test's."""
    ours = {k: v for k, v in proxy_environment().items() if not k.startswith("AWS_")}
    nobody = {
        "HOME": "/nonexistent",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if "AWS_EC2_METADATA_SERVICE_ENDPOINT" in (more or {}):
        del nobody["AWS_EC2_METADATA_DISABLED"]
    return {**ours, **nobody, **(more or {})}


def run(*args, env=None, within=30.0):
    """To its end, e.g. --check; a CompletedProcess with text."""
    return subprocess.run(
        [str(CONTROL), *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(env),
        timeout=within * PATIENCE,
        cwd=ROOT,
    )


class Control(Sluice):
    """A daemon. `socket` is where its API is; `hasten` makes its hours pass in seconds."""

    def __init__(self, config_path, socket, env=None, double=None, **options):
        env = environment(env)
        if double is not None and double.hasten > 1:
            env["HASTEN"] = f"{double.hasten}:{double.born:.6f}"
            options["binary"] = HASTENED
        options.setdefault("binary", CONTROL)
        super().__init__("--config", config_path, env=env, ready=False, **options)
        self.admin = Admin(socket)

    def answers(self):
        assert self.alive(), f"the daemon is gone\n{self.report()}"
        try:
            return self.admin.ask("GET", "/v1/discovery").json
        except OSError as problem:
            raise AssertionError(f"{problem}\n{self.report()}") from None

    def wait_answers(self, within=10.0):
        return eventually(self.answers, "the daemon's API", within * PATIENCE)

    def discovery(self):
        return self.admin.get("/v1/discovery")

    def feed(self, pool, source):
        found = [f for f in self.discovery()["feeds"] if (f["pool"], f["source"]) == (pool, source)]
        assert len(found) == 1, self.discovery()
        return found[0]

    def members(self, pool, source):
        return self.admin.get(f"/v1/discovery/{pool}/{source}")["members"]

    def do_feed(self, pool, source, verb, body=None, status=200):
        path = f"/v1/discovery/{pool}/{source}/{verb}"
        return self.admin.do("POST", path, body if body is not None else {}, status)

    def refresh(self, pool, source):
        return self.do_feed(pool, source, "refresh")
