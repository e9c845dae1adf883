# SPDX-License-Identifier: Apache-2.0
"""Who the daemon is to AWS: each provider of the chain, renewed in time, and refused in mid-page."""

import pytest
from harness.pair import Watch
from harness.sluice import PATIENCE
from harness.strict.fleet import Instances
from harness.wait import eventually

ACCOUNT = "arn:aws:iam::123456789012:role"


def nobody(strict, **more):
    """The environment without a key."""
    env = strict.environment()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        del env[name]
    return {**env, **more}


def provided(pair, strict, env, fleet=None, **options):
    """Start with these variables alone; what the daemon says of its credentials."""
    fleet = fleet or Instances(strict, 1, count=6)
    strict.environment = lambda: env
    both = pair(strict, [fleet.pool(**options)])
    both.wait_addresses("back", fleet.addresses())
    return fleet, both, both.daemon.discovery()["credentials"]


def container(strict, lifetime_s=3600):
    strict.metadata.identity = strict.issue(lifetime_s)
    return nobody(
        strict,
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{strict.url}/container",
        AWS_CONTAINER_AUTHORIZATION_TOKEN=strict.metadata.container_token,
    )


def test_a_container_has_a_role(strict, pair):
    _, _, said = provided(pair, strict, container(strict))
    assert "container" in said["provider"] and said["expires"]
    assert not strict.complaints


def test_an_instance_has_a_role(strict, pair):
    strict.metadata.identity = strict.issue(3600)
    env = nobody(strict, AWS_EC2_METADATA_SERVICE_ENDPOINT=strict.url)
    del env["AWS_REGION"]  # which IMDS knows, too
    _, both, said = provided(pair, strict, env)
    assert "imds" in said["provider"]
    assert both.daemon.discovery()["region"] == strict.region


def test_a_web_identity_becomes_a_role(strict, pair, tmp_path):
    role = f"{ACCOUNT}/web"
    strict.tokens.roles[role] = {"web_token": "header.claims.signature"}
    token = tmp_path / "token"
    token.write_text("header.claims.signature")
    env = nobody(strict, AWS_ROLE_ARN=role, AWS_WEB_IDENTITY_TOKEN_FILE=str(token))
    provided(pair, strict, env)
    assert strict.calls["AssumeRoleWithWebIdentity"] == 1


def test_roles_of_a_profile_in_a_chain_and_one_on_top(strict, pair, tmp_path):
    first, second, third = (f"{ACCOUNT}/{name}" for name in ("first", "second", "third"))
    strict.tokens.roles = {
        first: {"external_id": "partner"},
        second: {"from_role": first},
        third: {"from_role": second, "external_id": "other"},
    }
    config, shared = tmp_path / "config", tmp_path / "credentials"
    config.write_text(
        f"[profile one]\nrole_arn = {first}\nsource_profile = base\nexternal_id = partner\n"
        f"[profile two]\nrole_arn = {second}\nsource_profile = one\n"
    )
    shared.write_text(
        f"[base]\naws_access_key_id = {strict.identity.key_id}\n"
        f"aws_secret_access_key = {strict.identity.secret}\n"
    )
    env = nobody(
        strict, AWS_CONFIG_FILE=str(config), AWS_SHARED_CREDENTIALS_FILE=str(shared), AWS_PROFILE="two"
    )
    provided(pair, strict, env, role_arn=third, external_id="other")
    assert strict.calls["AssumeRole"] == 3


def test_credentials_are_renewed_before_they_end(strict_maker, pair):
    strict = strict_maker(hasten=300)
    env = container(strict, lifetime_s=1800)
    fleet, both, said = provided(pair, strict, env)
    first = strict.metadata.identity

    def renew():
        strict.metadata.identity = strict.issue(1800)

    renew()
    asked = strict.metadata.asked.count("container")
    eventually(
        lambda: strict.metadata.asked.count("container") > asked, "asked again", 20 * PATIENCE
    )
    assert strict.clock() < first.expires
    assert not [line for line in strict.complaints if "expired" in line]
    assert both.addresses("back") == fleet.addresses()
    assert said["expires"]


def test_credentials_that_are_refused_in_mid_page_are_fetched_anew(strict, pair):
    strict.account.page_size = 5
    fleet, both, _ = provided(pair, strict, container(strict))
    before = fleet.addresses()
    with Watch(both, "back") as watch:
        asked = strict.metadata.asked.count("container")
        fault = strict.faults.add("DescribeInstances", "expired", 1, page=2)
        strict.metadata.identity = strict.issue(3600)
        fleet.add(1)
        both.daemon.refresh("back", "ec2")
        both.wait_addresses("back", fleet.addresses())
        assert fault.hits == 1
        assert strict.metadata.asked.count("container") > asked
    watch.only(before, fleet.addresses())


def test_expired_credentials_of_an_instance_are_used_while_nothing_better_comes(strict_maker, pair):
    strict = strict_maker(hasten=300)
    strict.metadata.identity = strict.issue(1800)
    env = nobody(strict, AWS_EC2_METADATA_SERVICE_ENDPOINT=strict.url)
    fleet, both, _ = provided(pair, strict, env)
    identity = strict.metadata.identity
    strict.metadata.identity = None  # IMDS goes on, but has no role to give
    end, identity.expires = identity.expires, identity.expires + 7200
    eventually(lambda: strict.clock() > end + 60, "past their end", 20 * PATIENCE)
    fleet.add(1)
    both.wait_addresses("back", fleet.addresses())


def test_a_token_that_times_out_names_the_hop_limit(strict, pair):
    strict.metadata.mute_tokens = True
    env = nobody(strict, AWS_EC2_METADATA_SERVICE_ENDPOINT=strict.url)
    fleet = Instances(strict, 1, count=1)
    strict.environment = lambda: env
    both = pair(strict, [fleet.pool()])
    feed = eventually(
        lambda: both.daemon.feed("back", "ec2")["error"], "it fails", 30 * PATIENCE
    )
    assert "HttpPutResponseHopLimit" in feed["text"]


def test_no_secret_is_ever_said(strict, pair, tmp_path):
    env = container(strict)
    fleet, both, _ = provided(pair, strict, env)
    strict.identities.clear()
    both.daemon.refresh("back", "ec2")
    eventually(lambda: both.daemon.feed("back", "ec2")["error"], "it is refused")
    identity = strict.metadata.identity
    secrets = [identity.secret, identity.token, strict.metadata.container_token]
    said = "\n".join(both.daemon.said())
    for path in ("/v1/discovery", "/v1/events", "/metrics"):
        said += both.daemon.admin.ask("GET", path).text
    for path in (both.directory / "state").rglob("*"):
        said += path.read_text(errors="replace") if path.is_file() else ""
    assert not [secret for secret in secrets if secret in said]


@pytest.mark.parametrize("wrong", ["http://203.0.113.1/creds", "ftp://127.0.0.1/"])
def test_container_credentials_come_from_this_machine_alone(strict, pair, wrong):
    env = nobody(
        strict,
        AWS_CONTAINER_CREDENTIALS_FULL_URI=wrong,
        AWS_CONTAINER_AUTHORIZATION_TOKEN="container-secret",
    )
    strict.environment = lambda: env
    both = pair(strict, [Instances(strict, 1, count=1).pool()])
    error = eventually(lambda: both.daemon.feed("back", "ec2")["error"], "it is refused")
    assert error["kind"] == "credentials"
