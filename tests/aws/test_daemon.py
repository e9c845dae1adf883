# SPDX-License-Identifier: Apache-2.0
"""sluice-control as a process: what it says of a configuration, one round, reload, end, and how
little it may do. Its sources are files here, so that no API is in the way."""

import os
import pwd
import signal
import tempfile
from pathlib import Path

import pytest
from harness.control import run
from harness.pair import Pair, Watch
from harness.wait import eventually

A, B, C, D = (f"127.0.0.{number}:9" for number in (11, 12, 13, 14))


def write(path, *addresses):
    draft = path.with_suffix(".new")
    draft.write_text("".join(f"- {address}\n" for address in addresses) or "[]\n")
    draft.rename(path)


def pool(name, **sources):
    """pool("p", a=path) has a file source called a."""
    return {
        "name": name,
        "discover": {"file": [{"name": n, "path": str(p)} for n, p in sources.items()]},
    }


@pytest.fixture
def files(tmp_path):
    """Two files with two targets each."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    write(first, A, B)
    write(second, C, D)
    return first, second


@pytest.fixture
def both(sluice, tmp_path, files):
    """A proxy, and a daemon that is not started yet; pool p has the first file."""
    made = Pair(sluice, None, [pool("p", a=files[0])], directory=tmp_path)
    made.start_proxy()
    yield made
    made.close()


def started(both):
    daemon = both.start_daemon(wait=False)
    daemon.wait_event("ready")
    return daemon


# ---- what it says of a configuration ----


def test_a_check_estimates_the_load(both):
    result = run("--check", both.path)
    assert result.returncode == 0, result.stderr
    assert f"{both.path} is valid" in result.stdout
    assert "p/a (file): every 10s, no API calls" in result.stdout


def test_a_check_of_a_fleet_says_how_far_intervals_are_stretched(both):
    both.control.update(fleet_size=500, api_rate=5)
    ec2 = {"ec2": {"tags": {"role": "web"}, "port": 80, "region": "eu-west-1"}}
    both.configure([{"name": "p", "health": {"type": "tcp"}, "discover": ec2}])
    result = run("--check", both.path)
    assert result.returncode == 0, result.stderr
    assert "in a fleet of 500" in result.stdout
    assert "times as long as configured" in result.stdout
    assert "each target gets 0.5 health checks a second, 250 of the fleet" in result.stdout
    assert "warning:" not in result.stdout
    sidecar = run("--check", both.path, env={"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:1"})
    assert "warning: source ec2 of pool p in a container" in sidecar.stdout


def test_every_mistake_of_a_file_is_printed(both):
    text = both.path.read_text().replace("path:", "paht:") + "readiness: never\n"
    both.path.write_text(text)
    result = run("--check", both.path)
    assert result.returncode == 1
    assert 'did you mean "path"?' in result.stderr
    assert "readiness: found" in result.stderr


def test_a_wrong_command_line_is_told_apart():
    assert run("--once").returncode == 2
    assert run("--config").returncode == 2
    assert run("--help").returncode == 0
    assert run("--version").stdout.startswith("sluice-control ")


# ---- one round ----


def test_one_round_brings_the_targets(both):
    result = run("--once", both.path)
    assert result.returncode == 0, result.stderr
    assert both.addresses("p") == [A, B]


def test_a_dry_run_shows_the_changes_and_makes_none(both, files):
    run("--once", both.path)
    before = sorted(both.directory.glob("state/**/*"))
    write(files[0], A, C)
    result = run("--once", "--dry-run", both.path)
    assert result.returncode == 0, result.stderr
    assert f"- {B}" in result.stdout and f"+ {C}" in result.stdout
    assert f"- {A}" not in result.stdout and f"+ {A}" not in result.stdout
    assert both.addresses("p") == [A, B]
    assert sorted(both.directory.glob("state/**/*")) == before


def test_one_round_with_a_source_that_fails_is_incomplete(both, files):
    both.configure([pool("p", a=files[0], b=both.directory / "absent.yaml")])
    both.proxy.signal(signal.SIGHUP)
    both.proxy.wait_event("reloaded")
    result = run("--once", both.path)
    assert result.returncode == 3, result.stderr
    assert both.addresses("p") == [A, B]


def test_one_round_whose_answer_is_held_is_incomplete(both, files):
    assert run("--once", both.path).returncode == 0
    write(files[0])
    result = run("--once", both.path)
    assert result.returncode == 3, result.stderr
    assert " held " in result.stderr
    assert both.addresses("p") == [A, B]


# ---- as a daemon ----


def test_a_reload_goes_on_with_what_stays(both, files):
    daemon = started(both)
    both.wait_addresses("p", [A, B])
    both.configure([pool("p", a=files[0], b=files[1])])
    seen = daemon.position()
    with Watch(both, "p") as watch:
        both.proxy.signal(signal.SIGHUP)
        daemon.signal(signal.SIGHUP)
        both.wait_addresses("p", [A, B, C, D])
    watch.only([A, B], [A, B, C, D])
    assert not [e for e in daemon.events("source_up", after=seen) if "source=a" in e.text]


def test_a_source_that_means_something_else_is_never_gone_in_between(both, files):
    daemon = started(both)
    both.wait_addresses("p", [A, B])
    both.path.write_text(both.path.read_text().replace("path: ", "max_shrink: 99%\n          path: "))
    with Watch(both, "p") as watch:
        seen = daemon.position()
        daemon.signal(signal.SIGHUP)
        daemon.wait_event("reloaded", after=seen)
        daemon.wait_event("source_up", after=seen)
        daemon.wait_event("pushed", after=seen)
    watch.only([A, B])
    assert not daemon.events("withdrawn")


def test_a_source_that_left_the_file_is_taken_back(both, files):
    both.configure([pool("p", a=files[0], b=files[1])])
    both.proxy.signal(signal.SIGHUP)
    both.proxy.wait_event("reloaded")
    daemon = started(both)
    both.wait_addresses("p", [A, B, C, D])
    both.configure([pool("p", a=files[0])])
    daemon.signal(signal.SIGHUP)
    daemon.wait_event("withdrawn", "source=b")
    both.wait_addresses("p", [A, B])


def test_pools_come_and_go(both, files):
    daemon = started(both)
    both.wait_addresses("p", [A, B])
    both.front.append(both.front[0])
    both.path.write_text(
        both.path.read_text() + f"  - {{name: q, discover: {{file: {{path: {files[1]}}}}}}}\n"
    )
    both.proxy.signal(signal.SIGHUP)
    both.proxy.wait_event("reloaded")
    daemon.signal(signal.SIGHUP)
    both.wait_addresses("q", [C, D])
    both.wait_addresses("p", [A, B])


def test_an_invalid_reload_changes_nothing(both, files):
    daemon = started(both)
    both.wait_addresses("p", [A, B])
    good = both.path.read_text()
    both.path.write_text(good.replace("path:", "paht:"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_event("reload_failed")
    assert daemon.events("config_error")
    write(files[0], A, C)
    both.wait_addresses("p", [A, C])
    assert not daemon.events("reloaded")


def test_what_only_a_restart_changes_is_named(both):
    daemon = started(both)
    both.control["fips"] = True
    both.configure(both.pools)
    daemon.signal(signal.SIGHUP)
    daemon.wait_event("reload_partial")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_proxy_keeps_what_it_has_at_the_end(both, number):
    daemon = started(both)
    both.wait_addresses("p", [A, B])
    daemon.signal(number)
    assert daemon.wait_exit() == 0
    assert daemon.events("stopped")
    assert both.addresses("p") == [A, B]


def test_without_a_state_directory_that_can_be_written_it_goes_on(both):
    state = both.directory / "state"
    (state / "control").write_text("in the way")
    daemon = started(both)
    daemon.wait_event("state_directory_unusable")
    both.wait_addresses("p", [A, B])


# ---- as nobody ----


def status_of(daemon):
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def core_limit(daemon):
    lines = Path(f"/proc/{daemon.pid}/limits").read_text().splitlines()
    return next(line.split()[4] for line in lines if line.startswith("Max core file size"))


def test_it_may_do_next_to_nothing(sluice, files):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        targets = directory / "targets.yaml"
        write(targets, A, B)
        is_root = os.geteuid() == 0
        if is_root:
            (directory / "state").mkdir()
            for path in (directory, directory / "state", targets):
                os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        both = Pair(sluice, None, [pool("p", a=targets)], directory=directory, user="nobody")
        try:
            both.start_proxy()
            daemon = started(both)
            both.wait_addresses("p", [A, B])
            status = status_of(daemon)
            assert status["CapPrm"] == status["CapEff"] == "0" * 16
            assert status["NoNewPrivs"] == "1"
            if "SLUICE_SANITIZE" not in os.environ:
                assert status["Seccomp"] == "2"
            if is_root:
                assert status["Uid"].split() == [str(pwd.getpwnam("nobody").pw_uid)] * 4
                assert status["CapBnd"] == "0" * 16
            assert core_limit(daemon) == "0"
            kept = eventually(lambda: list(directory.glob("state/control/*.set")), "the file")
            assert kept[0].stat().st_mode & 0o077 == 0
        finally:
            both.close()
            both.proxy.stop()
