"""PSNR tables and their standard errors, the exact optimum for a training set, and the summary."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gahb.artifacts import ArtifactError, read_sidecar, read_table, read_tensors, sidecar_of
from gahb.datasets.store import Dataset, open_dataset, write_dataset
from gahb.denoisers.computation import in_float32
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.training import train
from gahb.denoisers.weights import load_denoiser
from gahb.evaluation import measure
from gahb.evaluation.agreement import compare_networks
from gahb.evaluation.draws import draws_of, read_draws
from gahb.evaluation.evaluate import evaluation_sets
from gahb.evaluation.measure import noisy_set, squared_differences, squared_errors
from gahb.evaluation.of_network import evaluate_network
from gahb.evaluation.of_optimum import evaluate_memorising
from gahb.evaluation.of_reference import evaluate_reference
from gahb.evaluation.psnr import input_psnr, mean_psnr, psnr_of_mean_mse
from gahb.evaluation.summary import linear_statistic, slope_weights, summarise
from gahb.params import (
    agreement_spec,
    control_sizes,
    control_spec,
    dataset_spec,
    evaluation_spec,
    memorising_spec,
    reference_spec,
    summary_spec,
    validate,
)
from gahb.randomness import image_noise

Params = dict[str, Any]
Trained = Callable[[int, str], Path]

# ---------------------------------------------------------------------------------------------
# PSNR


def test_input_psnr():
    assert input_psnr(1) == 0
    assert input_psnr(0.1) == pytest.approx(20)
    assert input_psnr(25 / 255) == pytest.approx(20.17, abs=0.005)


def test_aggregations_one_number_at_a_time():
    errors = np.array([[0.1, 0.001, 0.01], [0.5, 0.5, 0.25]])
    of_mean, _ = psnr_of_mean_mse(errors)
    mean, _ = mean_psnr(errors)
    for level in range(2):
        assert of_mean[level] == pytest.approx(-10 * math.log10(sum(errors[level]) / 3))
        assert mean[level] == pytest.approx(sum(-10 * math.log10(e) for e in errors[level]) / 3)
    assert mean[0] == pytest.approx(20)
    assert of_mean[0] == pytest.approx(14.318, abs=1e-3)
    one, _ = psnr_of_mean_mse(errors[0])
    assert one == of_mean[0]


@pytest.mark.filterwarnings("error")
def test_exact_restoration():
    for aggregate in (psnr_of_mean_mse, mean_psnr):
        psnr, se = aggregate(np.array([[0.0, 0.0, 0.0], [0.1, 0.1, 0.1]]))
        np.testing.assert_allclose(psnr, [np.inf, 10])
        assert math.isnan(se[0])
        assert se[1] == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(1e-6, 10), min_size=2, max_size=10))
def test_jensen(errors: list[float]):
    values = np.array(errors)
    assert mean_psnr(values)[0] >= psnr_of_mean_mse(values)[0] - 1e-9


def by_image(errors: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Errors (levels, draws) averaged over the draws of each image, if there are several images."""
    alike = [images == index for index in np.unique(images)]
    if len(alike) == 1:
        return errors
    return np.stack([errors[:, mine].mean(1) for mine in alike], axis=1)


def bootstrap(errors: np.ndarray, statistic: Callable[[np.ndarray], Any], draws: int = 1500) -> Any:
    """Standard error of a statistic over resampled draws (the last axis)."""
    source = np.random.default_rng(1)
    size = errors.shape[-1]
    values = [statistic(errors[..., source.integers(0, size, size)]) for _ in range(draws)]
    return np.std(values, axis=0, ddof=1)


@pytest.mark.parametrize("aggregate", [psnr_of_mean_mse, mean_psnr])
def test_standard_errors(aggregate: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]):
    errors = 0.01 * np.random.default_rng(0).gamma(2, size=(3, 400)) * [[1], [5], [9]]
    found = aggregate(errors)[1]
    np.testing.assert_allclose(found, bootstrap(errors, lambda e: aggregate(e)[0]), rtol=0.12)
    few = aggregate(np.tile(errors, 4))[1]
    np.testing.assert_allclose(few, found / 2, rtol=0.01)  # four times the draws, half the error


# ---------------------------------------------------------------------------------------------
# Noise: fixed per image and level


def unchanged(y: Tensor, sigma: float) -> Tensor:
    return y


def test_noise_belongs_to_image_level_and_repeat(dataset: Dataset):
    indices = dataset.training_set("S1", 3)
    noisy = noisy_set(dataset, indices, images=10, minimum_draws=7)
    assert noisy.indices.tolist() == [*indices] * 3
    assert noisy.repeats.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    sigma, level, seed = 0.3, 2, 11
    ((clean, y),) = noisy.batches(seed, level, sigma)
    for draw in range(9):
        image, repeat = int(noisy.indices[draw]), int(noisy.repeats[draw])
        x = torch.from_numpy(dataset.images(np.array([image])))[0]
        z = torch.from_numpy(image_noise(seed, image, level, repeat, 8))
        torch.testing.assert_close(clean[draw], x)
        torch.testing.assert_close(y[draw], x + sigma * z)
    assert not torch.equal(y[0], y[3])  # a second draw of the same image


def test_noise_does_not_depend_on_batches_or_company(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
):
    test = dataset.indices["test"]
    sigmas = [1.0, 0.1]

    def errors(images: np.ndarray, batch: int) -> np.ndarray:
        monkeypatch.setattr(measure, "BATCH", batch)
        return squared_errors(unchanged, noisy_set(dataset, images, 99, 2), sigmas, seed=5)

    whole = errors(test, 64)
    assert whole.shape == (2, 40)
    np.testing.assert_array_equal(errors(test, 7), whole)
    np.testing.assert_array_equal(errors(test[::-1], 3)[:, ::-1], whole)
    np.testing.assert_array_equal(errors(test[10:13], 64), whole[:, 10:13])
    for level, sigma in enumerate(sigmas):
        for draw in (0, 17):
            noise = image_noise(5, int(test[draw]), level, 0, 8)
            assert whole[level, draw] == pytest.approx(sigma**2 * (noise**2).mean(), rel=1e-4)


def test_squared_differences(dataset: Dataset):
    noisy = noisy_set(dataset, dataset.indices["test"], 6, 2)
    found = squared_differences(unchanged, lambda y, sigma: y - sigma, noisy, [0.5, 0.1], 0)
    np.testing.assert_allclose(found, np.array([[0.25] * 6, [0.01] * 6]), rtol=1e-4)


def test_sets_are_own_other_and_test(dataset: Dataset):
    measured = {"images": 10, "minimum_draws": 12}
    for split, other in (("S1", "S2"), ("S2", "S1")):
        sets = evaluation_sets(dataset, {"split": split, "set_size": 4}, measured)
        assert list(sets) == ["own", "other", "test"]
        for name, expected in (
            ("own", dataset.training_set(split, 4)),
            ("other", dataset.training_set(other, 4)),
            ("test", dataset.indices["test"][:10]),
        ):
            assert set(sets[name].indices) == set(expected)
            images = torch.from_numpy(dataset.images(sets[name].indices))
            assert torch.equal(sets[name].images, images)
        assert {name: len(noisy.indices) for name, noisy in sets.items()} == {
            "own": 12,
            "other": 12,
            "test": 20,
        }


@given(set_size=st.integers(1, 16), images=st.integers(2, 20), draws=st.integers(2, 40))
def test_numbers_of_draws(dataset: Dataset, set_size: int, images: int, draws: int):
    noisy = noisy_set(dataset, dataset.training_set("S1", set_size), images, draws)
    distinct = min(set_size, images)
    pairs = set(zip(noisy.indices.tolist(), noisy.repeats.tolist(), strict=True))
    assert len(set(noisy.indices.tolist())) == distinct
    assert len(pairs) == len(noisy.indices) == len(noisy.images)  # no draw twice
    assert draws <= len(pairs) < draws + distinct or len(pairs) == distinct >= draws


# ---------------------------------------------------------------------------------------------
# The optimum for a training set


def naive_posterior_mean(y: np.ndarray, images: np.ndarray, sigma: float) -> np.ndarray:
    exponents = [-((y - x) ** 2).sum() / (2 * sigma**2) for x in images]
    weights = [math.exp(exponent - max(exponents)) for exponent in exponents]
    return sum(w * x for w, x in zip(weights, images, strict=True)) / sum(weights)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(9, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [1e-5, 1e-3, 0.03, 0.3, 1.0, 10.0, 1e4, 1e8])
def test_empirical_denoiser_is_the_posterior_mean(images: Tensor, sigma: float):
    denoiser = EmpiricalDenoiser(images, batch=3)
    y = images[[0, 3, 3, 5]] + sigma * torch.randn(4, 1, 4, 4, dtype=torch.float64)
    y[3] = (images[0] + images[1]) / 2  # undecided
    found = denoiser(y, sigma).numpy()
    for i in range(4):
        expected = naive_posterior_mean(y[i].numpy(), images.numpy(), sigma)
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)


def test_empirical_denoiser_at_the_extremes(images: Tensor):
    denoiser = EmpiricalDenoiser(images)
    y = images[:2] + 0.01
    torch.testing.assert_close(denoiser(y, 1e-9), images[:2])
    torch.testing.assert_close(denoiser(y, 1e9), images.mean(0).expand(2, 1, 4, 4))
    far = denoiser(1e8 * torch.ones(1, 1, 4, 4), 1e-6)
    assert torch.isfinite(far).all()
    weights = denoiser.posterior(y, 0.05)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, dtype=torch.float64))
    single = EmpiricalDenoiser(images[:1])
    torch.testing.assert_close(single(y, 0.3), images[:1].expand(2, 1, 4, 4))


def test_empirical_denoiser_computes_in_float64(images: Tensor):
    """Float32 distances between images 10^4 noise levels apart would be off by many."""
    denoiser = EmpiricalDenoiser(images.float())
    assert denoiser.images.dtype == torch.float64
    y = images[:1].float()
    assert denoiser(y, 1e-4).dtype == torch.float32
    assert denoiser.posterior(y, 1e-4)[0, 0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("sigma", [None, 0.0, -0.1, float("nan")])
def test_empirical_denoiser_needs_the_noise_level(images: Tensor, sigma: float | None):
    with pytest.raises(ValueError, match=r"needs the noise level: sigma > 0, found"):
        EmpiricalDenoiser(images)(images, sigma)


@pytest.mark.parametrize("sigma", [0.2, 0.6, 3.0])
def test_jacobian_of_the_empirical_denoiser(images: Tensor, sigma: float):
    denoiser = EmpiricalDenoiser(images)
    y = images[0] + sigma * torch.randn(1, 4, 4, dtype=torch.float64)
    basis = torch.eye(16, dtype=torch.float64).view(16, 1, 4, 4)
    found = denoiser.jacobian_product(y, basis, sigma).view(16, 16)
    exact = torch.autograd.functional.jacobian(lambda z: denoiser(z[None], sigma)[0], y)
    torch.testing.assert_close(found, exact.view(16, 16).T, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(found, found.T)
    assert torch.linalg.eigvalsh(found).min() > -1e-12


def test_error_of_the_optimum_is_the_trace_of_its_jacobian(images: Tensor):
    """MSE* = sigma^2 E tr J for images drawn from the set: every difference has mean zero."""
    sigma, draws = 0.5, 3000
    source = torch.Generator().manual_seed(3)
    x = images[torch.randint(9, (draws,), generator=source)]
    y = x + sigma * torch.randn(x.shape, generator=source, dtype=torch.float64)
    denoiser = EmpiricalDenoiser(images)
    errors = (denoiser(y, sigma) - x).square().sum(dim=(1, 2, 3))
    weights = denoiser.posterior(y, sigma)
    flat = images.flatten(1)
    variances = weights @ flat.square().sum(1) - (weights @ flat).square().sum(1)
    trace = variances / sigma**2
    basis = torch.eye(16, dtype=torch.float64).view(16, 1, 4, 4)
    for i in range(3):
        products = denoiser.jacobian_product(y[i], basis, sigma).view(16, 16)
        assert products.trace() == pytest.approx(trace[i].item())
    difference = errors - sigma**2 * trace
    standard_error = difference.std() / draws**0.5
    assert difference.mean().abs() < 4 * standard_error
    assert standard_error < 0.05 * errors.mean()  # the test could tell


def test_no_denoiser_beats_the_optimum_on_its_set(images: Tensor):
    sigma, draws = 0.4, 2000
    source = torch.Generator().manual_seed(4)
    x = images[torch.randint(9, (draws,), generator=source)]
    y = x + sigma * torch.randn(x.shape, generator=source, dtype=torch.float64)
    denoiser = EmpiricalDenoiser(images)
    best = (denoiser(y, sigma) - x).square().mean()
    for other in (
        denoiser(y, 0.8 * sigma),
        denoiser(y, 1.2 * sigma),
        0.9 * denoiser(y, sigma) + 0.1 * y,
        y,
        images.mean(0).expand_as(x),
    ):
        assert best < (other - x).square().mean()


# ---------------------------------------------------------------------------------------------
# Tables


@pytest.fixture
def evaluated(
    params: Params, dataset: Dataset, trained: Trained, tmp_path: Path
) -> Callable[[int, str], Path]:
    """The evaluation table of a network of the tiny project."""

    def path(set_size: int, split: str) -> Path:
        table = tmp_path / f"N{set_size}_{split}.csv"
        spec = evaluation_spec(params, "soft", set_size, split)
        evaluate_network(spec, dataset, trained(set_size, split), table)
        return table

    return path


@pytest.fixture
def compared(
    params: Params, dataset: Dataset, trained: Trained, tmp_path: Path
) -> Callable[[int], Path]:
    def path(set_size: int) -> Path:
        table = tmp_path / f"N{set_size}_agreement.csv"
        networks = trained(set_size, "S1"), trained(set_size, "S2")
        compare_networks(agreement_spec(params, "soft", set_size), dataset, networks, table)
        return table

    return path


COLUMNS = [
    "denoiser",
    "evaluated_on",
    "sigma",
    "input_psnr",
    "images",
    "draws",
    "psnr_of_mean_mse",
    "psnr_of_mean_mse_se",
    "mean_psnr",
    "mean_psnr_se",
]


def test_table_of_a_network(
    params: Params, dataset: Dataset, trained: Trained, evaluated: Callable[[int, str], Path]
):
    path = evaluated(4, "S2")
    spec = evaluation_spec(params, "soft", 4, "S2")
    table = read_table(path, spec)
    assert list(table.columns) == COLUMNS
    assert len(table) == 3 * 4
    assert set(table.denoiser) == {"network"}
    assert table.groupby("evaluated_on", sort=False).draws.unique().map(list).to_dict() == {
        "own": [12],
        "other": [12],
        "test": [32],
    }
    assert table.groupby("evaluated_on").images.unique().map(list).to_dict() == {
        "own": [4],
        "other": [4],
        "test": [32],
    }
    denoiser, header = load_denoiser(trained(4, "S2"))
    row = table[(table.evaluated_on == "own") & (table.sigma == 0.1)].iloc[0]
    errors = []
    for index in dataset.training_set("S2", 4):
        x = torch.from_numpy(dataset.images(np.array([index])))
        for repeat in range(3):
            z = torch.from_numpy(image_noise(1, int(index), 2, repeat, 8))
            errors.append(((denoiser(x + 0.1 * z) - x) ** 2).mean().item())
    assert row.psnr_of_mean_mse == pytest.approx(-10 * math.log10(np.mean(errors)), abs=1e-4)
    assert row.mean_psnr == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-4)
    of_images = (-10 * np.log10(errors)).reshape(4, 3).mean(1)  # draws of an image belong together
    spread = np.std(of_images, ddof=1) / math.sqrt(4)
    assert row.mean_psnr_se == pytest.approx(spread, rel=1e-3)
    assert row.input_psnr == pytest.approx(20)

    record = read_sidecar(path)
    assert record["inputs"] == {
        "dataset": dataset.images_sha256,
        "network": header["tensors_sha256"],
    }
    assert record["computation"] == in_float32("cpu")
    assert record["trained_by"] == header["computation"]
    draws = read_draws(path)
    assert {name: (of["mse"].shape, of["image"].shape) for name, of in draws.items()} == {
        "own": ((4, 12), (12,)),
        "other": ((4, 12), (12,)),
        "test": ((4, 32), (32,)),
    }
    np.testing.assert_allclose(np.sort(draws["own"]["mse"][2]), np.sort(errors), rtol=1e-4)


def test_tables_have_the_same_bytes_again(evaluated: Callable[[int, str], Path]):
    path = evaluated(4, "S1")
    files = (path, sidecar_of(path), draws_of(path))
    before = [file.read_bytes() for file in files]
    evaluated(4, "S1")
    assert [file.read_bytes() for file in files] == before


def test_networks_are_measured_on_the_same_draws(
    evaluated: Callable[[int, str], Path],
):
    """S1's own set is S2's other one: only the network differs, not the images nor the noise."""
    first, second = (read_table(evaluated(4, split)) for split in ("S1", "S2"))

    def column(table: pd.DataFrame, where: str) -> np.ndarray:
        return table[table.evaluated_on == where].psnr_of_mean_mse.to_numpy()

    # both networks are about as good: the same draws must give nearly the same numbers
    for here, there in (("own", "other"), ("other", "own"), ("test", "test")):
        assert np.abs(column(first, here) - column(second, there)).max() < 1.5


def test_table_of_the_optimum(params: Params, dataset: Dataset, tmp_path: Path):
    spec = memorising_spec(params, "soft", 4, "S1")
    path = tmp_path / "N4_S1_memorising.csv"
    evaluate_memorising(spec, dataset, path)
    table = read_table(path, spec)
    assert list(table.columns) == COLUMNS
    assert set(table.denoiser) == {"memorising"}
    own = table[table.evaluated_on == "own"].set_index("sigma").psnr_of_mean_mse
    test = table[table.evaluated_on == "test"].set_index("sigma").psnr_of_mean_mse
    assert (own > test + 3).all()
    assert own[0.1] > own[1.0]
    assert own[0.03] == np.inf  # recognised beyond doubt
    # off the training set the best it can do is the closest training image: flat at small sigma
    assert test[0.03] == pytest.approx(test[0.1], abs=1.0)
    assert read_sidecar(path)["inputs"] == {"dataset": dataset.images_sha256}

    images = dataset.images(dataset.training_set("S1", 4))
    held_out = dataset.indices["test"][:32]
    errors = []
    for index in held_out:
        x = dataset.images(np.array([index]))[0].astype(float)
        y = x + 0.3 * image_noise(1, int(index), 1, 0, 8)
        errors.append(((naive_posterior_mean(y, images.astype(float), 0.3) - x) ** 2).mean())
    assert test[0.3] == pytest.approx(-10 * math.log10(np.mean(errors)), abs=1e-3)


def test_table_of_the_comparison(
    params: Params, dataset: Dataset, trained: Trained, compared: Callable[[int], Path]
):
    spec = agreement_spec(params, "soft", 4)
    path = compared(4)
    table = read_table(path, spec)
    assert list(table.columns) == [
        "sigma",
        "input_psnr",
        "images",
        "psnr_between",
        "psnr_between_se",
    ]
    assert table.sigma.tolist() == params["evaluation"]["sigmas"]
    assert (table.images == 32).all()
    first, second = (load_denoiser(trained(4, split))[0] for split in ("S1", "S2"))
    differences = []
    for index in dataset.indices["test"][:32]:
        x = torch.from_numpy(dataset.images(np.array([index])))
        y = x + 0.3 * torch.from_numpy(image_noise(1, int(index), 1, 0, 8))
        differences.append((first(y) - second(y)).square().mean().item())
    expected, se = psnr_of_mean_mse(np.array(differences))
    assert table.psnr_between[1] == pytest.approx(float(expected), abs=1e-3)
    assert table.psnr_between_se[1] == pytest.approx(float(se), rel=1e-3)
    digests = [read_tensors(trained(4, split))[1]["tensors_sha256"] for split in ("S1", "S2")]
    inputs = read_sidecar(path)["inputs"]
    assert [inputs["first"], inputs["second"]] == digests


# ---------------------------------------------------------------------------------------------
# What is stale is refused by name


def test_stale_network(params: Params, dataset: Dataset, trained: Trained, tmp_path: Path):
    weights = trained(4, "S1")
    params["training"]["updates"] = 31
    spec = evaluation_spec(params, "soft", 4, "S1")
    with pytest.raises(
        ArtifactError,
        match=r"N4_S1\.safetensors was made from(?s:.*)training\.updates: the file has 30, .* 31",
    ):
        evaluate_network(spec, dataset, weights, tmp_path / "a.csv")
    pair = agreement_spec(params, "soft", 4)
    with pytest.raises(ArtifactError, match=r"N4_S1\.safetensors was made from other settings"):
        compare_networks(pair, dataset, (weights, trained(4, "S2")), tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


def test_networks_in_the_wrong_order(
    params: Params, dataset: Dataset, trained: Trained, tmp_path: Path
):
    networks = trained(4, "S2"), trained(4, "S1")
    with pytest.raises(ArtifactError, match=r'N4_S2\.safetensors(?s:.*)split: .*"S2".*"S1"'):
        compare_networks(agreement_spec(params, "soft", 4), dataset, networks, tmp_path / "a.csv")


def test_swapped_dataset(params: Params, dataset: Dataset, trained: Trained, tmp_path: Path):
    """Same settings, other images: as after a change of the generator."""
    swapped = dataclasses.replace(dataset, images_sha256="0" * 64)
    message = r"N4_S1\.safetensors was made from another dataset"
    with pytest.raises(ArtifactError, match=message):
        evaluate_network(
            evaluation_spec(params, "soft", 4, "S1"), swapped, trained(4, "S1"), tmp_path / "a.csv"
        )
    with pytest.raises(ArtifactError, match=message):
        compare_networks(
            agreement_spec(params, "soft", 4),
            swapped,
            (trained(4, "S1"), trained(4, "S2")),
            tmp_path / "a.csv",
        )
    write_dataset(dataset_spec(params, "soft") | {"seed": 8}, tmp_path / "other.h5")
    with pytest.raises(ArtifactError, match=r"other\.h5 was made from(?s:.*)seed: .* 8, .* 3"):
        open_dataset(tmp_path / "other.h5", dataset_spec(params, "soft"))


def test_damaged_network(
    params: Params,
    dataset: Dataset,
    trained: Trained,
    tmp_path: Path,
    flip: Callable[..., Path],
    evaluated: Callable[[int, str], Path],
):
    table = evaluated(4, "S1")
    before = table.read_bytes()
    weights = trained(4, "S1")
    damaged = flip(weights, weights.stat().st_size - 20, to=tmp_path / "damaged.safetensors")
    with pytest.raises(ArtifactError, match=r"damaged\.safetensors is damaged"):
        evaluate_network(evaluation_spec(params, "soft", 4, "S1"), dataset, damaged, table)
    assert table.read_bytes() == before


# ---------------------------------------------------------------------------------------------
# Summary


def made_up_errors(levels: int = 5, draws: int = 300) -> np.ndarray:
    """Errors of draws that share their image across levels: hard images are hard everywhere."""
    source = np.random.default_rng(2)
    difficulty = source.gamma(4, size=draws) / 4
    own = source.gamma(8, size=(levels, draws)) / 8
    return np.logspace(-1, -3, levels)[:, None] * difficulty * own


def test_weighted_sum_and_its_standard_error():
    errors = made_up_errors()
    weights = np.array([0.5, -1, 0.2, 0, 2])
    value, se = linear_statistic(errors, weights)
    assert value == pytest.approx(sum(weights * psnr_of_mean_mse(errors)[0]))
    expected = bootstrap(errors, lambda e: weights @ psnr_of_mean_mse(e)[0])
    assert se == pytest.approx(expected, rel=0.1)
    # levels that share their images are not independent
    average = np.full(5, 0.2)
    independent = math.sqrt(((average * psnr_of_mean_mse(errors)[1]) ** 2).sum())
    _, se = linear_statistic(errors, average)
    assert se > 1.5 * independent
    assert se == pytest.approx(
        bootstrap(errors, lambda e: average @ psnr_of_mean_mse(e)[0]), rel=0.1
    )


def test_slope_and_its_standard_error():
    errors = made_up_errors()
    psnrs = np.array([0.0, 4, 11, 18, 25])
    weights = slope_weights(psnrs)

    def fit(e: np.ndarray) -> float:
        return np.polyfit(psnrs, -10 * np.log10(e.mean(1)), 1)[0]

    value, se = linear_statistic(errors, weights)
    assert value == pytest.approx(fit(errors))
    assert se == pytest.approx(bootstrap(errors, fit), rel=0.1)
    assert slope_weights(psnrs) @ (3 + 0.7 * psnrs) == pytest.approx(0.7)


def test_summary_by_hand(
    params: Params,
    evaluated: Callable[[int, str], Path],
    compared: Callable[[int], Path],
    tmp_path: Path,
):
    tables = [evaluated(1, "S1"), evaluated(4, "S1"), evaluated(4, "S2")]
    comparisons = [compared(4)]
    spec = summary_spec(params)
    summarise(spec, tables, comparisons, [], tmp_path / "summary.csv")
    summary = read_table(tmp_path / "summary.csv", spec)
    assert list(zip(summary.set_size, summary.split, strict=True)) == [
        (1, "S1"),
        (4, "S1"),
        (4, "S2"),
    ]
    assert set(summary.experiment) == set(summary.image_class) == {"soft"}
    assert set(summary.alpha) == {3}
    assert set(summary.updates) == {30}
    np.testing.assert_allclose(summary.theoretical_slope, 2 / 3)  # what the backgrounds allow
    assert summary.trainings.tolist() == [1, 2, 2]
    assert summary.pooled_cells.tolist() == [1, 1, 1]  # N = 1 is within a factor of ten
    for name in ("gap", "slope"):
        spread = abs(summary[name][1] - summary[name][2]) / math.sqrt(2)
        np.testing.assert_allclose(summary[f"{name}_between"], spread, rtol=1e-4)
    assert summary[["agreement_same_set", "oracle_slope", "slope_above_oracle"]].isna().all(None)
    assert set(summary.sigma_low) == {0.03}
    assert set(summary.sigma_high) == {0.3}
    for row, path in zip(summary.itertuples(), tables, strict=True):
        table, draws = read_table(path), read_draws(path)
        own = table[table.evaluated_on == "own"].psnr_of_mean_mse.to_numpy()
        held_out = table[table.evaluated_on == "test"]
        test = held_out.psnr_of_mean_mse.to_numpy()
        assert row.gap == pytest.approx((own - test).mean(), abs=1e-4)
        assert row.largest_gap == pytest.approx(max(own - test, key=abs), abs=1e-4)
        window = held_out[(held_out.sigma >= 0.03) & (held_out.sigma <= 0.3)]
        assert len(window) == 3
        slope = np.polyfit(-20 * np.log10(window.sigma), window.psnr_of_mean_mse, 1)[0]
        assert row.slope == pytest.approx(slope, abs=1e-4)

        def average(errors: np.ndarray) -> float:
            return -10 * np.log10(errors.mean(1)).mean()

        sets = (by_image(draws[name]["mse"], draws[name]["image"]) for name in ("own", "test"))
        gap_se = math.hypot(*(bootstrap(errors, average) for errors in sets))
        assert row.gap_se == pytest.approx(gap_se, rel=0.25)
    between = read_table(comparisons[0]).psnr_between.mean()
    assert math.isnan(summary.agreement[0])
    assert math.isnan(summary.agreement_se[0])
    np.testing.assert_allclose(summary.agreement[1:], between, atol=1e-4)
    assert (summary.agreement_se[1:] > 0).all()
    recorded = read_sidecar(tmp_path / "summary.csv")["inputs"]
    assert set(recorded) == {path.as_posix() for path in [*tables, *comparisons]}


def test_two_trainings_on_one_set_are_told_apart(
    params: Params,
    dataset: Dataset,
    trained: Trained,
    evaluated: Callable[[int, str], Path],
    compared: Callable[[int], Path],
    tmp_path: Path,
):
    reseeded = params["experiments"]["soft"] | {"set_sizes": [4, 2], "training": {"seed": 7}}
    params["experiments"]["reseeded"] = reseeded
    params["evaluation"]["controls"] = {"reseeded": "soft"}
    validate(params)
    assert control_sizes(params) == {"reseeded": [4]}
    spec = control_spec(params, "reseeded", 4)
    assert (spec["first"]["split"], spec["second"]["split"]) == ("S1", "S1")
    assert (spec["first"]["training"]["seed"], spec["second"]["training"]["seed"]) == (0, 7)
    assert spec["evaluation"] == agreement_spec(params, "soft", 4)["evaluation"]
    other, table = tmp_path / "other.safetensors", tmp_path / "N4_control.csv"
    train(spec["second"], dataset, other, tmp_path / "training.csv", tmp_path / "state")
    compare_networks(spec, dataset, (trained(4, "S1"), other), table)
    tables = [evaluated(4, "S1"), evaluated(4, "S2")]
    summarise(summary_spec(params), tables, [compared(4), table], [], tmp_path / "summary.csv")
    summary = read_table(tmp_path / "summary.csv")
    same, disjoint = (read_table(path).psnr_between.mean() for path in (table, compared(4)))
    assert abs(same - disjoint) > 0.01
    np.testing.assert_allclose(summary.agreement_same_set, same, atol=1e-4)
    np.testing.assert_allclose(summary.agreement, disjoint, atol=1e-4)


def test_slopes_of_network_and_oracle_are_of_the_same_images(
    params: Params, dataset: Dataset, evaluated: Callable[[int, str], Path], tmp_path: Path
):
    references = []
    for name in ("wavelets", "known-contour"):
        references.append(tmp_path / f"{name}.csv")
        evaluate_reference(reference_spec(params, "soft", name), dataset, references[-1])
    path, spec = evaluated(4, "S1"), summary_spec(params)
    summarise(spec, [path], [], references, tmp_path / "summary.csv")
    (row,) = read_table(tmp_path / "summary.csv").itertuples()
    psnrs = -20 * np.log10([0.3, 0.1, 0.03])
    oracle, learned = (read_draws(table)["test"]["mse"][1:, :12] for table in (references[1], path))

    def fit(errors: np.ndarray) -> float:
        return np.polyfit(psnrs, -10 * np.log10(errors.mean(1)), 1)[0]

    assert row.oracle_slope == pytest.approx(fit(oracle), abs=1e-6)
    assert row.slope_above_oracle == pytest.approx(fit(learned) - fit(oracle), abs=1e-6)
    kept = [np.delete(np.arange(12), image) for image in range(12)]
    left_out = [fit(learned[:, some]) - fit(oracle[:, some]) for some in kept]
    assert row.slope_above_oracle_se == pytest.approx(np.std(left_out) * math.sqrt(11), rel=0.3)
    recorded = read_sidecar(tmp_path / "summary.csv")["inputs"]
    assert set(recorded) == {table.as_posix() for table in (path, *references)}


def test_slope_window(params: Params, evaluated: Callable[[int, str], Path], tmp_path: Path):
    path = evaluated(4, "S1")
    slopes = []
    for window in ([0.03, 0.3], [0.1, 1.0]):
        summarise({"slope_window": window}, [path], [], [], tmp_path / "summary.csv")
        slopes.append(read_table(tmp_path / "summary.csv").slope[0])
    assert slopes[0] != pytest.approx(slopes[1], abs=1e-3)


def test_summary_of_damaged_or_stale_tables(
    params: Params,
    dataset: Dataset,
    evaluated: Callable[[int, str], Path],
    compared: Callable[[int], Path],
    flip: Callable[..., Path],
    tmp_path: Path,
):
    spec, path = summary_spec(params), evaluated(4, "S1")
    output = tmp_path / "summary.csv"
    summarise(spec, [path], [], [], output)
    before = output.read_bytes()

    draws = draws_of(path)
    intact = draws.read_bytes()
    draws.write_bytes(draws_of(evaluated(4, "S2")).read_bytes())  # of another network
    with pytest.raises(ArtifactError, match=r"N4_S1\.h5 was made from other settings"):
        summarise(spec, [path], [], [], output)
    draws.write_bytes(intact[:-1])
    with pytest.raises(ArtifactError, match=r"N4_S1\.h5 is damaged"):
        summarise(spec, [path], [], [], output)
    draws.write_bytes(intact)

    flip(path, 200)
    with pytest.raises(ArtifactError, match=r"N4_S1\.csv is damaged"):
        summarise(spec, [path], [], [], output)
    flip(path, 200)

    memorising = tmp_path / "optimum.csv"
    evaluate_memorising(memorising_spec(params, "soft", 4, "S1"), dataset, memorising)
    with pytest.raises(ArtifactError, match=r"optimum\.csv is not the evaluation of a network"):
        summarise(spec, [memorising], [], [], output)
    with pytest.raises(ArtifactError, match=r"N4_S1\.csv is not a comparison of networks"):
        summarise(spec, [path], [path], [], output)
    summarise(spec, [path], [compared(4)], [], tmp_path / "other.csv")
    assert output.read_bytes() == before
