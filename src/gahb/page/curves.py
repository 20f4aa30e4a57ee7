"""PSNR curves for the page: of networks on training and test images, and of other denoisers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gahb.datasets.image_class import image_class
from gahb.figures.parts.beside import AGGREGATION
from gahb.figures.parts.tables import Curve, Table, curve, read_tables

SETS = {"own": "training images", "test": "test images"}

Group = dict[str, Any]


def read_curves(paths: Iterable[Path]) -> list[Group]:
    """One group for each experiment among the tables, of the most N first.

    A group has ``name``, ``words`` for its images and ``curves``: of the networks of the first split by
    growing N, then of exact and classical denoisers.

    Raises:
        gahb.artifacts.ArtifactError: a table is missing, edited or of no known kind.
    """
    tables = read_tables(paths)
    networks = [one for one in tables if one.kind == "psnr" and "network" in one.spec]
    references = [one for one in tables if one.kind == "reference"]
    groups = []
    for name in sorted({table.value("experiment") for table in networks}):
        own = [table for table in networks if table.where(experiment=name)]
        first = min(table.value("split") for table in own)
        of_split = [table for table in own if table.where(split=first)]
        group = {
            "name": name,
            "words": image_class(own[0].spec["network"]["dataset"]).words,
            "curves": _of_networks(of_split) + _of_references(references, own[0]),
        }
        groups.append((len(of_split), group))
    return [group for _, group in sorted(groups, key=lambda item: -item[0])]


def _of_networks(tables: Sequence[Table]) -> list[dict[str, Any]]:
    return [
        {
            "label": f"N = {table.value('set_size')}",
            "on": {
                words: _points(curve(table, "network", name, AGGREGATION))
                for name, words in SETS.items()
            },
        }
        for table in sorted(tables, key=lambda table: int(table.value("set_size")))
    ]


def _of_references(references: Sequence[Table], network: Table) -> list[dict[str, Any]]:
    return [
        {
            "label": table.spec["reference"]["name"].replace("-", " "),
            "on": {
                SETS["test"]: _points(
                    curve(table, table.spec["reference"]["name"], "test", AGGREGATION)
                )
            },
        }
        for table in references
        if table.spec["image_class"] == network.spec["network"]["image_class"]
    ]


def _points(found: Curve) -> dict[str, list[float | None]]:
    columns = {"x": found.input_psnr, "y": found.psnr, "error": found.se}
    return {name: [_number(v) for v in values] for name, values in columns.items()}


def _number(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None
