# SPDX-License-Identifier: Apache-2.0
"""One package in two directories: what is not found here is tests/net/harness's."""

from pathlib import Path

__path__.append(str(Path(__file__).resolve().parents[2] / "net" / "harness"))
