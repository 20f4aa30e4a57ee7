"""How much a number would change if a network were trained again: the error between trainings.

A standard error over images says what other test images would change, for the network that was trained.
Networks of other training sets and first weights differ by more. Where a cell, an experiment at one N, has
several trainings, their spread estimates that error; with two it does so badly. The variances of cells are
therefore pooled: those of one image class, of networks made alike, whose N is within a factor of ten, since
networks that memorise differ by far more than those that generalise.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gahb.artifacts import Spec, canonical_json

_DECADES = 1.0 + 1e-9  # between the N of two cells that are pooled
_CELL = ("experiment", "set_size")


def between_trainings(
    rows: pd.DataFrame, quantity: str, alike: tuple[str, ...] = ("image_class",)
) -> pd.DataFrame:
    """The standard deviation of one training's value around the mean over trainings.

    Divide it by the square root of their number for the error of a mean over trainings.

    Args:
        rows: one per training, or several that differ in ``alike``; with ``experiment`` and ``set_size``.
        quantity: the column of values.
        alike: columns in which cells have to agree for their variances to be pooled.

    Returns:
        For each row: ``error`` in the units of the quantity, NaN where no cell has two trainings;
        ``trainings`` in its own cell; ``cells`` that were pooled.
    """
    by_cell = rows.groupby([*alike, *_CELL], sort=False)[quantity]
    cells = by_cell.agg(["var", "size"]).reset_index()
    several = cells[cells["size"] > 1]
    found = []
    for _, cell in cells.iterrows():
        decades = np.log10(several["set_size"].astype(float) / cell["set_size"]).abs()
        pooled = several[decades <= _DECADES]
        for name in alike:
            pooled = pooled[pooled[name] == cell[name]]
        freedom = pooled["size"] - 1
        variance = (pooled["var"] * freedom).sum() / freedom.sum() if len(pooled) else np.nan
        found.append([np.sqrt(variance), int(cell["size"]), len(pooled)])
    pooled_cells = cells[[*alike, *_CELL]].assign(
        **dict(zip(("error", "trainings", "cells"), zip(*found, strict=True), strict=True))
    )
    keys = [*alike, *_CELL]
    return rows[keys].merge(pooled_cells, on=keys, how="left").set_index(rows.index)


def made(network: Spec) -> str:
    """How a network is made, whatever its training set, seed and image class: the same text if alike."""
    if "training" not in network:
        return canonical_json([network["architecture"], "imported"])
    training = {key: value for key, value in network["training"].items() if key != "seed"}
    return canonical_json([network["architecture"], training])
