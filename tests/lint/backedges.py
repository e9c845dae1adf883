# SPDX-License-Identifier: Apache-2.0
"""No loop of a kernel program may end by falling through into its head: the verifier before Linux
6.2 takes it for an endless one ("back-edge from insn"), while newer ones load it. Compilers decide
that by layout alone, so it is looked for in the objects.

The walk is the verifier's own (check_cfg() in kernel/bpf/verifier.c): depth first, and an
instruction that is no jump must not lead to one that is still being visited."""

import re
import subprocess
import sys

LINE = re.compile(r"^\s+(\d+):\s+(.*)$")
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
JUMP = re.compile(r"^(if .* )?goto ([+-]\d+)")


def functions(path):
    """(name, {number: text}) of each function of an object; labels of blocks are none."""
    shown = subprocess.run(["llvm-objdump", "-d", "--no-show-raw-insn", path],
                           capture_output=True, text=True, check=True).stdout
    name, code = None, {}
    for line in shown.splitlines():
        head, instruction = FUNCTION.match(line), LINE.match(line)
        if head and not head.group(1).startswith("LBB"):
            if code:
                yield name, code
            name, code = head.group(1), {}
        elif instruction:
            code[int(instruction.group(1))] = instruction.group(2)
    if code:
        yield name, code


def _successors(at, text):
    """Pairs of where to go, and whether by a jump that may loop, in the verifier's order."""
    if text.startswith("exit"):
        return []
    following = at + (2 if text.endswith(" ll") else 1)
    jump = JUMP.match(text)
    if not jump:
        return [(following, False)]
    target = (at + 1 + int(jump.group(2)), True)
    return [(following, True), target] if jump.group(1) else [target]


def back_edge(code):
    """The first one, as (from, to), or None."""
    first = min(code)
    visiting, done = {first}, set()
    stack = [(first, iter(_successors(first, code[first])))]
    while stack:
        at, rest = stack[-1]
        for to, may_loop in rest:
            if to in visiting and not may_loop:
                return at, to
            if to not in visiting and to not in done:
                visiting.add(to)
                stack.append((to, iter(_successors(to, code[to]))))
                break
        else:
            stack.pop()
            visiting.discard(at)
            done.add(at)
    return None


def main():
    bad = 0
    for path in sys.argv[1:]:
        for name, code in functions(path):
            found = back_edge(code)
            if found:
                bad += 1
                print(f"{path}: {name}: instruction {found[0]} falls through to {found[1]}, "
                      "the head of its loop")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
