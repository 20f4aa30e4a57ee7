"""What every thresholding denoiser shares: projection on the basis vectors whose coefficient is large.

    f(y) = sum_k 1{|<y, e_k>| > T} <y, e_k> e_k,    T = a sigma,

in an orthonormal basis that may itself be chosen by looking at y. Kept vectors and basis do not
change under small changes of y, almost everywhere, so that the Jacobian is that projection, with
eigenvalues 0 and 1, and its trace is the number of vectors kept. Cycle spinning (Coifman & Donoho
1995) averages the estimates of circularly shifted images, shifted back: an average of projections.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from gahb.denoisers.classical.transform import WaveletTransform


class ProjectionDenoiser(nn.Module):
    """Average over circular shifts of projections on large coefficients, in float64.

    Args:
        wavelet: orthogonal wavelet, by its PyWavelets name.
        rule: of the threshold: ``universal`` is sigma sqrt(2 log d), a number is that multiple of sigma.
        levels: of the wavelet transform; by default as many as leave an approximation of at least
            4 pixels a side. The approximation's coefficients are always kept.
        shifts: along each axis, spread over the 2^levels that differ for wavelets: 1 for no cycle
            spinning, ``all`` for every one. Their number is squared.

    Attributes:
        needs_clean: whether the clean image must be given, to an oracle.
    """

    needs_clean = False
    rules: tuple[str, ...] = ("universal",)
    pixels_at_once = 2**19  # of shifted images, in float64: 4 MiB

    def __init__(
        self,
        wavelet: str,
        rule: str | float,
        levels: int | None = None,
        shifts: int | str = 1,
    ) -> None:
        super().__init__()
        if not (rule in self.rules if isinstance(rule, str) else rule > 0):
            allowed = f"{', '.join(self.rules)} or a positive number"
            raise ValueError(f"rule: expected {allowed}, found {rule!r}")
        if shifts != "all" and not (isinstance(shifts, int) and shifts >= 1):
            raise ValueError(f"shifts: expected a positive integer or 'all', found {shifts!r}")
        self.transform = WaveletTransform(wavelet, levels)
        self.rule = rule
        self.shifts = shifts

    def forward(self, y: Tensor, sigma: float | None = None, clean: Tensor | None = None) -> Tensor:
        """Denoise (B, 1, H, W) at noise level ``sigma``; returns the type of ``y``.

        Raises:
            ValueError: no noise level, no clean image where one is needed, or sides that cannot
                be halved.
        """
        images, thresholds = self._prepared(y, sigma, clean)
        denoised = self._average(images, images[None], thresholds)[0]
        return denoised.view(y.shape).to(y.dtype)

    def jacobian_product(
        self, y: Tensor, v: Tensor, sigma: float | None = None, clean: Tensor | None = None
    ) -> Tensor:
        """J(y) v for one noisy image y (1, H, W) and v (B, 1, H, W); ``clean`` is (1, H, W)."""
        images, thresholds = self._prepared(y[None], sigma, clean)
        product = self._average(images, v.to(torch.float64), thresholds)[0]
        return product.view(v.shape).to(v.dtype)

    def kept(self, y: Tensor, sigma: float | None = None, clean: Tensor | None = None) -> Tensor:
        """Basis vectors kept for each image of (B, 1, H, W), the trace of its Jacobian: (B,) float64.

        With cycle spinning, the average over shifts.
        """
        images, thresholds = self._prepared(y, sigma, clean)
        return self._average(images, images[None], thresholds)[1]

    def _prepared(
        self, y: Tensor, sigma: float | None, clean: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Noisy images (B, H, W) in float64 and the threshold of each (B,)."""
        if sigma is None or not sigma > 0:
            needed = "a classical denoiser needs the noise level: sigma > 0"
            raise ValueError(f"{needed}, found {sigma}")
        if y.shape[1] != 1:
            raise ValueError(
                f"a classical denoiser takes grey images (B, 1, H, W), found {tuple(y.shape)}"
            )
        images = y[:, 0].to(torch.float64)
        if not self.needs_clean:
            return images, self._thresholds(images, sigma, None)
        if clean is None:
            raise ValueError("an oracle needs the clean image: clean, found None")
        return images, self._thresholds(images, sigma, clean.to(torch.float64).view(images.shape))

    def _thresholds(self, y: Tensor, sigma: float, clean: Tensor | None) -> Tensor:
        """Threshold T of each image of (B, H, W): (B,)."""
        pixels = y[0].numel()
        multiple = math.sqrt(2 * math.log(pixels)) if self.rule == "universal" else self.rule
        return y.new_full((len(y),), float(multiple) * sigma)

    @abstractmethod
    def _project(self, y: Tensor, v: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        """Project v on the vectors kept for y.

        Args:
            y: (N, H, W) noisy images, which decide.
            v: (V, N, H, W) images to be projected, V for each noisy image.
            thresholds: (N,).

        Returns:
            The projections (V, N, H, W) and the number of vectors kept (N,).
        """

    def _average(self, y: Tensor, v: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        """Averages over shifts of :meth:`_project`, whose arguments and results these are."""
        height, width = y.shape[-2:]
        period = 2 ** self.transform.levels_of(height, width)
        count = period if self.shifts == "all" else int(self.shifts)
        if count > period:
            raise ValueError(f"shifts: expected at most {period} along an axis, found {count}")
        # an odd stride near the golden section: any number of them is spread evenly at every scale
        stride = round(0.191 * period) * 2 + 1
        steps = torch.arange(count, device=y.device) * stride % period
        offsets = torch.cartesian_prod(steps, steps)  # (S, 2)
        at_once = max(1, self.pixels_at_once // (len(v) * height * width))
        averages = [
            self._average_of(*parts, offsets, max(1, at_once // len(parts[0])))
            for parts in zip(
                y.split(at_once), v.split(at_once, 1), thresholds.split(at_once), strict=True
            )
        ]
        projected, kept = zip(*averages, strict=True)
        return torch.cat(projected, 1), torch.cat(kept)

    def _average_of(
        self, y: Tensor, v: Tensor, thresholds: Tensor, offsets: Tensor, at_once: int
    ) -> tuple[Tensor, Tensor]:
        """:meth:`_average` over given shifts (S, 2), so many of them at once."""
        total, kept = torch.zeros_like(v), torch.zeros_like(thresholds)
        for part in offsets.split(at_once):
            vectors = _shifted(v, part)  # (V, B, S, H, W)
            projected, counts = self._project(
                _shifted(y, part).flatten(0, 1),
                vectors.flatten(1, 2),
                thresholds.repeat_interleave(len(part)),
            )
            total = total + _shifted_back(projected.view(vectors.shape), part).sum(-3)
            kept = kept + counts.view(len(y), len(part)).sum(1)
        return total / len(offsets), kept / len(offsets)


def _shifted(images: Tensor, offsets: Tensor) -> Tensor:
    """Circular shifts of (..., H, W) images by (S, 2) offsets: (..., S, H, W)."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) + offsets[:, :1]) % height
    columns = (torch.arange(width, device=images.device) + offsets[:, 1:]) % width
    return images[..., rows[:, :, None], columns[:, None, :]]


def _shifted_back(images: Tensor, offsets: Tensor) -> Tensor:
    """The inverse of :func:`_shifted` for each shift: (..., S, H, W) to the same."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) - offsets[:, :1]) % height
    columns = (torch.arange(width, device=images.device) - offsets[:, 1:]) % width
    which = torch.arange(len(offsets), device=images.device)[:, None, None]
    return images[..., which, rows[:, :, None], columns[:, None, :]]
