"""Progress a person can watch on a terminal, and sparse lines in a log file otherwise."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm


class Progress:
    """Counts units of work; shows the newest values, the rate and the time left.

    Args:
        label: what is being made.
        total: number of units.
        unit: one of them, in a word.
        done: units already done by an earlier run.
        each: how many of what the rate counts are in a unit.
        counted: what the rate counts; by default the units.
        seconds: least time between two lines when the output is not a terminal.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        done: int = 0,
        each: int = 1,
        counted: str = "",
        seconds: float = 20.0,
    ) -> None:
        self._terminal = sys.stderr.isatty()
        self._label, self._total, self._unit, self._first = label, total, unit, done
        self._each, self._counted = each, counted or f"{unit}s"
        self._seconds = seconds
        self._start = self._last = time.monotonic()
        self._notes = ""
        self._bar = tqdm(
            total=total, initial=done, desc=label, unit=unit, disable=not self._terminal
        )

    def update(self, done: int, **values: float) -> None:
        """Report that ``done`` units are finished, and the newest values worth showing."""
        if values:
            self._notes = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._terminal:
            self._bar.set_postfix_str(self._notes, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._last < self._seconds and done < self._total:
            return
        self._last = now
        told = [f"{self._label}: {self._unit} {done}/{self._total}"]
        rate = (done - self._first) / max(now - self._start, 1e-9)
        if rate:
            counted = rate * self._each
            told.append(f"{counted:.{0 if counted > 5 else 2}f} {self._counted}/s")
        if self._notes:
            told.append(self._notes)
        if rate:
            told.append(f"{(self._total - done) / rate:.0f} s left")
        print(", ".join(told), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal tidy."""
        self._bar.close()
