# SPDX-License-Identifier: Apache-2.0
"""The fast path's table, the targets that it has to reach, and what a promotion is worth.

A ratio is formed within one round; what is quoted is the median of the rounds' ratios.
"""
import targets
from fast_cells import CELLS, CONNECT
from wires import SETTINGS

BULK = {cell.name: cell.unit == "Gbit/s" for cell in (*CELLS, CONNECT)}
TITLES = {f"{setting.name}/{cell.name}": f"{setting.title}: {cell.title}"
          for setting in SETTINGS for cell in (*CELLS, CONNECT)}
UNITS = {f"{setting.name}/{cell.name}": cell.unit
         for setting in SETTINGS for cell in (*CELLS, CONNECT)}
HELD, FOUNDING, PROGRAMS = "held", "founding-default", "programs"
ORDER = ["direct", "nft", "haproxy", "nginx", "sluice", "flow", "sluice-flow", "sockmap", "xdp", "tc"]

# base -> (rate at least, CPU at most), for requests and for bulk
AGAINST = {"nft": ((1.0, 1.0), (1.0, 1.0)), "sluice": ((2.0, 0.5), (1.5, 0.6))}
LOOPBACK = 1 / 1.05
IDLE_SHARE = 0.01  # of a CPU: its timers
CONNECT_LEAST = 0.95
PROGRAM_NS = {"hit": 120, "miss": 60}  # XDP's; tc's program has no target of its own
WORTH = {"turns": 8, "bytes": 256 * 1024}  # proxy/session/fitness.c


def _verdict(cell, target, got, limit, at_least, disturbed):
    if got is None:
        state = "not measured"
    else:
        state = "PASS" if (got >= limit if at_least else got <= limit) else "not reached"
        state += ", but disturbed" if disturbed else ""
    return {"cell": cell, "target": target, "got": got, "limit": limit, "at_least": at_least,
            "state": state}


def _ratios(results, cell, base, limits):
    """`direct`: what no proxy at all gets, beyond which nothing can be reached."""
    disturbed = results.disturbed(cell)
    return [_verdict(cell, f"{what}, ratio to {base}", results.ratio(cell, "tc", base, figure), limit,
                     figure == "rate", disturbed) |
            {"direct": results.ratio(cell, "direct", base, figure)}
            for what, figure, limit in (("rate", "rate", limits[0]), ("CPU", "cpu", limits[1]))]


def _of_cell(results, cell):
    """What tc has to reach in one cell between client and backend."""
    setting, _, name = cell.partition("/")
    disturbed = results.disturbed(cell)
    if name == CONNECT.name:
        return [_verdict(cell, "rate, ratio to sluice", results.ratio(cell, "tc", "sluice", "rate"),
                         CONNECT_LEAST, True, disturbed)]
    if setting == "loopback":
        found = [_verdict(cell, "rate, ratio to direct", results.ratio(cell, "tc", "direct", "rate"),
                          LOOPBACK, True, disturbed)]
    else:
        found = [verdict for base, limits in AGAINST.items()
                 for verdict in _ratios(results, cell, base, limits[BULK[name]])]
    return found + [_verdict(cell, "proxy process, share of a CPU",
                             results.medians(cell, "tc")["process_share"], IDLE_SHARE, False,
                             disturbed)]


def _of_programs(results):
    figures = results.medians(PROGRAMS, "sluice") or {}
    return [_verdict(PROGRAMS, f"{name}, ns", figures[name], PROGRAM_NS[name.split()[2]], False, False)
            for name in figures if name.startswith("xdp")]


def _of_founding(results):
    disturbed = results.disturbed(FOUNDING)
    return [_verdict(FOUNDING, f"{found['target'].partition(': ')[2]} {found['unit']}".strip(),
                     found["got"], found["limit"], False, disturbed)
            for found in targets.promoted(results)] if FOUNDING in results.rounds else []


def verdicts(results):
    """One dict for each target of each cell that was measured."""
    return [verdict for cell in TITLES if "tc" in results.rounds.get(cell, {})
            for verdict in _of_cell(results, cell)] + _of_founding(results) + _of_programs(results)


def break_even(results):
    """What promoting costs, and after how much it is earned back; {} if it was not measured."""
    relay, flow = (results.medians(HELD, name) for name in ("sluice", "flow"))
    cells = {key: [results.medians(f"default/{cell}", name) for name in ("sluice", "tc")]
             for key, cell in (("trips", "rr-16"), ("bits", "bulk-1"))}
    if not relay or not flow or not all(all(pair) for pair in cells.values()):
        return {}
    cost = flow["cpu"] - relay["cpu"]
    saved = {key: pair[0]["cpu"] - pair[1]["cpu"] for key, pair in cells.items()}
    return {"promotion_us": cost * 1e6, "saved_us_per_round_trip": saved["trips"] * 1e6,
            "saved_s_per_gb": saved["bits"] * 8,
            "round_trips": cost / saved["trips"] if saved["trips"] > 0 else None,
            "bytes": cost / saved["bits"] * 1e9 / 8 if saved["bits"] > 0 else None,
            "auto": WORTH}


def _rows(results, cell):
    rows = [["", UNITS[cell], "CPU", "machine", "own", "p50 us", "p99 us", "rate/relay",
             "CPU/relay", "rate/nft", "CPU/nft", ""]]
    for name in sorted(results.rounds[cell], key=ORDER.index):
        got = results.medians(cell, name)
        ratios = [results.ratio(cell, name, base, figure)
                  for base in ("sluice", "nft") for figure in ("rate", "cpu")]
        rows.append([name, f"{got['rate']:,.1f}" if got["rate"] < 1000 else f"{got['rate']:,.0f}",
                     f"{got['cpu'] * 1e6:,.1f}", f"{got['system_cpu'] * 1e6:,.1f}",
                     f"{got['process_share']:.1%}", f"{got['p50_us']:,.0f}",
                     f"{got['p99_us']:,.0f}",
                     *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
                     f"({got['promoted']:.0f} promoted)" if "promoted" in got else ""])
    return rows


def _aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + row[0].ljust(widths[0]) + "".join(
        "  " + value.rjust(width) for value, width in zip(row[1:], widths[1:])) for row in rows]


def _founding_text(results):
    if FOUNDING not in results.rounds:
        return []
    rows = [["", "p50 ms", "p99 ms", "new p99 ms", "set-up s", "held", "promoted", "no answer"]]
    for name in sorted(results.rounds[FOUNDING], key=ORDER.index):
        got = results.medians(FOUNDING, name)
        rows.append([name, *(f"{got[key]:.2f}" for key in ("p50_ms", "p99_ms", "new_p99_ms", "setup_s")),
                     *(f"{got[key]:,.0f}" if key in got else "-"
                       for key in ("held", "promoted", "unanswered"))])
    return ["", f"48,000 held, 12,000 requests/s  [{FOUNDING}]", *_aligned(rows)]


def text(results):
    """The whole table. CPU is in microseconds, for one unit (a request, a connection, a Gbit)."""
    lines = []
    for cell in TITLES:
        if cell in results.rounds:
            lines += ["", f"{TITLES[cell]}  [{cell}]", *_aligned(_rows(results, cell))]
            if results.disturbed(cell):
                lines.append("  (disturbed: other programs or the hypervisor took CPU meanwhile)")
    lines += _founding_text(results)
    for failure in results.failures:
        lines.append(f"FAILED {failure['cell']} {failure['candidate']} round "
                     f"{failure['round'] + 1}: {failure['why']}")
    return "\n".join(lines)


def text_of_verdicts(found, even):
    """Each target with what was got, and the promotion's worth."""
    lines = ["", "targets of tc, of auto where connections are made, and of the programs"] + _aligned(
        [[v["cell"], v["target"], "-" if v["got"] is None else f"{v['got']:.3f}",
          f"{'at least' if v['at_least'] else 'at most'} {v['limit']:.2f}",
          f"(direct {v['direct']:.3f})" if v.get("direct") else "", v["state"]]
         for v in found]) if found else []
    return "\n".join(lines + ["", worth(even)] if even else lines)


def worth(even):
    """One sentence on what a promotion costs, and when that is earned back."""
    after = {key: "never" if even[key] is None else f"{even[key]:,.1f}"
             for key in ("round_trips", "bytes")}
    return (f"a promotion costs {even['promotion_us']:.1f} us of CPU, earned back by "
            f"{after['round_trips']} round trips of 1 KiB or {after['bytes']} bytes of bulk; "
            f"auto waits for {WORTH['turns']} turns or {WORTH['bytes']:,} bytes")


def summary(results):
    """Everything as plain data for the JSON file."""
    return {cell: {"title": TITLES.get(cell, cell), "candidates": {
        name: {"median": results.medians(cell, name), "rounds": [rounds[r] for r in sorted(rounds)]}
        for name, rounds in sorted(candidates.items(), key=lambda item: ORDER.index(item[0]))}}
            for cell, candidates in results.rounds.items()}
