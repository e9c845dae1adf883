#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom in proxy/, control/ and xdp/. ROWS is the house of proxy/, top floor first.

A module (a .c, its .h, or the folder of that name) includes from its own row and from those below,
never from above, and no two modules include each other round a circle. A file in no row is an
error: whoever adds one decides where it stands. control/ is another program: it includes its own
headers and proxy/base, nothing else of proxy/. xdp/ is a library: it includes itself and
proxy/base, its kernel programs only itself; `offload`, `admission`
and `doctor` alone include it.
"""
import pathlib
import re
import sys

ROWS = [
    ["main"],
    # What main alone uses to become a running proxy.
    ["config", "options", "demo", "doctor", "live", "holder", "netlink", "resolve", "zone",
     "snapshot_build", "static_targets"],
    ["admin", "health", "worker"],
    ["registry", "admission"],
    ["listener"],
    ["session"],
    ["greeting", "balance", "dial", "relay", "offload", "pool", "snapshot", "view",
     "stats_json"],
    ["target", "pipe", "slab", "proxyproto", "ports", "listener_stats",
     "listener_options"],
    ["stats", "flowlog", "model", "reason", "session_info", "events"],
    ["base"],
]
# Plain data that every row but base may read, whatever their own module stands on.
DATA = {"proxy/model.h", "proxy/reason.h", "proxy/snapshot.h"}
# One module whose parts stand side by side.
PART_OF = {"flowformat": "flowlog", "flowring": "flowlog", "options_help": "options",
           "pool_state": "target"}

# What kernel programs read beside their own files.
KERNEL_SIDE = {"abi.h", "kernel.h"}

FLOOR = {module: floor for floor, row in enumerate(reversed(ROWS)) for module in row}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def module_of(path):
    """proxy/session.c and proxy/session/half.c are both `session`."""
    stem = pathlib.PurePath(path).parts[1].split(".")[0]
    return PART_OF.get(stem, stem)


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)


def check_include(path, number, header, edges):
    """The complaint about one include, or None; `edges` learns who uses whom."""
    place = f"{path}:{number}"
    user = module_of(path)
    if header.startswith("xdp/") and user in {"offload", "admission", "doctor"}:
        return None
    if not header.startswith("proxy/"):
        return f'{place}: "{header}": proxy/ includes nothing outside proxy/'
    used = module_of(header)
    if used not in FLOOR:
        return f'{place}: "{header}" belongs to no row of tests/lint/layers.py'
    if header in DATA and user != "base":
        return None
    if FLOOR[used] > FLOOR[user]:
        return f"{place}: {user} includes {used}, which stands above it"
    if used != user:
        edges.setdefault(user, {})[used] = place
    return None


def check_control(path):
    """The complaints about what a file of control/ includes."""
    for number, header in includes(path):
        if not header.startswith(("control/", "proxy/base/")):
            yield f'{path}:{number}: "{header}": control/ includes only itself and proxy/base'


def check_xdp(path):
    """The complaints about what a file of xdp/ includes; *.skel.h is made from the programs."""
    allowed = ("xdp/",) if ".bpf." in path.name or path.name in KERNEL_SIDE else ("xdp/", "proxy/base/")
    for number, header in includes(path):
        if not header.startswith(allowed) and not header.endswith(".skel.h"):
            yield f'{path}:{number}: "{header}": xdp/ includes only itself and proxy/base'


def find_circle(edges):
    """One circle as a list of modules, or None."""
    done = set()

    def walk(module, trail):
        if module in trail:
            return trail[trail.index(module):] + [module]
        if module in done:
            return None
        for used in edges.get(module, {}):
            circle = walk(used, trail + [module])
            if circle:
                return circle
        done.add(module)
        return None

    return next(filter(None, (walk(module, []) for module in sorted(edges))), None)


def main():
    complaints, edges = [], {}
    for path in sorted(pathlib.Path("proxy").rglob("*.[ch]")):
        if module_of(path) not in FLOOR:
            complaints.append(f"{path}: stands in no row of tests/lint/layers.py")
            continue
        for number, header in includes(path):
            complaints.append(check_include(path, number, header, edges))
    for path in sorted(pathlib.Path("control").rglob("*.[ch]")):
        complaints.extend(check_control(path))
    for path in sorted(pathlib.Path("xdp").rglob("*.[ch]")):
        complaints.extend(check_xdp(path))
    circle = find_circle(edges)
    if circle:
        complaints.append("circle: " + " > ".join(circle))
    complaints = list(filter(None, complaints))
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
