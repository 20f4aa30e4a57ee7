"""C^alpha ("cartoon") images: two regular backgrounds separated by a regular contour.

The contour is one-dimensional uniform noise filtered by |w|^-alpha, each background is
two-dimensional uniform noise filtered by (w1^2 + w2^2)^(-alpha/2), in integer frequencies and with
the zero frequency given the gain of frequency 1. An image is ``x = M B1 + (1 - M) B2`` with
``M = 1{row > contour(column)}`` (Kadkhodaie et al., ICLR 2024, section 3.2 and appendix D).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gahb.randomness import uniform_rows

Float32 = NDArray[np.float32]
OVERSAMPLING = 4  # contour samples per pixel column, for the antialiased coverage


@dataclass(frozen=True)
class CAlpha:
    """The class of C^alpha images.

    Args:
        size: side of the image in pixels.
        seed: the same seed gives the same images.
        alpha: regularity of the contour.
        background_alpha: regularity of both backgrounds.
        rendering: ``official`` rounds the contour to whole pixels and blurs the mask by a 2x2 box,
            as the paper's published code does; ``antialiased`` gives every pixel the fraction of
            its area that lies below the contour, so that the image varies smoothly with it.
    """

    size: int
    seed: int
    alpha: float
    background_alpha: float
    rendering: str

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
        frequency = np.fft.fftfreq(self.size, 1 / self.size)
        squared = frequency[:, None] ** 2 + frequency[None, :] ** 2
        squared[0, 0] = 1.0
        return (squared ** (-self.background_alpha / 2)).astype(np.float32)

    def render(self, first: int, count: int) -> Float32:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1]."""
        size = self.size
        uniform = uniform_rows(self.seed, "calpha", first, count, self._row_width)
        contour_noise = 2 * uniform[:, :size] - 1
        noise = (2 * uniform[:, size : size + 2 * size**2] - 1).reshape(count, 2, size, size)
        u, v, coin = uniform[:, -3:].T[:, :, None, None]

        below, above = self._backgrounds(noise)
        bright, dark = u, v  # one background fills [u, 1], the other [0, v]; a coin says which
        below_low = np.where(coin < 0.5, bright, 0)
        below_high = np.where(coin < 0.5, 1, dark)
        above_low = np.where(coin < 0.5, 0, bright)
        above_high = np.where(coin < 0.5, dark, 1)
        _stretch(below, below_low, below_high)
        _stretch(above, above_low, above_high)

        mask = self._mask(contour_noise)
        below -= above
        below *= mask
        below += above
        return below

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
