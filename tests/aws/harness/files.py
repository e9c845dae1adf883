# SPDX-License-Identifier: Apache-2.0
"""A file of targets, replaced as a whole as its writers should; with a fleet's verbs."""

import json
from pathlib import Path

PORT = 8080


class TargetFile:
    """Addresses are 10.7.0.NUMBER, where nobody is."""

    def __init__(self, path, count=0):
        self.path, self.numbers, self._next = Path(path), [], 0
        self.add(count)

    def add(self, count=1):
        self.numbers += range(self._next, self._next + count)
        self._next += count
        self.write(self.targets())

    def take(self, count=1):
        del self.numbers[:count]
        self.write(self.targets())

    def targets(self):
        return [{"id": f"t-{n}", "address": address} for n, address in self._each()]

    def _each(self):
        return [(n, f"10.7.{n // 256}.{n % 256}:{PORT}") for n in self.numbers]

    def addresses(self):
        return sorted(address for _, address in self._each())

    def write(self, targets):
        self.write_text(json.dumps(targets))

    def write_text(self, text):
        draft = self.path.with_suffix(".new")
        draft.write_text(text)
        draft.rename(self.path)

    def pool(self, name="back", **more):
        return {"name": name, "discover": {"file": {"path": str(self.path), **more}}}
