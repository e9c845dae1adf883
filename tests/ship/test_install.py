# SPDX-License-Identifier: Apache-2.0
"""What `make install` and both packages have in common: packaging/install and the files it copies."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from harness.ctl import CTL
from harness.machine import must

ROOT = Path(__file__).resolve().parents[2]
BUILD = CTL.parent


def install(destination):
    must("make", f"BUILD={BUILD}", f"DESTDIR={destination}", "install", cwd=ROOT)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    destination = tmp_path_factory.mktemp("destination")
    install(destination)
    return destination


def shell(installed, *command):
    """With the installed programs on the path; what it prints."""
    home = str(installed / "root")
    env = {"PATH": f"{installed}/usr/local/bin:{os.environ['PATH']}", "HOME": home, "TERM": "dumb"}
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    return run.stdout.split()


def test_every_path_is_filled_in(installed):
    texts = [path for path in installed.rglob("*") if path.is_file() and path.parent.name != "bin"]
    assert len(texts) > 15
    left = [path for path in texts if re.search(rb"@[a-z]+@", path.read_bytes())]
    assert left == []
    unit = (installed / "usr/local/lib/systemd/system/sluice.service").read_text()
    assert "\nExecStart=/usr/local/bin/sluice\n" in unit
    assert "\nExecReload=/usr/local/libexec/sluice/reload $MAINPID\n" in unit
    reload = (installed / "usr/local/libexec/sluice/reload").read_text()
    assert "\nprogram=/usr/local/bin/sluice\n" in reload


def test_a_configuration_that_is_there_stays(installed):
    config = installed / "etc/sluice/sluice.yaml"
    mine = config.read_text() + "# mine\n"
    config.write_text(mine)
    install(installed)
    assert config.read_text() == mine


def test_each_setting_of_the_kernel_exists_and_has_its_reason(installed):
    reason, settings = False, []
    for line in (installed / "usr/local/share/sluice/sysctl/60-sluice.conf").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name = line.split("=")[0].strip()
            assert reason, name
            settings.append(name)
        reason = line.startswith("#")
    missing = [name for name in settings if not Path("/proc/sys", *name.split(".")).exists()]
    assert settings and missing == []


def test_bash_completes_all_three_programs(installed):
    files = installed / "usr/local/share/bash-completion/completions"
    script = """
        function=$1 COMP_WORDBREAKS=
        source "$2/$3"
        shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        "$function" "$1"
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def complete(function, *words):
        return shell(installed, "bash", "--norc", "-c", script, "-", function, files, *words)

    assert complete("_sluice_daemon", "sluice", "--che") == ["--check"]
    assert complete("_sluice_daemon", "sluice", "--balance", "r") == ["round_robin", "random_two"]
    assert complete("_sluice_daemon", "sluice", "--config", "r") == []
    assert complete("_sluice_daemon", "sluice-control", "--iam") == ["--iam-policy"]
    assert complete("_sluicectl", "sluicectl", "stat") == ["status"]


def test_fish_completes_all_three_programs(installed):
    files = installed / "usr/local/share/fish/vendor_completions.d"

    def complete(program, line):
        script = f"source {files}/{program}.fish; complete -C '{line}'"
        return shell(installed, "fish", "--no-config", "-c", script)

    assert complete("sluice", "sluice --che")[0] == "--check"
    assert complete("sluice", "sluice --log-level e") == ["error"]
    assert complete("sluice-control", "sluice-control --iam")[0] == "--iam-policy"
    assert complete("sluicectl", "sluicectl stat")[0] == "status"


def test_zsh_completes_all_three_programs(installed):
    """What is handed to zsh's own functions, which choose of it what begins as the word does."""
    files = installed / "usr/local/share/zsh/site-functions"
    script = """
        compdef() { :; }
        _describe() { print -rl -- "${(@P)2}"; }
        _files() { print files; }
        fpath=($1) function=$2 words=(${@:3}) CURRENT=$#words
        autoload -U $function
        $function
    """

    def complete(function, *words):
        return shell(installed, "zsh", "-f", "-c", script, "-", files, function, *words)

    assert "--check:validate" in complete("_sluice", "sluice", "--che")
    assert complete("_sluice", "sluice", "--relay", "s") == ["auto", "copy", "splice"]
    assert complete("_sluice", "sluice", "--config", "s") == ["files"]
    assert "--iam-policy:print" in complete("_sluice", "sluice-control", "--iam")
    assert complete("_sluicectl", "sluicectl", "stat")[0].startswith("status:")
