# SPDX-License-Identifier: Apache-2.0
"""The policy that --iam-policy prints: enough with authentication on, and nothing in it too much.

Moto judges actions; it knows no condition and no resource but `*`, so those are taken out for it,
and checked for their form alone."""

import json

import pytest
from harness.address import free_address, text
from harness.admin import Doors
from harness.clients import clients
from harness.conf import simple, to_yaml
from harness.control import run
from harness.fleet import Group, HostTasks, Instances, Names, TargetGroup
from harness.moto import REGION

FLEETS = {
    "ec2": lambda moto: Instances(moto),
    "asg": lambda moto: Group(moto, size=2),
    "ecs": lambda moto: HostTasks(moto),
    "elbv2": lambda moto: TargetGroup(moto, "instance"),
    "cloudmap": lambda moto: Names(moto),
}


def populate(kind, fleet):
    if kind == "ec2":
        fleet.launch(2)
    elif kind == "ecs":
        fleet.start(2)
    elif kind == "elbv2":
        fleet.register([(each, 80) for each in fleet.instances.launch(2)])
    elif kind == "cloudmap":
        fleet.register("one", "10.0.0.1", AVAILABILITY_ZONE=f"{REGION}a")


class User:
    """Somebody who may do only what a policy says, in a simulator that asks."""

    def __init__(self, moto, name, document):
        self.moto, self.name = moto, name
        iam = moto.client("iam")
        iam.create_user(UserName=name)
        self.policy(iam, document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.key_id, self.secret = key["AccessKeyId"], key["SecretAccessKey"]

    def policy(self, iam, document):
        iam.put_user_policy(
            UserName=self.name, PolicyName="only", PolicyDocument=json.dumps(document)
        )

    def environment(self):
        key = {"AWS_ACCESS_KEY_ID": self.key_id, "AWS_SECRET_ACCESS_KEY": self.secret}
        return {**self.moto.environment(), **key}


def document(actions):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def actions_of(policy):
    found = []
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow" and statement["Resource"]
        action = statement["Action"]
        found += [action] if isinstance(action, str) else action
    assert not [action for action in found if "*" in action]
    assert len(found) == len(set(found))
    return sorted(found)


@pytest.mark.parametrize("kind", FLEETS)
def test_the_printed_policy_is_enough_and_one_action_less_is_not(moto, sluice, tmp_path, kind):
    fleet = FLEETS[kind](moto)
    populate(kind, fleet)
    doors = Doors(tmp_path)
    path = tmp_path / "sluice.yaml"
    config = simple(
        text(free_address()),
        pool={"discover": fleet.discover()},
        admin=doors.conf,
        workers=1,
        state_directory=str(tmp_path),
        control={"region": REGION, "api_rate": 1000},
    )
    del config["pools"][0]["targets"]
    path.write_text(to_yaml(config))
    proxy = sluice("--config", path, ready=False)
    proxy.wait_event("listening|ready|started")

    printed = run("--config", path, "--iam-policy", env=moto.environment())
    assert printed.returncode == 0, printed.stderr
    actions = actions_of(json.loads(printed.stdout))

    admin = User(moto, "admin", document("*"))
    user = User(moto, "daemon", document(actions))
    moto.authenticate()
    iam = clients(moto.url, REGION, admin.key_id, admin.secret)("iam")
    once = ("--config", path, "--once")
    done = run(*once, env=user.environment())
    assert done.returncode == 0, done.stderr
    served = {m["address"] for m in doors.full().get("/v1/pools/back")["members"]}
    assert served

    for left_out in actions:
        user.policy(iam, document([action for action in actions if action != left_out] or ["x:y"]))
        done = run(*once, "--dry-run", env=user.environment())
        assert done.returncode == 3, f"{left_out} is not needed:\n{done.stdout}{done.stderr}"
    user.policy(iam, document(actions))
    assert run(*once, env=user.environment()).returncode == 0


def test_conditions_and_resources_are_as_narrow_as_the_configuration(moto, tmp_path):
    """Of what one mapping says: its region, its cluster."""
    path = tmp_path / "sluice.yaml"
    ecs = {"ecs": {"cluster": "prod", "service": "api", "port": 80}}
    config = simple(text(free_address()), pool={"discover": ecs}, control={"region": REGION})
    config["admin"] = {"socket": str(tmp_path / "admin.sock")}
    del config["pools"][0]["targets"]
    path.write_text(to_yaml(config))
    printed = run("--config", path, "--iam-policy", env=moto.environment())
    assert printed.returncode == 0, printed.stderr
    whole = json.dumps(json.loads(printed.stdout))
    assert "{" not in whole.replace("{\"", "").replace(": {", "").replace("[{", "").replace(
        ", {", ""
    )
    assert "cluster/prod" in whole and REGION in whole
