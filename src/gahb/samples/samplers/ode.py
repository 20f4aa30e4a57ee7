"""The probability-flow ODE by a multistep method."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from gahb.asked import must_be_whole
from gahb.options import Count
from gahb.samples.sampler import Denoiser, Finished, LevelOptions, Noise, Observer, OnLevels

if TYPE_CHECKING:
    from torch import Tensor


class FlowODEOptions(LevelOptions):
    """Options of :class:`FlowODE`."""

    order: Annotated[Count, Field(le=3)]
    """order of the multistep method, values of the network used; 1 is the deterministic sampler"""

    def build(self) -> FlowODE:
        """The sampler."""
        return FlowODE(self.levels, self.order)


@dataclass(frozen=True)
class FlowODE(OnLevels):
    """Probability-flow ODE by an exponential multistep method: one call per step at any order.

    In lambda = -log sigma the flow is dy/dlambda = f(y, sigma) - y, of which the linear part is solved
    exactly and f replaced by the polynomial through its last ``order`` values:

        y(lambda + h) = e^-h y + int_0^h e^-(h-u) f(lambda + u) du.

    Order 1 is the deterministic reverse process; order 2 is the multistep DPM-Solver++ of
    Lu et al. 2022. The first steps use the values there are: order 3 converges, in the end, as the
    square of the steps too, but from an error several times smaller.

    Args:
        order: number of values of f used.
    """

    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        must_be_whole(order=self.order)

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, C, H, W)."""
        import torch

        rows = torch.arange(len(y))
        past: deque[tuple[float, Tensor]] = deque(maxlen=self.order)  # newest first
        for _, sigma, sigma_next in self.steps():
            denoised = denoiser(y, sigma)
            observe(rows, sigma, y, denoised)
            past.appendleft((-float(np.log(sigma)), denoised))
            if (
                sigma_next == 0
            ):  # h is infinite: the image is what is left when the noise is removed
                y = denoised
                continue
            y = sigma_next / sigma * y
            weights = _weights([at for at, _ in past], -float(np.log(sigma_next)))
            for weight, (_, value) in zip(weights, past, strict=True):
                y = y + weight * value
        return self.finished(y)


def _weights(nodes: list[float], end: float) -> list[float]:
    """Weights of the values at ``nodes`` (newest first) in int_0^h e^-(h-u) f du, h = end - newest.

    They integrate polynomials through the nodes exactly: sum_j w_j u_j^k = m_k with the moments
    m_0 = 1 - e^-h and m_k = h^k - k m_{k-1}.
    """
    h = end - nodes[0]
    moments = [-np.expm1(-h)]
    for power in range(1, len(nodes)):
        moments.append(h**power - power * moments[-1])
    powers = np.vander(np.array(nodes) - nodes[0], increasing=True).T
    return [float(weight) for weight in np.linalg.solve(powers, np.array(moments))]
