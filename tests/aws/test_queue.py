# SPDX-License-Identifier: Apache-2.0
"""Word of changes through SNS and SQS. Sources here are asked once an hour: what arrives sooner came
by an event."""

import json
import signal
import time

import pytest
from harness.address import free_address, text
from harness.clients import clients
from harness.control import run
from harness.fleet import Instances
from harness.metrics import scrape
from harness.moto import REGION
from harness.wait import eventually
from test_iam import User, actions_of, document

PREFIX = "sluice-control-"
TAG_TOPIC, TAG_SEEN, TAG_SUBSCRIPTION = (
    f"sluice-control:{name}" for name in ("topic", "seen", "subscription")
)
TROUBLE = "queue_failed|queue_sweep_failed|queue_left_behind"


class Wires:
    """A topic, and what hangs on it."""

    def __init__(self, moto):
        self.sqs, self.sns = moto.client("sqs"), moto.client("sns")
        self.topic = self.sns.create_topic(Name="changes")["TopicArn"]

    def say(self, source="aws.ec2", **event):
        event = {"source": source, "detail-type": "something happened", **event}
        eventually(lambda: self._publish(json.dumps(event)), "it is published")

    def _publish(self, message):
        """False while the topic leads to a queue that is being deleted: then Moto refuses it."""
        try:
            return self.sns.publish(TopicArn=self.topic, Message=message)
        except self.sns.exceptions.ClientError as error:
            if "NonExistentQueue" not in str(error):
                raise
            return False

    def queues(self):
        return self.sqs.list_queues(QueueNamePrefix=PREFIX).get("QueueUrls", [])

    def endpoints(self):
        found = self.sns.list_subscriptions_by_topic(TopicArn=self.topic)["Subscriptions"]
        return [each["Endpoint"] for each in found]

    def arn(self, url):
        wanted = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
        return self.sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]

    def orphan(self, seen_s_ago, topic=None):
        """What a daemon left that was killed so long ago."""
        url = self.sqs.create_queue(QueueName=f"{PREFIX}{time.monotonic_ns():x}")["QueueUrl"]
        made = self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn(url))
        tags = {
            TAG_TOPIC: topic or self.topic,
            TAG_SEEN: str(int(time.time()) - seen_s_ago),
            TAG_SUBSCRIPTION: made["SubscriptionArn"],
        }
        self.sqs.tag_queue(QueueUrl=url, Tags=tags)
        return url

    def control(self):
        return {"queue": "auto", "queue_topic": self.topic, "region": REGION}


@pytest.fixture
def wires(moto):
    return Wires(moto)


@pytest.fixture
def fleet(moto):
    return Instances(moto)


def pool(fleet, interval="1h"):
    return {"name": "back", "discover": fleet.discover(interval=interval)}


def listening(daemon, after=0):
    """It has asked its source once, of its own accord; a long poll may have to end first."""
    daemon.wait_event("source_up")
    daemon.wait_event("queue_up", after=after, within=30)


def test_an_event_brings_a_target_long_before_its_interval(moto, pair, fleet, wires):
    fleet.launch(1)
    both = pair(moto, [pool(fleet)], control=wires.control())
    listening(both.daemon)
    both.wait_same("back", fleet)
    before = both.addresses("back")
    fleet.launch(2)
    assert both.addresses("back") == before  # nobody has looked
    assert scrape(both.daemon.admin).sum("sluice_control_queue_messages_total") == 0
    wires.say(region=REGION, detail={"state": "running"})
    both.wait_same("back", fleet)
    assert len(both.addresses("back")) == 3
    seen = scrape(both.daemon.admin)
    assert seen.sum("sluice_control_queue_messages_total") == seen.sum("sluice_control_queue_up") == 1


def test_an_event_about_something_else_asks_nobody(moto, pair, fleet, wires):
    fleet.launch(1)
    both = pair(moto, [pool(fleet)], control=wires.control())
    listening(both.daemon)
    both.wait_same("back", fleet)
    fleet.launch(1)
    wires.say("aws.servicediscovery")
    wires.say("aws.ec2", region="us-east-1")
    url = wires.queues()[0]
    wanted = {"QueueUrl": url, "AttributeNames": ["All"]}

    def taken():
        left = wires.sqs.get_queue_attributes(**wanted)["Attributes"]
        return left["ApproximateNumberOfMessages"] == "0" and (
            left["ApproximateNumberOfMessagesNotVisible"] == "0"
        )

    asked = "sluice_control_source_fetches_total"
    before = scrape(both.daemon.admin).sum(asked)
    eventually(taken, "both messages were taken and deleted", 15)
    assert scrape(both.daemon.admin).sum(asked) == before == 1
    wires.say("somebody.else")  # which may mean anything
    both.wait_same("back", fleet)


def test_a_given_queue_gets_events_without_a_topic(moto, pair, fleet, wires):
    url = wires.sqs.create_queue(QueueName="given")["QueueUrl"]
    events = moto.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["deploy.tool"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": wires.arn(url)}])
    both = pair(moto, [pool(fleet)], control={"queue": url, "region": REGION})
    listening(both.daemon)
    fleet.launch(1)
    entry = {"Source": "deploy.tool", "DetailType": "done", "Detail": "{}"}
    events.put_events(Entries=[entry])
    both.wait_same("back", fleet)
    both.daemon.stop()
    assert wires.sqs.get_queue_url(QueueName="given")["QueueUrl"] == url


def test_what_was_made_is_taken_back_at_the_end(moto, pair, fleet, wires):
    both = pair(moto, [pool(fleet)], control=wires.control())
    listening(both.daemon)
    (url,) = wires.queues()
    tags = wires.sqs.list_queue_tags(QueueUrl=url)["Tags"]
    assert tags[TAG_TOPIC] == wires.topic and abs(int(tags[TAG_SEEN]) - time.time()) < 60
    assert wires.endpoints() == [wires.arn(url)]
    said = both.daemon.discovery()["queue"]
    assert said == {"url": url, "own": True, "healthy": True, "messages": 0, "problem": None}
    both.daemon.stop()
    assert both.daemon.events("queue_deleted")
    assert wires.queues() == [] and wires.endpoints() == []


def test_what_a_killed_daemon_left_is_swept_once_it_is_old(moto, pair, fleet, wires):
    young, other = wires.orphan(600), wires.orphan(90000, topic=f"{wires.topic}-other")
    both = pair(moto, [pool(fleet)], control=wires.control())
    listening(both.daemon)
    both.daemon.signal(signal.SIGKILL)
    both.daemon.wait_exit()
    (left,) = set(wires.queues()) - {young, other}
    wires.sqs.tag_queue(QueueUrl=left, Tags={TAG_SEEN: str(int(time.time()) - 10000)})
    gone = wires.arn(left)
    both.start_daemon().wait_event("queue_swept", containing=left, within=15)
    listening(both.daemon)
    assert left not in wires.queues() and {young, other} < set(wires.queues())
    assert gone not in wires.endpoints() and len(wires.endpoints()) == 3


def test_a_queue_that_somebody_deleted_is_made_anew(moto, pair, fleet, wires):
    both = pair(moto, [pool(fleet)], control=wires.control())
    listening(both.daemon)
    (first,) = wires.queues()
    position = both.daemon.position()
    wires.sqs.delete_queue(QueueUrl=first)
    listening(both.daemon, after=position)
    (second,) = wires.queues()
    assert second != first and wires.endpoints() == [wires.arn(second)]
    fleet.launch(1)
    wires.say()
    both.wait_same("back", fleet)


def test_without_its_topic_the_daemon_goes_on_asking(moto, pair, fleet, wires):
    fleet.launch(1)
    wires.sns.delete_topic(TopicArn=wires.topic)
    both = pair(moto, [pool(fleet, "1s")], control=wires.control())
    both.daemon.wait_event("queue_failed", "as often as configured")
    both.wait_same("back", fleet)
    fleet.launch(1)
    both.wait_same("back", fleet)
    both.daemon.stop()
    assert wires.queues() == []


# ---- what it may do ----

ACTIONS = [
    "sns:Subscribe",
    "sns:Unsubscribe",
    "sqs:CreateQueue",
    "sqs:DeleteMessage",
    "sqs:DeleteQueue",
    "sqs:GetQueueAttributes",
    "sqs:ListQueueTags",
    "sqs:ListQueues",
    "sqs:ReceiveMessage",
    "sqs:SetQueueAttributes",
    "sqs:TagQueue",
]


@pytest.fixture
def allowed(moto, wires, fleet, pair, tmp_path):
    """allowed(actions): a daemon that may do only that, which had a message and an orphan."""

    def start(actions):
        if "sqs:DeleteMessage" in actions:  # what AWS calls a batch of it, too; Moto does not
            actions = [*actions, "sqs:DeleteMessageBatch"]
        wires.orphan(90000)
        user, admin = User(moto, "daemon", document(actions)), User(moto, "admin", document("*"))
        get = clients(moto.url, REGION, admin.key_id, admin.secret)
        wires.sqs, wires.sns = get("sqs"), get("sns")
        moto.authenticate()
        return pair(moto, [pool(fleet)], control=wires.control(), env=user.environment()).daemon

    return start


def printed(tmp_path, fleet, wires):
    path = tmp_path / "printed.yaml"
    path.write_text(
        json.dumps(
            {
                "listeners": [{"name": "a", "bind": text(free_address()), "pool": "back"}],
                "admin": {"socket": str(tmp_path / "nobody.sock")},
                "control": wires.control(),
                "pools": [pool(fleet)],
            }
        )
    )
    return actions_of(json.loads(run("--config", path, "--iam-policy").stdout))


def test_the_printed_policy_is_enough(wires, fleet, allowed, tmp_path):
    actions = printed(tmp_path, fleet, wires)
    assert [each for each in actions if each[:3] in ("sqs", "sns")] == ACTIONS
    daemon = allowed(actions)
    listening(daemon)
    wires.say()
    daemon.wait_event("queue_swept", within=15)
    daemon.stop()
    assert daemon.events("queue_deleted") and not daemon.events(TROUBLE), daemon.report()


@pytest.mark.parametrize("left_out", ACTIONS)
def test_one_action_less_is_not_enough(wires, fleet, allowed, tmp_path, left_out):
    actions = printed(tmp_path, fleet, wires)
    daemon = allowed([each for each in actions if each != left_out])
    if left_out in ("sqs:DeleteMessage", "sqs:DeleteQueue", "sns:Unsubscribe"):
        listening(daemon)
        wires.say()
    daemon.wait_event(TROUBLE, within=15)
