# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of our own, and a server's certificate by it."""

import subprocess
from pathlib import Path

from .tools import need


class Authority:
    """`ca` is what a client trusts; `cert` and `key` are 127.0.0.1's and localhost's."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.ca, self._ca_key = self.directory / "ca.pem", self.directory / "ca.key"
        self.cert, self.key = self.directory / "server.pem", self.directory / "server.key"
        self._make_ca()
        self._make_server()

    def _openssl(self, *args):
        argv = [need("openssl"), *map(str, args)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def _new_key(self, path):
        self._openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path
        )

    def _make_ca(self):
        self._new_key(self._ca_key)
        self._openssl(
            *("req", "-x509", "-new", "-key", self._ca_key, "-out", self.ca, "-days", 3650),
            *("-subj", "/CN=sluice tests", "-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def _make_server(self):
        self._new_key(self.key)
        request, extensions = self.directory / "server.csr", self.directory / "server.ext"
        self._openssl("req", "-new", "-key", self.key, "-out", request, "-subj", "/CN=localhost")
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._ca_key),
            *("-CAcreateserial", "-out", self.cert, "-days", 3650, "-extfile", extensions),
        )
