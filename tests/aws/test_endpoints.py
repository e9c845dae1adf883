# SPDX-License-Identifier: Apache-2.0
"""Every service in every region of every partition, with and without FIPS and dual stack: our host
is the one that botocore's clients ask. And the committed table is what its generator prints."""
import importlib.util
import itertools
import os
import pathlib
import re
import subprocess
import sys

import botocore
import botocore.session
from botocore.config import Config

TOP = pathlib.Path(__file__).resolve().parents[2]
HOST = pathlib.Path(os.environ["SLUICE_LIB"], "aws_host")
GENERATOR = TOP / "control/aws/endpoint_table.py"
TABLE = TOP / "control/aws/endpoint_table.c"

spec = importlib.util.spec_from_file_location("endpoint_table", GENERATOR)
generator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generator)


def our_answers(questions):
    text = "".join(f"{service} {region} {int(fips)} {int(dual)}\n"
                   for service, region, (fips, dual) in questions)
    done = subprocess.run([HOST], input=text, text=True, check=True, timeout=60,
                          stdout=subprocess.PIPE)
    return [tuple(line.split()) for line in done.stdout.splitlines()]


def test_every_host_is_the_one_of_botocore():
    partitions = generator.load()
    places = {region: partition["id"] for partition in partitions
              for region in [*partition["regions"], generator.unborn(partition)]}
    questions = list(itertools.product(range(len(generator.SERVICES)), places, generator.VARIANTS))
    rules = [generator.provider(rule_set) for _, rule_set, _ in generator.SERVICES]
    answers = our_answers(questions)
    assert len(answers) == len(questions) > 1000
    for (service, region, variant), answer in zip(questions, answers):
        prefix = generator.SERVICES[service][2]
        host = generator.resolve(rules[service], prefix, region, *variant)
        assert answer == (places[region], host or "-"), (service, region, variant)


def test_a_client_of_botocore_would_ask_the_same_host():
    """Not by the rule sets but by what boto's own clients end up with, prefixes included."""
    session = botocore.session.Session()
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.set_credentials("AKIDEXAMPLE", "secret")
    names = {"AWS_EC2": "describe_instances", "AWS_AUTOSCALING": "describe_auto_scaling_groups",
             "AWS_ELBV2": "describe_load_balancers", "AWS_STS": "get_caller_identity",
             "AWS_SNS": "list_topics", "AWS_ECS": "list_clusters",
             "AWS_CLOUDMAP": "list_namespaces", "AWS_CLOUDMAP_DATA": "discover_instances",
             "AWS_SQS": "list_queues"}
    arguments = {"discover_instances": {"NamespaceName": "n", "ServiceName": "s"}}
    regions = ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1"]
    questions, hosts = [], []

    class Asked(Exception):
        """The request is ready; nothing is sent."""

    def stop(request, **_):
        hosts.append(re.match(r"https://([^/]+)/", request.url)[1])
        raise Asked

    for (number, (name, rule_set, _)), region, (fips, dual) in itertools.product(
            enumerate(generator.SERVICES), regions, generator.VARIANTS):
        client = session.create_client(rule_set, region, config=Config(
            use_fips_endpoint=fips, use_dualstack_endpoint=dual))
        client.meta.events.register("before-send", stop)
        operation = getattr(client, names[name])
        try:
            operation(**arguments.get(names[name], {}))
        except Asked:
            questions.append((number, region, (fips, dual)))
    assert len(hosts) == len(questions) == len(generator.SERVICES) * len(regions) * 4
    assert [host for _, host in our_answers(questions)] == hosts


def test_the_table_is_what_its_generator_prints():
    printed = subprocess.run([sys.executable, "-B", GENERATOR], text=True, check=True, timeout=60,
                             stdout=subprocess.PIPE).stdout
    made_from = re.search(r"botocore ([0-9.]+)", TABLE.read_text())[1]
    assert made_from == botocore.__version__, "regenerate it with the botocore of the tests"
    assert printed == TABLE.read_text()


def test_what_is_no_region_gets_no_host():
    for text in ["aws-global", "us-east-1.evil.example", "us-east-1/", "US-EAST-1", "x", "us--1",
                 "a-" * 20 + "1", "fips-us-east-1", "us-east-1-fips"]:
        ((partition, host),) = our_answers([(0, text, (False, False))])
        assert host == "-", (text, partition, host)
