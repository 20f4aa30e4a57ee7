"""Similarity, memorisation, the phase that measures them on two networks, and its files."""

from __future__ import annotations

import copy
import re
import shutil

import numpy as np
import pytest
import scipy.optimize
import torch
from conftest import TINY
from helpers.schema_files import (
    check_flipped_bits,
    check_misshapen,
    check_stored,
    check_table,
    check_truncated,
)

from gahb import likeness
from gahb.artifacts import ArtifactError, read_sidecar, read_table
from gahb.denoisers.computation import in_float32
from gahb.likeness import (
    closest,
    directions,
    nearest_distances,
    nearest_scaled,
    similarity,
)
from gahb.means import mean_and_error
from gahb.params import ParamsError, samples_spec, validate
from gahb.randomness import generator
from gahb.samples.comparison import compare_samples, compare_sets, summary_table
from gahb.samples.copies import distance_ratio, memorised
from gahb.samples.draw import Samples
from gahb.samples.fresh import energy_test, principal_directions, variance_ratio
from gahb.samples.pair import sample_pair
from gahb.samples.start import start_of
from gahb.samples.store import SCHEMA, read_samples, write_samples
from gahb.samples.trajectories import Recorder


def images(seed: int, count: int, size: int = 8) -> torch.Tensor:
    return torch.from_numpy(generator(seed, "test").random((count, 1, size, size), np.float32))


def is_memorised(samples: torch.Tensor, known: torch.Tensor) -> np.ndarray:
    return memorised(distance_ratio(nearest_distances(samples, known)))


def is_scaled_copy(samples: torch.Tensor, known: torch.Tensor, above: float = 0.95) -> np.ndarray:
    return memorised(distance_ratio(nearest_scaled(samples, known, above)))


# ---------------------------------------------------------------------------------------------
# Similarity and memorisation


def test_similarities_by_hand():
    first = torch.tensor([[3.0, 4.0], [1.0, 3.0]]).view(2, 1, 1, 2)
    second = torch.tensor([[4.0, 3.0], [5.0, 9.0]]).view(2, 1, 1, 2)
    found = similarity(first, second, "cosine")
    torch.testing.assert_close(found, torch.tensor([24 / 25, 32 / 10**0.5 / 106**0.5]))
    torch.testing.assert_close(similarity(first, second, "correlation"), torch.tensor([-1.0, 1.0]))


def test_correlation_is_numpys_and_ignores_contrast():
    first, second = images(0, 5), images(1, 5)
    expected = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(first.numpy(), second.numpy(), strict=True)
    ]
    np.testing.assert_allclose(similarity(first, second, "correlation"), expected, atol=1e-6)
    torch.testing.assert_close(similarity(first, 0.1 + 0.3 * first, "correlation"), torch.ones(5))
    assert (similarity(first, 0.1 + 0.3 * first, "cosine") < 1 - 1e-4).all()


def test_a_constant_image_is_like_nothing():
    grey = torch.full((1, 1, 40, 40), 0.37)
    assert similarity(grey, images(0, 1, 40), "correlation").item() == 0
    assert similarity(grey, 2 * grey, "cosine").item() == pytest.approx(1)
    with pytest.raises(ValueError, match="found 'euclid', allowed is one of cosine, correlation"):
        directions(grey, "euclid")


@pytest.mark.parametrize("measure", ["cosine", "correlation"])
@pytest.mark.parametrize("block", [1, 7, 2048])
def test_the_search_is_exact(measure, block, monkeypatch):
    monkeypatch.setattr(likeness, "BLOCK", block)
    queries, known = images(0, 11), images(1, 23)
    best, where = closest(queries, known, measure)
    for row, query in enumerate(queries):
        every = similarity(query.expand_as(known), known, measure)
        assert where[row] == every.argmax()
        assert best[row].item() == pytest.approx(every.max().item(), abs=1e-6)
    twice = closest(queries, torch.cat([known, known]), measure)
    torch.testing.assert_close(twice[0], best)
    assert torch.equal(twice[1] % len(known), where)


@pytest.mark.parametrize("block", [2, 2048])
def test_distances_are_exact_even_when_tiny(block, monkeypatch):
    monkeypatch.setattr(likeness, "BLOCK", block)
    queries, known = images(0, 6), images(1, 9)
    nudge = torch.zeros(1, 8, 8)
    nudge[0, 0, 0] = 2.0**-20
    queries[3] = 0.5  # far from rounding of the sum
    known[7] = queries[3] + nudge
    found = nearest_distances(queries, known)
    for row, query in enumerate(queries):
        every = (known.double() - query.double()).flatten(1).norm(dim=1).sort().values
        np.testing.assert_allclose(found[row], every[:2], rtol=1e-12)
    assert found[3, 0].item() == 2.0**-20
    assert found.dtype == torch.float64


def test_one_training_image_has_no_second():
    found = nearest_distances(images(0, 3), images(1, 1))
    assert found[:, 0].isfinite().all()
    assert found[:, 1].isnan().all()
    assert np.isnan(is_memorised(images(0, 3), images(1, 1))).all()


def test_memorised_is_three_times_closer():
    known = torch.zeros(3, 1, 8, 8)
    known[1, 0, 0, 0], known[2, 0, 0, 0] = 1.0, 50.0
    samples = torch.zeros(4, 1, 8, 8)
    samples[:, 0, 0, 0] = torch.tensor([0.0, 0.24, 0.26, 1.1])  # ratios 0, .316, .351, .091
    assert is_memorised(samples, known).tolist() == [1, 1, 0, 1]
    ratio = distance_ratio(nearest_distances(samples, known))
    np.testing.assert_allclose(ratio, [0, 0.24 / 0.76, 0.26 / 0.74, 0.1 / 1.1], rtol=1e-5)
    assert memorised(np.array([np.nan, 0.33, 0.34])).tolist()[1:] == [1, 0]


@pytest.mark.parametrize("block", [2, 2048])
def test_scaled_distances_are_least_over_the_factor(block, monkeypatch):
    monkeypatch.setattr(likeness, "BLOCK", block)
    queries, known = images(0, 6) - 0.3, images(1, 9)
    queries[5] = -known[2]  # no factor of 0 or more helps
    found = nearest_scaled(queries, known, 0.999)
    for row, query in enumerate(queries.double().flatten(1).numpy()):
        every = []
        for image in known.double().flatten(1).numpy():
            factor = scipy.optimize.nnls(image[:, None], query)[0]
            every.append(np.linalg.norm(query - factor * image))
        np.testing.assert_allclose(found[row], np.sort(every)[:2], rtol=1e-9)
    assert found[5].tolist() == pytest.approx([queries[5].norm().item()] * 2)
    assert nearest_scaled(queries, known[:1], 0.95)[:, 1].isnan().all()


def test_copies_up_to_a_factor_are_copies_and_those_of_other_greys_are_not():
    known = images(0, 4)
    for factor in (0.2, 1.0, 5.0):
        assert is_scaled_copy(factor * known, known).tolist() == [1, 1, 1, 1]
    assert is_memorised(0.2 * known, known).tolist() == [0, 0, 0, 0]
    faded = 0.5 + 0.2 * (
        known - known.mean(dim=(1, 2, 3), keepdim=True)
    )  # the mean kept: no factor
    assert is_scaled_copy(faded, known).tolist() == [0, 0, 0, 0]
    disk = torch.zeros(1, 1, 8, 8)
    disk[..., 2:5, 3:6] = 1
    greys = torch.cat([0.2 + 0.6 * disk, 0.7 - 0.5 * disk, 0.9 - 0.8 * disk.flip(2)])
    assert is_scaled_copy(0.5 + 0.4 * disk, greys).tolist() == [0]
    assert is_scaled_copy(2 * greys, greys).tolist() == [1, 1, 1]


def test_duplicates_count_once_up_to_a_factor():
    known = images(0, 3)[[0, 1, 2, 0]]
    known[3] *= 0.7
    assert is_memorised(known[:2], known).tolist() == [1, 1]
    known[3] = known[0]
    assert is_memorised(known[:2], known).tolist() == [1, 1]  # the plain criterion: as it is
    assert is_memorised(known[:2], known[[0, 0, 0, 1, 0, 2, 0, 0]]).tolist() == [1, 1]
    known[3] = 0.7 * known[0] + 0.01 * images(5, 1)[0]
    assert is_scaled_copy(known, known).tolist() == [1, 1, 1, 1]
    assert is_scaled_copy(known, known, above=1.0).tolist() == [1, 1, 1, 1]  # each is itself
    between = known[:1] / known[0].norm() + known[3:] / known[3].norm()
    assert is_scaled_copy(between, known).tolist() == [1]
    assert is_scaled_copy(between, known, above=0.9999999).tolist() == [0]
    twice = images(0, 1)[[0, 0]]
    assert np.isnan(is_scaled_copy(twice, twice)).all()
    assert np.isnan(is_memorised(twice, twice)).all()


# ---------------------------------------------------------------------------------------------
# Against fresh images


def test_principal_directions_are_those_of_the_covariance():
    known = images(0, 40, 6).double().numpy()
    known[:, 0, 0] += 3 * generator(0, "first").standard_normal((40, 1))
    found = principal_directions(known, 3)
    vectors = np.linalg.eigh(np.cov(known.reshape(40, -1), rowvar=False))[1].T[::-1][:3]
    np.testing.assert_allclose(np.abs((found * vectors).sum(axis=1)), 1, rtol=1e-9)
    coefficients = known.reshape(40, -1) @ found.T
    ratio = variance_ratio(0.5 * coefficients, coefficients)
    np.testing.assert_allclose(ratio.mean(axis=0), 0.25)


def test_the_energy_test_tells_sets_apart_and_no_more():
    draws = generator(0, "sets")
    p_values = []
    for _ in range(60):
        a, b = draws.standard_normal((12, 3)), draws.standard_normal((20, 3))
        p_values.append(energy_test(a, b, 0, 49)[1])
    assert 0.01 <= np.mean(np.array(p_values) <= 0.1) <= 0.1 + 3 * (0.09 / 60) ** 0.5
    assert energy_test(a + 2, b, 0, 49)[1] == pytest.approx(1 / 50)
    assert energy_test(3 * b, b, 0, 49)[1] <= 0.04
    assert energy_test(a, b, 0, 49) == energy_test(a, b, 0, 49)
    assert energy_test(a, a.copy(), 0, 19)[1] == 1


def test_means_and_errors():
    assert mean_and_error([1, 2, 3, 6]) == pytest.approx((3, np.std([1, 2, 3, 6], ddof=1) / 2))
    mean, error = mean_and_error(np.array([True, False, False, False]))
    assert (mean, error) == pytest.approx((0.25, np.sqrt(0.25 * 0.75 / 3)))
    assert np.isnan(mean_and_error([1.0])[1])


# ---------------------------------------------------------------------------------------------
# The comparison of two networks


def known_samples(first: torch.Tensor, second: torch.Tensor) -> list[Samples]:
    drawn = []
    for calls, one in enumerate((first, second), start=1):
        recorder = Recorder(2, [1.0, 0.1], (1, 8, 8))
        for call in range(calls):
            recorder.observe(range(len(one)), 1.0 / (1 + call), one, one / 2)
        drawn.append(Samples(one, np.full(len(one), calls), recorder.trajectories()))
    return drawn


def test_copies_and_novel_samples_are_told_apart():
    """Network 1 returns images of S1, network 2 other ones: every number is known."""
    sets = [images(1, 6), images(2, 6)]
    drawn = known_samples(sets[0][[2, 0, 5, 5]], images(3, 4))
    indices = [np.arange(10, 16), np.arange(30, 36)]
    arrays = compare_samples(drawn, sets, indices, 0.95) | compare_sets(sets, indices, 2)
    assert arrays["closest_index"][0, 0].tolist() == [[12, 10, 15, 15]] * 2
    assert (arrays["closest_index"][0, 1] >= 30).all()
    np.testing.assert_allclose(arrays["closest_similarity"][0, 0], 1, rtol=1e-6)
    np.testing.assert_array_equal(arrays["closest_images"][0, 1], sets[0][[2, 0]])
    for measure, name in enumerate(("cosine", "correlation")):
        expected = closest(drawn[1].images, sets[1], name)
        np.testing.assert_array_equal(arrays["closest_similarity"][1, 1, measure], expected[0])
        np.testing.assert_array_equal(
            arrays["closest_images"][1, measure], sets[1][expected[1][:2]]
        )
        twins = closest(sets[0], sets[1], name)
        np.testing.assert_array_equal(arrays["twin_similarity"][measure], twins[0])
        np.testing.assert_array_equal(arrays["twin_index"][measure], twins[1] + 30)
    assert arrays["twin_images"].shape == (2, 2, 1, 8, 8)
    first, second = torch.from_numpy(arrays["twin_images"])
    top = arrays["twin_similarity"][1].max()
    assert similarity(first, second, "correlation")[0].item() == pytest.approx(top)
    assert arrays["trajectory_sigma"].shape == (2, 2, 2)
    assert np.isnan(arrays["trajectory_sigma"][0, :, 1]).all()
    # network 1 called once, at the first level: at the second there is nothing to compare
    assert arrays["noisy_similarity"].shape == (2, 2, 2)
    np.testing.assert_allclose(
        arrays["noisy_similarity"][:, :, 0], arrays["pair_similarity"][:, :2], rtol=1e-6
    )
    assert np.isnan(arrays["noisy_similarity"][..., 1]).all()
    assert np.isnan(arrays["denoised_similarity"][..., 1]).all()

    fewer = compare_samples(drawn, sets, indices, 0.95, 1) | compare_sets(sets, indices, 1)
    for name, field in SCHEMA.items():
        if name not in fewer:
            continue
        cut = tuple(slice(1 if dim in "mp" else None) for dim in field.dims)
        np.testing.assert_array_equal(fewer[name], arrays[name][cut], err_msg=name)

    table = summary_table(arrays, 0.95).set_index(
        ["quantity", "network", "training_set", "measure"]
    )
    assert len(table) == 36
    assert table.index.is_unique
    assert table.loc[("memorised", "S1", "S1", "distance_ratio"), "mean"] == 1
    assert table.loc[("memorised", "S1", "S1", "scaled_ratio"), "mean"] == 1
    for key in (("S1", "S2"), ("S2", "S1"), ("S2", "S2")):
        assert table.loc[("memorised", *key, "distance_ratio"), "mean"] == 0
        assert table.loc[("copied", *key, "correlation"), "mean"] == 0
    assert table.loc[("copied", "S1", "S1", "correlation"), "mean"] == 1
    assert table.loc[("calls", "S2", "none", "count"), "mean"] == 2
    pair = arrays["pair_similarity"][1]
    row = table.loc[("pair_similarity", "both", "none", "correlation")]
    assert row["mean"] == pytest.approx(pair.mean())
    assert row["se"] == pytest.approx(pair.std(ddof=1) / 2)
    assert row["count"] == 4


@pytest.fixture
def made(tmp_path, dataset, trained):
    """The table and the samples of the two networks of N = 4."""
    networks = (trained(4, "S1"), trained(4, "S2"))
    table = tmp_path / "N4.csv"
    sample_pair(samples_spec(TINY, "soft", 4), dataset, networks, table)
    return table


def test_the_phase_writes_what_it_compared(made, dataset, trained):
    spec = samples_spec(TINY, "soft", 4)
    table = read_table(made, spec)
    arrays, made_from = read_samples(made.with_suffix(".h5"), spec)
    assert made_from["inputs"]["dataset"] == dataset.images_sha256
    assert set(made_from["inputs"]) == {"dataset", "first", "second"}
    assert read_sidecar(made)["computation"] == in_float32("cpu") == made_from["computation"]
    lengths = {"A": 2, "B": 2, "M": 2, "2": 2, "C": 1, "n": 5, "m": 2, "T": 4, "K": 3, "N": 4}
    lengths |= {"f": 5, "p": 2, "H": 8, "W": 8, "q": 5}
    lengths |= dict.fromkeys("tu", len(dataset.indices["test"]))
    for name, field in SCHEMA.items():
        assert arrays[name].shape == tuple(lengths[dim] for dim in field.dims), name
        assert np.isfinite(arrays[name]).all(), name
    # both networks started from the same noise, and ended with different images
    np.testing.assert_array_equal(*arrays["trajectory_noisy"][:, :, 0])
    start = 0.5 + arrays["trajectory_kept_sigma"][0, 0, 0] * arrays["start_noise"]
    np.testing.assert_allclose(arrays["trajectory_noisy"][0, :, 0], start, atol=3e-3)
    np.testing.assert_allclose(arrays["noisy_similarity"][:, :, 0], 1, rtol=1e-6)
    for kind in ("noisy", "denoised"):
        ways = torch.from_numpy(arrays[f"trajectory_{kind}"].astype(np.float32)).flatten(1, 2)
        for measure, name in enumerate(("cosine", "correlation")):
            stored = arrays[f"{kind}_similarity"][measure, :2]
            np.testing.assert_allclose(
                stored.ravel(), similarity(*ways, name), atol=2e-3, err_msg=kind
            )
    assert (arrays["pair_similarity"] < 1 - 1e-6).all()
    for split, name in enumerate(("S1", "S2")):
        index = arrays["closest_index"][split, split, 1, :2]
        assert set(index) <= set(dataset.training_set(name, 4))
        shown = dataset.images(index).astype(np.float16)
        np.testing.assert_array_equal(arrays["closest_images"][split, 1], shown)
    expected = summary_table(arrays, 0.95)
    np.testing.assert_allclose(table["mean"], expected["mean"], rtol=1e-8)
    fresh = torch.from_numpy(dataset.images(dataset.indices["test"]))
    rows = table.set_index(["quantity", "network", "training_set", "measure"])["mean"]
    for split in ("S1", "S2"):
        known = torch.from_numpy(dataset.images(dataset.training_set(split, 4)))
        best = closest(fresh, known, "correlation")[0].mean().item()
        key = ("fresh_similarity", "none", split, "correlation")
        assert rows[key] == pytest.approx(best, rel=1e-6)
    assert rows["mean", "none", "none", "intensity"] == pytest.approx(fresh.mean().item(), rel=1e-6)
    shown = arrays["samples"][0].astype(np.float64)
    assert rows["mean", "S1", "none", "intensity"] == pytest.approx(shown.mean(), rel=1e-3)
    white = rows["principal_variance_ratio", "none", "none", "leading"]
    assert white == pytest.approx(0, abs=1e-12)
    names = [f"component {number}" for number in range(1, 6)]
    each = rows["principal_variance_ratio"]["S1"]["none"][names]
    assert rows["principal_variance_ratio", "S1", "none", "leading"] == pytest.approx(each.mean())
    assert 0 < rows["p_value", "S2", "none", "euclidean"] <= 1


def test_a_covariance_start_is_the_same_for_every_network(dataset, trained, tmp_path):
    starts = []
    for size in (1, 4):
        spec = samples_spec(TINY, "soft", size)
        spec["sampling"] |= {"start": "covariance"}
        networks = (trained(size, "S1"), trained(size, "S2"))
        sample_pair(spec, dataset, networks, tmp_path / f"N{size}.csv")
        arrays, _ = read_samples(tmp_path / f"N{size}.h5")
        starts += list(arrays["trajectory_noisy"][:, :, 0].astype(np.float64))
        about = arrays["start_components"]
    for other in starts[1:]:
        np.testing.assert_array_equal(starts[0], other)
    images = dataset.images(np.concatenate([dataset.indices[half] for half in ("S1", "S2")]))
    law = start_of({"start": "covariance"}, dataset)
    np.testing.assert_allclose(law.mean, images.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert len(law.deviations) == len(images)
    expected = law.image(2, 1, 1.0, 8)
    np.testing.assert_allclose(starts[0][1], expected, atol=3e-3)
    directions = principal_directions(images.astype(np.float64), 5)
    np.testing.assert_allclose(about[1], directions @ law.image(2, 1, 0.0, 8).ravel())


def test_same_inputs_same_bytes(made, dataset, trained, tmp_path):
    again = tmp_path / "again/N4.csv"
    networks = (trained(4, "S1"), trained(4, "S2"))
    sample_pair(samples_spec(TINY, "soft", 4), dataset, networks, again)
    for kind in (".csv", ".json", ".h5"):
        assert made.with_suffix(kind).read_bytes() == again.with_suffix(kind).read_bytes()


def test_swapped_networks_are_refused(dataset, trained, tmp_path):
    networks = (trained(4, "S2"), trained(4, "S1"))
    with pytest.raises(ArtifactError, match=r'split: the file has "S2", params.yaml asks for "S1"'):
        sample_pair(samples_spec(TINY, "soft", 4), dataset, networks, tmp_path / "N4.csv")
    assert not list(tmp_path.iterdir())


def test_a_training_set_of_one(dataset, trained, tmp_path):
    spec = samples_spec(TINY, "soft", 1)
    spec["sampling"]["sampler"] = {"kind": "score_ascent", "preset": "official"}
    spec["sampling"]["samples"] = 2
    networks = (trained(1, "S1"), trained(1, "S2"))
    sample_pair(spec, dataset, networks, tmp_path / "N1.csv")
    table = read_table(tmp_path / "N1.csv", spec).set_index(["quantity", "network"])
    assert table.loc["memorised", "mean"].isna().all()
    arrays, _ = read_samples(tmp_path / "N1.h5", spec)
    assert np.isnan(arrays["nearest_distances"][..., 1]).all()
    assert arrays["twin_images"].shape == (2, 1, 1, 8, 8)
    sigma = arrays["trajectory_sigma"]
    calls = np.isfinite(sigma).sum(axis=2)
    np.testing.assert_array_equal(calls, arrays["calls"][:, :2])
    assert (arrays["calls"] > 20).all()


# ---------------------------------------------------------------------------------------------
# The file


def arrays_of(count: int = 3) -> dict:
    sets = [images(1, 4), images(2, 4)]
    drawn = known_samples(images(3, count), images(4, count))
    indices = [np.arange(4), np.arange(4, 8)]
    arrays = compare_samples(drawn, sets, indices, 0.95) | compare_sets(sets, indices, 2)
    return arrays | {
        "start_noise": images(5, 2),
        "fresh_similarity": np.zeros((2, 2, 7)),
        "intensity": np.zeros((2, count)),
        "fresh_intensity": np.zeros(7),
        "components": np.zeros((2, count, 5)),
        "fresh_components": np.zeros((7, 5)),
        "start_components": np.zeros((count, 5)),
        "energy": np.zeros((2, 2)),
    }


MADE_FROM = {"spec": {"seed": 3}, "inputs": {}, "versions": {}}


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "samples.h5"
    write_samples(path, arrays_of(), MADE_FROM)
    return path


def test_file_follows_the_schema(stored):
    arrays, made_from = read_samples(stored, {"seed": 3})
    assert made_from == MADE_FROM
    for name, expected in arrays_of().items():
        expected = np.asarray(expected, SCHEMA[name].dtype)
        np.testing.assert_array_equal(arrays[name], expected, err_msg=name)
    check_stored(stored, SCHEMA)
    check_table(SCHEMA)
    chosen, _ = read_samples(stored, names=["calls", "twin_index"])
    assert {name: array.shape for name, array in chosen.items()} == {
        "calls": (2, 3),
        "twin_index": (2, 4),
    }


def test_stale_and_missing_files_are_refused(stored, tmp_path):
    with pytest.raises(ArtifactError, match=r"seed: the file has 3, params.yaml asks for 4"):
        read_samples(stored, {"seed": 4})
    with pytest.raises(ArtifactError, match=r"absent.h5 does not exist"):
        read_samples(tmp_path / "absent.h5")


def test_damaged_files_are_refused(stored, tmp_path):
    check_flipped_bits(shutil.copy(stored, tmp_path / "flipped.h5"), read_samples, 150, least=60)
    check_truncated(stored, read_samples)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("calls", None, "lacks the datasets calls"),
        ("calls", np.zeros((2, 3)), "calls has type float64, expected int64"),
        ("calls", np.zeros((2, 4), np.int64), r"calls has shape \(2, 4\), expected \(A=2, n=3\)"),
        ("twin_index", np.zeros((2, 4, 1), np.int32), r"twin_index has shape .*\(M=2, N=4\)"),
    ],
)
def test_misshapen_files_are_refused(stored, name, change, message):
    check_misshapen(stored, read_samples, name, change, message)


def test_a_failure_leaves_the_old_file(stored):
    before = stored.read_bytes()
    wrong = arrays_of() | {"calls": np.zeros((2, 9))}
    with pytest.raises(ValueError, match=r"do not fit together: calls has shape \(2, 9\)"):
        write_samples(stored, wrong, MADE_FROM)
    with pytest.raises(ValueError, match="the datasets extra are missing or not in the schema"):
        write_samples(stored, arrays_of() | {"extra": 0}, MADE_FROM)
    assert stored.read_bytes() == before
    assert [file.name for file in stored.parent.iterdir()] == ["samples.h5"]


# ---------------------------------------------------------------------------------------------
# params.yaml


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiments": ["hard"]}, 'split of hard: found "S2", allowed is one of S1'),
        ({"experiments": ["other"]}, 'experiment: found "other", allowed is one of soft, hard'),
        ({"sampler": {"kind": "score_ascent"}}, "sampling.sampler: 'preset' is a required"),
        ({"sampler": {"kind": "magic"}}, 'sampler.kind: found "magic", allowed is one of anc'),
        ({"start": "grey"}, 'sampling.start: found "grey", allowed is one of white, covariance'),
        ({"samples": 1}, "sampling.samples: found 1, allowed is at least 2"),
        ({"duplicate_threshold": 1}, "sampling.duplicate_threshold: found 1"),
    ],
)
def test_impossible_sampling_is_named(changes, message):
    params = copy.deepcopy(TINY)
    params["sampling"] |= changes
    with pytest.raises(ParamsError, match=re.escape(message)):
        validate(params)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": 0}, "sampling.sampler.order: found 0, allowed is at least 1"),
        ({"preset": "paper"}, "sampling.sampler: unknown are 'preset'; known"),
        (
            {"sigma_range": [1, 0.1]},
            "sampling.sampler.sigma_range: found [1, 0.1], allowed is a low",
        ),
        ({"sigma_range": [0, 1]}, "sampling.sampler.sigma_range.0: found 0, allowed is more than"),
    ],
)
def test_impossible_options_of_a_sampler_are_named(changes, message):
    params = copy.deepcopy(TINY)
    params["sampling"]["sampler"] |= changes
    with pytest.raises(ParamsError, match=re.escape(message)):
        validate(params)


def test_an_experiment_may_have_a_sampler_of_its_own():
    before = samples_spec(TINY, "soft", 4)
    own = {
        "kind": "ode",
        "order": 2,
        "schedule": "geometric",
        "steps": 3,
        "sigma_range": [0.1, 0.5],
    }
    params = copy.deepcopy(TINY)
    params["experiments"]["soft"]["sampler"] = own
    validate(params)
    changed = samples_spec(params, "soft", 4)
    assert changed["sampling"] == before["sampling"] | {"sampler": own}
    assert changed["first"] == before["first"]
    params["experiments"]["soft"]["sampler"] = {"kind": "magic"}
    with pytest.raises(ParamsError, match=r"experiments\.soft\.sampler\.kind: found "):
        validate(params)


def test_only_sampling_changes_the_samples():
    before = samples_spec(TINY, "soft", 4)
    params = copy.deepcopy(TINY)
    params["evaluation"]["seed"] += 1
    params["spectra"]["seed"] += 1
    params["sampling"]["experiments"] = []
    assert samples_spec(params, "soft", 4) == before
    params["sampling"]["seed"] += 1
    assert samples_spec(params, "soft", 4) != before
