"""What the committed results must show: the claims of the README, on the numbers themselves.

Of the commit, not the working tree: a user's own results may well show something else.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def summary(root: Path) -> pd.DataFrame:
    return committed(root, "results/evaluation/summary.csv")


def committed(root: Path, name: str) -> pd.DataFrame:
    show = ["git", "show", f"HEAD:{name}"]
    text = subprocess.run(show, cwd=root, check=True, capture_output=True, text=True).stdout
    return pd.read_csv(io.StringIO(text))


def test_one_image_is_memorised(summary: pd.DataFrame):
    assert (summary[summary.set_size == 1].gap > 10).all()


def test_the_largest_set_generalises(root: Path, summary: pd.DataFrame):
    largest = summary[summary.set_size == summary.set_size.max()]
    assert len(largest) >= 6
    for row in largest.itertuples():
        name = f"results/evaluation/{row.experiment}/N{row.set_size}_{row.split}.csv"
        table = committed(root, name).set_index(["evaluated_on", "sigma"])
        test, own = (table.loc[where].psnr_of_mean_mse for where in ("test", "own"))
        assert ((own - test).abs() <= 0.3).all(), name
        assert (test > table.loc["test"].input_psnr).all(), name
        assert table.loc["test"].input_psnr.min() <= 0.01
        assert table.loc["test"].input_psnr.max() >= 33.9


def test_the_two_networks_converge(summary: pd.DataFrame):
    pairs = summary.dropna(subset="agreement").drop_duplicates("set_size")
    assert len(pairs) >= 4
    agreement = pairs.sort_values("set_size").agreement
    assert agreement.is_monotonic_increasing
    assert agreement.iloc[-1] > agreement.iloc[0] + 10
