"""What `dvc plots show` draws: series by experiment, N on a logarithmic axis, and training curves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT

SIZES = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]["alpha2"]["set_sizes"]
BY_SIZE = {
    "gap of train and test PSNR": "gap",
    "agreement of two networks": "agreement",
    "slope of test PSNR": "slope",
    "bound on the divergence": "kl",
}
BY_UPDATE = {
    "PSNR on test images while training": "test_psnr",
    "PSNR on training images while training": "train_psnr",
}


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Plot -> what is drawn, as Vega is told it."""
    folder = tmp_path_factory.mktemp("plots")
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".dvc/plots"):
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    for name in ("summary", "density"):
        target = folder / f"results/evaluation/{name}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / f"results/evaluation/{name}.csv", target)
    curve = pd.DataFrame({"update": [1, 50, 100]})
    for size in SIZES:
        target = folder / f"results/training/alpha2/N{size}_S1.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        psnr = [None, 20.0, 20.0 + size]
        curve.assign(train_psnr=psnr, test_psnr=psnr).to_csv(target, index=False)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    command = [sys.executable, "-m", "dvc", "plots", "show", "--json"]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    return {name: drawn["content"] for name, (drawn,) in json.loads(shown.stdout)["data"].items()}


def test_every_plot_is_drawn(plots: dict[str, Any]) -> None:
    assert plots.keys() == BY_SIZE.keys() | BY_UPDATE.keys()
    assert "<DVC" not in json.dumps(plots)


@pytest.mark.parametrize(("name", "column"), BY_SIZE.items())
def test_experiments_are_series_over_a_logarithmic_n(
    plots: dict[str, Any], name: str, column: str
) -> None:
    encoding = plots[name]["encoding"]
    assert encoding["x"]["field"] == "set_size"
    assert encoding["x"]["scale"] == {"type": "log"}
    assert (encoding["y"]["field"], encoding["y"]["aggregate"]) == (column, "mean")
    assert encoding["color"]["field"] == "experiment"
    assert encoding["strokeDash"]["field"] == "rev"
    rows = plots[name]["data"]["values"]
    table = "density" if column == "kl" else "summary"
    assert len(rows) == len(pd.read_csv(ROOT / f"results/evaluation/{table}.csv"))


@pytest.mark.parametrize(("name", "column"), BY_UPDATE.items())
def test_training_curves_are_those_of_every_n(
    plots: dict[str, Any], name: str, column: str
) -> None:
    encoding, rows = plots[name]["encoding"], plots[name]["data"]["values"]
    assert (encoding["x"]["field"], encoding["y"]["field"]) == ("update", column)
    assert {row[encoding["color"]["field"]] for row in rows} == {f"N{n}_S1.csv" for n in SIZES}
    (left_out,) = plots[name]["transform"]
    assert left_out == {"filter": {"not": {"field": column, "equal": ""}}}
    assert sorted(float(row[column]) for row in rows if row["update"] == "100") == [
        20.0 + n for n in SIZES
    ]
