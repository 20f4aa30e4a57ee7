"""params.yaml is checked before anything runs; every artifact depends on its own part of it only."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pywt
import yaml
from conftest import ROOT
from helpers.refusals import refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb.artifacts import canonical_json
from gahb.datasets.image_class import image_class
from gahb.denoisers.options import Training
from gahb.params import (
    Only,
    ParamsError,
    agreement_spec,
    dataset_spec,
    evaluation_spec,
    figure_spec,
    load_params,
    memorising_spec,
    network_spec,
    overlay,
    reference_spec,
    reference_spectra_spec,
    spectra_settings,
    spectra_spec,
    summary_spec,
    validate,
)
from gahb.params.specs import planned_images, sampling_settings

Params = dict[str, Any]
PRESETS = sorted(path.stem for path in (ROOT / "workflow/presets").glob("*.yaml"))


def put(params: Params, key: str, value: Any, null: bool = False) -> Params:
    """Set a dotted key; a value of None removes it, unless it is to be null."""
    *path, last = key.split(".")
    inside: Any = params
    for name in path:
        inside = inside[int(name) if isinstance(inside, list) else name]
    if isinstance(inside, list):
        inside[int(last)] = value
    elif value is None and not null:
        del inside[last]
    else:
        inside[last] = value
    return params


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """A root folder with params.yaml and presets given as text."""

    def make(text: str, **presets: str) -> Path:
        (tmp_path / "workflow/presets").mkdir(parents=True, exist_ok=True)
        (tmp_path / "params.yaml").write_text(text)
        for name, content in presets.items():
            (tmp_path / f"workflow/presets/{name}.yaml").write_text(content)
        return tmp_path

    return make


# ---------------------------------------------------------------------------------------------
# The files of the repository


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_repository_is_valid(root: Path, preset: str | None):
    params = load_params(root, preset)
    for name, experiment in params["experiments"].items():
        for set_size in experiment["set_sizes"]:
            for split in experiment["splits"]:
                canonical_json(evaluation_spec(params, name, set_size, split))


def test_presets_never_overwrite_each_other(root: Path):
    folders = [load_params(root, preset)["results"] for preset in [None, *PRESETS]]
    assert len(set(folders)) == len(folders)
    assert {"smoke", "paper"} <= set(PRESETS)


def test_paper_preset_is_the_paper(root: Path):
    params = load_params(root, "paper")
    small = [name for name in params["experiments"] if name.endswith("-small")]
    assert len(small) == 4
    for name in small:  # ours, beside those of the paper
        del params["experiments"][name]
    sizes = {size for chosen in params["experiments"].values() for size in chosen["set_sizes"]}
    assert sizes == {1, 10, 100, 1000, 10_000, 100_000}
    alphas = set()
    for name, chosen in params["experiments"].items():
        dataset = dataset_spec(params, chosen["image_class"])
        assert dataset["size"] == 80
        alphas |= {dataset["alpha"]} if dataset["class"] == "calpha" else set()
        spec = network_spec(params, name, chosen["set_sizes"][0], "S1")
        assert spec["architecture"] == {"network": "unet", "blocks": 3, "channels": 64}
        training = spec["training"]
        assert (training["noise_law"], training["sigma_range"]) == ("squared_uniform", [0, 1])
        assert (training["weighting"], training["optimiser"]) == ("none", "adam")
        assert (training["learning_rate"], training["schedule"]) == (1e-3, "halving")
        assert (training["batch_size"], training["warmup"]) == (512, 0)
    assert len(alphas) == 4


@pytest.mark.parametrize("preset", ["gpu", "gpu-dry"])
def test_gpu_preset_has_the_networks_asked_for(root: Path, preset: str):
    params = load_params(root, preset)
    sets = {name: len(chosen["set_sizes"]) for name, chosen in params["experiments"].items()}
    assert sets["alpha2"] == 6
    assert (
        {sets[f"alpha{alpha}"] for alpha in (1, 3, 5)} == {sets["disks"], sets["gaussian"]} == {1}
    )
    for name in params["experiments"]:
        small = name.endswith("-small")
        assert (network_spec(params, name, 1, "S1")["training"]["device"] == "cpu") == small
    calls = {sampling_settings(params, name)["sampler"]["steps"] for name in params["experiments"]}
    assert calls == ({12, 24} if preset == "gpu" else {4})
    if preset == "gpu":
        assert params["experiments"]["alpha2"]["set_sizes"] == [10**power for power in range(6)]
        assert params["architectures"]["unet"] == {"network": "unet", "blocks": 2, "channels": 64}
        rate = 50_451  # images per second, measured on an H100 with batches of 512
        assert planned_images(params, "alpha2") / rate < 300  # of the 540 seconds that all may take


def test_a_preset_laid_over_another(project: Callable[..., Path], params: Params):
    folder = project(
        yaml.safe_dump(params),
        short="training: {updates: 3, batch_size: 2}",
        shorter="preset: short\ntraining: {updates: 1}",
        endless="preset: endless",
    )
    found = load_params(folder, "shorter")
    assert (found["training"]["updates"], found["training"]["batch_size"]) == (1, 2)
    assert "preset" not in found
    with pytest.raises(ParamsError, match="preset: found 'endless', allowed are short, shorter"):
        load_params(folder, "endless")


# ---------------------------------------------------------------------------------------------
# Errors: the key, what was found, what is allowed


def test_tiny_project_is_valid(params: Params):
    before = copy.deepcopy(params)
    assert validate(params) is params
    assert params == before


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("colour", "architectures"),
        ("image_classes.soft.colour", "alpha"),
        ("architectures.small.colour", "channels"),
        ("architectures.chain.blocks", "layers"),  # of the other architecture
        ("training.colour", "noise_law"),
        ("experiments.soft.colour", "set_sizes"),
        ("experiments.hard.training.colour", "noise_law"),
        ("evaluation.colour", "slope_window"),
        ("spectra.colour", "method"),
        ("spectra.networks.soft.colour", "splits"),
        ("references.wavelets.colour", "shifts"),
        ("references.wavelets.moments", "levels"),  # of bandlets
        ("references.known-contour.rule", "images"),
        ("figures.colour", "transition"),
        ("figures.basis.colour", "eigenvectors"),
    ],
)
def test_unknown_key(params: Params, key: str, known: str):
    message = refusal(put(params, key, 1))
    *path, last = key.split(".")
    assert f"params.yaml: {'.'.join(path) or '(top level)'}: " in message
    assert f"'{last}'" in message
    assert re.search(rf"known keys here are .*\b{known}\b", message)
    assert not re.search(rf"known keys here are .*\b{last}\b", message)


MISSING = [
    "results",
    "evaluation",
    "image_classes.soft.alpha",
    "image_classes.soft.images",
    "architectures.small.blocks",
    "architectures.chain.layers",
    "sampling.sampler.steps",
    "experiments.soft.splits",
    "evaluation.sigmas",
    "spectra.method",
    "references.wavelets.denoiser",
    "references.wavelets.images",
    "figures.gap.experiment",
]


@pytest.mark.parametrize("key", MISSING)
def test_missing_key(params: Params, key: str):
    message = refusal(put(params, key, None))
    *path, last = key.split(".")
    assert f"{'.'.join(path) or '(top level)'}: '{last}' is a required property" in message


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        # wrong type
        ("results", 3, "type string"),
        ("image_classes", [], "type object"),
        ("image_classes.soft", "calpha", "type object"),
        ("image_classes.soft.size", "40", "type integer"),
        ("image_classes.soft.size", 8.0, "type integer"),
        ("training.updates", 1e3, "type integer"),
        ("training.updates", True, "type integer"),
        ("training.learning_rate", "fast", "type number"),
        ("training.learning_rate", float("nan"), "type number"),
        ("training.learning_rate", float("inf"), "type number"),
        ("experiments.soft.set_sizes", 10, "type array"),
        ("experiments.soft.set_sizes.0", 1.5, "type integer"),
        ("experiments.hard.training.updates", "10", "type integer"),
        # not one of
        ("image_classes.soft.class", "discs", "one of arrays, calpha"),
        ("image_classes.soft.rendering", "smooth", "one of official, antialiased"),
        ("architectures.small.network", "vit", "one of bf_cnn, unet"),
        ("training.noise_law", "gaussian", "one of log_uniform, squared_uniform, uniform"),
        ("training.weighting", "sigma", "one of annealed, inverse_sigma, inverse_variance, none"),
        ("training.optimiser", "lion", "one of adam, muon, sgd"),
        ("experiments.hard.training.optimiser", "lion", "one of adam, muon, sgd"),
        ("training.schedule", "step", "one of constant, cosine, halving"),
        ("training.precision", "float16", "one of auto, float32, bfloat16"),
        ("experiments.hard.training.compile", "yes", "one of auto, always, never"),
        ("experiments.soft.splits.0", "T1", "text matching ^S[1-9]"),
        ("spectra.method", "power", "one of full, leading"),
        ("figures.transition.aggregation", "median", "one of psnr_of_mean_mse, mean_psnr"),
        (
            "references.wavelets.denoiser",
            "median",
            "one of bandlet, exact, known_contour, memorising, wavelet",
        ),
        # out of range
        ("references.wavelets.images", 1, "at least 2"),
        ("evaluation.sigmas.2", 0, "more than 0"),
        ("evaluation.sigmas.2", -0.1, "more than 0"),
        ("evaluation.sigmas.0", 25, "at most 10"),
        ("evaluation.slope_window.0", 0, "more than 0"),
        ("spectra.sigmas.0", 0, "more than 0"),
        ("figures.basis.sigma", -1, "more than 0"),
        ("training.sigma_range.0", -0.5, "at least 0"),
        ("training.learning_rate", 0, "more than 0"),
        ("training.updates", 0, "at least 1"),
        ("training.batch_size", 0, "at least 1"),
        ("training.threads", 0, "at least 1"),
        ("training.seed", -1, "at least 0"),
        ("image_classes.soft.alpha", 0, "more than 0"),
        ("image_classes.soft.size", 4, "at least 8"),
        ("image_classes.soft.test_images", 0, "at least 1"),
        ("architectures.small.channels", 0, "at least 1"),
        ("architectures.chain.layers", 2, "at least 3"),
        ("evaluation.minimum_draws", 1, "at least 2"),
        ("figures.basis.eigenvectors.0", 0, "at least 1"),
        # lists
        ("experiments.soft.set_sizes", [], "at least 1 entries"),
        ("experiments.soft.set_sizes", [1, 4, 4], "entries that all differ"),
        ("evaluation.slope_window", [0.1], "at least 2 entries"),
        ("evaluation.slope_window", [], "at least 2 entries"),
        # keys without a value
        ("training.updates", None, "type integer"),
        ("image_classes.soft.background_alpha", None, "a value; or leave the key out"),
        ("experiments.soft.snapshots", None, "a value; or leave the key out"),
        ("experiments.hard.training.updates", None, "type integer"),
        ("figures.basis.set_sizes", [1, 4, 16], "at most 2 entries"),
        # names
        ("results", "../elsewhere", "text matching"),
        ("experiments", {}, "at least 1 entries"),
    ],
)
def test_wrong_value(params: Params, key: str, value: Any, allowed: str):
    message = refusal(put(params, key, value, null=True))
    assert f"params.yaml: {key}: found {json.dumps(value)}, allowed is " in message
    assert allowed in message


@pytest.mark.parametrize("section", ["image_classes", "architectures", "experiments"])
def test_names_become_file_names(params: Params, section: str):
    params[section]["two words"] = next(iter(params[section].values()))
    message = refusal(params)
    assert f'{section}: found "two words", allowed is text matching' in message


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # more than half of what the class provides: (72 - 40) / 2
        (
            "experiments.soft.set_sizes.2",
            17,
            "experiments.soft.set_sizes.2: found 17, allowed is at most 16: half of the 72 images",
        ),
        (
            "image_classes.hard.test_images",
            10,
            "experiments.hard.set_sizes.0: found 16, allowed is at most 15",
        ),
        (
            "image_classes.hard.test_images",
            39,
            "image_classes.hard.test_images: found 39, allowed is at most 38",
        ),
        # a size that the poolings cannot halve
        (
            "image_classes.soft.size",
            9,
            "image_classes.soft.size: found 9, allowed is a multiple of 2: the 1 blocks of small",
        ),
        ("architectures.small.blocks", 4, "found 8, allowed is a multiple of 16"),
        # references
        (
            "experiments.soft.image_class",
            "disks",
            'experiments.soft.image_class: found "disks", allowed is one of soft, hard',
        ),
        (
            "experiments.soft.architecture",
            "vit",
            'experiments.soft.architecture: found "vit", allowed is one of small, chain',
        ),
        ("spectra.networks.other", {"set_sizes": [1], "splits": ["S1"]}, 'found "other"'),
        (
            "spectra.networks.soft.set_sizes",
            [4, 5],
            "spectra.networks.soft: set size of soft: found 5, allowed is one of 1, 4, 16",
        ),
        (
            "spectra.networks.hard.splits",
            ["S2"],
            'spectra.networks.hard: split of hard: found "S2", allowed is one of S1',
        ),
        ("figures.gap.experiment", "other", 'figures.gap: experiment: found "other"'),
        ("figures.transition.split", "S0", 'figures.transition.split: found "S0"'),
        ("figures.regularity.set_size", 4, "figures.regularity: set size of hard: found 4"),
        # limits that depend on another key
        (
            "training.noise_law",
            "log_uniform",
            "params.yaml: training.sigma_range: found [0, 1], allowed is a lowest value above 0 when noise",
        ),
        ("training.sigma_range", [1, 0.5], "found [1, 0.5], allowed is a lower value first"),
        (
            "experiments.hard.training.sigma_range",
            [0.5, 0.5],
            "experiments.hard.training.sigma_range: found [0.5, 0.5]",
        ),
        (
            "evaluation.slope_window",
            [0.3, 0.03],
            "evaluation.slope_window: found [0.3, 0.03], allowed is a lower value first",
        ),
        (
            "evaluation.slope_window",
            [0.2, 0.5],
            "evaluation.slope_window: found [0.2, 0.5], allowed is a window of at least 3 of "
            "evaluation.sigmas; it holds 1",
        ),
        ("spectra.eigenvectors", 65, "spectra.eigenvectors: found 65, allowed is at most 64"),
        (
            "spectra.test_images",
            [0, 8],
            "spectra.test_images.1: found 8, allowed is at most 7, the last test image of hard",
        ),
        # figures of spectra that are not computed
        ("figures.basis.image", 2, "figures.basis.image: found 2, allowed is one of 0, 1"),
        ("figures.basis.sigma", 0.3, "figures.basis.sigma: found 0.3, allowed is one of 0.1"),
        (
            "figures.basis.eigenvectors",
            [1, 9],
            "figures.basis.eigenvectors.1: found 9, allowed is at most 8",
        ),
        (
            "figures.basis.set_sizes",
            [1, 16],
            "figures.basis: needs the spectra of soft at N = 1, 16 on S1, which spectra.networks",
        ),
        ("figures.basis.split", "S2", "figures.basis: needs the spectra of soft"),
        ("spectra.networks.hard", None, "figures.regularity: needs the spectra of hard"),
        # what an experiment says of its spectra for itself
        (
            "spectra.networks.soft.eigenvectors",
            65,
            "spectra.networks.soft.eigenvectors: found 65, allowed is at most 64",
        ),
        (
            "spectra.networks.hard.test_images",
            [0, 8],
            "spectra.networks.hard.test_images.1: found 8, allowed is at most 7, the last test image",
        ),
        (
            "spectra.networks.soft.sigmas",
            [0.2, 0.3],
            "figures.basis.sigma: found 0.1, allowed is one of 0.2, 0.3",
        ),
        (
            "spectra.networks.soft.eigenvectors",
            3,
            "figures.basis.eigenvectors.2: found 4, allowed is at most 3",
        ),
        # exact and classical denoisers
        (
            "evaluation.references.soft.1",
            "curvelets",
            'evaluation.references.soft.1: found "curvelets", allowed is one of known-contour, wave',
        ),
        (
            "evaluation.references.other",
            ["wavelets"],
            'evaluation.references.other: found "other", allowed is one of soft, hard',
        ),
        (
            "references.wavelets",
            {"denoiser": "exact", "images": 12},
            "evaluation.references.soft.1: found wavelets, whose denoiser exact is known for image "
            "classes disks, gaussian, rays, sines, and these shuffled; soft is calpha",
        ),
        (
            "spectra.networks.soft.references.0",
            "curvelets",
            'spectra.networks.soft.references.0: found "curvelets", allowed is one of known-contour',
        ),
        (
            "spectra.networks.soft.references.0",
            "known-contour",
            "spectra.networks.soft.references.0: found known-contour, which is a bound on the error",
        ),
        (
            "references.wavelets.rule",
            "oracle",
            "spectra.networks.soft.references.0: found wavelets, which looks at the clean image",
        ),
        (
            "references",
            None,
            'evaluation.references.soft.0: found "known-contour", allowed is one of',
        ),
        (
            "references.wavelets.images",
            41,
            "references.wavelets.images: found 41, allowed is at most 40, the test images of soft",
        ),
        (
            "references.wavelets.wavelet",
            "harr",
            'references.wavelets.wavelet: found "harr", allowed is an orthogonal one',
        ),
        (
            "references.wavelets.wavelet",
            "bior2.2",
            'references.wavelets.wavelet: found "bior2.2", allowed is an orthogonal one',
        ),
        (
            "references.wavelets.shifts",
            3,
            "references.wavelets.shifts: found 3, allowed is at most 2: others would repeat them on soft",
        ),
        (
            "references.wavelets.levels",
            4,
            "references.wavelets.levels: found 4, allowed is at most 3: the 8 pixels of soft",
        ),
        (
            "experiments.soft.splits",
            ["S1", "S3"],
            "experiments.soft.set_sizes.2: found 16, allowed is at most 8: half of the 72 images of "
            "soft less its 40 test images, for 2 training sets each (to S3)",
        ),
        (
            "experiments.soft.snapshots",
            {"first": 30, "count": 3},
            "experiments.soft.snapshots.first: found 30, allowed is at most 29: the networks are "
            "trained for 30 updates",
        ),
        (
            "experiments.soft.evaluation",
            False,
            "figures.transition: needs tables of PSNR of soft, which experiments.soft.evaluation "
            "switches off",
        ),
        (
            "ensembles.experiments",
            ["soft", "other"],
            'ensembles.experiments.1: found "other", allowed is one of soft, hard',
        ),
        (
            "ensembles.sigmas",
            [0.3, 0.1],
            "ensembles.sigmas: found [0.3, 0.1], allowed is noise levels in ascending order",
        ),
        (
            "ensembles.sigmas_over_training",
            [0.3, 0.2],
            "ensembles.sigmas_over_training.1: found 0.2, allowed is one of 0.1, 0.3, 0.9",
        ),
        ("sampling.shown", 6, "sampling.shown: found 6, allowed is at most 5, the number of"),
        (
            "figures.bounds.upper",
            ["wavelets", "bandlets"],
            "figures.bounds: needs the evaluation of bandlets on soft, which "
            "evaluation.references.soft does not list",
        ),
        (
            "evaluation.references",
            None,
            "figures.bounds: needs the evaluation of known-contour on soft",
        ),
    ],
)
def test_inconsistency(params: Params, key: str, value: Any, expected: str):
    assert expected in refusal(put(params, key, value))


def test_full_jacobian_has_a_limit(params: Params):
    put(params, "image_classes.hard.size", 82)
    assert "spectra.method: found full, allowed is leading: hard has 6724" in refusal(params)
    validate(put(params, "spectra.method", "leading"))


def test_a_contour_is_known_for_calpha_images_alone(params: Params):
    field = {"class": "gaussian", "exponent": 3, "mean": 0.5, "standard_deviation": 0.15}
    params["image_classes"]["field"] = field | {
        "size": 8,
        "images": 40,
        "test_images": 12,
        "seed": 0,
    }
    params["evaluation"]["references"]["field"] = ["wavelets", "known-contour"]
    (message,) = refusal(params).splitlines()
    assert message == (
        "params.yaml: evaluation.references.field.1: found known-contour, whose denoiser "
        "known_contour is known for image classes calpha; field is gaussian"
    )
    params["references"]["exact"] = {"denoiser": "exact", "images": 8}
    params["evaluation"]["references"]["field"] = ["wavelets", "exact"]
    validate(params)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"radius": [4, 4]}, "radius: found [4, 4], allowed is 0 < lowest < highest"),
        ({"radius": [0, 4]}, "radius: found [0, 4], allowed is 0 < lowest < highest"),
        ({"radius": [2, 8]}, "radius: found [2, 8], allowed is a highest value below 8, half the"),
        ({"centre": [9, 5]}, "centre: found [9, 5], allowed is a lower value first"),
        (
            {"radius": [2.1, 2.9], "parameters": "integer"},
            "radius: found [2.1, 2.9], allowed is a range that holds a whole number",
        ),
        (
            {"centre": [7.2, 7.8], "parameters": "integer"},
            "centre: found [7.2, 7.8], allowed is a range that holds a whole number",
        ),
        ({"radius": [2, 7.9]}, None),
        ({"radius": [2, 9], "centre": [7, 8]}, None),
        ({"radius": [2.1, 2.9]}, None),
        ({"centre": [7.2, 7.8]}, None),
        ({"parameters": "integer"}, None),
    ],
)
def test_disks_exist(params: Params, changes: Params, expected: str | None):
    """As the class itself finds: what is refused here, it refuses too, and nothing else."""
    disks = {"class": "disks", "rendering": "antialiased", "parameters": "continuous"}
    disks |= {"size": 16, "images": 40, "test_images": 8, "seed": 0}
    params["image_classes"]["disks"] = disks | changes
    if expected is None:
        validate(params)
        image_class(dataset_spec(params, "disks"))
        return
    assert f"params.yaml: image_classes.disks.{expected}" in refusal(params)
    with pytest.raises(ValueError, match=r"radius|centre"):
        image_class(dataset_spec(params, "disks"))


def test_shuffled_images_are_known_where_those_underneath_are(params: Params):
    disks = {"class": "disks", "rendering": "antialiased", "parameters": "continuous"}
    params["image_classes"] |= {
        "disks": disks | {"size": 8, "images": 40, "test_images": 8, "seed": 0},
        "mixed-soft": {"class": "shuffled", "of": "soft", "permutation_seed": 0},
        "mixed-disks": {"class": "shuffled", "of": "disks", "permutation_seed": 0},
    }
    params["references"]["exact"] = {"denoiser": "exact", "images": 8}
    params["evaluation"]["references"] |= {"mixed-disks": ["exact"], "mixed-soft": ["exact"]}
    (message,) = refusal(params).splitlines()
    assert message == (
        "params.yaml: evaluation.references.mixed-soft.0: found exact, whose denoiser exact is known "
        "for image classes disks, gaussian, rays, sines, and these shuffled; mixed-soft is shuffled, "
        "of soft, which is calpha"
    )
    del params["evaluation"]["references"]["mixed-soft"]
    validate(params)


def test_wavelets_are_known_by_the_names_that_denoisers_know(params: Params):
    from gahb.denoisers.classical.transform import step_matrix  # and torch with it

    for wavelet in pywt.wavelist(kind="discrete"):
        put(params, "references.wavelets.wavelet", wavelet)
        try:
            step_matrix(wavelet, 8)
        except ValueError:
            assert "allowed is an orthogonal one" in refusal(params)
        else:
            validate(params)


def test_a_sampler_starts_and_ends_where_it_is_told(params: Params):
    """Levels of a geometric schedule are free; a process has those that it reaches."""
    params["sampling"]["sampler"] |= {"sigma_range": [0.002, 80]}
    validate(params)
    params["sampling"]["sampler"] |= {"schedule": "linear"}
    assert (
        "sampling.sampler.sigma_range: found [0.002, 80.0], allowed is 0.0100005 to 157.407 for a linear"
        in refusal(params)
    )
    params["sampling"]["sampler"] |= {"sigma_range": [0.02, 80]}
    validate(params)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("sampling.sampler.steps", 1, "sampling.sampler.steps: found 1, allowed is at least 2"),
        ("sampling.sampler.order", 4, "sampling.sampler.order: found 4, allowed is at most 3"),
        ("image_classes.soft.alpha", 0, "image_classes.soft.alpha: found 0, allowed is more"),
        ("image_classes.soft.alpha", None, "image_classes.soft: 'alpha' is a required property"),
        ("architectures.chain.layers", 2, "architectures.chain.layers: found 2, allowed is at"),
        ("references.wavelets.shifts", 0, "references.wavelets.shifts: found 0, allowed is"),
    ],
)
def test_known_keys_are_not_called_unknown(params: Params, key: str, value: Any, expected: str):
    """In a section whose keys depend on its kind, one wrong value is one wrong value."""
    message = refusal(put(params, key, value))
    assert expected in message
    assert "known keys" not in message
    put(params, ".".join([*key.split(".")[:-1], "colour"]), "red")
    assert "unknown are 'colour'; known keys here are" in refusal(params)


def test_no_figure_is_of_the_optimum_for_unknown_training_sets(params: Params):
    experiment = params["experiments"]["hard"]
    experiment.pop("training")
    experiment["imported"] = {"N16_S1": {"file": "published.pt"}}
    assert "hard" in validate(params)["experiments"]
    put(params, "figures.transition.experiment", "hard")
    assert (
        "figures.transition: needs the optimum for each training set of hard, whose networks are "
        "imported; allowed is an experiment with training sets of its own"
    ) in refusal(params)


def test_a_memorising_reference_fits_its_class(params: Params):
    entry = {"denoiser": "memorising", "set_size": 16, "split": "S2", "images": 8}
    params["references"]["memorising-16"] = entry
    params["evaluation"]["references"] |= {"soft": ["known-contour", "wavelets", "memorising-16"]}
    params["spectra"]["networks"]["soft"]["references"] = ["memorising-16"]
    validate(params)
    put(params, "references.memorising-16.set_size", 17)
    assert (
        "references.memorising-16.set_size: found 17, allowed is at most 16: half of the 72 images of "
        "soft less its 40 test images"
    ) in refusal(params)
    put(params, "references.memorising-16.set_size", None)
    assert "references.memorising-16: 'set_size' is a required property" in refusal(params)


def test_an_oracle_may_be_evaluated(params: Params):
    params["references"]["oracle"] = {"denoiser": "wavelet", "rule": "oracle", "images": 8}
    params["evaluation"]["references"]["soft"].append("oracle")
    validate(params)


def test_references_may_be_left_out(params: Params):
    del params["references"]
    del params["evaluation"]["references"]
    del params["spectra"]["networks"]["soft"]["references"]
    del params["figures"]["bounds"]
    validate(params)


def test_log_uniform_from_above_zero_is_allowed(params: Params):
    put(params, "training.noise_law", "log_uniform")
    put(params, "training.sigma_range", [0.01, 1])
    validate(params)
    put(params, "experiments.hard.training.sigma_range", [0, 1])
    message = refusal(params)
    assert "experiments.hard.training.sigma_range" in message
    assert "experiments.soft" not in message


def test_largest_set_is_allowed(params: Params):
    put(params, "image_classes.soft.test_images", 39)  # 33 left, one of them unused
    validate(params)


def test_all_errors_are_told_at_once(params: Params):
    put(params, "training.updates", 0)
    put(params, "evaluation.sigmas.0", -1)
    assert len(refusal(params).splitlines()) == 2
    put(params, "training.updates", 5)
    put(params, "evaluation.sigmas.0", 1)
    put(params, "experiments.soft.set_sizes.2", 99)
    put(params, "image_classes.hard.test_images", 39)
    lines = refusal(params).splitlines()
    assert len(lines) > 2
    assert len(set(lines)) == len(lines)


# ---------------------------------------------------------------------------------------------
# YAML


def test_both_sides_of_a_merge(root: Path, project: Callable[..., Path]):
    text = (root / "params.yaml").read_text() + "\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"
    with pytest.raises(
        ParamsError, match=r"params\.yaml holds both sides of a merge \(<<<<<<< HEAD"
    ):
        load_params(project(text))


def test_duplicate_keys(root: Path, project: Callable[..., Path]):
    text = (root / "params.yaml").read_text()
    with pytest.raises(ParamsError, match=r"(?s)params\.yaml is not YAML.*'results' twice"):
        load_params(project(text + "\nresults: elsewhere\n"))
    deep = text.replace("  updates:", "  updates: 7\n  updates:")
    assert deep != text
    with pytest.raises(ParamsError, match=r"(?s)'updates' twice.*line \d+"):
        load_params(project(deep))
    with pytest.raises(ParamsError, match=r"(?s)double\.yaml is not YAML.*'seed' twice"):
        load_params(project(text, double="training: {seed: 1, seed: 2}"), "double")


@pytest.mark.parametrize("key", ["1", "yes", "2020-01-01", "[1, 2]"])
def test_keys_are_text(project: Callable[..., Path], key: str):
    with pytest.raises(ParamsError, match=r"(?s)is not YAML: found the key .*in quotes"):
        load_params(project(f"experiments: {{? {key} : {{}}}}"))


def test_numbers_with_an_exponent(project: Callable[..., Path], params: Params):
    text = yaml.safe_dump(params).replace("learning_rate: 0.01", "learning_rate: 1e-2")
    assert "1e-2" in text
    assert load_params(project(text))["training"]["learning_rate"] == 0.01
    text = text.replace("title: Gap", "title: 1e-2 or '1e-2'")
    assert load_params(project(text))["figures"]["gap"]["title"] == "1e-2 or '1e-2'"


def test_values_that_json_lacks(project: Callable[..., Path], params: Params):
    text = yaml.safe_dump(params).replace("title: Gap", "title: 2024-05-06")
    with pytest.raises(ParamsError, match=r'figures\.gap\.title: found "2024-05-06".*string'):
        load_params(project(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "must be a mapping, found NoneType"),
        ("- results", "must be a mapping, found list"),
        ("results: [", "is not YAML"),
        ("results: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_not_a_params_file(project: Callable[..., Path], text: str, expected: str):
    with pytest.raises(ParamsError, match=rf"params\.yaml {expected}"):
        load_params(project(text))


def test_missing_files(tmp_path: Path, root: Path):
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read: No such file"):
        load_params(tmp_path)
    with pytest.raises(ParamsError, match=r"preset: found 'nosuch', allowed are .*paper.*smoke"):
        load_params(root, "nosuch")


# ---------------------------------------------------------------------------------------------
# Overlays


def test_overlay_semantics():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 2, "c": {"z": 3}}
    before = copy.deepcopy(base)
    merged = overlay(base, {"a": {"y": [3], "new": {"deep": 4}}, "b": None, "c": 5, "d": None})
    assert merged == {"a": {"x": 1, "y": [3], "new": {"deep": 4}}, "c": 5}
    assert base == before


def test_only_what_is_named_is_kept():
    base = {"a": {"x": {"deep": 1, "other": 2}, "y": 2}, "b": {"z": 3}}
    before = copy.deepcopy(base)
    assert overlay(base, {"a": Only({"x": {"deep": 4}})}) == {
        "a": {"x": {"deep": 4, "other": 2}},  # of what is kept, the rest stays
        "b": {"z": 3},
    }
    assert overlay(base, {"a": Only({"x": {}, "new": {"v": 5}})}) == {
        "a": {"x": {"deep": 1, "other": 2}, "new": {"v": 5}},
        "b": {"z": 3},
    }
    assert overlay(base, {"a": Only({"x": None})})["a"] == {}
    assert overlay(base, {"a": Only({"x": Only({"other": 6})})})["a"] == {"x": {"other": 6}}
    assert overlay(base, Only({"b": {"z": 7}})) == {"b": {"z": 7}}
    assert base == before


def test_only_in_a_preset(project: Callable[..., Path], params: Params):
    root = project(
        yaml.safe_dump(params),
        few="experiments: !only\n  soft: {set_sizes: [4, 16]}\n"
        "spectra: {networks: !only {soft: {}}}\n"
        "figures: !only {basis: {title: Few}, bounds: {}}\n",
        flat="experiments: !only soft\n",
        listed="experiments: !only [soft]\n",
    )
    found = load_params(root, "few")
    assert found["experiments"] == {"soft": params["experiments"]["soft"] | {"set_sizes": [4, 16]}}
    assert found["spectra"]["networks"] == {"soft": params["spectra"]["networks"]["soft"]}
    assert found["figures"] == {
        "basis": params["figures"]["basis"] | {"title": "Few"},
        "bounds": params["figures"]["bounds"],
    }
    assert found["image_classes"] == params["image_classes"]
    canonical_json(found)
    for preset in ("flat", "listed"):
        message = rf"(?s){preset}\.yaml is not YAML: found !only before what is no mapping.*line 1"
        with pytest.raises(ParamsError, match=message):
            load_params(root, preset)


def test_only_refuses_a_key_given_twice(project: Callable[..., Path], params: Params):
    root = project(yaml.safe_dump(params), double="figures: !only {gap: {}, gap: {}}")
    with pytest.raises(ParamsError, match=r"(?s)double\.yaml is not YAML.*'gap' twice"):
        load_params(root, "double")


TREES = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@settings(max_examples=60)
@given(base=MAPPINGS, changes=MAPPINGS)
def test_overlay_properties(base: Params, changes: Params):
    assert overlay(base, {}) == base
    assert overlay({}, changes) == changes
    assert overlay(base, base) == base
    merged = overlay(base, changes)
    assert overlay(merged, changes) == merged
    assert overlay(base, dict.fromkeys(base)) == {}
    assert set(merged) == set(base) | set(changes)


def test_preset_is_laid_over_and_checked(project: Callable[..., Path], params: Params):
    text = yaml.safe_dump(params)
    root = project(
        text,
        tiny="training: {updates: 3}\nexperiments: {hard: null}\nspectra: {networks: {hard: null}}"
        "\nfigures: {regularity: {experiments: [soft]}}",
        broken="training: {updates: 0}",
    )
    found = load_params(root, "tiny")
    assert found["training"] == params["training"] | {"updates": 3}
    assert list(found["experiments"]) == ["soft"]
    assert load_params(root) == params
    with pytest.raises(ParamsError, match=r"training\.updates: found 0"):
        load_params(root, "broken")


# ---------------------------------------------------------------------------------------------
# Specs


def all_specs(params: Params) -> dict[str, str]:
    """The JSON of every artifact's spec, by name."""
    specs: dict[str, Any] = {
        f"dataset {n}": dataset_spec(params, n) for n in params["image_classes"]
    }
    for name, chosen in params["experiments"].items():
        for size in chosen["set_sizes"]:
            for split in chosen["splits"]:
                key = f"{name} {size} {split}"
                specs[f"network {key}"] = network_spec(params, name, size, split)
                specs[f"evaluation {key}"] = evaluation_spec(params, name, size, split)
                specs[f"memorising {key}"] = memorising_spec(params, name, size, split)
            if len(chosen["splits"]) == 2:
                specs[f"agreement {name} {size}"] = agreement_spec(params, name, size)
    for name, chosen in params["spectra"]["networks"].items():
        for size in chosen["set_sizes"]:
            specs[f"spectra {name} {size}"] = spectra_spec(params, name, size, "S1")
        for reference in chosen.get("references", []):
            found = reference_spectra_spec(params, name, reference)
            specs[f"reference spectra {name} {reference}"] = found
    for name, references in params["evaluation"]["references"].items():
        for reference in references:
            specs[f"reference {name} {reference}"] = reference_spec(params, name, reference)
    specs["summary"] = summary_spec(params)
    specs |= {f"figure {name}": figure_spec(params, name) for name in params["figures"]}
    return {name: canonical_json(spec) for name, spec in specs.items()}


MEASURED = r"reference soft .*"  # evaluations of references


@pytest.mark.parametrize(
    ("key", "value", "changed"),
    [
        ("evaluation.slope_window", [0.03, 1.0], r"summary"),
        ("evaluation.seed", 5, rf"(evaluation|memorising|agreement) .*|{MEASURED}"),
        (
            "evaluation.sigmas",
            [1.0, 0.3, 0.1, 0.04],
            rf"(evaluation|memorising|agreement) .*|{MEASURED}",
        ),
        ("references.wavelets.images", 11, r"reference (spectra )?soft wavelets"),
        ("references.wavelets.shifts", 2, r"reference (spectra )?soft wavelets"),
        ("references.known-contour.images", 11, r"reference soft known-contour"),
        (
            "experiments.hard.training.updates",
            11,
            r"(network|evaluation|spectra) hard .*",
        ),
        ("training.updates", 31, r"(network|evaluation|spectra|agreement) soft .*"),
        ("training.seed", 1, r"(network|evaluation|spectra|agreement) .*"),
        ("architectures.chain.channels", 5, r"(network|evaluation|spectra) hard .*"),
        (
            "image_classes.hard.seed",
            9,
            r"dataset hard|(network|evaluation|memorising|spectra) hard .*",
        ),
        ("spectra.eigenvectors", 10, r"(reference )?spectra .*"),
        ("spectra.test_images", [0, 1, 2], r"(reference )?spectra .*"),
        ("spectra.networks.soft.eigenvectors", 10, r"(reference )?spectra soft .*"),
        ("spectra.networks.hard.sigmas", [0.1, 0.2], r"spectra hard .*"),
        ("figures.gap.title", "Another", r"figure gap"),
        ("results", "elsewhere", r"(?!)"),
    ],
)
def test_specs_change_exactly_where_they_should(params: Params, key: str, value: Any, changed: str):
    before = all_specs(params)
    after = all_specs(validate(put(params, key, value)))
    assert before.keys() == after.keys()
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {name for name in before if re.fullmatch(changed, name)}


def test_new_networks_leave_the_others_alone(params: Params):
    before = all_specs(params)
    params["spectra"]["networks"]["soft"]["splits"] = ["S1", "S2"]
    params["experiments"]["soft"]["set_sizes"] = [1, 2, 4, 16]
    params["architectures"]["other"] = {"network": "unet", "blocks": 1, "channels": 6}
    after = all_specs(validate(params))
    assert set(after) - set(before)
    assert {name: after[name] for name in before} == before


def test_specs_of_all_artifacts_differ(params: Params):
    specs = all_specs(params)
    assert len(set(specs.values())) == len(specs)


def test_defaults_are_filled_in(params: Params):
    assert dataset_spec(params, "soft")["background_alpha"] == 3
    assert dataset_spec(params, "hard")["background_alpha"] == 2
    spec = network_spec(params, "hard", 16, "S1")
    assert spec["training"] == params["training"] | {"updates": 10}
    assert spec["architecture"] == params["architectures"]["chain"]
    assert spec["dataset"] == dataset_spec(params, "hard")
    assert network_spec(params, "soft", "16", "S1")["set_size"] == 16  # a wildcard is text
    updates = params["training"].pop("updates")
    assert validate(params)["training"].keys().isdisjoint({"updates"})
    assert network_spec(params, "soft", 16, "S1")["training"]["updates"] == 800 != updates
    del params["training"]
    in_full = network_spec(validate(params), "hard", 16, "S1")["training"]
    assert set(in_full) == set(Training.model_fields) - {"recipe"}


def test_spectra_of_an_experiment_have_their_own_settings(params: Params):
    own = {"sigmas": [0.1, 0.5], "eigenvectors": 9, "method": "leading", "test_images": [3]}
    params["spectra"]["networks"]["soft"] |= own
    common = {name: value for name, value in params["spectra"].items() if name != "networks"}
    assert spectra_settings(params, "soft") == common | own
    assert spectra_settings(params, "hard") == common
    assert spectra_spec(params, "soft", 4, "S1")["spectra"] == common | own
    reference = reference_spectra_spec(params, "soft", "wavelets")
    assert reference["spectra"] == common | own  # at the same noisy images as the networks
    assert reference["reference"] == {"name": "wavelets"} | params["references"]["wavelets"]
    assert reference["dataset"] == dataset_spec(params, "soft")


def test_references_are_measured_as_networks_are(params: Params):
    found = reference_spec(params, "soft", "known-contour")
    assert found["evaluation"] == evaluation_spec(params, "soft", 4, "S1")["evaluation"]
    assert not {"references", "slope_window"} & set(found["evaluation"])
    assert found["image_class"] == "soft"


def test_specs_survive_the_command_line(params: Params):
    for text in all_specs(params).values():
        assert canonical_json(json.loads(text)) == text


def reseeded(params: Params) -> Params:
    """The tiny project with a control of its networks of S1."""
    soft = params["experiments"]["soft"]
    params["experiments"]["again"] = soft | {"set_sizes": [4], "training": {"seed": 5}}
    params["evaluation"]["controls"] = {"again": "soft"}
    return params


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("controls.again", "other", 'controls.again: found "other", allowed is one of soft, hard'),
        ("controls", {"other": "soft"}, 'evaluation.controls.other: found "other", allowed is one'),
        (
            "experiments.again.training",
            {"updates": 31},
            "evaluation.controls.again: found soft, from which it differs in updates; allowed are "
            "experiments that differ in training.seed alone",
        ),
        ("experiments.again.training", {}, "it differs in nothing; allowed"),
        ("experiments.again.architecture", "chain", "it differs in architecture, seed; allowed"),
        (
            "experiments.again.splits",
            ["S2"],
            "allowed are experiments that share a set size and S1",
        ),
        (
            "experiments.again.set_sizes",
            [5],
            "allowed are experiments that share a set size and S1",
        ),
    ],
)
def test_a_control_differs_in_its_seed_alone(params: Params, key: str, value: Any, expected: str):
    validate(reseeded(params))
    where = key if key.startswith("experiments") else f"evaluation.{key}"
    assert expected in refusal(put(params, where, value))


def test_a_control_changes_no_other_spec(params: Params):
    before = all_specs(params)
    after = all_specs(validate(reseeded(params)))
    assert {name: after[name] for name in before} == before


def test_bounds_need_three_noise_levels_that_were_trained_at(params: Params):
    params["image_classes"]["soft"] = {
        "class": "rays",
        "size": 8,
        "exponent": 3,
        "images": 72,
        "test_images": 40,
        "seed": 0,
    }
    params["evaluation"]["references"] = {}
    params["spectra"]["networks"]["soft"]["references"] = []
    del params["figures"]["bounds"], params["figures"]["adaptivity"]
    params["ensembles"] |= {"sigmas": [0.5, 0.9, 1.1], "sigmas_over_training": [0.9]}
    message = refusal(params)
    assert "ensembles.sigmas: found [0.5, 0.9, 1.1], of which 2 are in [0, 1]" in message
    params["ensembles"]["sigmas"] = [0.4, 0.5, 0.9, 1.1]
    validate(params)
    params["training"]["sigma_range"] = [0.45, 2]
    message = refusal(params)
    assert (
        "ensembles.sigmas.0: found 0.4, allowed is at least 0.45, the lowest that soft" in message
    )
