"""Which jobs ask for a GPU, and that one setting makes all of them ask for none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.tracking_project import ROOT, copied, fails, micro, run, write_params

PLAN = """
import json, sys
from snakemake.settings.types import ResourceSettings
from tracking import plan
given = json.loads(sys.argv[1])
plan.ResourceSettings = lambda cores: ResourceSettings(cores=cores, resources=given)
with plan.workflow("all") as made:
    asked, cost = {}, {}
    for job in made.dag.jobs:
        name = f"{job.rule.name} {job.wildcards.get('experiment', '')}"
        asked[name] = job.resources.get("gpu")
        cost[name] = [job.resources.get("mem_mb"), job.resources.get("runtime")]
    limit = made.global_resources.get("gpu")
print(json.dumps([asked, None if limit is None else limit.value, cost]))
"""
GPU_RULES = ("denoiser", "evaluation_network", "evaluation_memorising", "spectrum")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks of alpha1 on any device, those of alpha2 on the processor, one imported."""
    folder = copied(tmp_path_factory.mktemp("gpus") / "gahb")
    params = micro(ROOT)
    params["training"] |= {"updates": 800, "batch_size": 32}
    params["experiments"]["alpha2"]["training"] = {"device": "cpu"}
    params["experiments"]["faces"] = {
        "image_class": "alpha1",
        "architecture": "unet",
        "set_sizes": [99325],
        "splits": ["S1"],
        "imported": {"N99325_S1": {"file": "faces.pt"}},
    }
    (folder / "faces.pt").touch()
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
    asked, found, cost = json.loads(told.splitlines()[-1])
    assert found == limit
    assert {asked[f"{rule} alpha1"] for rule in GPU_RULES} == {wanted}
    assert {asked[f"{rule} alpha2"] for rule in GPU_RULES[:3]} == {0}
    libraries = 2000 * bool(visible and wanted)  # of CUDA, in memory
    for job, on_processor in (
        *(("denoiser alpha1", 2000), ("spectrum alpha1", 3000)),
        ("evaluation_network faces", 2000),  # of 16 images, whatever it was trained on
    ):
        assert cost[job][0] - on_processor - libraries in range(10)
    assert cost["denoiser alpha1"][1] == (10 if libraries else 30)
    assert cost["denoiser alpha2"][1] == 30
    assert {gpus for job, gpus in asked.items() if job.split()[0] not in GPU_RULES} == {None}


def test_cuda_that_is_not_there_is_told_before_anything_is_made(folder: Path):
    """It was believed, until after the datasets the first training died in torch."""
    params = micro(ROOT)
    params["experiments"]["alpha2"]["training"] = {"device": "cuda"}
    write_params(folder, params)
    told = fails(folder, "snakemake", "denoisers", "-c1", CUDA_VISIBLE_DEVICES="")
    assert "training.device of experiment alpha2: found cuda" in told
    assert "CUDA_VISIBLE_DEVICES=''" in told
    assert "allowed here is auto or cpu" in told
    assert not list(folder.glob("results/datasets/*.h5"))


def test_a_cluster_without_gpus_may_say_so_here_too(folder: Path):
    """`default-resources` are resources of every job, of those without networks as well."""
    write_params(folder, micro(ROOT))
    run(folder, *("snakemake", "datasets", "-c1", "--default-resources", "gpu=0"))
