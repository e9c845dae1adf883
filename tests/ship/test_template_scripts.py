# SPDX-License-Identifier: Apache-2.0
"""The scripts of the templates, run: on this machine's bash, with what AWS and the system would
answer in their place, and every absolute path below a directory of the test's own."""

import json
import os
import pathlib
import re
import subprocess
import urllib.request

import pytest
import yaml
from templates import ROOT, Template, free_port
from test_templates import CLEAN, CONTROL, CTL, SLUICE, run

# Commands that a script finds instead of the system's; each says what it was asked.
STUBS = {
    "curl": """case $* in
*api/token*) echo token ;;
*meta-data/mac) echo 0a:00:00:00:00:01 ;;
*meta-data/local-ipv4) echo 10.0.3.4 ;;
*local-ipv4s) printf '10.0.3.4\\n10.0.3.5\\n' ;;
*/readyz) exit "${READY:-0}" ;;
*) exit 22 ;;
esac""",
    "aws": 'for last; do :; done; printf package >"$last"',
    "sha256sum": 'cat >"$LOG.sum"',
    "dnf": ":", "apt-get": ":", "ip": ":", "systemctl": ":",
    "cfn-signal": ":", "amazon-cloudwatch-agent-ctl": ":",
}
ASKED = 'echo "${0##*/} $*" >>"$LOG"\n'


class Host:
    """Where a script runs, and what it did."""

    def __init__(self, path, script):
        self.root = path / "root"
        for directory in ("etc/sluice", "etc/systemd/system", "root", "sys/class/net/ens5",
                          "opt/aws/bin", "opt/aws/amazon-cloudwatch-agent/etc",
                          "opt/aws/amazon-cloudwatch-agent/bin"):
            (self.root / directory).mkdir(parents=True)
        (self.root / "sys/class/net/ens5/address").write_text("0a:00:00:00:00:01\n")
        self.log = path / "log"
        self.log.write_text("")
        self.stubs = path / "stubs"
        self.stubs.mkdir()
        for name, body in STUBS.items():
            places = [self.stubs]
            places += [self.root / "opt/aws/bin"] if name == "cfn-signal" else []
            places += [self.root / "opt/aws/amazon-cloudwatch-agent/bin"] if "agent" in name else []
            for place in places:
                (place / name).write_text(f"#!/bin/bash\n{ASKED}{body}\n")
                (place / name).chmod(0o755)
        for name, program in (("sluice", SLUICE), ("sluice-control", CONTROL)):
            (self.stubs / name).symlink_to(program)
        self.script = path / "script"
        # In this order: no path that was replaced is replaced again.
        paths = r"(?<![\w.}/-])/(etc/(?:sluice|systemd)|opt/aws|root/|sys/class)"
        self.script.write_text(re.sub(paths, rf"{self.root}/\1", script))

    def run(self, **env):
        # The agent's own file names a path that the test has moved.
        return subprocess.run(
            ["bash", self.script], capture_output=True, text=True, timeout=120, check=False,
            env={**CLEAN, "PATH": f"{self.stubs}:{os.environ['PATH']}", "LOG": str(self.log), **env})

    def asked(self):
        return self.log.read_text().splitlines()

    def read(self, name):
        return (self.root / name).read_text()


@pytest.mark.parametrize("name", ["nlb.yaml", "on-host.yaml"])
def test_a_script_ends_with_everything_in_place(tmp_path, name):
    host = Host(tmp_path, Template(name).script())
    done = host.run()
    assert done.returncode == 0, done.stdout + done.stderr
    config = host.root / "etc/sluice/sluice.yaml"
    run(SLUICE, "--check", config)
    assert "TimeoutStopSec=" in host.read("etc/systemd/system/sluice.service.d/stop.conf")
    assert json.loads(host.read("opt/aws/amazon-cloudwatch-agent/etc/sluice.json"))
    assert yaml.safe_load(host.read("opt/aws/amazon-cloudwatch-agent/etc/prometheus.yaml"))
    asked = host.asked()
    assert "dnf install -q -y " in "\n".join(asked) and "systemctl daemon-reload" in asked
    assert (tmp_path / "log.sum").read_text().split()[0] == "0" * 64


def test_a_node_takes_its_addresses_and_its_mtu(tmp_path):
    host = Host(tmp_path, Template("nlb.yaml").script())
    assert host.run().returncode == 0
    assert [line for line in host.asked() if line.startswith("ip ")] == [
        "ip link set dev ens5 mtu 9001", "ip address replace 10.0.3.5/32 dev ens5"]
    pools = yaml.safe_load(host.read("etc/sluice/sluice.yaml"))["pools"]
    assert pools[0]["source"] == ["10.0.3.4", "10.0.3.5"]


def test_a_node_tells_the_stack_how_it_went(tmp_path):
    for number, ready in enumerate(("0", "7")):
        (tmp_path / ready).mkdir()
        host = Host(tmp_path / ready, Template("nlb.yaml").script())
        assert host.run(READY=ready).returncode == int(ready), number
        (signal,) = [line for line in host.asked() if line.startswith("cfn-signal")]
        assert f"--exit-code {ready} " in signal and "--resource Proxies" in signal


def test_a_wrong_package_is_not_installed(tmp_path):
    host = Host(tmp_path, Template("nlb.yaml").script())
    (host.stubs / "sha256sum").unlink()
    assert host.run().returncode == 1
    assert not [line for line in host.asked() if line.startswith(("dnf", "systemctl"))]


def test_a_host_with_debian_is_served_too(tmp_path):
    host = Host(tmp_path, Template("on-host.yaml", PackageKey="sluice_1_arm64.deb").script())
    assert host.run().returncode == 0
    assert [line for line in host.asked() if line.startswith("apt-get install")]
    assert not [line for line in host.asked() if line.startswith("dnf")]


def test_a_mistake_leaves_the_configuration_of_before(tmp_path):
    host = Host(tmp_path, Template("on-host.yaml", TargetPort=70000).script())
    before = "# as it was\n"
    (host.root / "etc/sluice/sluice.yaml").write_text(before)
    assert host.run().returncode == 1
    assert host.read("etc/sluice/sluice.yaml") == before
    assert not [line for line in host.asked() if line.startswith("systemctl")]


# --- what the CloudWatch agent is told ---

SIDECARS = ["ecs-ingress.yaml", "ecs-egress.yaml"]
# Of docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html:
# with which dimensions each is published.
NETWORK_METRICS = {
    "UnHealthyHostCount": {"LoadBalancer", "TargetGroup"},
    "HealthyHostCount": {"LoadBalancer", "TargetGroup"},
    "TCP_Target_Reset_Count": {"LoadBalancer"},
    "PortAllocationErrorCount": {"LoadBalancer"},
}
REQUIRED = {
    "nlb.yaml": {"UnHealthyHostCount", "TCP_Target_Reset_Count", "PortAllocationErrorCount"},
    "ecs-ingress.yaml": {"UnHealthyHostCount", "TCP_Target_Reset_Count", "PortAllocationErrorCount"},
}


def agent_files(name):
    """The agent's configuration and the one of its scrapes, as they were written."""
    template = Template(name)
    if name in SIDECARS:
        env = template.container("metrics")["Environment"]
        return json.loads(env["CW_CONFIG_CONTENT"]), env["PROMETHEUS_CONFIG_CONTENT"]
    return json.loads(template.file("/sluice.json")), template.file("/prometheus.yaml")


def declared(name):
    """(metric, dimensions) of everything that the agent passes on."""
    prometheus = agent_files(name)[0]["logs"]["metrics_collected"]["prometheus"]
    processor = prometheus["emf_processor"]
    assert processor["metric_namespace"] == "Sluice"
    return {(selector.strip("^$"), frozenset(dimensions))
            for each in processor["metric_declaration"] for selector in each["metric_selectors"]
            for dimensions in each["dimensions"]}


@pytest.fixture(name="pair", scope="module")
def fixture_pair(tmp_path_factory):
    """A proxy and its sluice-control that run: their directory, and the ports of their figures."""
    path = tmp_path_factory.mktemp("pair")
    ports = [free_port() for _ in range(3)]
    targets = path / "targets.yaml"
    targets.write_text('["127.0.0.1:1"]\n')
    config = path / "sluice.yaml"
    config.write_text(
        f'admin: {{ socket: "{path}/admin.sock", http: "127.0.0.1:{ports[0]}" }}\n'
        f'control: {{ socket: "{path}/control.sock", http: "127.0.0.1:{ports[1]}" }}\n'
        f'listeners: [{{ name: l, bind: "127.0.0.1:{ports[2]}", pool: p }}]\n'
        f'pools: [{{ name: p, discover: {{ file: {{ path: "{targets}" }} }} }}]\n')
    started = [subprocess.Popen([program, "--config", config], env=CLEAN,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for program in (SLUICE, CONTROL)]
    try:
        # sluice-control is ready once the proxy has taken its targets.
        run("curl", "-sf", "--retry", "100", "--retry-delay", "1", "--retry-all-errors",
            f"http://127.0.0.1:{ports[1]}/readyz", timeout=180)
        yield path, ports[:2]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(name="figures", scope="module")
def fixture_figures(pair):
    """All of /metrics of both, by name: the set of its labels."""
    found = {}
    for port in pair[1]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        for line in lines:
            match = re.match(r"(\w+)(?:\{(.*)\})? ", line)
            if match and not line.startswith("#"):
                labels = re.findall(r'(\w+)="', match.group(2) or "")
                found.setdefault(match.group(1), set()).update(labels)
    return found


ALL = ["nlb.yaml", "on-host.yaml", *SIDECARS]


@pytest.mark.parametrize("name", ALL)
def test_what_the_agent_passes_on_is_there_with_its_labels(name, figures):
    for metric, dimensions in declared(name):
        assert metric in figures, metric
        assert dimensions - {"stack"} <= figures[metric], (metric, figures[metric])


@pytest.mark.parametrize("name", ALL)
def test_the_agent_scrapes_where_the_programs_answer(tmp_path, name):
    scrapes = agent_files(name)[1]
    path = tmp_path / "prometheus.yaml"
    path.write_text(scrapes)
    run("promtool", "check", "config", path)
    config = yaml.safe_load(Template(name).configuration())
    (job,) = yaml.safe_load(scrapes)["scrape_configs"]
    expected = [config["admin"]["http"], config.get("control", {}).get("http")]
    assert job["static_configs"][0]["targets"] == [each for each in expected if each]
    assert job["static_configs"][0]["labels"] == {"stack": "edge"} and job["job_name"] == "sluice"


@pytest.mark.parametrize("name", ALL)
def test_alarms_look_at_what_is_published(name):
    alarms = Template(name).of_type("AWS::CloudWatch::Alarm").values()
    pools = {pool["name"] for pool in yaml.safe_load(Template(name).configuration())["pools"]}
    for alarm in alarms:
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        if alarm["Namespace"] == "Sluice":
            assert (alarm["MetricName"], frozenset(dimensions)) in declared(name), alarm
            assert dimensions["stack"] == "edge" and dimensions.get("pool") in pools | {None}
        else:
            assert alarm["Namespace"] == "AWS/NetworkELB"
            assert NETWORK_METRICS[alarm["MetricName"]] == set(dimensions)
        assert "AlarmActions" not in alarm or alarm["AlarmActions"] is None
    assert REQUIRED.get(name, set()) <= {alarm["MetricName"] for alarm in alarms}


def test_alarms_tell_the_topic_that_is_given():
    for name in ALL:
        for alarm in Template(name, AlarmTopic="arn:topic").of_type("AWS::CloudWatch::Alarm").values():
            assert alarm["AlarmActions"] == alarm["OKActions"] == ["arn:topic"]


def test_the_logs_that_the_agent_writes_are_the_ones_it_may_write():
    for name in ALL:
        template = Template(name)
        agent = agent_files(name)[0]["logs"]["metrics_collected"]["prometheus"]
        assert agent["log_group_name"] == template.one("AWS::Logs::LogGroup")["LogGroupName"]
        text = pathlib.Path(template.path).read_text()
        assert "log-group:${LogGroup}:*" in text


# --- what the guides tell to type ---

GUIDES = sorted(path.name for path in ROOT.glob("*.md"))
# `aws` writes down what it was asked, an argument a line; one call ends with an empty line.
AWS = 'printf "%s\\n" "$@" "" >>"$LOG"; [ "$2" != describe-stacks ] || echo edge-Proxies\n'
REFRESH = {"MinHealthyPercentage", "MaxHealthyPercentage", "InstanceWarmup", "SkipMatching"}


def check_deploy(words):
    """A stack that a guide tells to deploy: its template is there, and its parameters."""
    template = Template(pathlib.Path(words[words.index("--template-file") + 1]).name)
    overrides = words[words.index("--parameter-overrides") + 1:]
    given = dict(word.split("=", 1) for word in overrides)
    parameters = template.tree["Parameters"]
    assert set(given) <= set(parameters), set(given) - set(parameters)
    assert {key for key in parameters if "Default" not in parameters[key]} <= set(given)
    for key, value in given.items():
        assert re.search(parameters[key].get("AllowedPattern", ""), value), (key, value)
    assert "CAPABILITY_IAM" in words


@pytest.mark.parametrize("name", GUIDES)
def test_every_command_of_a_guide_runs(tmp_path, pair, name):
    stubs, work, log = tmp_path / "stubs", tmp_path / "work", tmp_path / "log"
    stubs.mkdir()
    work.mkdir()
    (stubs / "aws").write_text("#!/bin/bash\n" + AWS)
    (stubs / "aws").chmod(0o755)
    for program in (SLUICE, CONTROL, CTL):
        (stubs / pathlib.Path(program).name).symlink_to(program)
    (work / "cloudformation").symlink_to(ROOT)
    for package in ("sluice.rpm", "sluice.deb"):
        (work / package).write_text("package")
    (work / "haproxy.cfg").write_text(
        "listen api\n    mode tcp\n    bind :8443\n    server a 10.0.0.1:80\n")
    template = Template({"nlb.md": "nlb.yaml", "ecs.md": "ecs-ingress.yaml"}.get(name, "on-host.yaml"),
                        **({"LaunchType": "EC2"} if name == "ecs.md" else {}))
    (work / "sluice.yaml").write_text(template.configuration())
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.S)
    assert len(blocks) >= 2
    env = {**CLEAN, "PATH": f"{stubs}:{os.environ['PATH']}", "LOG": str(log),
           "SLUICE_SOCKET": f"{pair[0]}/admin.sock", "SLUICE_CONTROL_SOCKET": f"{pair[0]}/control.sock"}
    for block in blocks:
        run("bash", "-euc", block, env=env, cwd=work)
    for call in log.read_text().removesuffix("\n\n").split("\n\n"):
        words = call.split("\n")
        if words[:2] == ["cloudformation", "deploy"]:
            check_deploy(words)
        elif words[:2] == ["autoscaling", "start-instance-refresh"]:
            assert words[words.index("--auto-scaling-group-name") + 1] == "edge-Proxies"
            assert set(json.loads(words[words.index("--preferences") + 1])) <= REFRESH
        else:
            assert words[:2] in (["s3", "cp"], ["cloudformation", "describe-stacks"]), words


def test_links_of_the_guides_lead_somewhere():
    for name in GUIDES:
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / link).exists(), link
