"""Samples of pairs of networks after more and more updates: when do they begin to copy?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from gahb.artifacts import Spec, provenance, write_table
from gahb.datasets.store import Dataset
from gahb.denoisers.snapshots import member_spec, read_snapshots
from gahb.devices import asked_of
from gahb.samples.comparison import SPLITS, compare_samples, summary_table
from gahb.samples.draw import computation_of, draw
from gahb.samples.start import start_of


def sample_over_training(
    spec: Spec, dataset: Dataset, snapshots: Sequence[Path | str], output: Path | str
) -> None:
    """Sample from the networks of S1 and S2 at every snapshot, on the same noise, and compare.

    Args:
        spec: ``ensemble``, what the networks were trained with, and ``sampling``.
        dataset: what all were trained on.
        snapshots: of the networks, by set size, S1 before S2.
        output: table to write, ``.csv``: the rows of :func:`gahb.samples.comparison.summary_table`
            that are about samples, for each ``set_size`` and ``update``.

    Raises:
        ArtifactError: snapshots are missing, damaged, or of other networks.
    """
    settings, ensemble = spec["sampling"], spec["ensemble"]
    torch.set_num_threads(settings["threads"])
    size, start = ensemble["dataset"]["size"], start_of(settings, dataset)
    inputs = {"dataset": dataset.images_sha256}
    tables = []
    device = asked_of(ensemble)
    for number, set_size in enumerate(ensemble["set_sizes"]):
        indices = [dataset.training_set(split, set_size) for split in SPLITS]
        images = [torch.from_numpy(dataset.images(index)) for index in indices]
        opened = []
        for split, path in zip(SPLITS, snapshots[2 * number :], strict=False):
            member = member_spec(ensemble, set_size, split)
            networks, digests = read_snapshots(
                path, member, ensemble["snapshots"], dataset.images_sha256
            )
            inputs[f"N{set_size}_{split}_snapshots"] = digests["snapshots"]
            opened.append(networks)
        for pair in zip(*opened, strict=True):
            update = pair[0][0]
            label = f"{ensemble['experiment']} N={set_size} %s, {update} updates"
            drawn = [
                draw(denoiser, settings, start, size, label % split, device=device)
                for split, (_, denoiser) in zip(SPLITS, pair, strict=True)
            ]
            arrays = compare_samples(drawn, images, indices, settings["duplicate_threshold"])
            table = summary_table(arrays, settings["duplicate_threshold"])
            table.insert(0, "set_size", set_size)
            table.insert(1, "update", update)
            tables.append(table)
    made_from = provenance(spec, inputs, computation_of(settings, device).recorded())
    write_table(output, pd.concat(tables, ignore_index=True), made_from)
