# SPDX-License-Identifier: Apache-2.0
"""moto_server as a child of ours, plain or with TLS."""

import json
import os
import ssl
import sys
import urllib.request

from .address import free_address
from .clients import KEY_ID, SECRET, clients
from .server import Server

REGION = "eu-west-1"


class Moto:
    """`authority` (ca.py) makes it speak TLS."""

    def __init__(self, directory, authority=None):
        self.authority, self.region = authority, REGION
        address = free_address()
        argv = [sys.executable, "-c", "from moto.server import main; main()"]
        argv += ["-H", address[0], "-p", str(address[1])]
        if authority:
            argv += ["-s", "-c", str(authority.cert), "-k", str(authority.key)]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        self._server = Server(argv, address, directory, env=env)
        scheme = "https" if authority else "http"
        self.url = f"{scheme}://{address[0]}:{address[1]}"
        self.client = clients(self.url, REGION, ca=authority.ca if authority else None)

    def _post(self, path, body=b"", kind="text/plain"):
        request = urllib.request.Request(f"{self.url}/moto-api/{path}", data=body, method="POST")
        request.add_header("Content-Type", kind)
        trust = None
        if self.authority:
            trust = ssl.create_default_context(cafile=str(self.authority.ca))
        with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
            assert answer.status in (200, 201)

    def hold_state(self, model):
        """Moto's things change by being looked at; those of `model` no longer do."""
        transition = {"progression": "manual", "times": 1 << 30}
        body = json.dumps({"model_name": model, "transition": transition}).encode()
        self._post("state-manager/set-transition", body, "application/json")

    def reset(self):
        self.authenticate(False)
        self._post("reset")

    def authenticate(self, really=True):
        """From now on signatures and IAM policies count."""
        self._post("reset-auth", b"0" if really else b"inf")

    def environment(self):
        """For a program that shall come here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            **({"AWS_CA_BUNDLE": str(self.authority.ca)} if self.authority else {}),
        }

    def close(self):
        self._server.close()
