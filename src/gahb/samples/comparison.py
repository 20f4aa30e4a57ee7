"""What the samples of two networks have in common, and what with the images they were trained on.

Axes of length two are S1 and S2, or the measures of :data:`gahb.likeness.MEASURES`, in this order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.hdf5 import Arrays
from gahb.likeness import MEASURES, closest, nearest_distances, nearest_scaled, similarity
from gahb.means import mean_and_error
from gahb.samples.copies import distance_ratio, memorised
from gahb.samples.draw import Samples
from gahb.samples.fresh import variance_ratio

SPLITS = ("S1", "S2")
_RATIOS = {"distance_ratio": "nearest_distances", "scaled_ratio": "nearest_scaled"}
_ENERGY = ("energy_distance", "p_value")
Indices = list[NDArray[np.int64]]


def compare_samples(
    drawn: list[Samples],
    training_images: list[Tensor],
    indices: Indices,
    duplicate_threshold: float,
    shown: int | None = None,
) -> Arrays:
    """What the samples file (:data:`gahb.samples.store.SCHEMA`) holds of samples and training images.

    Args:
        drawn: samples of the networks of S1 and S2, of the same numbers, followed equally many.
        training_images: (N, C, H, W) of S1 and S2.
        indices: (N,) of the same images in their dataset.
        duplicate_threshold: similarity above which two training images count as one.
        shown: of how many of the samples followed to keep the images; all, unless said.
    """
    samples = [one.images for one in drawn]
    closest_images = []
    n, m = len(samples[0]), len(drawn[0].trajectories.sigma)
    m = m if shown is None else min(m, shown)
    closest_similarity = np.empty((2, 2, len(MEASURES), n))
    closest_index = np.empty((2, 2, len(MEASURES), n), np.int64)
    for measure, name in enumerate(MEASURES):
        for network in range(2):
            for split in range(2):
                found, position = closest(samples[network], training_images[split], name)
                closest_similarity[network, split, measure] = found
                closest_index[network, split, measure] = indices[split][position.numpy()]
                if network == split:
                    closest_images.append(training_images[split][position[:m]])
    ways = [one.trajectories for one in drawn]
    calls = max(way.sigma.shape[1] for way in ways)
    pads = [((0, 0), (0, calls - way.sigma.shape[1])) for way in ways]
    return {
        "samples": np.stack(samples),
        "calls": np.stack([one.calls for one in drawn]),
        "pair_similarity": np.stack(
            [similarity(samples[0], samples[1], name) for name in MEASURES]
        ),
        "unpaired_similarity": np.stack(
            [similarity(samples[0], samples[1].roll(1, dims=0), name) for name in MEASURES]
        ),
        "closest_similarity": closest_similarity,
        "closest_index": closest_index,
        "nearest_distances": np.stack(
            [[nearest_distances(one, known) for known in training_images] for one in samples]
        ),
        "nearest_scaled": np.stack(
            [
                [nearest_scaled(one, known, duplicate_threshold) for known in training_images]
                for one in samples
            ]
        ),
        "closest_images": np.stack([closest_images[0::2], closest_images[1::2]]),
        "trajectory_sigma": np.stack(
            [
                np.pad(way.sigma[:m], pad, constant_values=np.nan)
                for way, pad in zip(ways, pads, strict=True)
            ]
        ),
        "trajectory_kept_sigma": np.stack([way.kept_sigma[:m] for way in ways]),
        "trajectory_noisy": np.stack([way.noisy[:m] for way in ways]),
        "trajectory_denoised": np.stack([way.denoised[:m] for way in ways]),
        "noisy_similarity": _along(ways[0].noisy, ways[1].noisy),
        "denoised_similarity": _along(ways[0].denoised, ways[1].denoised),
    }


def compare_sets(training_images: list[Tensor], indices: Indices, shown: int) -> Arrays:
    """What the samples file holds of the training sets: each image of S1 and the closest one of S2.

    Args:
        training_images, indices: as for :func:`compare_samples`.
        shown: of how many pairs to keep the images, those of the highest correlation.
    """
    first, second = training_images
    twins, twin_index = [], []
    for name in MEASURES:
        found, position = closest(first, second, name)
        twins.append(found)
        twin_index.append(indices[1][position.numpy()])
        if name == "correlation":
            top = found.sort(descending=True, stable=True).indices[:shown]
            twin_images = torch.stack([first[top], second[position[top]]])
    return {
        "twin_similarity": np.stack(twins),
        "twin_index": np.stack(twin_index),
        "twin_images": twin_images.numpy(),
    }


def _along(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarity by every measure of images (f, K, C, H, W) kept on two ways: (2, f, K)."""
    one, other = (torch.from_numpy(images).flatten(0, 1) for images in (first, second))
    both = torch.isfinite(one + other).flatten(1).all(1)
    found = torch.stack([similarity(one, other, name) for name in MEASURES]).double()
    return torch.where(both, found, torch.nan).unflatten(1, first.shape[:2]).numpy()


def summary_table(arrays: Arrays, duplicate_threshold: float) -> pd.DataFrame:
    """Means with standard errors of what was compared, one row each.

    Columns: ``quantity``; ``network`` and ``training_set``, S1, S2, ``both`` or ``none``; ``measure``;
    ``mean``; ``se``; ``count``, of the values averaged. Quantities:

    - ``pair_similarity`` and ``pair_alike`` (share above the threshold) of the two networks' samples
      of the same number;
    - ``unpaired_similarity`` of sample i of the one and sample i - 1 of the other, a control;
    - ``closest_similarity`` and ``copied`` (share above the threshold) of samples and the closest
      image of a training set;
    - ``memorised``, the share of samples whose distance to the nearest training image is less than a
      third of that to the next: as they are (``distance_ratio``), and with distances least over a
      factor of the training image, and training images that are duplicates counted once
      (``scaled_ratio``); the other split's set is a control;
    - ``twin_similarity`` and ``twins`` (share above the threshold) of training images of S1 and the
      closest of S2, if the sets were compared;
    - ``calls`` of the network per sample;
    - if compared with fresh images, that is test images: ``fresh_similarity`` of these and the closest
      image of a training set; ``mean`` intensity of the samples of a network and (``none``) of fresh
      images; ``principal_variance_ratio``, variance of samples over that of fresh images along the
      leading principal directions of the class, each and all together, and (``none``) the same of the
      images that noise is added to for the start, which tells what is due to the draw of these; and a
      two-sample test of samples and fresh images, ``energy_distance`` and its ``p_value``.
    """
    rows: list[dict[str, Any]] = []

    def add(quantity: str, network: str, training_set: str, measure: str, values: Any) -> None:
        mean, error = mean_and_error(values)
        rows.append(
            {
                "quantity": quantity,
                "network": network,
                "training_set": training_set,
                "measure": measure,
                "mean": mean,
                "se": error,
                "count": len(values),
            }
        )

    def add_ratios(network: str, components: NDArray[np.float64]) -> None:
        ratios = variance_ratio(components, arrays["fresh_components"])
        for number, ratio in enumerate(ratios.T, start=1):
            add("principal_variance_ratio", network, "none", f"component {number}", ratio)
        add("principal_variance_ratio", network, "none", "leading", ratios.mean(axis=1))

    for measure, name in enumerate(MEASURES):
        pair = arrays["pair_similarity"][measure]
        add("pair_similarity", "both", "none", name, pair)
        add("pair_alike", "both", "none", name, pair > duplicate_threshold)
        add("unpaired_similarity", "both", "none", name, arrays["unpaired_similarity"][measure])
        for network, own in enumerate(SPLITS):
            for split, searched in enumerate(SPLITS):
                found = arrays["closest_similarity"][network, split, measure]
                add("closest_similarity", own, searched, name, found)
                add("copied", own, searched, name, found > duplicate_threshold)
        if "twin_similarity" in arrays:
            twins = arrays["twin_similarity"][measure]
            add("twin_similarity", "none", "both", name, twins)
            add("twins", "none", "both", name, twins > duplicate_threshold)
    for network, own in enumerate(SPLITS):
        for split, searched in enumerate(SPLITS):
            for name, distances in _RATIOS.items():
                ratio = distance_ratio(torch.from_numpy(arrays[distances][network, split]))
                add("memorised", own, searched, name, memorised(ratio))
        add("calls", own, "none", "count", arrays["calls"][network])
        if "components" in arrays:
            add("mean", own, "none", "intensity", arrays["intensity"][network])
            add_ratios(own, arrays["components"][network])
            for quantity, value in zip(_ENERGY, arrays["energy"][network], strict=True):
                add(quantity, own, "none", "euclidean", [value])
    if "components" in arrays:
        add("mean", "none", "none", "intensity", arrays["fresh_intensity"])
        add_ratios("none", arrays["start_components"])
        for split, searched in enumerate(SPLITS):
            for measure, name in enumerate(MEASURES):
                found = arrays["fresh_similarity"][split, measure]
                add("fresh_similarity", "none", searched, name, found)
    return pd.DataFrame(rows)
