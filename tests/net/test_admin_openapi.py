# SPDX-License-Identifier: Apache-2.0
"""The description of the admin API, held against the real answers.

Every method of every path is called, each answer is validated against the schema that the
description has for its status, and at the end nothing described was left out.
"""

import jsonschema
import pytest
from harness.address import connect, free_address, text
from harness.admin import Doors
from harness.conf import simple
from harness.openapi import Api
from harness.peers import echo

# Called in this order: what ends sessions, or begins the end of the process, comes last.
SET = {"generation": 3, "targets": [{"address": "127.0.0.9:9", "id": "i-9"}]}
ADDED = {"address": "127.0.0.8:8"}

# method, path, body, status
CALLS = [
    ("get", "/", None, 200),
    ("get", "/openapi.json", None, 200),
    ("get", "/metrics", None, 200),
    ("get", "/v1/status", None, 200),
    ("get", "/v1/config", None, 200),
    ("get", "/v1/pools", None, 200),
    ("get", "/v1/pools/back", None, 200),
    ("get", "/v1/pools/none", None, 404),
    ("put", "/v1/pools/back/sources/control", SET, 200),
    ("put", "/v1/pools/back/sources/control", SET, 200),
    ("put", "/v1/pools/back/sources/control", {"generation": 2, "targets": []}, 409),
    ("put", "/v1/pools/back/sources/control", {}, 400),
    ("put", "/v1/pools/none/sources/control", SET, 404),
    ("put", "/v1/pools/back/sources/config", SET, 403),
    ("get", "/v1/targets/i-9/explain", None, 200),
    ("get", "/v1/targets/none/explain", None, 404),
    ("get", "/v1/targets/{same}/explain", None, 409),
    ("patch", "/v1/targets/i-9", {"weight": 3, "for_s": 60}, 200),
    ("patch", "/v1/targets/i-9", {"weight": -3}, 400),
    ("patch", "/v1/targets/none", {"weight": 3}, 404),
    ("patch", "/v1/targets/{same}", {"weight": 3}, 409),
    ("get", "/v1/targets/i-9/explain?pool=back", None, 200),
    ("delete", "/v1/targets/i-9/sessions?rst=1", None, 202),
    ("delete", "/v1/targets/i-9/sessions?rst=2", None, 400),
    ("delete", "/v1/targets/none/sessions", None, 404),
    ("delete", "/v1/targets/i-9", None, 409),
    ("delete", "/v1/targets/none", None, 404),
    ("post", "/v1/pools/back/targets", ADDED, 201),
    ("post", "/v1/pools/back/targets", ADDED, 409),
    ("post", "/v1/pools/back/targets", {"a": 1}, 400),
    ("post", "/v1/pools/none/targets", ADDED, 404),
    ("delete", "/v1/targets/127.0.0.8:8", None, 200),
    ("get", "/v1/pools/back", None, 200),
    ("delete", "/v1/pools/back/sources/control", None, 200),
    ("delete", "/v1/pools/back/sources/none", None, 404),
    ("delete", "/v1/pools/back/sources/config", None, 403),
    ("get", "/v1/guard", None, 200),
    ("patch", "/v1/guard", {"deny": ["10.0.0.0/8"]}, 409),
    ("patch", "/v1/guard", {"deny": "10.0.0.0/8"}, 400),
    ("get", "/v1/sessions", None, 200),
    ("get", "/v1/sessions?sort=age&limit=1", None, 200),
    ("get", "/v1/sessions?sort=name", None, 400),
    ("get", "/v1/sessions?pool=none", None, 404),
    ("delete", "/v1/sessions/{session}?rst=1", None, 200),
    ("delete", "/v1/sessions/999999999", None, 404),
    ("get", "/v1/events", None, 200),
    ("get", "/v1/events?limit=9999", None, 400),
    ("post", "/v1/listeners/front/pause", None, 200),
    ("get", "/v1/status", None, 200),
    ("post", "/v1/listeners/front/resume", None, 200),
    ("post", "/v1/listeners/none/pause", None, 404),
    ("post", "/v1/reload", None, 200),
    ("delete", "/v1/drain", None, 409),
    ("post", "/v1/drain", {"exit": False}, 400),
    ("post", "/v1/drain", {"exit": True}, 202),
    ("delete", "/v1/drain", None, 200),
]


@pytest.fixture
def served(sluice, backend, tmp_path):
    """A proxy with one session, and one address in two pools."""
    server = backend(echo)
    doors = Doors(tmp_path)
    listen = free_address()
    config = simple(text(listen), text(server.address), admin=doors.conf, lame_duck="1m")
    config["pools"].append({"name": "other", "targets": [text(server.address)]})
    proxy = sluice(config=config)
    return proxy, doors.full(), listen, text(server.address)


def test_every_answer_is_as_described(served, keep):
    _proxy, admin, listen, same = served
    api = Api()
    client = keep(connect(listen))
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    called = set()
    for method, url, body, status in CALLS:
        if "{session}" in url:
            url = url.replace("{session}", admin.get("/v1/sessions")["sessions"][0]["id"])
        url = url.replace("{same}", same)
        answer = admin.ask(method.upper(), url, body)
        assert answer.status == status, f"{method} {url}: {answer}"
        called.add(api.check(method, url, answer))
    assert called == api.described()


def test_a_reload_that_fails_is_as_described(served):
    proxy, admin, _listen, _same = served
    proxy.write_config("listeners: 7\n")
    answer = admin.ask("POST", "/v1/reload")
    assert answer.status == 422 and answer.json["errors"], answer
    Api().check("post", "/v1/reload", answer)


def test_the_program_has_the_description_of_this_tree(served):
    _proxy, admin, _listen, _same = served
    document = admin.get("/openapi.json")
    assert document == Api().document
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
