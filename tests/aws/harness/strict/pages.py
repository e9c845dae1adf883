# SPDX-License-Identifier: Apache-2.0
"""Lists in pages. A token is good once asked for with the very parameters of the page before."""

import itertools
import threading

from .wire import ApiError


class Pages:
    """Tokens of every operation of an account."""

    def __init__(self):
        self._lock, self._tokens = threading.Lock(), {}
        self._serial = itertools.count(1)

    def _token(self, *what):
        token = f"page/{next(self._serial)}+="  # characters that have to be escaped somewhere
        with self._lock:
            self._tokens[token] = what
        return token

    def cut(self, items, params, key, limit, fault=None):
        """(items of this page, token of the next or None); `key` names the token in `params`."""
        rest = {name: value for name, value in params.items() if name != key}
        start = 0
        if token := params.get(key):
            if token not in self._tokens:
                raise ApiError("InvalidNextToken", f"no such token: {token}")
            start, asked = self._tokens[token]
            if asked != rest:
                raise ApiError("InvalidNextToken", f"asked with {rest}, begun with {asked}")
        kind = fault.kind if fault else None
        if kind == "empty":
            return [], None
        if kind == "duplicate_page" and token:
            return items[max(start - limit, 0) : start], token
        if kind == "endless":
            return items[:limit], self._token(start, rest)
        if not limit or start + limit >= len(items):
            return items[start:], None
        return items[start : start + limit], self._token(start + limit, rest)
