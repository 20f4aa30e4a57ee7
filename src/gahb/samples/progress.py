"""Progress of a sampler: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm


class Progress:
    """Counts samples, and shows the noise level that the batch under way has come down to.

    Args:
        label: what is being drawn.
        total: number of samples.
        seconds: least time between two lines when the output is not a terminal.
    """

    def __init__(self, label: str, total: int, seconds: float = 20.0) -> None:
        self._terminal = sys.stderr.isatty()
        self._label, self._total, self._seconds = label, total, seconds
        self._start = self._last = time.monotonic()
        self._bar = tqdm(total=total, desc=label, unit="sample", disable=not self._terminal)

    def update(self, done: int, sigma: float) -> None:
        """Report that ``done`` samples are finished and the next are at noise level ``sigma``."""
        if self._terminal:
            self._bar.set_postfix_str(f"sigma {sigma:.3g}", refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._last >= self._seconds:
            self._last = now
            self._print(f"{done}/{self._total}, the next at sigma {sigma:.3g}")

    def close(self) -> None:
        """Say how long it took, and leave the terminal tidy."""
        if self._terminal:
            self._bar.update(self._total - self._bar.n)
        self._bar.close()
        elapsed = time.monotonic() - self._start
        self._print(f"{self._total} in {elapsed:.1f} s, {self._total / max(elapsed, 1e-9):.2f}/s")

    def _print(self, text: str) -> None:
        print(f"{self._label}: {text}", file=sys.stderr, flush=True)
