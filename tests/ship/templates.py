# SPDX-License-Identifier: Apache-2.0
"""CloudFormation templates as data: short tags written out, and what values come to.

Happy path: Template(name, **parameters), then value() of anything in it. Failure: what depends on
more than parameters, Mappings, Conditions and names that are made up here is a KeyError, so that a
test never passes for want of a value.
"""

import pathlib
import re
import socket
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2] / "cloudformation"
NAMES = sorted(path.name for path in ROOT.glob("*.yaml"))

PSEUDO = {
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::StackName": "edge",
    "AWS::NoValue": None,
}
# What has no default, by parameter.
GIVEN = {
    "VpcId": "vpc-1",
    "VpcCidr": "10.0.0.0/16",
    "LoadBalancerSubnets": ["subnet-1", "subnet-2"],
    "LoadBalancerCidrs": ["10.0.1.0/24", "10.0.2.0/24"],
    "LoadBalancerArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/a/b",
    "LoadBalancerSecurityGroup": "sg-1",
    "ProxySubnets": ["subnet-3", "subnet-4"],
    "Subnets": ["subnet-3", "subnet-4"],
    "ClientCidr": "192.0.2.0/24",
    "FleetGroup": "fleet",
    "FleetPort": 8080,
    "FleetSecurityGroup": "sg-2",
    "PackageBucket": "packages",
    "PackageKey": "sluice-1.rpm",
    "PackageSha256": "0" * 64,
    "Cluster": "prod",
    "SluiceImage": "example.com/sluice:1",
    "AppImage": "example.com/app:1",
    "UpstreamCluster": "prod",
    "UpstreamService": "api",
    "UpstreamPort": 8080,
    "UpstreamSecurityGroup": "sg-3",
    "InstanceId": "i-1",
    "InstanceRole": "host",
    "InstanceSecurityGroup": "sg-4",
    "TagValue": "api",
    "TargetPort": 8080,
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Loader(yaml.SafeLoader):
    """YAML in which `!Ref x` is {"Ref": x}, and `!Sub x` {"Fn::Sub": x}."""


def write_out(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


Loader.add_multi_constructor("!", write_out)


class Template:
    def __init__(self, name, **parameters):
        self.path = ROOT / name
        self.tree = yaml.load(self.path.read_text(), Loader)
        self.resources = self.tree["Resources"]
        defaults = {key: value["Default"] for key, value in self.tree["Parameters"].items()
                    if "Default" in value}
        given = {key: GIVEN[key] for key in self.tree["Parameters"] if key not in defaults}
        self.names = {**PSEUDO, **defaults, **given, **parameters}

    def of_type(self, kind):
        """The resources of a type, their values found, by name."""
        return {name: self.value(resource.get("Properties", {}))
                for name, resource in self.resources.items() if resource["Type"] == kind}

    def one(self, kind):
        (properties,) = self.of_type(kind).values()
        return properties

    def parameters_text(self):
        """For --parameters of sluicectl doctor."""
        return ",".join(f"{key}={value}" for key, value in self.names.items()
                        if key in self.tree["Parameters"] and isinstance(value, (str, int))
                        and "," not in str(value))

    def value(self, value):
        if isinstance(value, list):
            found = [self.value(item) for item in value]
            return [item for item in found if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return getattr(self, "do_" + name.removeprefix("Fn::").lower())(argument)
        return {key: self.value(item) for key, item in value.items()}

    def do_ref(self, name):
        if name in self.names:
            return self.names[name]
        if self.resources[name]["Type"] == "AWS::Logs::LogGroup":
            return self.value(self.resources[name]["Properties"]["LogGroupName"])
        return f"<{name}>"

    def do_getatt(self, name):
        name, _, attribute = name.partition(".")
        assert name in self.resources, name
        return f"<{name}.{attribute}>"

    def do_sub(self, argument):
        text, more = argument if isinstance(argument, list) else (argument, {})
        more = {key: self.value(item) for key, item in more.items()}

        def one(match):
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            return str(more[name] if name in more else self.do_ref(name))

        return re.sub(r"\$\{([^}]*)\}", one, text)

    def do_findinmap(self, path):
        first, second, third = (self.value(each) for each in path)
        return self.tree["Mappings"][first][second][third]

    def do_join(self, argument):
        return argument[0].join(str(item) for item in self.value(argument[1]))

    def do_split(self, argument):
        return self.value(argument[1]).split(argument[0])

    def do_select(self, argument):
        return self.value(argument[1])[int(argument[0])]

    def do_base64(self, argument):
        return self.value(argument)

    def do_equals(self, pair):
        return self.value(pair[0]) == self.value(pair[1])

    def do_not(self, argument):
        return not self.value(argument[0])

    def do_if(self, argument):
        name, then, otherwise = argument
        return self.value(then if self.value(self.tree["Conditions"][name]) else otherwise)

    # --- what is inside ---

    def attributes(self, kind, key):
        return {item["Key"]: str(item["Value"]) for item in self.one(kind)[key]}

    def container(self, name):
        (found,) = [each for each in self.one("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
                    if each["Name"] == name]
        return {**found, "Environment": {each["Name"]: each["Value"]
                                         for each in found.get("Environment", [])}}

    def script(self):
        """The shell script of the user data or the document; None if there is none."""
        if "LaunchTemplate" in self.resources:
            return self.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]
        if "Document" in self.resources:
            (step,) = self.one("AWS::SSM::Document")["Content"]["mainSteps"]
            (script,) = step["inputs"]["runCommand"]
            return script
        return None

    def file(self, ending):
        """What the script writes to the file whose name ends so, as bash expands it."""
        match = re.search(rf'cat >"?\S*{re.escape(ending)}"? <<EOF\n(.*?\n)EOF\n', self.script(), re.S)
        shell = f"addresses=$'10.0.3.4\\n10.0.3.5'\ncat <<EOF\n{match.group(1)}EOF\n"
        run = subprocess.run(["bash", "-euc", shell], capture_output=True, text=True, check=True,
                             timeout=60)
        return run.stdout

    def configuration(self):
        """The sluice.yaml inside."""
        if self.script():
            return self.file("/sluice.yaml")
        return self.container("sluice")["Environment"]["CONFIG"]
