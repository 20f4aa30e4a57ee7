"""What the images of a spectra file have in common: means with standard errors over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gahb.artifacts import ArtifactError, Spec, read_attribute
from gahb.figures.parts.eigenbases import level_of, psnr
from gahb.hdf5 import Arrays
from gahb.means import standard_error
from gahb.spectra.store import open_spectra

_IMAGES = ("clean", "noisy", "denoised", "symmetric_denoised")
_NUMBERS = (
    *("trace", "asymmetry", "least_eigenvalue", "negative_mass", "effective_rank"),
    *("leading_response", "null_response"),
)
# columns of the tables in captions: heading, quantity, format
_SYMMETRIC = (
    ("asymmetry", "asymmetry", ".3f"),
    ("f(y), dB", "output_psnr", ".2f"),
    ("S y, dB", "symmetric_psnr", ".2f"),
    ("difference, dB", "symmetric_loss", ".2f"),
    ("least eigenvalue", "least_eigenvalue", ".3f"),
    ("negative mass", "negative_mass", ".3f"),
)
_ERRORS = (
    ("error", "error", ".1f"),
    ("SURE", "sure", ".1f"),
    ("trace", "trace", ".1f"),
    ("error - trace", "excess", ".1f"),
)


@dataclass(frozen=True)
class OverImages:
    """All I images of a spectra file at one noise level.

    Attributes:
        path: of the file.
        spec: what the file was made from.
        sigma: noise level.
        eigenvalues: (I, K), each row descending.
        eigenvectors: (I, k, H, W).
        fourier_quotients: (I, H, W), in the order of ``fft2``.
        numbers: (I,) by quantity: what is stored of each image, and
            ``output_psnr``, ``symmetric_psnr`` and ``symmetric_loss``: PSNR of f(y), of S y, and the
            first less the second, in dB;
            ``error``: ||f(y) - x||^2 / sigma^2; ``sure``: its unbiased estimate (Stein),
            ||f(y) - y||^2 / sigma^2 - d + 2 tr J; ``excess``: error less tr J, 0 on average for the
            exact denoiser.
    """

    path: Path
    spec: Spec
    sigma: float
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    fourier_quotients: np.ndarray
    numbers: dict[str, np.ndarray]

    @property
    def images(self) -> int:
        """How many."""
        return len(self.eigenvalues)

    def text(self, quantity: str, form: str) -> str:
        """Mean of a quantity and its standard error over images, in plain text."""
        return mean_text(self.numbers[quantity], form)


def mean_and_se(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis, images, and its standard error: 0 of a single one, not known then."""
    mean = values.mean(0)
    return mean, standard_error(np.moveaxis(values, 0, -1)) if len(values) > 1 else 0 * mean


def mean_text(values: np.ndarray, form: str) -> str:
    """The mean of (I,) values as text, with its standard error where there are several."""
    if not np.isfinite(values).all():
        return "-"
    mean = format(values.mean(), form)
    return f"{mean} +/- {format(standard_error(values), form)}" if len(values) > 1 else mean


def read_over_images(path: Path, sigma: float) -> OverImages:
    """Read every image of a spectra file at one of its noise levels.

    Raises:
        ArtifactError: the file lacks a dataset or this noise level, or its shapes do not fit together.
    """
    stored = ("eigenvalues", "eigenvectors", "fourier_quotients", *_NUMBERS)
    with open_spectra(path, ("sigma", *_IMAGES, *stored)) as file:
        level = level_of(path, file["sigma"][:], sigma)
        found: Arrays = {name: file[name][:, level] for name in (*_IMAGES[1:], *stored)}
        return OverImages(
            path=path,
            spec=read_attribute(file, "spec"),
            sigma=float(file["sigma"][level]),
            eigenvalues=found["eigenvalues"],
            eigenvectors=found["eigenvectors"],
            fourier_quotients=found["fourier_quotients"],
            numbers=_numbers(file["clean"][:], found, sigma),
        )


def _numbers(clean: np.ndarray, found: Arrays, sigma: float) -> dict[str, np.ndarray]:
    numbers: dict[str, np.ndarray] = {name: found[name] for name in _NUMBERS}
    for name, images in (("output", "denoised"), ("symmetric", "symmetric_denoised")):
        pairs = zip(found[images], clean, strict=True)
        numbers[f"{name}_psnr"] = np.array([psnr(image, x) for image, x in pairs])
    numbers["symmetric_loss"] = numbers["output_psnr"] - numbers["symmetric_psnr"]
    denoised, noisy = found["denoised"].astype(float), found["noisy"].astype(float)
    pixels = clean[0].size
    numbers["error"] = _squared(denoised - clean) / sigma**2
    numbers["sure"] = _squared(denoised - noisy) / sigma**2 - pixels + 2 * found["trace"]
    numbers["excess"] = numbers["error"] - found["trace"]
    return numbers


def _squared(images: np.ndarray) -> np.ndarray:
    squared: np.ndarray = (images**2).sum((1, 2, 3))
    return squared


@dataclass(frozen=True)
class SpectraTables:
    """The tables that captions have of several denoisers over their images.

    Attributes:
        heading: of the column that tells the denoisers apart.
        named: the denoisers by what is in that column.
    """

    heading: str
    named: Sequence[tuple[str, OverImages]]

    @property
    def images(self) -> str:
        """How many images the means are over, in words."""
        counts = {one.images for _, one in self.named}
        if len(counts) > 1:
            listed = ", ".join(f"{one.path} has {one.images}" for _, one in self.named)
            raise ArtifactError(f"spectra of one figure are of as many images: {listed}")
        (count,) = counts
        return f"{count} test image" + "s" * (count > 1)

    @property
    def several(self) -> bool:
        """Whether there are standard errors."""
        return self.named[0][1].images > 1

    @property
    def symmetric(self) -> list[list[str]]:
        """How far f is from what the eigenvectors say of it, one row per denoiser."""
        return self._rows(_SYMMETRIC)

    @property
    def symmetric_columns(self) -> list[str]:
        """What is in the columns of :attr:`symmetric`."""
        return [self.heading, *(column[0] for column in _SYMMETRIC)]

    @property
    def errors(self) -> list[list[str]]:
        """The squared error beside what the Jacobian says of it, one row per denoiser."""
        return self._rows(_ERRORS)

    @property
    def errors_columns(self) -> list[str]:
        """What is in the columns of :attr:`errors`."""
        return [self.heading, *(column[0] for column in _ERRORS)]

    def _rows(self, columns: Sequence[tuple[str, str, str]]) -> list[list[str]]:
        return [
            [name, *(one.text(quantity, form) for _, quantity, form in columns)]
            for name, one in self.named
        ]
