# SPDX-License-Identifier: Apache-2.0
"""Draws the chart of a run as plain SVG: no background, tones that read on light and on dark."""
import math
from xml.sax.saxutils import escape

WIDTH, LABEL, VALUE = 860, 300, 90  # of the drawing, the row titles and the figures at the right
BAR, GAP, ROW_GAP, PANEL_GAP = 11, 2, 9, 46
SCALE = WIDTH - LABEL - VALUE

COLOURS = {"direct": "#8c959f", "sluice": "#0d9488", "sluice-copy": "#2dd4bf", "sluice-flow": "#1d4ed8",
           "sluice-splice": "#0f766e", "haproxy": "#d97706", "haproxy-64k": "#f0a53a",
           "haproxy-new": "#b45309", "nginx": "#7c78d8", "nginx-new": "#5b55c4"}
NAMES = {"haproxy": "HAProxy, defaults", "haproxy-64k": "HAProxy, 64 KiB buffers",
         "haproxy-new": "HAProxy, newest", "nginx": "nginx, defaults", "nginx-new": "nginx, newest"}
STYLE = """text{font:12px system-ui,sans-serif;fill:#57606a}
.head{font-size:15px;font-weight:600;fill:#24292f}.small{font-size:10.5px}
line{stroke:#8c959f;stroke-opacity:.55}
@media(prefers-color-scheme:dark){text{fill:#adbac7}.head{fill:#e6edf3}}"""


class Drawing:
    """Collects elements from top to bottom."""

    def __init__(self):
        self.parts, self.y = [], 30

    def text(self, x, y, text, css="", anchor="start"):
        """One line of text, its baseline at y."""
        css = f' class="{css}"' if css else ""
        self.parts.append(f'<text x="{x:.0f}" y="{y:.1f}"{css} text-anchor="{anchor}">'
                          f'{escape(text)}</text>')

    def bar(self, length, colour, figure, title):
        """One bar at the current height, its figure behind it."""
        self.parts.append(f'<rect x="{LABEL}" y="{self.y}" width="{max(length, 1):.1f}" '
                          f'height="{BAR}" rx="2" fill="{colour}"><title>{escape(title)}</title>'
                          '</rect>')
        self.text(LABEL + max(length, 1) + 5, self.y + BAR - 1.5, figure, "small")
        self.y += BAR + GAP

    def heading(self, text, note):
        """The head of a panel."""
        self.text(0, self.y, text, "head")
        self.text(0, self.y + 18, note)
        self.y += 34

    def legend(self, names):
        """Which colour is whose."""
        x = LABEL
        for name in names:
            label = NAMES.get(name, name)
            self.parts.append(f'<rect x="{x}" y="{self.y - 2}" width="{BAR}" height="{BAR}" rx="2" '
                              f'fill="{COLOURS[name]}"/>')
            self.text(x + BAR + 5, self.y + 8, label)
            x += 34 + 6.6 * len(label)
        self.y += 22

    def rule(self, x, top, label):
        """A vertical line with a label above it."""
        self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{self.y}" '
                          'stroke-dasharray="3 3"/>')
        self.text(x, top - 3, label, "small", "middle")

    def finish(self):
        """The whole file."""
        height = self.y + 10
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                f'width="{WIDTH}" height="{height:.0f}"><style>{STYLE}</style>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def _draw_ratios(drawing, cells):
    shown = [name for name in ("sluice", "haproxy-64k", "haproxy-new", "nginx", "nginx-new")
             if any(name in cell["candidates"] for cell in cells)]
    ratios = [cell["candidates"][name]["ratio_to_haproxy"] or 0
              for cell in cells for name in shown if name in cell["candidates"]]
    if not ratios:
        return
    unit = SCALE / max(1.2, min(max(ratios), 2.0))
    drawing.heading("Proxy CPU for the same work", "HAProxy with its defaults = 1; less is better")
    drawing.legend(shown)
    drawing.y += 14
    top = drawing.y
    for cell in cells:
        present = [name for name in shown if cell["candidates"].get(name, {}).get(
            "ratio_to_haproxy")]
        if not present:
            continue
        middle = drawing.y + len(present) * (BAR + GAP) / 2 + 3
        drawing.text(LABEL - 10, middle, cell["title"], "", "end")
        for name in present:
            ratio = cell["candidates"][name]["ratio_to_haproxy"]
            drawing.bar(min(ratio * unit, SCALE), COLOURS[name], f"{ratio:.2f}",
                        f"{NAMES.get(name, name)}: {ratio:.3f}")
        drawing.y += ROW_GAP
    drawing.rule(LABEL + unit, top, "HAProxy")
    drawing.y += PANEL_GAP


def _draw_figures(drawing, cell, figure, head, note, unit, logarithmic=False):
    found = [(name, entry["median"][figure]) for name, entry in cell["candidates"].items()
             if figure in entry["median"] and name in COLOURS]
    if not found:
        return
    drawing.heading(head, note)
    most, least = max(value for _, value in found), 0.1
    for name, value in found:
        share = value / most if most > 0 else 0
        if logarithmic:
            share = math.log10(max(value, least) / least) / math.log10(max(most, 1) / least)
        drawing.text(LABEL - 10, drawing.y + BAR - 1.5, NAMES.get(name, name), "", "end")
        drawing.bar(max(share, 0) * SCALE, COLOURS[name],
                    f"{value:,.2f} {unit}" if value < 100 else f"{value:,.0f} {unit}", name)
        drawing.y += 4
    drawing.y += PANEL_GAP


def draw(data):
    """The SVG text for the data that goes into bench.json."""
    drawing, cells = Drawing(), data["cells"]
    _draw_ratios(drawing, [cell for cell in cells.values() if cell["cost"].startswith("proxy_cpu")])
    for name, where in (("founding-default", "default port range"),
                        ("founding-wide", "port range 1024-65535")):
        if name in cells:
            _draw_figures(drawing, cells[name], "p99_ms", "48,000 connections held, 12,000 "
                          "requests a second", f"99th percentile from when each was due, {where}; "
                          "logarithmic, less is better", "ms", logarithmic=True)
    if "idle" in cells:
        _draw_figures(drawing, cells["idle"], "bytes_per_connection", "User memory of an idle "
                      "connection", "after some bytes were relayed; less is better", "bytes")
    about = data["machine"]
    versions = ", ".join(dict.fromkeys(
        text.split(" 20")[0].strip() for text in data["versions"].values()))
    drawing.text(0, drawing.y - 20, f"{about['cpu']}, {about['cpus']} CPUs, Linux "
                 f"{about['kernel']}", "small")
    drawing.text(0, drawing.y - 4, f"{versions}; {data['began'][:10]}", "small")
    return drawing.finish()
