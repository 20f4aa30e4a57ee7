"""The numbers of a run that one compares between commits, as DVC reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from gahb.artifacts import read_table, write_text

LABELS = {"experiment", "image_class", "alpha", "set_size", "split", "updates"} | {
    "trainings",
    "pooled_cells",
}
CONSTANTS = {"sigma_low", "sigma_high", "theoretical_slope"}  # what no run changes


def write_metrics(summary: Path, output: Path) -> None:
    """Write the summary table as ``experiment: N<set size>: split: {gap, slope, ...}``.

    Args:
        summary: table of :func:`gahb.evaluation.summary.summarise`, ``.csv``.
        output: ``.json``; what the table leaves empty is left out.
    """
    table = read_table(summary)
    tree: dict[str, Any] = {}
    for row in table.to_dict("records"):
        sizes = tree.setdefault(str(row["experiment"]), {})
        splits = sizes.setdefault(f"N{row['set_size']}", {})
        splits[str(row["split"])] = {
            str(name): float(value)
            for name, value in row.items()
            if name not in LABELS | CONSTANTS
            and isinstance(value, int | float)
            and not pd.isna(value)
        }
    write_text(output, json.dumps(tree, indent=1, sort_keys=True) + "\n")
