"""The wheel alone is the library: it holds its data, and needs nothing of what runs the workflow."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.tracking_project import ROOT

from gahb.denoisers.networks import build_network
from gahb.denoisers.weights import save_denoiser

pytestmark = pytest.mark.slow

USE = """
import importlib.abc, sys

WHEEL, ABSENT, WEIGHTS = sys.argv[1], sys.argv[2].split(","), sys.argv[3]

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"no {name} where only the library is installed", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, WHEEL)
import gahb, torch
assert gahb.__file__.startswith(WHEEL), gahb.__file__
for name in gahb.__all__:
    getattr(gahb, name)
denoiser, _ = gahb.load_denoiser(WEIGHTS)
clean = torch.rand(1, 8, 8)
noisy = clean + 0.1 * torch.randn(1, 8, 8)
eigenvalues, eigenvectors = gahb.eigenbasis(denoiser, noisy, k=3)
assert eigenvectors.shape == (3, 1, 8, 8)
gahb.analyse(denoiser, clean, noisy, sigma=0.1)
from gahb.cli import main
try:
    main(["--help"])
except SystemExit as ended:
    assert not ended.code
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installation of the wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-q", "--wheel-dir", folder, folder], check=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_all_that_the_source_holds(wheel: Path):
    """Data of the package too: styles, captions, weights."""

    def files(folder: Path) -> set[str]:
        found = (path for path in (folder / "gahb").rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix() for path in found if path.suffix != ".pyc"}

    assert files(ROOT / "src") == files(wheel)


def test_the_library_works_where_the_workflow_is_not_installed(wheel: Path, tmp_path: Path):
    network = build_network({"network": "unet", "blocks": 1, "channels": 4}, seed=0)
    spec = {"architecture": {"network": "unet", "blocks": 1, "channels": 4}}
    save_denoiser(tmp_path / "network.safetensors", network, spec, {}, {"device": "cpu"})
    absent = "dvc,grimp,huggingface_hub,rocrate,snakemake,tracking"
    done = subprocess.run(
        [sys.executable, "-c", USE, str(wheel), absent, str(tmp_path / "network.safetensors")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
