# SPDX-License-Identifier: Apache-2.0
"""The RPM for Amazon Linux 2023, as far as it can be judged off it: built twice, checked, and looked
into. It is not installed: what is built here is linked with this system's libraries."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.machine import SHIP, must

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("prein", "postin", "preun", "postun")


def build(directory, **environment):
    """With a compiler that remembers: that it compiles the same twice, the Debian package shows."""
    env = {**os.environ, "CC": "ccache gcc", "CCACHE_DIR": str(SHIP / "ccache"), **environment}
    env["CCACHE_BASEDIR"], env["CCACHE_NOHASHDIR"] = str(directory), "1"
    env["PATH"] += ":/usr/sbin:/sbin"
    must(ROOT / "packaging/build-rpm", directory, env=env)
    (found,) = directory.glob("RPMS/*/sluice-*.rpm")
    return found


@pytest.fixture(scope="module")
def rpm():
    return build(SHIP / "rpm")


def query(rpm, *options):
    return must("rpm", "-qp", *options, rpm).splitlines()


def test_rpmlint_has_nothing_to_say(rpm):
    said = must("rpmlint", "-c", ROOT / "packaging/rpm/rpmlint.toml", rpm)
    assert "0 errors, 0 warnings" in said, said


def test_built_elsewhere_it_is_the_same_to_the_byte(rpm):
    directory = SHIP / "rpm-again" / "deeper"
    shutil.rmtree(directory.parent, ignore_errors=True)
    again = build(directory, MAKEFLAGS=" -- HARDEN=")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (rpm, again)]
    shutil.rmtree(directory.parent)
    assert digests[0] == digests[1]


def test_it_has_what_the_debian_package_has(rpm):
    files = set(query(rpm, "--list"))
    assert {f"/usr/bin/{name}" for name in ("sluice", "sluice-control", "sluicectl")} <= files
    assert {f"/usr/lib/systemd/system/{name}.service" for name in ("sluice", "sluice-control")} <= files
    assert "/usr/share/man/man5/sluice.yaml.5.gz" in files
    assert "/etc/sluice/sluice.yaml" in query(rpm, "--configfiles")


def test_state_and_logs_are_the_users(rpm):
    owned = query(rpm, "--queryformat", "[%{FILENAMES} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:octal}\n]")
    for directory in ("/var/lib/sluice", "/var/log/sluice"):
        assert f"{directory} sluice:sluice 40750" in owned
    assert [line for line in owned if " root:root " not in line and "/var/" not in line] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_scriptlets_are_shell_with_nothing_left_to_expand(rpm, script):
    text = "\n".join(query(rpm, "--queryformat", f"%{{{script}}}"))
    assert text and "%" not in text
    subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=20)


def test_an_upgrade_leaves_the_proxy_alone(rpm):
    for script in ("postin", "postun"):
        text = "\n".join(query(rpm, "--queryformat", f"%{{{script}}}"))
        touched = [line for line in text.splitlines() if "restart" in line or " start " in line]
        assert all("sluice-control.service" in line for line in touched), touched
