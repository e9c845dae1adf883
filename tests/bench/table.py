# SPDX-License-Identifier: Apache-2.0
"""Makes medians and ratios of all measures, compares them with the targets and prints the table.

A ratio is formed within one round, against the base candidate's figure of the same cell in the same
round; what is quoted is the median of the rounds' ratios.
"""
from statistics import median

from cells import CELLS

BASE = "haproxy"
COST = {cell.name: cell.cost for cell in CELLS} | {
    "idle": "bytes_per_connection", "calls": "calls",
    "founding-default": "p99_ms", "founding-wide": "p99_ms"}
TITLES = {cell.name: cell.title for cell in CELLS} | {
    "idle": "user memory per idle connection", "calls": "system calls per connection",
    "founding-default": "48,000 held, 12,000 requests/s, default port range",
    "founding-wide": "48,000 held, 12,000 requests/s, port range 1024-65535"}

# figure -> (heading, format), by group of cells
COLUMNS = {
    "bulk": {"gbit_per_s": ("Gbit/s", ".1f"), "proxy_cpu_s_per_gb": ("proxy CPU s/GB", ".3f"),
             "system_cpu_s_per_gb": ("system CPU s/GB", ".3f")},
    "request": {"per_s": ("requests/s", ",.0f"), "p50_us": ("p50 us", ",.0f"),
                "p99_us": ("p99 us", ",.0f"), "proxy_cpu_us": ("proxy CPU us", ".2f")},
    "connect": {"per_s": ("conn/s", ",.0f"), "p50_us": ("p50 us", ",.0f"),
                "proxy_cpu_us": ("proxy CPU us", ".1f"), "segments": ("segments", ".1f")},
    "delay": {"p50_us": ("p50 us", ",.0f"), "p99_us": ("p99 us", ",.0f")},
    "idle": {"bytes_per_connection": ("bytes", ",.0f")},
    "calls": {"traced": ("by strace", ".1f"), "counted": ("own count", ".1f")},
    "founding": {"setup_s": ("set up s", ".1f"), "held": ("held", ",.0f"),
                 "p50_ms": ("p50 ms", ".2f"), "p99_ms": ("p99 ms", ".2f"),
                 "new_p50_ms": ("new p50", ".2f"), "new_p99_ms": ("new p99", ".2f"),
                 "unanswered": ("no answer", ",.0f"), "lost": ("lost", ",.0f"),
                 "proxy_cpu_us": ("CPU us", ".1f")},
}
GROUP = {cell.name: cell.group for cell in CELLS} | {
    "idle": "idle", "calls": "calls", "founding-default": "founding", "founding-wide": "founding"}


class Results:
    """cell -> candidate -> rounds, each a dict of figures; and what failed."""

    def __init__(self):
        self.rounds, self.failures = {}, []

    def add(self, step, figures):
        """The figures of one measure."""
        self.rounds.setdefault(step.cell, {}).setdefault(step.candidate, {})[step.round] = figures

    def fail(self, step, why):
        """A measure that could not be taken."""
        self.failures.append({"cell": step.cell, "candidate": step.candidate, "round": step.round,
                              "why": " ".join(why.split())})

    def medians(self, cell, candidate):
        """figure -> median over the rounds; None if there is no measure."""
        rounds = list(self.rounds.get(cell, {}).get(candidate, {}).values())
        if not rounds:
            return None
        keys = set().union(*rounds)
        return {key: median(r[key] for r in rounds if key in r) for key in sorted(keys)}

    def ratio(self, cell, candidate, base=BASE, figure=None):
        """Median of the per-round ratios of the cell's cost; None where it cannot be formed."""
        figure = figure or COST[cell]
        ours, theirs = (self.rounds.get(cell, {}).get(name, {}) for name in (candidate, base))
        ratios = [ours[r][figure] / theirs[r][figure] for r in ours
                  if r in theirs and theirs[r].get(figure) and figure in ours[r]]
        return median(ratios) if ratios else None

    def summary(self):
        """Everything as plain data for the JSON file."""
        found = {}
        for cell, candidates in self.rounds.items():
            found[cell] = {"title": TITLES[cell], "cost": COST[cell], "candidates": {}}
            for name in _order(candidates):
                rounds = candidates[name]
                found[cell]["candidates"][name] = {
                    "median": self.medians(cell, name), "ratio_to_haproxy": self.ratio(cell, name),
                    "rounds": [rounds[r] for r in sorted(rounds)]}
        return found


def _order(names):
    kinds = ["direct", "sluice", "haproxy", "nginx"]
    return sorted(names, key=lambda name: (kinds.index(name.split("-")[0]), name))


def _rows(results, cell):
    columns = COLUMNS[GROUP[cell]]
    rows = [["", *(heading for heading, _ in columns.values()), "ratio"]]
    for name in _order(results.rounds[cell]):
        figures, ratio = results.medians(cell, name), results.ratio(cell, name)
        shown = [format(figures[key], form) if key in figures else "-"
                 for key, (_, form) in columns.items()]
        rows.append([name, *shown, f"{ratio:.2f}" if ratio and name != "direct" else "-"])
    return rows


def _disturbances(results, cell):
    """What else took CPU while a cell was measured, if it was enough to spoil it."""
    found = []
    for figure, least, who in (("stolen_share", 0.15, "the hypervisor"),
                               ("foreign_share", 0.15, "other programs")):
        most = max(results.medians(cell, name).get(figure, 0) for name in results.rounds[cell])
        if most > least:
            found.append(f"  (disturbed: {who} took up to {most:.0%} of a CPU meanwhile)")
    return found


def text(results):
    """The whole table as text; `ratio` is that of the cell's cost to HAProxy with its defaults."""
    lines = []
    for cell in TITLES:
        if cell not in results.rounds:
            continue
        rows = _rows(results, cell)
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += ["", f"{TITLES[cell]}  [{cell}]"]
        lines += ["  " + row[0].ljust(widths[0]) + "".join(
            "  " + value.rjust(width) for value, width in zip(row[1:], widths[1:])) for row in rows]
        lines += _disturbances(results, cell)
    for failure in results.failures:
        lines.append(f"FAILED {failure['cell']} {failure['candidate']} round "
                     f"{failure['round'] + 1}: {failure['why']}")
    return "\n".join(lines)
