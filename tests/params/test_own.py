"""Classes of one's own in params.yaml, and presets from anywhere."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT
from helpers.refusals import refusal

from gahb.params import ParamsError, dataset_spec, load_params, network_spec, validate
from gahb.params.documents import json_schema
from gahb.params.modules import named_modules
from gahb.provenance.tree import on_disk

IMAGES = '''
"""Images of my own."""

from __future__ import annotations

import numpy as np

from gahb import CAlpha
from gahb.datasets.image_class import DrawnClass, ImageClass
from gahb.options import Count


class Flat(DrawnClass):
    """Flat images."""

    levels: Count

    @property
    def words(self):
        return "flat images"

    def render(self, first, count):
        return np.full((count, self.size, self.size), 0.5, np.float32)


class Unfinished(DrawnClass):
    pass


class Sizeless(ImageClass):
    @property
    def words(self):
        return "none"

    def render(self, first, count):
        return None


class Other:
    pass
'''
NETS = """
from torch import nn

import parts


class Net(nn.Module):
    def __init__(self, width, depth=2):
        pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "images.py").write_text(IMAGES)
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text("LEAST = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def with_own(params: dict[str, Any], **image_class: Any) -> dict[str, Any]:
    flat = {"class": "images.py:Flat", "levels": 3, "size": 8, "images": 64, "test_images": 32}
    params["image_classes"]["own"] = flat | {"seed": 0} | image_class
    return params


def test_own_class_and_network_are_part_of_the_specs(params: dict[str, Any]):
    with_own(params)
    params["architectures"]["own"] = {"network": "nets.py:Net", "width": 4}
    params["experiments"]["own"] = params["experiments"]["soft"] | {
        "image_class": "own",
        "architecture": "own",
    }
    spec = network_spec(validate(params), "own", 1, "S1")
    assert spec["dataset"]["class"] == "images.py:Flat"
    assert spec["architecture"] == {"network": "nets.py:Net", "width": 4}
    assert set(named_modules(spec, "dataset", "architecture")) == {
        *("gahb.datasets.classes._own", "images.py:Flat"),
        *("gahb.denoisers.architectures._own", "nets.py:Net"),
    }
    assert "torch" not in vars(sys.modules["gahb.own"])


@pytest.mark.parametrize(
    ("image_class", "message"),
    [
        (
            {"level": 3},
            "image_classes.own: unknown are 'level'; known keys here are class, images",
        ),
        ({"levels": 0}, "image_classes.own.levels: found 0, allowed is at least 1"),
        ({"class": "image.py:Flat"}, "image.py is no file"),
        ({"class": "images.py:Round"}, "images.py has no Round; its classes are"),
        ({"class": "images.py:Other"}, "is not derived from gahb.datasets.image_class.DrawnClass"),
        ({"class": "images.py:Unfinished"}, "images.py:Unfinished lacks render, words"),
        ({"class": "images.py:Sizeless"}, "images.py:Sizeless lacks seed, size"),
    ],
)
def test_what_is_wrong_with_a_class(
    params: dict[str, Any], image_class: dict[str, Any], message: str
):
    assert message in refusal(with_own(params, **image_class))


def test_what_is_wrong_with_a_network(params: dict[str, Any]):
    params["architectures"]["small"] = {"network": "nets.py:Net", "depht": 4}
    message = refusal(params)
    assert (
        "architectures.small: unknown are 'depht'; known keys here are depth, predicts, width"
        in (message)
    )
    assert "architectures.small: 'width' is a required property" in message
    params["architectures"]["small"] = {"network": "nets.py:Net", "width": 4}
    params["experiments"]["soft"]["training"] = {"initialisation": "unit"}
    assert "experiments.soft.training.initialisation: found unit, allowed is to leave it out" in (
        refusal(params)
    )


def test_own_sources_are_watched(folder: Path):
    spec = importlib.util.spec_from_file_location("sources", ROOT / "workflow/tracking/sources.py")
    tracked: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tracked)

    def digest(name: str) -> str:
        found = tracked.Sources(ROOT / "src")
        digest = found.digest([name])
        covered[name] = found.watched[digest]
        return digest

    covered: dict[str, set[str]] = {}
    before = {name: digest(name) for name in ("nets.py:Net", "images.py:Flat")}
    assert {"gahb.datasets.image_class", "gahb.datasets.classes.calpha"} < covered["images.py:Flat"]
    (folder / "parts.py").write_text("# a comment\nLEAST = 1\n")
    assert digest("nets.py:Net") == before["nets.py:Net"]
    (folder / "parts.py").write_text("LEAST = 2\n")
    assert digest("nets.py:Net") != before["nets.py:Net"]
    assert digest("images.py:Flat") == before["images.py:Flat"]
    (folder / "images.py").write_text(IMAGES.replace("0.5", "0.4"))
    assert digest("images.py:Flat") != before["images.py:Flat"]


def test_a_preset_of_ones_own(folder: Path):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"training": {"updates": 700}}))
    with pytest.raises(ParamsError, match=r"mine\.yaml: 'results', the folder of what it makes"):
        load_params(ROOT, str(path))
    path.write_text(yaml.safe_dump({"results": "/scratch/mine", "training": {"updates": 700}}))
    for preset in (str(path), "mine.yaml"):
        params = load_params(ROOT, preset)
        assert params["results"] == "/scratch/mine"
        assert params["training"]["updates"] == 700
    with pytest.raises(ParamsError, match=r"none\.yaml cannot be read: No such file"):
        load_params(ROOT, "none.yaml")


def test_results_of_such_a_preset_are_not_those_of_the_project(folder: Path):
    for name in (
        "datasets/a.h5",
        "logs/a.log",
        "study/mine/datasets/b.h5",
        "study/mine/logs/b.log",
    ):
        (folder / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "results" / name).touch()
    (folder / "results/study/mine/benchmarks").mkdir()
    assert on_disk(Path("results")) == {"results/datasets/a.h5"}
    assert on_disk(Path("results/study/mine")) == {"results/study/mine/datasets/b.h5"}


def test_schema_knows_them(params: dict[str, Any]):
    validator = jsonschema.Draft202012Validator(json_schema())
    params["architectures"]["own"] = {"network": "nets.py:Net", "width": 4, "predicts": "image"}
    assert list(validator.iter_errors(with_own(params))) == []
    params["architectures"]["own"]["predicts"] = "score"
    assert len(list(validator.iter_errors(params))) == 1


def test_spec_of_images_of_an_array(params: dict[str, Any]):
    arrays = {"class": "arrays", "file": "a.npy", "size": 8, "images": 64, "test_images": 32}
    params["image_classes"]["own"] = arrays | {"seed": 0}
    assert dataset_spec(validate(params), "own")["file"] == "a.npy"
    params["image_classes"]["own"]["file"] = "a.mat"
    assert 'image_classes.own.file: found "a.mat", allowed is a file that ends in' in refusal(
        params
    )
