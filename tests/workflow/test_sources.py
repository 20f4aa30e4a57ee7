"""The digest of code: what is the same to it, what is not, and what it covers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CODE = '''"""Words."""
import math

LEAST: float = 0.1
"""words"""


def area(radius: float) -> float:
    """Words."""
    return math.pi * max(radius, LEAST) ** 2  # words
'''


@pytest.fixture(scope="module")
def tracked() -> Any:
    spec = importlib.util.spec_from_file_location("sources", ROOT / "workflow/tracking/sources.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sources"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Words."""\n', ""),
        ('    """Words."""\n', "    'Other words.'\n"),
        ('"""words"""\n', ""),
        ("  # words", ""),
        ("import math\n", "# words\nimport math\n\n\n"),
        ("(radius: float)", "(\n    radius: float,\n)"),
        ("0.1", "0.10"),
    ],
)
def test_comments_docstrings_and_formatting_are_no_code(tracked: Any, old: str, new: str):
    assert CODE.replace(old, new) != CODE
    assert tracked.canonical(CODE.replace(old, new)) == tracked.canonical(CODE)


@pytest.mark.parametrize(
    ("old", "new"), [("0.1", "0.2"), ("** 2", "** 3"), ("max", "min"), ("LEAST: float", "LEAST")]
)
def test_everything_else_is(tracked: Any, old: str, new: str):
    assert tracked.canonical(CODE.replace(old, new)) != tracked.canonical(CODE)


def test_the_text_of_code_depends_on_no_version_of_python(tracked: Any):
    text = "Module(body=[Assign(targets=[Name(id='x' ctx=Store())] value=JoinedStr(values=[{}]))])"
    pieces = (
        "FormattedValue(value=Name(id='a' ctx=Load()) conversion=-1 format_spec=JoinedStr(values=["
        "FormattedValue(value=Name(id='b' ctx=Load()) conversion=-1)])) Constant(value='\\xe9')"
    )
    assert tracked.canonical("x = f'{a:{b}}' 'é'") == text.format(pieces)


def test_what_is_covered(tracked: Any):
    sources = tracked.Sources(ROOT / "src")
    drawn = sources.closure(["gahb.figures.parts.make", "gahb.figures.gap"])
    assert {"gahb.figures", "gahb.artifacts", "gahb.figures.parts.tables"} <= drawn
    assert not {"gahb", "gahb.version", "gahb.denoisers.networks", "gahb.figures.basis"} & drawn
    assert "gahb.denoisers.networks" in sources.closure(["gahb.denoisers.training"])
    plain = sources.digest(["gahb.figures.gap"])
    captioned = sources.digest(["gahb.figures.gap"], ["figures/captions/gap.rst"])
    assert plain.startswith("sha256:")
    assert plain != captioned
    assert sources.watched[plain] == sources.watched[captioned]
    with pytest.raises(ValueError, match=r"there is no module gahb\.figures\.pie"):
        sources.digest(["gahb.figures.pie"])
