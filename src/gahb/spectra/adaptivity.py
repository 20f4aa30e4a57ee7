"""How well the bases in which networks shrink noise are adapted to the geometry of images with a contour.

Of an image x whose contour, and stretch of both backgrounds, an oracle knows
(:mod:`gahb.denoisers.exact.known_contour`), the optimum shrinks in the eigenvectors o_k of a covariance.
They oscillate along the contour and in the regions on either side, and do not cross it. Network and
oracle are compared at the same images:

- *share* of a learned eigenvector e_k in the span of the oracle's r leading eigenvectors, r being the
  trace of the oracle's filter at the noise level, rounded: how many directions it keeps. A random
  direction has the share r/d;
- *overlap* of the K leading e_k with the K leading o_k: the mean of the shares of e_1 ... e_K in the span
  of o_1 ... o_K. By chance it is K/d;
- *other_overlap*, the same with the oracle of another image. Harmonics of low frequency are in the span of
  both; what the own oracle has more, the *gain*, is adapted to this contour;
- *error* of keeping the M largest coefficients of x in a basis, ||x - x_M||^2 / ||x||^2, nothing
  subtracted from x before.

The error is also measured in other bases. The *oracle's*, and that of *another contour*, the oracle's of
another image. *Wavelets*: of several filters the one that errs least, for each M. *Bandlets*: the basis
is the best for the clean image at a threshold, for the best of several filters; errors between those of two
thresholds half an octave apart are interpolated, and the geometry is not counted. And *pixels*. A learned
basis comes from one noisy image; oracle and bandlets look at the clean one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gahb.artifacts import ArtifactError, Spec, digest_file, provenance, write_table
from gahb.datasets.image_class import image_class
from gahb.denoisers.classical.bandlets import BandletDenoiser
from gahb.denoisers.classical.transform import WaveletTransform
from gahb.denoisers.exact.known_contour import KnownContourDenoiser
from gahb.hdf5 import Arrays
from gahb.means import mean_and_error
from gahb.spectra.store import read_spectra

Float64 = NDArray[np.float64]

FILTERS = ("haar", "db2", "db3", "db4", "sym4")  # of wavelets and bandlets
_THRESHOLDS = 28  # of bandlets, half an octave apart, from the norm of the image down
_READ = ("image_index", "sigma", "clean", "eigenvectors", "clean_coefficients")
QUANTITIES = ("share", "overlap", "other_overlap", "gain", "error")
COLUMNS = (
    *("basis", "filter", "set_size", "split", "sigma", "rank", "images", "pixels", "oracle_rank"),
    *(name + end for name in QUANTITIES for end in ("", "_se")),
)


def measure_adaptivity(spec: Spec, spectra: Sequence[Path], output: Path | str) -> None:
    """Compare the bases of an experiment's networks with others, and write the table.

    Args:
        spec: ``ensemble``, what the networks were trained with, on images with a contour, and ``spectra``.
        spectra: of its networks, at the same images and noise levels.
        output: table to write, ``.csv``: one row per network, noise level and rank (K, k or M), with
            ``basis`` learned; and one per other basis and rank, with the ``filter`` of wavelets and
            bandlets. Means over images, with standard errors ``_se``. ``share`` is averaged over the
            ranks from the last one, exclusive, to this one; ``oracle_rank`` is r, averaged over images.

    Raises:
        ArtifactError: the spectra are damaged, or not of the same images.
    """
    torch.set_num_threads(spec["spectra"]["threads"])
    networks = [read_spectra(path, names=_READ) for path in spectra]
    arrays = networks[0][0]
    for path, (found, _) in zip(spectra, networks, strict=True):
        for name in ("image_index", "sigma", "clean"):
            if not np.array_equal(found[name], arrays[name]):
                raise ArtifactError(f"{path} and {spectra[0]} differ in {name}")
    oracles = _Oracles(spec["ensemble"]["dataset"], arrays)
    rows = []
    for found, made_from in networks:
        network = made_from["spec"]["network"]
        for level, sigma in enumerate(arrays["sigma"]):
            label = {"set_size": network["set_size"], "split": network["split"], "sigma": sigma}
            rows += oracles.learned(found, level, label)
    rows += oracles.others()
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"set_size": "Int64"})
    inputs = {Path(path).as_posix(): digest_file(path) for path in spectra}
    write_table(output, table, provenance(spec, inputs))


class _Oracles:
    """The bases of some images that do not depend on a network."""

    def __init__(self, dataset: Spec, arrays: Arrays) -> None:
        images: Any = image_class(dataset)
        self._indices = [int(index) for index in arrays["image_index"]]
        others = [*self._indices[1:], self._indices[0]]
        if len(self._indices) == 1:
            others = [self._indices[0] + 1]
        known = {i: KnownContourDenoiser(images, i) for i in {*self._indices, *others}}
        self._filters = [known[index] for index in self._indices]
        self.own = [_rows(known[index]) for index in self._indices]
        self.other = [_rows(known[index]) for index in others]
        self._clean = arrays["clean"].astype(np.float64)
        self._flat = self._clean.reshape(len(self._clean), -1)
        self._sigmas = arrays["sigma"]
        self._ranks = ranks(self._flat.shape[1])

    def learned(self, found: Arrays, level: int, label: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of a network at a noise level."""
        per_image, kept = [], []
        for image, (own, other) in enumerate(zip(self.own, self.other, strict=True)):
            vectors = found["eigenvectors"][image, level].astype(np.float64)
            vectors = vectors.reshape(len(vectors), -1)
            trace = float(self._filters[image].eigenvalues(float(self._sigmas[level])).sum())
            kept.append(max(round(trace), 1))
            share = ((vectors @ own[: kept[-1]].T) ** 2).sum(1)
            first, second = (overlaps(vectors, basis, self._ranks) for basis in (own, other))
            per_image.append(
                {
                    "share": _between(share, self._ranks),
                    "overlap": first,
                    "other_overlap": second,
                    "gain": first - second,
                    "error": errors(
                        found["clean_coefficients"][image, level], self._flat[image], self._ranks
                    ),
                }
            )
        return self._summed("learned", label | {"oracle_rank": float(np.mean(kept))}, per_image)

    def others(self) -> Iterator[dict[str, Any]]:
        """Rows of the other bases."""
        triples = list(zip(self._flat, self.own, self.other, strict=True))
        images = torch.from_numpy(self._clean[:, 0])
        plain: dict[str, list[dict[str, Float64]]] = {
            "known-contour": [{"error": errors(own @ x, x, self._ranks)} for x, own, _ in triples],
            "other-contour": [
                {
                    "error": errors(other @ x, x, self._ranks),
                    "overlap": overlaps(other, own, self._ranks),
                }
                for x, own, other in triples
            ],
            "pixels": [{"error": errors(x, x, self._ranks)} for x in self._flat],
        }
        for name, per_image in plain.items():
            yield from self._summed(name, {}, per_image)
        for name, measure in (("wavelets", wavelet_errors), ("bandlets", bandlet_errors)):
            found = np.stack([measure(images, filter_, self._ranks) for filter_ in FILTERS])
            chosen = best(found)
            of_chosen = found[chosen, :, np.arange(len(self._ranks))].T
            rows = self._summed(name, {}, [{"error": of_image} for of_image in of_chosen])
            yield from (
                row | {"filter": FILTERS[which]} for row, which in zip(rows, chosen, strict=True)
            )

    def _summed(
        self, basis: str, label: dict[str, Any], per_image: list[dict[str, Float64]]
    ) -> list[dict[str, Any]]:
        rows = []
        for place, rank in enumerate(self._ranks):
            row = {"basis": basis, "rank": rank, "images": len(per_image)} | label
            row["pixels"] = self._flat.shape[1]
            for name in per_image[0]:
                row[name], row[f"{name}_se"] = mean_and_error(
                    [one[name][place] for one in per_image]
                )
            rows.append(row)
        return rows


def ranks(pixels: int) -> list[int]:
    """Powers of two up to the number of pixels, and that number."""
    return sorted({2**power for power in range(pixels.bit_length())} | {pixels})


def overlaps(first: Float64, second: Float64, ranks: Sequence[int]) -> Float64:
    """Mean share of the K leading vectors of a basis in the span of the K leading ones of another.

    Args:
        first, second: orthonormal rows, (k, d) and (l, d).
        ranks: K; beyond k or l the result is NaN.
    """
    sums = ((first @ second.T) ** 2).cumsum(0).cumsum(1)
    known = min(sums.shape)
    return np.array([sums[k - 1, k - 1] / k if k <= known else np.nan for k in ranks])


def errors(coefficients: Float64, image: Float64, ranks: Sequence[int]) -> Float64:
    """||x - x_M||^2 / ||x||^2, x_M being made of the M largest coefficients in orthonormal vectors.

    Args:
        coefficients: of x, (n,). If they are not all d, the vectors left out would have some of the M
            largest: beyond M = n / 2 the result is NaN, and up to there an upper bound.
        image: x, (d,).
        ranks: M.
    """
    energies = np.sort(np.square(np.asarray(coefficients, np.float64)))[::-1].cumsum()
    most = len(energies) if len(energies) == len(image) else len(energies) // 2
    left = 1 - energies / np.square(image).sum()
    return np.array([max(left[m - 1], 0.0) if m <= most else np.nan for m in ranks])


def wavelet_errors(images: torch.Tensor, wavelet: str, ranks: Sequence[int]) -> Float64:
    """:func:`errors` of (I, H, W) images in an orthogonal wavelet basis, with all levels: (I, ranks)."""
    approximation, details = WaveletTransform(wavelet, _levels(images)).analyse(images)
    parts = [approximation.flatten(1), *(subbands.flatten(1) for subbands in details)]
    coefficients = torch.cat(parts, dim=1).numpy()
    flat = images.flatten(1).numpy()
    return np.stack([errors(c, x, ranks) for c, x in zip(coefficients, flat, strict=True)])


def bandlet_errors(images: torch.Tensor, wavelet: str, ranks: Sequence[int]) -> Float64:
    """Errors of (I, H, W) images in the best bandlet basis of each, at each of several thresholds.

    Returns:
        (I, ranks), interpolated in logarithms between thresholds; NaN where M is fewer than the
        coefficients of the approximation, which are always kept.
    """
    denoiser = BandletDenoiser(wavelet, rule=1.0, levels=_levels(images))
    relative = 2.0 ** (-torch.arange(_THRESHOLDS, dtype=images.dtype) / 2)
    found = []
    for image in images:
        norm = image.norm()
        scaled = image / (relative * norm)[:, None, None]  # each at the threshold 1
        projected = denoiser(scaled[:, None], 1.0)[:, 0]
        left = ((projected - scaled).flatten(1).square().sum(1) * relative**2).numpy()
        counts = denoiser.kept(scaled[:, None], 1.0).numpy()
        found.append(_interpolated(counts, left, ranks))
    return np.stack(found)


def _interpolated(counts: Float64, left: Float64, ranks: Sequence[int]) -> Float64:
    """Errors at M, in logarithms between the least for so many coefficients; 0 once all are kept."""
    levels = np.unique(counts)
    least = np.minimum.accumulate([left[counts == count].min() for count in levels])
    least = np.clip(least, np.finfo(float).tiny, None)
    wanted = np.asarray(ranks, np.float64)
    interpolated = np.exp(np.interp(np.log(wanted), np.log(levels), np.log(least)))
    interpolated[wanted < levels[0]] = np.nan
    interpolated[wanted == max(ranks)] = 0.0
    return interpolated


def best(of_bases: Float64) -> NDArray[np.int64]:
    """Of (bases, I, ranks) errors, the number of the basis that errs least over images, by rank."""
    means = of_bases.mean(1)
    return np.where(np.isnan(means), np.inf, means).argmin(0)


def _between(values: Float64, ranks: Sequence[int]) -> Float64:
    """Means of values number ``last + 1`` to ``rank``, for each rank and the one before it."""
    last = [0, *ranks[:-1]]
    return np.array(
        [
            values[a:b].mean() if b <= len(values) else np.nan
            for a, b in zip(last, ranks, strict=True)
        ]
    )


def _rows(oracle: KnownContourDenoiser) -> Float64:
    """Its eigenvectors, of the largest variance first: (d, d)."""
    return np.asarray(oracle.eigenvectors.numpy().T[::-1])


def _levels(images: torch.Tensor) -> int:
    """How often the sides of (I, H, W) images can be halved."""
    sides = images.shape[-2] | images.shape[-1]
    return (sides & -sides).bit_length() - 1
