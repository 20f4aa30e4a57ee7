"""Which jobs ask for a GPU, and that one setting makes all of them ask for none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.tracking_project import ROOT, copied, micro, run, write_params

PLAN = """
import json, sys
from snakemake.settings.types import ResourceSettings
from tracking import plan
given = json.loads(sys.argv[1])
plan.ResourceSettings = lambda cores: ResourceSettings(cores=cores, resources=given)
with plan.workflow("all") as made:
    asked = {
        f"{job.rule.name} {job.wildcards.get('experiment', '')}": job.resources.get("gpu")
        for job in made.dag.jobs
    }
    limit = made.global_resources.get("gpu")
print(json.dumps([asked, None if limit is None else limit.value]))
"""
GPU_RULES = ("denoiser", "evaluation_network", "evaluation_memorising", "spectrum")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks of alpha1 on any device, those of alpha2 on the processor."""
    folder = copied(tmp_path_factory.mktemp("gpus") / "gahb")
    params = micro(ROOT)
    params["experiments"]["alpha2"]["training"] = {"device": "cpu"}
    write_params(folder, params)
    return folder


@pytest.mark.parametrize(
    ("given", "visible", "wanted", "limit"),
    [({}, "", 1, None), ({}, "0,1", 1, 8), ({"gpu": 4}, "0,1", 1, 4), ({"gpu": 0}, "0,1", 0, 0)],
)
def test_who_asks_for_a_gpu(
    folder: Path, given: dict[str, int], visible: str, wanted: int, limit: int | None
):
    told = run(
        folder,
        *("python", "-c", PLAN, json.dumps(given)),
        PYTHONPATH="src:workflow",
        CUDA_VISIBLE_DEVICES=visible,
    )
    asked, found = json.loads(told.splitlines()[-1])
    assert found == limit
    assert {asked[f"{rule} alpha1"] for rule in GPU_RULES} == {wanted}
    assert {asked[f"{rule} alpha2"] for rule in GPU_RULES[:3]} == {0}
    assert {gpus for job, gpus in asked.items() if job.split()[0] not in GPU_RULES} == {None}
