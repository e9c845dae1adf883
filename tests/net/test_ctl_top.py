# SPDX-License-Identifier: Apache-2.0
"""sluicectl at a terminal: the live view, and what a terminal changes about the rest."""

import os
import re
import signal

import pytest
from harness.ctl import OK, UNREACHABLE, USAGE, FakeAdmin, Terminal, run
from harness.ctl_answers import answers, pool, status, target
from harness.wait import eventually

SECOND_SCREEN, FIRST_SCREEN, CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


@pytest.fixture
def terminal(admin, keep):
    return lambda *args, **options: keep(Terminal(*args, admin=admin.path, **options))


@pytest.fixture
def top(terminal):
    """top() is a live view that has drawn its first picture."""

    def start(*args, **options):
        view = terminal("top", "--interval", "100ms", *args, **options)
        eventually(lambda: "10.0.0.1:80" in view.read(), "a picture")
        return view

    return start


def pictures(view):
    """All that were drawn, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\x1b\[K|\r", "", view.read())
    return [part.split("\x1b[J")[0] for part in plain.split("\x1b[H")[1:]]


def restored(view):
    return view.read().rfind(FIRST_SCREEN) > view.text.rfind(SECOND_SCREEN) and (
        CURSOR in view.text and view.mode() == view.before
    )


def test_top_shows_the_proxy_its_pools_and_targets(top):
    view = top()
    picture = eventually(lambda: [p for p in pictures(view) if "web" in p], "a whole one")[0]
    for part in ("pid 4711", "6 open", "POOL", "2/2", "10.0.1.1:8080", "down", "it is down"):
        assert part in picture, part


def test_top_measures_rates_between_two_answers(top, admin):
    counts = [status()["totals"]]

    def growing():
        counts.append({**counts[-1], "sessions": counts[-1]["sessions"] + 100})
        return status(totals=counts[-1])

    admin.answers["GET /v1/status"] = growing
    view = top()
    rates = eventually(
        lambda: [int(r) for r in re.findall(r"(\d+)/s  [▁-█]", pictures(view)[-1]) if int(r)],
        "a rate with a sparkline",
    )
    assert 100 <= rates[0] <= 1000, "100 sessions in 100 ms or somewhat more"


def test_top_leaves_by_q_with_the_terminal_as_it_was(top):
    view = top()
    assert SECOND_SCREEN in view.text
    assert view.mode() != view.before
    view.type("q")
    assert view.wait_exit() == OK
    assert restored(view)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_top_restores_the_terminal_when_interrupted(top, number):
    view = top()
    os.kill(view.process.pid, number)
    assert view.wait_exit() == OK
    assert restored(view)


def test_ctrl_c_is_an_interrupt(top):
    view = top()
    view.type("\x03")
    assert view.wait_exit() == OK
    assert restored(view)


def test_top_sorts_by_what_s_chooses(top, admin):
    admin.answers["GET /v1/pools/web"]["members"] = [target("10.0.1.1:8080", 3, "web", open=99)]
    view = top()
    view.type("ss")
    picture = eventually(
        lambda: [p for p in pictures(view) if "by open" in p.splitlines()[0]], "sorted by open"
    )[-1]
    assert picture.index("10.0.1.1:8080") < picture.index("10.0.0.1:80")


def test_top_scrolls(top):
    view = top()
    view.type("\x1b[B")
    eventually(
        lambda: "10.0.0.2:80" in pictures(view)[-1] and "10.0.0.1:80" not in pictures(view)[-1],
        "the second target is the first line",
    )
    view.type("k")
    eventually(lambda: "10.0.0.1:80" in pictures(view)[-1], "back")


def test_top_is_held_by_space(top, admin):
    view = top()
    view.type(" ")
    eventually(lambda: "held" in pictures(view)[-1].splitlines()[0], "it says so")
    asked = len(admin.requests)
    view.type(" ")
    eventually(lambda: len(admin.requests) > asked, "it goes on")


@pytest.mark.parametrize("columns, rows", [(100, 30), (60, 12), (30, 6)])
def test_no_line_is_longer_than_the_screen_and_no_picture_higher(top, columns, rows):
    view = top(columns=columns, rows=rows)
    for picture in pictures(view):
        lines = picture.split("\n")
        assert len(lines) <= rows
        assert max(map(len, lines)) <= columns, lines


def test_top_follows_the_size_of_the_window(top):
    view = top(columns=100, rows=30)
    view.resize(50, 10)
    os.kill(view.process.pid, signal.SIGWINCH)
    eventually(
        lambda: max(map(len, pictures(view)[-1].split("\n"))) <= 50
        and len(pictures(view)[-1].split("\n")) <= 10,
        "a smaller picture",
    )


def test_a_proxy_that_goes_away_is_told_in_the_picture(top, admin):
    view = top()
    admin.close()
    eventually(lambda: "trying again" in pictures(view)[-1], "trouble is shown")
    again = FakeAdmin(admin.path, answers())
    eventually(lambda: "pid 4711" in pictures(view)[-1], "and its end")
    view.type("q")
    assert view.wait_exit() == OK
    again.close()


def test_top_that_reaches_nobody_never_takes_the_screen(keep, tmp_path):
    view = keep(Terminal("top", admin=tmp_path / "none.sock"))
    assert view.wait_exit() == UNREACHABLE
    assert SECOND_SCREEN not in view.read() and "none.sock" in view.text


def test_top_once_prints_one_picture_without_a_terminal(admin):
    result = run("top", "--once", "--interval", "100ms", "--pool", "api", admin=admin.path)
    assert result.returncode == OK
    assert "10.0.0.2:80" in result.stdout and "10.0.1.1" not in result.stdout
    assert "\x1b" not in result.stdout
    refused = run("top", admin=admin.path)
    assert refused.returncode == USAGE and "--once" in refused.stderr


# ---- tables at a terminal ----


def test_colours_are_for_terminals_that_want_them(terminal, admin):
    assert "\x1b[" not in run("targets", admin=admin.path).stdout
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        view = terminal("targets", env=env)
        assert view.wait_exit() == OK
        assert ("\x1b[" in view.text) is coloured, env


@pytest.mark.parametrize("columns", [120, 80, 60, 40])
def test_tables_fit_the_width(terminal, admin, columns):
    long = "a reason that is far too long for " * 5
    admin.answers["GET /v1/pools/api"]["members"][1]["reason"] = long
    view = terminal("targets", columns=columns, env={"NO_COLOR": "1"})
    assert view.wait_exit() == OK
    lines = view.text.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= columns, lines
    assert all("10.0." in line for line in lines[1:])


def test_ascii_locales_get_ascii(terminal, admin):
    admin.answers["GET /v1/pools"] = {"pools": [pool("p" * 100)]}
    view = terminal("pools", columns=60, env={"LC_ALL": "C"})
    assert view.wait_exit() == OK
    assert "p~" in view.text and "…" not in view.text
