"""The public interface: every name loads, and type checkers are told of the same names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gahb


@pytest.mark.parametrize("name", gahb.__all__)
def test_every_public_name_loads(name: str):
    found = getattr(gahb, name)
    assert name in dir(gahb)
    assert getattr(found, "__name__", name) == name


def test_type_checkers_are_told_the_same():
    assert gahb.__file__ is not None
    tree = ast.parse(Path(gahb.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.asname: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {name: (home, name) for name, home in gahb._HOMES.items()}


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'Diffusion'"):
        gahb.Diffusion  # noqa: B018
