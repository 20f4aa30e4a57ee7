"""`make` makes an environment of its own, and leaves one of the user's alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.tracking_project import ROOT

PYTHON = "#!/bin/sh\nexit 0\n"  # stands for one that makes environments and installs packages


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def environment(folder: Path, *files: str) -> Path:
    """A folder that holds a Python, and these files."""
    (folder / "bin").mkdir(parents=True)
    shutil.copy(folder.parent / "python", folder / "bin/python")
    for name in files:
        (folder / name).touch()
    return folder


def setup(checkout: Path, place: Path | str) -> subprocess.CompletedProcess[str]:
    command = ["make", "setup", f"VENV={place}", f"PYTHON={checkout / 'python'}"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("absolute", [False, True])
def test_an_environment_of_the_users_own_is_left_alone(checkout: Path, absolute: bool):
    theirs = environment(checkout / "theirs", "precious")
    made = setup(checkout, theirs if absolute else "theirs")
    assert made.returncode != 0
    assert "is not empty, and make did not make it" in made.stderr
    assert sorted(path.name for path in theirs.iterdir()) == ["bin", "precious"]


@pytest.mark.parametrize("stamp", [".gahb", ".installed"])
def test_our_own_is_brought_up_to_date_and_not_cleared(checkout: Path, stamp: str):
    ours = environment(checkout / "ours", stamp, "kept")
    (checkout / "constraints.txt").touch()
    made = setup(checkout, "ours")
    assert made.returncode == 0, made.stderr
    assert (ours / "kept").exists()
    assert (ours / ".installed").exists()
    assert "pip" not in setup(checkout, "ours").stdout  # nothing is left to do


@pytest.mark.parametrize("wheel", [None, "roc_validator-0.11.0-py3-none-any.whl"])
def test_with_a_folder_of_packages_nothing_is_asked_of_a_network(tmp_path: Path, wheel: str | None):
    (tmp_path / "wheels").mkdir()
    if wheel:
        (tmp_path / "wheels" / wheel).touch()
    given = [f"WHEELS={tmp_path / 'wheels'}", f"VENV={tmp_path / 'new'}"]
    command = ["make", "--dry-run", "test", "lint", "docs", "wheel", *given]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    asking = [line for line in told.splitlines() if "-m pip " in line]
    assert len(asking) == 6 + bool(wheel)
    source = f'--no-index --find-links "{tmp_path / "wheels"}"'
    assert [line for line in asking if source not in line] == []
    assert ("roc-validator.txt" in told) == bool(wheel)


def test_an_empty_folder_is_taken_and_known_again(checkout: Path):
    (checkout / "new").mkdir()
    assert setup(checkout, "new").returncode != 0  # interrupted: there is no Python in it yet
    assert [path.name for path in (checkout / "new").iterdir()] == [".gahb"]
    (checkout / "new/bin").mkdir()
    shutil.copy(checkout / "python", checkout / "new/bin/python")
    assert setup(checkout, "new").returncode == 0
