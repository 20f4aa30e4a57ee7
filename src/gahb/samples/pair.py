"""The phase: two networks of disjoint training sets sample from the same noise.

Beside the table ``X.csv`` lies ``X.h5`` with the samples themselves (:mod:`gahb.samples.store`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gahb.artifacts import Spec, provenance, write_table
from gahb.datasets.store import Dataset
from gahb.denoisers.weights import load_denoiser
from gahb.devices import asked_of
from gahb.samples.comparison import compare_samples, compare_sets, summary_table
from gahb.samples.draw import computation_of, draw
from gahb.samples.fresh import compare_fresh
from gahb.samples.start import sample_noise, start_of
from gahb.samples.store import write_samples


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
    settings, size = spec["sampling"], dataset.spec["size"]
    torch.set_num_threads(settings["threads"])
    inputs, start = {"dataset": dataset.images_sha256}, start_of(settings, dataset)
    drawn, images, indices = [], [], []
    device = asked_of(spec["first"])
    for role, path in zip(("first", "second"), networks, strict=True):
        network = spec[role]
        denoiser, header = load_denoiser(path, network, dataset.images_sha256)
        inputs[role] = header["tensors_sha256"]
        label = f"{network['experiment']} N={network['set_size']} {network['split']}"
        drawn.append(
            draw(
                denoiser,
                settings,
                start,
                size,
                label,
                device=device,
                followed=settings["samples"],
            )
        )
        indices.append(dataset.training_set(network["split"], network["set_size"]))
        images.append(torch.from_numpy(dataset.images(indices[-1])))
    threshold, shown = settings["duplicate_threshold"], settings["shown"]
    arrays = compare_samples(drawn, images, indices, threshold, shown)
    arrays |= compare_sets(images, indices, shown)
    arrays |= compare_fresh(drawn, images, dataset, start, settings["seed"])
    noise = [sample_noise(settings["seed"], number, 0, size) for number in range(shown)]
    arrays["start_noise"] = np.stack(noise)
    made_from = provenance(spec, inputs, computation_of(settings, device).recorded())
    write_samples(samples_of(output), arrays, made_from)
    write_table(output, summary_table(arrays, threshold), made_from)
