"""Eigenvalues and eigenvectors of denoisers' Jacobians, read from spectra files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gahb.artifacts import ArtifactError, Spec, read_attribute
from gahb.hdf5 import with_section
from gahb.spectra.store import SCHEMA, open_spectra

_USED = (
    *("sigma", "image_index", "clean", "noisy", "denoised"),
    *("eigenvalues", "eigenvectors", "clean_coefficients"),
    *("asymmetry", "homogeneity_residual", "trace", "trace_se", "effective_rank"),
    *("leading_response", "null_response"),
)
_SCALARS = tuple(name for name in _USED if SCHEMA[name].dims == ("I", "S"))


@dataclass(frozen=True)
class Eigenbasis:
    """The eigen-decomposition of a denoiser's Jacobian at one noisy image."""

    path: Path
    spec: Spec
    position: int  # of the image in the test set
    image_index: int  # of the image in its dataset
    sigma: float
    clean: np.ndarray  # (H, W), or (C, H, W) of several channels, as are the next two
    noisy: np.ndarray
    denoised: np.ndarray
    eigenvalues: np.ndarray  # (K,), descending
    eigenvectors: np.ndarray  # (k, H, W) or (k, C, H, W), of unit norm
    coefficients: np.ndarray  # (K,) inner products of the clean image with the eigenvectors
    scalars: dict[str, float]  # the datasets of one number per image and noise level

    @property
    def set_size(self) -> int:
        """N of the network."""
        return int(self.spec["network"]["set_size"])

    @property
    def input_psnr(self) -> float:
        """PSNR of the noisy image in dB."""
        return psnr(self.noisy, self.clean)

    @property
    def output_psnr(self) -> float:
        """PSNR of the denoised image in dB."""
        return psnr(self.denoised, self.clean)

    def eigenvector(self, k: int) -> np.ndarray:
        """Eigenvector number ``k``, counted from 1, shape (H, W) or (C, H, W)."""
        if k > len(self.eigenvectors):
            raise ArtifactError(
                f"{self.path} keeps {len(self.eigenvectors)} eigenvectors; the figure asks for "
                f"number {k}"
            )
        image: np.ndarray = self.eigenvectors[k - 1]
        return image


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """PSNR of an image in dB, peak 1."""
    error = np.mean((image.astype(float) - clean.astype(float)) ** 2)
    return float(-10 * np.log10(error)) if error else float("inf")


def find_spectra(
    paths: Iterable[Path | str], experiment: str, split: str, set_size: int
) -> Path | None:
    """The spectra file of one network among ``paths``, by what its attributes say; or None.

    HDF5 files that are no spectra, or those of a reference denoiser, are left aside.
    """
    asked = {"experiment": experiment, "split": split, "set_size": set_size}
    found = []
    for path, spec in with_section(paths, "spectra"):
        if "reference" in spec:
            continue
        network = spec.get("network", {})
        missing = [f"network.{key}" for key in asked if key not in network]
        if missing:
            raise ArtifactError(
                f"{path}: its spec does not say {', '.join(missing)}; it has {sorted(spec)} with "
                f"network {sorted(network)}"
            )
        if all(network[key] == value for key, value in asked.items()):
            found.append(path)
    return _at_most_one(found, f"{experiment}, N = {set_size}, {split}")


def find_reference_spectra(
    paths: Iterable[Path | str], image_class: str, reference: str
) -> Path | None:
    """The spectra file of an exact or classical denoiser among ``paths``; or None."""
    found = [
        path
        for path, spec in with_section(paths, "spectra")
        if spec.get("reference", {}).get("name") == reference
        and spec.get("image_class") == image_class
    ]
    return _at_most_one(found, f"{reference} on {image_class}")


def _at_most_one(found: list[Path], what: str) -> Path | None:
    if len(found) > 1:
        raise ArtifactError(f"{found[0]} and {found[1]} both hold the spectra of {what}")
    return found[0] if found else None


@dataclass(frozen=True)
class Eigenvalues:
    """All eigenvalues in a spectra file: of I images at S noise levels."""

    path: Path
    spec: Spec
    image_index: np.ndarray  # (I,) of the images in their dataset
    sigma: np.ndarray  # (S,)
    values: np.ndarray  # (I, S, K), descending
    pixels: int

    def above(self, threshold: float) -> np.ndarray:
        """How many eigenvalues exceed ``threshold``, for each image and noise level: (I, S)."""
        counts: np.ndarray = (self.values > threshold).sum(-1)
        if self.values.shape[-1] < self.pixels and counts.max() == self.values.shape[-1]:
            raise ArtifactError(
                f"{self.path} keeps {self.values.shape[-1]} eigenvalues of {self.pixels}, all above "
                f"{threshold:g} at one image and noise level: how many are cannot be told"
            )
        return counts


def read_eigenvalues(path: Path) -> Eigenvalues:
    """Read the eigenvalues of every image at every noise level of a spectra file."""
    with open_spectra(path, ("image_index", "sigma", "clean", "eigenvalues")) as file:
        return Eigenvalues(
            path=path,
            spec=read_attribute(file, "spec"),
            image_index=file["image_index"][:],
            sigma=file["sigma"][:],
            values=file["eigenvalues"][:],
            pixels=int(np.prod(file["clean"].shape[1:])),
        )


def read_eigenbasis(path: Path, image: int, sigma: float) -> Eigenbasis:
    """Read one image at one noise level.

    Args:
        path: spectra file.
        image: position in the test set, one of those in the spec of the file.
        sigma: one of the noise levels of the file.

    Raises:
        ArtifactError: the file lacks a dataset, this image or this noise level, or its shapes do
            not fit together.
    """
    with open_spectra(path, _USED) as file:
        level = level_of(path, file["sigma"][:], sigma)
        spec = read_attribute(file, "spec")
        positions = spec.get("spectra", {}).get("test_images", [])[: len(file["clean"])]
        at = (_place(path, positions, image), level)
        return Eigenbasis(
            path=path,
            spec=spec,
            position=image,
            image_index=int(file["image_index"][at[0]]),
            sigma=float(file["sigma"][level]),
            clean=_pixels(file["clean"][at[0]]),
            noisy=_pixels(file["noisy"][at]),
            denoised=_pixels(file["denoised"][at]),
            eigenvalues=file["eigenvalues"][at],
            eigenvectors=file["eigenvectors"][at],
            coefficients=file["clean_coefficients"][at],
            scalars={name: float(file[name][at]) for name in _SCALARS},
        )


def _pixels(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W), or (H, W) of its only channel."""
    return image if len(image) > 1 else image[0]


def level_of(path: Path, sigmas: np.ndarray, sigma: float) -> int:
    """Where in the noise levels of a spectra file one of them is."""
    level = np.flatnonzero(np.isclose(sigmas, sigma, rtol=1e-4, atol=0))
    if not level.size:
        raise ArtifactError(
            f"{path} has the noise levels {', '.join(f'{s:g}' for s in sigmas)}; the figure "
            f"asks for {sigma:g}"
        )
    return int(level[0])


def _place(path: Path, positions: list[int], image: int) -> int:
    if image not in positions:
        raise ArtifactError(
            f"{path} has the test images {', '.join(map(str, positions))} (spectra.test_images "
            f"of its spec); the figure asks for {image}"
        )
    return positions.index(image)
