# SPDX-License-Identifier: Apache-2.0
"""Completion, in the shells themselves."""

import subprocess

import pytest
from harness.ctl import CTL, OK, FakeAdmin, environment, run
from harness.ctl_answers import answers


def shell(admin, tmp_path, *command):
    """Run a shell that finds our sluicectl first; its output."""
    env = environment(admin.path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path), TERM="dumb")
    env["PATH"] = f"{CTL.parent}:{env.get('PATH', '/usr/bin:/bin')}"
    return subprocess.run(
        command, capture_output=True, text=True, env=env, timeout=20, check=True
    ).stdout


def bash(admin, tmp_path, line):
    script = f"""
        eval "$(sluicectl completion bash)"
        COMP_LINE={line!r} COMP_POINT={len(line)}
        _sluicectl sluicectl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return shell(admin, tmp_path, "bash", "--norc", "-c", script).split()


def fish(admin, tmp_path, line):
    script = f"sluicectl completion fish | source; complete -C {line!r}"
    out = shell(admin, tmp_path, "fish", "--no-config", "-c", script)
    return [entry.split("\t")[0] for entry in out.splitlines()]


def zsh(admin, tmp_path, line):
    """The function itself, in place of its own environment of completion."""
    script = f"""
        compdef() {{ :; }}
        _files() {{ print FILES; }}
        _describe() {{ print -rl -- "${{(@P)2}}"; }}
        source <(sluicectl completion zsh)
        words=("${{(@s: :)${{:-{line}}}}}") CURRENT=$#words
        _sluicectl
    """
    out = shell(admin, tmp_path, "zsh", "-f", "-c", script)
    return [entry.replace("\\:", "\0").split(":")[0].replace("\0", ":") for entry in out.splitlines()]


@pytest.fixture(params=[bash, fish, zsh], ids=["bash", "fish", "zsh"])
def complete(request, admin, tmp_path):
    return lambda line: request.param(admin, tmp_path, line)


def test_verbs_complete(complete):
    assert complete("sluicectl dr") == ["drain"]
    assert {"status", "top", "reload"} <= set(complete("sluicectl "))


def test_pools_complete_by_asking_the_socket(complete):
    assert complete("sluicectl targets ") == ["api", "web"]
    assert complete("sluicectl sessions --pool w") == ["web"]


def test_targets_complete_past_the_colon_of_their_port(complete):
    offered = complete("sluicectl explain 10.0.0.2:")
    assert offered in (["10.0.0.2:80"], ["80"]), "whole, or what stands behind readline's break"
    assert len(complete("sluicectl drain ")) == 3


def test_options_complete_with_the_verbs_own(complete):
    offered = complete("sluicectl sessions --")
    assert "--top" in offered and "--json" in offered and "--wait" not in offered
    assert "--top" not in complete("sluicectl sessions --top --")


def test_choices_and_listeners_complete(complete):
    assert complete("sluicectl listener ") == ["pause", "resume"]
    assert complete("sluicectl listener pause ") == ["front"]
    assert complete("sluicectl sessions --sort b") == ["bytes"]
    assert complete("sluicectl completion f") == ["fish"]


def test_a_socket_given_on_the_line_is_the_one_asked(tmp_path):
    told = answers()
    told["GET /v1/pools"] = {"pools": [{"name": "other"}]}
    fake = FakeAdmin(tmp_path / "other.sock", told)
    out = run("__complete", "--socket", fake.path, "targets", "", admin="/nonexistent").stdout
    fake.close()
    assert out == "other\n"


def test_without_a_proxy_verbs_complete_all_the_same(tmp_path):
    result = run("__complete", "st", admin=tmp_path / "none.sock")
    assert result.returncode == OK and result.stdout.startswith("status\t")
    assert run("__complete", "targets", "", admin=tmp_path / "none.sock").stdout == ""


def test_names_that_could_harm_a_terminal_are_not_offered(admin):
    admin.answers["GET /v1/pools"] = {"pools": [{"name": "a\x1b[2J"}, {"name": "b"}]}
    assert run("__complete", "targets", "", admin=admin.path).stdout == "b\n"
