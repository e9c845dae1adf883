# SPDX-License-Identifier: Apache-2.0
"""A Debian machine in namespaces, with systemd as its init: what a package is installed on.

Its files come from debootstrap, off the mirror that apt uses here, and are kept as a tarball in
SHIP. Nothing of it is left once it is closed but that.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .namespace import Namespace
from .wait import eventually

SHIP = Path(os.environ.get("SHIP", "build/ship")).absolute()
BOOT = Path(__file__).with_name("boot")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PATIENT = 60.0


def must(*argv, within=600, **options):
    """Run to the end, which must be a good one; all that it wrote."""
    options = {"stdin": subprocess.DEVNULL, **options}
    done = subprocess.run(
        [str(word) for word in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=within,
        **options,
    )
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout}"
    return done.stdout


def codename():
    text = Path("/etc/os-release").read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)[
        "VERSION_CODENAME"
    ].strip('"')


def mirror():
    """Where apt has this system's main packages from."""
    listing = must(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"
    )
    for line in listing.splitlines():
        uri, suite, component = line.split()
        if (suite, component) == (codename(), "main"):
            return uri
    raise AssertionError(f"apt has no source for {codename()} main:\n{listing}")


def base(packages):
    """A tarball of a fresh system that has `packages`; made once."""
    tarball = SHIP / f"{codename()}.tar"
    names = SHIP / f"{codename()}.packages"
    wanted = ",".join(sorted(packages))
    if tarball.exists() and names.exists() and names.read_text() == wanted:
        return tarball
    root = SHIP / "base"
    shutil.rmtree(root, ignore_errors=True)
    include = f"--include={wanted}"
    must("/usr/sbin/debootstrap", "--variant=minbase", include, codename(), root, mirror())
    for rest in root.glob("var/cache/apt/archives/*.deb"):
        rest.unlink()
    must("tar", "-C", root, "--one-file-system", "-cf", tarball, ".")
    shutil.rmtree(root)
    names.write_text(wanted)
    return tarball


class Machine:
    """Booted; `log` is the file for what systemd says."""

    def __init__(self, tarball, directory):
        self.root = Path(directory) / "root"
        self.root.mkdir()
        must("tar", "-C", self.root, "-xf", tarball)
        self.group = f"sluice-ship-{os.getpid()}"
        self.namespace = Namespace()
        self.log = Path(directory) / "console"
        argv = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--"]
        with self.namespace, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*argv, str(BOOT), str(self.root), self.group],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self.pid = eventually(self._init, "a process 1", within=PATIENT)
            eventually(self._is_up, "a machine that is up", within=PATIENT)
        except BaseException:
            print(self.log.read_text(errors="replace"))
            self.close()
            raise

    def _init(self):
        assert self.process.poll() is None, "it ended"
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return children.read_text().strip()

    def _is_up(self):
        return self.try_run("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def try_run(self, script, user=None):
        """A shell in it, as root or somebody else: the CompletedProcess."""
        shell = ["sh", "-c", script]
        if user:
            shell = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *shell]
        return subprocess.run(
            ["nsenter", "-t", self.pid, "-a", "--", "env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8"]
            + shell,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def run(self, script, user=None):
        done = self.try_run(script, user)
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def main_pid(self):
        return int(self.run("systemctl show --property=MainPID --value sluice"))

    def files(self):
        """Every path outside of what systemd and dpkg keep for themselves."""
        leave_out = ("./proc", "./sys", "./dev", "./run", "./tmp", "./var/cache", "./var/lib/dpkg")
        found = must("find", ".", "-xdev", "!", "-type", "d", "-o", "-empty", cwd=self.root)
        return {path for path in found.splitlines() if not path.startswith(leave_out)}

    def close(self):
        self.process.kill()
        self.process.wait()
        remove = 'mount -t cgroup2 cgroup2 "$1" && cd "$1" && find "$2" -depth -type d -delete'
        argv = ["unshare", "--mount", "sh", "-c", remove, "sh", self.root / "mnt", self.group]
        try:
            eventually(lambda: not subprocess.call(argv, stderr=subprocess.DEVNULL), "no group", PATIENT)
        finally:
            self.namespace.close()
            shutil.rmtree(self.root)
