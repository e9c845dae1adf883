# SPDX-License-Identifier: Apache-2.0
"""Which files a program of a Debian system needs to run where nothing else is: itself, the loader,
and every library that these name.

Happy path: they are found where the system keeps that machine's, which need not be its own. Failure:
FileNotFoundError for a library that is not installed."""

import os
import re
import subprocess

TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def _find(name, machine):
    for directory in ("/lib", "/usr/lib"):
        path = f"{directory}/{TRIPLES[machine]}/{name}"
        if os.path.exists(path):
            return path
    raise FileNotFoundError(f"{name} for {machine}")


def _named_by(path):
    """Where each of its needs has to be, as (path without the first slash, file name)."""
    shown = subprocess.run(["readelf", "-ldW", path], capture_output=True, text=True,
                           check=True).stdout
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", shown):
        yield f"lib/{name}", name
    for place in re.findall(r"program interpreter: /([^\]]+)\]", shown):
        yield place, os.path.basename(place)


def libraries(program, machine):
    """{path in the root: file here} of all that `program` needs but itself."""
    found, todo = {}, [program]
    while todo:
        for place, name in _named_by(todo.pop()):
            if place not in found:
                found[place] = _find(name, machine)
                todo.append(found[place])
    return found


def strip(source, target, machine):
    """A copy without what only a debugger reads."""
    subprocess.run([f"{TRIPLES[machine]}-strip", "-o", target, source], check=True)
