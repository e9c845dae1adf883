# SPDX-License-Identifier: Apache-2.0
"""Write a configuration, given as dicts and lists, as the YAML an operator would type."""

import json


def _scalar(value):
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(str(value))


def _lines(value, indent):
    pad = "  " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                yield f"{pad}{key}:"
                yield from _lines(item, indent + 1)
            else:
                yield f"{pad}{key}: {_empty(item)}"
    else:
        for item in value:
            if isinstance(item, dict) and item:
                first, *rest = list(_lines(item, indent + 1))
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {_empty(item)}"


def _empty(item):
    if isinstance(item, dict):
        return "{}"
    if isinstance(item, list):
        return "[]"
    return _scalar(item)


def to_yaml(config):
    return "\n".join(_lines(config, 0)) + "\n"


def simple(listen, *targets, pool=None, listener=None, **top):
    """One listener `front` on one pool `back`; the keywords add to each or to the top level."""
    config = dict(top)
    config["listeners"] = [{"name": "front", "bind": listen, "pool": "back", **(listener or {})}]
    config["pools"] = [{"name": "back", "targets": list(targets), **(pool or {})}]
    return config
