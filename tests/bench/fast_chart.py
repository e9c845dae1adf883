# SPDX-License-Identifier: Apache-2.0
"""Draws the fast path's run: what each way moves and costs, the relay being 1, and the founding
case."""
from chart import BAR, GAP, LABEL, ROW_GAP, SCALE, PANEL_GAP, Drawing

COLOURS = {"direct": "#8c959f", "nft": "#57606a", "haproxy": "#d97706", "nginx": "#7c78d8",
           "sluice": "#0d9488", "sluice-flow": "#1d4ed8", "sockmap": "#be185d", "xdp": "#60a5fa",
           "tc": "#1d4ed8"}
NAMES = {"direct": "direct (routed)", "nft": "nftables DNAT", "haproxy": "HAProxy",
         "sluice": "Sluice's relay", "sluice-flow": "Sluice, offload auto", "tc": "flow splice, tc",
         "xdp": "flow splice, XDP"}
SHOWN = ("default", "wire", "loopback")
SHORT = {"1 KiB requests": "requests", "MTU 1500, wire-like, threaded NAPI": "wire-like"}
MOST = 3.0  # times the relay; a longer bar is cut


def _ratios(cell, figure):
    found = {name: entry["median"].get(figure) for name, entry in cell["candidates"].items()}
    base = found.get("sluice")
    return {name: found[name] / base for name in COLOURS if base and found.get(name)}


def _row(drawing, title, ratios):
    drawing.text(LABEL - 10, drawing.y + len(ratios) * (BAR + GAP) / 2 + 3, title, "", "end")
    for name, ratio in ratios.items():
        drawing.bar(min(ratio, MOST) * SCALE / MOST, COLOURS[name], f"{ratio:.2f}",
                    f"{NAMES.get(name, name)}: {ratio:.3f}")
    drawing.y += ROW_GAP


def _legend(drawing, names):
    """Which colour is whose, three to a line."""
    for number, name in enumerate(names):
        x = LABEL + number % 3 * 160
        drawing.parts.append(f'<rect x="{x}" y="{drawing.y - 2:.1f}" width="{BAR}" height="{BAR}" '
                             f'rx="2" fill="{COLOURS[name]}"/>')
        drawing.text(x + BAR + 5, drawing.y + 8, NAMES.get(name, name))
        if number % 3 == 2 or number == len(names) - 1:
            drawing.y += 18
    drawing.y += 14


def _panel(drawing, cells, figure, head, note):
    rows = [(cell["title"], _ratios(cell, figure)) for cell in cells]
    rows = [(title, ratios) for title, ratios in rows if len(ratios) > 1]
    if not rows:
        return
    drawing.heading(head, note)
    _legend(drawing, [name for name in COLOURS if any(name in ratios for _, ratios in rows)])
    top = drawing.y
    for title, ratios in rows:
        for long, short in SHORT.items():
            title = title.replace(long, short)
        _row(drawing, title, ratios)
    drawing.rule(LABEL + SCALE / MOST, top, "relay")
    drawing.y += PANEL_GAP


def _founding(drawing, cell):
    drawing.heading("48,000 connections held, 12,000 requests a second",
                    "99th percentile from when each was due, ms; less is better")
    found = {name: entry["median"]["p99_ms"] for name, entry in cell["candidates"].items()}
    for name, value in found.items():
        drawing.text(LABEL - 10, drawing.y + BAR - 1.5, NAMES.get(name, name), "", "end")
        drawing.bar(value / max(found.values()) * SCALE, COLOURS[name], f"{value:,.2f} ms", name)
        drawing.y += 4
    drawing.y += PANEL_GAP


def draw(data):
    """The SVG text for the data of fastpath.json."""
    drawing = Drawing()
    cells = [cell for name, cell in data["cells"].items() if name.split("/")[0] in SHOWN]
    _panel(drawing, cells, "rate", "Throughput", "Sluice's relay = 1; more is better")
    _panel(drawing, cells, "cpu", "CPU of all who take part, for the same work",
           "Sluice's relay = 1; less is better")
    if "founding-default" in data["cells"]:
        _founding(drawing, data["cells"]["founding-default"])
    about = data["machine"]
    drawing.text(0, drawing.y, f"{about['cpu']}, {about['cpus']} CPUs, Linux {about['kernel']}; "
                 f"{data['began'][:10]}", "small")
    return drawing.finish()
