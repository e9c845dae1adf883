# SPDX-License-Identifier: Apache-2.0
"""Debian's kernels of several releases and machines, fetched with apt from the mirror that this
system is configured for; nothing of the system itself is changed.

Happy path: an Archive per release has lists and packages of its own below the build directory; what
is there is not fetched again. Failure: Missing, with what apt said, for a release or package that
the mirror does not have."""

import io
import lzma
import os
import re
import subprocess
import tarfile

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MACHINES = ("amd64", "arm64")


class Missing(Exception):
    """The mirror does not have it."""


def _run(*argv, cwd=None):
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{argv[0]} {argv[-1]}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _mirror():
    """Where this system gets Debian from."""
    found = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI)",
        "Created-By: Packages", "Origin: Debian", "Label: Debian",
    ).split()
    if not found:
        raise Missing("apt is configured for no Debian mirror")
    return found[0]


class Archive:
    def __init__(self, root, suite):
        self.suite, self.home = suite, os.path.join(root, suite)
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            os.makedirs(os.path.join(self.home, name), exist_ok=True)
        sources = os.path.join(self.home, "sources.list")
        self._options = [
            f"-oDir::Etc::sourcelist={sources}",
            "-oDir::Etc::sourceparts=/dev/null",
            f"-oDir::State::lists={self.home}/lists",
            f"-oDir::Cache={self.home}/cache",
            "-oAcquire::Languages=none",
            "-oAcquire::GzipIndexes=false",
            "-oAcquire::Retries=3",
            "-oAPT::Update::Error-Mode=any",  # what could not be had for now is an error too
            "-oAPT::Sandbox::User=root",
            *(f"-oAPT::Architectures::={machine}" for machine in MACHINES),
        ]
        if not os.path.exists(sources):
            with open(sources, "w", encoding="utf-8") as file:
                file.write(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
        if not self._lists():
            self._update()

    def _lists(self):
        return [name for name in os.listdir(f"{self.home}/lists") if name.endswith("_Packages")]

    def _update(self):
        """A mirror may be out of reach for a moment, and apt gives up at once where it is refused."""
        for last in (False, False, True):
            try:
                _run("apt-get", *self._options, "update", "-qq")
                break
            except Missing:
                if last:
                    raise
        if not self._lists():
            raise Missing(f"the mirror gave no lists of {self.suite}")

    def _fields(self, package, machine):
        """What the lists say of a package; they are read here, as apt takes seconds to open them."""
        for name in self._lists():
            if not name.endswith(f"_binary-{machine}_Packages"):
                continue
            with open(f"{self.home}/lists/{name}", encoding="utf-8") as file:
                text = "\n" + file.read()
            at = text.find(f"\nPackage: {package}\n")
            if at >= 0:
                stanza = text[at:].split("\n\n", 1)[0]
                return dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.MULTILINE))
        raise Missing(f"{self.suite} has no {package} for {machine}")

    def package(self, name, machine):
        """The file of a package; fetched if it is not there."""
        fields = self._fields(name, machine)
        version = fields["Version"].replace(":", "%3a")
        path = f"{self.home}/packages/{name}_{version}_{fields['Architecture']}.deb"
        if not os.path.exists(path):
            _run("apt-get", *self._options, "download", "-qq", f"{name}:{machine}",
                 cwd=f"{self.home}/packages")
        if not os.path.exists(path):
            raise Missing(f"{name} of {self.suite} for {machine} came under another name")
        return path

    def kernel_packages(self, machine):
        """Those of the cloud kernel, from what its metapackage depends on."""
        seen, todo = [], [f"linux-image-cloud-{machine}"]
        while todo:
            name = todo.pop()
            seen.append(name)
            names = re.findall(r"\blinux-(?:image|binary|modules)-[\w.+-]+",
                               self._fields(name, machine).get("Depends", ""))
            todo += [each for each in names if each not in seen + todo]
        return [self.package(name, machine) for name in seen]


def files(package):
    """Each file of a package, as (path, a function for its bytes)."""
    raw = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(raw.stdout)) as tar:
        for member in tar:
            if member.isfile():
                yield member.name.lstrip("./"), lambda member=member: tar.extractfile(member).read()


class Kernel:
    """The kernel's image, and those of its modules that `wanted` names, in an order to load them."""

    def __init__(self, packages, wanted):
        self.image, found = b"", {}
        for package in packages:
            for path, read in files(package):
                name = os.path.basename(path)
                if name.startswith("vmlinuz"):
                    self.image = read()
                elif ".ko" in name and self._stem(name) in wanted:
                    found[self._stem(name)] = self._plain(name, read())
        if not self.image:
            raise Missing(f"no kernel in {packages}")
        self.modules = [(f"{name}.ko", found[name]) for name in wanted if name in found]

    @staticmethod
    def _stem(name):
        return name.split(".ko")[0].replace("-", "_")

    @staticmethod
    def _plain(name, data):
        return lzma.decompress(data) if name.endswith(".xz") else data
