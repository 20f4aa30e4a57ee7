"""Networks of several disjoint sets: snapshots, variance and bias, and bounds on densities."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY

import gahb
from gahb.artifacts import ArtifactError, read_sidecar, read_table, read_tensors
from gahb.datasets.splits import half_and_turn, paired_split
from gahb.datasets.store import Dataset, open_dataset, write_dataset
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.optimal import exact_denoiser
from gahb.denoisers.snapshots import read_snapshots
from gahb.denoisers.training import Trainer, train
from gahb.denoisers.weights import load_denoiser
from gahb.evaluation.divergence import bound_densities, density_bound, quadrature_weights
from gahb.evaluation.ensembles import _Comparison, measure_ensembles
from gahb.evaluation.measure import noisy_set
from gahb.likeness import similarity
from gahb.params import (
    ensemble_spec,
    network_spec,
    samples_over_training_spec,
    samples_spec,
    snapshot_updates,
)
from gahb.samples.over_training import sample_over_training
from gahb.samples.pair import sample_pair

FIELDS: dict[str, Any] = {
    **copy.deepcopy(TINY),
    "image_classes": {
        "fields": {
            "class": "gaussian",
            "size": 8,
            "exponent": 3,
            "mean": 0.5,
            "standard_deviation": 0.15,
            "images": 64,
            "test_images": 24,
            "seed": 0,
        }
    },
    "experiments": {
        "fields": {
            "image_class": "fields",
            "architecture": "small",
            "set_sizes": [2, 4],
            "splits": ["S1", "S2", "S3", "S4"],
            "snapshots": {"first": 3, "count": 3},
        }
    },
    "ensembles": {
        "seed": 5,
        "experiments": ["fields"],
        "sigmas": [0.1, 0.2, 0.4, 0.6, 0.9, 1.5, 2.0],
        "sigmas_over_training": [0.2, 0.9],
        "images": 16,
        "threads": 1,
    },
}


# ---------------------------------------------------------------------------------------------
# More than two disjoint training sets


def test_training_sets_of_one_size_are_disjoint(dataset: Dataset):
    for set_size in (1, 3, 4):
        sets = [set(dataset.training_set(f"S{k}", set_size)) for k in (1, 2, 3, 4, 5, 6, 7, 8)]
        assert all(len(one) == set_size for one in sets)
        assert len(set.union(*sets)) == 8 * set_size
        assert not set.union(*sets) & set(dataset.indices["test"])
    np.testing.assert_array_equal(dataset.training_set("S3", 4), dataset.indices["S1"][4:8])
    np.testing.assert_array_equal(dataset.training_set("S6", 4), dataset.indices["S2"][8:12])
    with pytest.raises(ValueError, match="S3 has 8 images, 9 were asked for"):
        dataset.training_set("S3", 9)


def test_pairs_of_splits():
    assert [paired_split(f"S{k}") for k in range(1, 7)] == ["S2", "S1", "S4", "S3", "S6", "S5"]
    assert [half_and_turn(f"S{k}") for k in (1, 2, 3, 12)] == [
        ("S1", 0),
        ("S2", 0),
        ("S1", 1),
        ("S2", 5),
    ]


# ---------------------------------------------------------------------------------------------
# Snapshots


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An experiment of eight networks on Gaussian fields, with snapshots."""
    folder = tmp_path_factory.mktemp("fields")
    spec = ensemble_spec(FIELDS, "fields")
    write_dataset(spec["ensemble"]["dataset"], folder / "fields.h5")
    dataset = open_dataset(folder / "fields.h5")
    updates = snapshot_updates(FIELDS, "fields")
    networks, snapshots = [], []
    for set_size, split in itertools.product((2, 4), ("S1", "S2", "S3", "S4")):
        weights = folder / f"N{set_size}_{split}.safetensors"
        taken = folder / f"N{set_size}_{split}_snapshots.safetensors"
        train(
            network_spec(FIELDS, "fields", set_size, split),
            dataset,
            weights,
            weights.with_suffix(".csv"),
            folder / "checkpoint",
            snapshots=taken,
            snapshots_at=updates,
        )
        networks.append(weights)
        snapshots.append(taken)
    measure_ensembles(spec, dataset, networks, snapshots, folder / "ensembles.csv")
    return SimpleNamespace(
        dataset=dataset,
        spec=spec,
        networks=networks,
        snapshots=snapshots,
        updates=updates,
        table=folder / "ensembles.csv",
    )


def test_snapshots_are_log_spaced_and_end_with_the_last_update(params: dict[str, Any]):
    assert snapshot_updates(FIELDS, "fields") == [3, 9, 30]
    assert snapshot_updates(params, "soft") == []
    params["experiments"]["soft"]["snapshots"] = {"first": 1, "count": 9}
    assert snapshot_updates(params, "soft") == [1, 2, 4, 5, 8, 13, 20, 30]


def test_snapshots_are_the_weights_on_the_way(fields: SimpleNamespace):
    spec = network_spec(FIELDS, "fields", 2, "S3")
    index = fields.dataset.training_set("S3", 2)
    images = torch.from_numpy(fields.dataset.images(index))
    trainer = Trainer(spec, images, images)
    kept, digests = read_snapshots(fields.snapshots[2], spec, fields.updates)
    assert digests["dataset"] == fields.dataset.images_sha256
    for update, denoiser in kept:
        while trainer.update < update:
            trainer.step()
        expected = trainer.network.state_dict()
        found = denoiser.network.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert not denoiser.training
    final, _ = load_denoiser(fields.networks[2], spec)
    assert all(torch.equal(found[k], v) for k, v in final.network.state_dict().items())


def test_snapshots_do_not_change_the_weights(fields: SimpleNamespace, tmp_path: Path):
    spec = network_spec(FIELDS, "fields", 2, "S3")
    output = tmp_path / fields.networks[2].name
    train(spec, fields.dataset, output, tmp_path / "log.csv", tmp_path / "checkpoint")
    assert output.read_bytes() == fields.networks[2].read_bytes()


def test_a_continued_training_leaves_the_same_snapshots(
    fields: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec, step = network_spec(FIELDS, "fields", 2, "S3"), Trainer.step

    def run() -> None:
        train(
            spec,
            fields.dataset,
            tmp_path / "weights.safetensors",
            tmp_path / "log.csv",
            tmp_path / "checkpoint",
            0,
            tmp_path / "snapshots.safetensors",
            fields.updates,
        )

    def interrupted(self: Trainer) -> None:
        if self.update == 15:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not (tmp_path / "snapshots.safetensors").exists()
    monkeypatch.setattr(Trainer, "step", step)
    run()
    assert (tmp_path / "snapshots.safetensors").read_bytes() == fields.snapshots[2].read_bytes()


def test_snapshots_are_read_without_being_told_what_they_are(fields: SimpleNamespace):
    networks, _ = gahb.read_snapshots(fields.snapshots[2])
    assert [update for update, _ in networks] == fields.updates


def test_snapshots_of_something_else_are_refused(fields: SimpleNamespace):
    spec = network_spec(FIELDS, "fields", 2, "S3")
    with pytest.raises(ArtifactError, match=r"at updates 3, 9, 30; expected 3, 30"):
        read_snapshots(fields.snapshots[2], spec, [3, 30])
    with pytest.raises(ArtifactError, match='split: the file has "S3"'):
        read_snapshots(fields.snapshots[2], spec | {"split": "S1"}, fields.updates)


# ---------------------------------------------------------------------------------------------
# Variance, bias and distances


def rows(fields: SimpleNamespace, set_size: int, update: int) -> pd.DataFrame:
    table = read_table(fields.table, fields.spec)
    return table[(table.set_size == set_size) & (table["update"] == update)].set_index("sigma")


def test_every_quantity_by_hand(fields: SimpleNamespace):
    """At one noise level, from the networks themselves."""
    level, sigma = 2, 0.4
    found = rows(fields, 4, 30).loc[sigma]
    dataset, seed = fields.dataset, fields.spec["measured"]["seed"]
    test = noisy_set(dataset, dataset.indices["test"], 16, 1)
    batches = test.batches(seed, level, sigma)
    clean, noisy = (torch.cat(parts) for parts in zip(*batches, strict=True))
    exact = exact_denoiser(fields.spec["ensemble"]["dataset"])(noisy, sigma).double()
    outputs, far, own_far = [], [], []
    for number, split in enumerate(("S1", "S2", "S3", "S4")):
        denoiser, _ = load_denoiser(fields.networks[4 + number])
        index = dataset.training_set(split, 4)
        memorising = EmpiricalDenoiser(torch.from_numpy(dataset.images(index)))
        own = noisy_set(dataset, index, 16, 16)
        own_noisy = torch.cat([y for _, y in own.batches(seed, level, sigma)])
        with torch.no_grad():
            outputs.append(denoiser(noisy))
            far.append((outputs[-1] - memorising(noisy, sigma)).square().mean().item())
            apart = denoiser(own_noisy) - memorising(own_noisy, sigma)
            own_far.append(apart.square().mean().item())
    answers = torch.stack(outputs).double()
    mean = answers.mean(0)
    variance = ((answers - mean).square().sum(0) / 3).mean()
    excess = (answers - exact).square().mean()
    assert found.networks == 4
    assert found.images == 16
    close = {"rel": 1e-5}
    assert found.mse == pytest.approx((answers - clean).square().mean().item(), **close)
    assert found.variance == pytest.approx(variance.item(), **close)
    assert found.exact_mse == pytest.approx((exact - clean).square().mean().item(), **close)
    assert found.excess == pytest.approx(excess.item(), **close)
    # the mean of four is a quarter of the variance nearer to the mean over all sets than one is
    assert found.bias == pytest.approx(
        ((mean - exact).square().mean() - variance / 4).item(), rel=1e-4
    )
    assert found.empirical_distance == pytest.approx(np.mean(far), **close)
    assert found.own_empirical_distance == pytest.approx(np.mean(own_far), **close)
    for measure in ("cosine", "correlation"):
        alike = [similarity(a, b, measure).mean() for a, b in itertools.combinations(outputs, 2)]
        assert found[measure] == pytest.approx(np.mean(alike), rel=1e-5)


def test_excess_is_the_difference_of_the_errors(fields: SimpleNamespace):
    """In expectation, since the error of the conditional mean is orthogonal to all else."""
    dataset, sigma = fields.dataset, 0.4
    exact = exact_denoiser(fields.spec["ensemble"]["dataset"])
    denoiser, _ = load_denoiser(fields.networks[4])
    test = noisy_set(dataset, dataset.indices["test"], 24, minimum_draws=600)
    with torch.no_grad():
        paired = [
            (
                (denoiser(y) - x) ** 2
                - (exact(y, sigma) - x) ** 2
                - (denoiser(y) - exact(y, sigma)) ** 2
            )
            for x, y in test.batches(1, 0, sigma)
        ]
    values = torch.cat(paired).mean(dim=(1, 2, 3)).double().numpy()
    assert abs(values.mean()) < 4 * values.std(ddof=1) / len(values) ** 0.5
    excess = rows(fields, 4, 30).excess[sigma]
    assert values.std(ddof=1) / len(values) ** 0.5 < 0.1 * excess  # so that it could have failed


@pytest.mark.parametrize("networks", [2, 4])
def test_variance_and_bias_are_unbiased(networks: int, dataset: Dataset):
    """Of denoisers f_k = f* + b + e_k, drawn anew many times, the means are var(e) and b^2."""
    bias, deviation, found = 0.3, 0.2, []
    clean = torch.zeros(8, 1, 8, 8)
    test = SimpleNamespace(images=clean, indices=np.arange(8))
    noisy = [[(clean, clean)]]
    draws = torch.Generator().manual_seed(0)
    comparison = object.__new__(_Comparison)
    comparison.__dict__.update(
        _levels=[0.5],
        _test=test,
        _noisy=noisy,
        _own_noisy=[noisy] * networks,
        _empirical=[[clean]] * networks,
        _own_empirical=[[clean]] * networks,
        _training=[torch.ones(1, 1, 8, 8)] * networks,
        _exact=[clean],
    )
    for _ in range(200):
        answers = [
            bias + deviation * torch.randn(clean.shape, generator=draws) for _ in range(networks)
        ]
        drawn = [lambda y, sigma, answer=answer: answer for answer in answers]
        measured = comparison.measure(drawn, [0.5])
        found.append((measured["variance"].mean(), measured["bias"].mean()))
    means, errors = np.mean(found, 0), np.std(found, 0, ddof=1) / 200**0.5
    assert (np.abs(means - [deviation**2, bias**2]) < 4 * errors).all()
    assert (errors < 0.01 * means).all()


def test_errors_are_those_of_the_mean_over_draws(fields: SimpleNamespace, tmp_path: Path):
    """More images, smaller errors: by the square root of their number, roughly."""
    spec = copy.deepcopy(fields.spec)
    spec["ensemble"] |= {"set_sizes": [4]}
    spec["ensemble"].pop("snapshots")
    spec["measured"]["images"] = 4
    measure_ensembles(spec, fields.dataset, fields.networks[4:], [], tmp_path / "few.csv")
    few = read_table(tmp_path / "few.csv").set_index("sigma")
    ratio = few.excess_se / rows(fields, 4, 30).excess_se
    assert 1 < ratio.mean() < 4


def test_every_snapshot_is_measured(fields: SimpleNamespace):
    table = read_table(fields.table)
    counts = table.groupby(["set_size", "update"]).size()
    assert counts.to_dict() == {(n, u): 7 if u == 30 else 2 for n in (2, 4) for u in (3, 9, 30)}
    early, last = rows(fields, 2, 3), rows(fields, 2, 30)
    assert list(early.index) == [0.2, 0.9]
    assert (early.variance != last.variance[early.index]).all()
    pd.testing.assert_series_equal(early.exact_mse, last.exact_mse[early.index])
    inputs = read_sidecar(fields.table)["inputs"]
    assert {"dataset", "N2_S1", "N4_S4", "N4_S4_snapshots"} <= set(inputs)


def test_one_network_has_no_variance(fields: SimpleNamespace, tmp_path: Path):
    spec = copy.deepcopy(fields.spec)
    spec["ensemble"] |= {"splits": ["S1"], "set_sizes": [2]}
    spec["ensemble"].pop("snapshots")
    measure_ensembles(spec, fields.dataset, fields.networks[:1], [], tmp_path / "one.csv")
    table = read_table(tmp_path / "one.csv")
    assert table[["variance", "cosine", "bias"]].isna().all(axis=None)
    assert table[["mse", "excess", "empirical_distance"]].notna().all(axis=None)
    bound_densities([tmp_path / "one.csv"], tmp_path / "density.csv")
    row = read_table(tmp_path / "density.csv").iloc[0]
    assert np.isnan(row[["kl_between", "kl_variance", "kl_bias"]].astype(float)).all()
    assert row.kl > 0


def test_without_an_exact_denoiser(
    dataset: Dataset, trained: Callable[[int, str], Path], params: dict[str, Any], tmp_path: Path
):
    params["ensembles"] = FIELDS["ensembles"]
    params["experiments"]["soft"]["set_sizes"] = [4]
    spec = ensemble_spec(params, "soft")
    networks = [trained(4, "S1"), trained(4, "S2")]
    measure_ensembles(spec, dataset, networks, [], tmp_path / "soft.csv")
    table = read_table(tmp_path / "soft.csv", spec)
    assert table[["exact_mse", "excess", "bias"]].isna().all(axis=None)
    assert table[["variance", "correlation", "own_empirical_distance"]].notna().all(axis=None)
    bound_densities([tmp_path / "soft.csv"], tmp_path / "density.csv")
    assert read_table(tmp_path / "density.csv").empty


def test_networks_in_another_order_are_refused(fields: SimpleNamespace, tmp_path: Path):
    swapped = [fields.networks[1], fields.networks[0], *fields.networks[2:]]
    with pytest.raises(ArtifactError, match=r'split: the file has "S2", params.yaml asks for "S1"'):
        measure_ensembles(fields.spec, fields.dataset, swapped, [], tmp_path / "new.csv")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------
# Density


def test_quadrature_is_exact_for_cubics_in_log_sigma():
    sigmas = np.geomspace(0.02, 1, 13)
    t = np.log(sigmas)
    found = quadrature_weights(sigmas) @ (2 + t - 3 * t**3)
    low, high = t[0], t[-1]
    exact = 2 * (high - low) + (high**2 - low**2) / 2 - 3 * (high**4 - low**4) / 4
    assert found == pytest.approx(exact, rel=1e-12)


def test_bound_is_the_divergence_of_two_gaussians():
    """For f exact on another Gaussian the bound is an equality: both diffuse to the same noise."""
    images, other = np.array([0.09, 0.02, 0.001]), np.array([0.04, 0.05, 0.003])  # variances
    sigmas = np.geomspace(0.02, 60, 401)
    gains = [v / (v + sigmas[:, None] ** 2) for v in (images, other)]
    noisy = images + sigmas[:, None] ** 2
    excess = ((gains[0] - gains[1]) ** 2 * noisy).mean(1)[None, :, None]
    found = density_bound(sigmas, np.repeat(excess, 2, 2), None, np.ones(2), 3, [0, 1000])
    ratio = (images + 0.02**2) / (other + 0.02**2)
    divergence = (ratio - 1 - np.log(ratio)).sum() / 2
    assert found["kl"] == pytest.approx(divergence, rel=1e-3)
    assert found["bits_per_pixel"] == pytest.approx(divergence / 3 / np.log(2), rel=1e-3)
    assert found["kl_quadrature"] < 1e-4 * divergence
    assert found["kl_se"] == pytest.approx(0, abs=1e-12)


def test_bound_by_hand():
    """excess = c sigma^2: the integral is d c log(high/low), and the same beyond what was trained."""
    sigmas = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
    level = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 5.0]])  # (K, images)
    excess = level[:, None, :] * sigmas[:, None] ** 2
    variance = np.full((6, 2), 0.5) * sigmas[:, None] ** 2
    energy = np.array([2.0, 4.0])
    found = density_bound(sigmas, excess, variance, energy, 10, [0.1, 1])
    folds = np.log(8)
    assert found["networks"] == 3
    assert (found["sigma_low"], found["sigma_high"]) == (0.1, 0.8)
    assert found["kl"] == pytest.approx(10 * level.mean() * folds)
    per_image = 10 * level.mean(0) * folds
    assert found["kl_se"] == pytest.approx(abs(per_image[0] - per_image[1]) / 2)
    per_network = 10 * level.mean(1) * folds
    assert found["kl_between"] == pytest.approx(per_network.std(ddof=1) / 3**0.5)
    assert found["kl_variance"] == pytest.approx(5 * folds)
    assert found["kl_bias"] == pytest.approx(found["kl"] - found["kl_variance"])
    assert np.isnan(found["kl_quadrature"])  # four levels: none can be left out
    assert (found["outside_low"], found["outside_high"]) == (0.8, 3.2)
    assert found["kl_outside"] == pytest.approx(10 * level.mean() * np.log(4))
    assert found["start"] == pytest.approx(3 / (2 * 0.8**2))
    assert found["per_efold_low"] == pytest.approx(10 * level.mean())
    assert found["bound"] == pytest.approx(found["kl"] + found["start"])
    assert found["exponent_low"] == pytest.approx(2)  # so each e-fold adds as much
    with pytest.raises(ValueError, match="allowed are ascending levels above 0"):
        density_bound(sigmas[::-1], excess, variance, energy, 10, [0.1, 1])
    with pytest.raises(ValueError, match=r"found excess \(6, 2\), variance None, energy \(2,\)"):
        density_bound(sigmas, excess[0], None, energy, 10, [0.1, 1])
    with pytest.raises(ValueError, match=r"2 of 6 noise levels are between 0\.3 and 1"):
        density_bound(sigmas, excess, variance, energy, 10, [0.3, 1])


def test_density_table(fields: SimpleNamespace, tmp_path: Path):
    bound_densities([fields.table], tmp_path / "density.csv")
    table = read_table(tmp_path / "density.csv")
    assert list(table.set_size) == [2, 4]
    assert (table.networks == 4).all()
    assert (table.pixels == 64).all()
    assert (table.sigma_high == 0.9).all()
    assert (table[["kl", "kl_se", "kl_between", "start"]] > 0).all(axis=None)
    measured = rows(fields, 4, 30)
    inside = measured.index <= 1
    weights = quadrature_weights(measured.index[inside].to_numpy())
    integral = weights @ (64 * measured.excess / measured.index**2)[inside]
    assert table.kl[1] == pytest.approx(integral, rel=1e-5)


@pytest.mark.parametrize(
    ("snapshots", "at"), [("snapshots.safetensors", []), ("x.safetensors", [31]), (None, [3])]
)
def test_snapshots_that_cannot_be_taken(
    fields: SimpleNamespace, tmp_path: Path, snapshots: str | None, at: list[int]
):
    spec = network_spec(FIELDS, "fields", 2, "S1")
    path = None if snapshots is None else tmp_path / snapshots
    with pytest.raises(ValueError, match="expected a file, and numbers of at most 30, or neither"):
        train(
            spec,
            fields.dataset,
            tmp_path / "weights.safetensors",
            tmp_path / "log.csv",
            tmp_path / "checkpoint",
            snapshots=path,
            snapshots_at=at,
        )
    assert not list(tmp_path.iterdir())


def test_another_table_is_no_ensemble(
    dataset: Dataset, trained: Callable[[int, str], Path], tmp_path: Path
):
    sample_pair(
        samples_spec(TINY, "soft", 4),
        dataset,
        (trained(4, "S1"), trained(4, "S2")),
        tmp_path / "N4.csv",
    )
    with pytest.raises(ArtifactError, match=r"N4\.csv is not a table of ensembles"):
        bound_densities([tmp_path / "N4.csv"], tmp_path / "density.csv")


# ---------------------------------------------------------------------------------------------
# Samples over training


def test_samples_over_training_end_with_those_of_the_trained_pair(
    fields: SimpleNamespace, tmp_path: Path
):
    spec = samples_over_training_spec(FIELDS, "fields")
    chosen = [path for path in fields.snapshots if path.name.split("_")[1] in ("S1", "S2")]
    sample_over_training(spec, fields.dataset, chosen, tmp_path / "updates.csv")
    table = read_table(tmp_path / "updates.csv", spec)
    assert sorted(set(zip(table.set_size, table["update"], strict=True))) == [
        (n, u) for n in (2, 4) for u in (3, 9, 30)
    ]
    pair = samples_spec(FIELDS, "fields", 4)
    networks = (fields.networks[4], fields.networks[5])
    sample_pair(pair, fields.dataset, networks, tmp_path / "N4.csv")
    last = table[(table.set_size == 4) & (table["update"] == 30)].drop(
        columns=["set_size", "update"]
    )
    expected = read_table(tmp_path / "N4.csv", pair)
    of_sets_or_fresh = set(expected.quantity) - set(last.quantity)
    assert of_sets_or_fresh >= {"twin_similarity", "twins", "fresh_similarity"}
    expected = expected[~expected.quantity.isin(of_sets_or_fresh)]
    pd.testing.assert_frame_equal(last.reset_index(drop=True), expected.reset_index(drop=True))


def test_snapshots_carry_no_other_tensors(fields: SimpleNamespace):
    tensors, header = read_tensors(fields.snapshots[0], network_spec(FIELDS, "fields", 2, "S1"))
    assert {name.split(".")[0] for name in tensors} == {"3", "9", "30"}
    assert header["inputs"] == {"dataset": fields.dataset.images_sha256}
