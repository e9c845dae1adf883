# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on purpose: a queue of faults, each for one action and some of its calls."""

import threading

from .wire import ApiError

# Said instead of an answer, for a request that was signed well.
ERRORS = {
    "throttle": ("throttle", "Rate exceeded", 400),
    "unavailable": ("throttle", "Request limit exceeded.", 503),
    "error500": ("internal", "An internal error has occurred", 500),
    "expired": ("expired", "The security token included in the request is expired", 400),
    "denied": ("denied", "You are not authorized to perform this operation.", 403),
}
# Done to the answer on its way (server.py), or to its content.
WIRE = ("reset", "slow", "hang", "truncated", "cut", "garbage", "html")
CONTENT = ("empty", "duplicate_page", "endless")


class Fault:
    """`kind` for `times` calls of `action` (None: of any, for ever). `page`: only the first page
    (1) or any later one (2). What is left in `times` when a test ends was not needed."""

    def __init__(self, action, kind, times=None, page=None, wait_s=1.0):
        assert kind in ERRORS or kind in WIRE or kind in CONTENT, kind
        self.action, self.kind, self.times, self.page = action, kind, times, page
        self.wait_s, self.hits = wait_s, 0

    def fits(self, action, page):
        return self.action in (None, action) and self.page in (None, page) and self.times != 0

    def error(self):
        return ApiError(*ERRORS[self.kind]) if self.kind in ERRORS else None


class Faults:
    """Those that are waiting for their call, in order."""

    def __init__(self):
        self._lock, self._all = threading.Lock(), []

    def add(self, *args, **options):
        fault = Fault(*args, **options)
        with self._lock:
            self._all.append(fault)
        return fault

    def clear(self):
        with self._lock:
            self._all.clear()

    def take(self, action, page):
        """The fault for this call, or None."""
        with self._lock:
            for fault in self._all:
                if fault.fits(action, page):
                    fault.hits += 1
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
