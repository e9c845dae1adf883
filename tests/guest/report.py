# SPDX-License-Identifier: Apache-2.0
"""What came of tests/guest/run: rows as JSON, and the table that README.md has of them.

Happy path: `keep` writes both, and `is_kept` (for tests/lint/readme.py) finds them equal."""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- tests/guest/results.json -->", "<!-- end -->"
COLUMNS = {
    "relay": "relay-",
    "splice by tc": "flow-tc-",
    "by XDP": "flow-xdp-",
    "generic XDP": "flow-xdp-generic-",
    "sockmap": "sockmap-",
    "guard": "guard-deny",
    "its cookies": "guard-cookies",
}
FLOW_ENDS = ("bytes", "fin", "rst")


def _verdict(checks, prefix):
    """Of all checks of a column: the worst one."""
    found = [
        verdict for name, (verdict, _) in checks.items()
        if name.startswith(prefix)
        and (not prefix.startswith("flow-") or name[len(prefix):] in FLOW_ENDS)
    ]
    if not found:
        return "not run"
    for verdict in ("failed", "refused"):
        if verdict in found:
            return verdict
    return "ok"


def row(name, machine, findings):
    checks = findings.checks if findings else {}
    return {
        "name": name,
        "machine": machine,
        "kernel": findings.kernel if findings else "not to be had",
        **{column: _verdict(checks, prefix) for column, prefix in COLUMNS.items()},
    }


def table(rows):
    lines = ["| kernel | machine | " + " | ".join(COLUMNS) + " |",
             "|---|---|" + "---|" * len(COLUMNS)]
    for each in rows:
        verdicts = " | ".join(each.get(column, "not run") for column in COLUMNS)
        lines.append(f"| {each['kernel']} | {each['machine']} | {verdicts} |")
    return "\n".join(lines) + "\n"


def save(rows, path):
    pathlib.Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _shown(text):
    found = re.search(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", text, re.DOTALL)
    return found.group(1) if found else None


def keep(rows):
    save(rows, RESULTS)
    text = README.read_text(encoding="utf-8")
    README.write_text(text.replace(f"{BEGIN}\n{_shown(text)}", f"{BEGIN}\n{table(rows)}"),
                      encoding="utf-8")


def is_kept():
    """Whether README.md shows the last results that were kept."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    return _shown(README.read_text(encoding="utf-8")) == table(rows)
