# SPDX-License-Identifier: Apache-2.0
"""Real clients and servers from the distribution: what they see is what they see direct."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.address import connect, free_address, text
from harness.peers import pattern
from harness.server import Server
from harness.sluice import PATIENCE
from harness.tools import need
from harness.wait import eventually


def _run(*argv, within=20, **options):
    result = subprocess.run(
        [str(a) for a in argv],
        stdin=options.pop("stdin", subprocess.DEVNULL) if "input" not in options else None,
        capture_output=True,
        timeout=within * PATIENCE,
        **options,
    )
    assert result.returncode == 0, f"{argv}: {result.stdout!r} {result.stderr!r}"
    return result.stdout


@pytest.fixture
def through(sluice):
    """through(address, relay) is another way to the same server: by a proxy, or `direct`."""

    def start(address, relay):
        if relay == "direct":
            return address
        front = free_address()
        args = ("--listen", text(front), "--target", text(address), "--relay", relay)
        sluice(*args, "--workers", "2")
        return front

    return start


RELAYS = ["direct", "auto", "copy", "splice"]
USUAL = ["direct", "auto"]

# ---- redis ----


@pytest.fixture
def redis(tmp_path, keep):
    address = free_address()
    argv = [need("redis-server"), "--port", address[1], "--bind", "127.0.0.1", "--save", ""]
    return keep(Server([*argv, "--appendonly", "no"], address, tmp_path))


def _redis_cli(address, *command, **options):
    return _run(need("redis-cli"), "-h", address[0], "-p", address[1], *command, **options)


@pytest.mark.parametrize("relay", RELAYS)
def test_redis_cli_reads_what_it_wrote(redis, through, relay):
    front = through(redis.address, relay)
    for size in (0, 1, 1000, 65536, 5_000_000):
        value = pattern(size).hex().encode()[:size]
        assert _redis_cli(front, "-x", "set", f"key{size}", input=value) == b"OK\n"
        assert _redis_cli(front, "get", f"key{size}") == value + b"\n"
        assert _redis_cli(redis.address, "get", f"key{size}") == value + b"\n"


@pytest.mark.parametrize("relay", USUAL)
def test_redis_cli_pipes_a_long_script(redis, through, relay):
    front = through(redis.address, relay)
    script = b"".join(b"SET k%d %s\r\n" % (i, b"v" * (1 + i % 500)) for i in range(20_000))
    out = _redis_cli(front, "--pipe", input=script)
    assert b"errors: 0, replies: 20000" in out
    assert _redis_cli(redis.address, "dbsize") == b"20000\n"


@pytest.mark.parametrize("relay", USUAL)
def test_a_redis_subscriber_hears_through_the_proxy(redis, through, relay):
    front = through(redis.address, relay)
    with connect(front) as subscriber:
        subscriber.sendall(b"SUBSCRIBE news\r\n")
        subscriber.recv(1000)
        for number in range(50):
            assert _publish(redis.address, number) == 1
            assert b"message" in subscriber.recv(1000)


def _publish(address, number):
    with connect(address) as client:
        client.sendall(b"PUBLISH news %d\r\n" % number)
        return int(client.recv(100)[1:])


@pytest.mark.parametrize("relay", USUAL)
@pytest.mark.parametrize("pipeline", [1, 32])
def test_redis_benchmark_completes(redis, through, pipeline, relay):
    front = through(redis.address, relay)
    argv = [need("redis-benchmark"), "-h", front[0], "-p", front[1], "-q", "-c", 50, "-n", 4000]
    out = _run(*argv, "-P", pipeline, "-d", 3000, "-t", "set,get,lpush", within=60)
    assert out.count(b"requests per second") == 3
    assert b"rror" not in out


# ---- postgresql ----


def _postgres_directory():
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return str(versions[0]) if versions else "/nonexistent"


@pytest.fixture
def postgres(tmp_path_factory, keep):
    """initdb and postgres refuse to be root, so they run as nobody in a directory of theirs."""
    binaries = _postgres_directory()
    initdb, server = need("initdb", binaries), need("postgres", binaries)
    place = Path(subprocess.check_output(["mktemp", "-d", "/tmp/sluice-pg-XXXXXX"], text=True).strip())
    identity = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "LC_ALL": "C.UTF-8"}
    try:
        options = {"cwd": place, "env": env, **identity}
        _run(initdb, "-D", place / "data", "-U", "tester", "-A", "trust", "-N", **options)
        address = free_address()
        argv = [server, "-D", place / "data", "-p", address[1], "-k", place, "-c", "fsync=off"]
        yield keep(Server([*argv, "-h", "127.0.0.1"], address, place, env=env, **identity))
    finally:
        keep(_Removal(place))


class _Removal:
    def __init__(self, place):
        self.place = place

    def close(self):
        shutil.rmtree(self.place, ignore_errors=True)


def _psql(address, query, **options):
    argv = [need("psql", _postgres_directory()), "-h", address[0], "-p", address[1]]
    argv += ["-U", "tester", "-d", "postgres", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    return _run(*argv, "-c", query, **options)


@pytest.mark.parametrize("relay", RELAYS)
def test_psql_sees_the_same_rows_as_direct(postgres, through, relay):
    front = through(postgres.address, relay)
    query = "select i, md5(i::text), repeat('x', i % 300) from generate_series(1, 60000) i"
    assert _psql(front, query) == _psql(postgres.address, query)
    big = "select repeat(md5('seed'), 500000)"
    assert _psql(front, big) == _psql(postgres.address, big)


@pytest.mark.parametrize("relay", USUAL)
def test_psql_copies_in_and_out_without_a_difference(postgres, through, relay):
    front = through(postgres.address, relay)
    rows = b"".join(b"%d\t%s\n" % (i, pattern(40, i * 40).hex().encode()) for i in range(50_000))
    _psql(front, "create table t (i int, v text)")
    argv = [need("psql", _postgres_directory()), "-h", front[0], "-p", front[1], "-U", "tester"]
    argv += ["-d", "postgres", "-X", "-q", "-c"]
    _run(*argv, "copy t from stdin", input=rows)
    assert _run(*argv, "copy (select * from t order by i) to stdout") == rows


@pytest.mark.parametrize("relay", USUAL)
def test_pgbench_completes_every_transaction(postgres, through, relay):
    front = through(postgres.address, relay)
    pgbench = [need("pgbench", _postgres_directory()), "-h", front[0], "-p", front[1]]
    pgbench += ["-U", "tester"]
    _run(*pgbench, "-i", "-q", "postgres", within=60)
    out = _run(*pgbench, "-c", 8, "-j", 2, "-t", 100, "postgres", within=60)
    assert b"actually processed: 800/800" in out
    out = _run(*pgbench, "-S", "-C", "-c", 4, "-t", 50, "postgres", within=60)
    assert b"actually processed: 200/200" in out, "with a new connection for each"


# ---- http ----


@pytest.fixture
def nginx(tmp_path, keep):
    binary, address = need("nginx"), free_address()
    (tmp_path / "files").mkdir()
    os.chmod(tmp_path, 0o755)
    for size in (0, 1, 1000, 70_000, 20_000_000):
        (tmp_path / "files" / str(size)).write_bytes(pattern(size))
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/err.log;\n"
        "events { worker_connections 2000; }\n"
        f"http {{ access_log off; client_max_body_size 0; root {tmp_path}/files;\n"
        f"  client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path};\n"
        f"  fastcgi_temp_path {tmp_path}; uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};\n"
        f"  server {{ listen 127.0.0.1:{address[1]}; }} }}\n"
    )
    return keep(Server([binary, "-p", tmp_path, "-c", conf], address, tmp_path))


@pytest.mark.parametrize("relay", RELAYS)
def test_curl_gets_every_file_exactly(nginx, through, relay):
    curl, front = need("curl"), through(nginx.address, relay)
    for size in (0, 1, 1000, 70_000, 20_000_000):
        for address in (front, nginx.address):
            assert _run(curl, "-sSf", f"http://{text(address)}/{size}") == pattern(size)
    ranged = _run(curl, "-sSf", "-r", "500-1499", f"http://{text(front)}/70000")
    assert ranged == pattern(70_000)[500:1500]


@pytest.mark.parametrize("relay", USUAL)
def test_curl_reuses_one_connection_for_many_requests(nginx, through, relay):
    curl, front = need("curl"), through(nginx.address, relay)
    urls = [f"http://{text(front)}/1000"] * 100
    assert _run(curl, "-sSf", *urls) == pattern(1000) * 100


def test_curl_sees_a_reset_and_not_an_empty_reply_when_nobody_listens(through, refusing):
    curl, dead = need("curl"), refusing()
    front = through(dead.address, "auto")
    result = subprocess.run([curl, "-sS", f"http://{text(front)}/"], capture_output=True)
    # CURLE_RECV_ERROR, or CURLE_COULDNT_CONNECT when the reset is that quick.
    assert result.returncode in (56, 7), "a reset, not an empty reply (52)"


@pytest.mark.parametrize("relay", USUAL)
@pytest.mark.parametrize("size", [1000, 70_000])
def test_wrk_sees_no_error(nginx, through, size, relay):
    wrk, front = need("wrk"), through(nginx.address, relay)
    out = _run(wrk, "-t", 2, "-c", 64, "-d", "2s", f"http://{text(front)}/{size}").decode()
    assert int(re.search(r"(\d+) requests in", out)[1]) > 500, out
    assert "Socket errors" not in out and "Non-2xx" not in out, out
