"""Recipes of training: complete, overridden by what is said beside them, and those of the presets."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from conftest import TINY

from gahb.denoisers.choices import RECIPES
from gahb.options import module, names
from gahb.params import load_params
from gahb.params.specs import training_of


def test_recipes_are_complete():
    keys = set(module(RECIPES, "published").TRAINING)
    for name in names(RECIPES):
        params = copy.deepcopy(TINY)
        recipe = module(RECIPES, name).TRAINING
        params["training"] = {"recipe": name}
        assert set(recipe) == keys
        assert recipe.items() <= training_of(params, "soft").items()


def test_what_is_said_beside_a_recipe_has_precedence():
    params = copy.deepcopy(TINY)
    params["training"] = {"recipe": "published", "learning_rate": 3e-3}
    params["experiments"]["hard"]["training"] = {"recipe": "paper", "warmup": 7}
    soft, hard = (training_of(params, name) for name in ("soft", "hard"))
    assert "recipe" not in soft
    assert (soft["noise_law"], soft["learning_rate"], soft["warmup"]) == (
        "squared_uniform",
        3e-3,
        0,
    )
    assert (hard["noise_law"], hard["learning_rate"], hard["warmup"]) == ("uniform", 1e-3, 7)
    params["experiments"]["hard"]["training"] = {"recipe": None}
    assert training_of(params, "hard") == soft


@pytest.mark.parametrize("preset", [None, "extended", "celeba", "lsun", "paper", "photographs"])
def test_recipe_of_every_preset(root: Path, preset: str | None):
    if preset is not None and not (root / f"workflow/presets/{preset}.yaml").exists():
        pytest.skip("no such preset")
    params = load_params(root, preset)
    ours = {
        "noise_law": "log_uniform",
        "noise_draws": "stratified",
        "sigma_range": [0.01, 1],
        "weighting": "annealed",
        "initialisation": "unit",
        "fix_norm_after": 0.5,
        "optimiser": "muon",
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "warmup": 0,
    }
    published = {
        "noise_law": "squared_uniform",
        "noise_draws": "independent",
        "sigma_range": [0, 1],
        "weighting": "none",
        "initialisation": "published",
        "fix_norm_after": 1,
        "optimiser": "adam",
        "learning_rate": 1e-3,
        "schedule": "halving",
        "warmup": 0,
    }
    recipe = published if preset in ("celeba", "lsun", "paper") else ours
    for experiment in params["experiments"]:
        assert recipe.items() <= training_of(params, experiment).items()
