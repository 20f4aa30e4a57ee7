"""Spectra in HDF5: one file per denoiser, for some images at some noise levels.

:data:`SCHEMA` is the format: the README's table is made from it, the writer and reader follow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from gahb.artifacts import Spec
from gahb.hdf5 import (
    IMAGE,
    INTENSITY,
    PIXELS,
    Arrays,
    Field,
    Schema,
    open_arrays,
    read_arrays,
    write_arrays,
)
from gahb.spectra.eigen import DRAWS, PERTURBATION

if TYPE_CHECKING:
    import h5py

    from gahb.spectra.analysis import Analysis

_PERTURBED = (
    f"mean of ||f(y+v) - f(y)|| / ||v|| over {DRAWS} random perturbations v of norm "
    f"{PERTURBATION:g} sigma sqrt(d) in "
)
_OF_DRAWS = f"standard error of the {{}} response, over its {DRAWS} perturbations"

# Axes: I images, S noise levels, K eigenvalues (all d = C H W for the full method, k for the leading one),
# k eigenvectors, C channels, H and W pixels.
SCHEMA: Schema = {
    "image_index": Field(("I",), "int64", "1", "index of each image in its dataset"),
    "sigma": Field(("S",), "float64", INTENSITY, "noise level: standard deviation per pixel"),
    "clean": Field(("I", *IMAGE), "float32", INTENSITY, "clean image x"),
    "noisy": Field(("I", "S", *IMAGE), "float32", INTENSITY, "noisy image y = x + sigma z"),
    "denoised": Field(("I", "S", *IMAGE), "float32", INTENSITY, "denoised image f(y)"),
    "symmetric_denoised": Field(
        ("I", "S", *IMAGE),
        "float32",
        INTENSITY,
        "f(y) + (S - J) y, with S = (J + J^T)/2 in place of J: S y for a homogeneous f",
    ),
    "eigenvalues": Field(
        ("I", "S", "K"),
        "float64",
        "1",
        "eigenvalues lambda_k, descending, of the symmetric part of the Jacobian J of f at y",
    ),
    "eigenvectors": Field(
        ("I", "S", "k", *PIXELS),
        "float32",
        "1",
        "leading eigenvectors e_k of the symmetric part, of unit norm; the entry of largest "
        "magnitude is positive",
    ),
    "eigenvalue_residuals": Field(
        ("I", "S", "K"),
        "float64",
        "1",
        "||S e_k - lambda_k e_k|| of the symmetric part S, a bound on the error of lambda_k; "
        "0 where the method is exact",
    ),
    "singular_values": Field(
        ("I", "S", "K"),
        "float64",
        "1",
        "singular values of J, descending; for the leading method estimates, less exact than the "
        "eigenvalues",
    ),
    "clean_coefficients": Field(("I", "S", "K"), "float64", INTENSITY, "<x, e_k>"),
    "noisy_coefficients": Field(("I", "S", "K"), "float64", INTENSITY, "<y, e_k>"),
    "fourier_quotients": Field(
        ("I", "S", *PIXELS),
        "float64",
        "1",
        "Rayleigh quotients e_k* S e_k of the Fourier modes e_k of unit norm, in the order of fft2; "
        "NaN for the leading method",
    ),
    "least_eigenvalue": Field(
        ("I", "S"),
        "float64",
        "1",
        "least eigenvalue of S; NaN where not all are known (leading method)",
    ),
    "negative_mass": Field(
        ("I", "S"),
        "float64",
        "1",
        "sum of |lambda_k| over the negative ones, over the sum of all; NaN where not all are known "
        "(leading method)",
    ),
    "asymmetry": Field(("I", "S"), "float64", "1", "||J - J^T|| / ||J + J^T||, Frobenius norms"),
    "asymmetry_se": Field(
        ("I", "S"), "float64", "1", "standard error of the asymmetry; 0 when exact"
    ),
    "homogeneity_residual": Field(
        ("I", "S"),
        "float64",
        "1",
        "||f(y) - J y|| / ||f(y)||: at float precision for a bias-free network",
    ),
    "trace": Field(("I", "S"), "float64", "1", "trace of J"),
    "trace_se": Field(("I", "S"), "float64", "1", "standard error of the trace; 0 when exact"),
    "effective_rank": Field(
        ("I", "S"),
        "float64",
        "1",
        "||J||^2, the sum of the squared singular values: the number of dimensions' worth of "
        "white noise that pass",
    ),
    "leading_response": Field(
        ("I", "S"),
        "float64",
        "1",
        _PERTURBED + "the span of the r leading right singular vectors of J (full method) or "
        "eigenvectors (leading method), r being the effective rank rounded up, at most d/2 and k",
    ),
    "leading_response_se": Field(("I", "S"), "float64", "1", _OF_DRAWS.format("leading")),
    "null_response": Field(
        ("I", "S"),
        "float64",
        "1",
        _PERTURBED + "the span of the r right singular vectors of the smallest singular values "
        "(full method) or orthogonal to the k leading eigenvectors (leading method)",
    ),
    "null_response_se": Field(("I", "S"), "float64", "1", _OF_DRAWS.format("null")),
}


def write_spectra(
    path: Path | str,
    analyses: Sequence[Sequence[Analysis]],
    image_index: ArrayLike,
    sigmas: ArrayLike,
    made_from: Mapping[str, Any],
) -> None:
    """Write the file, atomically, with a checksum on every dataset.

    The attributes ``method`` and ``engine`` say, for each image and level, how it was computed.

    Args:
        path: file to write.
        analyses: one per image (outer) and noise level (inner), of equal shapes.
        image_index: (I,) indices of the images in their dataset.
        sigmas: (S,) noise levels.
        made_from: from :func:`gahb.artifacts.provenance`.

    Raises:
        ValueError: the analyses do not fit together.
    """
    columns: dict[str, Any] = {"image_index": image_index, "sigma": sigmas}
    columns["clean"] = [of_image[0].clean for of_image in analyses]
    for name in SCHEMA:
        if name not in columns:
            columns[name] = [[getattr(one, name) for one in of_image] for of_image in analyses]
    used = {
        key: [[getattr(one, key) for one in of_image] for of_image in analyses]
        for key in ("method", "engine")
    }
    write_arrays(path, SCHEMA, columns, {}, dict(made_from) | used, outer=("I", "S"))


def open_spectra(
    path: Path | str, names: Iterable[str] | None = None
) -> AbstractContextManager[h5py.File]:
    """Open a spectra file for reading in parts, these of its datasets, or all, checked before."""
    return open_arrays(path, SCHEMA, {}, names)


def read_spectra(
    path: Path | str, expected_spec: Spec | None = None, names: Iterable[str] | None = None
) -> tuple[Arrays, dict[str, Any]]:
    """Read and verify a spectra file.

    Args:
        path: file written by :func:`write_spectra`.
        expected_spec: refuse a file made from another spec.
        names: datasets of :data:`SCHEMA` to read; by default all.

    Returns:
        The datasets by name, and the provenance (:func:`gahb.artifacts.provenance`).

    Raises:
        ArtifactError: the file is missing, damaged, made from another spec, or a dataset is
            missing or has the wrong type or shape.
    """
    return read_arrays(path, SCHEMA, {}, names, expected_spec)
