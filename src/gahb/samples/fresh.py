"""Are samples images of the class? They are compared with test images, fresh ones that no network saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse.linalg
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from gahb.datasets.store import Dataset
from gahb.hdf5 import Arrays
from gahb.likeness import MEASURES, closest
from gahb.randomness import generator
from gahb.samples.start import Start, known_images

if TYPE_CHECKING:
    from torch import Tensor

    from gahb.samples.draw import Samples

Float64 = NDArray[np.float64]
FRESH = 512  # test images whose similarities and distances are taken, at most
MOST_FRESH = 2048  # whose intensities and principal components are
COMPONENTS = 5  # leading principal components
RELABELLINGS = 499


def compare_fresh(
    drawn: list[Samples],
    training_images: list[Tensor],
    dataset: Dataset,
    start: Start,
    seed: int,
) -> Arrays:
    """What the samples file (:data:`gahb.samples.store.SCHEMA`) holds of samples beside fresh images.

    Args:
        drawn: samples of the networks of S1 and S2.
        training_images: (N, C, H, W) of S1 and S2.
        dataset: that they are of.
        start: what was sampled from.
        seed: of the start, and of the relabellings of the two-sample test.
    """
    import torch

    few = torch.from_numpy(dataset.images(dataset.indices["test"][:FRESH]))
    similarities = [
        [closest(few, known, measure)[0].numpy() for measure in MEASURES]
        for known in training_images
    ]
    directions = principal_directions(known_images(dataset), COMPONENTS).T
    samples = np.stack([one.images.flatten(1).double().numpy() for one in drawn])
    size = tuple(few.shape[1:])
    about = [start.image(seed, number, 0.0, size).ravel() for number in range(len(samples[0]))]
    tested = dataset.images(dataset.indices["test"][:MOST_FRESH])
    fresh = tested.reshape(len(tested), -1).astype(np.float64)
    return {
        "fresh_similarity": np.array(similarities),
        "intensity": samples.mean(axis=2),
        "fresh_intensity": fresh.mean(axis=1),
        "components": samples @ directions,
        "fresh_components": fresh @ directions,
        "start_components": np.stack(about) @ directions,
        "energy": np.array([energy_test(one, fresh[:FRESH], seed) for one in samples]),
    }


def principal_directions(images: Float64, count: int) -> Float64:
    """Unit vectors along which images vary most, the first most of all: (count, d).

    Args:
        images: (k, C, H, W).
        count: number of directions, below d.
    """
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=0)
    pixels = flat.shape[1]
    scatter = scipy.sparse.linalg.LinearOperator(
        (pixels, pixels), matvec=lambda vector: flat.T @ (flat @ vector), dtype=np.float64
    )
    start = generator(0, "principal directions").standard_normal(pixels)
    found: Float64 = scipy.sparse.linalg.eigsh(scatter, count, v0=start)[1]
    return found.T[::-1]


def variance_ratio(components: Float64, fresh: Float64) -> Float64:
    """Squared deviations whose mean is the ratio of the samples' variance to the fresh images': (n, q).

    Args:
        components: (n, q) coefficients of samples.
        fresh: (t, q) of fresh images.
    """
    squares = np.square(components - components.mean(axis=0))
    unbiased = squares * (len(components) / (len(components) - 1))
    return np.asarray(unbiased / fresh.var(axis=0, ddof=1), np.float64)


def energy_distance(first: Float64, second: Float64) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|, without the pairs of a point with itself.

    It is 0 in expectation if and only if both sets have one distribution (Székely & Rizzo 2013), and may be
    negative then.

    Args:
        first, second: (n, k) and (m, k).
    """
    return energy_test(first, second, 0, 0)[0]


def energy_test(
    first: Float64, second: Float64, seed: int, relabellings: int = RELABELLINGS
) -> tuple[float, float]:
    """:func:`energy_distance`, and its p value among relabellings of both sets together.

    Args:
        first, second: (n, k) and (m, k).
        seed: of the relabellings.
        relabellings: their number; no p value is below 1 / (relabellings + 1).
    """
    pooled = np.concatenate([first, second])
    apart = cdist(pooled, pooled)
    draws = generator(seed, "relabellings")
    label = np.arange(len(pooled)) < len(first)
    labels = np.stack([label, *(draws.permutation(label) for _ in range(relabellings))])
    energy = _energies(apart, labels.astype(np.float64))
    tolerance = 1e-9 * abs(energy[0])  # equal but for rounding
    beyond = int((energy[1:] >= energy[0] - tolerance).sum())
    return float(energy[0]), (1 + beyond) / (1 + relabellings)


def _energies(apart: Float64, labels: Float64) -> Float64:
    """Energy distance for each labelling (r, n + m), 1 for the n points of the first set: (r,)."""
    others = 1 - labels
    n, m = labels[0].sum(), others[0].sum()
    to_first, to_second = labels @ apart, others @ apart
    across = (to_first * others).sum(1) / (n * m)
    within = (to_first * labels).sum(1) / (n * (n - 1))
    within_other = (to_second * others).sum(1) / (m * (m - 1))
    found: Float64 = 2 * across - within - within_other
    return found
