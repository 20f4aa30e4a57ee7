"""Samples of a pair of networks in HDF5, with their closest training images and trajectories.

:data:`SCHEMA` is the format; the writer and the reader follow it. Axes of length two are the networks and
the training sets of S1 and S2, in this order, and the measures ``cosine`` and ``correlation``. Images
are rounded to 11 bits; every similarity and distance was measured before, on those in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gahb.artifacts import Spec
from gahb.hdf5 import IMAGE, INTENSITY, Arrays, Field, Schema, read_arrays, write_arrays

# Axes: A networks, B training sets and M measures, two of each; n samples, of which the first f were
# followed on their way and the first m are shown; T calls of the denoiser at most; K noise levels kept;
# N images in each training set; p pairs of them shown;
# t and u test images; q principal directions; C channels, H and W pixels.
SCHEMA: Schema = {
    "samples": Field(("A", "n", *IMAGE), "float16", INTENSITY, "samples of each network"),
    "calls": Field(("A", "n"), "int64", "1", "calls of the network that each sample took"),
    "pair_similarity": Field(
        ("M", "n"), "float64", "1", "similarity of the two networks' samples of the same number"
    ),
    "unpaired_similarity": Field(
        ("M", "n"),
        "float64",
        "1",
        "of sample i of S1's network and sample i - 1 of S2's: a control",
    ),
    "closest_similarity": Field(
        ("A", "B", "M", "n"),
        "float64",
        "1",
        "similarity of each sample with the most similar image of each training set",
    ),
    "closest_index": Field(
        ("A", "B", "M", "n"), "int64", "1", "index of that image in the dataset"
    ),
    "nearest_distances": Field(
        ("A", "B", "n", "2"),
        "float64",
        "intensity, norm over pixels",
        "distances to the nearest and second nearest image of each training set; NaN where N = 1",
    ),
    "nearest_scaled": Field(
        ("A", "B", "n", "2"),
        "float64",
        "intensity, norm over pixels",
        "distances, least over a factor of the training image, to the nearest image of each training "
        "set and to the nearest that is no duplicate of it; NaN where there is none",
    ),
    "closest_images": Field(
        ("A", "M", "m", *IMAGE),
        "float16",
        INTENSITY,
        "the most similar images of the network's own training set, for the samples shown",
    ),
    "start_noise": Field(
        ("m", *IMAGE),
        "float16",
        "1",
        "white noise z, sigma_max z of which is in the image that sampling starts from",
    ),
    "trajectory_sigma": Field(
        ("A", "m", "T"), "float64", INTENSITY, "noise level at every call; NaN after the last"
    ),
    "trajectory_kept_sigma": Field(
        ("A", "m", "K"), "float64", INTENSITY, "noise level at the calls kept; NaN if not reached"
    ),
    "trajectory_noisy": Field(
        ("A", "m", "K", *IMAGE), "float16", INTENSITY, "noisy image y at the calls kept"
    ),
    "trajectory_denoised": Field(
        ("A", "m", "K", *IMAGE), "float16", INTENSITY, "denoised image f(y) at the calls kept"
    ),
    "noisy_similarity": Field(
        ("M", "f", "K"),
        "float64",
        "1",
        "similarity of the two networks' y at the calls kept; NaN where either has none",
    ),
    "denoised_similarity": Field(
        ("M", "f", "K"), "float64", "1", "the same of the two networks' f(y)"
    ),
    "fresh_similarity": Field(
        ("B", "M", "t"),
        "float32",
        "1",
        "similarity of test images with the most similar image of each training set",
    ),
    "intensity": Field(("A", "n"), "float64", INTENSITY, "mean over the pixels of each sample"),
    "fresh_intensity": Field(("u",), "float64", INTENSITY, "of the test images"),
    "components": Field(
        ("A", "n", "q"),
        "float64",
        "intensity, norm over pixels",
        "of samples, along the leading principal directions of training images of both halves",
    ),
    "fresh_components": Field(
        ("u", "q"), "float64", "intensity, norm over pixels", "of the test images, along the same"
    ),
    "start_components": Field(
        ("n", "q"),
        "float64",
        "intensity, norm over pixels",
        "of the images that noise is added to for the start, along the same",
    ),
    "energy": Field(
        ("A", "2"),
        "float64",
        "intensity, norm over pixels; 1",
        "energy distance of samples and test images, and its p value",
    ),
    "twin_similarity": Field(
        ("M", "N"),
        "float32",
        "1",
        "similarity of each training image of S1 with the most similar one of S2",
    ),
    "twin_index": Field(("M", "N"), "int32", "1", "index of the latter in the dataset"),
    "twin_images": Field(
        ("B", "p", *IMAGE),
        "float16",
        INTENSITY,
        "the pairs across S1 and S2 with the highest correlation, from the most similar on",
    ),
}
_FIXED = {"A": 2, "B": 2, "M": 2}


def write_samples(
    path: Path | str, arrays: Mapping[str, Any], made_from: Mapping[str, Any]
) -> None:
    """Write one array for each dataset of :data:`SCHEMA`; see :func:`gahb.hdf5.write_arrays`."""
    write_arrays(path, SCHEMA, arrays, _FIXED, made_from)


def read_samples(
    path: Path | str, expected_spec: Spec | None = None, names: Iterable[str] | None = None
) -> tuple[Arrays, dict[str, Any]]:
    """Read and verify a file of samples.

    Args:
        path: file written by :func:`write_samples`.
        expected_spec: refuse a file made from another spec.
        names: datasets of :data:`SCHEMA` to read; by default all.

    Returns:
        The datasets by name, and the provenance (:func:`gahb.artifacts.provenance`).

    Raises:
        ArtifactError: the file is missing, damaged, made from another spec, or a dataset is missing
            or has the wrong type or shape.
    """
    return read_arrays(path, SCHEMA, _FIXED, names, expected_spec)
