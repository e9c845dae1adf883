# SPDX-License-Identifier: Apache-2.0
"""Sets that were pushed: remembered ones, and what becomes of them when processes come and go."""

import signal
import socket

import pytest
from harness.address import connect, free_address, text
from harness.admin import Admin, Doors, stopped_thread
from harness.conf import simple
from harness.peers import read_all
from harness.wait import eventually

CHECK = {"type": "tcp", "interval": "200ms", "fast_interval": "50ms", "timeout": "1s"}


class Pushed:
    """A proxy whose pool has no target but those that are pushed."""

    def __init__(self, sluice, directory, top=None, **pool):
        self.sluice, self.directory, self.front = sluice, directory, free_address()
        self.doors = Doors(directory)
        self.pool = {"name": "back", "discover": {"dns": {"name": "a.test", "port": 1}}, **pool}
        self.top = top or {}
        self.proxy = self.start()
        self.admin = self.doors.full()

    def config(self):
        conf = simple(text(self.front), admin=self.doors.conf, workers=2, **self.top)
        conf["pools"] = [self.pool]
        conf["listeners"][0]["pool"] = self.pool["name"]
        return conf

    def start(self, *args):
        return self.sluice(*args, config=self.config(), directory=self.directory)

    def put(self, source, generation, servers, **more):
        """`servers` by their id; returns how it was answered."""
        targets = [{"id": id_, "address": text(at.address)} for id_, at in servers.items()]
        body = {"generation": generation, "targets": targets, **more}
        path = f"/v1/pools/{self.pool['name']}/sources/{source}"
        return self.admin.do("PUT", path, body)["result"]

    def members(self):
        return {member["id"]: member for member in self.admin.targets("back").values()}

    def sources(self):
        sources = self.admin.get("/v1/pools/back")["sources"]
        return {each["name"]: each for each in sources if each["name"] != "config"}

    def who(self):
        """Who answers a new session, or "" if nobody does."""
        try:
            with connect(self.front) as sock:
                sock.settimeout(5)
                sock.shutdown(socket.SHUT_WR)
                return read_all(sock).decode()
        except OSError:
            return ""


@pytest.fixture
def pushed(sluice, tmp_path):
    return lambda **pool: Pushed(sluice, tmp_path, **pool)


@pytest.fixture
def named(backend):
    """named("a") starts a backend that says so to whoever comes, whether they listen or not."""

    def start(name):
        def handler(sock, _index):
            try:
                sock.sendall(name.encode())
                while sock.recv(65536):
                    pass
            except OSError:
                pass

        return backend(handler)

    return start


class Gone:
    """An address that refuses."""

    def __init__(self):
        self.address = free_address()


# ---- remembered ----


def test_a_remembered_target_serves_once_its_check_passed(pushed, named):
    rig = pushed(health=CHECK)
    rig.put("dns", 1, {"a": named("a"), "gone": Gone()}, unverified=True)
    eventually(lambda: rig.who() == "a", "the one that is there serves")
    gone = eventually(
        lambda: (m := rig.members()["gone"])["health"]["failed"] and m, "the other one is checked"
    )
    assert gone["unverified"] and gone["effective_weight"] == 0 and gone["state"] == "down"
    assert not rig.members()["a"]["unverified"]
    assert rig.sources()["dns"]["unverified"]


def test_nobody_is_sent_to_a_remembered_target_that_never_passed(pushed, named):
    """Not even in panic: somebody else may have its address by now."""
    server = named("stranger")
    check = {**CHECK, "type": "send_expect", "send": "?", "expect": "never"}
    rig = pushed(health=check)
    rig.put("dns", 1, {"a": server}, unverified=True)
    eventually(lambda: rig.members()["a"]["health"]["failed"], "its checks fail")
    assert rig.who() == ""
    explained = rig.admin.get("/v1/targets/a/explain")
    assert explained["unverified"] and "down" in explained["reason"]
    rig.put("dns", 2, {"a": server})
    eventually(lambda: rig.who() == "stranger", "vouched for, it is used in panic")


def test_without_a_check_remembered_targets_serve_and_it_is_said(pushed, named):
    rig = pushed()
    rig.put("dns", 1, {"a": named("a")}, unverified=True)
    assert rig.who() == "a"
    (event,) = rig.admin.events("unverified")
    assert event["level"] == "warn" and "no health check" in event["text"]


# ---- read back ----


def test_a_set_is_read_back_as_it_was_pushed(pushed, named):
    rig = pushed()
    servers = {"a": named("a"), "b": named("b")}
    wanted = [
        {"id": "a", "weight": 7, "zone": "z1", "backup": True, "max_connections": 3},
        {"id": "b", "weight": 0, "zone": None, "draining": True},
    ]
    targets = [{**each, "address": text(servers[each["id"]].address)} for each in wanted]
    path = "/v1/pools/back/sources/"
    rig.admin.do("PUT", path + "other", {"generation": 3, "targets": targets[:1]})
    rig.admin.do("PUT", path + "dns", {"generation": 9, "targets": targets})
    rig.put("other", 4, {"a": servers["a"]})
    listed = {
        id_: {each["source"]: each for each in member["listings"]}
        for id_, member in rig.members().items()
    }
    defaults = {"weight": 100, "zone": None, "backup": False, "max_connections": 0}
    defaults["draining"] = False
    assert listed["a"]["other"] == {"source": "other", **defaults}
    for each in wanted:
        expected = {**defaults, **each, "source": "dns"}
        del expected["id"]
        assert listed[each["id"]]["dns"] == expected
    sources = rig.sources()
    assert (sources["dns"]["generation"], sources["dns"]["kind"]) == (9, "dns")
    assert (sources["other"]["generation"], sources["other"]["kind"]) == (4, None)


# ---- processes come and go ----


def test_a_reload_keeps_what_was_pushed(pushed, named):
    rig = pushed()
    rig.put("dns", 5, {"a": named("a")})
    rig.pool["retries"] = 1
    rig.proxy.reload(rig.config())
    assert rig.who() == "a"
    assert rig.sources()["dns"]["generation"] == 5


def test_a_reload_that_failed_had_taken_nothing(pushed, named):
    """It removes the pool; but a worker stands still, so that nobody could be told."""
    rig = pushed(health=CHECK)
    rig.put("dns", 5, {"a": named("a")})
    eventually(lambda: rig.who() == "a", "it serves")
    key = rig.members()["a"]["key"]
    there, other = rig.config(), rig.config()
    other["pools"][0] = {"name": "other", "targets": [text(named("other").address)]}
    other["listeners"][0]["pool"] = "other"
    with stopped_thread(rig.proxy, "worker-1"):
        rig.proxy.write_config(other)
        rig.proxy.signal(signal.SIGHUP)
        rig.proxy.wait_event("reload_failed", within=30)
    rig.proxy.write_config(there)
    assert rig.members()["a"]["key"] == key and rig.members()["a"]["state"] == "serving"
    assert rig.sources()["dns"]["generation"] == 5
    eventually(lambda: rig.who() == "a", "it serves still")


def test_a_successor_serves_by_what_its_predecessor_was_pushed(pushed, named):
    """With nobody there to push it again."""
    rig = pushed(health=CHECK)
    rig.put("dns", 5, {"a": named("a")})
    rig.put("other", 2, {"b": named("b"), "gone": Gone()}, unverified=True)
    eventually(lambda: not rig.members()["b"]["unverified"], "b is verified")
    before = rig.proxy
    rig.proxy = rig.start("--replace")
    assert before.wait_exit() == 0
    assert rig.admin.get("/v1/status")["pid"] == rig.proxy.pid
    assert {name: each["generation"] for name, each in rig.sources().items()} == {
        "dns": 5,
        "other": 2,
    }
    assert rig.sources()["dns"]["kind"] == "dns"
    assert rig.members()["gone"]["unverified"] and not rig.members()["b"]["unverified"]
    assert Admin(rig.doors.probe).ask("GET", "/readyz").status == 200
    assert {rig.who() for _ in range(8)} == {"a", "b"}


def test_a_successor_leaves_behind_what_is_not_discovered_any_more(pushed, named):
    rig = pushed()
    rig.put("dns", 5, {"a": named("a")})
    rig.put("script", 2, {"b": named("b")})
    before = rig.proxy
    del rig.pool["discover"]
    rig.pool["targets"] = []
    rig.proxy = rig.start("--replace")
    assert before.wait_exit() == 0
    assert list(rig.sources()) == ["script"]
    assert rig.who() == "b"


def test_a_successor_whose_predecessor_says_nothing_starts_all_the_same(pushed, named):
    rig = pushed(targets=[text(named("static").address)])
    before = rig.proxy
    rig.doors.path.unlink()
    rig.proxy = rig.start("--replace")
    assert rig.proxy.events("sources_not_inherited")
    assert before.wait_exit() == 0
    assert rig.who() == "static"


def test_who_waits_for_events_learns_of_a_successor(pushed):
    rig = pushed()
    last = rig.admin.get("/v1/events?limit=0")["last_id"]
    connection = rig.admin.connection()
    connection.request("GET", f"/v1/events?after={last + 1000}&wait_s=30")
    rig.proxy = rig.start("--replace")
    answer = connection.getresponse()
    assert answer.status == 503 and answer.headers["Connection"] == "close"
    connection.close()


# ---- readiness ----


def readyz(rig):
    return Admin(rig.doors.probe).ask("GET", "/readyz")


def test_a_discovered_pool_is_not_ready_before_its_first_set(pushed, named):
    rig = pushed()
    assert readyz(rig).status == 503
    assert "waits for its first set" in readyz(rig).json["reason"]
    rig.put("dns", 1, {"a": named("a")}, unverified=True)
    assert readyz(rig).status == 200


def test_start_wait_is_the_longest_that_readiness_waits(pushed):
    rig = pushed(top={"start_wait": "1s"})
    eventually(lambda: readyz(rig).status == 200, "the ceiling")
    assert rig.who() == ""
