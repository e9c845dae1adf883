# SPDX-License-Identifier: Apache-2.0
"""`sluicectl doctor --template`: each template as it is, but for one attribute."""

import json
import subprocess

import pytest
import yaml
from templates import ROOT, Template, free_port
from test_templates import CLEAN, CTL, SLUICE, fixture_write, run

__all__ = ["fixture_write"]
UNHEALTHY = 5


def ask(template, config, *more, code):
    """The lines of the doctor, all of them failures but those on cross-zone."""
    done = run(CTL, "--json", "doctor", "--template", template, "--config", config, *more, code=code)
    report = json.loads(done.stdout)
    assert report["verdict"] == ("fail" if code == UNHEALTHY else report["verdict"])
    return [line for line in report["lines"] if "cross_zone" not in line["attribute"]]


def broken(write, name, before, after):
    text = (ROOT / name).read_text()
    assert before in text, before
    return write(name, text.replace(before, after, 1))


TG = "target_health_state.unhealthy."
# template, what stands there, what is put instead, the attribute that is named
MISTAKES = [
    ("nlb.yaml", "{Key: proxy_protocol_v2.enabled, Value: \"true\"}",
     "{Key: proxy_protocol_v2.enabled, Value: \"false\"}", "proxy_protocol_v2.enabled"),
    ("nlb.yaml", "        - {Key: proxy_protocol_v2.enabled, Value: \"true\"}\n", "",
     "proxy_protocol_v2.enabled"),
    ("nlb.yaml", "{Key: preserve_client_ip.enabled, Value: \"false\"}",
     "{Key: preserve_client_ip.enabled, Value: \"true\"}", "preserve_client_ip.enabled"),
    ("nlb.yaml", "        - {Key: preserve_client_ip.enabled, Value: \"false\"}\n", "",
     "preserve_client_ip.enabled"),
    ("nlb.yaml", "HealthCheckPort: !Ref ProbePort", "HealthCheckPort: !Ref TrafficPort",
     "HealthCheckPort"),
    ("nlb.yaml", "      HealthCheckPort: !Ref ProbePort\n", "", "HealthCheckPort"),
    ("nlb.yaml", "HealthCheckPath: /readyz", "HealthCheckPath: /healthz", "HealthCheckPath"),
    ("nlb.yaml", "HealthCheckProtocol: HTTP", "HealthCheckProtocol: TCP", "HealthCheckProtocol"),
    ("nlb.yaml", "Matcher: {HttpCode: \"200\"}", "Matcher: {HttpCode: \"200-599\"}",
     "Matcher.HttpCode"),
    ("nlb.yaml", "HealthCheckIntervalSeconds: 10", "HealthCheckIntervalSeconds: 60",
     "HealthCheckIntervalSeconds"),
    ("nlb.yaml", "      Port: !Ref TrafficPort\n      Health", "      Port: 4711\n      Health", "Port"),
    ("nlb.yaml", f"{TG}connection_termination.enabled, Value: \"false\"",
     f"{TG}connection_termination.enabled, Value: \"true\"",
     f"{TG}connection_termination.enabled"),
    ("nlb.yaml", f"        - {{Key: {TG}connection_termination.enabled, Value: \"false\"}}\n", "",
     f"{TG}connection_termination.enabled"),
    ("nlb.yaml", "{Key: deregistration_delay.timeout_seconds, "
     "Value: !FindInMap [Timing, !Ref Sessions, Deregistration]}",
     "{Key: deregistration_delay.timeout_seconds, Value: \"119\"}",
     "deregistration_delay.timeout_seconds"),
    ("nlb.yaml", "deregistration_delay.connection_termination.enabled, Value: \"false\"",
     "deregistration_delay.connection_termination.enabled, Value: \"true\"",
     "deregistration_delay.connection_termination.enabled"),
    ("nlb.yaml", "Key: preserve_client_ip.enabled", "Key: preserve_client_ip.enable",
     "preserve_client_ip.enable"),
    ("nlb.yaml", "Key: deregistration_delay.connection_termination.enabled, Value: \"false\"",
     "Key: slow_start.duration_seconds, Value: \"30\"", "slow_start.duration_seconds"),
    ("nlb.yaml", "HeartbeatTimeout: !FindInMap [Timing, !Ref Sessions, Hook]", "HeartbeatTimeout: 60",
     "HeartbeatTimeout"),
    ("nlb.yaml", "LifecycleHookName: sluice-drain", "LifecycleHookName: other",
     "LifecycleHookName"),
    ("nlb.yaml", "HttpEndpoint: enabled", "HttpEndpoint: disabled", "MetadataOptions.HttpEndpoint"),
    ("nlb.yaml", "Value: !Ref IdleTimeout", "Value: \"60\"", "tcp.idle_timeout.seconds"),
    ("ecs-ingress.yaml", "StopTimeout: !FindInMap [Timing, !Ref LaunchType, Stop]", "StopTimeout: 100",
     "StopTimeout"),
    ("ecs-ingress.yaml", "          StopTimeout: !FindInMap [Timing, !Ref LaunchType, Stop]\n", "",
     "StopTimeout"),
    ("ecs-ingress.yaml", "StopTimeout: !FindInMap [Timing, !Ref LaunchType, Stop]", "StopTimeout: 121",
     "StopTimeout"),
    ("ecs-ingress.yaml", "ContainerPort: !Ref ProbePort", "ContainerPort: 4711", "ContainerPort"),
    ("ecs-egress.yaml", "StopTimeout: !FindInMap [Timing, !Ref LaunchType, Stop]", "StopTimeout: 60",
     "StopTimeout"),
]


@pytest.mark.parametrize("name,before,after,attribute", MISTAKES)
def test_a_mistake_in_a_template_is_named_at_its_place(write, name, before, after, attribute):
    config = write("sluice.yaml", Template(name).configuration())
    template = broken(write, name, before, after)
    lines = ask(template, config, code=UNHEALTHY)
    named = [line for line in lines if line["attribute"] == attribute]
    assert len(named) == 1 and named[0]["verdict"] == "fail", lines
    assert named[0]["file"] == str(template)
    if after:  # else the list or the resource that lacks it is the place
        first = (ROOT / name).read_text().split(before)[0].count("\n") + 1
        assert first <= named[0]["line"] <= first + after.count("\n")


# template, the configuration's text, what is put instead, the attribute that is named
CHANGES = [
    ("nlb.yaml", "proxy_protocol: required", "proxy_protocol: off", "proxy_protocol_v2.enabled"),
    ("nlb.yaml", ', probe: ":9901"', "", "HealthCheckPort"),
    ("nlb.yaml", 'probe: ":9901"', 'probe: ":9911"', "HealthCheckPort"),
    ("nlb.yaml", "lame_duck: 30s", "lame_duck: 0", "HealthCheckIntervalSeconds"),
    ("nlb.yaml", "drain_timeout: 60s", "drain_timeout: 5m", "deregistration_delay.timeout_seconds"),
    ("nlb.yaml", "drain_timeout: 60s", "drain_timeout: 5m", f"{TG}draining_interval_seconds"),
    ("nlb.yaml", "drain_timeout: 60s", "drain_timeout: 5m", "HeartbeatTimeout"),
    ("nlb.yaml", "lame_duck_max: 60s", "lame_duck_max: 5m", "HeartbeatTimeout"),
    ("nlb.yaml", "zone: auto", "tcp: { keepalive: off }", "tcp.idle_timeout.seconds"),
    ("nlb.yaml", "zone: auto", "tcp: { keepalive: { idle: 400s } }", "tcp.idle_timeout.seconds"),
    ("nlb.yaml", "  lifecycle: auto\n  lifecycle_hook: sluice-drain\n", "", "LifecycleTransition"),
    ("nlb.yaml", 'bind: ":8443"', 'bind: ":8444"', "Port"),
    ("ecs-ingress.yaml", "drain_timeout: 60s", "drain_timeout: 90s", "StopTimeout"),
    ("ecs-ingress.yaml", 'bind: ":8443"', 'bind: ":8444"', "ContainerPort"),
]


@pytest.mark.parametrize("name,before,after,attribute", CHANGES)
def test_a_configuration_that_has_moved_on_is_named(write, name, before, after, attribute):
    text = Template(name).configuration()
    assert before in text
    config = write("sluice.yaml", text.replace(before, after, 1))
    run(SLUICE, "--check", config)
    lines = ask(ROOT / name, config, code=UNHEALTHY)
    assert attribute in [line["attribute"] for line in lines], lines


def test_a_line_says_where_what_and_what_to_set(write):
    config = write("sluice.yaml", Template("nlb.yaml").configuration())
    template = broken(write, "nlb.yaml", "HealthCheckPath: /readyz", "HealthCheckPath: /")
    number = template.read_text().splitlines().index("      HealthCheckPath: /") + 1
    done = run(CTL, "doctor", "--template", template, "--config", config, code=UNHEALTHY)
    assert (f"{template}:{number}:24: fail: TargetGroup HealthCheckPath: found /; the configuration "
            "has /readyz of admin.probe, which alone says that the proxy is leaving; "
            "set it to /readyz\n") in done.stdout


def test_parameters_decide_what_is_judged(write):
    config = write("sluice.yaml", Template("nlb.yaml", Sessions="long").configuration())
    named = {line["attribute"] for line in ask(ROOT / "nlb.yaml", config, code=UNHEALTHY)}
    assert named == {"deregistration_delay.timeout_seconds", f"{TG}draining_interval_seconds",
                     "HeartbeatTimeout"}
    assert not ask(ROOT / "nlb.yaml", config, "--parameters", "Scheme=internal,Sessions=long", code=0)


def test_json_is_read_as_well_with_its_places(write):
    template = Template("nlb.yaml")
    config = write("sluice.yaml", template.configuration())
    path = write("nlb.json", json.dumps(template.tree, indent=2))
    assert not ask(path, config, code=0)
    wrong = path.read_text().replace('"HealthCheckPath": "/readyz"', '"HealthCheckPath": "/"')
    path.write_text(wrong)
    (line,) = ask(path, config, code=UNHEALTHY)
    assert wrong.splitlines()[line["line"] - 1].strip() == '"HealthCheckPath": "/",'


def test_the_proxy_that_runs_is_asked(tmp_path):
    socket = tmp_path / "admin.sock"
    config = tmp_path / "sluice.yaml"
    config.write_text(f'admin: {{ socket: "{socket}" }}\n'
                      f'listeners: [{{ name: l, bind: "127.0.0.1:{free_port()}", pool: p }}]\n'
                      'pools: [{ name: p, targets: ["127.0.0.1:1"] }]\n')
    proxy = subprocess.Popen([SLUICE, "--config", config, "--drain-timeout", "7m"], env=CLEAN,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run(CTL, "--socket", socket, "health", "--wait=60s")
        done = run(CTL, "--socket", socket, "--json", "doctor", "--template",
                   ROOT / "ecs-egress.yaml", code=UNHEALTHY)
    finally:
        proxy.kill()
        proxy.wait()
    (line,) = json.loads(done.stdout)["lines"]
    assert "420 s" in line["configuration"], line  # the flag's drain_timeout: 7m
    nobody = run(CTL, "--socket", tmp_path / "none", "doctor", "--template",
                 ROOT / "nlb.yaml", code=3)
    assert "sluicectl" in nobody.stderr


@pytest.mark.parametrize("text,complaint", [
    ("", "empty file"),
    ("Resources: [1]\n", "no \"Resources:\""),
    ("Resources:\n  A: &x {Type: b}\n", "anchor"),
    ("Resources: {\n", "not valid YAML"),
    ("a: {Ref: b}\n", "no \"Resources:\""),
])
def test_what_is_no_template_is_refused(write, text, complaint):
    config = write("sluice.yaml", Template("nlb.yaml").configuration())
    done = run(CTL, "doctor", "--template", write("t.yaml", text), "--config", config, code=1)
    assert complaint in done.stderr and done.stdout == ""


def test_a_command_line_without_sense_is_refused(write):
    config = write("sluice.yaml", Template("nlb.yaml").configuration())
    run(CTL, "doctor", "--config", config, code=2)
    run(CTL, "doctor", "--parameters", "A=b", code=2)
    run(CTL, "doctor", "--template", ROOT / "nlb.yaml", config, code=2)
    wrong = write("wrong.yaml", "listeners: 5\n")
    done = run(CTL, "doctor", "--template", ROOT / "nlb.yaml", "--config", wrong, code=1)
    assert "wrong.yaml:1:" in done.stderr


def test_values_known_only_once_deployed_are_passed_over(write):
    config = write("sluice.yaml", Template("nlb.yaml").configuration())
    tree = {"Resources": {"T": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {
        "Protocol": "TCP", "Port": {"Fn::ImportValue": "port"}, "TargetType": "ip",
        "HealthCheckPort": {"Ref": "Unknown"}, "HealthCheckProtocol": "HTTP",
        "HealthCheckPath": {"Fn::Sub": "/${Path}"}, "HealthCheckIntervalSeconds": 10,
        "TargetGroupAttributes": [
            {"Key": "proxy_protocol_v2.enabled", "Value": {"Fn::If": ["No", "false", "true"]}},
            {"Key": f"{TG}connection_termination.enabled", "Value": {"Fn::If": ["Is", "false", "true"]}},
            {"Key": f"{TG}draining_interval_seconds", "Value": "900"}]}}},
        "Parameters": {"A": {"Default": "b", "Type": "String"}},
        "Conditions": {"Is": {"Fn::Not": [{"Fn::Or": [{"Condition": "Loop"}, {"Condition": "Not"}]}]},
                       "Not": {"Fn::Equals": [{"Ref": "A"}, "c"]},
                       "No": {"Fn::And": [{"Condition": "Not"}, {"Condition": "Loop"}]},
                       "Loop": {"Condition": "Loop"}}}
    path = write("t.yaml", yaml.safe_dump(tree))
    # "Is" leads into a loop, so it is not known; then nothing is said of it.
    assert not ask(path, config, code=0)
