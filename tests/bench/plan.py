# SPDX-License-Identifier: Apache-2.0
"""What is measured, in which order: every measure of a run as one step, interleaved by rounds.

Within a round each cell goes through all candidates before the next cell begins, and each round
starts with another candidate, so that drift of the machine meets them all alike.
"""
import time
from dataclasses import dataclass
from typing import Callable

import cells
import founding
from cells import CELLS, Rig
from progress import Progress
from stage import Failed, NAMESPACE, settle

SECONDS = {  # of one timed measure: (full, quick)
    "bulk": (1.5, 0.5), "request": (1.0, 0.3), "connect": (1.0, 0.4), "delay": (0.5, 0.3),
    "founding": (10, 4),
}
OTHER_CELLS = ["idle", "calls", "founding-default", "founding-wide"]
# Candidates that take part in some cells only; the others take part in all but the founding case.
ONLY_IN = {
    "haproxy-64k": ("bulk", "request"), "haproxy-splice": ("bulk",),
    "nginx-64k": ("bulk", "request"), "sluice-copy": ("bulk", "founding"),
    "sluice-splice": ("bulk", "founding"), "sluice-flow": ("bulk", "request", "founding"), "haproxy-new-64k": ("bulk", "request"),
}
# In the default port range the peers take up to 40 s each to be set up: too long for --quick.
QUICK_FOUNDING = {"default": ("direct", "sluice"), "wide": ("sluice", "nginx")}
NOT_QUICK = ("haproxy-splice", "nginx-64k", "sluice-copy", "sluice-splice")


@dataclass
class Step:
    """One measure: `run` returns its figures or raises Failed."""
    cell: str
    candidate: str
    round: int
    seconds: float  # expected, for the progress line
    run: Callable


def measure_all(plan, results, seconds=None):
    """Run every step; what fails is noted and the run goes on. `seconds`: none begins that would
    not be over by then. Returns how many were left."""
    steps = plan.steps()
    progress, began = Progress(steps), time.monotonic()
    try:
        for step in steps:
            if seconds and time.monotonic() - began + step.seconds > seconds:
                break
            progress.show(step)
            try:
                results.add(step, step.run())
            except (Failed, OSError, ValueError, KeyError) as error:
                results.fail(step, f"{type(error).__name__}: {error}")
                progress.say(f"bench: {step.cell} {step.candidate}: {error}")
            progress.done(step)
    except KeyboardInterrupt:
        progress.say("bench: interrupted; what was measured so far follows")
    finally:
        plan.close()
        progress.finish()
    return len(steps) - progress.at


class Plan:
    """Builds the steps and owns the rigs that several steps share."""

    def __init__(self, tools, candidates, rounds, quick, only):
        self.tools, self.quick, self.rounds, self.only = tools, quick, rounds, only
        self.candidates = [c for c in candidates if not (quick and c.name in NOT_QUICK)]
        self.rigs = {}

    def wants(self, name):
        """Whether --only lets a cell through: by its name or the start of it."""
        return not self.only or any(name.startswith(prefix) for prefix in self.only)

    def field(self, group, turn=0):
        """The candidates of a group, rotated by the round."""
        found = [c for c in self.candidates if group in ONLY_IN.get(c.name, (group,))]
        turn %= max(len(found), 1)
        return found[turn:] + found[:turn]

    def seconds(self, group):
        """How long one timed measure of a group lasts."""
        return SECONDS[group][1 if self.quick else 0]

    def close(self):
        """End every rig that is still up."""
        for rig in self.rigs.values():
            rig.close()
        self.rigs.clear()

    def steps(self):
        """All steps of the run, in order."""
        found = []
        for turn in range(self.rounds):
            for cell in filter(lambda cell: self.wants(cell.name), CELLS):
                found += [self._cell_step(cell, candidate, turn)
                          for candidate in self.field(cell.group, turn)]
        return found + self._single_steps() + self._founding_steps()

    def _cell_step(self, cell, candidate, turn):
        seconds = self.seconds(cell.group)

        def run():
            if cell.fresh:
                return self._with_fresh_rig(
                    candidate, lambda rig: cells.measure(rig, cell, seconds),
                    greets=cell.greets, together=cell.together)
            return self._with_shared_rig(candidate, lambda rig: cells.measure(rig, cell, seconds))
        return Step(cell.name, candidate.name, turn, seconds + (0.9 if cell.fresh else 0.3), run)

    def _with_fresh_rig(self, candidate, work, **how):
        rig = Rig(self.tools, candidate, **how)
        try:
            return work(rig)
        finally:
            rig.close()

    def _with_shared_rig(self, candidate, work):
        if candidate.name not in self.rigs:
            self.rigs[candidate.name] = Rig(self.tools, candidate)
        try:
            return work(self.rigs[candidate.name])
        except (Failed, OSError):
            self.rigs.pop(candidate.name).close()
            raise

    def _single_steps(self):
        found = []
        for turn in range(1 if self.quick else min(self.rounds, 3)):
            for name, work in (("idle", cells.measure_idle), ("calls", cells.measure_calls)):
                for candidate in self.field(name, turn) if self.wants(name) else []:
                    if candidate.kind != "direct":
                        subject = candidate.logging() if name == "idle" else candidate
                        found.append(self._single_step(name, work, subject, turn))
        return found

    def _single_step(self, name, work, candidate, turn):
        def run():
            return self._with_fresh_rig(candidate, work)
        return Step(name, candidate.name, turn, 1.8, run)

    def _founding_steps(self):
        found, seconds = [], self.seconds("founding")
        for turn in range(1 if self.quick else min(self.rounds, 3)):
            for port_range in ("default", "wide"):
                name = f"founding-{port_range}"
                if not self.wants(name) or (port_range == "wide" and not NAMESPACE):
                    continue
                found += [self._founding_step(name, port_range, candidate, turn, seconds)
                          for candidate in self.field("founding", turn)
                          if not self.quick or candidate.kind in QUICK_FOUNDING[port_range]]
        return found

    def _founding_step(self, name, port_range, candidate, turn, seconds):
        def run():
            self.close()  # nothing else may be up: the whole machine is used here
            settle(2)
            return founding.measure(self.tools, candidate, port_range, seconds)
        slow = candidate.kind in ("haproxy", "nginx") and port_range == "default"
        return Step(name, candidate.name, turn, seconds + (36 if slow else 7), run)
