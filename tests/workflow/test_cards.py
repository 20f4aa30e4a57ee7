"""Cards say what the artifacts are: of synthetic images, of photographs, of imported weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TINY
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


def test_data_cards(tmp_path: Path, classes: dict[str, Any]):
    names = ("field", "photos", "mixed")
    for name in names:
        spec = dataset_spec({"image_classes": classes}, name)
        write_dataset(spec, tmp_path / f"{name}.h5")
    write_data_cards([tmp_path / f"{name}.h5" for name in names], tmp_path / "cards.md")
    field, photos, mixed = (tmp_path / "cards.md").read_text().split("\n## ")[1:]
    assert field.startswith("field: Gaussian fields\n")
    assert "| intensities | around [0, 1], not clipped |" in field
    assert "photographs" not in field
    for card, title in ((photos, "photos: photographs"), (mixed, "mixed: photographs, their pix")):
        assert card.startswith(title)
        assert "| intensities | in [0, 1] |" in card
        assert "| photographs used | 12 |" in card
        assert "| files | 15 |" in card


def test_model_cards(tmp_path: Path, classes: dict[str, Any]):
    params = TINY | {"image_classes": classes | TINY["image_classes"]}
    params["experiments"] = params["experiments"] | {
        "faces": TINY["experiments"]["soft"] | {"image_class": "photos"}
    }
    summary = pd.DataFrame(
        [{"experiment": "soft", "set_size": 4, "split": "S1", "gap": 1.25, "slope": 0.5}]
    )
    write_table(tmp_path / "summary.csv", summary, {"spec": {}, "inputs": {}, "versions": {}})

    def cards(**imported: bool) -> str:
        for name, outside in imported.items():
            spec = network_spec(params, name, 4, "S1")
            computation: dict[str, Any] = {"device": "cpu"}
            if outside:
                del spec["training"]
                spec["imported"], computation = True, {"imported": {"file": "model.pt", "bytes": 7}}
            network = build_network(spec["architecture"], seed=0)
            save_denoiser(
                tmp_path / f"{name}.safetensors", network, spec, {"published": "0a"}, computation
            )
        paths = [tmp_path / f"{name}.safetensors" for name in imported]
        write_model_cards(paths, tmp_path / "summary.csv", tmp_path / "cards.md")
        return (tmp_path / "cards.md").read_text()

    text = cards(soft=False)
    assert "\n## soft, N = 4, S1: C^α images, α = 3\n" in text
    assert "| train-test gap (dB) | 1.250 |" in text
    assert "The images of soft are synthetic: none is of a person or a thing." in text
    assert "cut from photographs" not in text
    assert "imported" not in text
    text = cards(faces=True)
    assert "The images of photos are cut from photographs." in text
    assert "The weights of faces, N = 4, S1 were imported" in text
    assert "synthetic" not in text
    for row in ("measured on | 4 images of S1 of photos", "imported.file | model.pt"):
        assert f"| {row} |" in text
    assert "| imported.sha256 | 0a |" in text
    assert "training." not in text
    assert "| training set |" not in text
    text = cards(soft=True, faces=False)
    assert "The images of soft are synthetic" in text
    assert "The images of photos are cut from photographs." in text
    assert "The weights of soft, N = 4, S1 were imported" in text
