#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print control/aws/endpoint_table.c, made from the endpoint rule sets of the botocore at hand.

Every service is resolved for every region of every partition, and for one that does not exist yet,
with and without FIPS and dual stack. What all regions of a partition have in common becomes one
rule, what all partitions share one more; each region that differs gets its own. Failure: a region
whose partition the pattern would not tell, or a host that no rule can say, ends it.
"""
import collections
import json
import pathlib
import re
import sys

import botocore
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

# As in enum aws_service: the name of the rule set, and what the operation puts before the host.
SERVICES = [
    ("AWS_EC2", "ec2", ""),
    ("AWS_AUTOSCALING", "autoscaling", ""),
    ("AWS_ELBV2", "elbv2", ""),
    ("AWS_STS", "sts", ""),
    ("AWS_SNS", "sns", ""),
    ("AWS_ECS", "ecs", ""),
    ("AWS_CLOUDMAP", "servicediscovery", ""),
    ("AWS_CLOUDMAP_DATA", "servicediscovery", "data-"),
    ("AWS_SQS", "sqs", ""),
]
VARIANTS = [(False, False), (True, False), (False, True), (True, True)]  # fips, dual stack
HEAD = """/* SPDX-License-Identifier: Apache-2.0
 *
 * Made by control/aws/endpoint_table.py from the endpoint rule sets of botocore {version}
 * (Apache-2.0); not to be edited. It cannot fail: it is data alone.
 */
#include "control/aws/endpoint_table.h"

/* clang-format off */
"""


def load():
    """The partitions as botocore has them, without the regions that are no place."""
    path = pathlib.Path(botocore.__file__).parent / "data" / "partitions.json"
    partitions = json.loads(path.read_text())["partitions"]
    for partition in partitions:
        partition["regions"] = [r for r in sorted(partition["regions"]) if "global" not in r]
    return sorted(partitions, key=lambda p: p["id"])


def provider(rule_set):
    loader = Loader()
    return EndpointProvider(loader.load_service_model(rule_set, "endpoint-rule-set-1"),
                            loader.load_data("partitions"))


def resolve(rules, prefix, region, fips, dual_stack):
    """The host, or None where there is no such variant."""
    try:
        url = rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack).url
    except EndpointProviderError:
        return None
    return prefix + url.removeprefix("https://")


def posix(pattern):
    return pattern.replace(r"\w", "[[:alnum:]_]").replace(r"\d", "[0-9]").replace(r"\-", "-")


def unborn(partition):
    """The name of a region that could come, and has not."""
    for region in partition["regions"]:
        name = re.sub(r"\d+$", "77", region)
        assert re.match(partition["regionRegex"], name), name
        return name
    raise AssertionError(partition["id"])


def template(host, region, outputs):
    if host is None:
        return None
    host = host.replace(f".{region}.", ".*.")
    if host.endswith("." + outputs["dualStackDnsSuffix"]):
        return host.removesuffix(outputs["dualStackDnsSuffix"]) + "@"
    if host.endswith("." + outputs["dnsSuffix"]):
        return host.removesuffix(outputs["dnsSuffix"]) + "$"
    return host


def quote(text):
    return "NULL" if text is None else f'"{text}"'


def rules_of(partitions, rule_set, prefix):
    """(bits, region or None, hosts): exceptions first, then what whole partitions have."""
    rules = provider(rule_set)
    common = collections.defaultdict(int)
    for bit, partition in enumerate(partitions):
        def hosts(region):
            return tuple(template(resolve(rules, prefix, region, *variant), region,
                                  partition["outputs"]) for variant in VARIANTS)

        usual = hosts(unborn(partition))
        common[usual] |= 1 << bit
        for region in partition["regions"]:
            if hosts(region) != usual:
                yield 1 << bit, region, hosts(region)
    for usual, bits in common.items():
        yield bits, None, usual


def main():
    partitions = load()
    print(HEAD.format(version=botocore.__version__))
    print("const struct endpoint_partition endpoint_partitions[] = {")
    for partition in partitions:
        for region in partition["regions"]:
            assert re.match(partition["regionRegex"], region), region
        outputs = partition["outputs"]
        print(f'\t{{"{partition["id"]}", "{posix(partition["regionRegex"])}",\n'
              f'\t "{outputs["dnsSuffix"]}", "{outputs["dualStackDnsSuffix"]}"}},')
    print("};\nconst unsigned endpoint_partition_count =\n"
          "\tsizeof(endpoint_partitions) / sizeof(endpoint_partitions[0]);\n")
    print("const struct endpoint_rule endpoint_rules[] = {")
    for name, rule_set, prefix in SERVICES:
        for bits, region, hosts in rules_of(partitions, rule_set, prefix):
            plain, fips, dual_stack, both = map(quote, hosts)
            print(f"\t{{{name}, 0x{bits:02x}, {quote(region)},\n"
                  f"\t {{{plain}, {fips},\n\t  {dual_stack}, {both}}}}},")
    print("};\nconst unsigned endpoint_rule_count =\n"
          "\tsizeof(endpoint_rules) / sizeof(endpoint_rules[0]);")
    print("/* clang-format on */")


if __name__ == "__main__":
    sys.exit(main())
