# SPDX-License-Identifier: Apache-2.0
"""The metadata service of an instance (version 2 alone) and the credentials of a container."""

import itertools
import json
from datetime import datetime, timezone

PREFIX = "/latest/"


def stamp(when):
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Metadata:
    """`paths` is what stands below /latest/meta-data/ (text, or None: 404)."""

    def __init__(self, clock, region):
        self.clock, self.region = clock, region
        self.role, self.identity = "instance-role", None
        self.paths = {
            "instance-id": "i-0123456789abcdef0",
            "placement/region": region,
            "placement/availability-zone": f"{region}a",
            "placement/availability-zone-id": "euw1-az1",
            "autoscaling/target-lifecycle-state": None,
            "spot/instance-action": None,
        }
        self.mute_tokens = False  # a hop limit of 1, seen from a container
        self.container_token = "container-secret"
        self._serial, self._tokens = itertools.count(1), {}
        self.asked = []  # paths, tokens' included

    def _credentials(self):
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": stamp(self.clock()),
            "AccessKeyId": self.identity.key_id,
            "SecretAccessKey": self.identity.secret,
            "Token": self.identity.token,
            "Expiration": stamp(self.identity.expires),
        }

    def _new_token(self, headers):
        ttl = headers["X-aws-ec2-metadata-token-ttl-seconds"]
        if headers["X-Forwarded-For"] is not None:
            return 403, ""
        if not ttl or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return 400, ""
        token = f"token-{next(self._serial)}=="
        self._tokens[token] = self.clock() + int(ttl)
        return 200, token

    def answer(self, method, path, headers):
        """(status, text), or None for no answer at all."""
        self.asked.append(path)
        if path == f"{PREFIX}api/token":
            if self.mute_tokens:
                return None
            return self._new_token(headers) if method == "PUT" else (405, "")
        if self._tokens.get(headers["X-aws-ec2-metadata-token"], 0) <= self.clock():
            return 401, ""
        return self._read(path)

    def _read(self, path):
        name = path[len(f"{PREFIX}meta-data/") :]
        if path == f"{PREFIX}dynamic/instance-identity/document":
            return 200, json.dumps({"region": self.region, "instanceId": self.paths["instance-id"]})
        if name == "iam/security-credentials/" and self.identity:
            return 200, self.role
        if name == f"iam/security-credentials/{self.role}" and self.identity:
            return 200, json.dumps(self._credentials())
        text = self.paths.get(name)
        return (404, "") if text is None else (200, text)

    def container(self, headers):
        """What 169.254.170.2 would say."""
        self.asked.append("container")
        if headers["Authorization"] != self.container_token:
            return 403, json.dumps({"code": "AccessDenied", "message": "no such token"})
        keys = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
        every = self._credentials()
        return 200, json.dumps({key: every[key] for key in keys})
