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
                 "promoted": ("promoted", ",.0f"), "promotion_s": ("after s", ".1f"),
                 "unanswered": ("no answer", ",.0f"), "lost": ("lost", ",.0f"),
                 "proxy_cpu_us": ("CPU us", ".1f")},
}
GROUP = {cell.name: cell.group for cell in CELLS} | {
    "idle": "idle", "calls": "calls", "founding-default": "founding", "founding-wide": "founding"}


SYSTEM = {"bulk": "system_cpu_s_per_gb", "request": "system_cpu_us", "connect": "system_cpu_us"}
DISTURBERS = {"stolen_share": "the hypervisor", "foreign_share": "other programs"}
DISTURBING = 0.15


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

    def ratios(self, cell, candidate, base=BASE, figure=None):
        """The rounds' ratios of the cell's cost (or another figure), the smallest first."""
        figure = figure or COST[cell]
        ours, theirs = (self.rounds.get(cell, {}).get(name, {}) for name in (candidate, base))
        return sorted(ours[r][figure] / theirs[r][figure] for r in ours
                      if r in theirs and theirs[r].get(figure) and figure in ours[r])

    def ratio(self, cell, candidate, base=BASE, figure=None):
        """Their median; None where none can be formed."""
        ratios = self.ratios(cell, candidate, base, figure)
        return median(ratios) if ratios else None

    def disturbance(self, cell, figure):
        """The largest share of a CPU that others took, of the candidates' medians in a cell."""
        return max((self.medians(cell, name).get(figure, 0) for name in self.rounds.get(cell, {})),
                   default=0)

    def disturbed(self, cell):
        """Whether a verdict on this cell should wait for a quieter machine."""
        return any(self.disturbance(cell, figure) > DISTURBING for figure in DISTURBERS)

    def summary(self):
        """Everything as plain data for the JSON file."""
        found = {}
        for cell, candidates in self.rounds.items():
            found[cell] = {"title": TITLES[cell], "cost": COST[cell], "candidates": {}}
            for name in _order(candidates):
                rounds = candidates[name]
                found[cell]["candidates"][name] = {
                    "median": self.medians(cell, name), "ratio_to_haproxy": self.ratio(cell, name),
                    "system_ratio_to_haproxy": self.ratio(cell, name, figure=SYSTEM.get(
                        GROUP[cell], "")),
                    "ratios_by_size": self.ratios(cell, name),
                    "rounds": [rounds[r] for r in sorted(rounds)]}
        return found


def _order(names):
    kinds = ["direct", "sluice", "haproxy", "nginx"]
    return sorted(names, key=lambda name: (kinds.index(name.split("-")[0]), name))


def _ratio_columns(results, cell, name):
    """The median ratio, the rounds' smallest and largest, and the whole machine's where it is read:
    what a proxy saves must not reappear in the processes beside it."""
    ratios = results.ratios(cell, name) if name != "direct" else []
    shown = [f"{median(ratios):.2f}" if ratios else "-",
             f"{ratios[0]:.2f}-{ratios[-1]:.2f}" if ratios else "-"]
    if GROUP[cell] in SYSTEM:
        system = results.ratio(cell, name, figure=SYSTEM[GROUP[cell]])
        shown.append(f"{system:.2f}" if system and name != "direct" else "-")
    return shown


def _rows(results, cell):
    columns = COLUMNS[GROUP[cell]]
    rows = [["", *(heading for heading, _ in columns.values()), "ratio", "spread",
             *(["system"] if GROUP[cell] in SYSTEM else [])]]
    for name in _order(results.rounds[cell]):
        figures = results.medians(cell, name)
        shown = [format(figures[key], form) if key in figures else "-"
                 for key, (_, form) in columns.items()]
        rows.append([name, *shown, *_ratio_columns(results, cell, name)])
    return rows


def _disturbances(results, cell):
    """What else took CPU while a cell was measured, if it was enough to spoil it."""
    return [f"  (disturbed: {who} took up to {results.disturbance(cell, figure):.0%} of a CPU "
            "meanwhile)" for figure, who in DISTURBERS.items()
            if results.disturbance(cell, figure) > DISTURBING]


def text(results):
    """The whole table as text. `ratio` is that of the cell's cost to HAProxy with its defaults,
    `spread` its range over the rounds, `system` the same ratio of the whole machine's CPU."""
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
