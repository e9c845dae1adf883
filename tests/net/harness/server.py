# SPDX-License-Identifier: Apache-2.0
"""Servers of the distribution, as children of ours."""

import subprocess
from pathlib import Path

from .address import connect
from .wait import eventually


def _listens(address):
    try:
        connect(address, timeout=1).close()
    except OSError:
        return False
    return True


class Server:
    """A server of the distribution, as a child of ours in a directory of its own."""

    def __init__(self, argv, address, directory, **options):
        self.address = address
        self.log = Path(directory) / "server.out"
        with open(self.log, "wb") as log:
            options = {"stdout": log, "stderr": log, "cwd": directory, **options}
            self.process = subprocess.Popen([str(a) for a in argv], **options)
        try:
            eventually(lambda: self._is_up(), f"{argv[0]} listens", 20)
        except AssertionError as error:
            self.close()
            raise AssertionError(f"{error}\n{self.log.read_text(errors='replace')}") from None

    def _is_up(self):
        assert self.process.poll() is None, "it ended"
        return _listens(self.address)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
