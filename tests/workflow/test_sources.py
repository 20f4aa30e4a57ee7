"""The digest of code: what is the same to it, what is not, and what it covers."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
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


def test_line_ends_are_no_code(tracked: Any, tmp_path: Path):
    """Nor part of a template: a clone may have those of Windows."""
    digests = set()
    for ends in ("\n", "\r\n"):
        package = tmp_path / f"{len(ends)}/gahb"
        package.mkdir(parents=True)
        for name in ("__init__.py", "one.py", "caption.rst"):
            (package / name).write_text(CODE, newline=ends)
        sources = tracked.Sources(ROOT / "src")
        sources.folder = package.parent
        sources.closure = lambda modules: {"gahb.one"}
        digests.add(sources.digest(["gahb.one"], ["caption.rst"]))
    assert len(digests) == 1


def test_a_clone_has_the_line_ends_of_unix_and_results_have_their_own(tmp_path: Path):
    """Whatever git is told elsewhere."""

    def git(folder: Path, *arguments: str) -> None:
        command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run([*command, *arguments], check=True, capture_output=True)

    origin, windows = tmp_path / "origin", tmp_path / "windows"
    contents = {
        "src/code.py": b"x = 1\ny = 2\n",
        "params.yaml": b"seed: 0\n",
        "results/evaluation/table.csv": b"a,b\r\n1,2\n",
        "notes/data.npy": b"\x93NUMPY\r\n\n",
    }
    for name, content in contents.items():
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_bytes(content)
    shutil.copy(ROOT / ".gitattributes", origin)
    git(tmp_path, "init", "-q", "origin")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "all")
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", "origin", "windows")
    assert {name: (windows / name).read_bytes() for name in contents} == contents
