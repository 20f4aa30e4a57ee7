"""Snakemake notices what changes in a folder of photographs."""

import shutil
from pathlib import Path

import pytest
import yaml
from helpers.photographs import fill
from test_workflow import copy_of_the_project, planned, snakemake

from gahb.params import load_params


@pytest.mark.slow
def test_snakemake_notices_the_folder(root: Path, tmp_path: Path):
    project = copy_of_the_project(root, tmp_path)
    changed = load_params(root, "photographs")
    changed["image_classes"]["photographs"] |= {"folder": "photos", "size": 8, "patches": 4}
    changed["image_classes"]["photographs"] |= {"images": 60, "test_images": 16}
    changed["experiments"]["photographs"]["set_sizes"] = [1, 20]
    changed["spectra"]["networks"]["photographs"] |= {"set_sizes": [1, 20], "eigenvectors": 64}
    changed["figures"]["basis"] |= {"set_sizes": [1, 20], "eigenvectors": [1]}
    changed["figures"]["trajectory"]["set_sizes"] = [1, 20]
    changed["figures"]["twins"]["set_size"] = 20
    (project / "params.yaml").write_text(yaml.safe_dump(changed))
    run = snakemake(project, "datasets")
    assert run.returncode != 0
    assert "params.yaml: image_classes.photographs.folder: found 'photos'" in run.stdout
    assert "Building DAG" not in run.stdout
    fill(project / "photos")
    run = snakemake(project, "datasets")
    assert run.returncode == 0, run.stdout
    log = project / "results/photographs/logs/datasets/photographs.log"
    assert "of 20 files 20 were read" in log.read_text()
    assert "Nothing to be done" in snakemake(project, "datasets", "-n").stdout
    shutil.copy(project / "photos/p000.png", project / "photos/q.png")
    assert planned(snakemake(project, "datasets", "-n")) == {"dataset": 1, "datasets": 1}
