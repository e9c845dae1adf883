# SPDX-License-Identifier: Apache-2.0
"""The guard at the door: who is let in, amid a flood and otherwise, and what is left when it goes."""

import socket
import threading

import pytest
from harness.flood import syn
from harness.guarded import BACKEND_PORT, DEVICE, FRONT_PORT, Guarded, PrivateBpffs
from harness.namespace import run
from harness.peers import Backend, echo, pattern, read_exactly
from harness.wait import eventually

TCP_INFO_OPTIONS = 5  # offset of tcpi_options; then snd_wscale and rcv_wscale, four bits each
TIMESTAMPS, SACK, SCALE = 1, 2, 4


# In mounts of its own, where the machine's bpf file system, if it has one, is not to be seen.
UNMOUNTED = ("unshare", "-m", "sh", "-c",
             'while umount -l /sys/fs/bpf 2>/dev/null; do :; done; exec "$@"', "-")


@pytest.fixture
def guarded(network, sluice, keep, tmp_path):
    """guarded({...}, net=...) is not started yet; an echo stands behind it."""

    def make(guard, net=None, **options):
        made = Guarded(net or network(), sluice, tmp_path, guard, **options)
        with made.net.backend:
            keep(Backend(echo, made.target))
        made.net.proxy.sysctl(tcp_syncookies=2, tcp_timestamps=2)
        return made

    return make


@pytest.fixture
def bpffs(keep):
    return keep(PrivateBpffs())


@pytest.fixture
def other_program(tmp_path):
    """An object file with an XDP program of somebody else, which passes everything."""
    source, program = tmp_path / "other.c", tmp_path / "other.o"
    source.write_text('__attribute__((section("xdp"))) int other(void *ctx) { return 2; }\n')
    run("clang", "-O2", "-target", "bpf", "-c", source, "-o", program)
    return program


def _attach(namespace, device, program, mode="xdp"):
    """In mounts of its own: ip(8) mounts a bpf file system where there is none, and leaves it."""
    namespace.run("unshare", "-m", "ip", "link", "set", device, mode, "obj", program, "sec", "xdp")


DENY = {"deny": ["10.77.1.0/24", "fd77:1::/64"]}


def _kernel_cookies(net):
    """SYNs that the kernel itself answered with a cookie."""
    names, values = [line.split() for line in
                     net.proxy.run("cat", "/proc/net/netstat").splitlines()
                     if line.startswith("TcpExt")]
    return int(dict(zip(names, values))["SyncookiesSent"])


# ---- floods ----


@pytest.mark.parametrize("mode", ("native", "generic"))
@pytest.mark.parametrize("family", (4, 6))
def test_real_clients_get_in_amid_a_flood(network, guarded, keep, other_program, family, mode):
    guard = {"interfaces": [{"name": DEVICE, "mode": mode}], "cookies": "auto", "flood_rate": 100}
    door = guarded(guard, network(family=family)).up()
    if mode == "native":  # or veth does not hand over what its driver answers
        _attach(door.net.client, "eth0", other_program, "xdpdrv")
    keep(door.flood())
    door.wait_count("cookie_sent", 10000)
    for turn in range(100):
        data = pattern(1000, turn)
        assert door.says(data) == data
    counts = door.counts()
    assert counts["cookie_proved"] >= 80, counts
    # What reached the kernel is a trickle.
    assert _kernel_cookies(door.net) < counts["cookie_sent"] / 50


@pytest.mark.parametrize("family", (4, 6))
def test_a_connection_from_a_cookie_lacks_nothing(network, guarded, family):
    door = guarded({"cookies": "always"}, network(family=family)).up()
    with door.net.client:
        # The first one asks the kernel itself; what the kernel says to him is the standard.
        plain, cookied = [socket.create_connection(door.front, 10) for _ in range(2)]
    with plain, cookied:
        door.wait_count("cookie_proved")
        assert door.counts()["vouched"] == 1
        seen = [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                for sock in (plain, cookied)]
        assert seen[1][TCP_INFO_OPTIONS] & 7 == TIMESTAMPS | SACK | SCALE
        assert seen[1][TCP_INFO_OPTIONS + 1] == seen[0][TCP_INFO_OPTIONS + 1]
        data = pattern(20_000_000)
        sender = threading.Thread(target=cookied.sendall, args=(data,))
        sender.start()
        assert read_exactly(cookied, len(data)) == data
        sender.join()


def test_without_plain_clocks_cookies_still_let_clients_in(guarded):
    door = guarded({"cookies": "always"})
    door.net.proxy.sysctl(tcp_timestamps=1)
    door.up()
    assert door.proxy.wait_event("guard_cookies_bare")
    for turn in range(20):
        assert door.says(pattern(1000, turn)) == pattern(1000, turn)
    door.wait_count("cookie_proved", 15)


# ---- lists and rates ----


def test_a_source_over_its_rate_waits_and_another_does_not(guarded):
    door = guarded({"syn_rate": 1, "syn_burst": 5}).up()
    door.net.client.ip("addr", "add", "10.77.1.9/24", "dev", "eth0")
    got_in = [door.gets_in("10.77.1.1", within=0.05) for _ in range(15)]
    assert all(got_in[:5]) and not all(got_in)
    assert door.gets_in("10.77.1.9")
    door.wait_count("rate_limited")
    assert door.gets_in("10.77.1.1", within=10)  # the kernel asks again until its turn comes


def test_denied_sources_stay_outside_and_their_connections_end_there(guarded):
    door = guarded({"deny": "10.77.1.9/32", "allow": "10.77.1.0/24"}).up()
    door.net.client.ip("addr", "add", "10.77.1.9/24", "dev", "eth0")
    assert door.says(b"hello", "10.77.1.1") == b"hello"
    assert not door.gets_in("10.77.1.9", within=0.3)
    assert door.counts()["denied"] >= 1 and door.counts()["allowed"] >= 3


def test_a_dry_run_lets_everybody_in_and_counts(guarded):
    door = guarded({"dry_run": True, **DENY}).up()
    assert door.says(b"hello") == b"hello"
    assert door.counts("dry_run_verdicts")["denied"] >= 3
    assert not door.counts()


def test_what_is_malformed_is_counted_and_goes_no_further(guarded, keep):
    door = guarded({}).up()
    packet = bytearray(syn(door.front[0], FRONT_PORT))
    packet[33] |= 1  # FIN beside SYN
    wire = keep(door.wire())
    for _ in range(10):
        wire.send(wire.frame(packet))
    door.wait_count("malformed", 10)


def test_only_listeners_have_a_door(guarded, keep):
    door = guarded(DENY).up()
    with door.net.proxy:
        keep(Backend(echo, (door.front[0], BACKEND_PORT + 7)))
    with door.net.client, socket.create_connection((door.front[0], BACKEND_PORT + 7), 5) as other:
        other.sendall(b"hello")
        assert read_exactly(other, 5) == b"hello"


# ---- changes ----


def test_a_reload_changes_rules_without_detaching(guarded):
    door = guarded({}).up()
    before = door.attached()
    assert before and door.gets_in()
    for turn in range(4):
        door.config["guard"].update(DENY if turn % 2 == 0 else {"deny": []})
        door.proxy.reload(door.config)
        assert door.gets_in(within=0.3) == (turn % 2 == 1)
        assert door.attached() == before


def test_a_reload_that_cannot_be_guarded_is_refused(guarded):
    door = guarded(DENY).up()
    door.net.proxy.sysctl(tcp_syncookies=1)
    door.config["guard"].update(cookies="always", deny=[])
    door.proxy.reload(door.config, event="reload_failed")
    assert "sysctl -w net.ipv4.tcp_syncookies=2" in "\n".join(door.proxy.said())
    assert not door.gets_in(within=0.3)


def test_an_operators_word_holds_until_it_is_over(guarded):
    door = guarded({}).up()
    done = door.ctl("guard", "deny", "10.77.1.0/24", "--for", "2s", "--why", "a test")
    assert done.returncode == 0, done.stderr
    assert not door.gets_in(within=0.3)
    shown = door.ctl("guard").stdout
    assert "10.77.1.0/24" in shown and "a test" in shown
    eventually(lambda: not door.admin.get("/v1/guard")["entries"], "the entry is over")
    assert door.gets_in()
    assert door.admin.events("guard_entry_over")
    assert any("/v1/guard" in event["text"] for event in door.admin.events("audit"))


def test_an_operators_word_is_taken_back(guarded):
    door = guarded(DENY).up()
    assert not door.gets_in(within=0.3)
    assert door.ctl("guard", "allow", "10.77.1.1", "--listener", "front").returncode == 0
    assert door.gets_in()
    refused = door.ctl("guard", "remove", "10.77.1.1")
    assert refused.returncode == 1 and "not there" in refused.stderr
    assert door.ctl("guard", "remove", "10.77.1.1", "--listener", "front").returncode == 0
    assert not door.gets_in(within=0.3)


def test_figures_are_metrics(guarded):
    door = guarded(DENY).up()
    assert not door.gets_in(within=0.3)
    figures = door.admin.ask("GET", "/metrics").text
    assert 'sluice_guard_attached{interface="client",mode="generic"} 1' in figures
    [line] = [line for line in figures.splitlines() if 'verdict="denied"' in line
              and 'listener="front"' in line]
    assert float(line.split()[-1]) >= 1


# ---- ends ----


def test_the_guard_goes_with_the_proxy(guarded):
    door = guarded(DENY).up()
    assert door.attached()
    door.proxy.stop()
    assert door.attached() is None


def test_a_crash_opens_the_door(guarded):
    door = guarded({"on_crash": "open", **DENY}).up()
    assert door.attached()
    door.proxy.kill()
    eventually(lambda: door.attached() is None, "the guard is gone")


def test_a_crash_leaves_the_door_as_it_was(guarded, bpffs):
    door = guarded({"on_crash": "keep", **DENY}).up(prefix=bpffs.prefix)
    links = door.links()
    assert door.attached() and len(links) == 1 and len(bpffs.pins()) == 1
    door.proxy.kill()
    assert door.attached() and not door.gets_in(within=0.3)
    # The next one puts its own rules into the same link, and takes it away when it goes.
    door.config["guard"]["deny"] = []
    door.up(prefix=bpffs.prefix)
    assert door.links() == links and len(bpffs.pins()) == 1
    assert door.gets_in()
    door.proxy.stop()
    assert door.attached() is None and not bpffs.pins()


def test_a_guard_that_was_kept_and_is_wanted_no_more_is_swept_away(guarded, bpffs):
    door = guarded({"on_crash": "keep", **DENY}).up(prefix=bpffs.prefix)
    door.proxy.kill()
    assert door.attached()
    del door.config["guard"]
    door.up(prefix=bpffs.prefix)
    assert door.attached() is None and not bpffs.pins()
    assert door.gets_in()


def test_a_replacement_takes_the_guard_over(guarded):
    door = guarded(DENY).up()
    old, links = door.proxy, door.links()
    door.config["guard"]["deny"] = []
    with door.net.proxy:
        door.proxy = door.start(
            "--replace", config=door.config, directory=door.directory
        )
    assert old.wait_exit() == 0, old.report()
    assert door.links() == links
    assert door.gets_in()


# ---- what cannot be had ----


def _refused(door, **options):
    door.up(ready=False, **options)
    assert door.proxy.wait_exit() == 1
    return "\n".join(door.proxy.said())


def test_an_interface_that_is_not_there_is_named(guarded):
    assert "cannot be attached to eth7: there is no such interface" in _refused(
        guarded({"interfaces": "eth7"})
    )


def test_somebody_elses_program_is_left_alone(guarded, other_program):
    door = guarded({})
    _attach(door.net.proxy, DEVICE, other_program)
    before = door.attached()
    assert before
    said = _refused(door)
    assert "another XDP program" in said and "ip link set dev" in said
    assert door.attached() == before


def test_cookies_that_the_kernel_would_not_believe_are_refused(guarded):
    door = guarded({"cookies": "auto"})
    door.net.proxy.sysctl(tcp_syncookies=1)
    assert "sysctl -w net.ipv4.tcp_syncookies=2" in _refused(door)
    assert door.attached() is None


def test_pins_need_a_file_system(guarded):
    said = _refused(guarded({"on_crash": "keep"}), prefix=UNMOUNTED)
    assert "mount -t bpf bpf /sys/fs/bpf" in said
