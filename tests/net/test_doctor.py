# SPDX-License-Identifier: Apache-2.0
"""`sluice --doctor` and `sluicectl doctor` on the host that runs the tests."""

import json
import os
import platform
import re

import pytest
from harness.conf import simple, to_yaml
from harness.ctl import OK, REFUSED, UNHEALTHY
from harness.ctl import run as ctl
from harness.sluice import run

VERDICTS = ("ok", "unknown", "warn", "fail")


@pytest.fixture
def lines():
    """lines(*args) are those of --doctor --json, by name; an interface's are lists of several."""

    def ask(*args, **options):
        result = run("--doctor", "--json", *args, **options)
        report = json.loads(result.stdout)
        verdicts = [line["verdict"] for line in report["lines"]]
        assert report["verdict"] == max(verdicts, key=VERDICTS.index)
        assert result.returncode == (report["verdict"] == "fail")
        return {line["name"]: line for line in report["lines"]}

    return ask


def test_every_line_has_a_verdict_and_a_finding_and_bad_ones_a_remedy(lines):
    for name, line in lines().items():
        assert line["verdict"] in VERDICTS, name
        assert line["finding"] and line["reads"], name
        assert bool(line["remedy"]) == (line["verdict"] in ("warn", "fail")), line


def test_what_it_finds_is_what_this_host_has(lines):
    found = lines()
    assert found["kernel"]["finding"].split(":")[0] == platform.release()
    assert found["cpus"]["finding"] == f"{len(os.sched_getaffinity(0))} allowed"
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
        assert found["somaxconn"]["finding"].startswith(file.read().strip() + " ")


def test_the_configuration_is_judged_if_it_is_given(lines, tmp_path):
    path = tmp_path / "sluice.yaml"
    assert lines()["keepalive"]["verdict"] == "ok"
    config = simple("127.0.0.1:8080", "127.0.0.1:1", tcp={"keepalive": {"idle": "400s"}})
    path.write_text(to_yaml(config))
    assert lines(path)["keepalive"]["verdict"] == "warn"
    path.write_text("listeners: 5\n")
    assert run("--doctor", path).returncode == 1


def test_without_privilege_it_says_what_is_missing(lines):
    if os.geteuid():
        pytest.fail("needs root, to become somebody else")
    found = lines(user=65534, group=65534, extra_groups=[])
    assert found["capabilities"]["verdict"] == "fail"
    for name in ("CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"):
        assert name in found["capabilities"]["finding"]
    assert "AmbientCapabilities" in found["capabilities"]["remedy"]


def test_the_text_has_the_same_findings(lines):
    text = run("--doctor").stdout
    for name in ("kernel", "capabilities", "somaxconn", "cpus"):
        line = lines()[name]
        assert re.search(rf"^  {line['verdict']} +{name} +{re.escape(line['finding'])}$", text, re.M)


def test_json_is_for_the_doctor_alone():
    result = run("--json", "--listen", "127.0.0.1:0", "--target", "127.0.0.1:1")
    assert result.returncode == 2
    assert "--doctor" in result.stderr


def test_sluicectl_shows_it_as_a_table_and_as_it_is(lines):
    found = lines()
    code = UNHEALTHY if any(line["verdict"] == "fail" for line in found.values()) else OK
    table = ctl("doctor")
    assert table.returncode == code
    assert re.search(r"^VERDICT +ABOUT +WHAT +FINDING +REMEDY", table.stdout, re.M)
    assert found["kernel"]["finding"] in table.stdout
    plain = ctl("doctor", "--json")
    assert plain.returncode == code
    assert {line["name"] for line in json.loads(plain.stdout)["lines"]} == set(found)


def test_sluicectl_says_when_there_is_no_report(tmp_path):
    path = tmp_path / "sluice.yaml"
    path.write_text("listeners: 5\n")
    result = ctl("doctor", path)
    assert result.returncode == REFUSED
    assert "no report" in result.stderr
