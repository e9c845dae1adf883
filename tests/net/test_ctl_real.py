# SPDX-License-Identifier: Apache-2.0
"""sluicectl against a real proxy: what it says is so, and what it changes takes effect."""

import json
import re
import signal

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.ctl import OK, REFUSED, TIMED_OUT, UNHEALTHY, UNREACHABLE, Terminal, run, start
from harness.peers import echo, read_exactly
from harness.sluice import PATIENCE
from harness.wait import eventually


class Served:
    """A proxy with an admin socket in front of two echoing backends."""

    def __init__(self, sluice, backend, keep, path, **sections):
        self.front, self.path, self.keep = free_address(), path, keep
        self.backends = [backend(echo) for _ in range(2)]
        self.names = [text(b.address) for b in self.backends]
        # One worker takes turns among the targets; several would each take their own.
        sections = {"workers": 1, "admin": {"socket": str(path)}, **sections}
        self.config = simple(text(self.front), *self.names, **sections)
        self.proxy = sluice(config=self.config)

    def ctl(self, *args, code=OK, **options):
        """Its output; the exit status must be `code`."""
        result = run(*args, admin=self.path, **options)
        assert result.returncode == code, result
        return result.stdout if code == OK else result.stderr

    def json(self, *args):
        return json.loads(self.ctl(*args, "--json"))

    def client(self):
        """One that has talked to a backend."""
        sock = self.keep(connect(self.front))
        sock.sendall(b"hello")
        assert read_exactly(sock, 5) == b"hello"
        return sock

    def target(self, index):
        return self.json("explain", self.names[index])


@pytest.fixture
def served(sluice, backend, keep, tmp_path):
    return lambda **sections: Served(sluice, backend, keep, tmp_path / "admin.sock", **sections)


def test_every_look_at_a_real_proxy_is_printed(served):
    proxy = served()
    proxy.client()
    assert f"pid {proxy.proxy.pid}" in proxy.ctl("status")
    for verb in ("status", "pools", "sessions", "events", "sources", "targets"):
        assert proxy.ctl(verb) and proxy.json(verb)
    for name in proxy.names:
        assert re.search(rf"{re.escape(name)} +serving", proxy.ctl("targets"))
    assert "config" in proxy.ctl("sources")
    assert proxy.ctl("health") == "healthy\n"
    assert proxy.names[1] in proxy.ctl("top", "--once", "--interval", "100ms")


def test_a_drained_target_gets_nothing_new_until_it_is_undrained(served):
    proxy = served()
    assert "draining" in proxy.ctl("drain", proxy.names[0], "--why", "kernel update")
    for _ in range(6):
        proxy.client()
    assert proxy.target(0)["sessions"] == 0 and proxy.target(1)["sessions"] == 6
    assert "kernel update" in proxy.ctl("explain", proxy.names[0])
    assert "serving" in proxy.ctl("undrain", proxy.names[0])
    for _ in range(6):
        proxy.client()
    assert proxy.target(0)["sessions"] > 0


def test_drain_waits_for_the_last_session(served):
    proxy = served()
    clients = [proxy.client() for _ in range(2)]
    assert proxy.target(0)["open"] == 1
    assert "1 open session" in proxy.ctl("drain", proxy.names[0], "--wait=300ms", code=TIMED_OUT)
    waiting = start("drain", proxy.names[0], "--wait=20s", admin=proxy.path)
    for client in clients:
        client.close()
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == OK, err
    assert "0 open sessions" in out


def test_maintenance_and_weights_are_words_of_an_operator(served):
    proxy = served()
    assert "maintenance" in proxy.ctl("maint", proxy.names[0], "--for", "1h")
    override = proxy.target(0)["override"]
    assert override["kind"] == "maintenance" and override["until"]
    assert "uid" in override["who"]
    proxy.ctl("undrain", proxy.names[0])
    proxy.ctl("set-weight", proxy.names[0], "7")
    assert proxy.target(0)["override"]["weight"] == 7
    proxy.ctl("set-weight", proxy.names[0], "default")
    assert proxy.target(0)["override"] is None


def test_a_target_is_added_used_and_removed(served, backend):
    proxy = served()
    third = text(backend(echo).address)
    assert third in proxy.ctl("add-target", "back", third, "--zone", "z1")
    for _ in range(6):
        proxy.client()
    # Its turn among three comes at most one session earlier or later than every third.
    assert proxy.json("explain", third)["sessions"] in (1, 2, 3)
    assert "already" in proxy.ctl("add-target", "back", third, code=REFUSED)
    assert "removed" in proxy.ctl("remove-target", third)
    assert proxy.ctl("remove-target", proxy.names[0], code=REFUSED)


def test_a_source_puts_its_whole_set(served, backend):
    proxy = served()
    third = text(backend(echo).address)
    put = ("put-targets", "back", "deploy", "-")
    assert "applied: generation 1" in proxy.ctl(*put, stdin=json.dumps([{"address": third}]))
    assert "deploy" in proxy.ctl("sources", "back")
    assert "applied: generation 2" in proxy.ctl(*put, stdin="[]")
    assert "removed" in proxy.ctl("explain", third)
    wrong = json.dumps([{"address": third, "wieght": 1}])
    assert "wieght" in proxy.ctl(*put, stdin=wrong, code=REFUSED)


def test_sessions_are_listed_and_killed(served):
    proxy = served()
    client = proxy.client()
    (session,) = proxy.json("sessions")["sessions"]
    assert session["client"] == text(client.getsockname())
    assert text(client.getsockname()) in proxy.ctl("sessions", "--top", "--pool", "back")
    proxy.ctl("kill-session", session["id"], "--rst")
    with pytest.raises(ConnectionResetError):
        while client.recv(1):
            pass
    assert proxy.ctl("kill-session", "999999999", code=REFUSED)


def test_all_sessions_of_a_target_are_closed(served):
    proxy = served()
    clients = [proxy.client() for _ in range(4)]
    assert "closing 2 sessions" in proxy.ctl("close-sessions", proxy.names[0], "--rst", "--wait=10s")
    assert proxy.target(0)["open"] == 0 and proxy.target(1)["open"] == 2
    assert len(clients) == 4


def test_a_paused_listener_accepts_nothing_until_it_is_resumed(served):
    proxy = served()
    assert "front is paused" in proxy.ctl("listener", "pause", "front")
    assert "paused" in proxy.ctl("status")
    waiting = proxy.keep(connect(proxy.front))
    waiting.sendall(b"hello")
    assert proxy.json("status")["listeners"][0]["accepted"] == 0
    assert "front is listening" in proxy.ctl("listener", "resume", "front")
    assert read_exactly(waiting, 5) == b"hello"
    assert proxy.ctl("listener", "pause", "frond", code=REFUSED)


def test_a_reload_takes_effect_or_says_every_mistake(served):
    proxy = served()
    proxy.proxy.write_config({**proxy.config, "retries": 1, "lame_duck": "1s"})
    before = proxy.json("status")["generation"]
    mistakes = proxy.ctl("reload", code=REFUSED)
    assert re.search(r"\.yaml:\d+:\d+: .*retries", mistakes)
    assert proxy.json("status")["generation"] == before
    proxy.proxy.write_config({**proxy.config, "lame_duck": "1s"})
    assert "reloaded: generation" in proxy.ctl("reload")
    assert proxy.json("status")["generation"] > before


def test_events_tell_who_changed_what(served):
    proxy = served()
    following = start("events", "--follow", "--json", admin=proxy.path)
    proxy.ctl("drain", proxy.names[0], "--why", "a test")
    seen = []
    while not any("a test" in event["text"] for event in seen):
        seen.append(json.loads(following.stdout.readline()))
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=10 * PATIENCE)
    assert proxy.names[0] in {event["target"] for event in seen}
    assert "a test" in proxy.ctl("events", "--target", proxy.names[0])


def test_an_unhealthy_pool_is_said_to_be(served):
    proxy = served()
    for name in proxy.names:
        proxy.ctl("maint", name)
    result = run("health", admin=proxy.path)
    assert result.returncode == UNHEALTHY
    assert "pool back has no usable target" in result.stdout


def test_a_target_that_died_is_explained(served):
    checked = {"type": "tcp", "interval": "200ms", "fast_interval": "100ms", "timeout": "100ms"}
    proxy = served(pool={"health": checked, "max_ejected": "50%"})
    eventually(lambda: proxy.target(0)["state"] == "serving", "its first check went well")
    proxy.backends[0].close()
    eventually(lambda: proxy.target(0)["state"] == "down", "checks fail")
    why = proxy.ctl("explain", proxy.names[0])
    assert "refused" in why and "in a row failed" in why
    assert re.search(rf"{re.escape(proxy.names[0])} +down .*refused", proxy.ctl("targets"))
    assert "refused" in proxy.ctl("events", "--target", proxy.names[0])
    assert proxy.ctl("health") == "healthy\n", "the other target serves"


def test_a_drained_proxy_is_gone_when_the_wait_is_over(served):
    proxy = served()
    client = proxy.client()
    waiting = start("drain", "--self", "--wait=20s", admin=proxy.path)
    eventually(lambda: "serving" not in proxy.ctl("status"), "it drains")
    client.close()
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == OK, err
    assert proxy.proxy.wait_exit() == 0
    assert proxy.ctl("status", code=UNREACHABLE)


def test_a_drain_is_taken_back_while_the_duck_is_lame(served):
    proxy = served(lame_duck="30s")
    assert "lame_duck" in proxy.ctl("drain", "--self")
    assert run("health", admin=proxy.path).returncode == UNHEALTHY
    assert proxy.ctl("undrain", "--self")
    assert proxy.ctl("health") == "healthy\n"
    proxy.client()


def test_targets_and_pools_complete_from_the_real_socket(served):
    proxy = served()
    assert proxy.ctl("__complete", "targets", "b") == "back\n"
    offered = proxy.ctl("__complete", "drain", "127.")
    assert [line.split("\t")[0] for line in offered.splitlines()] == proxy.names


def test_top_watches_a_real_proxy(served):
    proxy = served()
    view = proxy.keep(Terminal("top", "--interval", "100ms", admin=proxy.path))
    eventually(lambda: proxy.names[0] in view.read(), "a picture")
    proxy.ctl("drain", proxy.names[0])
    eventually(lambda: "draining" in view.read(), "what changed")
    view.type("q")
    assert view.wait_exit() == OK
