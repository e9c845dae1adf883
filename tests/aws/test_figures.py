# SPDX-License-Identifier: Apache-2.0
"""/metrics of sluice-control: its names, and what is built on them."""

import json

import pytest
import yaml
from harness.metrics import (
    PACKAGING,
    assert_known,
    described,
    live,
    of_control,
    promtool,
    scrape,
    wait_metric,
)
from harness.strict.fleet import Instances


@pytest.fixture
def seen(strict, pair):
    """A scrape of a daemon that has something of everything."""
    strict.metadata.identity = strict.issue(3600)
    env = strict.environment()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del env[name]
    strict.environment = lambda: env
    fleet = Instances(strict, 1, count=3)
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"  # which nobody answers for
    both = pair(strict, [fleet.pool()], control={"lifecycle": "auto", "queue": url})
    both.wait_addresses("back", fleet.addresses())
    wait_metric(both.daemon.admin, "sluice_control_source_pushed", 1)
    return scrape(both.daemon.admin)


def test_every_metric_is_described(seen):
    assert described(of_control) == live(seen)


def test_promtool_has_nothing_to_say(seen):
    assert promtool("check", "metrics", stdin=seen.text) == ""


def test_calls_credentials_queue_and_lifecycle_show(seen):
    assert seen.sum("sluice_control_aws_calls_total", service="ec2") > 0
    ((labels, expires),) = seen.get("sluice_control_credentials_expiry_timestamp_seconds").items()
    assert ("provider", "imds") in labels and expires > 1e9
    assert seen.sum("sluice_control_source_targets", pool="back") == 3
    assert seen.sum("sluice_control_source_origin", origin="source") == 1
    assert seen.sum("sluice_control_source_origin") == 1
    assert seen.sum("sluice_control_queue_up") == 0
    assert seen.sum("sluice_control_lifecycle_phase", phase="watching") == 1


def test_throttles_and_errors_are_counted(strict, pair):
    fleet = Instances(strict, 1, count=3)
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"  # which nobody answers for
    both = pair(strict, [fleet.pool()], control={"lifecycle": "auto", "queue": url})
    both.wait_addresses("back", fleet.addresses())
    strict.faults.add(None, "throttle", times=50)
    both.daemon.refresh("back", "ec2")
    wait_metric(both.daemon.admin, "sluice_control_aws_throttles_total", lambda n: n > 0, 20)
    wait_metric(
        both.daemon.admin, "sluice_control_aws_errors_total", lambda n: n > 0, 30, error="throttled"
    )
    wait_metric(both.daemon.admin, "sluice_control_source_failing", lambda n: n > 0, 20)


def test_the_dashboard_asks_for_what_there_is(seen):
    dashboard = json.loads((PACKAGING / "grafana" / "sluice.json").read_text())
    (variable,) = [v for v in dashboard["templating"]["list"] if v["name"] == "control"]
    assert variable["query"]["query"] == "label_values(sluice_control_build_info, instance)"
    count = 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            if assert_known(seen, target["expr"], panel["title"], of_control):
                assert "$control" in target["expr"] and "$instance" not in target["expr"]
                count += 1
    assert count >= 10


def test_alerts_ask_for_what_there_is(seen):
    groups = yaml.safe_load((PACKAGING / "prometheus" / "sluice.rules.yml").read_text())["groups"]
    (group,) = [group for group in groups if group["name"] == "sluice-control"]
    for rule in group["rules"]:
        assert assert_known(seen, rule["expr"], rule["alert"], of_control)
