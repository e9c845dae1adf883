# SPDX-License-Identifier: Apache-2.0
"""The fast path's table, the targets that it has to reach, and what a promotion is worth.

A ratio is formed within one round; what is quoted is the median of the rounds' ratios.
"""
from fast_cells import CELLS, CONNECT
from wires import SETTINGS

BULK = {cell.name: cell.unit == "Gbit/s" for cell in (*CELLS, CONNECT)}
TITLES = {f"{setting.name}/{cell.name}": f"{setting.title}: {cell.title}"
          for setting in SETTINGS for cell in (*CELLS, CONNECT)}
UNITS = {f"{setting.name}/{cell.name}": cell.unit
         for setting in SETTINGS for cell in (*CELLS, CONNECT)}
HELD = "held"
ORDER = ["direct", "nft", "haproxy", "nginx", "sluice", "flow", "sockmap", "xdp", "tc"]

# base -> (rate at least, CPU at most), for requests and for bulk
AGAINST = {"nft": ((1.0, 1.0), (1.0, 1.0)), "sluice": ((2.0, 0.5), (1.5, 0.6))}
LOOPBACK = 1 / 1.05
IDLE_SHARE = 0.01  # of a CPU: its timers
CONNECT_LEAST = 0.95
WORTH = {"turns": 8, "bytes": 64 * 1024}  # proxy/session/offload.c


def _verdict(cell, target, got, limit, at_least, disturbed):
    if got is None:
        state = "not measured"
    else:
        state = "reached" if (got >= limit if at_least else got <= limit) else "NOT REACHED"
        state += ", but disturbed" if disturbed else ""
    return {"cell": cell, "target": target, "got": got, "limit": limit, "at_least": at_least,
            "state": state}


def _ratios(results, cell, base, limits):
    disturbed = results.disturbed(cell)
    return [_verdict(cell, f"tc's {what}, ratio to {base}'s",
                     results.ratio(cell, "tc", base, figure), limit, figure == "rate", disturbed)
            for what, figure, limit in (("rate", "rate", limits[0]), ("CPU", "cpu", limits[1]))]


def verdicts(results):
    """One dict for each target of each cell that was measured."""
    found = []
    for cell in results.rounds:
        setting, _, name = cell.partition("/")
        if "tc" not in results.rounds[cell]:
            continue
        if name == CONNECT.name:
            found.append(_verdict(cell, "connections/s with auto, ratio to the relay's",
                                  results.ratio(cell, "tc", "sluice", "rate"), CONNECT_LEAST, True,
                                  results.disturbed(cell)))
        elif setting == "loopback":
            found.append(_verdict(cell, "tc's rate, ratio to direct's",
                                  results.ratio(cell, "tc", "direct", "rate"), LOOPBACK, True,
                                  results.disturbed(cell)))
        else:
            for base, limits in AGAINST.items():
                found += _ratios(results, cell, base, limits[BULK[name]])
            found.append(_verdict(cell, "tc's own process, share of a CPU",
                                  results.medians(cell, "tc")["process_share"], IDLE_SHARE, False,
                                  results.disturbed(cell)))
    return found


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


def text(results):
    """The whole table. CPU is in microseconds, for one unit (a request, a connection, a Gbit)."""
    lines = []
    for cell in TITLES:
        if cell in results.rounds:
            lines += ["", f"{TITLES[cell]}  [{cell}]", *_aligned(_rows(results, cell))]
            if results.disturbed(cell):
                lines.append("  (disturbed: other programs or the hypervisor took CPU meanwhile)")
    for failure in results.failures:
        lines.append(f"FAILED {failure['cell']} {failure['candidate']} round "
                     f"{failure['round'] + 1}: {failure['why']}")
    return "\n".join(lines)


def text_of_verdicts(found, even):
    """Each target with what was got, and the promotion's worth."""
    lines = ["", "targets"] + _aligned(
        [[v["cell"], v["target"], "-" if v["got"] is None else f"{v['got']:.3f}",
          f"{'at least' if v['at_least'] else 'at most'} {v['limit']:.2f}", v["state"]]
         for v in found]) if found else []
    if even:
        worth = {key: "never" if even[key] is None else f"{even[key]:,.1f}"
                 for key in ("round_trips", "bytes")}
        lines += ["", f"a promotion costs {even['promotion_us']:.1f} us of CPU, earned back by "
                  f"{worth['round_trips']} round trips of 1 KiB or {worth['bytes']} bytes of bulk; "
                  f"auto waits for {WORTH['turns']} turns or {WORTH['bytes']:,} bytes"]
    return "\n".join(lines)


def summary(results):
    """Everything as plain data for the JSON file."""
    return {cell: {"title": TITLES.get(cell, cell), "candidates": {
        name: {"median": results.medians(cell, name), "rounds": [rounds[r] for r in sorted(rounds)]}
        for name, rounds in sorted(candidates.items(), key=lambda item: ORDER.index(item[0]))}}
            for cell, candidates in results.rounds.items()}
