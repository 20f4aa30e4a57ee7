"""Image classes against their definitions, how they are found, and how params.yaml names them."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from helpers.refusals import refusal

from gahb.artifacts import digest_file
from gahb.datasets.classes.calpha import CAlpha
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.classes.rays import Rays
from gahb.datasets.classes.shuffled import Shuffled
from gahb.datasets.classes.sines import Sines
from gahb.datasets.image_class import image_class
from gahb.datasets.power_law import power_law
from gahb.datasets.store import BLOCK, open_dataset, render_blocks, write_dataset
from gahb.denoisers.training import train
from gahb.params import dataset_spec, network_spec, validate

Params = dict[str, Any]
COUNTS = {"size": 8, "images": 72, "test_images": 40, "seed": 5}
GIVEN: Params = {
    "field": COUNTS | {"class": "gaussian", "exponent": 4, "mean": 0.5, "standard_deviation": 0.15},
    "ray": COUNTS | {"class": "rays", "exponent": 4},
    "sine": COUNTS | {"class": "sines", "frequency": [2, 1]},
    "cartoon": COUNTS | {"class": "calpha", "alpha": 2, "rendering": "antialiased"},
    "shuffled-cartoon": {"class": "shuffled", "of": "cartoon", "permutation_seed": 1},
    "shuffled-field": {"class": "shuffled", "of": "field", "permutation_seed": 0},
}


@pytest.fixture
def params(params: Params) -> Params:
    """The tiny project's params.yaml with image classes of every kind, free to be changed."""
    params["image_classes"] |= copy.deepcopy(GIVEN)
    return params


# ---------------------------------------------------------------------------------------------
# Each class is its definition


@pytest.mark.parametrize(("size", "exponent"), [(8, 4), (9, 2), (8, 0)])
def test_gaussian_fields_have_their_spectrum(size: int, exponent: float):
    fields = Gaussian(size=size, seed=1, exponent=exponent, mean=0.5, standard_deviation=0.15)
    spectrum = fields.spectrum()
    for down, across in product(range(size), repeat=2):
        k = np.hypot(min(down, size - down), min(across, size - across))
        expected = spectrum[0, 1] * max(k, 1) ** -float(exponent)
        assert spectrum[down, across] == pytest.approx(expected)
    assert spectrum.sum() == pytest.approx(size**2 * 0.15**2)

    images = 4000
    drawn = fields.render(0, images).astype(float)
    coefficients = np.fft.fft2(drawn - 0.5, norm="ortho")
    power = (np.abs(coefficients) ** 2).mean(0) / spectrum
    # the power of a real mode is chi-squared of one degree of freedom, at most
    assert np.abs(power - 1).max() < 4.5 * np.sqrt(2 / images)
    whitened = (coefficients / np.sqrt(spectrum)).reshape(images, -1)
    mixed = np.abs(whitened.T @ whitened.conj() / images - np.diag(power.ravel()))
    assert mixed.max() < 5 / np.sqrt(images)  # stationary: modes are uncorrelated
    largest = np.sqrt(spectrum[0, 0] / size**2 / images)
    assert abs(drawn.mean() - 0.5) < 4 * largest
    assert scipy.stats.kstest((drawn[:, 2, 3] - 0.5) / 0.15, "norm").pvalue > 1e-3


def test_gaussian_fields_are_mostly_images():
    """The share outside [0, 1] that the docstring states: one pixel in 1200."""
    drawn = Gaussian(size=8, seed=0, exponent=4, mean=0.5, standard_deviation=0.15).render(0, 4000)
    outside = ((drawn < 0) | (drawn > 1)).mean()
    assert 0 < outside == pytest.approx(2 * scipy.stats.norm.sf(0.5 / 0.15), rel=0.4)


def test_rays_are_one_image_in_uniform_intensity():
    rays = Rays(size=8, seed=3, exponent=4)
    image = rays.image()
    assert (image.min(), image.max()) == (0, 1)
    drawn = rays.render(0, 1000)
    intensity = drawn.max(axis=(1, 2))
    np.testing.assert_allclose(drawn, intensity[:, None, None] * image, atol=1e-7)
    assert scipy.stats.kstest(intensity, "uniform").pvalue > 1e-3
    assert not np.allclose(Rays(size=8, seed=4, exponent=4).image(), image)


@pytest.mark.parametrize(("low", "high"), [(1, 3), (3, 6)])
def test_rays_are_as_regular_as_asked(low: float, high: float):
    """A larger exponent leaves less of the image at high frequencies."""

    def roughness(exponent: float) -> float:
        power = np.abs(np.fft.fft2(Rays(size=32, seed=3, exponent=exponent).image())) ** 2
        return float(power[power_law(32, -1) > 8].sum() / power.ravel()[1:].sum())

    assert roughness(high) < roughness(low) / 2


@pytest.mark.parametrize("frequency", [(2, 1), (0, 3), (-1, 4), (7, 0)])
def test_sines_are_waves_of_random_phase_and_intensity(frequency: tuple[int, int]):
    size, images = 9, 500
    sines = Sines(size=size, seed=2, frequency=frequency)
    drawn = sines.render(0, images).astype(float)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    modes = np.fft.fft2(drawn) / size**2
    down, across = frequency
    wave = modes[:, down % size, across % size]
    intensity, phase = 2 * modes[:, 0, 0].real, np.angle(wave)
    np.testing.assert_allclose(4 * np.abs(wave), intensity, atol=1e-6)
    row, column = np.indices((size, size))
    cycles = (down * row + across * column) / size
    waves = np.cos(2 * np.pi * cycles + phase[:, None, None])
    expected = intensity[:, None, None] * (1 + waves) / 2
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    assert scipy.stats.kstest(intensity, "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(phase / (2 * np.pi) % 1, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(intensity, np.cos(phase))[0, 1]) < 4 / np.sqrt(images)


@pytest.mark.parametrize(("down", "across", "valid"), [(0, 0, 0), (4, 4, 0), (0, 4, 0), (4, 1, 1)])
def test_the_two_waves_are_independent(down: int, across: int, valid: bool):
    if not valid:
        with pytest.raises(ValueError, match=rf"frequency\s.*\[{down}, {across}\]"):
            Sines(size=8, seed=0, frequency=(down, across))
        return
    waves = Sines(size=8, seed=0, frequency=(down, across)).waves().reshape(2, -1)
    basis = np.vstack([np.ones(64), waves])
    np.testing.assert_allclose(basis @ basis.T, np.diag([64, 32, 32]), atol=1e-12)


def test_shuffled_images_are_the_images_in_another_order():
    base = CAlpha(size=8, seed=3, alpha=2, background_alpha=2, rendering="antialiased")
    shuffled = Shuffled(of=base, permutation_seed=7)
    order = shuffled.permutation()
    np.testing.assert_array_equal(np.sort(order), np.arange(64))
    assert (order != np.arange(64)).mean() > 0.9
    assert shuffled.size == 8
    original, drawn = base.render(4, 20), shuffled.render(4, 20)
    for before, after in zip(original, drawn, strict=True):
        np.testing.assert_array_equal(after.ravel(), before.ravel()[order])
        assert not np.array_equal(after, before)
    assert not np.array_equal(Shuffled(of=base, permutation_seed=8).permutation(), order)
    distances = [np.linalg.norm(images[0] - images[1]) for images in (original, drawn)]
    assert distances[0] == pytest.approx(distances[1])


# ---------------------------------------------------------------------------------------------
# C^alpha with the regularities of contour and backgrounds apart, as in figures 17 and 18


@pytest.mark.parametrize("rendering", ["official", "antialiased"])
@pytest.mark.parametrize(("alpha", "background_alpha"), [(1.5, 8), (2, 8), (4, 8), (8, 1.5)])
def test_regularities_are_set_apart(rendering: str, alpha: float, background_alpha: float):
    """The contour depends on alpha alone and the fields on background_alpha alone."""

    def parts(alpha: float, background_alpha: float) -> Any:
        return CAlpha(
            size=32, seed=0, alpha=alpha, background_alpha=background_alpha, rendering=rendering
        ).parts(0, 24)

    asked = parts(alpha, background_alpha)
    same_contour, same_fields = parts(alpha, 3), parts(3, background_alpha)
    np.testing.assert_array_equal(asked.mask, same_contour.mask)
    np.testing.assert_array_equal(asked.fields, same_fields.fields)
    assert not np.array_equal(asked.mask, same_fields.mask)
    assert not np.array_equal(asked.fields, same_contour.fields)

    power = (np.abs(np.fft.fft2(asked.fields.astype(float))) ** 2).mean((0, 1))
    k = np.arange(1, 6)  # above, the power at decay 16 is that of rounding to float32
    slope = np.polyfit(np.log(k), np.log(power[0, 1:6] + power[1:6, 0]), 1)[0]
    assert slope == pytest.approx(-2 * background_alpha, abs=0.8)


@pytest.mark.parametrize("rendering", ["official", "antialiased"])
def test_images_are_the_sum_of_their_parts(rendering: str):
    drawn = CAlpha(size=10, seed=4, alpha=2, background_alpha=3, rendering=rendering)
    parts = drawn.parts(5, 7)
    stretch = [factors[..., None, None] for factors in (parts.scales, parts.offsets)]
    below, above = np.moveaxis(stretch[0] * parts.fields + stretch[1], 1, 0)
    for background in (below, above):  # each fills [u, 1] or [0, v]
        low, high = background.min((1, 2)), background.max((1, 2))
        assert ((np.abs(low) < 1e-5) | (np.abs(high - 1) < 1e-5)).all()
    expected = parts.mask * below + (1 - parts.mask) * above
    np.testing.assert_allclose(drawn.render(5, 7), expected, atol=1e-5)


def test_fields_have_the_stated_covariance():
    drawn = CAlpha(size=8, seed=9, alpha=2, background_alpha=1.5, rendering="antialiased")
    fields = drawn.parts(0, 2000).fields.astype(float)
    power = (np.abs(np.fft.fft2(fields, norm="ortho")) ** 2).mean((0, 1))
    ratio = power / drawn.background_spectrum()
    assert np.abs(ratio - 1).max() < 4.5 * np.sqrt(2 / 4000)


# ---------------------------------------------------------------------------------------------
# Image i is image i, whatever the class


@pytest.mark.parametrize("name", GIVEN)
def test_image_depends_on_its_index_alone(params: Params, name: str):
    drawn = image_class(dataset_spec(params, name))
    together = drawn.render(0, 40)
    assert together.shape == (40, 8, 8)
    assert together.dtype == np.float32
    assert len(np.unique(together.reshape(40, -1), axis=0)) == 40
    for first, count in ((0, 1), (17, 1), (7, 30), (39, 1)):
        images = drawn.render(first, count)
        np.testing.assert_allclose(images, together[first : first + count], atol=2e-6)


@pytest.mark.parametrize("name", GIVEN)
def test_files_do_not_depend_on_threads_nor_images_on_their_number(
    params: Params, name: str, tmp_path: Path
):
    spec = dataset_spec(params, name)
    for threads in (1, 3):
        write_dataset(spec, tmp_path / f"{threads}.h5", threads)
    assert digest_file(tmp_path / "1.h5") == digest_file(tmp_path / "3.h5")
    dataset = open_dataset(tmp_path / "1.h5", spec)
    images = dataset.images(np.arange(72))
    assert images.shape == (72, 1, 8, 8)
    for count in (1, BLOCK, BLOCK + 5):
        fewer = np.concatenate(list(render_blocks(spec | {"images": count})))
        np.testing.assert_array_equal(fewer, images[:count])
    other = np.concatenate(list(render_blocks(other_seed(spec))))
    assert not np.isin(other[:, 0, 1, 1], images[:, 0, 1, 1]).all()


def other_seed(spec: Params) -> Params:
    changed = spec | {"seed": 6}
    return changed | {"of": spec["of"] | {"seed": 6}} if "of" in spec else changed


@pytest.mark.parametrize("name", GIVEN)
def test_networks_train_on_every_class(params: Params, name: str, tmp_path: Path):
    params["experiments"]["new"] = params["experiments"]["soft"] | {"image_class": name}
    params["training"]["updates"] = 2
    spec = network_spec(validate(params), "new", 4, "S1")
    write_dataset(spec["dataset"], tmp_path / "images.h5")
    dataset = open_dataset(tmp_path / "images.h5", spec["dataset"])
    train(spec, dataset, tmp_path / "a.safetensors", tmp_path / "a.csv", tmp_path / "checkpoint")
    assert (tmp_path / "a.safetensors").exists()


# ---------------------------------------------------------------------------------------------
# Specs and params.yaml


def test_facts_of_every_class(params: Params):
    """What readers are told and what rules watch: (words, exact, n, slope of the optimum, clipped)."""
    cartoon = "C^α images, α = 2"
    expected = {
        "field": ("Gaussian fields", "gaussian", None, 1 / 2, False),
        "ray": ("rays", "rays", 1, 1, True),
        "sine": ("sine waves", "sines", 2, 1, True),
        "cartoon": (cartoon, None, None, None, True),
        "shuffled-cartoon": (f"{cartoon}, their pixels shuffled", None, None, None, True),
        "shuffled-field": (
            "Gaussian fields, their pixels shuffled",
            "permuted",
            None,
            1 / 2,
            False,
        ),
    }
    assert expected.keys() == GIVEN.keys()
    for name, (words, exact, dimension, slope, clipped) in expected.items():
        drawn = image_class(dataset_spec(params, name))
        assert (drawn.words, drawn.exact, drawn.dimension) == (words, exact, dimension)
        assert math.isnan(drawn.optimal_slope) if slope is None else drawn.optimal_slope == slope
        images = drawn.render(0, 400)
        assert drawn.clipped == (images.min() >= 0 and images.max() <= 1) == clipped
        base = drawn.underneath
        assert (base is drawn) == ("of" not in GIVEN[name])
        assert base.has_contour == ("cartoon" in name)


def test_wrong_specs_are_refused(params: Params):
    spec = dataset_spec(params, "ray")
    with pytest.raises(ValueError, match=r"no image class 'discs'; there are .*calpha, .*sines"):
        image_class(spec | {"class": "discs"})
    with pytest.raises(ValueError, match=r"image class 'rays': .*'colour'"):
        image_class(spec | {"colour": 1})
    del spec["exponent"]
    with pytest.raises(ValueError, match=r"image class 'rays': .*'exponent'"):
        image_class(spec)
    with pytest.raises(ValueError, match=r"image class 'shuffled': .*'colour'"):
        image_class(dataset_spec(params, "shuffled-field") | {"colour": 1})


def test_every_class_is_valid(params: Params):
    assert validate(params) is params


def test_specs_of_image_classes(params: Params):
    assert dataset_spec(params, "cartoon")["background_alpha"] == 2
    for name in ("field", "ray", "sine"):
        assert dataset_spec(params, name) == GIVEN[name]
    assert dataset_spec(params, "shuffled-cartoon") == COUNTS | {
        "class": "shuffled",
        "permutation_seed": 1,
        "of": dataset_spec(params, "cartoon"),
    }


def test_a_shuffled_class_follows_the_one_underneath(params: Params):
    before = dataset_spec(params, "shuffled-field")
    params["image_classes"]["field"] |= {"mean": 0.4, "images": 80}
    after = dataset_spec(params, "shuffled-field")
    assert after["images"] == after["of"]["images"] == 80
    assert after["of"]["mean"] == 0.4
    assert {key for key in before if before[key] != after[key]} == {"images", "of"}
    shuffled = image_class(before).render(3, 2).reshape(2, -1)
    underneath = image_class(before["of"]).render(3, 2).reshape(2, -1)
    np.testing.assert_array_equal(np.sort(shuffled), np.sort(underneath))


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        (
            "shuffled-field",
            {"of": "fields"},
            r'of: found "fields", allowed is one of soft, hard, field, ray, sine, cartoon$',
        ),
        ("shuffled-field", {"of": "shuffled-field"}, r'found "shuffled-field", which is shuffled'),
        ("shuffled-field", {"of": "shuffled-cartoon"}, r"which is shuffled itself, allowed is one"),
        ("shuffled-field", {"of": None}, r"'of' is a required property"),
        ("shuffled-field", {"permutation_seed": None}, r"'permutation_seed' is a required"),
        ("shuffled-field", {"size": 8}, r"unknown are 'size'; known keys here are class, of, "),
        ("shuffled-field", {"of": 3}, r"of: found 3, allowed is a value of type string"),
        ("field", {"standard_deviation": 0}, r"standard_deviation: found 0, allowed is more than"),
        ("field", {"mean": None}, r"'mean' is a required property"),
        ("field", {"alpha": 2}, r"unknown are 'alpha'; known keys here are .*exponent"),
        ("field", {"images": None}, r"'images' is a required property"),
        ("ray", {"exponent": -1}, r"exponent: found -1, allowed is at least 0"),
        ("ray", {"exponent": None}, r"'exponent' is a required property"),
        ("sine", {"frequency": None}, r"'frequency' is a required property"),
        ("sine", {"frequency": [1]}, r"frequency: found \[1\], allowed is at least 2 entries"),
        ("sine", {"frequency": [1, 0.5]}, r"frequency\.1: found 0\.5, allowed is a value of type"),
        (
            "sine",
            {"frequency": [4, 8]},
            r"sine\.frequency: found \[4, 8\], allowed .* not both multiples of 4, half the size",
        ),
        ("sine", {"class": "cosines"}, r"class: found \"cosines\", allowed is one of .*calpha, .*"),
        ("cartoon", {"exponent": 2}, r"unknown are 'exponent'; known keys here are .*alpha"),
    ],
)
def test_wrong_parameters(params: Params, name: str, changes: Params, told: str):
    changed = params["image_classes"][name] | changes
    params["image_classes"][name] = {k: v for k, v in changed.items() if v is not None}
    message = refusal(params)
    assert f"params.yaml: image_classes.{name}" in message
    assert any(re.search(told, line) for line in message.splitlines()), message


def test_limits_of_shuffled_classes_are_those_of_the_one_underneath(params: Params):
    params["experiments"]["new"] = params["experiments"]["soft"] | {
        "image_class": "shuffled-field",
        "set_sizes": [17],
    }
    assert "experiments.new.set_sizes.0: found 17, allowed is at most 16" in refusal(params)
    params["experiments"]["new"]["set_sizes"] = [16]
    params["spectra"]["networks"]["new"] = {"set_sizes": [16], "splits": ["S1"]}
    assert validate(params) is params
    params["spectra"]["test_images"] = [0, 1, 40]
    assert "found 40, allowed is at most 39, the last test image of new" in refusal(params)


def test_names_of_classes_come_without_torch(environment: dict[str, str]):
    """The workflow reads them in whatever environment Snakemake runs in."""
    script = (
        "import sys, gahb.datasets.image_class; print({'torch', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
