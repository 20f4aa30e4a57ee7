"""The denoiser that memorises: the optimum for the empirical distribution of a training set.

When images are drawn from the N training images alone, the conditional mean is

    f(y) = sum_i p_i(y) x_i,    p(y) = softmax_i(-||y - x_i||^2 / (2 sigma^2)),

which no network trained on that set can beat on it. Its Jacobian is the posterior covariance
divided by sigma^2, symmetric and positive semidefinite, so that products with it are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gahb.asked import must_be_whole


class EmpiricalDenoiser(nn.Module):
    """Exact posterior mean under the uniform distribution on a set of images, in float64.

    Args:
        images: (N, C, H, W) training images.
        batch: noisy images treated at once; memory is of order ``batch * N``.
    """

    images: Tensor
    energies: Tensor

    def __init__(self, images: Tensor, batch: int = 256) -> None:
        super().__init__()
        must_be_whole(batch=batch)
        self.batch = batch
        self.register_buffer("images", images.detach().flatten(1).to(torch.float64))
        self.register_buffer("energies", torch.linalg.vecdot(self.images, self.images) / 2)

    def posterior(self, y: Tensor, sigma: float) -> Tensor:
        """Probability of each training image given each noisy one: (B, N) float64, rows sum to 1."""
        _positive(sigma)
        flat = y.flatten(1).to(torch.float64)
        # -||y - x||^2 / 2 up to the part that is the same for all x
        exponents = (flat @ self.images.T - self.energies) / sigma**2
        return torch.softmax(exponents, dim=1)

    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        """Denoise (B, C, H, W) at noise level ``sigma``; returns the type of ``y``."""
        means = [self._mean(self.posterior(part, _positive(sigma))) for part in y.split(self.batch)]
        return torch.cat(means).view(y.shape).to(y.dtype)

    def _mean(self, weights: Tensor) -> Tensor:
        """Weighted sums of the images; those whose every weight underflowed to zero cost nothing."""
        alive = torch.nonzero(weights.any(0))[:, 0]
        if 4 * len(alive) > len(self.images):  # gathering would cost more than it saves
            return weights @ self.images
        return weights[:, alive] @ self.images[alive]

    def jacobian_product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        """J(y) v = Cov(x | y) v / sigma^2 for one noisy image y (C, H, W) and v (B, C, H, W)."""
        weights = self.posterior(y[None], sigma)[0]
        centred = self.images - weights @ self.images
        projections = v.flatten(1).to(torch.float64) @ centred.T
        product = (projections * weights) @ centred / sigma**2
        return product.view(v.shape).to(v.dtype)


def _positive(sigma: float | None) -> float:
    if sigma is None or not sigma > 0:
        raise ValueError(f"an exact denoiser needs the noise level: sigma > 0, found {sigma}")
    return sigma
