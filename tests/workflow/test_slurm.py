"""A run on a real Slurm cluster of one node makes the bytes that a run on this machine makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.one_node_slurm import cluster, missing, queued
from helpers.tracking_project import contents, micro, project, run

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra `slurm` is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

SLURM = ("--profile", "profiles/default", "--workflow-profile", "profiles/slurm")
SOON = ("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1")
TARGETS = ("results/spectra/alpha1/N2_S1.h5", "results/evaluation/alpha1/N2_S1.csv")


def test_a_cluster_makes_what_this_machine_makes(root: Path, tmp_path: Path):
    here = project(tmp_path / "here", micro(root))
    there = project(tmp_path / "there", micro(root))
    run(here, "snakemake", "--cores", "2", *TARGETS)
    with cluster():
        told = run(there, "snakemake", *SLURM, *SOON, *TARGETS)
        assert queued() == []
        assert "SLURM run ID: gahb" in told, told
        again = run(there, "snakemake", "-n", *SLURM, *TARGETS)
    assert "Nothing to be done" in again
    assert "Nothing to be done" in run(there, "snakemake", "-n", *TARGETS)
    made = contents(there)
    assert set(TARGETS) <= {f"results/{name}" for name in made}
    assert made == contents(here)
