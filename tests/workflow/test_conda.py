"""`--use-conda`, with a stand-in for conda (helpers/conda_stand_in.py); folders and Pythons of any kind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import conda_stand_in
from helpers.tracking_project import ROOT, copied, fails, micro, planned, run, write_params

TARGET = "results/datasets/alpha1.h5"
ODD = 'it\'s {a} "folder" of $HOME'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copied(tmp_path / "gahb")
    write_params(folder, micro(ROOT))
    return folder


@pytest.mark.slow
def test_rules_run_in_the_conda_environment(project: Path, tmp_path: Path):
    """Though a virtual environment was activated over conda's base."""
    base = tmp_path / "conda"
    path = f"{Path(sys.executable).parent}:{conda_stand_in.install(base)}:{os.environ['PATH']}"
    active = {"PATH": path, "CONDA_PREFIX": str(base)}
    run(project, "snakemake", "--use-conda", "--", TARGET, **active)
    (used,) = (project / ".snakemake/conda").glob("*/used")
    assert re.findall(r"python -m gahb (\S+)", used.read_text()) == ["datasets"]
    assert planned(project, "--", TARGET) == set()  # without conda
    everything = "import gahb, importlib, pkgutil\n" + (
        "for found in pkgutil.walk_packages(gahb.__path__, 'gahb.'):\n"
        "    found.name == 'gahb.__main__' or importlib.import_module(found.name)\n"
    )
    python = used.parent / "bin/python"
    run(project, str(python), "-c", everything, PYTHONPATH="src")
    lacking = run(project, str(python), "-c", "import snakemake", check=False)
    assert "No module named 'snakemake'" in lacking


def test_the_stand_in_knows_no_channel_called_nodefaults(tmp_path: Path):
    conda = conda_stand_in.install(tmp_path / "conda") / "conda"
    file = tmp_path / "environment.yaml"
    file.write_text("channels: [conda-forge, nodefaults]\ndependencies: [tqdm]\n")
    create = [conda, "env", "create", "--quiet", "--file", file, "--prefix", tmp_path / "made"]
    refused = subprocess.run(create, capture_output=True, text=True, check=False)
    assert "404 NOT FOUND for channel nodefaults" in refused.stderr
    file.write_text("channels: [conda-forge]\ndependencies: [python>=3.11, tqdm>=4]\n")
    subprocess.run(create, check=True)
    subprocess.run([tmp_path / "made/bin/python", "-c", "import tqdm"], check=True)


@pytest.mark.slow
def test_a_python_with_snakemake_alone_says_what_it_lacks(project: Path, tmp_path: Path):
    python = conda_stand_in.create(tmp_path / "alone", ["snakemake"])
    told = fails(project, str(python), "-m", "snakemake", "-n")
    named = f"{python}, which runs Snakemake, lacks "
    assert named in told
    (cure,) = re.findall(f"Type: {python} -m pip install -c .*/constraints.txt (.*)", told)
    python = conda_stand_in.create(tmp_path / "cured", ["snakemake", *cure.split()])
    told = run(project, str(python), "-m", "snakemake", "-n")
    assert "This was a dry-run" in told
    for heavy in ("matplotlib", "torch"):
        assert not list((tmp_path / "cured").glob(f"lib/python*/site-packages/{heavy}"))


@pytest.mark.slow
def test_any_name_of_the_folder_will_do(tmp_path: Path):
    folder = copied(tmp_path / ODD)
    write_params(folder, micro(ROOT))
    run(folder, "snakemake", "--", TARGET)
    assert (folder / TARGET).is_file()
