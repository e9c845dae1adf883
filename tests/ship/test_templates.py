# SPDX-License-Identifier: Apache-2.0
"""The CloudFormation templates, as far as they can be held to their word without an account:
cfn-lint, and what it misses."""

import fnmatch
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml
from templates import NAMES, ROOT, Template

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["SLUICE_BIN"]).parent
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")}
SLUICE, CONTROL, CTL = (str(BUILD / name) for name in ("sluice", "sluice-control", "sluicectl"))
MARGIN_S = 5

# Each way a template can be used that changes its times.
CHOICES = {
    "nlb.yaml": [{"Sessions": "short"}, {"Sessions": "long"}],
    "ecs-ingress.yaml": [{"LaunchType": "FARGATE"}, {"LaunchType": "EC2"}],
    "ecs-egress.yaml": [{"LaunchType": "FARGATE"}, {"LaunchType": "EC2"}],
    "on-host.yaml": [{}],
}
EACH = [(name, choice) for name in CHOICES for choice in CHOICES[name]]
BALANCED = [(name, choice) for name, choice in EACH if name in ("nlb.yaml", "ecs-ingress.yaml")]
SCRIPTED = ["nlb.yaml", "on-host.yaml"]
DISCOVERING = [(name, choice) for name, choice in EACH if name != "ecs-ingress.yaml"]


def run(*command, code=0, **options):
    options.setdefault("timeout", 120)
    options.setdefault("env", CLEAN)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(name="write")
def fixture_write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def seconds(text):
    match = re.fullmatch(r"(\d+)s|0", str(text))
    return int(match.group(1) or 0)


def times(config):
    """lame duck at most, drain: in seconds."""
    root = yaml.safe_load(config)
    lame_duck = seconds(root.get("lame_duck", 0))
    return (max(lame_duck, seconds(root["lame_duck_max"])) if lame_duck else 0,
            seconds(root["drain_timeout"]))


def test_every_template_has_its_choices():
    assert NAMES == sorted(CHOICES)


def test_cfn_lint_finds_nothing():
    done = run(HERE / "cfn-lint", BUILD / "cfn-lint", *(ROOT / name for name in NAMES), timeout=600)
    assert done.stdout == ""


@pytest.mark.parametrize("name", NAMES)
def test_it_has_descriptions_outputs_and_alarms(name):
    template = Template(name)
    for kind in ("Description", "Parameters", "Outputs"):
        assert template.tree[kind], kind
    assert len(template.of_type("AWS::CloudWatch::Alarm")) >= 3
    assert (ROOT / name.replace(".yaml", ".md").replace("-ingress", "").replace("-egress", "")).exists()


@pytest.mark.parametrize("name,choice", EACH)
def test_the_configuration_inside_is_valid(write, name, choice):
    path = write("sluice.yaml", Template(name, **choice).configuration())
    assert run(SLUICE, "--check", path).stderr == ""
    run(CONTROL, "--check", path)


@pytest.mark.parametrize("name,choice", EACH)
def test_the_doctor_finds_no_contradiction(write, name, choice):
    template = Template(name, **choice)
    path = write("sluice.yaml", template.configuration())
    done = run(CTL, "--json", "doctor", "--template", template.path, "--config", path,
               "--parameters", template.parameters_text())
    lines = json.loads(done.stdout)["lines"]
    expected = ["load_balancing.cross_zone.enabled"] if name == "nlb.yaml" else []
    assert [line["attribute"] for line in lines] == expected, lines


def test_cross_zone_is_a_choice_that_says_what_it_costs():
    parameter = Template("nlb.yaml").tree["Parameters"]["CrossZone"]
    assert parameter["AllowedValues"] == ["true", "false"] and "charge" in parameter["Description"]
    for value in ("true", "false"):
        found = Template("nlb.yaml", CrossZone=value).attributes(
            "AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes")
        assert found["load_balancing.cross_zone.enabled"] == value


@pytest.mark.parametrize("name,choice", BALANCED)
def test_ports_agree(name, choice):
    template = Template(name, **choice, TrafficPort=7001, ProbePort=7002, ListenerPort=7003)
    config = yaml.safe_load(template.configuration())
    group = template.one("AWS::ElasticLoadBalancingV2::TargetGroup")
    listener = template.one("AWS::ElasticLoadBalancingV2::Listener")
    assert group["Port"] == 7001 and config["listeners"][0]["bind"] == ":7001"
    assert group["HealthCheckPort"] == 7002 and config["admin"]["probe"] == ":7002"
    assert listener["Port"] == 7003
    proxies = template.of_type("AWS::EC2::SecurityGroup")[
        "ProxySecurityGroup" if name == "nlb.yaml" else "SecurityGroup"]
    opened = {rule["FromPort"]: rule for rule in proxies["SecurityGroupIngress"]
              if rule["IpProtocol"] == "tcp"}
    assert set(opened) == {7001, 7002}
    for port, rule in opened.items():
        assert rule["ToPort"] == port
        assert rule["SourceSecurityGroupId"] in ("<LoadBalancerSecurityGroup>", "sg-1")


def test_the_nlb_may_reach_the_nodes_and_they_the_fleet():
    template = Template("nlb.yaml", TrafficPort=7001, ProbePort=7002, FleetPort=7004)
    ports = [rule["FromPort"] for rule in template.of_type("AWS::EC2::SecurityGroupEgress").values()]
    assert sorted(ports) == [7001, 7002]
    fleet = template.one("AWS::EC2::SecurityGroupIngress")
    assert fleet["FromPort"] == fleet["ToPort"] == 7004
    source = yaml.safe_load(template.configuration())["pools"][0]["discover"]["asg"]
    assert source == {"groups": "fleet", "port": 7004}
    (front,) = template.of_type("AWS::EC2::SecurityGroup")["LoadBalancerSecurityGroup"]["SecurityGroupIngress"]
    assert front["FromPort"] == template.names["ListenerPort"]


def test_the_sidecars_ports_agree():
    ingress = Template("ecs-ingress.yaml", TrafficPort=7001, ProbePort=7002, AppPort=7005)
    sluice = ingress.container("sluice")
    assert [each["ContainerPort"] for each in sluice["PortMappings"]] == [7001, 7002]
    assert ingress.one("AWS::ECS::Service")["LoadBalancers"][0]["ContainerPort"] == 7001
    assert yaml.safe_load(ingress.configuration())["pools"][0]["targets"] == ["127.0.0.1:7005"]
    egress = Template("ecs-egress.yaml", LocalPort=7006, UpstreamPort=7007)
    config = yaml.safe_load(egress.configuration())
    assert config["listeners"][0]["bind"] == egress.container("app")["Environment"]["UPSTREAM"]
    rule = egress.one("AWS::EC2::SecurityGroupIngress")
    assert config["pools"][0]["discover"]["ecs"]["port"] == rule["FromPort"] == 7007
    for container in ("sluice", "sluice-control"):
        assert egress.container(container)["Environment"]["CONFIG"] == egress.configuration()


@pytest.mark.parametrize("name,choice", BALANCED)
def test_what_a_target_group_needs_is_there(name, choice):
    template = Template(name, **choice)
    group = template.one("AWS::ElasticLoadBalancingV2::TargetGroup")
    found = template.attributes("AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes")
    assert found["preserve_client_ip.enabled"] == "false"
    assert found["proxy_protocol_v2.enabled"] == "true"
    assert found["target_health_state.unhealthy.connection_termination.enabled"] == "false"
    assert found["deregistration_delay.connection_termination.enabled"] == "false"
    assert (group["HealthCheckProtocol"], group["HealthCheckPath"]) == ("HTTP", "/readyz")
    listener = yaml.safe_load(template.configuration())["listeners"][0]
    assert listener["proxy_protocol"] == "required"
    assert listener["trusted"] == template.names["LoadBalancerCidrs"]


@pytest.mark.parametrize("name,choice", BALANCED)
def test_a_leaving_target_is_left_alone_for_long_enough(name, choice):
    template = Template(name, **choice)
    lame_duck, drain = times(template.configuration())
    found = template.attributes("AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes")
    group = template.one("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert lame_duck >= group["HealthCheckIntervalSeconds"] * group["UnhealthyThresholdCount"]
    for key in ("target_health_state.unhealthy.draining_interval_seconds",
                "deregistration_delay.timeout_seconds"):
        assert int(found[key]) > lame_duck + drain, key


@pytest.mark.parametrize("choice", CHOICES["nlb.yaml"])
def test_the_times_of_the_nlb_are_in_order(choice):
    template = Template("nlb.yaml", **choice)
    lame_duck, drain = times(template.configuration())
    stop = int(re.search(r"TimeoutStopSec=(\d+)", template.file("/stop.conf")).group(1))
    found = template.attributes("AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes")
    (hook,) = template.one("AWS::AutoScaling::AutoScalingGroup")["LifecycleHookSpecificationList"]
    control = yaml.safe_load(template.configuration())["control"]
    assert hook["LifecycleHookName"] == control["lifecycle_hook"] and control["lifecycle"] == "auto"
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    delay = int(found["deregistration_delay.timeout_seconds"])
    assert lame_duck + drain + MARGIN_S < stop < delay < hook["HeartbeatTimeout"] <= 7200


@pytest.mark.parametrize("name,choice", [each for each in EACH if each[0].startswith("ecs")])
def test_a_task_is_given_the_time_that_it_needs(name, choice):
    template = Template(name, **choice)
    stop = template.container("sluice")["StopTimeout"]
    assert sum(times(template.configuration())) + MARGIN_S <= stop
    assert stop <= 120 or choice["LaunchType"] == "EC2"


def test_the_host_is_given_the_time_that_it_needs():
    template = Template("on-host.yaml")
    stop = int(re.search(r"TimeoutStopSec=(\d+)", template.file("/stop.conf")).group(1))
    assert sum(times(template.configuration())) + MARGIN_S < stop


def test_sidecars_start_and_stop_in_the_right_order():
    ingress = Template("ecs-ingress.yaml")
    assert ingress.container("sluice")["DependsOn"] == [{"ContainerName": "app", "Condition": "HEALTHY"}]
    assert "DependsOn" not in ingress.container("app") and "HealthCheck" in ingress.container("app")
    egress = Template("ecs-egress.yaml")
    assert egress.container("app")["DependsOn"] == [{"ContainerName": "sluice", "Condition": "HEALTHY"}]
    assert "DependsOn" not in egress.container("sluice")


@pytest.mark.parametrize("name", ["ecs-ingress.yaml", "ecs-egress.yaml"])
def test_sidecars_need_no_privilege_and_share_the_sockets(name):
    for container in ("sluice", "sluice-control")[: 1 + (name == "ecs-egress.yaml")]:
        found = Template(name).container(container)
        assert found["ReadonlyRootFilesystem"] is True
        assert found["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert found["MountPoints"] == [{"SourceVolume": "run", "ContainerPath": "/run/sluice"}]
        assert found["EntryPoint"] == [container]
        assert found["Environment"]["SLUICE_CONFIG"] == "env:CONFIG"
    health = Template(name).container("sluice")["HealthCheck"]
    assert health["Command"] == ["CMD", "sluicectl", "health"]
    assert Template(name).one("AWS::ECS::TaskDefinition")["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


def test_nodes_are_graviton_with_imdsv2_jumbo_frames_and_more_addresses():
    template = Template("nlb.yaml")
    data = template.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    pattern = template.tree["Parameters"]["InstanceType"]["AllowedPattern"]
    for kind in ("c7g.large", "c7gn.16xlarge", "m8gd.metal-24xl", data["InstanceType"]):
        assert re.match(pattern, kind), kind
    for kind in ("c7i.large", "m5.large", "g5.xlarge"):
        assert not re.match(pattern, kind), kind
    assert "arm64" in template.tree["Parameters"]["ImageId"]["Default"]
    assert template.names["Mtu"] == 9001 and "mtu 9001" in template.script()
    assert data["NetworkInterfaces"][0]["SecondaryPrivateIpAddressCount"] == 1
    assert yaml.safe_load(template.configuration())["pools"][0]["source"] == ["10.0.3.4", "10.0.3.5"]


def test_a_refresh_launches_before_it_terminates():
    template = Template("nlb.yaml")
    group = template.one("AWS::AutoScaling::AutoScalingGroup")
    assert group["InstanceMaintenancePolicy"]["MinHealthyPercentage"] == 100
    assert group["InstanceMaintenancePolicy"]["MaxHealthyPercentage"] > 100
    rolling = template.value(template.resources["Proxies"]["UpdatePolicy"])["AutoScalingRollingUpdate"]
    assert rolling["WaitOnResourceSignals"] is True and rolling["MaxBatchSize"] == 1
    assert rolling["MinInstancesInService"] == group["MinSize"] < group["MaxSize"]


def statements(document):
    """Each action by itself: (action, resource, condition), with lists sorted out."""
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            for resource in [resources] if isinstance(resources, str) else resources:
                yield action, resource, statement.get("Condition")


def conditions_agree(ours, printed):
    """The same tests of the same keys, and each value of ours within the printed one."""
    if not ours or not printed:
        return ours == printed
    flat = [{(test, key): value for test, keys in each.items() for key, value in keys.items()}
            for each in (ours, printed)]
    return flat[0].keys() == flat[1].keys() and all(
        fnmatch.fnmatchcase(value, flat[1][key]) for key, value in flat[0].items())


@pytest.mark.parametrize("name,choice", DISCOVERING)
def test_the_policy_is_the_one_that_sluice_control_prints(write, name, choice):
    template = Template(name, **choice)
    path = write("sluice.yaml", template.configuration())
    printed = list(statements(json.loads(run(CONTROL, "--iam-policy", path).stdout)))
    policies = [policy for role in template.of_type("AWS::IAM::Role").values()
                for policy in role.get("Policies", [])]
    policies += template.of_type("AWS::IAM::RolePolicy").values()
    (policy,) = [each for each in policies if each["PolicyName"] == "sluice-control"]
    ours = list(statements(policy["PolicyDocument"]))
    assert sorted(each[0] for each in ours) == sorted(each[0] for each in printed)
    for action, resource, condition in ours:
        (theirs,) = [each for each in printed if each[0] == action]
        assert fnmatch.fnmatchcase(resource, theirs[1]), (action, resource, theirs)
        assert conditions_agree(condition, theirs[2]), (action, condition, theirs)


def test_an_ingress_sidecar_may_do_nothing_but_write_its_figures():
    template = Template("ecs-ingress.yaml")
    (policy,) = template.of_type("AWS::IAM::Role")["TaskRole"]["Policies"]
    assert policy["PolicyName"] == "metrics"


@pytest.mark.parametrize("name", SCRIPTED)
def test_shellcheck_finds_nothing_in_the_script(write, name):
    assert run("shellcheck", write("script", Template(name).script())).stdout == ""
