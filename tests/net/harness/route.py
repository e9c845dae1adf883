# SPDX-License-Identifier: Apache-2.0
"""A way from a client to a backend: through a proxy in one relay mode, or direct.

What a test of TCP semantics asks of the proxy must hold without it too, so each such test runs
`direct` as well: if that fails, the test is wrong.
"""

from .address import connect, free_address, text
from .conf import simple

MODES = ("direct", "auto", "copy", "splice")


class Route:
    def __init__(self, mode, start):
        self.mode = mode
        self._start = start
        self.proxy = None
        self.front = None

    @property
    def direct(self):
        return self.mode == "direct"

    def to(self, backend, config=None, **sections):
        """Make `self.front` lead to `backend`; `sections` are those of conf.simple()."""
        if self.direct:
            self.front = backend.address
            return self
        self.front = free_address()
        settings = {"log": {"format": "json"}, "relay": self.mode, **sections}
        self.proxy = self._start(
            config=config or simple(text(self.front), text(backend.address), **settings)
        )
        return self

    def connect(self, **options):
        return connect(self.front, **options)

    def pair(self, listener, **options):
        """A client's socket, and the backend's socket of the same session."""
        client = self.connect(**options)
        try:
            return client, listener.accept()
        except BaseException:
            client.close()
            raise

    def ended(self, reason, count=1):
        """The flow lines of the sessions, each of which must have ended for `reason`."""
        if self.direct:
            return []
        allowed = {reason} if isinstance(reason, str) else set(reason)
        flows = self.proxy.wait_flows(count)
        seen = {flow["reason"] for flow in flows}
        assert seen <= allowed, f"reasons {seen}, expected {allowed}\n{self.proxy.report()}"
        return flows
