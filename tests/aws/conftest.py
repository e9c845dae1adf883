# SPDX-License-Identifier: Apache-2.0
"""Fixtures: simulated AWS in two kinds, and a proxy with its daemon on top of either."""

import pytest
from harness.ca import Authority
from harness.moto import Moto
from harness.pair import Pair
from harness.strict import Strict

pytest_plugins = ["harness.fixtures"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA of the tests' own."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def moto_process(tmp_path_factory):
    server = Moto(tmp_path_factory.mktemp("moto"))
    yield server
    server.close()


@pytest.fixture
def moto(moto_process):
    """A simulator that has nothing yet."""
    moto_process.reset()
    return moto_process


@pytest.fixture
def strict():
    double = Strict()
    yield double
    double.close()


@pytest.fixture
def strict_maker():
    """strict_maker(hasten=400)"""
    made = []

    def make(**options):
        made.append(Strict(**options))
        return made[-1]

    yield make
    for double in made:
        double.close()


@pytest.fixture
def pair(sluice, tmp_path):
    """pair(endpoint, pools, ...) gives a Pair, both programs started; see harness/pair.py."""
    made = []

    def make(endpoint, pools, **options):
        options.setdefault("directory", tmp_path)
        made.append(Pair(sluice, endpoint, pools, **options))
        return made[-1].start()

    yield make
    for each in made:
        each.close()
