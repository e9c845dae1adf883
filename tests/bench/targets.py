# SPDX-License-Identifier: Apache-2.0
"""The figures Sluice has to reach, and whether this run reached them."""
from table import TITLES

RATIOS = [  # cell, base, at most
    ("bulk-32", "haproxy", 0.30), ("bulk-1", "haproxy", 0.48), ("bulk-32", "haproxy-64k", 0.45),
    ("rr-64k-1", "haproxy", 0.50), ("rr-64k-64", "haproxy", 0.50), ("rr-64k-512", "haproxy", 0.50),
    ("rr-1k-512", "haproxy", 0.75),
    ("conn-client", "haproxy", 0.75), ("conn-server", "haproxy", 0.75),
]
IDLE_BYTES = 512
FOUNDING_MS = 4.0
FLOW_MS, FLOW_RATIO = 0.8, 1.25  # of the founding case where the kernel carries the connections
PROMOTION_S = 30  # for all of them
HELD = 48000
NOISE_MS = 0.2  # a hop costs two wake-ups; a stall (delayed ACK, Nagle) would be 40 ms and more


def _verdict(name, got, limit, unit="", disturbed=False):
    state = "not measured" if got is None else "reached" if got <= limit else "MISSED"
    if disturbed and got is not None:
        state += ", but disturbed"
    return {"target": name, "limit": limit, "got": got, "unit": unit, "state": state}


def _figure(results, cell, candidate, figure):
    found = results.medians(cell, candidate)
    return found.get(figure) if found else None


def _founding(results):
    found = [_verdict("founding case p99, default port range",
                      _figure(results, "founding-default", "sluice", "p99_ms"), FOUNDING_MS, "ms",
                      results.disturbed("founding-default"))]
    peers = [_figure(results, "founding-wide", peer, "p99_ms")
             for peer in ("haproxy", "nginx", "haproxy-new", "nginx-new")]
    best = min((ms for ms in peers if ms is not None), default=None)
    ours = _figure(results, "founding-wide", "sluice", "p99_ms")
    found.append(_verdict("founding case p99, wide port range, against the best peer",
                          ours if best is not None else None, best or 0, "ms",
                          results.disturbed("founding-wide")))
    for cell in ("founding-default", "founding-wide"):
        held = _figure(results, cell, "sluice", "held")
        missing = None if held is None else HELD - held
        found.append(_verdict(f"connections not held and answered, {cell}", missing, 0))
    return found + promoted(results)


def promoted(results):
    """The founding case with `offload: auto`."""
    cell = "founding-default"
    p99, promoted, seconds = (_figure(results, cell, "sluice-flow", key)
                              for key in ("p99_ms", "promoted", "promotion_s"))
    rows = [("p99", p99, FLOW_MS, "ms"),
            ("p99, ratio to direct", results.ratio(cell, "sluice-flow", "direct"), FLOW_RATIO, ""),
            ("not promoted", None if promoted is None else HELD - promoted, 0, ""),
            ("last promotion, after set-up", seconds, PROMOTION_S, "s")]
    return [_verdict(f"founding case, offload auto: {name}", got, limit, unit,
                     results.disturbed(cell)) for name, got, limit, unit in rows]


def _delays(results):
    found = []
    for cell in ("greet", "two-writes"):
        ours, direct = (_figure(results, cell, name, "p50_us") for name in ("sluice", "direct"))
        added = None if ours is None or direct is None else (ours - direct) / 1e3
        found.append(_verdict(f"{TITLES[cell]}: p50 beyond direct's", added, NOISE_MS, "ms",
                              results.disturbed(cell)))
    return found


def verdicts(results):
    """One dict per target: its limit, what was got, and reached, MISSED or not measured."""
    found = [_verdict(f"proxy CPU, {TITLES[cell]}, ratio to {base}",
                      results.ratio(cell, "sluice", base), limit, "", results.disturbed(cell))
             for cell, base, limit in RATIOS]
    found.append(_verdict("user memory per idle connection",
                          _figure(results, "idle", "sluice", "bytes_per_connection"), IDLE_BYTES,
                          "bytes"))
    return found + _founding(results) + _delays(results)


def text(found):
    """The verdicts as text."""
    rows = [(v["target"], "-" if v["got"] is None else f"{v['got']:.2f}",
             f"{v['limit']:.2f} {v['unit']}".strip(), v["state"]) for v in found]
    width = max(len(row[0]) for row in rows)
    return "\n".join(["", "targets" + " " * (width - 5) + f"{'got':>10}  {'at most':<12}"] + [
        f"  {name.ljust(width)}{got:>10}  {limit:<12}  {state}"
        for name, got, limit, state in rows])
