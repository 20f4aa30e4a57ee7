"""The JSON schema and the page of parameters: generated from the models, current, and right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gahb.options import names
from gahb.params import load_params
from gahb.params.documents import PAGE, SCHEMA, json_schema, markdown, write

PHASES = {
    "class": "gahb.datasets.classes",
    "network": "gahb.denoisers.architectures",
    "denoiser": "gahb.denoisers.references",
    "kind": "gahb.samples.samplers",
}


@pytest.fixture(scope="module")
def problems() -> Callable[[Any], list[str]]:
    """Where a params.yaml is not as the schema says."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return lambda params: [
        ".".join(map(str, e.absolute_path)) for e in validator.iter_errors(params)
    ]


def test_files_are_current(root: Path, tmp_path: Path):
    write(tmp_path)
    for path in (SCHEMA, PAGE):
        message = f"{path} is not current: run python -m gahb.params.documents"
        assert (root / path).read_text() == (tmp_path / path).read_text(), message


@pytest.mark.parametrize("preset", [None, "smoke", "paper", "photographs"])
def test_what_is_valid_is_valid_by_the_schema(
    root: Path, problems: Callable[[Any], list[str]], preset: str | None
):
    assert problems(load_params(root, preset)) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("training", "updates", 0),
        ("training", "updates", None),
        ("training", "noise_law", "gaussian"),
        ("training", "colour", "red"),
        ("training", "sigma_range", [0]),
        ("image_classes.soft", "class", "discs"),
        ("image_classes.soft", "alpha", 0),
        ("image_classes.soft", "colour", 1),
        ("image_classes.soft", "background_alpha", None),
        ("image_classes", "two words", {"class": "shuffled", "of": "soft", "permutation_seed": 0}),
        ("architectures.small", "layers", 3),
        ("references.wavelets", "moments", 2),
        ("sampling.sampler", "order", 4),
        ("experiments.soft", "set_sizes", [1, 1]),
        ("experiments.hard.training", "colour", 1),
        ("figures.basis", "sigma", -1),
        ("figures", "colour", {}),
    ],
)
def test_what_is_wrong_is_wrong_by_the_schema(
    params: dict[str, Any],
    problems: Callable[[Any], list[str]],
    section: str,
    key: str,
    value: Any,
):
    assert problems(params) == []
    inside = params
    for name in section.split("."):
        inside = inside[name]
    inside[key] = value
    (where,) = problems(params)
    assert f"{section}.{key}".startswith(where)


def test_no_mapping_is_open():
    def mappings(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield path, node
            for key, inner in node.items():
                yield from mappings(inner, f"{path}/{key}")
        elif isinstance(node, list):
            for index, inner in enumerate(node):
                yield from mappings(inner, f"{path}/{index}")

    found = list(mappings(json_schema()))
    assert len(found) > 50
    assert [path for path, node in found if "additionalProperties" not in node] == []


def test_every_choice_and_key_is_described():
    page, schema = markdown(), json_schema()
    for key, package in PHASES.items():
        for name in names(package):
            assert f" {key}: {name}\n" in page
    for name in names("gahb.figures"):
        assert f"### figures.{name}\n" in page
    for options in schema["$defs"].values():
        for name, value in options["properties"].items():
            assert value.get("description"), name
            assert f"`{name}`" in page
