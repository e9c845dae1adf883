# SPDX-License-Identifier: Apache-2.0
"""The Debian package: built twice, looked at, and installed, upgraded, removed and purged on a
machine with a systemd of its own. What it takes: root, and some five minutes on two cores."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.address import connect, text
from harness.machine import PATIENT, SHIP, Machine, base, must
from harness.peers import Backend, echo, read_exactly
from harness.tools import need_root
from harness.wait import eventually

ROOT = Path(__file__).resolve().parents[2]
UNITS = ("sluice", "sluice-control")
NEXT = "0.9.9"
EDITED = """
admin: {{ socket: /run/sluice/admin.sock }}
log: {{ format: json, path: /var/log/sluice/flow.log }}
listeners: [{{ name: edited, bind: "127.0.0.1:443", pool: edited }}]
pools: [{{ name: edited, targets: ["{target}"] }}]
"""


def version():
    header = (ROOT / "proxy/base/version.h").read_text()
    return re.search(r'SLUICE_VERSION "(.*)"', header)[1]


def build(directory, source=ROOT, **environment):
    env = {**os.environ, "DEB_BUILD_OPTIONS": f"parallel={os.cpu_count()}", **environment}
    must(source / "packaging/build-deb", directory, env=env)
    return directory


def deb(directory, name="sluice", of=None):
    (found,) = directory.glob(f"{name}_{of or version()}_*.deb")
    return found


@pytest.fixture(scope="session")
def built():
    return build(SHIP / "deb")


@pytest.fixture(scope="session")
def again():
    """Elsewhere, by somebody else, out of a make that was told otherwise. Like all that builds it is
    a fixture: a test has its limit."""
    directory = SHIP / "again" / "deeper"
    shutil.rmtree(directory.parent, ignore_errors=True)
    old = os.umask(0o077)
    try:
        who = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "HOME": "/nonexistent", "USER": "x"}
        build(directory, MAKEFLAGS=" -- HARDEN=", **who)
    finally:
        os.umask(old)
    yield directory
    shutil.rmtree(directory.parent)


@pytest.fixture(scope="session")
def upgrade(built):
    """The next version, with another default configuration; only what tells it is built anew."""
    directory, source = SHIP / "next", SHIP / "source"
    for old in (directory, source):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(built, directory, symlinks=True)
    must(ROOT / "packaging/stage", source)
    for path in ("proxy/base/version.h", "packaging/debian/changelog"):
        file = source / path
        file.write_text(file.read_text().replace(version(), NEXT, 1))
    with (source / "packaging/system/sluice.yaml").open("a") as default:
        default.write("# as of the next version\n")
    yield deb(build(directory, source), of=NEXT)
    for made in (directory, source):
        shutil.rmtree(made)


@pytest.fixture(scope="module")
def machine(built, tmp_path_factory):
    need_root("to boot a machine in namespaces")
    depends = must("dpkg-deb", "-f", deb(built), "Depends")
    names = [re.split(r"[ :(|]", each.strip())[0] for each in depends.split(",")]
    made = Machine(base({*names, "systemd", "logrotate"}), tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def before(machine):
    """What there was before the package."""
    return machine.files()


@pytest.fixture(scope="module")
def installed(machine, before, built):
    shutil.copy(deb(built), machine.root / "root/first.deb")
    machine.run("dpkg --install /root/first.deb")
    return machine


@pytest.fixture(scope="module")
def edited(installed):
    """Its configuration is an operator's, with a listener on a port below 1024."""
    with installed.namespace:
        backend = Backend(patient_echo)
    config = installed.root / "etc/sluice/sluice.yaml"
    config.write_text(EDITED.format(target=text(backend.address)))
    installed.run("systemctl reload sluice")
    yield installed
    backend.close()


def patient_echo(sock, index):
    """For sessions that stay while packages are installed."""
    sock.settimeout(None)
    echo(sock, index)


class Client:
    """A session that stays."""

    def __init__(self, machine):
        with machine.namespace:
            self.socket = connect(("127.0.0.1", 443), timeout=PATIENT)

    def says(self, word):
        self.socket.sendall(word)
        return read_exactly(self.socket, len(word)) == word


# ---- what is built ----


def test_lintian_has_nothing_to_say(built):
    (changes,) = built.glob(f"sluice_{version()}_*.changes")
    assert must("lintian", "--allow-root", "--fail-on", "error,warning", changes) == ""


def test_the_changelog_has_the_programs_version(built):
    assert must("dpkg-deb", "-f", deb(built), "Version").strip() == version()


def test_built_elsewhere_by_somebody_else_it_is_the_same_to_the_byte(built, again):
    for name in ("sluice", "sluice-dbgsym"):
        digests = [hashlib.sha256(deb(of, name).read_bytes()) for of in (built, again)]
        assert digests[0].digest() == digests[1].digest(), name


def test_needrestart_is_told_to_leave_the_proxy_alone():
    script = """
        our %nrconf = (override_rc => {});
        defined(do $ARGV[0]) or die $@ || $!;
        my @hit = grep { "sluice.service" =~ $_ } keys %{$nrconf{override_rc}};
        print scalar(@hit), $nrconf{override_rc}{$hit[0]};
        print scalar(grep { "sluice-control.service" =~ $_ } keys %{$nrconf{override_rc}});
    """
    conf = ROOT / "packaging/debian/needrestart.conf"
    assert must("perl", "-e", script, conf) == "100"


# ---- installed ----


def test_it_runs_once_installed_and_its_directories_are_its_users(installed):
    assert installed.run("systemctl is-active sluice") == "active\n"
    for directory in ("/run/sluice", "/var/lib/sluice", "/var/log/sluice"):
        assert installed.run(f"stat -c '%U:%G %a' {directory}") == "sluice:sluice 750\n"
    status = Path(f"/proc/{installed.pid}/root/proc/{installed.main_pid()}/status").read_text()
    assert not re.search(r"^Uid:.*\b0\b", status, re.M)
    assert re.search(r"^CapBnd:\s+0000000000000400$", status, re.M), "more than low ports"


def test_discovery_is_there_and_waits_to_be_wanted(installed):
    assert installed.try_run("systemctl is-enabled sluice-control").stdout == "disabled\n"
    assert installed.try_run("systemctl is-active sluice-control").stdout == "inactive\n"
    installed.run("systemctl start sluice-control")
    assert installed.run("systemctl is-active sluice-control") == "active\n"
    installed.run("systemctl reload sluice-control && systemctl stop sluice-control")


@pytest.mark.parametrize("program", ["sluice", "sluice-control", "sluicectl"])
def test_every_program_starts(installed, program):
    assert version() in installed.run(f"{program} --version")


def test_members_of_the_group_may_use_sluicectl_and_others_may_not(installed):
    installed.run("useradd --groups sluice alice && useradd mallory")
    assert f"sluice  {version()}" in re.sub(" +", "  ", installed.run("sluicectl status", "alice"))
    assert installed.try_run("sluicectl status", "mallory").returncode != 0
    installed.run("userdel alice && userdel mallory")


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_right_and_tight(installed, unit):
    checked = installed.try_run(f"systemd-analyze verify --man=no {unit}.service")
    assert (checked.returncode, checked.stderr) == (0, "")
    path = f"/lib/systemd/system/{unit}.service"
    judged = installed.run(f"systemd-analyze security --offline=true {path} | tail -n 1")
    assert float(re.search(r"(\d+\.\d+)", judged)[1]) <= 2.5, judged


def test_the_unit_waits_longer_than_a_stop_takes(installed):
    shown = installed.run("sluice --check --show /etc/sluice/sluice.yaml")
    seconds = sum(
        int(re.search(rf"^{key}: (\d+)s?$", shown, re.M)[1]) for key in ("lame_duck", "drain_timeout")
    )
    allowed = installed.run("systemctl show --property=TimeoutStopUSec --value sluice")
    assert {"1min": 60}[allowed.strip()] >= seconds + 5 + 5, "listeners and closing take 5 s each"


def test_the_fast_path_is_a_drop_in_away(installed):
    directory = "/etc/systemd/system/sluice.service.d"
    installed.run(f"mkdir {directory} && cp /usr/share/sluice/systemd/fast-path.conf {directory}")
    installed.run("systemctl daemon-reload")
    checked = installed.try_run("systemd-analyze verify --man=no sluice.service")
    caps = installed.run("systemctl show --property=AmbientCapabilities --value sluice").split()
    installed.run(f"rm -r {directory} && systemctl daemon-reload")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert set(caps) == {"cap_net_bind_service", "cap_bpf", "cap_perfmon", "cap_net_admin"}


# ---- changed ----


def test_a_reload_applies_the_file(edited):
    client = Client(edited)
    assert client.says(b"hello")
    client.socket.close()


def test_a_reload_of_a_mistake_fails_and_names_its_place(edited):
    config = edited.root / "etc/sluice/sluice.yaml"
    right, pid = config.read_text(), edited.main_pid()
    config.write_text(right + "lame_duck: soon\n")
    failed = edited.try_run("systemctl reload sluice")
    config.write_text(right)
    line = right.count("\n") + 1
    assert failed.returncode != 0
    said = edited.run("journalctl --unit sluice --output cat")
    assert f"/etc/sluice/sluice.yaml:{line}:12: lame_duck:" in said
    assert edited.main_pid() == pid
    assert edited.run("systemctl is-active sluice") == "active\n"


def test_logrotate_moves_the_flow_log_and_the_proxy_follows(edited):
    log = edited.root / "var/log/sluice/flow.log"
    client = Client(edited)
    assert client.says(b"one")
    client.socket.close()
    eventually(lambda: log.exists() and log.read_text().count("\n"), "a line", within=PATIENT)
    edited.run("logrotate --force /etc/logrotate.d/sluice")
    moved = log.with_name("flow.log.1")
    assert moved.read_text().count("\n")

    def again():
        another = Client(edited)
        assert another.says(b"two")
        another.socket.close()
        return log.exists() and log.read_text().count("\n")

    eventually(again, "a line in the new file", within=PATIENT)


def test_an_upgrade_restarts_nothing_and_a_reload_lets_the_new_build_take_over(edited, upgrade):
    config = edited.root / "etc/sluice/sluice.yaml"
    mine, old = config.read_text(), edited.main_pid()
    stays = Client(edited)
    assert stays.says(b"before")
    shutil.copy(upgrade, edited.root / "root/next.deb")
    told = edited.run("dpkg --force-confdef --force-confold --install /root/next.deb")
    waiting = f"running {version()}, installed {NEXT}"
    assert waiting in told
    assert waiting in edited.run("sluicectl status")
    assert edited.main_pid() == old
    assert config.read_text() == mine, "a conffile that was edited by hand"
    assert "next version" in config.with_name("sluice.yaml.dpkg-dist").read_text()
    edited.run("systemctl reload-or-restart sluice")
    new = edited.main_pid()
    assert new != old
    status = edited.run("sluicectl status")
    assert NEXT in status and "installed" not in status
    assert stays.says(b"after"), "a session of the old build goes on"
    fresh = Client(edited)
    assert fresh.says(b"new")
    stays.socket.close()
    eventually(lambda: edited.try_run(f"test -e /proc/{old}").returncode, "its end", within=PATIENT)
    assert fresh.says(b"still here")
    fresh.socket.close()
    edited.run("systemctl reload sluice")
    assert edited.main_pid() == new, "nothing newer is on disk"
    assert edited.run("systemctl show --property=NRestarts --value sluice") == "0\n"


def test_the_file_replace_asks_for_a_successor(edited):
    old = edited.main_pid()
    edited.run("touch /run/sluice/replace && systemctl reload sluice")
    assert edited.main_pid() != old
    edited.run("test ! -e /run/sluice/replace && systemctl is-active sluice")


def test_a_stop_ends_a_predecessor_too(edited):
    client = Client(edited)
    assert client.says(b"x")
    edited.run("touch /run/sluice/replace && systemctl reload sluice")
    client.socket.close()
    edited.run("systemctl stop sluice")
    assert edited.run("systemctl show --property=Result --value sluice") == "success\n"
    assert edited.try_run("pgrep -x sluice || pidof sluice").stdout == ""
    edited.run("systemctl start sluice")


def test_the_guides_commands_work(edited):
    edited.run("useradd alice")
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "packaging/README.md").read_text(), re.S)
    assert len(blocks) > 4
    for block in blocks:
        edited.run(f"set -e\n{block}")
    assert edited.run("systemctl is-active sluice") == "active\n"
    edited.run("userdel alice && rm -r /etc/systemd/system/sluice.service.d")
    edited.run("systemctl daemon-reload && systemctl restart sluice")


# ---- removed ----


def test_removed_it_stops_and_keeps_what_is_the_operators(edited):
    edited.run("dpkg --remove sluice")
    assert edited.try_run("systemctl is-active sluice").stdout.strip() in ("inactive", "unknown")
    assert (edited.root / "etc/sluice/sluice.yaml").exists()
    assert not (edited.root / "usr/bin/sluice").exists()


def test_purged_it_leaves_nothing_but_the_account(edited, before):
    edited.run("dpkg --purge sluice && rm /root/*.deb")
    new = {path for path in edited.files() - before if not path.startswith("./var/log/")}
    accounts = {f"./etc/{name}-" for name in "passwd group shadow gshadow subuid subgid".split()}
    assert new - accounts - {"./var/lib/logrotate/status"} == set()
    assert not (edited.root / "var/log/sluice").exists()
    assert edited.try_run("test -e /run/sluice").returncode == 1
