# SPDX-License-Identifier: Apache-2.0
"""What the proxy serves equals what boto3 sees on the same endpoint: for every source that asks
AWS, from the first answer through changes, and with more targets than fit on a page."""

from harness.clients import clients
from harness.fleet import (
    Group,
    Instances,
    Names,
    TargetGroup,
    Tasks,
    instance_target,
    zone_ids,
)
from harness.moto import Moto
from harness.pair import Pair, Watch
from harness.strict.fleet import Instances as Machines


def pool(fleet, name="back", **more):
    return {"name": name, "discover": fleet.discover(**more)}


def never_empty(watch):
    """From the first target on there was always one."""
    first = next(number for number, seen in enumerate(watch.seen) if seen)
    assert all(watch.seen[first:]), watch.seen


def test_instances_come_and_go(moto, pair):
    fleet = Instances(moto)
    ids = fleet.launch(5) + fleet.launch(3, subnet=1)
    Instances(moto, "another").launch(2)
    both = pair(moto, [pool(fleet)])
    with Watch(both, "back") as watch:
        both.wait_same("back", fleet)
        fleet.launch(2, subnet=2)
        both.wait_same("back", fleet)
        fleet.terminate(ids[:2])
        both.wait_same("back", fleet)
        fleet.stop(ids[2:3])
        both.wait_same("back", fleet)
        fleet.retag(ids[3:4], role="another")
        both.wait_same("back", fleet)
    assert len(both.served("back")) == 6
    never_empty(watch)


def test_tags_of_instances_say_port_weight_and_backup(moto, pair):
    fleet = Instances(moto)
    ids = fleet.launch(2, port=9000, weight=10) + fleet.launch(2, backup="true") + fleet.launch(1)
    named = {key: key for key in ("port", "weight", "backup")}
    both = pair(moto, [pool(fleet, from_tags=named)])
    both.wait_same("back", fleet)
    fleet.retag(ids[:1], weight=500)
    fleet.retag(ids[4:], backup="true", weight=1)
    both.wait_same("back", fleet)


def test_other_addresses_of_instances(moto, pair):
    fleet = Instances(moto)
    ec2 = fleet.ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    every = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"]
    subnet = ec2.create_subnet(
        VpcId=vpc,
        CidrBlock="10.0.0.0/20",
        Ipv6CidrBlock=every[0]["Ipv6CidrBlock"].replace("/56", "/64"),
    )["Subnet"]["SubnetId"]
    ids = [
        each["InstanceId"]
        for each in ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=3, MaxCount=3, SubnetId=subnet, Ipv6AddressCount=1
        )["Instances"]
    ]
    public = fleet.launch(2)
    fleet.retag(ids + public, role="web")
    pools = [pool(fleet, "six", address="ipv6"), pool(fleet, "out", address="public")]
    both = pair(moto, pools)
    found = {each["InstanceId"]: each for each in fleet.described()}
    six = {
        f"[{found[i]['NetworkInterfaces'][0]['Ipv6Addresses'][0]['Ipv6Address']}]:8080"
        for i in ids
    }
    both.wait_addresses("six", six)
    both.wait_addresses("out", {f"{found[i]['PublicIpAddress']}:8080" for i in public})


def test_a_group_is_followed_through_its_lifecycle(moto, pair):
    fleet = Group(moto, size=6)
    Group(moto, "another", size=2)
    both = pair(moto, [pool(fleet)])
    with Watch(both, "back") as watch:
        both.wait_same("back", fleet)
        fleet.resize(9)
        both.wait_same("back", fleet)
        fleet.standby(fleet.in_service()[:1])
        both.wait_same("back", fleet)
        fleet.resize(6)
        both.wait_same("back", fleet)
    never_empty(watch)


def test_tasks_of_a_service_on_more_than_one_page(moto, pair):
    fleet = Tasks(moto)
    arns = fleet.start(300)
    both = pair(moto, [pool(fleet)])
    with Watch(both, "back") as watch:
        both.wait_same("back", fleet)
        assert len(both.served("back")) == 300
        fleet.stop(arns[:50])
        fleet.start(20)
        both.wait_same("back", fleet)
    assert len(both.served("back")) == 270
    never_empty(watch)


def test_targets_of_a_target_group(moto, pair):
    fleet, machines = TargetGroup(moto), TargetGroup(moto, "instance", "machines")
    fleet.register([(f"10.0.0.{host}", 8000 + host) for host in range(1, 9)])
    ids = machines.instances.launch(4)
    machines.register([(each, 9000) for each in ids])
    both = pair(moto, [pool(fleet), pool(machines, "machines")])
    both.wait_same("back", fleet)
    both.wait_same("machines", machines)
    fleet.deregister([("10.0.0.1", 8001), ("10.0.0.2", 8002)])
    fleet.register([("10.0.0.3", 8004), ("10.0.9.9", 1)])
    machines.deregister([(ids[0], 9000)])
    machines.register([(ids[1], 9001)])
    both.wait_same("back", fleet)
    both.wait_same("machines", machines)


def test_instances_of_cloud_map_with_their_attributes(moto, pair):
    fleet = Names(moto)
    for number in range(10):
        fleet.register(f"task-{number}", f"10.0.0.{number}", weight=str(10 * number + 10))
    both = pair(moto, [pool(fleet)])
    with Watch(both, "back") as watch:
        both.wait_same("back", fleet)
        fleet.register("task-10", "10.0.1.1", 9000, AVAILABILITY_ZONE="eu-west-1b")
        both.wait_same("back", fleet)
        fleet.deregister("task-1")
        both.wait_same("back", fleet)
        fleet.register("task-2", "10.0.2.2", 9002)
        both.wait_same("back", fleet)
    never_empty(watch)


def test_several_sources_of_a_pool_are_one_set(moto, pair):
    names, machines = Names(moto), Instances(moto)
    names.register("one", "10.0.0.1")
    machines.launch(2)
    both = pair(moto, [{"name": "back", "discover": {**names.discover(), **machines.discover()}}])
    expected = {each["address"] for each in names.sees() + machines.sees()}
    both.wait_addresses("back", expected)
    assert len(expected) == 3
    names.register("two", "10.0.0.2")
    both.wait_addresses("back", expected | {"10.0.0.2:8080"})


def test_with_tls_by_an_authority_of_the_file(authority, tmp_path, sluice):
    moto = Moto(tmp_path, authority)
    try:
        fleet = Instances(moto)
        fleet.launch(2)
        env = {"AWS_CA_BUNDLE": ""}
        given = {"ca_file": str(authority.ca)}
        both = Pair(sluice, moto, [pool(fleet)], tmp_path, control=given, env=env).start()
        try:
            both.wait_same("back", fleet)
        finally:
            both.close()
    finally:
        moto.close()


def test_a_certificate_of_somebody_else_is_refused(authority, tmp_path, pair):
    moto = Moto(tmp_path, authority)
    try:
        fleet = Instances(moto)
        fleet.launch(1)
        both = pair(moto, [pool(fleet)], env={"AWS_CA_BUNDLE": ""})
        both.daemon.wait_event("source_failed", containing="certificate")
        assert both.served("back") == set()
    finally:
        moto.close()


class Described:
    """What boto3 sees of the double's instances, page by page."""

    fields = ("id", "address", "zone")

    def __init__(self, strict):
        key = strict.identity
        self.ec2 = clients(strict.url, strict.region, key.key_id, key.secret)("ec2")

    def sees(self):
        zones = zone_ids(self.ec2)
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "tag:role", "Values": ["back"]}], PaginationConfig={"PageSize": 500}
        )
        every = [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
        return [instance_target(each, zones) for each in every]


def test_more_than_a_thousand_instances(strict, pair):
    """More than one page of the largest size; of the double, since Moto needs seconds for one."""
    fleet, oracle = Machines(strict, 1, count=1205), Described(strict)
    both = pair(strict, [fleet.pool(interval="1h")])
    both.wait_same("back", oracle, within=40)
    fleet.take(100)
    fleet.add(20)
    both.daemon.refresh("back", "ec2")
    both.wait_same("back", oracle, within=40)
    assert both.addresses("back") == fleet.addresses()
    assert len(fleet.addresses()) == 1125
    assert not strict.complaints
