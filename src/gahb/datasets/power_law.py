"""Filters whose gain is a power of the frequency: what makes noise into a regular field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def power_law(size: int, decay: float) -> NDArray[np.float64]:
    """The gain |k|^-decay at every frequency k of a size x size torus: (size, size) float64.

    Frequencies are integers (cycles per image) in the order of ``fft2``; the zero frequency has the
    gain of frequency 1.
    """
    frequency = np.fft.fftfreq(size, 1 / size)
    squared = frequency[:, None] ** 2 + frequency[None, :] ** 2
    squared[0, 0] = 1.0
    return np.asarray(squared ** (-decay / 2))
