"""What the tests share: a tiny project, its dataset, and a few networks trained for an instant."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

# The same examples every time, and no time limit: machines are busy and disks slow.
settings.register_profile("gahb", deadline=None, derandomize=True)
settings.load_profile("gahb")

ROOT = Path(__file__).parents[1]

TINY: dict[str, Any] = {
    "results": "results",
    "image_classes": {
        "soft": {
            "class": "calpha",
            "alpha": 3,
            "size": 8,
            "rendering": "antialiased",
            "images": 72,
            "test_images": 40,
            "seed": 3,
        },
        "hard": {
            "class": "calpha",
            "alpha": 1,
            "background_alpha": 2,
            "size": 8,
            "rendering": "official",
            "images": 40,
            "test_images": 8,
            "seed": 4,
        },
    },
    "architectures": {
        "small": {"network": "unet", "blocks": 1, "channels": 4},
        "chain": {"network": "bf_cnn", "layers": 4, "channels": 4},
    },
    "training": {
        "seed": 0,
        "updates": 30,
        "batch_size": 8,
        "noise_law": "squared_uniform",
        "noise_draws": "independent",
        "sigma_range": [0, 1],
        "weighting": "inverse_sigma",
        "initialisation": "small_gains",
        "fix_norm_after": 1,
        "optimiser": "adam",
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "warmup": 5,
        "precision": "float32",
        "compile": "never",
        "device": "cpu",
        "threads": 1,
        "monitor_every": 10,
    },
    "experiments": {
        "soft": {
            "image_class": "soft",
            "architecture": "small",
            "set_sizes": [1, 4, 16],
            "splits": ["S1", "S2"],
        },
        "hard": {
            "image_class": "hard",
            "architecture": "chain",
            "set_sizes": [16],
            "splits": ["S1"],
            "training": {"updates": 10},
        },
    },
    "references": {
        "known-contour": {"denoiser": "known_contour", "images": 12},
        "wavelets": {"denoiser": "wavelet", "images": 12},
    },
    "evaluation": {
        "seed": 1,
        "sigmas": [1.0, 0.3, 0.1, 0.03],
        "images": 32,
        "minimum_draws": 12,
        "slope_window": [0.03, 0.3],
        "references": {"soft": ["known-contour", "wavelets"]},
        "threads": 1,
    },
    "ensembles": {
        "seed": 3,
        "experiments": ["soft"],
        "sigmas": [0.1, 0.3, 0.9],
        "sigmas_over_training": [0.3],
        "images": 8,
        "threads": 1,
    },
    "sampling": {
        "seed": 2,
        "experiments": ["soft"],
        "sampler": {
            "kind": "ode",
            "schedule": "geometric",
            "steps": 4,
            "sigma_range": [0.1, 1],
            "order": 2,
        },
        "samples": 5,
        "start": "white",
        "start_mean": 0.5,
        "shown": 2,
        "levels_kept": 3,
        "duplicate_threshold": 0.95,
        "precision": "float32",
        "threads": 1,
    },
    "spectra": {
        "seed": 0,
        "networks": {
            "soft": {"set_sizes": [4, 16], "splits": ["S1"], "references": ["wavelets"]},
            "hard": {"set_sizes": [16], "splits": ["S1"]},
        },
        "test_images": [0, 1],
        "sigmas": [0.1],
        "method": "full",
        "eigenvectors": 8,
        "threads": 1,
    },
    "figures": {
        "transition": {
            "title": "Transition",
            "experiment": "soft",
            "split": "S1",
            "aggregation": "psnr_of_mean_mse",
        },
        "basis": {
            "title": "Basis",
            "experiment": "soft",
            "split": "S1",
            "set_sizes": [4, 16],
            "image": 0,
            "sigma": 0.1,
            "eigenvectors": [1, 2, 4],
        },
        "regularity": {
            "title": "Regularity",
            "experiments": ["soft", "hard"],
            "set_size": 16,
            "split": "S1",
            "image": 0,
            "sigma": 0.1,
            "eigenvectors": [1, 2],
        },
        "gap": {"title": "Gap", "experiment": "soft"},
        "adaptivity": {
            "title": "Adaptivity",
            "experiment": "soft",
            "split": "S1",
            "sigma": 0.1,
            "rank": 8,
        },
        "bounds": {
            "title": "Bounds",
            "experiments": ["soft"],
            "set_size": 16,
            "split": "S1",
            "lower": "known-contour",
            "upper": ["wavelets"],
        },
    },
}


def pytest_configure(config: pytest.Config) -> None:
    """``--dist loadfile`` gives files out in the order below, not by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):  # where pytest-xdist is there
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of many slow tests come first: begun last, they would keep one worker busy alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def params() -> dict[str, Any]:
    """The tiny project's params.yaml, free to be changed."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment in which ``python -m gahb`` runs from the source tree, on one thread."""
    return os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def dataset_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of the image class ``soft``; not to be changed."""
    from gahb.datasets.store import write_dataset
    from gahb.params import dataset_spec

    path = tmp_path_factory.mktemp("datasets") / "soft.h5"
    write_dataset(dataset_spec(TINY, "soft"), path)
    return path


@pytest.fixture(scope="session")
def dataset(dataset_path: Path) -> Any:
    """The opened dataset of the image class ``soft``."""
    from gahb.datasets.store import open_dataset

    return open_dataset(dataset_path)


@pytest.fixture(scope="session")
def trained(dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, str], Path]:
    """Weights of the experiment ``soft``, trained when first asked for; not to be changed."""
    from gahb.denoisers.training import train
    from gahb.params import network_spec

    folder = tmp_path_factory.mktemp("denoisers")

    def path(set_size: int, split: str) -> Path:
        weights = folder / f"N{set_size}_{split}.safetensors"
        if not weights.exists():
            spec = network_spec(TINY, "soft", set_size, split)
            train(spec, dataset, weights, weights.with_suffix(".csv"), folder / "checkpoint")
        return weights

    return path


@pytest.fixture
def flip() -> Callable[..., Path]:
    """Flip one bit of a file: ``flip(path, position, to=copy)``; without ``to``, in place."""

    def flip_bit(path: Path, position: int, bit: int = 2, to: Path | None = None) -> Path:
        content = bytearray(path.read_bytes())
        content[position] ^= 1 << bit
        target = to or path
        target.write_bytes(content)
        return target

    return flip_bit
