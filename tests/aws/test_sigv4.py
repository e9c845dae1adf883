# SPDX-License-Identifier: Apache-2.0
"""Random requests, signed by us and by botocore: every stage is the same, byte for byte.

The public vectors are in tests/unit/control_aws_sigv4_test.c. SIGV4_SEED repeats a run.
"""
import datetime
import json
import os
import pathlib
import random
import subprocess
import urllib.parse

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REQUESTS = 800
SIGN = pathlib.Path(os.environ["SLUICE_LIB"], "aws_sign")
# What proxies change on the way, or the SDKs leave out: botocore signs none of these.
UNSIGNED = {"expect", "transfer-encoding", "user-agent", "x-amzn-trace-id", "connection", "host",
            "authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
ALPHABETS = ["abcXYZ0189-._~", "azAZ09 !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", "aé߀ሴ𝄞z"]


def word(rng, least=0, most=12):
    alphabet = rng.choice(ALPHABETS)
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))


def path_of(rng):
    """As sent: encoded, with every shape that normalising has to do with."""
    parts = [rng.choice(["", ".", "..", urllib.parse.quote(word(rng, 1), safe="~")])
             for _ in range(rng.randint(0, 6))]
    return "/" + "/".join(parts)


def query_of(rng):
    """Pairs, in any order, names more than once."""
    names = [word(rng, 1) for _ in range(rng.randint(0, 5))] or ["a"]
    return [(rng.choice(names), word(rng)) for _ in range(rng.randint(0, 8))]


def headers_of(rng):
    headers = {}
    for _ in range(rng.randint(0, 8)):
        name = "".join(rng.choice("abcXYZ-019") for _ in range(rng.randint(1, 14)))
        if name.lower() not in UNSIGNED | {each.lower() for each in headers}:
            value = "".join(rng.choice("ab\t  ,;=\"'AZ09/") for _ in range(rng.randint(0, 20)))
            headers[name] = value
    return headers


def request_of(rng):
    return {
        "method": rng.choice(["GET", "POST", "PUT", "DELETE"]),
        "host": rng.choice(["ec2.eu-west-1.amazonaws.com", "sts.us-east-1.amazonaws.com"]),
        "path": path_of(rng),
        "query": "&".join(f"{urllib.parse.quote(name, safe='~')}={urllib.parse.quote(value, safe='~')}"
                          for name, value in query_of(rng)),
        "headers": headers_of(rng),
        "body": word(rng, 0, 300),
        "key_id": word(rng, 16, 20).replace(" ", "A"),
        "secret": word(rng, 20, 80),
        "token": rng.choice([None, "".join(rng.choice("abAB01+/=") for _ in range(200))]),
        "region": rng.choice(["eu-west-1", "cn-north-1", "us-gov-west-1"]),
        "service": rng.choice(["ec2", "sts", "ecs", "elasticloadbalancing"]),
        "time": rng.randint(0, 4102444800),
        "normalize": rng.random() < 0.8,
    }


class S3Path(S3SigV4Auth):
    """The signer that leaves the path as it is, but encodes it like all others."""

    def _normalize_url_path(self, path):
        return urllib.parse.quote(path, safe="/~")

    def _should_sha256_sign_payload(self, request):
        return True

    def _modify_request_before_signing(self, request):
        SigV4Auth._modify_request_before_signing(self, request)


def sign_with_botocore(what):
    """What add_auth() does, at a time of our choosing, with what stands between kept."""
    url = f"https://{what['host']}{what['path']}"
    request = AWSRequest(what["method"], url + ("?" + what["query"] if what["query"] else ""),
                         dict(what["headers"], Host=what["host"]), what["body"].encode())
    signer = SigV4Auth if what["normalize"] else S3Path
    auth = signer(Credentials(what["key_id"], what["secret"], what["token"]), what["service"],
                  what["region"])
    when = datetime.datetime.fromtimestamp(what["time"], datetime.timezone.utc)
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    to_sign = auth.string_to_sign(request, canonical)
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))
    return canonical, to_sign, request.headers["Authorization"]


def sign_with_ours(requests):
    lines = [json.dumps(dict(each, headers=[["Host", each["host"]], *each["headers"].items()]))
             for each in requests]
    done = subprocess.run([SIGN], input="\n".join(lines) + "\n", text=True, check=True, timeout=60,
                          stdout=subprocess.PIPE)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("round_", range(3))
def test_random_requests_are_signed_as_botocore_signs_them(round_):
    seed = os.environ.get("SIGV4_SEED") or f"{random.randrange(2**32)}"
    rng = random.Random(f"{seed}/{round_}")
    requests = [request_of(rng) for _ in range(REQUESTS)]
    ours = sign_with_ours(requests)
    assert len(ours) == REQUESTS
    for request, got in zip(requests, ours):
        assert got == sign_with_botocore(request), f"SIGV4_SEED={seed}: {request}"
