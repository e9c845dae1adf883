# SPDX-License-Identifier: Apache-2.0
"""What the fast path's bench found, as Markdown, from what fastpath.json has: every target beside
what was measured for it, then the figures behind them."""
from fast_table import worth
from wires import SETTINGS

NAMES = {"sluice": "relay"}
COLUMNS = ["rate, ratio to nft", "CPU, ratio to nft", "rate, ratio to sluice", "CPU, ratio to sluice",
           "rate, ratio to direct", "proxy process, share of a CPU"]
FIGURES = [("rate", 1, "Rates: requests/s, connections/s, Gbit/s"),
           ("cpu", 1e6, "CPU of all who take part, microseconds per request, connection, Gbit"),
           ("p99_us", 1, "99th percentile of a request, microseconds")]


def _table(rows):
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return [head, "|---" * len(rows[0]) + "|", *body, ""]


def _figure(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else \
        f"{value:.3f}"


def _target(verdict):
    """What was got, what was wanted, and whether it was reached."""
    got = "-" if verdict["got"] is None else _figure(verdict["got"])
    sign = "≥" if verdict["at_least"] else "≤"
    state = verdict["state"]
    direct = f"; direct {_figure(verdict['direct'])}" if verdict.get("direct") else ""
    return (f"{got} ({sign} {_figure(verdict['limit'])}{direct}) "
            f"{f'**{state}**' if 'not' in state else state}")


def _matrix(targets):
    """A row for each cell between hosts, a column for each thing that tc has to reach there."""
    found = {}
    for verdict in targets:
        found.setdefault(verdict["cell"], {})[verdict["target"]] = _target(verdict)
    rows = [["cell", *(column.replace("sluice", "relay") for column in COLUMNS)]]
    rows += [[cell, *(states.get(column, "") for column in COLUMNS)]
             for cell, states in found.items() if "/" in cell]
    return _table(rows)


def _others(data):
    rows = [["", "target", "got, wanted"]]
    rows += [[verdict["cell"], verdict["target"], _target(verdict)] for verdict in data["targets"]
             if "/" not in verdict["cell"]]
    return _table(rows) + ([worth(data["promotion"]), ""] if data["promotion"] else [])


def _figures(cells, key, factor):
    names = list(dict.fromkeys(name for cell in cells.values() for name in cell["candidates"]))
    rows = [["cell", *(NAMES.get(name, name) for name in names)]]
    for cell, entry in cells.items():
        medians = {name: found["median"].get(key) for name, found in entry["candidates"].items()}
        if any(medians.values()):
            rows.append([cell, *("" if medians.get(name) is None
                                 else _figure(medians[name] * factor) for name in names)])
    return _table(rows)


def _about(data):
    machine, states = data["machine"], [verdict["state"] for verdict in data["targets"]]
    passed = sum(state.startswith("PASS") for state in states)
    lines = [f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}; "
             f"{data['began']}, {data['seconds']} s, {data['options']['rounds']} rounds of "
             f"{data['options']['seconds']} s; load average {machine['load_average_before']:.1f} "
             f"before, {machine['load_average_after']:.1f} after.", "",
             f"{passed} of {len(states)} targets: PASS. \"disturbed\": other programs or the "
             "hypervisor took more than 15 % of a CPU meanwhile.", ""]
    if data["not_measured"]:
        lines += [f"The time was up: {data['not_measured']} measures were not taken.", ""]
    return lines


def markdown(data):
    """The text of fastpath.md."""
    cells = {name: cell for name, cell in data["cells"].items() if "/" in name}
    lines = ["# The fast path, measured", "", *_about(data), "## Targets", "",
             "What tc got, what it has to get, what packets get that no proxy touches, and whether "
             "it did.", "", *_matrix(data["targets"]),
             *_others(data)]
    for key, factor, title in FIGURES:
        lines += [f"## {title}", "", *_figures(cells, key, factor)]
    lines += ["Settings: " + "; ".join(f"`{setting.name}` {setting.title}" for setting in SETTINGS)]
    lines += ["", *(f"FAILED {failure['cell']} {failure['candidate']}: {failure['why']}\n"
                    for failure in data["failures"])]
    return "\n".join(lines).rstrip() + "\n"
