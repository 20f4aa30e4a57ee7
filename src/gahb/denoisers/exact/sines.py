"""The posterior mean of sine waves: an integral over phase, by Bessel functions, and over intensity.

With q = a / 2 an image is ``x = q (1 + cos(phase) C - sin(phase) S)``, of energy 3 d q^2 / 2 whatever its
phase. Let Y be the sum of y, and R and theta the modulus and angle of its projections on (C, -S). Then

    p(a, phase | y) ~ exp([q Y + q R cos(phase - theta) - 3 d q^2 / 4] / sigma^2),

whose integral over the phase is that of exp([q Y - 3 d q^2 / 4] / sigma^2) I0(k), k = q R / sigma^2. Given
a, the mean of cos(phase - theta) is A(k) = I1(k) / I0(k), and of its square 1 - A(k) / k. One integral is
left, over a.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gahb.datasets.classes.sines import Sines
from gahb.denoisers.exact.base import ExactDenoiser
from gahb.denoisers.exact.quadrature import window_rule


class SinePosterior(ExactDenoiser):
    """Exact posterior mean of a class of sine waves, to 1e-13 in intensity.

    Args:
        sines: the class.
    """

    basis: Tensor

    def __init__(self, sines: Sines) -> None:
        super().__init__()
        cosine, sine = torch.from_numpy(sines.waves())
        self.register_buffer("basis", torch.stack([torch.ones_like(cosine), cosine, -sine]))

    def posterior(self, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Mean (B, 3) and covariance (B, 3, 3) of an image's coefficients in ``basis``, given y."""
        pixels = self.basis[0].numel()
        total, *waves = torch.einsum("bhw,khw->kb", y, self.basis)
        modulus = torch.hypot(*waves)
        peak = 4 * (total + modulus) / (3 * pixels)
        width = sigma * math.sqrt(8 / (3 * pixels))
        nodes, weights = window_rule(peak, width)
        kappa = nodes / 2 * modulus[:, None] / sigma**2
        # exp(k) is in the Gaussian already: what remains of I0(k) is i0e(k) = exp(-k) I0(k)
        rest = torch.special.i0e(kappa)
        exponents = -0.5 * ((nodes - peak[:, None]) / width).square()
        probability = torch.softmax(exponents + rest.log() + weights.log(), dim=1)

        half = nodes / 2
        cosine = torch.special.i1e(kappa) / rest  # A(k)
        ratio = torch.where(kappa > 1e-8, cosine / kappa.clamp_min(1e-8), 0.5)  # A(k) / k
        along = half * cosine
        means = [torch.linalg.vecdot(probability, value) for value in (half, along)]
        off = [value - mean[:, None] for value, mean in zip((half, along), means, strict=True)]
        spread = half.square() * (1 - ratio - cosine.square())  # variance over the phase, given a

        def expectation(values: Tensor) -> Tensor:
            return torch.linalg.vecdot(probability, values)

        zero = torch.zeros_like(peak)
        aligned = [  # coefficients of 1, of the wave in phase with y, and of the one across it
            [expectation(off[0].square()), expectation(off[0] * off[1]), zero],
            [expectation(off[0] * off[1]), expectation(off[1].square() + spread), zero],
            [zero, zero, expectation(half.square() * ratio)],
        ]
        covariance = torch.stack([torch.stack(row, -1) for row in aligned], -2)
        turn = self._turn(waves, modulus)
        mean = torch.stack([*means, zero], -1)
        return (turn @ mean[..., None])[..., 0], turn @ covariance @ turn.mT

    @staticmethod
    def _turn(waves: list[Tensor], modulus: Tensor) -> Tensor:
        """Rotations from (1, in phase, across) to (1, C, -S): (B, 3, 3)."""
        there = modulus > 0
        safe = torch.where(there, modulus, 1.0)
        cosine, sine = torch.where(there, waves[0], 1.0) / safe, waves[1] / safe
        one, zero = torch.ones_like(cosine), torch.zeros_like(cosine)
        rows = [[one, zero, zero], [zero, cosine, -sine], [zero, sine, cosine]]
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    def _mean(self, y: Tensor, sigma: float) -> Tensor:
        return torch.einsum("bk,khw->bhw", self.posterior(y, sigma)[0], self.basis)

    def _product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        covariance = self.posterior(y, sigma)[1][0]
        coefficients = torch.einsum("bhw,khw->bk", v, self.basis) @ covariance
        return torch.einsum("bk,khw->bhw", coefficients, self.basis) / sigma**2
