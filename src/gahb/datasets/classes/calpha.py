"""C^alpha ("cartoon") images: two regular backgrounds separated by a regular contour.

The contour is one-dimensional uniform noise filtered by |w|^-alpha, each background is
two-dimensional uniform noise filtered by (w1^2 + w2^2)^(-alpha/2), in integer frequencies and with
the zero frequency given the gain of frequency 1. An image is ``x = M B1 + (1 - M) B2`` with
``M = 1{row > contour(column)}`` (Kadkhodaie et al., ICLR 2024, section 3.2 and appendix D).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gahb.artifacts import Spec
from gahb.datasets.image_class import DrawnClass
from gahb.datasets.power_law import power_law
from gahb.options import Positive
from gahb.randomness import uniform_rows

Float32 = NDArray[np.float32]
OVERSAMPLING = 4  # contour samples per pixel column, for the antialiased coverage


@dataclass(frozen=True)
class Parts:
    """What images are put together from: ``x = M B1 + (1 - M) B2``, ``B = scale * field + offset``.

    Args:
        mask: the share M of each pixel below the contour: (count, size, size).
        fields: filtered noise of the two backgrounds, below and above: (count, 2, size, size).
        scales, offsets: of the stretch that makes each field a background: (count, 2).
    """

    mask: Float32
    fields: Float32
    scales: Float32
    offsets: Float32


class CAlpha(DrawnClass):
    """The class of C^alpha images."""

    has_contour: ClassVar[bool] = True

    alpha: Positive
    """regularity of the contour, and of the backgrounds unless set apart"""
    background_alpha: Positive | None = None
    """regularity of both backgrounds; by default that of the contour"""
    rendering: Literal["official", "antialiased"]
    """official rounds the contour to whole pixels and blurs the mask by a 2x2 box, as the paper's
    published code does; antialiased gives every pixel the fraction of its area below the contour, so
    that the image varies smoothly with it"""

    @property
    def beta(self) -> float:
        """Regularity of the backgrounds."""
        return self.alpha if self.background_alpha is None else self.background_alpha

    @property
    def words(self) -> str:
        """What its images are."""
        if self.alpha == self.beta:
            return f"C^α images, α = {self.alpha:g}"
        return f"C^α images, α = {self.alpha:g} for the contour, {self.beta:g} for the backgrounds"

    @classmethod
    def defaults(cls, given: Spec) -> Spec:
        """The backgrounds are as regular as the contour, unless params.yaml says otherwise."""
        return {"background_alpha": given["alpha"]}

    @property
    def _row_width(self) -> int:
        return self.size + 2 * self.size**2 + 3

    @cached_property
    def _contour_filter(self) -> Float32:
        frequency = np.arange(self.size // 2 + 1, dtype=np.float64)
        frequency[0] = 1.0
        return (frequency**-self.alpha).astype(np.float32)

    @cached_property
    def _background_filter(self) -> Float32:
        return power_law(self.size, self.beta).astype(np.float32)

    def background_spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of the covariance of a background before it is stretched: (size, size).

        In the order of ``fft2``: the squared gain times 1/3, the variance of U(-1, 1).
        """
        return power_law(self.size, 2 * self.beta) / 3

    def render(self, first: int, count: int) -> Float32:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1]."""
        contour_noise, noise, low, high = self._draw(first, count)
        below, above = self._backgrounds(noise)
        _stretch(below, low[:, 0], high[:, 0])
        _stretch(above, low[:, 1], high[:, 1])

        mask = self._mask(contour_noise)
        below -= above
        below *= mask
        below += above
        return below

    def parts(self, first: int, count: int) -> Parts:
        """What images ``first`` to ``first + count - 1`` are put together from."""
        contour_noise, noise, low, high = self._draw(first, count)
        fields = np.stack(self._backgrounds(noise), axis=1)
        minimum = fields.min(axis=(2, 3), keepdims=True)
        scales = (high - low) / (fields.max(axis=(2, 3), keepdims=True) - minimum)
        offsets = low - scales * minimum
        return Parts(self._mask(contour_noise), fields, scales[..., 0, 0], offsets[..., 0, 0])

    def _draw(self, first: int, count: int) -> tuple[Float32, Float32, Float32, Float32]:
        """The random numbers of images.

        Returns:
            Noise of the contours (count, size) and of both backgrounds (count, 2, size, size), and
            the lowest and the highest intensity of each background (count, 2, 1, 1), below first.
        """
        size = self.size
        uniform = uniform_rows(self.seed, "calpha", first, count, self._row_width)
        contour_noise = 2 * uniform[:, :size] - 1
        noise = (2 * uniform[:, size : size + 2 * size**2] - 1).reshape(count, 2, size, size)
        u, v, coin = uniform[:, -3:].T
        # one background fills [u, 1], the other [0, v]; a coin says which
        is_bright = np.stack([coin < 0.5, coin >= 0.5], axis=1)[:, :, None, None]
        low = np.where(is_bright, u[:, None, None, None], np.float32(0))
        high = np.where(is_bright, np.float32(1), v[:, None, None, None])
        return contour_noise, noise, low, high

    def _backgrounds(self, noise: Float32) -> tuple[Float32, Float32]:
        """Filter both real noise fields at once, as the two parts of one complex field."""
        field = np.empty((noise.shape[0], self.size, self.size), np.complex64)
        field.real, field.imag = noise[:, 0], noise[:, 1]
        spectrum = scipy.fft.fft2(field, overwrite_x=True)
        spectrum *= self._background_filter
        field = scipy.fft.ifft2(spectrum, overwrite_x=True)
        return field.real.copy(), field.imag.copy()

    def contour(self, noise: Float32, oversampling: int = 1) -> Float32:
        """Contours in pixels from the top edge of the image.

        Args:
            noise: (count, size) uniform noise in [-1, 1].
            oversampling: samples per column, centred on the column's own sample.

        Returns:
            (count, size, oversampling) float32.
        """
        size = self.size
        spectrum = scipy.fft.rfft(noise) * self._contour_filter
        offsets = (np.arange(oversampling) + 0.5) / oversampling - 0.5
        frequency = np.arange(size // 2 + 1)
        phase = np.exp(2j * np.pi * offsets[:, None] * frequency / size).astype(np.complex64)
        shifted = scipy.fft.irfft(spectrum[:, None, :] * phase, n=size)
        return np.swapaxes(shifted, 1, 2) * np.float32(size) + np.float32(size // 2)

    def _mask(self, noise: Float32) -> Float32:
        """The share of each pixel below the contour: (count, size, size) in [0, 1]."""
        rows = np.arange(self.size, dtype=np.float32)[None, :, None]
        if self.rendering == "official":
            mask = (rows >= np.rint(self.contour(noise)[..., 0])[:, None, :]).astype(np.float32)
            mask = np.pad(mask, ((0, 0), (1, 0), (1, 0)), mode="reflect")
            mask = mask[:, 1:] + mask[:, :-1]
            return 0.25 * (mask[:, :, 1:] + mask[:, :, :-1])
        contour = self.contour(noise, OVERSAMPLING)
        mask = np.zeros((noise.shape[0], self.size, self.size), np.float32)
        for sample in range(OVERSAMPLING):
            mask += np.clip(rows + 1 - contour[:, None, :, sample], 0, 1)
        mask /= OVERSAMPLING
        return mask


def _stretch(images: Float32, low: Float32, high: Float32) -> None:
    """Map each image affinely, in place, so that it fills [low, high]."""
    minimum = images.min(axis=(1, 2), keepdims=True)
    maximum = images.max(axis=(1, 2), keepdims=True)
    scale = ((high - low) / (maximum - minimum)).astype(np.float32)
    images -= minimum
    images *= scale
    images += low.astype(np.float32)
    np.clip(images, 0, 1, out=images)
