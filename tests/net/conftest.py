# SPDX-License-Identifier: Apache-2.0
"""The fixtures stand in the harness, since tests/aws has them too."""

pytest_plugins = ["harness.fixtures"]
