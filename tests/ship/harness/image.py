# SPDX-License-Identifier: Apache-2.0
"""The image, built for this machine, and containers of it as an engine would start them: its files
alone, read-only, as its user, as PID 1, without a capability, with a volume that they share."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import tarfile
from pathlib import Path

from harness.sluice import BINARY
from harness.wait import eventually

TOP = Path(__file__).resolve().parents[3]
UID = 65532
# The files are mounted read-only and become the root: what an engine does, with util-linux alone.
# What ends with the mount namespace leaves nothing behind.
START = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
mount --bind "$2" "$1/run/sluice" && mount -t tmpfs -o size=1m tmp "$1/tmp" || exit 99
root=$1
shift 2
exec setpriv --no-new-privs unshare --pid --fork --kill-child --mount-proc \
    --root="$root" --wd=/ --setuid 65532 --setgid 65532 "$@"
"""


def machine():
    """This one, as Debian and OCI call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


class Image:
    """What is in the archive for one machine."""

    def __init__(self, archive, directory):
        self.directory = directory
        with tarfile.open(archive) as tar:
            tar.extractall(directory)
        index = json.loads((directory / "index.json").read_text())
        listed = self._blob(index["manifests"][0])["manifests"]
        self.machines = [each["platform"]["architecture"] for each in listed]
        chosen = next(each for each in listed if each["platform"]["architecture"] == machine())
        self.manifest = self._blob(chosen)
        self.config = self._blob(self.manifest["config"])["config"]
        self.compressed = sum(layer["size"] for layer in self.manifest["layers"])

    def _path(self, descriptor):
        return self.directory / "blobs" / descriptor["digest"].replace(":", "/")

    def _blob(self, descriptor):
        return json.loads(self._path(descriptor).read_bytes())

    def members(self):
        for layer in self.manifest["layers"]:
            with tarfile.open(self._path(layer)) as tar:
                yield from tar.getmembers()

    def unpack(self, root):
        for layer in self.manifest["layers"]:
            subprocess.run(["tar", "-xzpf", self._path(layer), "-C", root], check=True)
        return root


def build(out):
    """This machine's part alone: the other one takes a cross-build."""
    subprocess.run([TOP / "packaging/image/build", out, f"{machine()}={BINARY.parent}"], check=True,
                   capture_output=True)
    return out


class Container:
    def __init__(self, root, volume, *command, environment=None):
        self.log = volume.parent / f"{command[0]}-{len(list(volume.parent.iterdir()))}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", START, "sh", root, volume, *command],
                env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self.pid = eventually(self._first, "PID 1 of the container", 30)

    def _first(self):
        """The one process below the unshare(1) that waits for it."""
        assert self.process.poll() is None, self.said()
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        children = Path(path).read_text().split()
        return children and self._is_inside(children[0]) and int(children[0])

    @staticmethod
    def _is_inside(pid):
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/comm").read_text().startswith("sluice")
        return False

    def said(self):
        return self.log.read_text(errors="replace")

    def status(self, field):
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.split(":", 1)[1].split() for line in lines if line.startswith(f"{field}:"))

    def run(self, *command):
        """Another program in the container, as a health check is."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "--mount", "--pid", "--root", "--wd",
             "--setuid", str(UID), "--setgid", str(UID), *command],
            env={"PATH": "/usr/bin"}, capture_output=True, text=True,
        )

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            if self.process.poll() is None:
                os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
