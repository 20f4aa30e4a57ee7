"""The benchmark of recipes: at equal cost, and the cost of equal quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import recipes

TINY = "--experiment disks-small --updates 4 --batch 4 --set-size 8 --test-images 4"


@pytest.fixture(autouse=True)
def _in_the_checkout(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def test_all_recipes_at_equal_cost(capsys: pytest.CaptureFixture[str]):
    recipes.main(TINY.split())
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:7] == ["40", "34", "26", "20", "14", "6", "0"]
    assert [line.split()[-1] for line in lines] == ["ours", "former", "paper", "published"]
    assert {line.split()[8] for line in lines} == {"16"}  # images seen
    assert len({tuple(line.split()[:7]) for line in lines}) >= 2


def test_recipe_in_json(capsys: pytest.CaptureFixture[str]):
    recipes.main([*TINY.split(), "ours", '{"learning_rate": 0.1}'])
    _, ours, other = capsys.readouterr().out.splitlines()
    assert ours.split()[:8] != other.split()[:8]


def test_to_equal_quality(capsys: pytest.CaptureFixture[str]):
    recipes.main([*TINY.split(), "published", "--to-equal-quality", "--most", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[8] for line in lines[1:4]] == ["16", "16", "32"]
    assert lines[-1].startswith("published: more than 2 times the presentations; then ")


def test_stops_where_it_is_as_good_at_every_level(monkeypatch: pytest.MonkeyPatch):
    """Not where the mean is, nor at 40 dB, which is not compared."""
    ours = [40.0] + [30.0] * 6
    others = {1: [99.0] * 6 + [29.9], 2: [99.0, 29.0, *[31.0] * 5], 4: [0.0] + [30.0] * 6}

    def trained(problem: Any, recipe: dict[str, Any], times: int = 1) -> list[float]:
        return others[times] if recipe else ours

    monkeypatch.setattr(recipes, "trained", trained)
    assert recipes.to_equal_quality(None, ["published"], 32) == {"published": 4}
    others[4] = others[1]
    assert recipes.to_equal_quality(None, ["published"], 4) == {"published": None}
