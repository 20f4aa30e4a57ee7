"""The workflow as a module of another one, and what it refuses of Snakemake's options."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tracking_project import fails, run

pytestmark = pytest.mark.slow

OUTER = """
module gahb:
    snakefile: "{root}/Snakefile"
    config: {{"preset": "smoke"}}


use rule * from gahb as gahb_*


rule mine:
    default_target: True
    input:
        "results/smoke/claims.csv",
    output:
        "mine.csv",
    shell:
        "cp {{input}} {{output}}"
"""


def test_another_workflow_can_use_it_as_a_module(root: Path, tmp_path: Path):
    (tmp_path / "Snakefile").write_text(OUTER.format(root=root))
    told = run(tmp_path, "snakemake", "-n", "--cores", "1")
    assert "gahb_denoiser" in told
    assert f"{root}/workflow" not in told
    assert "results/smoke/denoisers/alpha2/N16_S1.safetensors" in told
    assert not (tmp_path / "results").exists()


def test_another_backend_of_records_is_refused(root: Path, tmp_path: Path):
    (tmp_path / "Snakefile").write_text(OUTER.format(root=root))
    told = fails(tmp_path, "snakemake", "-n", "--cores", "1", "--persistence-backend", "db")
    assert "--persistence-backend: found db, allowed is file" in told
