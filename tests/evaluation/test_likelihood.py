"""The evidence lower bound of denoisers of Gaussian fields, beside the exact log-likelihood."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from scipy.stats import multivariate_normal
from torch import Tensor

from gahb.artifacts import read_sidecar, read_table
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.store import open_dataset, write_dataset
from gahb.denoisers.computation import in_float32
from gahb.denoisers.exact.gaussian import WienerDenoiser
from gahb.denoisers.training import train
from gahb.evaluation.likelihood import elbo_terms, log_likelihood, measure_likelihoods
from gahb.evaluation.measure import NoisySet
from gahb.params import dataset_spec, elbo_spec, ensemble_spec, network_spec, validate

FIELDS = Gaussian(size=8, exponent=3, mean=0.5, standard_deviation=0.15, seed=0)


def noisy_fields(count: int) -> NoisySet:
    images = torch.from_numpy(FIELDS.render(0, count))[:, None]
    return NoisySet(np.arange(count), np.zeros(count, np.int64), images)


def test_log_likelihood_is_that_of_the_covariance():
    impulse = np.zeros((8, 8))
    impulse[0, 0] = 1
    column = np.fft.ifft2(np.fft.fft2(impulse) * FIELDS.spectrum()).real
    covariance = [
        np.roll(column, (row, place), (0, 1)).ravel() for row in range(8) for place in range(8)
    ]
    images = FIELDS.render(0, 5).astype(np.float64)
    expected = multivariate_normal(np.full(64, 0.5), covariance).logpdf(images.reshape(5, 64))
    np.testing.assert_allclose(log_likelihood(FIELDS, images), expected, rtol=1e-6)


def bound(denoiser: Any, levels: int, count: int = 64, high: float = 20.0) -> np.ndarray:
    """The bound of each image, in nats."""
    sigmas = np.geomspace(0.002, high, levels).tolist()
    return -np.sum(list(elbo_terms(denoiser, FIELDS, noisy_fields(count), sigmas, 0).values()), 0)


def test_with_the_exact_denoiser_it_tends_to_the_likelihood():
    """What is missing is a sum in the place of an integral: inversely proportional to the steps."""
    exact = WienerDenoiser(FIELDS)
    likelihood = log_likelihood(FIELDS, noisy_fields(64).images[:, 0].double().numpy())
    losses = [float((likelihood - bound(exact, levels)).mean()) for levels in (100, 200, 400, 1600)]
    assert losses[0] > losses[1] > losses[2] > losses[3] > 0
    assert losses[1] / losses[2] == pytest.approx(2, rel=0.25)
    assert losses[3] < 1.5  # nats, of about 100
    assert likelihood.mean() > 50


def test_a_start_with_too_little_noise_costs_what_the_prior_says():
    exact, noisy = WienerDenoiser(FIELDS), noisy_fields(64)
    terms = elbo_terms(exact, FIELDS, noisy, [0.01, 0.1, 1.0], 0)
    energies = (noisy.images - 0.5).square().sum((1, 2, 3)).numpy()
    np.testing.assert_allclose(terms["prior_kl"], energies / 2, rtol=1e-5)


def test_another_denoiser_loses_its_excess_error():
    """KL of the steps: (1/s^2 - 1/s'^2) / 2 times the squared error at s', one step at a time."""
    exact, noisy = WienerDenoiser(FIELDS), noisy_fields(32)

    def shrunk(y: Tensor, sigma: float) -> Tensor:
        return exact(y, sigma) + 0.02

    sigmas = [0.01, 0.05, 0.2, 1.0]
    found, least = (elbo_terms(f, FIELDS, noisy, sigmas, 3) for f in (shrunk, exact))
    snr = np.array(sigmas) ** -2.0
    for name, weight in (("steps_kl", snr[0] - snr[-1]), ("reconstruction", snr[0])):
        lost = (found[name] - least[name]).mean()
        assert lost == pytest.approx(weight / 2 * 64 * 0.02**2, rel=0.1), name
    np.testing.assert_array_equal(found["prior_kl"], least["prior_kl"])


@pytest.fixture
def project() -> dict[str, Any]:
    params = copy.deepcopy(TINY)
    params["image_classes"]["fields"] = {
        "class": "gaussian",
        "size": 8,
        "exponent": 3,
        "mean": 0.5,
        "standard_deviation": 0.15,
        "images": 64,
        "test_images": 24,
        "seed": 0,
    }
    params["experiments"]["fields"] = {
        "image_class": "fields",
        "architecture": "small",
        "set_sizes": [2, 4],
        "splits": ["S1", "S2"],
    }
    params["ensembles"] |= {
        "experiments": ["fields"],
        "elbo": {"steps": 12, "sigma_range": [0.02, 1.0], "images": 16},
    }
    validate(params)
    return params


def test_table_of_likelihoods(project: dict[str, Any], tmp_path: Path):
    spec = elbo_spec(project, "fields")
    assert "elbo" not in ensemble_spec(project, "fields")["measured"]
    write_dataset(dataset_spec(project, "fields"), tmp_path / "fields.h5")
    dataset = open_dataset(tmp_path / "fields.h5")
    networks = []
    for size in (2, 4):
        for split in ("S1", "S2"):
            networks.append(tmp_path / f"N{size}_{split}.safetensors")
            of = network_spec(project, "fields", size, split)
            train(of, dataset, networks[-1], tmp_path / "training.csv", tmp_path / "state")
    measure_likelihoods(spec, dataset, networks, tmp_path / "elbo.csv")
    table = read_table(tmp_path / "elbo.csv", spec)
    assert list(zip(table.set_size, table.split, strict=True)) == [
        *((2, "S1"), (2, "S2"), (4, "S1"), (4, "S2"))
    ]
    assert set(table.levels) == {12}
    assert set(table.images) == {16}
    assert set(table.pixels) == {64}
    terms = table[["steps_kl", "prior_kl", "reconstruction"]].sum(axis=1)
    np.testing.assert_allclose(table.elbo, -terms, rtol=1e-6)
    np.testing.assert_allclose(table.loss, table.log_likelihood - table.elbo, atol=1e-5)
    assert table.exact_elbo.nunique() == 1
    assert (table.loss > table.exact_loss).all()
    assert (table.exact_loss > 0).all()
    assert (table.loss_se > 0).all()
    images = dataset.images(dataset.indices["test"][:16])[:, 0].astype(np.float64)
    expected = log_likelihood(Gaussian(**FIELDS.model_dump()), images).mean()
    np.testing.assert_allclose(table.log_likelihood, expected, rtol=1e-6)
    recorded = read_sidecar(tmp_path / "elbo.csv")
    assert recorded["computation"] == in_float32("cpu")
    assert set(recorded["inputs"]) == {"dataset", "N2_S1", "N2_S2", "N4_S1", "N4_S2"}


def test_the_likelihood_of_other_images_is_not_known(project: dict[str, Any], tmp_path: Path):
    write_dataset(dataset_spec(project, "soft"), tmp_path / "soft.h5")
    spec = elbo_spec(project, "soft")
    with pytest.raises(ValueError, match="of Gaussian fields it is"):
        measure_likelihoods(spec, open_dataset(tmp_path / "soft.h5"), [], tmp_path / "elbo.csv")
