# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests with real processes: whatever a test starts through these is ended and judged when it is over."""

import faulthandler
import os
import signal
import socket
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from . import route as routes
from .ctl import FakeAdmin
from .ctl_answers import answers
from .openapi import Api
from .peers import Backend, BlackHole, Listener, Refusing
from .sluice import PATIENCE, Sluice
from .tools import PumpLoad, PumpServer


sys.path.append(str(Path(__file__).resolve().parents[2] / "lib"))  # fault.py


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: a long run, only with SOAK=1")
    config.addinivalue_line("markers", "alone: not beside others, which use up what it looks at")


def pytest_collection_modifyitems(items):
    if os.environ.get("SOAK"):
        return
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="a soak test: set SOAK=1"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test may hang: after three minutes (fifteen for a soak test) it fails where it stands. A helper of
    pytest-xdist that came up slowly runs tests beside its main thread, where no signal arrives: then
    the whole helper ends, with every thread's stack."""
    seconds = int((900 if "soak" in item.keywords else 180) * PATIENCE)
    if threading.current_thread() is not threading.main_thread():
        faulthandler.dump_traceback_later(seconds, exit=True)
        yield
        faulthandler.cancel_dump_traceback_later()
        return

    def too_long(_number, _frame):
        raise AssertionError("the test took too long")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show every proxy's stderr below a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for number, proxy in enumerate(getattr(item, "proxies", [])):
            report.sections.append((f"sluice {number} ({report.when})", proxy.report()))


@pytest.fixture
def sluice(request, tmp_path):
    """Start a proxy: sluice("--listen", ...) or sluice(config={...}). Exit status 0 is asserted."""
    started = request.node.proxies = []

    def start(*args, **options):
        options.setdefault("directory", tmp_path)
        proxy = Sluice.__new__(Sluice)
        started.append(proxy)
        try:
            proxy.__init__(*args, **options)
        except BaseException:
            if hasattr(proxy, "process"):
                proxy.kill()
            else:
                started.remove(proxy)
            raise
        return proxy

    yield start
    with ExitStack() as stack:
        for proxy in started:
            stack.callback(proxy.stop)


@pytest.fixture
def public_path():
    """As tmp_path, for processes that have become somebody else."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as path:
        os.chmod(path, 0o777)
        yield Path(path)


@pytest.fixture
def keep(sluice):
    """Close at the end of the test, before the proxies are stopped: sock = keep(connect(...))."""
    with ExitStack() as stack:

        def closing(*things):
            for thing in things:
                stack.callback(thing.close)
            return things[0] if len(things) == 1 else things

        yield closing


def _maker(kind):
    @pytest.fixture
    def make(keep):
        return lambda *args, **options: keep(kind(*args, **options))

    return make


backend = _maker(Backend)
listener = _maker(Listener)
refusing = _maker(Refusing)
black_hole = _maker(BlackHole)
pump_server = _maker(PumpServer)
pump_load = _maker(PumpLoad)


@pytest.fixture(params=routes.MODES)
def route(request, sluice):
    """A path in each relay mode and direct; see harness/route.py."""
    return routes.Route(request.param, sluice)


@pytest.fixture(params=routes.MODES[1:])
def proxied(request, sluice):
    """As `route`, for what only a proxy does."""
    return routes.Route(request.param, sluice)


@pytest.fixture
def pair(route, listener, keep):
    """pair() gives a client's and a backend's socket of one session over `route`."""
    server = listener()

    def make(**options):
        if route.front is None:
            route.to(server)
        return keep(*route.pair(server, **options))

    return make


@pytest.fixture
def admin(tmp_path):
    """An admin server of a small proxy; whatever it was asked must be what the real one knows."""
    fake = FakeAdmin(tmp_path / "admin.sock", answers())
    yield fake
    fake.close()
    for method, path, body in fake.requests:
        Api().check_request(method, path, body)


@pytest.fixture
def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")
