# SPDX-License-Identifier: Apache-2.0
"""The end of an instance, seen coming: the proxy drains, the group waits, and then it goes on."""

import json
import signal
import socket

import pytest
from harness.address import text
from harness.control import run
from harness.metrics import scrape
from harness.peers import Backend, echo
from harness.wait import eventually

INSTANCE = "i-0123456789abcdef0"
STATE, SPOT = "autoscaling/target-lifecycle-state", "spot/instance-action"


@pytest.fixture
def backend():
    made = Backend(echo)
    yield made
    made.close()


def hook(name="leave", transition="TERMINATING", timeout_s=6):
    return {
        "LifecycleHookName": name,
        "AutoScalingGroupName": "web",
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
        "HeartbeatTimeout": timeout_s,
    }


def make_group(strict, *hooks, size=3):
    ours = {
        "InstanceId": INSTANCE,
        "LifecycleState": "InService",
        "HealthStatus": "HEALTHY",
        "ProtectedFromScaleIn": False,
    }
    strict.account.groups["web"] = {
        "AutoScalingGroupName": "web",
        "MinSize": 1,
        "MaxSize": 9,
        "DesiredCapacity": size,
        "DefaultCooldown": 300,
        "AvailabilityZones": ["eu-west-1a"],
        "HealthCheckType": "EC2",
        "CreatedTime": "2026-01-01T00:00:00Z",
        "Instances": [ours],
        "LifecycleHooks": [hook("come", "LAUNCHING"), *hooks],
    }
    return ours


def terminate(strict, instance):
    """What the group does when it scales in."""
    with strict.account.lock:
        instance["LifecycleState"] = "Terminating:Wait"
    strict.metadata.paths[STATE] = "Terminated"


def said(strict, what):
    with strict.account.lock:
        return [params for kind, params in strict.account.lifecycle if kind == what]


class Node:
    """This instance: a proxy with one session through it, and a daemon."""

    def __init__(self, pair, strict, backend, **control):
        pool = {"name": "back", "targets": [text(backend.address)]}
        options = {"drain_timeout": "50s", "control": {"lifecycle": "auto", **control}}
        self.pair = pair(strict, [pool], **options)
        self.proxy, self.daemon = self.pair.proxy, self.pair.daemon
        self.session = socket.create_connection(self.pair.front[0], 5)
        self.speak()

    def speak(self):
        self.session.sendall(b"still there?")
        assert self.session.recv(100) == b"still there?"

    def holds_until(self, condition, what):
        """The session lives, and is in use, until then; backends give up what is silent."""

        def reached():
            self.speak()
            return condition()

        eventually(reached, what, 20)

    def leave(self):
        """The session ends, and so does the drain."""
        self.session.close()
        assert self.proxy.wait_exit(within=20) == 0


@pytest.fixture
def node(pair, strict, backend):
    made = []

    def make(**control):
        made.append(Node(pair, strict, backend, **control))
        return made[-1]

    yield make
    for each in made:
        each.session.close()


def test_a_hook_waits_as_long_as_a_session_lasts(strict, node):
    instance = make_group(strict, hook())
    here = node()
    here.daemon.wait_event("lifecycle_watching", "whose hook is leave")
    terminate(strict, instance)
    here.proxy.wait_event("drain_sessions")
    here.holds_until(lambda: len(said(strict, "heartbeat")) >= 3, "heartbeats come")
    assert said(strict, "CONTINUE") == []
    seen = here.daemon.discovery()["lifecycle"]
    assert (seen["phase"], seen["group"], seen["hook"]) == ("draining", "web", "leave")
    phases = scrape(here.daemon.admin).get("sluice_control_lifecycle_phase")
    assert sorted(phases.values()) == [0, 0, 1]
    assert scrape(here.daemon.admin).sum("sluice_control_lifecycle_phase", phase="draining") == 1
    here.leave()
    done = eventually(lambda: said(strict, "CONTINUE"), "the action is completed", 15)
    assert done == [
        {
            "AutoScalingGroupName": "web",
            "LifecycleHookName": "leave",
            "InstanceId": INSTANCE,
            "LifecycleActionResult": "CONTINUE",
        }
    ]
    here.daemon.wait_event("lifecycle_completed")
    assert instance["LifecycleState"] == "Terminating:Proceed"
    assert strict.complaints == []


def test_a_daemon_that_is_killed_in_the_middle_is_continued_by_the_next(strict, node):
    instance = make_group(strict, hook())
    here = node()
    terminate(strict, instance)
    here.holds_until(lambda: said(strict, "heartbeat"), "a heartbeat")
    here.daemon.signal(signal.SIGKILL)
    here.daemon.wait_exit()
    before = len(said(strict, "heartbeat"))
    successor = here.pair.start_daemon()
    here.holds_until(lambda: len(said(strict, "heartbeat")) >= before + 2, "heartbeats go on")
    here.leave()
    eventually(lambda: said(strict, "CONTINUE"), "the action is completed", 15)
    successor.wait_event("lifecycle_completed")
    assert successor.events("lifecycle_drain_failed") == []


def test_a_daemon_that_starts_after_the_end_completes_what_is_left(strict, node):
    instance = make_group(strict, hook())
    here = node()
    here.daemon.signal(signal.SIGKILL)
    here.daemon.wait_exit()
    here.session.close()
    here.proxy.stop()
    terminate(strict, instance)
    here.pair.start_daemon().wait_event("lifecycle_completed", within=30)
    assert len(said(strict, "CONTINUE")) == 1


def test_a_spot_instance_without_a_group_only_drains(strict, node):
    here = node()
    here.daemon.wait_event("lifecycle_watching", "no group")
    strict.metadata.paths[SPOT] = '{"action": "terminate", "time": "2026-01-01T00:02:00Z"}'
    here.daemon.wait_event("lifecycle_notice", "EC2 will terminate this Spot instance")
    here.proxy.wait_event("drain_sessions")
    here.speak()
    here.leave()
    here.daemon.wait_event("lifecycle_drained")
    assert strict.account.lifecycle == [] and strict.complaints == []


def test_of_several_hooks_only_the_named_one_is_completed(strict, node):
    instance = make_group(strict, hook("leave"), hook("backup"))
    here = node(lifecycle_hook="backup")
    here.session.close()
    terminate(strict, instance)
    done = eventually(lambda: said(strict, "CONTINUE"), "it is completed", 30)
    assert [each["LifecycleHookName"] for each in done] == ["backup"]


def test_the_printed_policy_has_what_is_called_and_nothing_else(strict, node):
    instance = make_group(strict, hook())
    here = node()
    terminate(strict, instance)
    here.session.close()
    here.daemon.wait_event("lifecycle_completed", within=30)
    printed = json.loads(run("--config", here.pair.path, "--iam-policy").stdout)
    allowed = {action for each in printed["Statement"] for action in each["Action"]}
    assert allowed == {f"autoscaling:{action}" for action in strict.calls}


def test_the_fleet_is_as_large_as_the_group_wants(strict, node):
    make_group(strict, hook(), size=40)
    node().daemon.wait_event("fleet_size", "40 nodes")
    assert strict.complaints == []


def test_the_configuration_needs_a_proxy_that_can_be_told(tmp_path):
    file = tmp_path / "sluice.yaml"
    file.write_text(
        "listeners: [{name: a, bind: 127.0.0.1:1, pool: p}]\n"
        "pools: [{name: p, targets: [127.0.0.1:2]}]\n"
        "control: {lifecycle: auto}\n"
    )
    wrong = run("--config", file, "--check")
    assert wrong.returncode == 1 and 'without an "admin" socket' in wrong.stderr
