# SPDX-License-Identifier: Apache-2.0
"""The own zone, asked of a metadata service that the test plays."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness.address import connect, free_address, text
from harness.conf import simple
from harness.peers import name_of, read_exactly
from harness.wait import eventually

PLACE = "/latest/meta-data/placement/"


class Metadata:
    """IMDSv2 on loopback. `answers` by path; a GET without the token is 401."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def _say(self, status, body=""):
                service.asked.append(f"{self.command} {self.path} {status}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def do_PUT(self):
                wanted = self.path == "/latest/api/token" and service.answers
                ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
                self._say(200, "secret") if wanted and ttl.isdigit() else self._say(403)

            def do_GET(self):
                if self.path.startswith("/latest/"):
                    if self.headers.get("X-aws-ec2-metadata-token") != "secret":
                        return self._say(401)
                if self.path in service.answers:
                    return self._say(200, service.answers[self.path])
                return self._say(404)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://%s:%d" % self.server.server_address
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def metadata(keep):
    return lambda answers: keep(Metadata(answers))


@pytest.fixture
def start(sluice, backend):
    """start(zone, **environment): a proxy that serves; a client is let through to prove it."""

    def begin(zone, **env):
        front, server = free_address(), backend(name_of("a"))
        config = simple(text(front), text(server.address), zone=zone)
        proxy = sluice(config=config, env=env)
        with connect(front) as client:
            assert read_exactly(client, 1) == b"a"
        return proxy, config

    return begin


def test_auto_learns_id_and_name_from_imds(start, metadata):
    service = metadata({PLACE + "availability-zone-id": "use1-az1", PLACE + "availability-zone": "us-east-1a"})
    proxy, _ = start("auto", AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url)
    assert proxy.wait_event("zone_found").text == "zone=use1-az1,us-east-1a"
    assert [line.split()[0] for line in service.asked] == ["PUT", "GET", "GET"]


def test_an_endpoint_may_be_a_host_name(start, metadata):
    service = metadata({PLACE + "availability-zone": "us-east-1a"})
    url = service.url.replace("127.0.0.1", "localhost")
    proxy, _ = start("auto", AWS_EC2_METADATA_SERVICE_ENDPOINT=url)
    assert proxy.wait_event("zone_found").text == "zone=us-east-1a"


def test_auto_learns_the_name_from_ecs_where_there_is_no_imds(start, metadata):
    service = metadata({})
    service.answers["/v4/t/task"] = '{"AvailabilityZone": "eu-west-1b"}'
    proxy, _ = start(
        "auto",
        AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url + "/nothing",
        ECS_CONTAINER_METADATA_URI_V4=service.url + "/v4/t",
    )
    assert proxy.wait_event("zone_found").text == "zone=eu-west-1b"


def test_unknown_is_one_warning_and_a_reload_asks_anew(start, metadata):
    service = metadata({})
    proxy, config = start("auto", AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url)
    event = proxy.wait_event("zone_unknown", within=20.0)
    assert event.level == "warn" and "HTTP status 403" in event.text
    assert len(service.asked) == 4
    service.answers[PLACE + "availability-zone"] = "us-east-1a"
    proxy.reload(config)
    proxy.wait_event("zone_found")
    proxy.reload(config)
    proxy.stop()
    assert len(proxy.events("zone_unknown")) == 1
    assert len(proxy.events("zone_found")) == 1


@pytest.mark.parametrize("zone", ["off", "us-east-1c"])
def test_nobody_is_asked_where_the_zone_is_given_or_off(start, metadata, zone):
    service = metadata({PLACE + "availability-zone": "us-east-1a"})
    proxy, _ = start(zone, AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url)
    proxy.stop()
    assert service.asked == []
    assert not proxy.events("zone_.*")


def test_a_service_that_never_answers_holds_up_no_stop(start, listener):
    silent = listener()
    proxy, _ = start("auto", AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://{text(silent.address)}")
    silent.accept().close()
    with silent.accept():
        proxy.stop(within=5.0)
    assert not proxy.events("zone_.*")


def test_sessions_stay_in_the_zone_that_was_found(sluice, backend, metadata):
    """One target is labelled with the zone's id, one with its name, one with another's."""
    service = metadata({PLACE + "availability-zone-id": "use1-az1", PLACE + "availability-zone": "us-east-1a"})
    zones = {"a": "use1-az1", "b": "us-east-1a", "c": "us-east-1b", "d": "use1-az2"}
    front = free_address()
    targets = [
        {"address": text(backend(name_of(name)).address), "zone": zone}
        for name, zone in zones.items()
    ]
    config = simple(text(front), *targets, zone="auto")
    proxy = sluice(config=config, env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url})

    def seen():
        names = set()
        for _ in range(20):
            with connect(front) as client:
                names.add(read_exactly(client, 1).decode())
        return names

    proxy.wait_event("zone_found")
    eventually(lambda: seen() == {"a", "b"}, "only the own zone's targets are used")
    proxy.reload({**config, "zone": "us-east-1b"})
    eventually(lambda: seen() == {"c"}, "the zone is as the configuration says")
    proxy.reload({**config, "zone": "off"})
    eventually(lambda: seen() == set(zones), "zones do not matter")
