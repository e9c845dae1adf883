# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, never for a while."""

import time


def eventually(condition, what, within=20.0):
    """Poll until `condition()` is truthy and return that value; fail with `what` at the deadline.

    An AssertionError that the condition raises counts as "not yet", and is shown if it stays.
    """
    deadline = time.monotonic() + within
    pause = 0.001
    while True:
        problem = None
        try:
            value = condition()
        except AssertionError as error:
            value, problem = None, error
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within} s: {what}; last saw {problem or value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def settled(read, what, still=0.4, within=20.0):
    """Poll until `read()` has returned the same value for `still` seconds; return that value."""
    deadline = time.monotonic() + within
    value, since = read(), time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(0.01)
        latest = read()
        if latest != value:
            value, since = latest, time.monotonic()
        elif time.monotonic() - since >= still:
            return value
    raise AssertionError(f"still changing after {within} s: {what}; last saw {value!r}")
