# SPDX-License-Identifier: Apache-2.0
"""The two sources that ask no API: a file and a name."""

import json

import pytest
from harness.files import TargetFile
from harness.nameserver import NXDOMAIN, SERVFAIL, NameServer
from harness.pair import Watch
from harness.wait import eventually


@pytest.fixture
def nameserver(keep):
    return keep(NameServer())


def dns(nameserver, name="api.internal", **more):
    mapping = {"name": name, "servers": [nameserver.text], "interval": "1s", **more}
    return {"name": "back", "discover": {"dns": mapping}}


def error_of(pair, source):
    return pair.daemon.feed("back", source)["error"]


def test_a_file_is_followed_without_being_told(pair, tmp_path):
    listed = TargetFile(tmp_path / "targets.yaml", 5)
    both = pair(None, [listed.pool(interval="1h")])
    both.wait_addresses("back", listed.addresses())
    listed.add(3)
    both.wait_addresses("back", listed.addresses(), within=5)
    listed.take(1)
    both.wait_addresses("back", listed.addresses(), within=5)


def test_what_a_file_says_of_a_target_is_served(pair, tmp_path):
    listed = TargetFile(tmp_path / "targets.json")
    target = {"id": "x", "address": "10.0.0.1:80", "weight": 7, "zone": "z1", "backup": True}
    listed.write([target, {"address": "10.0.0.2:80"}])
    both = pair(None, [listed.pool(format="json")])
    both.wait_addresses("back", ["10.0.0.1:80", "10.0.0.2:80"])
    found = {s.address: s for s in both.served("back")}
    assert found["10.0.0.1:80"] == ("x", "10.0.0.1:80", "z1", 7, True)
    assert found["10.0.0.2:80"].weight == 100


@pytest.mark.parametrize("text", ["", "- 10.0.0.1:80\n- nonsense\n", "[{", "{}", "- 1\n" * 3])
def test_a_file_that_is_wrong_is_not_taken(pair, tmp_path, text):
    listed = TargetFile(tmp_path / "targets.yaml", 5)
    both = pair(None, [listed.pool()])
    both.wait_addresses("back", listed.addresses())
    with Watch(both, "back") as watch:
        listed.write_text(text)
        eventually(lambda: error_of(both, "file"), "it is refused")
        before = listed.addresses()
        listed.add(1)
        both.wait_addresses("back", listed.addresses(), within=5)
    watch.only(before, listed.addresses())


def test_a_file_that_goes_away_takes_nothing_with_it(pair, tmp_path):
    listed = TargetFile(tmp_path / "targets.yaml", 5)
    both = pair(None, [listed.pool()])
    both.wait_addresses("back", listed.addresses())
    before = listed.addresses()
    with Watch(both, "back") as watch:
        listed.path.unlink()
        eventually(lambda: error_of(both, "file"), "it is missed")
        listed.add(1)
        both.wait_addresses("back", listed.addresses(), within=5)
    watch.only(before, listed.addresses())


def test_a_file_written_in_place_is_never_seen_half_way(pair, tmp_path):
    listed = TargetFile(tmp_path / "targets.json", 200)
    both = pair(None, [listed.pool(format="json")])
    both.wait_addresses("back", listed.addresses())
    before = listed.addresses()
    with Watch(both, "back") as watch:
        listed.numbers.append(200)
        text = json.dumps(listed.targets())
        with open(listed.path, "w", buffering=1) as file:
            for start in range(0, len(text), 1000):
                file.write(text[start : start + 1000])
                file.flush()
        both.wait_addresses("back", listed.addresses())
    watch.only(before, listed.addresses())


def test_addresses_of_a_name_are_followed(pair, nameserver):
    nameserver.records["api.internal", "A"] = ["10.0.0.1", "10.0.0.2"]
    both = pair(None, [dns(nameserver, port=80)])
    both.wait_addresses("back", ["10.0.0.1:80", "10.0.0.2:80"])
    nameserver.records["api.internal", "A"] = ["10.0.0.2", "10.0.0.3"]
    both.wait_addresses("back", ["10.0.0.2:80", "10.0.0.3:80"])


def test_more_addresses_than_a_datagram_holds(pair, nameserver):
    every = [f"10.0.1.{n}" for n in range(100)]
    nameserver.records["api.internal", "A"] = every
    both = pair(None, [dns(nameserver, port=80)])
    both.wait_addresses("back", [f"{host}:80" for host in every])


def test_six_and_service_records(pair, nameserver):
    nameserver.records["six.internal", "AAAA"] = ["2001:db8::1"]
    nameserver.records["_api._tcp.internal", "SRV"] = [
        (0, 10, 8001, "one.internal"),
        (0, 30, 8002, "two.internal"),
        (1, 0, 8003, "spare.internal"),
    ]
    for number, host in enumerate(("one", "two", "spare"), 1):
        nameserver.records[f"{host}.internal", "A"] = [f"10.0.0.{number}"]
    six = {**dns(nameserver, "six.internal", type="AAAA", port=443), "name": "six"}
    both = pair(None, [dns(nameserver, "_api._tcp.internal", type="SRV"), six])
    both.wait_addresses("six", ["[2001:db8::1]:443"])
    both.wait_addresses("back", ["10.0.0.1:8001", "10.0.0.2:8002", "10.0.0.3:8003"])
    found = {s.address: s for s in both.served("back")}
    assert found["10.0.0.2:8002"].weight == 3 * found["10.0.0.1:8001"].weight
    assert [s.address for s in found.values() if s.backup] == ["10.0.0.3:8003"]


@pytest.mark.parametrize("rcode", [NXDOMAIN, SERVFAIL, None])
def test_a_name_without_an_answer_empties_nothing(pair, nameserver, rcode):
    """No such name, a server that fails, and a name that has no address."""
    nameserver.records["api.internal", "A"] = ["10.0.0.1", "10.0.0.2"]
    both = pair(None, [dns(nameserver, port=80)])
    both.wait_addresses("back", ["10.0.0.1:80", "10.0.0.2:80"])
    with Watch(both, "back") as watch:
        nameserver.rcode = rcode
        if rcode is None:
            nameserver.records["api.internal", "A"] = []

        def noticed():
            feed = both.daemon.feed("back", "dns")
            return feed["error"] or feed["held"]

        eventually(noticed, "it is noticed", 15)
        nameserver.rcode = None
        nameserver.records["api.internal", "A"] = ["10.0.0.1", "10.0.0.3"]
        both.wait_addresses("back", ["10.0.0.1:80", "10.0.0.3:80"])
    watch.only(["10.0.0.1:80", "10.0.0.2:80"], ["10.0.0.1:80", "10.0.0.3:80"])
