# SPDX-License-Identifier: Apache-2.0
"""What each source makes of what only a strict double can show: states on the way out, answers with
holes, ports that a host hands out, addresses that are used again."""

import pytest
from harness.pair import Watch
from harness.strict.fleet import PORT, Group, Instances, Names, TargetGroup, Tasks
from harness.wait import eventually


def states(pair, pool="back"):
    return {m["address"]: m["state"] for m in pair.members(pool)}


def at(fleet, number):
    return f"{fleet.host(number)}:{PORT}"


def error_of(pair, fleet):
    return pair.daemon.feed(fleet.name, fleet.kind)["error"]


def refresh(pair, fleet):
    pair.daemon.refresh(fleet.name, fleet.kind)


@pytest.mark.parametrize("state", ["Terminating", "Terminating:Wait", "Standby", "Detaching"])
def test_an_instance_on_its_way_out_is_drained_though_ec2_says_running(strict, pair, state):
    fleet = Group(strict, 1, count=4)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    fleet.move(0, state)
    refresh(both, fleet)
    both.wait_addresses("back", fleet.addresses()[1:])
    assert states(both)[at(fleet, 0)] == "draining"


def test_an_instance_not_yet_in_service_is_not_offered(strict, pair):
    fleet = Group(strict, 1, count=3)
    fleet.move(2, "Pending:Wait")
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses()[:2])
    fleet.move(2, "InService")
    refresh(both, fleet)
    both.wait_addresses("back", fleet.addresses())
    assert not strict.complaints


def test_an_unknown_lifecycle_state_keeps_what_was_known(strict, pair):
    fleet = Group(strict, 1, count=3)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    with Watch(both, "back") as watch:
        fleet.move(0, "Hibernating:Tomorrow")
        calls = strict.calls["DescribeAutoScalingInstances"]
        refresh(both, fleet)
        eventually(
            lambda: strict.calls["DescribeAutoScalingInstances"] > calls + 1, "it asked again"
        )
    watch.only(fleet.addresses())


@pytest.mark.parametrize(
    "last, desired",
    [("DEACTIVATING", "RUNNING"), ("STOPPING", "STOPPED"), ("RUNNING", "STOPPED")],
)
def test_a_task_on_its_way_out_is_drained(strict, pair, last, desired):
    fleet = Tasks(strict, 4, count=4)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    fleet.task(0).update(lastStatus=last, desiredStatus=desired)
    refresh(both, fleet)
    both.wait_addresses("back", fleet.addresses()[1:])


def test_a_task_that_is_not_running_yet_is_not_offered(strict, pair):
    fleet = Tasks(strict, 4, count=3)
    fleet.task(2).update(lastStatus="PENDING", attachments=[])
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses()[:2])
    assert not strict.complaints


def test_only_an_unhealthy_task_is_drained_unless_health_is_required(strict, pair):
    fleet, proper = Tasks(strict, 4, count=4), Tasks(strict, 5, "proper", count=4)
    for each in (fleet, proper):
        each.task(0)["healthStatus"] = "HEALTHY"
        each.task(1)["healthStatus"] = "UNHEALTHY"
    both = pair(strict, [fleet.pool(), proper.pool(require_healthy=True)])
    both.wait_addresses("back", [at(fleet, n) for n in (0, 2, 3)])
    both.wait_addresses("proper", [at(proper, 0)])


def test_a_task_that_is_missing_from_an_answer_makes_it_partial(strict, pair):
    fleet = Tasks(strict, 4, count=5)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    with Watch(both, "back") as watch:
        strict.account.missing.add(fleet.arn(0))
        fleet.add()
        refresh(both, fleet)
        eventually(lambda: error_of(both, fleet), "a partial answer is an error")
        before = fleet.addresses()[:5]
        strict.account.missing.clear()
        refresh(both, fleet)
        both.wait_addresses("back", fleet.addresses())
    watch.only(before, fleet.addresses())


def bridge(fleet, strict, number, host_port, container_port=PORT):
    """The task runs on an instance, behind a port of the host's choice."""
    instance = f"i-{number:017x}"
    arn = strict.account.arn("ecs", f"container-instance/prod/{number:032x}")
    strict.account.container_instances[arn] = {
        "containerInstanceArn": arn,
        "ec2InstanceId": instance,
        "status": "ACTIVE",
    }
    strict.account.instances[instance] = {
        "InstanceId": instance,
        "State": {"Code": 16, "Name": "running"},
        "PrivateIpAddress": f"10.9.0.{number}",
        "Placement": {"AvailabilityZone": f"{strict.region}b"},
    }
    binding = {
        "bindIP": "0.0.0.0",
        "containerPort": container_port,
        "hostPort": host_port,
        "protocol": "tcp",
    }
    fleet.task(number).update(
        attachments=[],
        availabilityZone=f"{strict.region}b",
        containerInstanceArn=arn,
        containers=[{"name": "app", "lastStatus": "RUNNING", "networkBindings": [binding]}],
    )
    return f"10.9.0.{number}:{host_port}"


def test_ports_that_a_host_hands_out(strict, pair):
    fleet = Tasks(strict, 4, count=6)
    fleet.bridged()
    expected = [bridge(fleet, strict, n, 32768 + n) for n in range(6)]
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", expected)
    expected[0] = bridge(fleet, strict, 0, 40000)
    refresh(both, fleet)
    both.wait_addresses("back", expected)
    assert {m["zone"] for m in both.members("back") if m["removed"] is None} == {"euw1-az2"}
    assert not strict.complaints


def test_a_new_task_at_an_old_address_is_another_target(strict, pair):
    fleet = Names(strict, 5, count=3)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    reused = at(fleet, 0)
    old = next(m for m in both.members("back") if m["address"] == reused)
    both.admin.do("PATCH", f"/v1/targets/{old['key']}", {"override": "drain", "why": "test"})
    with fleet.account.lock:
        fleet.drop(0)
        fleet.put(0, name="another")
    refresh(both, fleet)

    def replaced():
        return [
            m
            for m in both.members("back")
            if m["address"] == reused and m["id"] == "another" and m["state"] == "serving"
        ]

    new = eventually(replaced, "the new one serves")[0]
    assert new["key"] != old["key"]
    assert new["override"] is None


def health(fleet, number, state, reason=None):
    for each in fleet.health:
        if each["Target"]["Id"] == fleet.host(number):
            each["TargetHealth"] = {"State": state, **({"Reason": reason} if reason else {})}


def test_states_of_targets_of_a_load_balancer(strict, pair):
    fleet = TargetGroup(strict, 3, count=7)
    health(fleet, 1, "draining", "Target.DeregistrationInProgress")
    health(fleet, 2, "unhealthy.draining")
    health(fleet, 3, "unavailable", "Target.HealthCheckDisabled")
    health(fleet, 4, "unused", "Target.NotInUse")
    health(fleet, 5, "initial", "Elb.RegistrationInProgress")
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", [at(fleet, n) for n in (0, 3, 4, 6)])


def test_groups_of_functions_are_refused_by_name(strict, pair):
    fleet = TargetGroup(strict, 3, count=2)
    strict.account.target_groups[fleet.arn]["TargetGroup"]["TargetType"] = "lambda"
    both = pair(strict, [fleet.pool()])
    text = eventually(lambda: error_of(both, fleet), "it is refused")["text"]
    assert "lambda" in text


def test_an_instance_without_its_address_is_unknown_and_not_gone(strict, pair):
    fleet = Instances(strict, 1, count=3)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    with Watch(both, "back") as watch:
        del strict.account.instances[fleet.id(0)]["PrivateIpAddress"]
        refresh(both, fleet)
        text = eventually(lambda: error_of(both, fleet), "it is an error")["text"]
        assert fleet.id(0) in text
    watch.only(fleet.addresses())


def test_a_revision_that_stands_still_costs_no_answer(strict, pair):
    fleet = Names(strict, 5, count=3)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    asked, fetched = strict.calls["DiscoverInstancesRevision"], strict.calls["DiscoverInstances"]
    for _ in range(3):
        before = strict.calls["DiscoverInstancesRevision"]
        refresh(both, fleet)
        eventually(
            lambda n=before: strict.calls["DiscoverInstancesRevision"] > n, "it asked again"
        )
    assert strict.calls["DiscoverInstances"] <= fetched + 1
    assert strict.calls["DiscoverInstancesRevision"] >= asked + 3
    fleet.add()
    refresh(both, fleet)
    both.wait_addresses("back", fleet.addresses())


def test_a_thousand_instances_of_cloud_map_may_be_more(strict, pair):
    fleet = Names(strict, 5, count=999)
    both = pair(strict, [fleet.pool()])
    both.wait_addresses("back", fleet.addresses())
    with Watch(both, "back", pause_s=0.05) as watch:
        fleet.add(1)
        refresh(both, fleet)
        eventually(lambda: error_of(both, fleet), "exactly 1,000 are too many to be believed")
    watch.only(set(fleet.addresses()) - {at(fleet, 999)})
