"""Inputs, options and params.yaml of the figures of memorisation, onset, density and outputs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import figures
from helpers.diffusion_results import SPECS, UPDATES, all_tables, changed
from pydantic import ValidationError

from gahb.artifacts import ArtifactError
from gahb.figures.parts.tables import read_tables
from gahb.params import figure_files
from gahb.params.consistency import inconsistencies


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return all_tables(tmp_path_factory.mktemp("results"))


def test_kinds_of_tables_are_told_apart(inputs: list[Path]) -> None:
    kinds = {table.path.name: table.kind for table in read_tables(inputs)}
    assert kinds["ensembles.csv"] == "ensembles"
    assert kinds["density.csv"] == "density"
    assert kinds["updates.csv"] == "samples_over_training"
    assert kinds["N4.csv"] == "samples"


def test_what_is_missing_is_named(inputs: list[Path], tmp_path: Path) -> None:
    memorisation, onset_, density, _ = (partial(figures.drawn, name) for name in SPECS)
    with pytest.raises(ArtifactError, match="exactly one table of ensembles of disks-small"):
        memorisation(inputs[1:], SPECS["memorisation"])
    lost = [p for p in inputs if (p.parent.name, p.name) != ("disks-small", "N64.csv")]
    with pytest.raises(ArtifactError, match=r"disks-small at N = 4, 16, 64, .* N = 4, 16, 256"):
        memorisation(lost, SPECS["memorisation"])
    with pytest.raises(ArtifactError, match=r"ensembles\.csv has no row with sigma = 0\.3; it has"):
        memorisation(inputs, SPECS["memorisation"] | {"sigmas": [0.1, 0.3]})
    with pytest.raises(ArtifactError, match="one table of samples over training of rays-small"):
        onset_(inputs, SPECS["onset"] | {"experiment": "rays-small"})
    late = changed(inputs[0], tmp_path, lambda table: table[table["update"] == UPDATES[-1]])
    with pytest.raises(ArtifactError, match=r"at least two updates above 0 for N = 4; .* \[1600\]"):
        onset_([late, *inputs[5:]], SPECS["onset"])
    with pytest.raises(ArtifactError, match="exactly one table of density"):
        density(inputs[:-1], SPECS["density"])
    few = changed(inputs[-1], tmp_path, lambda table: table[table["set_size"] > 4])
    with pytest.raises(ArtifactError, match=r"bounds disks-small at N = 16, .* has N = 4, 16"):
        density([*inputs[:-1], few], SPECS["density"])
    with pytest.raises(ArtifactError, match=r"density\.csv has no row with experiment = 'alpha2'"):
        density(inputs, SPECS["density"] | {"experiments": ["alpha2"]})


def test_rows_that_are_not_one_of_each_are_refused(inputs: list[Path], tmp_path: Path) -> None:
    twice = changed(inputs[0], tmp_path, lambda table: pd.concat([table, table]))
    for name in SPECS:
        with pytest.raises(ArtifactError, match="several rows for one N"):
            figures.drawn(name, [twice, *inputs[1:]], SPECS[name])
    half = changed(inputs[5], tmp_path, lambda table: table[table["network"] != "S2"])
    with pytest.raises(ArtifactError, match=r"1 rows of memorised .*own training set.* expected 2"):
        figures.drawn("memorisation", [*inputs[:5], half, *inputs[6:]], SPECS["memorisation"])


@pytest.mark.parametrize("name", SPECS)
def test_every_option_is_needed_and_no_other_is_known(name: str) -> None:
    for option in set(SPECS[name]) - {"title"}:
        spec = {key: value for key, value in SPECS[name].items() if key != option}
        with pytest.raises(ValidationError, match=rf"{option}\n +Field required"):
            figures.figure(name, spec)
    with pytest.raises(ValidationError, match="unknown are 'colour'"):
        figures.figure(name, SPECS[name] | {"colour": "red"})


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("memorisation", "sigmas", [0.1]),
        ("memorisation", "sigmas", [0.1, 0.1]),
        ("memorisation", "sigmas", [0.1, -1]),
        ("memorisation", "sigmas", [0.1, 0]),
        ("memorisation", "sigmas", 0.1),
        ("memorisation", "experiments", []),
        ("onset", "sigma", 0),
        ("onset", "experiment", 1),
        ("density", "experiments", ["a", "b", "c", "d", "e"]),
        ("outputs", "measure", "distance"),
    ],
)
def test_wrong_options_are_named(name: str, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        figures.figure(name, SPECS[name] | {option: value})


@pytest.fixture
def asked(params: dict[str, Any]) -> dict[str, Any]:
    """A params.yaml in which all that the three figures need is listed."""
    common = {"architecture": "small", "set_sizes": [1, 4], "splits": ["S1", "S2"]}
    size = {"size": 8, "images": 40, "test_images": 8, "seed": 0}
    params["image_classes"]["round"] = size | {
        "class": "disks",
        "rendering": "antialiased",
        "parameters": "continuous",
    }
    params["image_classes"]["mixed"] = {"class": "shuffled", "of": "round", "permutation_seed": 0}
    params["experiments"]["round"] = common | {
        "image_class": "round",
        "snapshots": {"first": 25, "count": 3},
    }
    params["experiments"]["mixed"] = common | {"image_class": "mixed"}
    params["sampling"]["experiments"] = ["soft", "round"]
    params["ensembles"] = {
        "seed": 0,
        "experiments": ["soft", "round", "mixed"],
        "sigmas": [0.1, 0.3, 0.9],
        "sigmas_over_training": [0.1],
        "images": 8,
        "threads": 1,
    }
    params["figures"] = {
        "memorisation": {"title": "M", "experiments": ["soft", "round"], "sigmas": [0.1, 0.3]},
        "onset": {"title": "O", "experiment": "round", "sigma": 0.1},
        "density": {"title": "D", "experiments": ["round", "mixed"]},
    }
    return params


def test_figures_are_drawn_from_these_files(asked: dict[str, Any]) -> None:
    assert not list(inconsistencies(asked))
    ensembles = "results/evaluation/{}/ensembles.csv".format
    assert figure_files(asked, "memorisation") == [
        *(ensembles("soft"), ensembles("round")),
        *(f"results/samples/soft/N{size}.csv" for size in (1, 4, 16)),
        *(f"results/samples/round/N{size}.csv" for size in (1, 4)),
    ]
    assert figure_files(asked, "onset") == [
        *(ensembles("round"), "results/samples/round/updates.csv"),
    ]
    assert figure_files(asked, "density") == [
        *("results/evaluation/density.csv", ensembles("round"), ensembles("mixed")),
    ]


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            lambda params: params["ensembles"]["experiments"].remove("round"),
            [
                f"figures.{name}: needs the ensembles of round, which ensembles.experiments does not"
                for name in ("memorisation", "onset", "density")
            ],
        ),
        (
            lambda params: params["sampling"]["experiments"].remove("round"),
            [
                f"figures.{name}: needs the samples of round, which sampling.experiments does not"
                for name in ("memorisation", "onset")
            ],
        ),
        (
            lambda params: params["experiments"]["round"].pop("snapshots"),
            [
                "figures.onset: needs networks of round during training; allowed is an experiment with"
            ],
        ),
        (
            lambda params: params["ensembles"].update(
                sigmas=[0.3, 0.5, 0.9], sigmas_over_training=[0.3]
            ),
            [
                "figures.memorisation.sigmas.0: found 0.1, allowed is one of 0.3, 0.5, 0.9",
                "figures.onset.sigma: found 0.1, allowed is one of 0.3",
            ],
        ),
        (
            lambda params: params["figures"]["density"].update(experiments=["round", "soft"]),
            ["figures.density: found soft, whose images are calpha; allowed are images of class"],
        ),
        (
            lambda params: params["figures"]["onset"].update(experiment="none"),
            ['figures.onset: experiment: found "none", allowed is one of soft'],
        ),
    ],
)
def test_what_params_do_not_list_is_named(
    asked: dict[str, Any], change: Any, messages: list[str]
) -> None:
    change(asked)
    found = list(inconsistencies(asked))
    assert len(found) == len(messages), found
    for message, expected in zip(found, messages, strict=True):
        assert message.startswith(expected), message
