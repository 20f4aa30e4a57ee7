"""The posterior mean of rays x = a u: an integral over the intensity a ~ U(0, 1).

Given y, the intensity is Gaussian around <u, y> / ||u||^2 with standard deviation sigma / ||u||, cut
off to [0, 1]: f(y) = E[a | y] u, and J(y) = Var(a | y) u u^T / sigma^2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gahb.datasets.classes.rays import Rays
from gahb.denoisers.exact.base import ExactDenoiser
from gahb.denoisers.exact.quadrature import window_rule


class RayPosterior(ExactDenoiser):
    """Exact posterior mean of a class of rays, to 1e-13 in intensity.

    Args:
        rays: the class.
    """

    image: Tensor

    def __init__(self, rays: Rays) -> None:
        super().__init__()
        self.register_buffer("image", torch.from_numpy(rays.image()).to(torch.float64))

    def posterior(self, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of the intensity given each of (B, H, W): (B,) each."""
        energy = self.image.square().sum()
        peak = (y * self.image).sum(dim=(-2, -1)) / energy
        width = float(sigma / energy.sqrt())
        nodes, weights = window_rule(peak, width)
        exponents = -0.5 * ((nodes - peak[:, None]) / width).square()
        probability = torch.softmax(exponents + weights.log(), dim=1)
        mean = torch.linalg.vecdot(probability, nodes)
        return mean, torch.linalg.vecdot(probability, (nodes - mean[:, None]).square())

    def _mean(self, y: Tensor, sigma: float) -> Tensor:
        return self.posterior(y, sigma)[0][:, None, None] * self.image

    def _product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        gain = self.posterior(y, sigma)[1] / sigma**2
        return gain * (v * self.image).sum(dim=(-2, -1), keepdim=True) * self.image
