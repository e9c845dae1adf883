#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What every source file owes its reader, as far as a machine can tell.

The SPDX line; a C file that opens by saying what it owns; includes by path from the root; no
function over 60 lines, no C file over 400; no marker of unfinished work; no file without a final
newline or with blanks at a line's end.
"""
import os
import pathlib
import re
import sys

ROOTS = [".ci", "cloudformation", "control", "packaging", "proxy", "tests", "xdp", "."]
SOURCES = {".c", ".h", ".py", ".sh"}
TEXTS = SOURCES | {".md", ".yaml", ".yml", ".conf", ".cfg", ".ini", ".toml"}
FUNCTION_LINES = 60
FILE_LINES = 400
# One source file has one unit test, which may tell its every behaviour.
TEST_FUNCTION_LINES = 80
TEST_FILE_LINES = 700
SPDX = "SPDX-License-Identifier: Apache-2.0"
# Spelt in halves, or this file would complain of itself.
MARKERS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def files():
    """All files of the project; of the top level only its own, not its folders."""
    for root in ROOTS:
        for folder, folders, names in os.walk(root):
            folders[:] = [] if root == "." else [f for f in sorted(folders) if f != "__pycache__"]
            for name in sorted(names):
                yield pathlib.Path(folder, name)


def read(path):
    """The text of a source or document, None for anything else (data, binaries)."""
    if "corpus" in path.parts:  # what a fuzzer is fed need not even be UTF-8
        return None
    if path.suffix in TEXTS or path.name == "Makefile":
        return path.read_text()
    if path.suffix:
        return None
    with path.open("rb") as file:
        return path.read_text() if file.read(2) == b"#!" else None


def check_text(path, lines, text):
    for number, line in enumerate(lines, 1):
        if MARKERS.search(line):
            yield number, "unfinished: " + line.strip()
        if line != line.rstrip() and path.suffix != ".md":
            yield number, "blanks at the end of the line"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end of the file"


def check_licence(path, lines):
    script = lines and lines[0].startswith("#!")
    if path.suffix in SOURCES or script or path.name == "Makefile":
        if not any(SPDX in line for line in lines[:2]):
            yield 1, f"the first lines lack `{SPDX}`"


def check_functions(lines, most):
    """A body stands between braces in the first column (.clang-format sees to it)."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start - 1 > most:
                yield start, f"a function of {number - start - 1} lines; {most} at most"
            start = None


def check_c(lines, is_test):
    most = TEST_FILE_LINES if is_test else FILE_LINES
    if len(lines) > most:
        yield most, f"{len(lines)} lines, {most} at most: make it a folder"
    if not re.match(r" \* ?\S", "".join(lines[2:3])):
        yield 1, "does not open with a comment on what it owns"
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match and match.group(1).endswith(".skel.h"):
            continue  # made from a program of xdp/
        if match and not ("/" in match.group(1) and pathlib.Path(match.group(1)).exists()):
            yield number, f'"{match.group(1)}" is no path from the root'
    yield from check_functions(lines, TEST_FUNCTION_LINES if is_test else FUNCTION_LINES)


def check(path):
    text = read(path)
    if text is None:
        return
    lines = text.splitlines()
    yield from check_text(path, lines, text)
    yield from check_licence(path, lines)
    if path.suffix in {".c", ".h"}:
        yield from check_c(lines, "tests" in path.parts)


def main():
    complaints = [f"{path}:{number}: {what}" for path in files() for number, what in check(path)]
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
