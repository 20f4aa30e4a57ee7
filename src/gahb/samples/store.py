"""Samples of a pair of networks in HDF5, with their closest training images and trajectories.

:data:`SCHEMA` is the format; the writer and the reader follow it. Axes of length two are the networks and
the training sets of S1 and S2, in this order, and the measures ``cosine`` and ``correlation``. Images
are rounded to 11 bits; every similarity and distance was measured before, on those in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gahb.artifacts import ArtifactError, Spec, create_hdf5, open_hdf5, read_attribute


@dataclass(frozen=True)
class Field:
    """One dataset of the file.

    Attributes:
        dims: lengths of its axes: A networks, B training sets and C measures, two of each; n samples,
            of which the first f were followed on their way and the first m are shown; T calls of the
            denoiser at most; K noise levels kept; N images in each training set; p pairs of them
            shown; H and W pixels; or 1.
        dtype: numpy name of its type.
        units: of its numbers; ``1`` for pure numbers.
        description: one sentence.
    """

    dims: tuple[str, ...]
    dtype: str
    units: str
    description: str


_INTENSITY = "intensity, 0 to 1"
_IMAGE = ("1", "H", "W")

SCHEMA: Mapping[str, Field] = {
    "samples": Field(("A", "n", *_IMAGE), "float16", _INTENSITY, "samples of each network"),
    "calls": Field(("A", "n"), "int64", "1", "calls of the network that each sample took"),
    "pair_similarity": Field(
        ("C", "n"), "float64", "1", "similarity of the two networks' samples of the same number"
    ),
    "closest_similarity": Field(
        ("A", "B", "C", "n"),
        "float64",
        "1",
        "similarity of each sample with the most similar image of each training set",
    ),
    "closest_index": Field(
        ("A", "B", "C", "n"), "int64", "1", "index of that image in the dataset"
    ),
    "nearest_distances": Field(
        ("A", "B", "n", "2"),
        "float64",
        "intensity, norm over pixels",
        "distances to the nearest and second nearest image of each training set; NaN where N = 1",
    ),
    "closest_images": Field(
        ("A", "C", "m", *_IMAGE),
        "float16",
        _INTENSITY,
        "the most similar images of the network's own training set, for the samples shown",
    ),
    "start_noise": Field(
        ("m", *_IMAGE),
        "float16",
        "1",
        "z of the image mean + sigma_max z that sampling starts from, the same for both networks",
    ),
    "trajectory_sigma": Field(
        ("A", "m", "T"), "float64", _INTENSITY, "noise level at every call; NaN after the last"
    ),
    "trajectory_kept_sigma": Field(
        ("A", "m", "K"), "float64", _INTENSITY, "noise level at the calls kept; NaN if not reached"
    ),
    "trajectory_noisy": Field(
        ("A", "m", "K", *_IMAGE), "float16", _INTENSITY, "noisy image y at the calls kept"
    ),
    "trajectory_denoised": Field(
        ("A", "m", "K", *_IMAGE), "float16", _INTENSITY, "denoised image f(y) at the calls kept"
    ),
    "noisy_similarity": Field(
        ("C", "f", "K"),
        "float64",
        "1",
        "similarity of the two networks' y at the calls kept; NaN where either has none",
    ),
    "denoised_similarity": Field(
        ("C", "f", "K"), "float64", "1", "the same of the two networks' f(y)"
    ),
    "twin_similarity": Field(
        ("C", "N"),
        "float32",
        "1",
        "similarity of each training image of S1 with the most similar one of S2",
    ),
    "twin_index": Field(("C", "N"), "int32", "1", "index of the latter in the dataset"),
    "twin_images": Field(
        ("B", "p", *_IMAGE),
        "float16",
        _INTENSITY,
        "the pairs across S1 and S2 with the highest correlation, from the most similar on",
    ),
}
_LENGTHS = {"1": 1, "2": 2, "A": 2, "B": 2, "C": 2}


def schema_table() -> str:
    """:data:`SCHEMA` as a Markdown table."""
    rows = [
        f"| `{name}` | ({', '.join(field.dims)}) | {field.dtype} | {field.units} "
        f"| {field.description} |"
        for name, field in SCHEMA.items()
    ]
    return "\n".join(
        ["| dataset | dims | type | units | content |", "|---|---|---|---|---|", *rows]
    )


def write_samples(
    path: Path | str, arrays: Mapping[str, Any], made_from: Mapping[str, Any]
) -> None:
    """Write the file, atomically, with a checksum on every dataset.

    Args:
        path: file to write.
        arrays: one array for each dataset of :data:`SCHEMA`.
        made_from: from :func:`gahb.artifacts.provenance`.

    Raises:
        ValueError: an array is missing, superfluous, or does not fit the others.
    """
    if arrays.keys() != SCHEMA.keys():
        odd = ", ".join(sorted(arrays.keys() ^ SCHEMA.keys()))
        raise ValueError(f"samples: the datasets {odd} are missing or not in the schema")
    typed = {name: np.asarray(arrays[name], field.dtype) for name, field in SCHEMA.items()}
    problem = _misshapen({name: array.shape for name, array in typed.items()})
    if problem:
        raise ValueError(f"samples that do not fit together: {problem}")
    with create_hdf5(path, made_from) as file:
        for name, field in SCHEMA.items():
            array = typed[name]
            dataset = file.create_dataset(
                name,
                data=array,
                chunks=array.shape,
                fletcher32=True,
                track_times=False,
            )
            dataset.attrs["units"] = field.units
            dataset.attrs["description"] = field.description


def read_samples(
    path: Path | str, expected_spec: Spec | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read and verify a whole file.

    Args:
        path: file written by :func:`write_samples`.
        expected_spec: refuse a file made from another spec.

    Returns:
        The datasets of :data:`SCHEMA` by name, and the provenance (``spec``, ``inputs``, ``versions``).

    Raises:
        ArtifactError: the file is missing, damaged, made from another spec, or a dataset is missing
            or has the wrong type or shape.
    """
    try:
        with open_hdf5(path, expected_spec) as file:
            missing = [name for name in SCHEMA if name not in file]
            if missing:
                raise ArtifactError(f"{path} lacks the datasets {', '.join(missing)}")
            arrays: dict[str, NDArray[Any]] = {name: file[name][()] for name in SCHEMA}
            made_from = {key: read_attribute(file, key) for key in ("spec", "inputs", "versions")}
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # what h5py makes of damage
        raise ArtifactError(f"{path} is damaged: {error}") from error
    for name, field in SCHEMA.items():
        if arrays[name].dtype != field.dtype:
            raise ArtifactError(
                f"{path}: {name} has type {arrays[name].dtype}, expected {field.dtype}"
            )
    problem = _misshapen({name: array.shape for name, array in arrays.items()})
    if problem:
        raise ArtifactError(f"{path}: {problem}")
    return arrays, made_from


def _misshapen(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The first dataset whose shape contradicts its dims or the lengths found before it."""
    lengths = dict(_LENGTHS)
    for name, field in SCHEMA.items():
        shape = shapes[name]
        agrees = len(shape) == len(field.dims) and all(
            lengths.setdefault(dim, length) == length
            for dim, length in zip(field.dims, shape, strict=True)
        )
        if not agrees:
            expected = ", ".join(f"{dim}={lengths.get(dim, '?')}" for dim in field.dims)
            return f"{name} has shape {shape}, expected ({expected})"
    return None
