"""The phase: two networks of disjoint training sets sample from the same noise.

Beside the table ``X.csv`` lies ``X.h5`` with the samples themselves (:mod:`gahb.samples.store`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.artifacts import Spec, check_input, provenance, write_table
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import Computation, resolve_computation
from gahb.denoisers.weights import load_denoiser
from gahb.likeness import (
    MEASURES,
    closest,
    nearest_distances,
    similarity,
    standardised,
)
from gahb.samples.copies import distance_ratio, mean_and_error, memorised
from gahb.samples.draw import Samples, draw_samples, prepared, sample_noise
from gahb.samples.sampler import build_sampler
from gahb.samples.store import write_samples

SPLITS = ("S1", "S2")
OF_THE_SETS = ("twin_similarity", "twins")  # quantities that no sample enters
_RATIOS = {"distance_ratio": "nearest_distances", "correlation_ratio": "nearest_standardised"}
Arrays = dict[str, NDArray[Any]]


def samples_of(table: Path | str) -> Path:
    """Where the samples that a table summarises are kept."""
    return Path(table).with_suffix(".h5")


def sample_pair(
    spec: Spec, dataset: Dataset, networks: tuple[Path | str, Path | str], output: Path | str
) -> None:
    """Sample from two networks on the same noise, compare, and write the table and the samples.

    Args:
        spec: ``first`` and ``second``, the specs of the networks of S1 and S2, and ``sampling``.
        dataset: what both were trained on.
        networks: weights of the two.
        output: table to write, ``.csv``; the samples go beside it.
    """
    settings = spec["sampling"]
    torch.set_num_threads(settings["threads"])
    computation = resolve_computation(
        {"device": "auto", "precision": settings["precision"], "compile": "never"},
        spec["first"]["architecture"],
        dataset.spec["size"],
    )
    inputs = {"dataset": dataset.images_sha256}
    drawn, images, indices = [], [], []
    for role, path in zip(("first", "second"), networks, strict=True):
        network = spec[role]
        denoiser, header = load_denoiser(path, network)
        check_input(path, header["inputs"], "dataset", dataset.images_sha256)
        inputs[role] = header["tensors_sha256"]
        f = prepared(denoiser, computation.precision, computation.device)
        label = f"{network['experiment']} N={network['set_size']} {network['split']}"
        drawn.append(
            draw(f, settings, dataset.spec["size"], computation, label, settings["samples"])
        )
        index = dataset.training_set(network["split"], network["set_size"])
        indices.append(index)
        images.append(torch.from_numpy(dataset.images(index)))
    arrays = compare(drawn, images, indices, shown=settings["shown"])
    arrays["start_noise"] = np.stack(
        [
            sample_noise(settings["seed"], number, 0, dataset.spec["size"])
            for number in range(settings["shown"])
        ]
    )
    made_from = provenance(spec, inputs) | {"computation": dataclasses.asdict(computation)}
    write_samples(samples_of(output), arrays, made_from)
    write_table(output, summary_table(arrays, settings["duplicate_threshold"]), made_from)


def draw(
    denoiser: Callable[..., Tensor],
    settings: dict[str, Any],
    size: int,
    computation: Computation,
    label: str,
    followed: int,
) -> Samples:
    """The samples that ``settings``, the section ``sampling`` of params.yaml, ask for.

    Args:
        followed: of how many of them to keep the trajectory.
    """
    sampler = build_sampler(settings["sampler"])
    low, high = sampler.sigma_range
    return draw_samples(
        denoiser,
        sampler,
        range(settings["samples"]),
        size,
        settings["seed"],
        mean=settings["start_mean"],
        followed=followed,
        levels=np.geomspace(high, low, settings["levels_kept"]).tolist(),
        device=computation.device,
        label=label,
    )


def compare(
    drawn: list[Samples],
    training_images: list[Tensor],
    indices: list[NDArray[np.int64]],
    *,
    shown: int | None = None,
) -> Arrays:
    """Everything in the samples file (:data:`gahb.samples.store.SCHEMA`) but the start noise.

    Args:
        drawn: samples of the networks of S1 and S2, of the same numbers, followed equally many.
        training_images: (N, 1, H, W) of S1 and S2.
        indices: (N,) of the same images in their dataset.
        shown: of how many of the samples followed to keep the images; all, unless said.
    """
    samples = [one.images for one in drawn]
    closest_images, twins, twin_index = [], [], []
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
        found, position = closest(training_images[0], training_images[1], name)
        twins.append(found)
        twin_index.append(indices[1][position.numpy()])
        if name == "correlation":
            top = found.sort(descending=True, stable=True).indices[:m]
            twin_images = torch.stack([training_images[0][top], training_images[1][position[top]]])
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
        "nearest_standardised": np.stack(
            [
                [
                    nearest_distances(standardised(one), standardised(known))
                    for known in training_images
                ]
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
        "twin_similarity": np.stack(twins),
        "twin_index": np.stack(twin_index),
        "twin_images": twin_images.numpy(),
    }


def _along(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarity by every measure of images (f, K, 1, H, W) kept on two ways: (C, f, K)."""
    one, other = (torch.from_numpy(images).flatten(0, 1) for images in (first, second))
    both = torch.isfinite(one + other).flatten(1).all(1)
    found = torch.stack([similarity(one, other, name) for name in MEASURES]).double()
    return torch.where(both, found, torch.nan).unflatten(1, first.shape[:2]).numpy()


def summary_table(arrays: Arrays, duplicate_threshold: float) -> pd.DataFrame:
    """Means with standard errors, one row each.

    Columns: ``quantity``; ``network`` and ``training_set``, S1, S2, ``both`` or ``none``; ``measure``;
    ``mean``; ``se``; ``count``, of the values averaged. Quantities:

    - ``pair_similarity`` and ``pair_alike`` (share above the threshold) of the two networks' samples
      of the same number;
    - ``unpaired_similarity`` of sample i of the one and sample i - 1 of the other, a control;
    - ``closest_similarity`` and ``copied`` (share above the threshold) of samples and the closest
      image of a training set;
    - ``memorised``, the share of samples whose distance to the nearest training image is less than a
      third of that to the second nearest (``distance_ratio``), and the same of images less their mean
      and of unit norm (``correlation_ratio``); the other split's set is a control;
    - ``twin_similarity`` and ``twins`` (share above the threshold) of training images of S1 and the
      closest of S2;
    - ``calls`` of the network per sample.
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
        twins = arrays["twin_similarity"][measure]
        add("twin_similarity", "none", "both", name, twins)
        add("twins", "none", "both", name, twins > duplicate_threshold)
    for network, own in enumerate(SPLITS):
        for split, searched in enumerate(SPLITS):
            for name, distances in _RATIOS.items():
                ratio = distance_ratio(torch.from_numpy(arrays[distances][network, split]))
                add("memorised", own, searched, name, memorised(ratio))
        add("calls", own, "none", "count", arrays["calls"][network])
    return pd.DataFrame(rows)
