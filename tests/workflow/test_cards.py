"""Cards say what the artifacts are: of synthetic images, of photographs, of imported weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TINY
from huggingface_hub import DatasetCard, ModelCard
from PIL import Image

from gahb.artifacts import write_table
from gahb.datasets.store import write_dataset
from gahb.denoisers.networks import build_network
from gahb.denoisers.weights import save_denoiser
from gahb.params import dataset_spec, network_spec
from gahb.provenance.cards import write_data_cards, write_model_cards

SIZES = {"size": 8, "images": 12, "test_images": 4, "seed": 0}


@pytest.fixture
def classes(tmp_path: Path) -> dict[str, Any]:
    """Image classes: synthetic ones, photographs, and both of them shuffled."""
    (tmp_path / "pictures").mkdir()
    draws = np.random.default_rng(0)
    for number in range(14):
        pixels = draws.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"pictures/{number}.png")
    (tmp_path / "pictures/broken.png").write_bytes(b"no picture")
    field = {"class": "gaussian", "exponent": 3, "mean": 0.5, "standard_deviation": 0.15}
    return {
        "soft": TINY["image_classes"]["soft"],
        "field": field | SIZES,
        "photos": {"class": "photographs", "folder": str(tmp_path / "pictures")} | SIZES,
        "mixed": {"class": "shuffled", "of": "photos", "permutation_seed": 0},
    }


def test_data_cards(tmp_path: Path, root: Path, classes: dict[str, Any]):
    names = ("field", "photos", "mixed")
    for name in names:
        spec = dataset_spec({"image_classes": classes}, name)
        write_dataset(spec, tmp_path / f"{name}.h5")
    outputs = [tmp_path / f"{name}.md" for name in names]
    datasets = [tmp_path / f"{name}.h5" for name in names]
    write_data_cards(datasets, root / "CITATION.cff", outputs)
    field, photos, mixed = (DatasetCard.load(path) for path in outputs)
    assert field.data.license == "mit"
    assert field.data.size_categories == "n<1K"
    assert "synthetic" in field.data.tags
    assert "# field: Gaussian fields\n" in field.text
    assert "| intensities | around [0, 1], not clipped |" in field.text
    assert "photographs" not in field.text
    for card, title in ((photos, "photos: photographs"), (mixed, "mixed: photographs, their pix")):
        assert card.data.license == "unknown"
        assert f"# {title}" in card.text
        assert "| intensities | in [0, 1] |" in card.text
        assert "| photographs used | 12 |" in card.text
        assert "| files | 15 |" in card.text


def test_model_cards(tmp_path: Path, root: Path, classes: dict[str, Any]):
    params = TINY | {"image_classes": classes | TINY["image_classes"]}
    params["experiments"] = params["experiments"] | {
        "faces": TINY["experiments"]["soft"] | {"image_class": "photos"}
    }
    summary = pd.DataFrame(
        [{"experiment": "soft", "set_size": 4, "split": "S1", "gap": 1.25, "slope": 0.5}]
    )
    write_table(tmp_path / "summary.csv", summary, {"spec": {}, "inputs": {}, "versions": {}})

    def card(name: str, imported: bool) -> ModelCard:
        spec = network_spec(params, name, 4, "S1")
        inputs, computation = {}, {"device": "cpu"}
        if imported:
            del spec["training"]
            spec["imported"], inputs = True, {"published": "0a"}
            computation = {"imported": {"file": "model.pt", "bytes": 7}}
        network = build_network(spec["architecture"], seed=0)
        save_denoiser(tmp_path / "network.safetensors", network, spec, inputs, computation)
        networks, output = [tmp_path / "network.safetensors"], tmp_path / "card.md"
        write_model_cards(networks, tmp_path / "summary.csv", root / "CITATION.cff", [output])
        return ModelCard.load(output)

    trained = card("soft", imported=False)
    assert "# soft, N = 4, S1: C^α images, α = 3\n" in trained.text
    assert "| train-test gap (dB) | 1.25 |" in trained.text
    assert "The images are synthetic: none is of a person or a thing." in trained.text
    assert "imported" not in trained.text
    assert trained.data.license == "mit"
    results = {one.metric_type: one.metric_value for one in trained.data.eval_results}
    assert results == {"gap": 1.25, "slope": 0.5}
    assert trained.data.model_name == "soft-N4-S1"
    imported = card("faces", imported=True)
    assert "The images are cut from photographs." in imported.text
    assert "The weights were imported" in imported.text
    assert "synthetic" not in imported.text
    assert "| SHA-256 of the published file | 0a |" in imported.text
    assert "| measured on | 4 images of S1 of photos |" in imported.text
    assert "training set |" not in imported.text
    assert imported.data.license == "unknown"
    assert imported.data.eval_results is None
