# SPDX-License-Identifier: Apache-2.0
"""What an admin server says of a small proxy: one listener, pools `api` and `web`."""

import datetime


def ago(seconds):
    """A time so long ago, as the API writes it."""
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def target(name, key, pool="api", state="serving", **more):
    return {
        "key": str(key),
        "name": name,
        "id": None,
        "address": name,
        "pool": pool,
        "zone": None,
        "source": "config",
        "state": state,
        "state_since": ago(185),
        "reason": f"{state} since {ago(185)}: it is {state}",
        "weight": 100,
        "effective_weight": 100 if state == "serving" else 0,
        "backup": False,
        "max_connections": 0,
        "unverified": False,
        "listings": [
            {
                "source": "config",
                "weight": 100,
                "zone": None,
                "backup": False,
                "max_connections": 0,
                "draining": False,
            }
        ],
        "open": 3,
        "sessions": 40,
        "connect_failures": 0,
        "retries": 0,
        "sent_bytes": 1200000,
        "received_bytes": 45,
        "cross_zone_bytes": 0,
        "health": {
            "status": "up",
            "checked": ago(1),
            "took_ms": 0.4,
            "text": "connected",
            "passed": 9,
            "failed": 0,
        },
        "ejected_until": None,
        "override": None,
        "source_ports_left": 28000,
        "added": ago(4000),
        "removed": None,
        "drain_deadline": None,
        **more,
    }


def pool(name, targets=2, usable=2, **more):
    return {
        "name": name,
        "balance": "least_connections",
        "targets": targets,
        "usable": usable,
        "healthy": usable,
        "eligible": targets,
        "panic": False,
        "backup_in_use": False,
        "sessions_open": 6,
        "waiting": 0,
        "queued": 1,
        "queue_full": 2,
        "queue_timeouts": 3,
        "max_connections": 0,
        "sources": [
            {
                "name": "config",
                "kind": None,
                "generation": 4,
                "pushed": ago(62),
                "targets": targets,
                "unverified": False,
            },
        ],
        **more,
    }


def status(**more):
    return {
        "version": "0.1.0",
        "pid": 4711,
        "started": ago(8100),
        "uptime_s": 8100,
        "phase": "serving",
        "drain_deadline": None,
        "config_file": "/etc/sluice/sluice.yaml",
        "generation": 3,
        "workers": [
            {"index": 0, "cpu": 0, "sessions_open": 4, "sessions": 50, "turns": 900},
            {"index": 1, "cpu": 1, "sessions_open": 2, "sessions": 30, "turns": 800},
        ],
        "limits": {"max_connections": 9000, "per_worker": 4500, "fds_per_table": 20000, "buffers_bytes": 1 << 26},
        "zone": "eu-west-1a",
        "ready": True,
        "not_ready_reason": None,
        "totals": {
            "sessions_open": 6,
            "sessions": 80,
            "connects": 81,
            "retries": 1,
            "log_dropped": 0,
            "turns": 1700,
            "client_received_bytes": 45000,
            "client_sent_bytes": 7300000,
            "reasons": {"client_fin": 74},
            "syscalls": {"recv": 900},
            "syscalls_per_session": 21.4,
            "syscalls_per_gb": 30512.0,
        },
        "rates": {
            "sessions_per_s": 12,
            "client_received_bytes_per_s": 900,
            "client_sent_bytes_per_s": 1234567,
        },
        "offload": None,
        "listeners": [
            {
                "name": "front",
                "bind": "[::]:443",
                "pool": "api",
                "state": "listening",
                "open": 6,
                "accepted": 80,
                "shed": 0,
                "probes": 0,
                "proxy_headers": 0,
                "proxy_errors": 0,
                "vpce": {},
                "received_bytes": 45000,
                "sent_bytes": 7300000,
                "accepted_by_worker": [50, 30],
                "queue_depth": 0,
                "queue_limit": 4096,
                "queue_overflows": None,
            }
        ],
        "pools": [pool("api"), pool("web", targets=1, usable=1)],
        **more,
    }


def session(number, **more):
    return {
        "id": str(number),
        "state": "relaying",
        "listener": "front",
        "pool": "api",
        "target": "10.0.0.1:80",
        "client": f"192.0.2.7:{40000 + number}",
        "client_local": "10.0.0.9:443",
        "backend_local": "10.0.0.9:51000",
        "age_ms": 61000,
        "idle_ms": 20,
        "client_bytes": 1000,
        "backend_bytes": 2500000,
        "relay": "splice",
        "retries": 0,
        "worker": 1,
        "proxy_source": None,
        "vpce": None,
        **more,
    }


def event(number, **more):
    return {
        "id": number,
        "time": ago(100 - number),
        "level": "info",
        "kind": "target_up",
        "pool": "api",
        "target": "10.0.0.1:80",
        "text": f"event {number}",
        **more,
    }


MEMBERS = {
    "api": [target("10.0.0.1:80", 1), target("10.0.0.2:80", 2, state="down")],
    "web": [target("10.0.1.1:8080", 3, pool="web", zone="eu-west-1b")],
}


def answers():
    """All of it, by request."""
    told = {
        "GET /v1/status": status(),
        "GET /v1/pools": {"pools": status()["pools"]},
        "GET /v1/sessions": {"sessions": [session(n) for n in (1, 2)], "next": None},
        "GET /v1/events": [
            {"events": [event(n) for n in (1, 2, 3)], "last_id": 3},
            {"events": [], "last_id": 3},
        ],
    }
    for summary in status()["pools"]:
        name = summary["name"]
        told[f"GET /v1/pools/{name}"] = {**summary, "members": MEMBERS[name]}
    for member in sum(MEMBERS.values(), []):
        explained = {
            **member,
            "history": [{"time": ago(185), "text": "became " + member["state"]}],
            "pool_state": {"panic": False, "usable": 2, "healthy": 2},
        }
        for name in (member["key"], member["name"].replace(":", "%3A")):
            told[f"GET /v1/targets/{name}/explain"] = explained
    return told
