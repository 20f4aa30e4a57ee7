"""The optimal denoiser of disks: the conditional mean E[x | y], by adaptive quadrature.

Given centre and radius, an image is linear in the greys, x = b (1 - m) + f m, and their posterior
is a correlated Gaussian on the unit square (:mod:`~gahb.denoisers.exact.unit_square`). What is left
is an integral over (cx, cy, r), on cells (:mod:`~gahb.denoisers.exact.disk_cells`).

Small noise. The posterior then concentrates where x depends smoothly on k parameters, with the
Fisher information D^T D / sigma^2, D = dx/d(parameters), (d, k), of rank k. Its covariance in
image space is sigma^2 D (D^T D)^-1 D^T, sigma^2 times a projection of rank k, so that the squared
error summed over pixels tends to k sigma^2. Antialiased masks are once continuously differentiable:
k = 5. Hard-edged masks and those of integer parameters are one of finitely many, each of positive
probability: in the limit there is no doubt which, only the two greys are estimated, and k = 2.
Images whose contrast |f - b| is of the order of sigma, a share of order sigma, change both by
corrections of relative order sigma.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.datasets.classes.disks import Disks, chunk_length
from gahb.denoisers.exact.base import ExactDenoiser
from gahb.denoisers.exact.disk_cells import Cells, DiskQuadrature
from gahb.denoisers.exact.unit_square import moments

Float64 = NDArray[np.float64]
_ABSENT = 25.0  # nats of weight below the greatest one, where cells are left out of sums
_TOGETHER = 64  # cells whose greys are integrated at once


@dataclass(frozen=True)
class DiskEstimate:
    """The posterior of B noisy images, in brief.

    Attributes:
        mean: E[x | y], (B, 1, H, W) float64.
        variance: trace of Cov(x | y), (B,): the expected squared error, summed over pixels.
        error: estimate of the squared error of ``mean`` itself, summed over pixels, (B,). The cells
            form a checkerboard; the mean over one colour is a quadrature of half the density, and
            ``error`` is the squared difference of the two means times the probabilities of both
            colours: the error of their average where they err independently, and more than that
            where the likelihood is smooth. As the exact mean is optimal, the mean squared error of
            this denoiser exceeds the least one by the mean of the true ``error``. 0 for finite sums.
        cells: number of cells, (B,).
        resolved: whether all cells that can matter came to resolve the posterior, (B,), or refining
            stopped before, at the limit of their number; ``error`` is the larger then.
    """

    mean: Tensor
    variance: Tensor
    error: Tensor
    cells: Tensor
    resolved: Tensor


class DiskPosterior(ExactDenoiser):
    """Posterior mean of images of the class :class:`~gahb.datasets.classes.disks.Disks`, in float64.

    Args:
        disks: the image class; its seed does not matter.
        step: side of the cells, in standard deviations of the posterior. Half of it is eight times
            as expensive.
        limit: number of cells per image beyond which none is refined; bounds time and memory.

    Attributes:
        stated: by noise level, of all means asked for so far: the largest ``error``, and how many
            were not ``resolved``; see :class:`DiskEstimate`.

    Raises:
        ValueError: ``step`` is not positive.
    """

    def __init__(self, disks: Disks, step: float = 1.5, limit: int = 60_000) -> None:
        super().__init__()
        if not step > 0:
            raise ValueError(f"step: found {step}, allowed are steps above 0")
        self.disks = disks
        self.quadrature = DiskQuadrature(disks, step, limit)
        self.stated: dict[float, tuple[float, int]] = {}
        self._last: tuple[tuple[bytes, float], _Posterior] | None = None

    def estimate(self, y: Tensor, sigma: float) -> DiskEstimate:
        """Posterior means of (B, 1, H, W), with posterior variances and numerical errors.

        Raises:
            ValueError: the images are not of the size of the class, or ``sigma`` is not positive.
        """
        if not sigma > 0:
            raise ValueError(f"sigma: found {sigma}, allowed are levels above 0")
        columns = []
        for cells, resolved in self.quadrature.cells(self._checked(y[:, 0]), sigma):
            posterior = _Posterior(self.disks, cells, sigma)
            error = 0.0 if self.quadrature.exact else posterior.error
            columns.append((posterior.mean, posterior.variance, error, len(cells), resolved))
        results = (torch.from_numpy(np.array(column)) for column in zip(*columns, strict=True))
        mean, *others = results
        return DiskEstimate(mean.view(y.shape), *others)

    def _mean(self, y: Tensor, sigma: float) -> Tensor:
        found = self.estimate(y[:, None], sigma)
        largest, unresolved = self.stated.get(sigma, (0.0, 0))
        largest = max(largest, float(found.error.max()))
        self.stated[sigma] = largest, unresolved + int((~found.resolved).sum())
        return found.mean[:, 0].to(y)

    def _product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        image = self._checked(y)
        key = image.tobytes(), float(sigma)
        if self._last is None or self._last[0] != key:  # products of one image come in many batches
            ((cells, _),) = self.quadrature.cells(image, sigma)
            self._last = key, _Posterior(self.disks, cells, sigma)
        product = self._last[1].covariance_product(_float64(v).reshape(len(v), -1))
        return torch.from_numpy(product / sigma**2).view(v.shape).to(v)

    def _checked(self, y: Tensor) -> Float64:
        size = self.disks.size
        if y.shape[1:] != (size, size):
            raise ValueError(f"expected images of {size}x{size} pixels, found {tuple(y.shape[1:])}")
        return _float64(y)


class _Posterior:
    """Sums over the cells of one image.

    Attributes:
        mean: E[x | y], (d,).
        variance: trace of Cov(x | y).
        error: see :class:`DiskEstimate`.
    """

    def __init__(self, disks: Disks, cells: Cells, sigma: float) -> None:
        self.disks = disks
        cells = cells[cells.log_weight > cells.log_weight.max() - _ABSENT]
        parts = []
        for first in range(0, len(cells), _TOGETHER):
            now = slice(first, first + _TOGETHER)
            parts.append(moments(cells.gram[now], cells.products[now], sigma**2))
        log_mass, mean, covariance = (np.concatenate(part) for part in zip(*parts, strict=True))
        logs = log_mass - cells.level * np.log(8)
        weights = np.exp(logs - logs.max())
        self.geometry, self.gram, self.odd = cells.geometry, cells.gram, cells.odd
        self.weights = weights / weights.sum()
        self.greys, self.covariance = mean, covariance
        b, f = self.greys.T
        colours = np.stack([self.odd, ~self.odd]) * self.weights
        sums = np.zeros((2, disks.size**2))
        for now, masks in self._masks():
            sums += (colours[:, now] * (f - b)[now]) @ masks
        sums += (colours @ b)[:, None]
        self.mean = sums.sum(0)
        odd, even = shares = colours.sum(1)
        apart = sums[0] * even - sums[1] * odd  # the difference of the means times both shares
        self.error = float(apart @ apart / max(odd * even, 1e-300)) if shares.min() > 0 else 0.0
        bb, bf, ff = self.covariance.T
        squares = np.stack([bb + b * b, 2 * (bf + b * f), ff + f * f], 1)
        power = self.weights @ (squares * self.gram).sum(1)
        self.variance = float(power - self.mean @ self.mean)

    def covariance_product(self, v: Float64) -> Float64:
        """Cov(x | y) v for N images v, (N, d).

        Given the geometry x has the mean mu = b (1 - m) + f m and the covariance of the greys,
        so that Cov(x | y) is the mean over cells of (mu - E x)(mu - E x)^T and the latter.
        """
        b, f = self.greys.T[:, :, None]
        bb, bf, ff = self.covariance.T[:, :, None]
        total, along_mean = v.sum(1), v @ self.mean
        product = np.zeros_like(v)
        for now, masks in self._masks():
            inside = masks @ v.T  # (cells, N)
            outside = total - inside
            share = self.weights[now, None]
            along = share * (b[now] * outside + f[now] * inside - along_mean)
            of_background = b[now] * along + share * (bb[now] * outside + bf[now] * inside)
            of_foreground = f[now] * along + share * (bf[now] * outside + ff[now] * inside)
            product += (of_foreground - of_background).T @ masks
            product += of_background.sum(0)[:, None] - along.sum(0)[:, None] * self.mean
        return product

    def _masks(self) -> Iterator[tuple[slice, Float64]]:
        """Masks of some cells at a time, (cells, d)."""
        chunk = chunk_length(self.disks.size**2)
        for first in range(0, len(self.geometry), chunk):
            now = slice(first, first + chunk)
            masks = self.disks.masks(self.geometry[now])
            yield now, masks.reshape(len(masks), -1)


def _float64(images: Tensor) -> Float64:
    return images.detach().cpu().to(torch.float64).numpy()
