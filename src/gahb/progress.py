"""Progress a person can watch on a terminal, and sparse lines in a log file otherwise."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm


class Progress:
    """Counts updates; shows rate, loss, PSNR and time left.

    Args:
        label: what is being trained.
        total: number of updates.
        done: updates already done by an earlier run.
        unit_images: images per update, for the rate.
        seconds: least time between two lines when the output is not a terminal.
    """

    def __init__(
        self, label: str, total: int, done: int, unit_images: int, seconds: float = 20.0
    ) -> None:
        self._terminal = sys.stderr.isatty()
        self._label, self._total, self._first, self._images = label, total, done, unit_images
        self._seconds = seconds
        self._start = self._last = time.monotonic()
        self._notes = ""
        self._bar = tqdm(
            total=total, initial=done, desc=label, unit="update", disable=not self._terminal
        )

    def update(self, done: int, **values: float) -> None:
        """Report that ``done`` updates are finished, and the newest values worth showing."""
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
        rate = (done - self._first) / max(now - self._start, 1e-9)
        left = (self._total - done) / max(rate, 1e-9)
        print(
            f"{self._label}: update {done}/{self._total}, {rate * self._images:.0f} images/s, "
            f"{self._notes}, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Leave the terminal tidy."""
        self._bar.close()
