# SPDX-License-Identifier: Apache-2.0
"""One package in three directories: what is not found here is tests/net/harness's, or
tests/kernel/harness's."""

from pathlib import Path

for _tests in ("net", "kernel"):
    __path__.append(str(Path(__file__).resolve().parents[2] / _tests / "harness"))
