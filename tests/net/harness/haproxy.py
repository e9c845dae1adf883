# SPDX-License-Identifier: Apache-2.0
"""The proxy that many come from, to be compared with and replaced."""

import signal
import subprocess

from .address import connect
from .sluice import PATIENCE
from .wait import eventually


class HAProxy:
    """Debian's, in the foreground, on one configuration."""

    def __init__(self, program, cfg, front):
        self.process = subprocess.Popen(
            [program, "-db", "-f", str(cfg)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.front = front
        eventually(self._answers, "haproxy listens")

    def _answers(self):
        assert self.process.poll() is None, self.process.stderr.read().decode()
        try:
            connect(self.front).close()
        except ConnectionRefusedError:
            return False
        return True

    def leave(self):
        """Stop listening, and end when the last session has."""
        self.process.send_signal(signal.SIGUSR1)

    def wait(self):
        return self.process.wait(20 * PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=10 * PATIENCE)
