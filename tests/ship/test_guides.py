# SPDX-License-Identifier: Apache-2.0
"""The guides: every command they print is run, and every list they hold is complete.

A fenced block is tagged with what it is. `sh`: run, in a directory that stands for the host, with a
proxy that runs by the guide's own configuration; its exit status is 0, or one of those behind the
tag (`sh 0|5`). `sh root` and `sh aws`: not run, since they change the machine or need an account;
these are few, and are read by the shell and held against what they name. `yaml`: a configuration.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from harness.address import connect, free_address, text
from harness.ctl import CTL
from harness.haproxy import HAProxy
from harness.nlb import CUT_DEREGISTERED, CUT_UNHEALTHY, DEFAULTS, DELAY, DRAIN_UNHEALTHY
from harness.peers import echo, read_all, read_exactly
from harness.proxyproto import v2
from harness.sluice import BINARY, PATIENCE, ROOT, run
from harness.tools import need
from harness.wait import eventually

sys.path.append(str(ROOT / "tests" / "lint"))
import readme  # noqa: E402

FOLDER = ROOT / "packaging" / "guides"
GUIDES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.S | re.M)
RUN = re.compile(r"sh(?: (\d+(?:\|\d+)*))?")
NOT_RUN = {"sh root": 2, "sh aws": 1}  # and how many there may be
HEADED = re.compile(r"^\| (\w+) \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.M)
EVERY = pytest.mark.parametrize("name", GUIDES)


@pytest.fixture(autouse=True)
def without_our_variables(monkeypatch):
    """The programs refuse a SLUICE_* variable that they do not know."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)


def blocks(name):
    return BLOCK.findall(GUIDES[name])


def first_column(name, head):
    """The names in backticks of all tables of a guide whose first column has this head."""
    rows = "".join(rows for title, rows in HEADED.findall(GUIDES[name]) if title == head)
    return re.findall(r"^\| `([^`]+)`", rows, re.M)


class Host:
    """A directory that stands for a host: what the guides call /etc, /run and /var is in it, their
    addresses are free ones, and the programs are on PATH."""

    def __init__(self, directory, backend):
        self.directory = directory
        self.front, self.http, self.probe = free_address(), free_address(), free_address()
        self.targets = [text(backend(echo).address) for _ in range(2)]
        self.stands_for = {
            "/run/sluice/": f"{directory}/",
            "/etc/sluice/": f"{directory}/",
            "/etc/haproxy/": f"{directory}/",
            "/var/log/sluice/": f"{directory}/",
            "/tmp/": f"{directory}/",
            "127.0.0.1:9900": text(self.http),
            "127.0.0.1:9901": text(self.probe),
            '":9901"': f'"{text(self.probe)}"',
            '":443"': f'"{text(self.front)}"',
            "10.0.1.10:8443": self.targets[0],
            "10.0.1.11:8443": self.targets[1],
            "10.0.0.0/24": "127.0.0.0/8",
        }
        programs = directory / "bin"
        programs.mkdir()
        for program in (BINARY, CTL, BINARY.parent / "sluice-control"):
            (programs / program.name).symlink_to(program)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SLUICE_SOCKET": f"{directory}/admin.sock",
            "LC_ALL": "C.UTF-8",
        }

    def here(self, words):
        named = "|".join(re.escape(there) for there in self.stands_for)
        return re.sub(named, lambda match: self.stands_for[match[0]], words)

    def run(self, script):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(script)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30 * PATIENCE,
        )

    def flow_log(self):
        path = self.directory / "flow.log"
        return path.read_text().splitlines() if path.exists() else []

    def sessions(self, count, header):
        """Some that end in order."""
        for _ in range(count):
            with connect(self.front) as client:
                client.sendall(v2(client.getsockname(), self.front) if header else b"")
                client.sendall(b"hello")
                assert read_exactly(client, 5) == b"hello"
                client.shutdown(1)
                assert read_all(client) == b""


HAPROXY = """
defaults
    mode tcp
    timeout connect 4s
    timeout client 5m
    timeout server 5m
frontend api
    bind {front}
    tcp-request inspect-delay 5s
    default_backend api
backend api
    server one 10.0.1.10:8443
    server two 10.0.1.11:8443 weight 2
"""
SMALL = (
    'admin: { socket: /run/sluice/admin.sock, http: "127.0.0.1:9900" }\n'
    'listeners: [{ name: api, bind: ":443", pool: api }]\n'
    "pools: [{ name: api, targets: [10.0.1.10:8443, 10.0.1.11:8443] }]\n"
)


@pytest.fixture
def host(tmp_path, backend, sluice):
    """host(guide): a Host with a proxy that runs by the guide's first block of YAML, if it has any."""
    made = Host(tmp_path, backend)

    def start(name):
        configurations = [body for tag, body in blocks(name) if tag == "yaml"]
        configuration = configurations[0] if configurations else SMALL
        path = tmp_path / "sluice.yaml"
        path.write_text(made.here(configuration))
        made.proxy = sluice("--config", path)
        made.sessions(3, "proxy_protocol" in configuration)
        if "flow.log" in configuration:
            eventually(lambda: len(made.flow_log()) == 3, "the log is written", 30)
        cfg = made.here(HAPROXY.format(front=text(free_address())))
        (tmp_path / "haproxy.cfg").write_text(cfg)
        return made

    return start


@EVERY
def test_every_command_of_a_guide_works(name, host):
    for tool in ("jq", "curl"):
        need(tool)
    place, ran = host(name), 0
    for tag, body in blocks(name):
        match = RUN.fullmatch(tag)
        if not match:
            continue
        done = place.run(body)
        allowed = [int(status) for status in (match[1] or "0").split("|")]
        assert done.returncode in allowed, f"{body}\n{done.returncode}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran or name == "promises"


@EVERY
def test_what_is_not_run_is_rare_and_reads_well(name):
    known = readme.flags_of(BINARY, BINARY.parent / "sluice-control", CTL)
    for tag, body in blocks(name):
        assert RUN.fullmatch(tag) or tag in {*NOT_RUN, "yaml", "text"}, f"what is `{tag}`?"
        if tag.startswith("sh"):
            subprocess.run(["sh", "-n"], input=body, text=True, check=True, timeout=20)
    for tag, most in NOT_RUN.items():
        assert sum(tag == other for guide in GUIDES for other, _ in blocks(guide)) <= most
    commands = [f"```sh\n{body}```" for tag, body in blocks(name) if tag.startswith("sh")]
    prose = BLOCK.sub("", GUIDES[name])
    for words in (*commands, prose):
        assert not list(readme.check_commands(words, readme.targets(), known))
    assert not list(readme.check_yaml(GUIDES[name], BINARY))


@EVERY
def test_every_link_of_a_guide_leads_somewhere(name):
    for link in readme.LINK.findall(GUIDES[name]):
        assert "://" in link or (FOLDER / link).exists(), link


def test_the_readme_leads_to_every_guide():
    front = (ROOT / "README.md").read_text()
    for name in GUIDES:
        assert f"(packaging/guides/{name}.md)" in front, name


def test_haproxy_keeps_its_sessions_while_its_port_changes_hands(host, keep, sluice):
    """What the guide asks of the service manager, by signals."""
    place = host("migrate-from-haproxy")
    place.proxy.stop()
    front = free_address()
    cfg, configuration = place.directory / "haproxy.cfg", place.directory / "converted.yaml"
    cfg.write_text(place.here(HAPROXY.format(front=text(front))))
    haproxy = keep(HAProxy(need("haproxy"), cfg, front))
    done = place.run("sluicectl import-haproxy /etc/haproxy/haproxy.cfg -o /etc/sluice/converted.yaml")
    assert done.returncode == 0, done.stderr
    client = keep(connect(front))
    client.sendall(b"before")
    assert read_exactly(client, 6) == b"before"
    early = run("--config", configuration)
    assert early.returncode == 1 and "bind_failed" in early.stderr
    haproxy.leave()
    eventually(lambda: _is_free(front), "HAProxy listens no more", 30)
    sluice("--config", configuration)
    place.front = front
    place.sessions(3, False)
    client.sendall(b"after")
    assert read_exactly(client, 5) == b"after"
    client.close()
    assert haproxy.wait() == 0


def _is_free(address):
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


# ---- lists ----


def test_every_check_of_the_doctor_is_explained():
    report = json.loads(run("--doctor", "--json").stdout)
    assert sorted(first_column("tune-an-instance", "check")) == sorted(
        {line["name"] for line in report["lines"]}
        | {"interface", "xdp", "gro", "gso", "tso", "threaded-napi"}  # where there is an interface
    )


def test_every_sysctl_exists():
    for key in re.findall(r"\b(?:sysctl -w |^)([a-z]+(?:\.\w+)+) ?=", GUIDES["tune-an-instance"], re.M):
        path = Path("/proc/sys") / key.replace(".", "/")
        assert path.exists() or "conntrack" in key, key


def test_every_field_of_the_flow_log_is_explained(host):
    place = host("observe")
    assert first_column("observe", "field") == list(json.loads(place.flow_log()[0]))


def test_every_reason_and_metric_is_there(host):
    place = host("observe")
    told = place.run("curl -s http://127.0.0.1:9900/metrics").stdout
    reasons = re.findall(r'^sluice_sessions_ended_total\{reason="(\w+)"\}', told, re.M)
    assert sorted(first_column("observe", "reason")) == sorted(reasons)
    present = set(re.findall(r"^# TYPE (\w+)", told, re.M))
    for name, guide in GUIDES.items():
        for metric in re.findall(r"`(sluice_\w+)`", guide):
            assert metric in present, f"{name}: {metric}"


def test_every_test_that_is_named_exists():
    promises = re.split(r"^## ", GUIDES["promises"], flags=re.M)[1:]
    for promise in promises:
        title, named = promise.splitlines()[0], re.findall(r"`([^`\s]+)::(\w+)`", promise)
        assert named, f"nothing holds: {title}"
        for path, test in named:
            source = (ROOT / path).read_text()
            assert re.search(rf"^(?:def {test}\(|START_TEST\({test}\))", source, re.M), f"{path}::{test}"


def test_the_attributes_are_those_that_the_rehearsal_needs():
    """What tests/ship/test_lifecycle.py shows to matter, with names that there are."""
    body = next(body for tag, body in blocks("behind-an-nlb") if tag == "sh aws")
    words = shlex.split(body.replace("\\\n", " "))
    given = dict(re.fullmatch(r"Key=([^,]+),Value=(\w+)", w).groups() for w in words if "Key=" in w)
    assert set(given) == set(DEFAULTS) == set(first_column("behind-an-nlb", "attribute"))
    assert given[CUT_UNHEALTHY] == given[CUT_DEREGISTERED] == "false"
    configuration = next(body for tag, body in blocks("behind-an-nlb") if tag == "yaml")
    seconds = {key: int(re.search(rf"^{key}: (\d+)s", configuration, re.M)[1])
               for key in ("lame_duck_max", "drain_timeout")}
    for key in (DELAY, DRAIN_UNHEALTHY):
        assert int(given[key]) > sum(seconds.values()) + 5, key
