# SPDX-License-Identifier: Apache-2.0
"""What an operator types, and what is answered."""

import re

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple, to_yaml
from harness.peers import echo, read_exactly
from harness.sluice import run, targets_of, wait_open_sessions

GOOD = simple("127.0.0.1:8080", "127.0.0.1:9000")


@pytest.fixture
def check(tmp_path):
    """check(text or dict) runs --check on a file of that content."""

    def call(config, *more):
        path = tmp_path / "sluice.yaml"
        path.write_text(config if isinstance(config, str) else to_yaml(config))
        return run("--check", *more, path)

    return call


def test_help_names_every_flag_and_succeeds():
    result = run("--help")
    assert result.returncode == 0
    flags = "--listen --target --balance --workers --relay --log --log-file --config --check"
    for flag in (flags + " --show --replace --admin --zone --state-directory").split():
        assert flag in result.stdout, flag


def test_an_unknown_flag_is_refused_with_the_nearest_known_one():
    result = run("--lisen", ":80")
    assert result.returncode not in (0, None)
    assert "--listen" in result.stderr


def test_no_arguments_say_what_is_needed():
    result = run()
    assert result.returncode != 0
    assert "--listen" in result.stderr or "--config" in result.stderr


def test_a_valid_file_is_checked_without_opening_anything(check, listener):
    taken = listener()
    assert check(simple(text(taken.address), "127.0.0.1:9000")).returncode == 0


def test_an_invalid_file_exits_1_with_line_and_column(check):
    result = check("listeners:\n  - name: a\n    bynd: :80\npools: []\n")
    assert result.returncode == 1
    assert re.search(r"sluice\.yaml:3:5:.*bynd", result.stderr)
    assert '"bind"' in result.stderr, "the nearest known key"


def test_all_errors_are_listed_not_the_first_alone(check):
    config = simple("127.0.0.1:99999", "127.0.0.1:1", workers="lots", drain_timeout="2 parsecs")
    config["pools"][0]["balance"] = "fair"
    result = check(config)
    assert result.returncode == 1
    for wrong in ("99999", "lots", "2 parsecs", "fair"):
        assert wrong in result.stderr, wrong


@pytest.mark.parametrize(
    "wrong",
    [
        {"drain_timeout": "99999999999999999999s"},
        {"buffers": "64 pounds"},
        {"workers": -1},
        {"workers": 0},
        {"lame_duck": "-2s"},
        {"pools": [{"name": "back", "targets": ["127.0.0.1"]}]},
        {"pools": [{"name": "other", "targets": ["127.0.0.1:1"]}]},
        {"pools": [{"name": "back", "targets": ["127.0.0.1:1"], "retry_budget": "130%"}]},
    ],
)
def test_nonsense_is_refused(check, wrong):
    result = check({**GOOD, **wrong})
    assert result.returncode == 1, result.stderr
    assert "sluice.yaml:" in result.stderr


FILE = """\
{root}
listeners:
  - name: front
    bind: "127.0.0.1:8080"
    pool: back
    {listener}
pools:
  - name: back
    {pool}
    targets:
      - {{ address: "127.0.0.1:9000", id: one }}
      - {{ address: "127.0.0.1:9001", {target} }}
"""
CLEAN = {"root": "", "listener": "", "pool": "", "target": "weight: 1"}


def test_the_frame_of_the_next_tests_is_valid(check):
    assert check(FILE.format(**CLEAN)).returncode == 0


@pytest.mark.parametrize(
    "where, wrong, place, said",
    [
        ("root", "admin: { http: unix:/x }", "1:16", "which is a path"),
        ("root", 'admin: { probe: "127.0.0.1:8080" }', "1:17", "overlaps"),
        ("root", "admin: { socket: run/x }", "1:18", "absolute path"),
        ("root", "readiness: pool", "1:12", 'did you mean "pools"'),
        ("listener", "proxy_protocol: required", "6:21", "trusted"),
        ("listener", "proxy_timeout: 1ms", "6:20", "from 10ms to 10s"),
        ("pool", "health: { type: tcp, path: /up }", "9:26", "for http alone"),
        ("pool", "health: send_expect", "9:13", '"expect"'),
        ("pool", "health: { type: http, status: 2xx }", "9:35", "200-399"),
        ("pool", "health: { interval: 1s }", "9:13", '"type"'),
        ("pool", "load_factor: 125%", "9:18", "maglev"),
        ("pool", "proxy_crc32c: true", "9:19", "v2"),
        ("pool", "outlier: { ejection: 1h }", "9:26", "ejection_max"),
        ("pool", "queue: many", "9:12", "size"),
        ("pool", "max_ejected: 10", "9:18", "% sign"),
        ("target", "id: one", "12:42", "line 11"),
        ("target", "zone: a b", "12:44", "space"),
    ],
)
def test_mistakes_in_a_pool_or_its_health_are_placed(check, where, wrong, place, said):
    result = check(FILE.format(**{**CLEAN, where: wrong}))
    assert result.returncode == 1
    assert f"sluice.yaml:{place}: " in result.stderr, result.stderr
    assert re.search(said, result.stderr), result.stderr
    assert result.stderr.count("sluice.yaml:") == 1, "one mistake, one line"


def test_an_open_admin_address_and_optional_headers_are_only_warned_of(check):
    listener = "proxy_protocol: optional\n    trusted: 10.0.0.0/8"
    fields = {"root": 'admin: { http: ":9900" }', "listener": listener}
    result = check(FILE.format(**{**CLEAN, **fields}))
    assert result.returncode == 0
    assert re.search(r"sluice\.yaml:1:16: warning: .*loopback", result.stderr)
    assert re.search(r"sluice\.yaml:6:21: warning: .*forge", result.stderr)


def test_state_directory_comes_from_systemd_unless_somebody_says_otherwise(tmp_path):
    path = tmp_path / "sluice.yaml"
    path.write_text(to_yaml(GOOD))

    def state(*args, **env):
        shown = run("--check", "--show", *args, path, env=env)
        assert shown.returncode == 0, shown.stderr
        return re.findall(r"^state_directory: (.*)$", shown.stdout, re.M)

    systemd = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}
    assert state() == []
    assert state(**systemd) == ["/var/lib/a"]
    assert state(**systemd, SLUICE_STATE_DIRECTORY="/env") == ["/env"]
    assert state("--state-directory", "/flag", **systemd) == ["/flag"]
    path.write_text(to_yaml({**GOOD, "state_directory": "/file"}))
    assert state(**systemd) == ["/file"]


def test_the_admin_flag_takes_a_socket_or_an_address():
    args = ("--listen", ":8080", "--target", "127.0.0.1:1", "--check", "--show")
    shown = run(*args, "--admin", "unix:/run/x", "--admin", "127.0.0.1:9900", "--zone", "z1")
    assert shown.returncode == 0, shown.stderr
    admin = r'^admin:\n  socket: "unix:/run/x"\n  mode: 0660\n  http: "127\.0\.0\.1:9900"$'
    assert re.search(admin, shown.stdout, re.M), shown.stdout
    assert "\nzone: z1\n" in shown.stdout


def test_a_file_that_is_not_there_is_named():
    result = run("--check", "/nonexistent/sluice.yaml")
    assert result.returncode == 1
    assert "/nonexistent/sluice.yaml" in result.stderr


def test_show_prints_a_configuration_that_is_valid_and_complete(check, tmp_path):
    shown = check(GOOD, "--show")
    assert shown.returncode == 0
    for default in ("drain_timeout", "half_close", "keepalive", "retries", "ejection_max"):
        assert default in shown.stdout, default
    again = check(shown.stdout, "--show")
    assert again.returncode == 0
    assert again.stdout == shown.stdout


def test_variables_of_the_environment_do_what_flags_do(sluice, backend):
    front = free_address()
    env = {
        "SLUICE_LISTEN": text(front),
        "SLUICE_TARGETS": f"{text(backend(echo).address)},{text(backend(echo).address)}",
        "SLUICE_WORKERS": "3",
    }
    proxy = sluice(env=env)
    assert proxy.counters()["workers"] == 3
    assert len(targets_of(proxy.counters())) == 2
    with connect(front) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"


def test_a_flag_goes_before_a_variable(sluice, backend):
    args = ("--listen", text(free_address()), "--target", text(backend(echo).address))
    proxy = sluice(*args, "--workers", "2", env={"SLUICE_WORKERS": "5"})
    assert proxy.counters()["workers"] == 2


@pytest.mark.parametrize(
    "args",
    [
        ("--listen", "nonsense", "--target", "127.0.0.1:1"),
        ("--listen", ":0x50", "--target", "127.0.0.1:1"),
        ("--listen", ":8080", "--target", "127.0.0.1"),
        ("--listen", ":8080", "--target", "127.0.0.1:1", "--relay", "magic"),
        ("--listen", ":8080", "--target", "127.0.0.1:1", "--workers", "zero"),
        ("--listen", ":8080"),
        ("--config", "/nonexistent/sluice.yaml"),
    ],
)
def test_a_wrong_flag_starts_nothing(args):
    result = run(*args)
    assert result.returncode not in (0, None) and result.returncode > 0
    assert result.stderr.strip()


def test_counters_tell_calls_by_kind_per_worker_and_target(sluice, backend):
    front = free_address()
    server = backend(echo)
    proxy = sluice("--listen", text(front), "--target", text(server.address))
    with connect(front) as client:
        for _ in range(50):
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
    wait_open_sessions(proxy, 0)  # bytes are counted after they were sent
    counts = proxy.counters()
    assert counts["syscalls"]["accept4"] >= 1
    assert counts["syscalls"]["connect"] == 1
    assert counts["syscalls"]["recv"] >= 100
    assert counts["syscalls"]["send"] >= 100
    assert counts["client_received_bytes"] == counts["client_sent_bytes"] == 50
    assert targets_of(counts)[0]["sent_bytes"] == 50
    assert counts["listeners"][0]["accepted"] == 1
