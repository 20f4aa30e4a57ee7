"""Choices of the training objective: how noise levels are drawn and how they are weighted.

The paper and its published code disagree, so each choice has a name. The loss at noise level sigma
is the mean squared error of the estimated noise; any positive weight that depends on sigma alone
leaves its minimiser, the conditional mean, unchanged. (A logarithm of each image's own error does not.)
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

NOISE_LAWS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    # sigma ~ U(low, high): "drawn from [0, 1]" in the paper
    "uniform": lambda u, low, high: low + (high - low) * u,
    # sqrt(sigma) ~ U: with low = 0, high = 1 the square of a uniform, as in the published code
    "squared_uniform": lambda u, low, high: (low**0.5 + (high**0.5 - low**0.5) * u) ** 2,
    # log(sigma) ~ U: the same number of draws in each decibel of input PSNR
    "log_uniform": lambda u, low, high: low * (high / low) ** u,
}


LEAST_SIGMA = 1e-3  # below it weights stop growing: there the error is that of rounding


def _power(exponent: float) -> Callable[[Tensor, float], Tensor]:
    return lambda sigma, share: sigma.clamp_min(LEAST_SIGMA) ** -exponent


# Weights of draws at levels sigma, when ``share`` of all updates is done.
WEIGHTINGS: dict[str, Callable[[Tensor, float], Tensor]] = {
    # every draw counts the same: paper and published code
    "none": _power(0.0),
    "inverse_sigma": _power(1.0),
    # the error relative to that of doing nothing
    "inverse_variance": _power(2.0),
    # from the first to the second over the first half: coarse structure, where memorisation
    # begins, is learned first, and small noise gets its due before the learning rate is gone
    "annealed": lambda sigma, share: sigma.clamp_min(LEAST_SIGMA) ** -min(1.0, 2 * share),
}
