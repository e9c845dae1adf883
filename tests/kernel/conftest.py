# SPDX-License-Identifier: Apache-2.0
"""Fixtures: networks of namespaces, a proxy in one of them, and a look at what was left behind."""

import os

import pytest
from harness.address import text
from harness.leftovers import Watch, programs_of
from harness.network import Network
from harness.peers import Backend, Listener
from harness.spliced import PingPong, Spliced
from harness.tools import PumpLoad, PumpServer

pytest_plugins = ["harness.fixtures"]

WHY = "NOT TESTED: the kernel's fast path needs root for namespaces and BPF programs"


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason=WHY))


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Each test leaves the machine as it found it, and gives the kernel no cause to complain."""
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture
def network(nothing_is_left):
    """network(mtu=..., family=..., one_link=..., sidecar=...)"""
    made = []

    def make(**options):
        net = Network(**options)
        made.append(net)
        nothing_is_left.inodes |= {namespace.inode for namespace in net.namespaces()}
        return net

    yield make
    for net in made:
        net.close()


@pytest.fixture
def splice(network, sluice, nothing_is_left, tmp_path):
    """splice(net=..., pool=..., listener=..., **top) gives a Spliced."""

    def make(net=None, **options):
        options.setdefault("directory", tmp_path)
        made = Spliced(net or network(), sluice, **options)
        nothing_is_left.programs |= programs_of(made.proxy.pid)
        return made

    return make


@pytest.fixture
def serve(keep):
    """serve(spliced) listens where the target is; with a handler it is a Backend."""

    def make(spliced, handler=None):
        with spliced.net.backend:
            if handler:
                return keep(Backend(handler, spliced.target))
            return keep(Listener(spliced.target))

    return make


@pytest.fixture
def pumped(keep):
    """pumped(spliced, up=..., down=..., ...) moves checked bytes; both tallies must be exact."""

    def move(spliced, **options):
        with spliced.net.backend:
            server = keep(PumpServer(text(spliced.target)))
        with spliced.net.client:
            load = keep(PumpLoad(spliced.front, **options))
        return server, load

    return move


@pytest.fixture
def pingpong(keep):
    """pingpong(spliced, at_once=..., total=..., turns=..., most=...): checked requests."""
    return lambda spliced, **options: keep(PingPong(spliced, **options))
