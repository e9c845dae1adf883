# SPDX-License-Identifier: Apache-2.0
"""Read /metrics, ask promtool about it, and say which counters a test sees move."""

import functools
import re
import subprocess

from .sluice import ROOT
from .tools import need
from .wait import eventually

_SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$')
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

PACKAGING = ROOT / "packaging"
OF_CONTROL = "sluice_control_"  # the other metrics are the proxy's
OF_FAST_PATH = ("sluice_offload_", "sluice_guard_")

moved = set()  # counters that some test has said it moves


class Metrics:
    """One scrape. Samples by name, and each metric's type and help."""

    def __init__(self, text):
        self.text, self.types, self.help, self.samples = text, {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# "):
                _, kind, name, rest = line.split(" ", 3)
                (self.types if kind == "TYPE" else self.help)[name] = rest
                continue
            match = _SAMPLE.match(line)
            assert match, f"no sample: {line!r}"
            name, labels, value = match.groups()
            found = self.samples.setdefault(name, {})
            key = tuple(_LABEL.findall(labels or ""))
            assert key not in found, f"twice: {line!r}"
            found[key] = float(value)

    def get(self, name, **labels):
        """{labels: value} of the samples that have these labels."""
        wanted = set(labels.items())
        return {k: v for k, v in self.samples.get(name, {}).items() if wanted <= set(k)}

    def sum(self, name, **labels):
        """A histogram's is the count of what it saw."""
        if self.types.get(name) == "histogram":
            name += "_count"
        return sum(self.get(name, **labels).values())


def scrape(admin):
    answer = admin.ask("GET", "/metrics")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return Metrics(answer.text)


def wait_metric(admin, name, wanted, within=20.0, **labels):
    """Until the sum is `wanted`, or a function of that name says so; the scrape that had it."""
    is_it = wanted if callable(wanted) else lambda value: value == wanted

    def look():
        seen = scrape(admin)
        value = seen.sum(name, **labels)
        assert is_it(value), f"{name} {labels} is {value}"
        return seen

    return eventually(look, f"{name} {labels}", within)


def moves(*names):
    """The test moves these counters, of the proxy whose Admin it returns."""
    moved.update(names)

    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            admin = test(*args, **kwargs)
            for name in names:
                wait_metric(admin, name, lambda value: value > 0)

        return run

    return decorate


def promtool(*args, stdin=None):
    done = subprocess.run(
        [need("promtool"), *map(str, args)], input=stdin, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, f"promtool {args}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


# ---- what is built on the metrics of one program: `whose(name)` says which are meant ----


def of_proxy(name):
    return not name.startswith(OF_CONTROL)


def of_fast_path(name):
    """Of what the kernel does for the proxy, which is not in every scrape; see tests/kernel."""
    return name.startswith(OF_FAST_PATH)


def of_relay(name):
    return of_proxy(name) and not of_fast_path(name)


def of_control(name):
    return name.startswith(OF_CONTROL)


def labels_of(seen, name):
    """Of a histogram without `le`, which each has."""
    series = seen.samples.get(name) or seen.samples[f"{name}_sum"]
    return {label for labels in series for label, _ in labels}


def described(whose):
    """What the README says: {metric: (type, labels, meaning)}."""
    found = {}
    for line in (PACKAGING / "prometheus" / "README.md").read_text().splitlines():
        if line.startswith("| `sluice_"):
            name, kind, labels, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            name = name.strip("`")
            if whose(name):
                found[name] = (kind, set(labels.replace(",", " ").split()), meaning)
    return found


def live(seen):
    """The same of a scrape that has a sample of each."""
    return {
        name: (kind, labels_of(seen, name), seen.help[name]) for name, kind in seen.types.items()
    }


def assert_known(seen, expression, where, whose):
    """Metrics and labels that an expression asks for are there; returns whether there were any."""
    found = False
    for name, selector in re.findall(r"\b(sluice_[a-z_]+)(\{[^}]*\})?", expression):
        name = re.sub(r"_(bucket|sum|count)$", "", name)
        if not whose(name):
            continue
        found = True
        assert name in seen.types, f"{where}: no metric {name}"
        selectors = set(re.findall(r"(\w+)\s*[=!]~?", selector))
        unknown = selectors - labels_of(seen, name) - {"instance", "job"}
        assert not unknown, f"{where}: {name} has no label {unknown}"
    return found
