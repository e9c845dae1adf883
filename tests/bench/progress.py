# SPDX-License-Identifier: Apache-2.0
"""One line on stderr that says how far the run is: rewritten on a terminal, else every 10 s."""
import sys
import time


def clock(seconds):
    """75 -> "1:15"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Knows all steps and their expected seconds; corrects the expectation as it goes."""

    def __init__(self, steps):
        self.steps, self.began, self.at = steps, time.monotonic(), 0
        self.expected = sum(step.seconds for step in steps)
        self.past = 0.0  # expected seconds of the steps that are over
        self.terminal = sys.stderr.isatty()
        self.printed = 0.0

    def _left(self):
        elapsed = time.monotonic() - self.began
        pace = elapsed / self.past if self.past > 10 else 1.0
        return (self.expected - self.past) * pace

    def show(self, step):
        """`step` begins."""
        now = time.monotonic()
        text = (f"bench {self.at + 1}/{len(self.steps)}  {clock(now - self.began)} elapsed, about "
                f"{clock(self._left())} left  {step.cell} {step.candidate}")
        if self.terminal:
            sys.stderr.write(f"\r\033[K{text[:110]}")
        elif now - self.printed >= 10:
            self.printed = now
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def done(self, step):
        """`step` is over."""
        self.at += 1
        self.past += step.seconds

    def say(self, text):
        """A line that stays."""
        sys.stderr.write(("\r\033[K" if self.terminal else "") + text + "\n")

    def finish(self):
        """The run is over."""
        self.say(f"bench: {self.at} measures in {clock(time.monotonic() - self.began)}")
