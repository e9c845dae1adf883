# SPDX-License-Identifier: Apache-2.0
"""What a run of the fast path's bench consists of, in which order, and who takes part where."""
import subprocess
from pathlib import Path

import fast_candidates
import fast_table
import founding
from awake import Awake
from fast_cells import CELLS, CONNECT, FastRig
from plan import Step
from stage import Failed, settle
from wires import SETTINGS

QUICK_CANDIDATES = {"default": None, "wire": ("direct", "nft", "sluice", "tc"),
                    "wire-plain": ("nft", "sluice", "tc"), "jumbo": ("nft", "sluice", "tc"),
                    "v6": ("nft", "sluice", "tc"), "loopback": ("direct", "sluice", "tc")}
QUICK_CELLS = {"jumbo": ("rr-16", "bulk-1"), "v6": ("rr-16", "bulk-1"),
               "loopback": ("rr-1", "rr-16", "bulk-1")}
ON_LOOPBACK = ("direct", "haproxy", "nginx", "sluice", "tc", "sockmap")
FOUNDING_SECONDS = 10
LASTING, LASTING_SECONDS = next(cell for cell in CELLS if cell.name == "rr-16"), 0.3


class FastPlan:
    """The steps of a run: setting by setting, and in each the candidates in turn."""

    def __init__(self, options, tools, candidates, swarming):
        self.options, self.tools, self.swarming = options, tools, swarming
        wanted = [name for name in options.candidates.split(",") if name]
        self.candidates = [c for c in candidates if not wanted or c.name in wanted]
        self.only = [name for name in options.only.split(",") if name]
        self.setting, self.rigs, self.awake = None, {}, None

    def _wants(self, name):
        return not self.only or any(name.startswith(prefix) for prefix in self.only)

    def _field(self, setting, turn):
        found = [c for c in self.candidates if not setting.loopback or c.name in ON_LOOPBACK]
        if self.options.quick and QUICK_CANDIDATES.get(setting.name):
            found = [c for c in found if c.name in QUICK_CANDIDATES[setting.name]]
        turn %= max(len(found), 1)
        return found[turn:] + found[:turn]

    def _cells(self, setting):
        found = [*CELLS, *([CONNECT] if setting.name == "default" else [])]
        if self.options.quick:
            found = [c for c in found if c.name in QUICK_CELLS.get(setting.name, (c.name,))]
        return [c for c in found if self._wants(f"{setting.name}/{c.name}")]

    def _stay_awake(self):
        self.awake = self.awake or Awake()

    def _rig(self, setting, candidate):
        self._stay_awake()
        if self.setting is not setting:
            self._end_rigs()
            self.setting = setting
        if candidate.name not in self.rigs:
            self.rigs[candidate.name] = FastRig(self.tools, candidate, setting)
        return self.rigs[candidate.name]

    def _end_rigs(self):
        for rig in self.rigs.values():
            rig.close()
        self.rigs.clear()

    def close(self):
        """End every rig that is still up, and let CPUs sleep."""
        self._end_rigs()
        if self.awake:
            self.awake.close()
            self.awake = None

    def _step(self, setting, cell, candidate, turn):
        def run():
            try:
                return self._rig(setting, candidate).measure(cell, self.options.seconds)
            except (Failed, OSError):
                if candidate.name in self.rigs:
                    self.rigs.pop(candidate.name).close()
                raise
        return Step(f"{setting.name}/{cell.name}", candidate.name, turn,
                    self.options.seconds + 0.7, run)

    def _connect_step(self, setting, candidate, turn):
        """By itself, since the look at sockets is taken at those of the whole cgroup; and after
        some that lasted, so that whoever offloads has its programs in place."""
        def run():
            self._end_rigs()
            rig = self._rig(setting, candidate)
            rig.measure(LASTING, LASTING_SECONDS)
            return rig.measure(CONNECT, self.options.seconds)
        return Step(f"{setting.name}/{CONNECT.name}", candidate.name, turn,
                    self.options.seconds + LASTING_SECONDS + 1.4, run)

    def _held_step(self, candidate, turn):
        def run():
            self._end_rigs()
            self._stay_awake()
            rig = FastRig(self.tools, candidate, SETTINGS[0])
            try:
                return rig.measure_held()
            finally:
                rig.close()
        return Step(fast_table.HELD, candidate.name, turn, 2.5, run)

    def _founding_step(self, candidate, turn):
        def run():
            self.close()  # the whole machine is used here
            settle(2)
            return founding.measure(self.tools, candidate, "default", FOUNDING_SECONDS)
        return Step(fast_table.FOUNDING, candidate.name, turn, FOUNDING_SECONDS + 8, run)

    def _programs_step(self, turn):
        """What the kernel says that one run of a program takes."""
        def run():
            done = subprocess.run([Path(self.options.tools) / "xdp_bench"], capture_output=True,
                                  text=True, check=False)
            if done.returncode:
                raise Failed(done.stderr.strip())
            rows = [line.split() for line in done.stdout.splitlines()[1:]]
            return {" ".join(row[:-1]): int(row[-1]) for row in rows}
        return Step(fast_table.PROGRAMS, "sluice", turn, 0.3, run)

    def _other_steps(self, turn):
        found = []
        if self._wants(fast_table.PROGRAMS):
            found.append(self._programs_step(turn))
        relay = next((c for c in self.candidates if c.name == "sluice"), None)
        if relay and self._wants(fast_table.HELD):
            flow = fast_candidates.Spliced("flow", self.options.sluice, "flow")
            found += [self._held_step(candidate, turn) for candidate in (relay, flow)]
        if self.options.founding and self._wants(fast_table.FOUNDING):
            found += [self._founding_step(candidate, turn) for candidate in self.swarming]
        return found

    def steps(self):
        """All of them, round by round, so that a run that is cut short has looked at everything."""
        found = []
        for turn in range(self.options.rounds):
            for setting in SETTINGS:
                if self.options.quick and setting.name not in QUICK_CANDIDATES:
                    continue
                found += [(self._connect_step(setting, candidate, turn) if cell is CONNECT
                           else self._step(setting, cell, candidate, turn))
                          for cell in self._cells(setting)
                          for candidate in self._field(setting, turn)]
            found += self._other_steps(turn)
        return found
