"""Integrals over an intensity a in [0, 1] against a Gaussian likelihood, however narrow."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

NODES = 128
CUTOFF = 40.0  # the part left out is e^-40 of the largest value of the Gaussian: below float64


@cache
def _gauss_legendre(count: int) -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy(nodes), torch.from_numpy(weights)


def window_rule(peak: Tensor, width: float, count: int = NODES) -> tuple[Tensor, Tensor]:
    """A Gauss-Legendre rule on the part of [0, 1] where exp(-(a - peak)^2 / (2 width^2)) is alive.

    That is where the exponent is less than CUTOFF below its largest value on [0, 1]: around the peak
    if that is inside, else next to the end that is nearest to it.

    Args:
        peak: (B,) float64, anywhere on the line.
        width: standard deviation of the Gaussian.
        count: number of nodes. 128 integrate the Gaussian, cut off or not, to 1e-13 of its integral
            and the rounding of the nodes, 1e-16 / width.

    Returns:
        Nodes in [0, 1] and their positive weights, (B, count) each.
    """
    nearest = peak.clamp(0, 1)
    beyond = (peak - nearest).abs()
    drop = 2 * CUTOFF * width**2
    reach = drop / (beyond + (beyond.square() + drop).sqrt())  # without cancellation
    low, high = (nearest - reach).clamp_min(0), (nearest + reach).clamp_max(1)
    nodes, weights = (rule.to(peak.device) for rule in _gauss_legendre(count))
    half = (high - low)[:, None] / 2
    return low[:, None] + half * (nodes + 1), half * weights
