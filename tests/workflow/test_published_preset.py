"""The preset of the paper's own networks, with small ones in their place, through Snakemake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.published_files import publish
from helpers.tracking_project import copied, fails, planned, run, write_params

from gahb.claims.parts.make import all_claims
from gahb.claims.parts.run import Run
from gahb.params import load_params, validate


def smaller(root: Path) -> dict[str, Any]:
    """The preset with two of its classes, of small images, and few references."""
    params = load_params(root, "published")
    kept = ("alpha1", "alpha2")
    for section in ("image_classes", "experiments"):
        params[section] = {name: params[section][name] for name in kept}
    for name in kept:
        params["image_classes"][name] |= {"size": 16, "images": 24, "test_images": 8}
    params["architectures"]["unet"] |= {"blocks": 1, "channels": 4}
    params["references"] = {
        name: params["references"][name] | {"images": 8} for name in ("known-contour", "wavelets")
    }
    params["evaluation"] |= {"images": 8, "minimum_draws": 8, "sigmas": [1.0, 0.3, 0.1, 0.03]}
    params["evaluation"]["references"] = {name: ["known-contour", "wavelets"] for name in kept}
    params["spectra"] |= {"test_images": [0, 1], "eigenvectors": 64}
    params["spectra"]["networks"] = {name: params["spectra"]["networks"][name] for name in kept}
    for figure in ("regularity", "bounds"):
        params["figures"][figure]["experiments"] = list(kept)
    params["figures"]["bounds"]["upper"] = ["wavelets"]
    return validate(params)


def test_all_files_of_the_preset_are_of_networks_of_the_paper(root: Path) -> None:
    for preset in ("published", "published-faces"):
        params = load_params(root, preset)
        named = [one["imported"] for one in params["experiments"].values()]
        files = [given["file"] for networks in named for given in networks.values()]
        assert len(set(files)) == len(files) == {"published": 5, "published-faces": 14}[preset]
        assert params["architectures"]["unet"] == {"network": "unet", "blocks": 3, "channels": 64}
    run = Run.of(load_params(root, "published"))
    assert sorted(run.alphas.values()) == [1, 2, 3, 4, 5]
    judged = {name for name, claim in all_claims().items() if claim.needs(run)}
    assert {"slopes", "regularity", "fixed_bases", "symmetry", "null_space"} <= judged
    assert "transition" not in judged  # of what they were trained on nothing is known


@pytest.mark.slow
def test_published_networks_are_measured_without_training(root: Path, tmp_path: Path) -> None:
    project, params = copied(tmp_path), smaller(root)
    write_params(project, params)
    told = fails(project, "snakemake")
    for name in ("alpha1", "alpha2"):
        file = f"data/published/calpha/{name}.pt"
        assert f"experiments.{name}.imported.N100000_S1: {file} is missing: put the pub" in told
    for seed, name in enumerate(("alpha1", "alpha2")):
        publish(project / f"data/published/calpha/{name}.pt", params["architectures"]["unet"], seed)
    run(project, "snakemake")
    assert planned(project) == set()
    results = project / "results/published"
    assert not (results / "training").exists()
    assert not list(results.rglob("*_memorising.*"))  # N is 100,000, of 24 images
    gaps = pd.read_csv(results / "evaluation/gaps.csv")
    assert set(gaps["reference"]) == {"known-contour", "wavelets"}
    claims = pd.read_csv(results / "claims.csv").set_index("name")["here"]
    assert claims[["slopes", "regularity", "homogeneity"]].str.contains(r"\d").all()
    caption = (results / "figures/bounds.rst").read_text()
    assert "imported: N = 100000 of S1" in caption
    assert "known to who published them" in caption
    for unseen in ("updates", "learning rate", "batch", "seed"):
        assert unseen not in caption
