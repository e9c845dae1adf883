# SPDX-License-Identifier: Apache-2.0
"""Everything the network tests share; see sluice.py, peers.py, route.py and tools.py."""
