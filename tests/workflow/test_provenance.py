"""Imported weights, cards and the crate, in a project of two networks: planned, made, and verified."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from helpers.published_files import publish
from helpers.tracking_project import ROOT, fails, micro, planned, project, run

from gahb.artifacts import digest_file, read_tensors

pytestmark = pytest.mark.slow

PRESET = ("--config", "preset=micro")
SOURCE = {"PYTHONPATH": "src"}
WEIGHTS = "results/micro/denoisers/alpha1/N2_S1.safetensors"
FILE = "published/model.pt"


def gahb(folder: Path, *arguments: str) -> str:
    return run(folder, "python", "-m", "gahb", *arguments, **SOURCE)


def verified(folder: Path) -> bool:
    return "every result is what" in gahb(folder, "verify", "--preset", "micro")


def refused_by_verify(folder: Path) -> str:
    return fails(folder, "python", "-m", "gahb", "verify", "--preset", "micro", **SOURCE)


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that imports weights for one of two networks and trains the other."""
    params = micro(root)
    params["evaluation"].pop("references", None)
    params["sampling"]["experiments"] = []
    params["experiments"]["alpha1"]["imported"] = {"N2_S1": {"file": FILE}}
    made = project(tmp_path_factory.mktemp("provenance") / "gahb", params)
    (made / "workflow/presets/micro.yaml").write_text(yaml.safe_dump({"results": "results/micro"}))
    told = fails(made, "snakemake", *PRESET)
    assert f"experiments.alpha1.imported.N2_S1: {FILE} is missing: put the published" in told
    assert "Building DAG" not in told
    publish(made / FILE, params["architectures"]["unet"], seed=3)
    told = fails(made, "snakemake", "provenance", *PRESET)
    assert "provenance describes a finished run" in told
    assert "results/micro/records/datasets.json" in told
    return made


def test_networks_are_imported_and_described_as_imported(folder: Path):
    plan = planned(folder, "denoisers", *PRESET)
    assert {"micro/denoisers/alpha1/N2_S1.safetensors"} < plan
    run(folder, "snakemake", *PRESET)
    assert planned(folder, *PRESET) == set()
    assert verified(folder)
    header = read_tensors(folder / WEIGHTS)[1]
    assert header["computation"]["imported"]["file"] == "model.pt"
    assert "training" not in header["spec"]
    records = json.loads((folder / "results/micro/records/denoisers.json").read_text())
    (record,) = (job for job in records if WEIGHTS in job["outputs"])
    assert record["rule"] == "denoiser_imported"
    assert record["input_checksums"][FILE] == f"sha256:{digest_file(folder / FILE)}"
    summary = pd.read_csv(folder / "results/micro/evaluation/summary.csv")
    assert summary["updates"].isna().tolist() == [True, False]
    caption = (folder / "results/micro/figures/regularity.rst").read_text()
    assert "networks alpha1, unet, 1 blocks, 4 channels, imported: N = 2 of S1" in caption
    assert "learning rate" not in caption
    # what trains networks has no part in them; the other network is trained again
    module = folder / "src/gahb/denoisers/computation.py"
    original = module.read_text()
    module.write_text(original + "\nedited = True\n")
    plan = planned(folder, "denoisers", *PRESET)
    module.write_text(original)
    assert plan == {"micro/denoisers/alpha2/N2_S1.safetensors"}
    assert planned(folder, *PRESET) == set()


def test_cards_and_crate_are_no_foreign_files(folder: Path):
    run(folder, "snakemake", "provenance", *PRESET)
    assert verified(folder)
    cards = folder / "results/micro/cards/denoisers/alpha1/N2_S1.md"
    text = cards.read_text()
    assert "# alpha1, N = 2, S1: " in text
    assert "The weights were imported" in text
    assert f"| SHA-256 of the published file | {digest_file(folder / FILE)} |" in text
    assert "| measured on | 2 images of S1 of alpha1 |" in text
    assert "| training |" not in text
    trained = (folder / "results/micro/cards/denoisers/alpha2/N2_S1.md").read_text()
    assert "| training | " in trained
    assert "imported" not in trained
    cards.write_text(text + "edited\n")
    assert "cards/denoisers/alpha1/N2_S1.md: damaged or foreign" in refused_by_verify(folder)
    cards.unlink()
    assert "cards/denoisers/alpha1/N2_S1.md: missing" in refused_by_verify(folder)
    cards.write_text(text)
    assert verified(folder)


def test_records_of_cards_that_no_rule_makes_any_more_are_dropped(folder: Path):
    file = folder / "results/micro/records/cards.json"
    kept = file.read_text()
    former = {"rule": "former", "outputs": {"results/micro/cards/former.md": "0" * 64}}
    jobs = json.loads(kept)
    file.write_text(json.dumps([*jobs, jobs[0] | former]))
    run(folder, "snakemake", "provenance", "--forcerun", "data_cards", *PRESET)
    assert file.read_text() == kept


def crate(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "results/micro/ro-crate-metadata.json").read_text())
    return {entity["@id"]: entity for entity in document["@graph"]}


def test_the_crate_names_what_travels_by_its_path_and_all_else_by_its_digest(folder: Path):
    entities = crate(folder)
    files = {name: entity for name, entity in entities.items() if "File" in entity["@type"]}
    here = {name for name in files if not name.startswith("ni:")}
    assert all((folder / "results/micro" / name).is_file() for name in here)
    assert "figures/transition.png" in here
    assert not [name for name in here if name.startswith(("datasets", "denoisers", "training"))]
    remote = [entity for name, entity in files.items() if name.startswith("ni:")]
    (weights,) = [one for one in remote if one["name"] == "denoisers/alpha1/N2_S1.safetensors"]
    assert "dvc pull" in weights["description"]
    assert weights["sha256"] == hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def test_the_crate_tells_who_ran_what_and_when(folder: Path):
    entities = crate(folder)
    actions = [one for one in entities.values() if one["@type"] == "CreateAction"]
    assert len(actions) > 10
    for action in actions:
        assert entities[action["agent"]["@id"]]["@type"] == "Organization"
        assert action["endTime"] <= datetime.now(UTC).isoformat()
        assert action["instrument"]["@id"] in entities
    main = entities[entities["./"]["mainEntity"]["@id"]]
    assert "ComputationalWorkflow" in main["@type"]
    text = (folder / "results/micro" / main["@id"]).read_text()
    assert "rule denoiser:" in text
    assert "include:" not in text
    assert entities[entities["./"]["license"]["@id"]]["name"] == "MIT"
    assert entities["#software-snakemake"]["version"] == version("snakemake")


VALIDATOR = Path(sys.prefix, "roc-validator/bin/python")


@pytest.mark.skipif(
    not VALIDATOR.exists(),
    reason="roc-validator is installed by `make test`, if a folder WHEELS has it",
)
def test_the_crate_is_a_provenance_run_crate(folder: Path, tmp_path: Path):
    """By roc-validator; of its two sources, the context is rocrate's, with the terms of 1.1."""
    context = json.loads((resources.files("rocrate") / "data/ro-crate.jsonld").read_text())
    bioschemas = "https://bioschemas.org/"
    context["@context"] |= {
        name: bioschemas + name for name in ("ComputationalWorkflow", "FormalParameter")
    } | {name: f"{bioschemas}ComputationalWorkflow#{name}" for name in ("input", "output")}
    (tmp_path / "context.json").write_text(json.dumps(context))
    shutil.copytree(folder / "results/micro", tmp_path / "crate")

    def lacking() -> list[str]:
        told = subprocess.run(
            [VALIDATOR, validate_crate, tmp_path / "context.json", tmp_path / "crate"],
            capture_output=True,
            text=True,
            check=True,
        )
        return [line for line in told.stdout.splitlines() if line.startswith("lacks")]

    validate_crate = ROOT / "tests/helpers/validate_crate.py"
    assert lacking() == []
    metadata = tmp_path / "crate/ro-crate-metadata.json"
    document = json.loads(metadata.read_text())
    for entity in document["@graph"]:
        entity.pop("mainEntity", None)
    metadata.write_text(json.dumps(document))
    assert any("mainEntity" in line for line in lacking())


def test_damaged_imports_are_refused(folder: Path):
    path = folder / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
    told = fails(folder, "snakemake", *PRESET)
    assert f"{WEIGHTS} is damaged or foreign" in told
    path.write_bytes(whole)
    assert planned(folder, *PRESET) == set()


def test_another_published_file_is_noticed(root: Path, folder: Path):
    recorded = digest_file(folder / FILE)
    publish(folder / FILE, micro(root)["architectures"]["unet"], seed=4)
    assert f"made from another {FILE}" in refused_by_verify(folder)
    plan = planned(folder, *PRESET)
    assert "micro/denoisers/alpha1/N2_S1.safetensors" in plan
    assert "micro/denoisers/alpha2/N2_S1.safetensors" not in plan
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["experiments"]["alpha1"]["imported"]["N2_S1"]["sha256"] = recorded
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    told = fails(folder, "snakemake", "denoisers", *PRESET)
    assert f"{FILE} is another file: found SHA-256 {digest_file(folder / FILE)}" in told
