#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""manpages.py SLUICE SLUICE_CONTROL SLUICECTL SCHEMA_KEYS: do the manual pages have it all?

Every flag, verb and variable that a program's --help names is in its page, those of a verb under
that verb; every key of the schema is in sluice.yaml(5), under a heading that names where it stands,
and with its default. No page has one that does not exist, and mandoc finds nothing wrong with their
markup.
"""
import fnmatch
import pathlib
import re
import subprocess
import sys

from readme import help_text, verbs_of

MAN = pathlib.Path("packaging/man")
KEYS = "Keys of the file"  # the heading of those at the top


def flags_of(text):
    return set(re.findall(r"^ +(--[a-z-]+)", text, re.M))


def items_of(page):
    return {"--" + flag for flag in re.findall(r"^\.It Fl -([a-z][a-z-]+)", page, re.M)}


def compare(where, helped, paged):
    """Complaints about what only one of a --help and its page names."""
    for name in sorted(helped - paged):
        yield f"{where}: {name} is in --help and not in the page"
    for name in sorted(paged - helped):
        yield f"{where}: {name} is in the page and not in --help"


def check_daemon(page, program):
    text, told = (MAN / page).read_text(), help_text(program)
    yield from compare(page, flags_of(told), items_of(text))
    variables = set(re.findall(r"\b(SLUICE_[A-Z_]+)", told))
    yield from compare(page, variables, set(re.findall(r"\b(SLUICE_[A-Z_]+)", text)))


def check_sluicectl(program):
    """The verbs, and under each its own flags; those of all stand ahead of the first."""
    told = help_text(program)
    head, *parts = re.split(r"^\.It Ic ", (MAN / "sluicectl.1").read_text(), flags=re.M)
    paged = {part.split()[0]: re.split(r"^\.S[sh] ", part, flags=re.M)[0] for part in parts}
    yield from compare("sluicectl.1", flags_of(told), items_of(head))
    yield from compare("sluicectl.1", set(verbs_of(told)), set(paged))
    for verb in verbs_of(told):
        own = flags_of(help_text(program, verb)) - flags_of(told)
        yield from compare(f"sluicectl.1: {verb}", own, items_of(paged.get(verb, "")))


def sections(page):
    """[(patterns of parents, {key: its item's text})] of sluice.yaml.5."""
    found = []
    for part in re.split(r"^\.S[sh] ", page, flags=re.M):
        title, _, text = part.partition("\n")
        items = re.split(r"^\.It Ic ", text, flags=re.M)[1:]
        parents = [""] if title == KEYS else title.replace(" ", "").split(",")
        found.append((parents, {item.split()[0]: item for item in items}))
    return found


def is_child(parent, patterns):
    return any(
        fnmatch.fnmatchcase(parent, pattern) and parent.count(".") == pattern.count(".")
        for pattern in patterns
    )


def check_key(path, default, values, texts):
    """One key of the schema against the items that may be its own."""
    heads = [path.rpartition(".")[2] + ("" if default == "-" else f" Pq Li {default}")]
    own = [text for text in texts if text.partition("\n")[0] in heads]
    if not own:
        yield f"{path} " + (f"is there without its default, {default}" if texts else "is missing")
    for word in set(re.findall(r"[\w-]*\w", values)) if own else ():
        if not re.search(rf"\b{word}\b", own[0]):
            yield f"{path}: it may be {word}, which is not said"


def check_keys(schema_keys):
    found = sections((MAN / "sluice.yaml.5").read_text())
    run = subprocess.run([schema_keys], capture_output=True, text=True, check=True, timeout=20)
    known = set()
    for row in run.stdout.splitlines():
        path, default, values, _ = row.split("\t")
        parent, _, key = path.rpartition(".")
        known.add((parent, key))
        texts = [items[key] for parents, items in found if key in items and is_child(parent, parents)]
        yield from (f"sluice.yaml.5: {wrong}" for wrong in check_key(path, default, values, texts))
    for parents, items in found:
        for key in items:
            if not any(name == key and is_child(parent, parents) for parent, name in known):
                yield f"sluice.yaml.5: there is no {key} in {' or '.join(parents)}"


def check_markup():
    pages = sorted(str(page) for page in MAN.iterdir())
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True,
                         text=True, check=False, timeout=60)
    yield from (run.stdout + run.stderr).splitlines()


def main():
    sluice, control, sluicectl, schema_keys = sys.argv[1:]
    complaints = [
        *check_daemon("sluice.8", sluice),
        *check_daemon("sluice-control.8", control),
        *check_sluicectl(sluicectl),
        *check_keys(schema_keys),
        *check_markup(),
    ]
    print(*complaints or ["manual pages: every flag, verb and key is there"], sep="\n")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
