"""Exact and classical denoisers by name: built, measured, summed up, and networks against them."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY

from gahb.artifacts import ArtifactError, read_sidecar, read_table
from gahb.cli import main
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.image_class import image_class
from gahb.datasets.store import Dataset, open_dataset, write_dataset
from gahb.denoisers.classical.bandlets import BandletDenoiser
from gahb.denoisers.classical.transform import WaveletTransform
from gahb.denoisers.classical.wavelets import WaveletDenoiser
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.exact.base import ExactDenoiser
from gahb.denoisers.exact.disks import DiskPosterior
from gahb.denoisers.exact.gaussian import WienerDenoiser
from gahb.denoisers.exact.known_contour import known_contour_mse
from gahb.denoisers.exact.permuted import PermutedDenoiser
from gahb.denoisers.reference import ErrorBound, build_reference, drawn_slope, theoretical_slope
from gahb.evaluation.draws import draws_of, read_draws
from gahb.evaluation.gaps import measure_gaps, summarise_references
from gahb.evaluation.of_network import evaluate_network
from gahb.evaluation.of_reference import evaluate_reference
from gahb.params import (
    dataset_spec,
    evaluation_spec,
    reference_spec,
    reference_spectra_spec,
    summary_spec,
)
from gahb.randomness import image_noise
from gahb.spectra.store import read_spectra

Params = dict[str, Any]
Trained = Callable[[int, str], Path]

FIELD = {
    "class": "gaussian",
    "size": 8,
    "exponent": 3,
    "mean": 0.5,
    "standard_deviation": 0.15,
    "images": 300,
    "test_images": 280,
    "seed": 5,
}
COUNTS = {"size": 8, "images": 72, "test_images": 40, "seed": 3}
EXACT = {
    "disks": COUNTS | {"class": "disks", "rendering": "antialiased", "parameters": "continuous"},
    "gaussian": FIELD,
    "rays": COUNTS | {"class": "rays", "exponent": 4},
    "sines": COUNTS | {"class": "sines", "frequency": [1, 2]},
}
SOFT = dataset_spec(TINY, "soft")


@pytest.fixture
def params() -> Params:
    """The tiny project with Gaussian fields beside the C^alpha images, and more references."""
    given = copy.deepcopy(TINY)
    given["image_classes"]["field"] = FIELD
    given["experiments"]["field"] = given["experiments"]["hard"] | {"image_class": "field"}
    given["references"] |= {
        "exact": {"denoiser": "exact", "images": 280},
        "bandlets": {"denoiser": "bandlet", "images": 4},
        "oracle": {"denoiser": "wavelet", "rule": "oracle", "images": 32},
        "wavelets": {"denoiser": "wavelet", "images": 32},
        "known-contour": {"denoiser": "known_contour", "images": 6},
    }
    given["spectra"]["networks"]["field"] = {
        "set_sizes": [16],
        "splits": ["S1"],
        "references": ["exact"],
        "sigmas": [0.05, 0.4],
        "test_images": [3],
    }
    return given


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("fields") / "field.h5"
    write_dataset(FIELD, path)
    return open_dataset(path)


@pytest.fixture
def measured(
    params: Params, dataset: Dataset, fields: Dataset, tmp_path: Path
) -> Callable[..., Path]:
    """The table of a reference: ``measured(reference, image_class, **changes of its entry)``."""

    def table(reference: str, of: str = "soft", **changes: Any) -> Path:
        changed = params | {"references": copy.deepcopy(params["references"])}
        changed["references"][reference] |= changes
        path = tmp_path / f"{of}-{reference}.csv"
        spec = reference_spec(changed, of, reference)
        evaluate_reference(spec, {"soft": dataset, "field": fields}[of], path)
        return path

    return table


@pytest.fixture
def evaluated(
    params: Params, dataset: Dataset, trained: Trained, tmp_path: Path
) -> Callable[..., Path]:
    """The table of a network: ``evaluated(set_size, split, **changes of the evaluation)``."""

    def table(set_size: int, split: str, **changes: Any) -> Path:
        changed = params | {"evaluation": params["evaluation"] | changes}
        path = tmp_path / f"N{set_size}_{split}.csv"
        spec = evaluation_spec(changed, "soft", set_size, split)
        evaluate_network(spec, dataset, trained(set_size, split), path)
        return path

    return table


# ---------------------------------------------------------------------------------------------
# Built by name


@pytest.mark.parametrize("kind", EXACT)
def test_exact_denoisers_are_those_of_the_image_class(kind: str):
    built = build_reference({"name": "any", "denoiser": "exact", "images": 3}, EXACT[kind])
    assert isinstance(built, ExactDenoiser)
    assert type(built).__module__ == f"gahb.denoisers.exact.{kind}"
    clean = torch.from_numpy(image_class(EXACT[kind]).render(0, 2))[:, None]
    noisy = clean + 0.3 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        denoised = built(noisy, 0.3)
    assert denoised.shape == noisy.shape
    assert (denoised - clean).square().mean() < (noisy - clean).square().mean() / 2


def test_shuffled_images_have_the_exact_denoiser_of_those_underneath():
    shuffled = COUNTS | {"class": "shuffled", "permutation_seed": 1, "of": FIELD}
    assert isinstance(build_reference({"denoiser": "exact"}, shuffled), PermutedDenoiser)
    shuffled["of"] = SOFT
    with pytest.raises(
        ValueError,
        match=r"no exact denoiser is known for C\^α images, α = 3, their pixels shuffled",
    ):
        build_reference({"denoiser": "exact"}, shuffled)


def test_the_known_contour_is_a_bound_without_draws():
    built = build_reference({"name": "lower", "denoiser": "known_contour", "images": 2}, SOFT)
    assert isinstance(built, ErrorBound)
    indices, sigmas = np.array([41, 5, 66]), [0.4, 0.05]
    found = built(indices, sigmas)
    assert found.shape == (2, 3)
    np.testing.assert_array_equal(found.T, known_contour_mse(image_class(SOFT), indices, sigmas))


@pytest.mark.parametrize(
    ("kind", "denoiser", "options"),
    [
        ("wavelet", WaveletDenoiser, {"wavelet": "db2", "rule": 2.5, "levels": 1, "shifts": 2}),
        ("bandlet", BandletDenoiser, {"rule": 2.5, "moments": 1, "split_cost": 3.0}),
    ],
)
def test_classical_denoisers_get_their_options(
    dataset: Dataset, kind: str, denoiser: Any, options: dict[str, Any]
):
    entry = {"name": "any", "denoiser": kind, "images": 7}
    built, plain = build_reference(entry | options, SOFT), build_reference(entry, SOFT)
    assert type(built) is type(plain) is denoiser
    clean = torch.from_numpy(dataset.images(dataset.indices["test"][:3]))
    noisy = clean + 0.2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(built(noisy, 0.2), denoiser(**options)(noisy, 0.2))
    assert torch.equal(plain(noisy, 0.2), denoiser()(noisy, 0.2))
    assert not torch.equal(built(noisy, 0.2), plain(noisy, 0.2))


@pytest.mark.parametrize(
    ("kind", "images", "told"),
    [
        ("exact", SOFT, r"no exact denoiser is known for C\^α images, α = 3"),
        ("known_contour", FIELD, r"only C\^alpha images have a known contour, not Gaussian fields"),
        (
            "median",
            SOFT,
            "no denoiser 'median'; there are bandlet, exact, known_contour, memorising",
        ),
    ],
)
def test_references_that_do_not_exist(kind: str, images: Params, told: str):
    with pytest.raises(ValueError, match=told):
        build_reference({"name": "any", "denoiser": kind, "images": 2}, images)


SHUFFLED = COUNTS | {"class": "shuffled", "permutation_seed": 1}
ROUGH = SOFT | {"alpha": 1.5, "background_alpha": 4}


@pytest.mark.parametrize(
    ("reference", "images", "slope"),
    [
        ({"denoiser": "known_contour"}, ROUGH, 3 / 4),  # of the backgrounds
        ({"denoiser": "known_contour"}, SOFT | {"background_alpha": 0.5}, 0),
        ({"denoiser": "wavelet"}, ROUGH, 1 / 2),
        ({"denoiser": "wavelet"}, SOFT, 1 / 2),
        ({"denoiser": "wavelet", "wavelet": "db4"}, SOFT, 1 / 2),
        ({"denoiser": "wavelet"}, SOFT | {"background_alpha": 1.25}, 1 / 5),  # of the backgrounds
        ({"denoiser": "bandlet"}, ROUGH, 1 / 2),  # haar: one vanishing moment
        ({"denoiser": "bandlet", "moments": 4}, ROUGH, 1 / 2),
        ({"denoiser": "bandlet", "wavelet": "db2"}, ROUGH, 1.5 / 2.5),
        ({"denoiser": "bandlet", "wavelet": "db4"}, SOFT, 2 / 3),  # two moments along the flow
        ({"denoiser": "bandlet", "wavelet": "db4", "moments": 4}, SOFT, 2 / 3),  # the backgrounds
        (
            {"denoiser": "bandlet", "wavelet": "db4", "moments": 4},
            SOFT | {"background_alpha": 8},
            3 / 4,
        ),
        ({"denoiser": "exact"}, FIELD, 1 / 3),
        ({"denoiser": "exact"}, FIELD | {"exponent": 1.5}, 0),
        ({"denoiser": "exact"}, EXACT["disks"], 1),
        ({"denoiser": "exact"}, EXACT["rays"], 1),
        ({"denoiser": "exact"}, EXACT["sines"], 1),
        ({"denoiser": "exact"}, SHUFFLED | {"of": FIELD}, 1 / 3),
        # what theory says nothing of
        ({"denoiser": "wavelet"}, SHUFFLED | {"of": SOFT}, None),
        ({"denoiser": "wavelet"}, FIELD, None),
        ({"denoiser": "bandlet"}, EXACT["disks"], None),
    ],
)
def test_theoretical_slope(reference: Params, images: Params, slope: float | None):
    found = theoretical_slope(reference, images)
    assert math.isnan(found) if slope is None else found == pytest.approx(slope)


@pytest.mark.parametrize(
    ("images", "slope"),
    [(SOFT, 2 / 3), (SOFT | {"background_alpha": 8}, 3 / 4), (ROUGH, 3 / 5), (FIELD, None)],
)
def test_slope_of_an_estimator_on_drawn_images(images: Params, slope: float | None):
    found = drawn_slope(images)
    assert math.isnan(found) if slope is None else found == pytest.approx(slope)


def test_backgrounds_of_one_wavelet_fall_as_its_moments_allow():
    """The variance of coefficients of fields |k|^(-2 beta) falls as 4^(-j min(beta, p + 1))."""
    for beta, wavelet, expected in ((4.0, "haar", 2), (1.5, "haar", 1.5), (4.0, "db4", 4)):
        fields = Gaussian(
            size=256, exponent=2 * beta, mean=0.0, standard_deviation=1.0, seed=0
        ).render(0, 24)
        transform = WaveletTransform(wavelet, 6)
        details = transform.analyse(torch.from_numpy(fields).double())[1]
        by_size = sorted(details, key=lambda subbands: subbands.shape[-1])
        rms = [float(subbands.square().mean()) for subbands in by_size[1:5]]
        rates = [math.log(a / b) / math.log(4) for a, b in itertools.pairwise(rms)]
        assert np.mean(rates) == pytest.approx(expected, abs=0.35), (beta, wavelet)


def test_the_memorising_one_is_the_optimum_for_its_training_set(params: Params, dataset: Dataset):
    entry = {"name": "any", "denoiser": "memorising", "set_size": 4, "split": "S2", "images": 2}
    with pytest.raises(ValueError, match="made from a training set: it needs the dataset"):
        build_reference(entry, SOFT)
    built = build_reference(entry, SOFT, dataset)
    own = torch.from_numpy(dataset.images(dataset.indices["S2"][:4]))
    noisy = own + 0.05 * torch.randn(own.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(built(noisy, 0.05), EmpiricalDenoiser(own)(noisy, 0.05))
    assert (built(noisy, 0.05) - own).abs().max() < 1e-3
    with pytest.raises(ValueError, match="S2 has 16 images, 17 were asked for"):
        build_reference(entry | {"set_size": 17}, SOFT, dataset)


# ---------------------------------------------------------------------------------------------
# Measured


def direct_errors(dataset: Dataset, denoise: Callable[..., Any], count: int) -> np.ndarray:
    """Errors (levels, images) on the first test images, one image and one draw at a time."""
    rows = []
    for level, sigma in enumerate(TINY["evaluation"]["sigmas"]):
        row = []
        for index in dataset.indices["test"][:count]:
            x = torch.from_numpy(dataset.images(np.array([index])))
            z = torch.from_numpy(image_noise(1, int(index), level, 0, 8))
            row.append(((denoise(x + sigma * z, sigma, x) - x) ** 2).double().mean().item())
        rows.append(row)
    return np.array(rows)


def test_table_of_a_reference(params: Params, dataset: Dataset, measured: Callable[..., Path]):
    path = measured("wavelets", images=7)
    spec = reference_spec(params, "soft", "wavelets")
    spec["reference"]["images"] = 7
    table = read_table(path, spec)
    assert set(table.denoiser) == {"wavelets"}
    assert set(table.evaluated_on) == {"test"}
    assert table.sigma.tolist() == params["evaluation"]["sigmas"]
    assert set(table.images) == set(table.draws) == {7}
    denoiser = WaveletDenoiser()
    expected = direct_errors(dataset, lambda y, sigma, x: denoiser(y, sigma), 7)
    draws = read_draws(path, read_sidecar(path))["test"]
    np.testing.assert_array_equal(draws["image"], dataset.indices["test"][:7])
    np.testing.assert_allclose(draws["mse"], expected, rtol=1e-4)
    np.testing.assert_allclose(table.psnr_of_mean_mse, -10 * np.log10(expected.mean(1)), atol=1e-4)
    assert read_sidecar(path)["inputs"] == {"dataset": dataset.images_sha256}


def test_draws_of_a_bound_are_its_expectations(dataset: Dataset, measured: Callable[..., Path]):
    path = measured("known-contour")
    bound = known_contour_mse(
        image_class(SOFT), dataset.indices["test"][:6], TINY["evaluation"]["sigmas"]
    )
    draws = read_draws(path)["test"]
    np.testing.assert_array_equal(draws["image"], dataset.indices["test"][:6])
    np.testing.assert_allclose(draws["mse"], bound.T, rtol=1e-6)
    np.testing.assert_allclose(
        read_table(path).psnr_of_mean_mse, -10 * np.log10(bound.mean(0)), rtol=1e-6
    )


def test_an_oracle_is_given_the_clean_image(dataset: Dataset, measured: Callable[..., Path]):
    oracle = read_draws(measured("oracle"))["test"]["mse"]
    denoiser = WaveletDenoiser(rule="oracle")
    expected = direct_errors(dataset, lambda y, sigma, x: denoiser(y, sigma, x), 5)
    np.testing.assert_allclose(oracle[:, :5], expected, rtol=1e-4)
    universal = read_draws(measured("wavelets"))["test"]["mse"]
    assert (oracle <= universal * (1 + 1e-5)).all()  # on every draw: it could have chosen that one
    assert (oracle < universal).any()


def test_the_optimum_errs_as_theory_says(measured: Callable[..., Path]):
    table = read_table(measured("exact", "field"))
    wiener = WienerDenoiser(image_class(FIELD))
    expected = [-10 * math.log10(wiener.mean_squared_error(sigma)) for sigma in table.sigma]
    deviations = (table.psnr_of_mean_mse - expected) / table.psnr_of_mean_mse_se
    assert (deviations.abs() < 4).all()
    assert (table.psnr_of_mean_mse_se < 0.3).all()  # dB: the test could tell


def test_a_quadrature_states_its_error(
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    spec = reference_spec(params, "soft", "exact") | {"dataset": EXACT["disks"]}
    spec["reference"]["images"] = 2
    spec["evaluation"]["sigmas"] = [0.3, 0.02]
    write_dataset(EXACT["disks"], tmp_path / "disks.h5")
    disks = open_dataset(tmp_path / "disks.h5")
    evaluate_reference(spec, disks, tmp_path / "exact.csv")
    table = read_table(tmp_path / "exact.csv", spec)
    assert table.unresolved.tolist() == [0, 0]
    least = 10 ** (-table.psnr_of_mean_mse / 10)
    assert ((table.quadrature_error > 0) & (table.quadrature_error < 0.02 * least)).all()
    assert not capsys.readouterr().out
    monkeypatch.setattr(DiskPosterior.__init__, "__defaults__", (1.5, 1))
    evaluate_reference(spec, disks, tmp_path / "limited.csv")
    limited = read_table(tmp_path / "limited.csv", spec)
    assert limited.unresolved.tolist()[1] == 2
    assert limited.quadrature_error[1] > table.quadrature_error[1]
    assert "sigma 0.02: on 2 draws the quadrature stopped at its limit" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------
# Summed up


def test_slopes_of_references(params: Params, measured: Callable[..., Path], tmp_path: Path):
    tables = [measured("wavelets"), measured("known-contour"), measured("exact", "field")]
    spec, output = summary_spec(params), tmp_path / "references.csv"
    summarise_references(spec, tables, output)
    summary = read_table(output, spec)
    assert summary.image_class.tolist() == ["soft", "soft", "field"]
    assert summary.reference.tolist() == ["wavelets", "known-contour", "exact"]
    assert summary.images.tolist() == [32, 6, 280]
    assert summary.alpha.tolist()[:2] == [3, 3]
    assert np.isnan(summary.alpha[2])
    np.testing.assert_allclose(summary.theoretical_slope, [1 / 2, 2 / 3, 1 / 3])
    assert set(summary.sigma_low) == {0.03}
    assert set(summary.sigma_high) == {0.3}
    for row, path in zip(summary.itertuples(), tables, strict=True):
        table = read_table(path)
        window = table[(table.sigma >= 0.03) & (table.sigma <= 0.3)]
        assert len(window) == 3
        slope = np.polyfit(window.input_psnr, window.psnr_of_mean_mse, 1)[0]
        assert row.slope == pytest.approx(slope, abs=1e-6)
        errors = read_draws(path)["test"]["mse"][1:]  # sigma 1.0 is outside
        assert row.slope_se == pytest.approx(jackknife(window.input_psnr, errors), rel=0.2)
    assert set(read_sidecar(output)["inputs"]) == {path.as_posix() for path in tables}


def jackknife(levels: Any, errors: np.ndarray) -> float:
    """Standard error of the slope of PSNR against ``levels``, leaving out one image at a time."""
    count = errors.shape[1]
    slopes = [
        np.polyfit(levels, -10 * np.log10(np.delete(errors, image, 1).mean(1)), 1)[0]
        for image in range(count)
    ]
    return float(np.std(slopes) * np.sqrt(count - 1))


# ---------------------------------------------------------------------------------------------
# Networks against references


def gaps(tables: list[Path], references: list[Path], folder: Path) -> pd.DataFrame:
    measure_gaps(tables, references, folder / "gaps.csv")
    return read_table(folder / "gaps.csv", {})


def test_gaps_are_paired(
    evaluated: Callable[..., Path], measured: Callable[..., Path], tmp_path: Path
):
    networks = {4: evaluated(4, "S1"), 16: evaluated(16, "S2")}
    references = {"wavelets": measured("wavelets"), "known-contour": measured("known-contour")}
    others = [measured("exact", "field")]  # of an image class without networks here
    found = gaps([*networks.values()], [*references.values(), *others], tmp_path)
    assert len(found) == 2 * 2 * 4
    assert set(found.experiment) == set(found.image_class) == {"soft"}
    assert {(row.set_size, row.split) for row in found.itertuples()} == {(4, "S1"), (16, "S2")}
    for size, network in networks.items():
        for name, reference in references.items():
            rows = found[(found.set_size == size) & (found.reference == name)]
            assert rows.sigma.tolist() == TINY["evaluation"]["sigmas"]
            exact = read_draws(reference)["test"]["mse"]
            count = exact.shape[1]
            assert set(rows.images) == {count}
            learned = read_draws(network)["test"]["mse"][:, :count]
            for level, row in enumerate(rows.itertuples()):
                check_gap(row, learned[level], exact[level])
    recorded = read_sidecar(tmp_path / "gaps.csv")["inputs"]
    assert set(recorded) == {
        path.as_posix() for path in [*networks.values(), *references.values(), *others]
    }


def check_gap(row: Any, learned: np.ndarray, exact: np.ndarray) -> None:
    """One row of the gaps against the errors (images,) of both denoisers at its level."""
    assert row.input_psnr == pytest.approx(-20 * math.log10(row.sigma))
    assert row.network_psnr == pytest.approx(-10 * math.log10(learned.mean()))
    assert row.reference_psnr == pytest.approx(-10 * math.log10(exact.mean()))
    gap = 10 * math.log10(learned.mean() / exact.mean())
    assert row.reference_gap == pytest.approx(gap, abs=1e-6)
    # what one image adds to the gap, to first order: both denoisers together, as they share it
    shares = 10 / math.log(10) * (learned / learned.mean() - exact / exact.mean())
    expected = math.sqrt(sum((shares - shares.mean()) ** 2) / (len(shares) - 1) / len(shares))
    assert row.reference_gap_se == pytest.approx(expected, rel=1e-6)
    left_out = [
        10 * math.log10(np.delete(learned, image).mean() / np.delete(exact, image).mean())
        for image in range(len(exact))
    ]
    expected = np.std(left_out) * math.sqrt(len(exact) - 1)
    assert row.reference_gap_se == pytest.approx(expected, rel=0.2)


def test_pairing_lessens_the_standard_error(
    evaluated: Callable[..., Path], measured: Callable[..., Path], tmp_path: Path
):
    """At high noise what one draw costs, it costs both denoisers."""
    network, reference = evaluated(16, "S1"), measured("wavelets")
    row = gaps([network], [reference], tmp_path).iloc[0]
    of_network, of_reference = read_table(network), read_table(reference)
    separate = [
        table[table.evaluated_on == "test"].psnr_of_mean_mse_se.iloc[0]
        for table in (of_network, of_reference)
    ]
    assert row.sigma == 1.0
    assert row.reference_gap_se < 0.9 * math.hypot(*separate)


def test_gaps_to_two_references_differ_as_they_do(
    evaluated: Callable[..., Path], measured: Callable[..., Path], tmp_path: Path
):
    network = evaluated(4, "S1")
    found = gaps([network], [measured("wavelets"), measured("oracle")], tmp_path)
    of = {name: rows.reset_index() for name, rows in found.groupby("reference")}
    difference = of["oracle"].reference_gap - of["wavelets"].reference_gap
    assert (difference >= -1e-6).all()  # the oracle is never worse
    np.testing.assert_allclose(
        difference, of["oracle"].reference_psnr - of["wavelets"].reference_psnr, atol=1e-6
    )
    np.testing.assert_array_equal(of["oracle"].network_psnr, of["wavelets"].network_psnr)


def test_other_datasets_are_refused(params: Params, evaluated: Callable[..., Path], tmp_path: Path):
    network = evaluated(4, "S1")
    params["image_classes"]["soft"]["seed"] += 1
    spec = reference_spec(params, "soft", "wavelets")
    write_dataset(spec["dataset"], tmp_path / "other.h5")
    evaluate_reference(spec, open_dataset(tmp_path / "other.h5"), tmp_path / "other.csv")
    with pytest.raises(ArtifactError, match=r"N4_S1\.csv and .*other\.csv .* different datasets"):
        gaps([network], [tmp_path / "other.csv"], tmp_path)
    assert not (tmp_path / "gaps.csv").exists()


def test_other_images_are_refused(
    evaluated: Callable[..., Path], measured: Callable[..., Path], tmp_path: Path
):
    """Six images twice are not twelve images once; the first six are the same."""
    network = evaluated(4, "S1", images=6)
    assert set(read_table(network).draws) == {12}
    with pytest.raises(ArtifactError, match=r"wavelets\.csv were not measured on the same images"):
        gaps([network], [measured("wavelets", images=12)], tmp_path)
    found = gaps([network], [measured("wavelets", images=6)], tmp_path)
    assert set(found.images) == {6}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 2}, r"not measured on the same draws: seed 2 and 1"),
        (
            {"sigmas": [1.0, 0.3, 0.1, 0.04]},
            r"same draws: sigmas \[1.0, 0.3, 0.1, 0.04\] and \[1.0, 0.3, 0.1, 0.03\]",
        ),
    ],
)
def test_other_draws_are_refused(
    evaluated: Callable[..., Path],
    measured: Callable[..., Path],
    tmp_path: Path,
    changes: Params,
    told: str,
):
    with pytest.raises(ArtifactError, match=told):
        gaps([evaluated(4, "S1", **changes)], [measured("wavelets")], tmp_path)


def test_tables_of_another_kind_are_refused(
    params: Params, evaluated: Callable[..., Path], measured: Callable[..., Path], tmp_path: Path
):
    network, reference = evaluated(4, "S1"), measured("wavelets")
    with pytest.raises(ArtifactError, match=r"N4_S1\.csv is not the evaluation of a reference"):
        gaps([network], [network], tmp_path)
    with pytest.raises(ArtifactError, match=r"wavelets\.csv is not the evaluation of a network"):
        gaps([reference], [reference], tmp_path)
    with pytest.raises(ArtifactError, match=r"N4_S1\.csv is not the evaluation of a reference"):
        summarise_references(summary_spec(params), [network], tmp_path / "references.csv")


def test_damaged_and_foreign_draws_are_refused(
    params: Params,
    evaluated: Callable[..., Path],
    measured: Callable[..., Path],
    flip: Callable[..., Path],
    tmp_path: Path,
):
    network, reference = evaluated(4, "S1"), measured("wavelets")
    spec, output = summary_spec(params), tmp_path / "references.csv"
    draws = draws_of(reference)
    intact = draws.read_bytes()
    draws.write_bytes(draws_of(measured("oracle")).read_bytes())
    for refused in (
        lambda: gaps([network], [reference], tmp_path),
        lambda: summarise_references(spec, [reference], output),
    ):
        with pytest.raises(ArtifactError, match=r"wavelets\.h5 was made from other settings"):
            refused()
    draws.write_bytes(intact)
    flip(reference, 150)
    with pytest.raises(ArtifactError, match=r"wavelets\.csv is damaged"):
        gaps([network], [reference], tmp_path)
    assert not output.exists()
    assert not (tmp_path / "gaps.csv").exists()


# ---------------------------------------------------------------------------------------------
# The command line


def test_evaluation_from_the_command_line(
    params: Params, fields: Dataset, measured: Callable[..., Path], tmp_path: Path
):
    """The same bytes as from Python, for the table of one, of all, and of the gaps."""
    by_hand = measured("exact", "field")
    spec = json.dumps(reference_spec(params, "field", "exact"))
    output = tmp_path / "typed.csv"
    main(
        [
            *("evaluation", "reference", "--spec", spec, "--dataset", str(fields.path)),
            *("--output", str(output)),
        ]
    )
    assert output.read_bytes() == by_hand.read_bytes()
    assert draws_of(output).read_bytes() == draws_of(by_hand).read_bytes()
    summary = tmp_path / "references.csv"
    window = json.dumps(summary_spec(params))
    main(
        [
            *("evaluation", "references", "--spec", window, "--references", str(output)),
            *("--output", str(summary)),
        ]
    )
    assert read_table(summary, summary_spec(params)).reference.tolist() == ["exact"]


def test_gaps_from_the_command_line(
    evaluated: Callable[..., Path], measured: Callable[..., Path], tmp_path: Path
):
    network, references = evaluated(4, "S1"), [measured("wavelets"), measured("oracle")]
    expected = gaps([network], references, tmp_path)
    main(
        [
            *("evaluation", "gaps", "--tables", str(network)),
            *("--references", *map(str, references), "--output", str(tmp_path / "typed.csv")),
        ]
    )
    pd.testing.assert_frame_equal(read_table(tmp_path / "typed.csv", {}), expected)


def test_spectra_without_a_network(params: Params, fields: Dataset, tmp_path: Path):
    """The Jacobian of the Wiener filter: its known gains, at the experiment's own levels."""
    spec, output = reference_spectra_spec(params, "field", "exact"), tmp_path / "exact.h5"
    main(
        [
            *("spectra", "--spec", json.dumps(spec), "--dataset", str(fields.path)),
            *("--output", str(output)),
        ]
    )
    spectra, made_from = read_spectra(output, spec)
    assert made_from["inputs"] == {"dataset": fields.images_sha256}
    assert spectra["sigma"].tolist() == [0.05, 0.4]
    assert spectra["image_index"].tolist() == [fields.indices["test"][3]]
    wiener = WienerDenoiser(image_class(FIELD))
    for level, sigma in enumerate((0.05, 0.4)):
        gains = wiener.eigenvalues(sigma).ravel().sort(descending=True).values
        np.testing.assert_allclose(spectra["eigenvalues"][0, level], gains, atol=1e-5)
    assert np.abs(spectra["asymmetry"]).max() < 1e-6


def test_the_memorising_one_is_measured_like_the_others(
    params: Params, dataset: Dataset, tmp_path: Path
):
    """On test images it is far from clean; its Jacobian is symmetric, of rank N - 1 at most."""
    entry = {"denoiser": "memorising", "set_size": 4, "split": "S1", "images": 12}
    params["references"]["memorising-4"] = entry
    params["spectra"]["networks"]["soft"]["sigmas"] = [1.0]  # where it is in doubt
    files = ("--dataset", str(dataset.path), "--output")
    table, spectra = tmp_path / "memorising-4.csv", tmp_path / "spectra.h5"
    spec = reference_spec(params, "soft", "memorising-4")
    main(["evaluation", "reference", "--spec", json.dumps(spec), *files, str(table)])
    measured = read_table(table, spec).set_index("sigma").psnr_of_mean_mse
    assert measured[0.03] < 25  # its input PSNR is 30
    spec = reference_spectra_spec(params, "soft", "memorising-4")
    main(["spectra", "--spec", json.dumps(spec), *files, str(spectra)])
    found, _ = read_spectra(spectra, spec)
    assert np.abs(found["asymmetry"]).max() < 1e-6
    assert (found["eigenvalues"][..., 0] > 1e-3).all()
    assert np.abs(found["eigenvalues"][..., 3:]).max() < 1e-5
    summarise_references(summary_spec(params), [table], tmp_path / "references.csv")
    assert read_table(tmp_path / "references.csv").theoretical_slope.isna().all()
