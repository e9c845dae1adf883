# SPDX-License-Identifier: Apache-2.0
"""sluicectl import-haproxy: what it writes, and that it behaves like HAProxy afterwards."""

import os
from collections import Counter
from pathlib import Path

import pytest
from harness import ctl
from harness.address import connect, free_port, text
from harness.haproxy import HAProxy
from harness.peers import name_of, read_all, read_exactly
from harness.proxyproto import read_header, v1
from harness.sluice import PATIENCE, run
from harness.tools import need
from harness.wait import eventually

FILES = Path(__file__).parent / "haproxy"
CFGS = sorted(FILES.glob("*.cfg"))


def convert(path, *options):
    """The finished process of an import."""
    return ctl.run("import-haproxy", path, *options)


# --- what it writes ---


def test_there_are_files_to_read():
    assert len(CFGS) >= 8


@pytest.mark.parametrize("cfg", CFGS, ids=lambda cfg: cfg.stem)
def test_a_real_file_becomes_what_stands_beside_it(cfg):
    """After a change on purpose: UPDATE_EXPECTED=1, and read the difference."""
    done = convert(cfg)
    expected = cfg.with_suffix(".yaml")
    assert done.returncode == 0, done.stderr
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(done.stdout)
    assert done.stdout == expected.read_text()


@pytest.mark.parametrize("cfg", CFGS, ids=lambda cfg: cfg.stem)
def test_what_it_becomes_is_accepted(cfg, tmp_path):
    out = tmp_path / "sluice.yaml"
    assert convert(cfg, "-o", out).returncode == 0
    checked = run("--check", out)
    assert checked.returncode == 0, checked.stderr


def test_strict_fails_if_anything_is_lost_and_only_then(tmp_path):
    """`minimal` has a note, but nothing that is lost."""
    assert convert(FILES / "minimal.cfg", "--strict").returncode == 0
    lossy = convert(FILES / "passthrough.cfg", "--strict", "--output", tmp_path / "out.yaml")
    assert lossy.returncode == 1
    assert "not carried: 6" in lossy.stderr
    assert run("--check", tmp_path / "out.yaml").returncode == 0


def test_every_line_that_is_lost_is_quoted_with_its_number():
    cfg = FILES / "passthrough.cfg"
    written = convert(cfg).stdout
    for number, line in enumerate(cfg.read_text().splitlines(), 1):
        if line.strip().startswith(("use_backend", "tcp-request", "acl")):
            assert f"# passthrough.cfg:{number}: {line.strip()}\n" in written


def test_a_file_of_mode_http_alone_is_refused_and_nothing_written(tmp_path):
    cfg, out = tmp_path / "http.cfg", tmp_path / "out.yaml"
    cfg.write_text("listen a\n mode http\n bind :80\n server a 127.0.0.1:1\n")
    done = convert(cfg, "-o", out)
    assert done.returncode == 1
    assert "nothing of mode tcp" in done.stderr
    assert not out.exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    done = convert(tmp_path / "none.cfg")
    assert done.returncode == 1
    assert "none.cfg: No such file" in done.stderr


# --- both on the same traffic ---


CFG = """
global
    nbthread 1
defaults
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
listen both
    bind {bind}
    {body}
"""


def ask(front, source=None, hold=None):
    """The name of the backend that one connection came to."""
    client = connect(front, source=source)
    name = read_exactly(client, 2)[:1].decode()
    if hold is None:
        client.close()
    else:
        hold.append(client)
    return name


class Named:
    """Backends by name, which do what `says(name)` gives; `now` has what runs."""

    def __init__(self, backend, names, says):
        self.now = set()
        self.says = says
        self.backends = {name: backend(self._handler(name)) for name in names}

    def _handler(self, name):
        say = self.says(name)

        def handler(sock, index):
            self.now.add(sock)
            try:
                say(sock, index)
            finally:
                self.now.discard(sock)

        return handler

    def close(self, name):
        self.backends[name].close()


@pytest.fixture
def both(sluice, backend, keep, tmp_path):
    """both(body, servers) -> {"haproxy": front, "sluice": front}, Named.

    `body` is the text of a listen section, `servers` what follows each server's address.
    """
    program = need("haproxy")

    def start(body, *servers, says=name_of):
        names = [chr(ord("a") + i) for i in range(len(servers))]
        named = Named(backend, names, says)
        lines = [body] + [
            f"server {name} {text(named.backends[name].address)} {more}"
            for name, more in zip(names, servers)
        ]
        fronts = {}
        for kind in ("haproxy", "sluice"):
            fronts[kind] = ("127.0.0.1", free_port())
            cfg = tmp_path / f"{kind}.cfg"
            cfg.write_text(CFG.format(bind=text(fronts[kind]), body="\n    ".join(lines)))
        keep(HAProxy(program, tmp_path / "haproxy.cfg", fronts["haproxy"]))
        done = convert(tmp_path / "sluice.cfg", "--strict")
        assert done.returncode == 0, done.stdout
        sluice(config=done.stdout)
        return fronts, named

    return start


def spreads(fronts, count, **options):
    return {
        kind: Counter(ask(front, **options) for _ in range(count)) for kind, front in fronts.items()
    }


def test_round_robin_gives_each_weight_its_share(both):
    fronts, _ = both("balance roundrobin", "weight 10", "weight 20", "weight 50")
    seen = spreads(fronts, 80)
    for kind in fronts:
        for name, share in {"a": 10, "b": 20, "c": 50}.items():
            assert abs(seen[kind][name] - share) <= 1, seen


def test_a_weight_of_zero_and_a_disabled_server_get_nothing(both):
    fronts, _ = both("balance roundrobin", "weight 5", "weight 0", "weight 5 disabled", "weight 5")
    seen = spreads(fronts, 40)
    for kind in fronts:
        assert set(seen[kind]) == {"a", "d"}, seen
        assert abs(seen[kind]["a"] - 20) <= 1, seen


def test_leastconn_fills_all_by_weight(both, keep):
    fronts, _ = both("balance leastconn", "weight 1", "weight 2", "weight 3")
    for kind, front in fronts.items():
        held = []
        seen = Counter(ask(front, hold=held) for _ in range(60))
        for client in held:
            keep(client)
        for name, share in {"a": 10, "b": 20, "c": 30}.items():
            assert abs(seen[name] - share) <= 1, (kind, seen)


def test_leastconn_spares_whoever_is_busy(both, keep):
    """One session is held; those that come and go are for the two others."""
    fronts, busy = both("balance leastconn", "", "", "")
    for kind, front in fronts.items():
        held = []
        spared = ask(front, hold=held)
        keep(*held)
        before = len(busy.now)
        seen = Counter()
        for _ in range(30):
            seen[ask(front)] += 1
            eventually(lambda: len(busy.now) <= before, "the last session is over")
        # A proxy may end a session a moment after the backend saw its end.
        assert seen[spared] <= 3, (kind, spared, seen)


def test_first_fills_one_server_before_the_next(both, keep):
    fronts, _ = both("balance first", "maxconn 4", "maxconn 4", "maxconn 4")
    for kind, front in fronts.items():
        held = []
        order = "".join(ask(front, hold=held) for _ in range(12))
        for client in held:
            keep(client)
        assert order == "aaaabbbbcccc", kind


def test_source_keeps_each_client_at_its_server(both):
    """Which one is another matter: they hash differently."""
    fronts, _ = both("balance source", "", "", "")
    clients = [f"127.0.1.{i}" for i in range(1, 25)]
    for kind, front in fronts.items():
        first = {client: ask(front, source=client) for client in clients}
        again = {client: ask(front, source=client) for client in clients}
        assert first == again, kind
        assert set(first.values()) == {"a", "b", "c"}, (kind, first)


def test_a_backup_is_used_when_nobody_else_is_there(both):
    check = "check inter 50ms fall 1 rise 1"
    fronts, named = both("balance roundrobin", check, check, f"{check} backup")
    for kind, front in fronts.items():
        # Sluice begins with its first checks.
        eventually(lambda f=front: {ask(f) for _ in range(20)} == {"a", "b"}, f"{kind} uses two")
    named.close("a")
    named.close("b")
    for kind, front in fronts.items():
        eventually(lambda f=front: _answer(f) == "c", f"{kind} uses the backup")
    for kind, seen in spreads(fronts, 20).items():
        assert set(seen) == {"c"}, kind


def test_nobody_is_used_when_all_are_down(both):
    """Sluice's own way would be to try them all; HAProxy's is to refuse. It does answer here."""
    fronts, _ = both("", f"check port {free_port()} inter 50ms fall 1 rise 1")
    for kind, front in fronts.items():
        eventually(lambda f=front: _answer(f) is None, f"{kind} refuses")


def _tell_header(_name):
    """A handler: say what the PROXY header in front said."""

    def handler(sock, _index):
        header = read_header(sock)
        sock.sendall(f"{header.version} {header.source} {header.destination}".encode())

    return handler


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_a_proxy_header_comes_in_and_goes_on(both, send):
    body = "tcp-request connection expect-proxy layer4 if { src 127.0.0.0/8 }"
    fronts, _ = both(body, send, says=_tell_header)
    told = {}
    for kind, front in fronts.items():
        with connect(front) as client:
            client.sendall(v1(("192.0.2.7", 4242), ("198.51.100.1", 443)))
            told[kind] = read_all(client).decode()
    version = 1 if send == "send-proxy" else 2
    said = f"{version} ('192.0.2.7', 4242) ('198.51.100.1', 443)"
    assert told == {"haproxy": said, "sluice": said}


def _answer(front):
    """As ask(), or None if nobody answers."""
    try:
        return ask(front)
    except (AssertionError, OSError):
        return None
