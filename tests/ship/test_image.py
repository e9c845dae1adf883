# SPDX-License-Identifier: Apache-2.0
"""The image: what is in it, and that its containers work as an engine would start them."""

import json
import stat
import subprocess

import pytest
from harness.address import connect, free_address, text
from harness.image import TOP, UID, Container, Image, build
from harness.peers import Backend, echo, read_exactly
from harness.tools import need_root, skip_sanitized
from harness.wait import eventually

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    need_root("to own files by the image's user, and to start containers")
    skip_sanitized("an image is made of the programs as they are shipped")
    return build(tmp_path_factory.mktemp("archive") / "image.tar")


@pytest.fixture(scope="module")
def image(archive, tmp_path_factory):
    return Image(archive, tmp_path_factory.mktemp("layout"))


@pytest.fixture(scope="module")
def root(image, tmp_path_factory):
    made = tmp_path_factory.mktemp("root")
    made.chmod(0o755)
    return image.unpack(made)


@pytest.fixture
def volume(root, tmp_path):
    """As an engine makes a new one: with the owner of the directory that it covers."""
    made = tmp_path / "volume"
    made.mkdir()
    owner = (root / "run/sluice").stat()
    made.chmod(stat.S_IMODE(owner.st_mode))
    subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", made], check=True)
    return made


@pytest.fixture
def start(root, volume, keep, image):
    """start("sluice", CONFIG={...}) gives a Container with the image's own environment."""
    own = dict(each.split("=", 1) for each in image.config["Env"] if not each.startswith("PATH="))

    def make(*command, config=None, **environment):
        if config:
            environment |= {"SLUICE_CONFIG": "env:CONFIG", "CONFIG": json.dumps(config)}
        return keep(Container(root, volume, *command, environment={**own, **environment}))

    return make


@pytest.fixture
def serve_http(keep):
    return lambda: keep(Backend(answer))


@pytest.fixture
def echo_server(keep):
    return keep(Backend(echo))


def answer(sock, _):
    """One HTTP request, one answer."""
    sock.recv(4096)
    sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")


def curl(address):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", f"http://{text(address)}/"],
                          capture_output=True, text=True)
    return done.stdout


def proxying(front, target=None, **top):
    pool = {"name": "back", "targets": [text(target)] if target else []}
    return {"listeners": [{"name": "front", "bind": text(front), "pool": "back"}],
            "pools": [pool], **top}


# --- what is in it ---


def test_it_says_how_it_is_to_be_run(image):
    config = image.config
    assert config["User"] == f"{UID}:{UID}"
    assert config["Entrypoint"] == ["sluice"]
    assert config["Healthcheck"]["Test"] == ["CMD", "sluicectl", "health"]
    assert "/run/sluice" in config["Volumes"]
    assert "PATH=/usr/bin" in config["Env"]
    assert config["StopSignal"] == "SIGTERM"


def test_it_is_small(image):
    assert image.compressed < 25 * MEGABYTE


def test_it_has_three_programs_and_nothing_to_run_them_from(image):
    members = {member.name.removeprefix("./"): member for member in image.members()}
    programs = {name for name in members if name.startswith("usr/bin/") and members[name].isfile()}
    assert programs == {"usr/bin/sluice", "usr/bin/sluice-control", "usr/bin/sluicectl"}
    assert not [name for name in members if name.rsplit("/", 1)[-1] in ("sh", "bash", "busybox")]
    assert not [name for name, member in members.items() if member.mode & 0o6000]
    assert "etc/ssl/certs/ca-certificates.crt" in members


def test_the_shared_directory_is_its_users(image):
    found = {member.name.removeprefix("./").rstrip("/"): member for member in image.members()}
    for path in ("run/sluice", "var/lib/sluice"):
        assert (found[path].uid, found[path].gid) == (UID, UID)
    writable = [name for name, member in found.items()
                if member.uid == UID or member.isfile() and member.mode & 0o022]
    assert sorted(writable) == ["run/sluice", "var/lib/sluice"]


def test_two_builds_are_the_same_byte_for_byte(archive, tmp_path):
    assert build(tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_the_containerfile_builds_from_the_same_files():
    """Its last stage is what was built here; its first must leave the files where that looks."""
    lines = (TOP / "packaging/image/Containerfile").read_text().splitlines()
    staging = [line for line in lines if "packaging/image/stage" in line and line.startswith("RUN")]
    assert len(staging) == 1 and staging[0].endswith("/staged")
    assert "COPY --from=build /staged/files/ /" in lines


# --- containers of it ---


def test_a_container_without_a_capability_proxies_and_says_once_what_it_lacks(start, serve_http):
    front, backend = free_address(), serve_http()
    held = start("sluice", config=proxying(front, backend.address, offload="auto"))
    eventually(lambda: curl(front) == "hello\n", "an answer through the container", 30)
    for field in ("CapEff", "CapPrm"):
        assert held.status(field) == ["0000000000000000"]
    assert held.status("Uid") == [str(UID)] * 4
    assert held.status("NSpid")[-1] == "1"
    assert held.said().count("offload_un") == 1, held.said()


def test_it_is_configured_by_variables_alone_and_its_health_check_sees_that(start, serve_http):
    front, backend = free_address(), serve_http()
    held = start("sluice", SLUICE_LISTEN=text(front), SLUICE_TARGETS=text(backend.address))
    eventually(lambda: curl(front) == "hello\n", "an answer through the container", 30)
    assert held.run("sluicectl", "health").returncode == 0


def test_an_unhealthy_container_is_told_by_its_health_check(start):
    held = start("sluice", config=proxying(free_address()))
    eventually(lambda: held.run("sluicectl", "health").returncode == 5, "unhealthy", 30)


def test_sigterm_lets_sessions_end_and_then_it_exits_with_0(start, echo_server):
    front = free_address()
    held = start("sluice", config=proxying(front, echo_server.address, drain_timeout="60s"))
    sock = eventually(lambda: try_connect(front), "the listener", 30)
    with sock:
        sock.sendall(b"before")
        assert read_exactly(sock, 6) == b"before"
        held.terminate()
        eventually(lambda: "drain" in held.said(), "it drains", 30)
        sock.sendall(b"after!")
        assert read_exactly(sock, 6) == b"after!"
        assert held.process.poll() is None
    assert held.process.wait(60) == 0, held.said()


def try_connect(address):
    try:
        return connect(address, timeout=30.0)
    except ConnectionRefusedError:
        return None


def test_both_daemons_share_the_volume(start, serve_http, volume):
    front, backend = free_address(), serve_http()
    config = proxying(front, admin={"socket": "/run/sluice/admin.sock"},
                      control={"socket": "/run/sluice/control.sock"})
    config["pools"][0]["discover"] = {"file": {"path": "/run/sluice/targets.json"}}
    del config["pools"][0]["targets"]
    (volume / "targets.json").write_text(json.dumps([{"address": text(backend.address)}]))
    proxy = start("sluice", config=config)
    control = start("sluice-control", config=config)
    eventually(lambda: curl(front) == "hello\n", "targets from the other container", 60)
    assert control.run("sluicectl", "discovery").returncode == 0
    for held in (control, proxy):
        held.terminate()
        assert held.process.wait(60) == 0, held.said()


def test_orphans_of_a_container_leave_no_zombie(start, serve_http):
    held = start("sluice", config=proxying(free_address(), serve_http().address))
    eventually(lambda: held.run("sluicectl", "health").returncode == 0, "healthy", 30)
    # A program that ends before its child, which PID 1 inherits; this host's shell, in its place.
    inside = ("nsenter", "-t", str(held.pid), "--pid")
    subprocess.run([*inside, "sh", "-c", "(sleep 0.05 &)"], check=True)
    children = f"/proc/{held.pid}/task/{held.pid}/children"
    eventually(lambda: not open(children, encoding="ascii").read().split(), "no child is left", 30)
