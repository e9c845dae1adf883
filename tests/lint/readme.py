#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""readme.py SLUICE SLUICE_CONTROL SLUICECTL: is what the documents promise there?

In README.md, ARCHITECTURE.md and CONTRIBUTING.md: every `make X` names a target, every relative
link and every path in backticks leads somewhere, every flag on a line that speaks of one of the
programs is in its --help, every block of YAML is a configuration that --check accepts, and the table
of kernels is that of the results which were kept.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
TARGET = re.compile(r"\bmake ((?:[A-Z_]+=\S+ )*)([a-z][a-z-]*)")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
YAML = re.compile(r"```yaml\n(.*?)```", re.S)
FENCE = re.compile(r"```(?:sh|console)?\n(.*?)```", re.S)
PATH = re.compile(r"^(?:control|proxy|tests|\.ci)/[\w./-]*$")


def targets():
    names = set()
    for line in pathlib.Path("Makefile").read_text().splitlines():
        match = re.match(r"([a-z][a-z -]*):(?!=)", line)
        if match:
            names.update(match.group(1).split())
    return names


def commands(text):
    """What is shown as code: spans, and the lines of blocks."""
    yield from CODE.findall(text)
    for block in FENCE.findall(text):
        yield from block.splitlines()


def check_commands(text, known_targets, known_flags):
    for command in commands(text):
        for _, target in TARGET.findall(command):
            if target not in known_targets:
                yield f"`make {target}` is no target"
        if PATH.match(command) and not pathlib.Path(command).exists():
            yield f"`{command}` does not exist"
        command = command.split("#")[0]
        program = next((p for p in ("sluicectl", "sluice-control", "sluice") if p in command), None)
        for flag in set(FLAG.findall(command)) if program else ():
            if flag not in known_flags[program]:
                yield f"{flag} is not in {program} --help"


def help_text(*command):
    run = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True,
                         timeout=20)
    return run.stdout


def verbs_of(overview):
    return re.findall(r"^  ([a-z][a-z-]*) {2,}\S", overview, re.M)


def flags_of(sluice, control, sluicectl):
    """Of each program all that its help names; that of sluicectl is verb by verb."""
    overview = help_text(sluicectl)
    texts = [overview, *(help_text(sluicectl, verb) for verb in verbs_of(overview))]
    return {"sluice": set(FLAG.findall(help_text(sluice))) | {"--help"},
            "sluice-control": set(FLAG.findall(help_text(control))),
            "sluicectl": set(FLAG.findall("".join(texts)))}


def check_links(text):
    for link in LINK.findall(text):
        if "://" not in link and not pathlib.Path(link).exists():
            yield f"the link {link} leads nowhere"


def check_yaml(text, sluice):
    for block in YAML.findall(text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(block)
            file.flush()
            run = subprocess.run([sluice, "--check", file.name], capture_output=True, text=True,
                                 check=False, timeout=20)
        if run.returncode:
            yield "sluice --check refuses this block:\n" + block + run.stdout + run.stderr


def kernels_are_as_kept():
    """tests/guest/report.py writes both."""
    sys.path.append("tests/guest")
    import report  # pylint: disable=import-outside-toplevel
    return report.is_kept()


def main():
    sluice, control, sluicectl = sys.argv[1:]
    known_flags = flags_of(sluice, control, sluicectl)
    known_targets = targets()
    complaints = []
    for name in DOCUMENTS:
        text = pathlib.Path(name).read_text()
        for complaint in [*check_commands(text, known_targets, known_flags), *check_links(text),
                          *check_yaml(text, sluice)]:
            complaints.append(f"{name}: {complaint}")
    if not kernels_are_as_kept():
        complaints.append("README.md: the table of kernels is not that of tests/guest/results.json")
    print(*complaints or ["documents: every target, path, link, flag and example holds"], sep="\n")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
