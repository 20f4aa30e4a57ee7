"""Snakemake notices what changes in a folder of photographs."""

import shutil
from pathlib import Path

import pytest
from helpers.photographs import fill
from helpers.tracking_project import copied, fails, planned, run, write_params

from gahb.params import load_params


@pytest.mark.slow
def test_snakemake_notices_the_folder(root: Path, tmp_path: Path):
    project = copied(tmp_path)
    changed = load_params(root, "photographs")
    changed["image_classes"]["photographs"] |= {"folder": "photos", "size": 8, "patches": 4}
    changed["image_classes"]["photographs"] |= {"images": 60, "test_images": 16}
    changed["experiments"]["photographs"]["set_sizes"] = [1, 20]
    changed["spectra"]["networks"]["photographs"] |= {"set_sizes": [1, 20], "eigenvectors": 64}
    changed["figures"]["basis"] |= {"set_sizes": [1, 20], "eigenvectors": [1]}
    changed["figures"]["trajectory"]["set_sizes"] = [1, 20]
    changed["figures"]["twins"]["set_size"] = 20
    write_params(project, changed)
    told = fails(project, "snakemake", "datasets")
    assert "params.yaml: image_classes.photographs.folder: found 'photos'" in told
    assert "Building DAG" not in told
    fill(project / "photos")
    run(project, "snakemake", "datasets")
    log = project / "results/photographs/logs/datasets/photographs.log"
    assert "of 20 files 20 were read" in log.read_text()
    for name in (".DS_Store", "Thumbs.db", "._p000.png", "README"):
        (project / "photos" / name).write_bytes(b"left by a system")
    assert planned(project, "datasets") == set()
    shutil.copy(project / "photos/p000.png", project / "photos/q.png")
    assert planned(project, "datasets") == {"photographs/datasets/photographs.h5"}
