"""The modules that specs name: found by name, and each of them there."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gahb.params import (
    agreement_spec,
    dataset_spec,
    ensemble_spec,
    load_params,
    network_spec,
    reference_spec,
    reference_spectra_spec,
    samples_spec,
)
from gahb.params.modules import named_modules

TRAINING = {
    "gahb.denoisers.noise_laws.log_uniform",
    "gahb.denoisers.noise_draws.stratified",
    "gahb.denoisers.weightings.annealed",
    "gahb.denoisers.initialisations.unit",
    "gahb.denoisers.optimisers.muon",
    "gahb.denoisers.schedules.cosine",
}
UNET = "gahb.denoisers.architectures.unet"
CALPHA, SHUFFLED, DISKS = (
    f"gahb.datasets.classes.{name}" for name in ("calpha", "shuffled", "disks")
)
POSTERIOR = "gahb.denoisers.exact.disks"


@pytest.fixture(scope="module")
def everything(root: Path) -> dict[str, Any]:
    return load_params(root)


def test_what_specs_name(everything: dict[str, Any]):
    def named(spec: dict[str, Any], *sections: str) -> set[str]:
        found = named_modules(spec, *sections)
        assert len(set(found)) == len(found)
        assert all(map(find_spec, found))
        return set(found)

    shuffled = dataset_spec(everything, "alpha2-shuffled")
    assert named(shuffled, "dataset") == {SHUFFLED, CALPHA}
    assert named(shuffled, "exact") == named(shuffled, "architecture") == set()
    network = network_spec(everything, "disks", 10, "S1")
    assert named(network, "training") == TRAINING
    assert named(network, "architecture", "dataset") == {UNET, DISKS}
    pair = agreement_spec(everything, "alpha2", 10)
    assert named(pair, "architecture", "training") == TRAINING | {UNET}
    samples = samples_spec(everything, "alpha2", 10)
    assert named(samples, "sampling") == {"gahb.samples.samplers.ancestral"}
    assert named(ensemble_spec(everything, "disks-small"), "exact") == {POSTERIOR}
    exact = {"gahb.denoisers.references.exact", POSTERIOR, DISKS}
    assert named(reference_spec(everything, "disks", "disk-posterior"), "reference") == exact
    spectra = reference_spectra_spec(everything, "disks", "disk-posterior")
    assert named(spectra, "reference") == exact
    assert named(reference_spec(everything, "alpha1", "bandlets"), "reference") == {
        "gahb.denoisers.references.bandlet",
        "gahb.denoisers.classical.bandlets",
        CALPHA,
    }


def test_shuffled_images_name_the_denoiser_of_those_underneath(everything: dict[str, Any]):
    everything["image_classes"]["mixed"] = {
        "class": "shuffled",
        "of": "disks",
        "permutation_seed": 0,
    }
    found = named_modules(dataset_spec(everything, "mixed"), "exact")
    assert set(found) == {POSTERIOR, "gahb.denoisers.exact.permuted"}


def test_unknown_sections_are_refused(everything: dict[str, Any]):
    with pytest.raises(KeyError):
        named_modules(dataset_spec(everything, "disks"), "datasets")


def test_the_plan_loads_neither_torch_nor_matplotlib(root: Path, environment: dict[str, str]):
    """Nor does any module that the plan asks, those that can be chosen by name among them."""
    code = """
import sys
from gahb.options import module, names
from gahb.params import load_params
load_params()
for package in ("datasets.classes", "samples.samplers", "figures", *(
    f"denoisers.{name}" for name in (
        "architectures", "references", "noise_laws", "noise_draws", "weightings", "initialisations",
        "schedules", "optimisers", "recipes"))):
    for name in names(f"gahb.{package}"):
        module(f"gahb.{package}", name)
        for heavy in ("torch", "matplotlib"):
            assert heavy not in sys.modules, (package, name, heavy)
"""
    subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=True)
