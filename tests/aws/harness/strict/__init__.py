# SPDX-License-Identifier: Apache-2.0
"""AWS as strict as it really is, for what Moto does not do; see server.py."""

from .account import Account
from .faults import Fault
from .server import Strict

__all__ = ["Account", "Fault", "Strict"]
