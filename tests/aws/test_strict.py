# SPDX-License-Identifier: Apache-2.0
"""The strict double itself, with boto3 as its client: it must believe what is right and nothing
else, or no other test here means anything."""

import json
import time
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from botocore.parsers import ResponseParserError
from harness.clients import clients


def instance(number):
    return {
        "InstanceId": f"i-{number:04}",
        "State": {"Code": 16, "Name": "running"},
        "PrivateIpAddress": f"10.0.0.{number}",
        "Tags": [{"Key": "role", "Value": "web & <co>"}],
    }


@pytest.fixture
def get(strict):
    for number in range(12):
        strict.account.instances[f"i-{number:04}"] = instance(number)
    return client(strict, strict.identity, attempts=1)


def client(strict, identity, **options):
    return clients(
        strict.url, strict.region, identity.key_id, identity.secret, identity.token, **options
    )


def ids(get, **filters):
    pages = get("ec2").get_paginator("describe_instances").paginate(
        PaginationConfig={"PageSize": 5}, **filters
    )
    return [i["InstanceId"] for p in pages for r in p["Reservations"] for i in r["Instances"]]


def refusal(call, *args, **params):
    with pytest.raises(ClientError) as caught:
        call(*args, **params)
    return caught.value.response["Error"]["Code"]


def test_a_good_request_is_answered_in_pages(strict, get):
    assert ids(get) == sorted(strict.account.instances)
    assert strict.calls["DescribeInstances"] == 3
    assert ids(get, Filters=[{"Name": "tag:role", "Values": ["*<co>"]}]) == ids(get)
    assert ids(get, Filters=[{"Name": "tag:role", "Values": ["x"]}]) == []
    assert not strict.complaints


def test_each_protocol_is_spoken(strict, get):
    assert get("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert get("elbv2").describe_target_groups()["TargetGroups"] == []
    assert get("ecs").list_tasks(cluster="none")["taskArns"] == []
    assert get("sts").get_caller_identity()["Account"] == "123456789012"
    strict.account.namespaces["n", "s"] = {"revision": 7, "instances": []}
    discovery = get("servicediscovery")
    answer = discovery.discover_instances_revision(NamespaceName="n", ServiceName="s")
    assert answer["InstancesRevision"] == 7
    assert not strict.complaints


def test_limits_of_the_real_services_are_errors(get):
    ec2, ecs = get("ec2"), get("ecs")
    both = {"InstanceIds": ["i-0001"], "MaxResults": 5}
    assert refusal(ec2.describe_instances, **both) == "InvalidParameterCombination"
    assert refusal(ec2.describe_instances, MaxResults=1001) == "InvalidParameterValue"
    values = [{"Name": "vpc-id", "Values": [str(n) for n in range(201)]}]
    assert refusal(ec2.describe_instances, Filters=values) == "FilterLimitExceeded"
    tasks = [f"t/{n}" for n in range(101)]
    assert refusal(ecs.describe_tasks, tasks=tasks) == "InvalidParameterException"
    groups = get("autoscaling").describe_auto_scaling_instances
    assert refusal(groups, InstanceIds=[str(n) for n in range(51)]) == "InvalidParameterException"


def test_wrong_credentials_are_refused(strict, get):
    strict.identity.secret += "x"
    assert refusal(get("ec2").describe_instances) == "AuthFailure"
    assert refusal(get("ecs").list_tasks) == "InvalidSignatureException"
    strict.identities.clear()
    assert refusal(get("ec2").describe_instances) == "AuthFailure"
    assert refusal(get("ecs").list_tasks) == "UnrecognizedClientException"


def test_temporary_credentials_need_their_token_and_end(strict):
    identity = strict.issue(60)
    assert client(strict, identity)("ecs").list_tasks()["taskArns"] == []
    bare = clients(strict.url, strict.region, identity.key_id, identity.secret, attempts=1)
    assert refusal(bare("ecs").list_tasks) == "UnrecognizedClientException"
    identity.expires = strict.clock() - 1
    late = client(strict, identity, attempts=1)
    assert refusal(late("ecs").list_tasks) == "ExpiredTokenException"
    assert refusal(late("ec2").describe_instances) == "RequestExpired"
    assert refusal(late("sts").get_caller_identity) == "ExpiredToken"


def test_five_minutes_of_skew_are_too_much(strict, get):
    strict.ahead_s = 290
    assert get("ecs").list_tasks()["taskArns"] == []
    for ahead in (310, -310):
        strict.ahead_s = ahead
        assert refusal(get("ecs").list_tasks) == "InvalidSignatureException"
        assert refusal(get("ec2").describe_instances) == "RequestExpired"


def test_another_region_is_refused(strict):
    elsewhere = clients(strict.url, "eu-west-2", strict.identity.key_id, strict.identity.secret)
    assert refusal(elsewhere("ecs").list_tasks) == "InvalidSignatureException"


def raw(strict, body, spoil=None, service="ec2", **headers):
    """A hand-made request, signed, and spoiled afterwards."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    request = AWSRequest("POST", strict.url + "/", headers=headers, data=body)
    key = Credentials(strict.identity.key_id, strict.identity.secret)
    SigV4Auth(key, service, strict.region).add_auth(request)
    sent = dict(request.headers.items())
    if spoil:
        spoil(sent)
    plain = urllib.request.Request(strict.url + "/", body, sent, method="POST")
    try:
        with urllib.request.urlopen(plain, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


DESCRIBE = b"Action=DescribeInstances&Version=2016-11-15"


def test_every_amazon_header_must_be_signed(strict):
    assert raw(strict, DESCRIBE)[0] == 200
    status, text = raw(strict, DESCRIBE, lambda h: h.update({"X-Amz-Extra": "1"}))
    assert status == 403 and "not signed" in text
    status, text = raw(strict, DESCRIBE, lambda h: h.pop("Authorization"))
    assert status == 403 and "MissingAuthenticationToken" in text


def test_parameters_are_held_against_the_model(strict):
    assert "UnknownParameter" in raw(strict, DESCRIBE + b"&Bogus=1")[1]
    assert "NoSuchVersion" in raw(strict, b"Action=DescribeInstances")[1]
    assert "InvalidAction" in raw(strict, b"Action=Fly&Version=2016-11-15")[1]
    discover = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "Route53AutoNaming_v20170314.DiscoverInstances",
    }
    answer = raw(strict, b'{"NamespaceName": "n"}', None, "servicediscovery", **discover)
    assert answer[0] == 400 and "ServiceName" in answer[1]


def test_a_token_belongs_to_its_request(strict, get):
    first = get("ec2").describe_instances(MaxResults=5)
    again = {"MaxResults": 6, "NextToken": first["NextToken"]}
    assert refusal(get("ec2").describe_instances, **again) == "InvalidNextToken"


def test_errors_come_as_often_as_asked(strict, get):
    strict.faults.add("ListTasks", "throttle", 1)
    assert refusal(get("ecs").list_tasks) == "ThrottlingException"
    assert get("ecs").list_tasks()["taskArns"] == []
    strict.faults.add("DescribeInstances", "unavailable", 1, page=2)
    assert refusal(ids, get) == "RequestLimitExceeded"
    strict.faults.add("DescribeInstances", "error500", 1)
    assert refusal(ids, get) == "InternalError"
    strict.faults.add(None, "denied", 1)
    assert refusal(ids, get) == "UnauthorizedOperation"
    assert ids(get) == sorted(strict.account.instances)
    assert not strict.complaints


@pytest.mark.parametrize("kind", ["reset", "truncated", "garbage", "cut"])
def test_broken_answers_are_noticed_by_a_client(strict, get, kind):
    strict.faults.add("DescribeInstances", kind, 1)
    broken = (ConnectionClosedError, HTTPClientError, ResponseParserError, OSError)
    with pytest.raises(broken):
        ids(get)
    assert ids(get) == sorted(strict.account.instances)


def test_pages_can_lie(strict, get):
    strict.faults.add("DescribeInstances", "empty", 1)
    assert ids(get) == []
    strict.faults.add("DescribeInstances", "duplicate_page", page=2)
    with pytest.raises(Exception, match="same next token"):
        ids(get)
    strict.faults.clear()
    strict.faults.add("DescribeInstances", "endless", 20)
    assert len(ids(get)) > 90


def ask(strict, path, method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(strict.url + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


TTL = "X-aws-ec2-metadata-token-ttl-seconds"


def test_metadata_is_version_two_alone(strict):
    zone = "/latest/meta-data/placement/availability-zone-id"
    assert ask(strict, zone)[0] == 401
    assert ask(strict, "/latest/api/token", "PUT")[0] == 400
    assert ask(strict, "/latest/api/token", "PUT", **{TTL: "21601"})[0] == 400
    status, token = ask(strict, "/latest/api/token", "PUT", **{TTL: "60"})
    key = {"X-aws-ec2-metadata-token": token}
    assert status == 200
    assert ask(strict, zone, **key) == (200, "euw1-az1")
    assert ask(strict, "/latest/meta-data/spot/instance-action", **key)[0] == 404
    strict.ahead_s = 61
    assert ask(strict, zone, **key)[0] == 401


def test_credentials_of_an_instance_and_of_a_container(strict):
    identity = strict.metadata.identity = strict.issue(3600)
    _, token = ask(strict, "/latest/api/token", "PUT", **{TTL: "60"})
    key = {"X-aws-ec2-metadata-token": token}
    path = "/latest/meta-data/iam/security-credentials/"
    assert ask(strict, path, **key) == (200, "instance-role")
    assert json.loads(ask(strict, path + "instance-role", **key)[1])["Token"] == identity.token
    assert ask(strict, "/container")[0] == 403
    found = json.loads(ask(strict, "/container", Authorization="container-secret")[1])
    assert found["AccessKeyId"] == identity.key_id


def test_roles_are_assumed_in_chains(strict, get):
    inner, outer = "arn:aws:iam::123456789012:role/inner", "arn:aws:iam::123456789012:role/outer"
    strict.tokens.roles = {outer: {"external_id": "partner"}, inner: {"from_role": outer}}
    assume, name = get("sts").assume_role, {"RoleSessionName": "test"}
    assert refusal(assume, RoleArn=inner, **name) == "AccessDenied"
    assert refusal(assume, RoleArn=outer, **name) == "AccessDenied"
    first = assume(RoleArn=outer, ExternalId="partner", **name)["Credentials"]
    keys = (first["AccessKeyId"], first["SecretAccessKey"], first["SessionToken"])
    second = clients(strict.url, strict.region, *keys)("sts")
    assert second.assume_role(RoleArn=inner, **name)["Credentials"]["SessionToken"]
    assert second.get_caller_identity()["Arn"] == outer


def test_a_web_identity_needs_no_key(strict):
    role = "arn:aws:iam::123456789012:role/web"
    strict.tokens.roles = {role: {"web_token": "header.claims"}}
    body = f"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}"
    body += "&RoleSessionName=test&WebIdentityToken="
    unsigned = lambda headers: headers.pop("Authorization")  # noqa: E731
    assert "AccessKeyId" in raw(strict, f"{body}header.claims".encode(), unsigned, "sts")[1]
    assert "InvalidIdentityToken" in raw(strict, f"{body}another".encode(), unsigned, "sts")[1]


def test_its_clock_can_run_fast(strict_maker):
    double = strict_maker(hasten=1000)
    begun, real = double.clock(), time.monotonic()
    while double.clock() - begun < 60:
        assert time.monotonic() - real < 5
        time.sleep(0.005)
