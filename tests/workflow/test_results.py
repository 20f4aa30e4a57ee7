"""What the committed results must show: the claims of the README, on the numbers themselves.

Of the commit, not the working tree: a user's own results may well show something else.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gahb.provenance.results_page import write_results_page


@pytest.fixture(scope="module")
def summary(root: Path) -> pd.DataFrame:
    return committed(root, "results/evaluation/summary.csv")


def committed(root: Path, name: str) -> pd.DataFrame:
    show = ["git", "show", f"HEAD:{name}"]
    text = subprocess.run(show, cwd=root, check=True, capture_output=True, text=True).stdout
    return pd.read_csv(io.StringIO(text))


def test_the_page_of_results_is_that_of_the_committed_tables(root: Path, tmp_path: Path):
    archive = ["git", "archive", "HEAD", "params.yaml", "results"]
    content = subprocess.run(archive, cwd=root, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as committed_files:
        committed_files.extractall(tmp_path, filter="data")
    results = tmp_path / "results"
    tables = [results / f"evaluation/{name}.csv" for name in ("summary", "gaps", "density")]
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    tables += sorted(results.glob("evaluation/*/elbo.csv"))
    tables += [
        results / f"samples/{name}/N{size}.csv"
        for name in params["sampling"]["experiments"]
        for size in params["experiments"][name]["set_sizes"]
    ]
    captions = [results / f"figures/{name}.rst" for name in params["figures"]]
    page = results / "page.md"
    scales = sorted(results.glob("*/claims.csv"))
    write_results_page(results / "claims.csv", tables, captions, page, scales)
    assert page.read_text() == (results / "README.md").read_text()


def test_dvc_knows_the_claims_of_other_scales_that_the_page_is_made_from(root: Path):
    listing = ["git", "ls-files", "results/*/claims.csv"]
    tracked = subprocess.run(listing, cwd=root, check=True, capture_output=True, text=True).stdout
    assert tracked
    known = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]["figures"]["deps"]
    assert [name for name in tracked.splitlines() if name not in known] == []


def table(root: Path, row: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """PSNR of one network on the test set and on its own training set, by noise level."""
    name = f"results/evaluation/{row.experiment}/N{row.set_size}_{row.split}.csv"
    rows = committed(root, name).set_index(["evaluated_on", "sigma"])
    return rows.loc["test"], rows.loc["own"]


def gaps_of(root: Path, row: Any) -> pd.Series:
    """PSNR on the own training set less that on the test set, by noise level."""
    test, own = table(root, row)
    return own.psnr_of_mean_mse - test.psnr_of_mean_mse


def test_small_sets_are_memorised(summary: pd.DataFrame):
    small = summary[(summary.experiment == "alpha2") & (summary.set_size <= 10)]
    assert len(small) == 4
    assert (small.gap > 10).all()


def test_large_sets_generalise(root: Path, summary: pd.DataFrame):
    """Of rays and sines two sets of images differ by more: they have one and two parameters."""
    of_few = summary.experiment.isin(["rays", "sines"])
    large = summary[(summary.set_size >= 1000) & ~of_few]
    assert len(large) >= 18
    for row in large.itertuples():
        test, _ = table(root, row)
        assert (gaps_of(root, row).abs() < 0.5).all(), row.experiment
        assert test.input_psnr.min() <= 0.01
        assert test.input_psnr.max() >= 33.9


def test_the_transition_lies_between(summary: pd.DataFrame):
    gap = summary[summary.experiment == "alpha2"].groupby("set_size").gap.mean()
    assert gap[10] > gap[32] > gap[100] > gap[320] > gap[1000]
    assert 10 > gap[100] > 2
    assert gap[320] > gap[1000] + 0.1


def test_networks_are_near_what_is_known_to_be_reached(root: Path):
    """Held-out PSNR at input PSNR 34, 20 and 0 dB that the recipe is chosen for."""
    least = {"alpha2": (37.5, 29.0, 17.0), "disks": (46.5, 0, 0)}
    for experiment, levels in least.items():
        for split in ("S1", "S2"):
            rows = committed(root, f"results/evaluation/{experiment}/N10000_{split}.csv")
            test = rows[rows.evaluated_on == "test"].set_index("sigma").psnr_of_mean_mse
            assert all(
                test[sigma] >= wanted for sigma, wanted in zip((0.02, 0.1, 1), levels, strict=True)
            )


def test_the_largest_set_improves_on_every_noisy_image(root: Path, summary: pd.DataFrame):
    """But for shuffled images, which a convolution cannot make much of."""
    largest = summary[(summary.set_size == 10_000) & (summary.experiment != "alpha2-shuffled")]
    for row in largest.itertuples():
        test, _ = table(root, row)
        assert (test.psnr_of_mean_mse > test.input_psnr).all(), row.experiment


def test_the_two_networks_converge(summary: pd.DataFrame):
    """Their agreement grows with N, beyond N = 100 too, towards that of two trainings on one set."""
    pairs = summary.dropna(subset="agreement").drop_duplicates(["experiment", "set_size"])
    agreement = pairs[pairs.experiment == "alpha2"].set_index("set_size").agreement
    assert len(agreement) == 7
    assert (agreement.loc[:1000].diff().dropna() > 0.5).all()
    assert agreement[10_000] > agreement[100] + 3


def test_no_network_beats_an_exact_denoiser_and_some_come_near(root: Path):
    gaps = committed(root, "results/evaluation/gaps.csv")
    exact = gaps[gaps.reference.isin(["exact", "disk-posterior"])]
    assert {"disks", "gaussian", "rays", "sines"} <= set(exact.image_class)
    assert (exact.reference_gap > -3 * exact.reference_gap_se).all()
    of = dict(list(exact.groupby("image_class")))
    assert (pd.concat([of["rays"], of["sines"]]).reference_gap <= 5.5).all()
    fields = of["gaussian"].set_index("sigma").reference_gap
    assert (fields[fields.index < 0.4] <= 0.3).all()
    assert (fields <= 1).all()


def test_shuffling_hurts_the_network(root: Path):
    """The optimum is the same by construction: what is lost is the network's."""
    plain, shuffled = (committed(root, f"results/evaluation/{name}/N10000_S1.csv") for name in PAIR)
    on_test = plain.evaluated_on == "test"
    lost = plain.psnr_of_mean_mse[on_test] - shuffled.psnr_of_mean_mse[on_test]
    assert (lost > 1).all()


PAIR = ("alpha2", "alpha2-shuffled")


# ---------------------------------------------------------------------------------------------
# Two networks, one noise


@pytest.fixture(scope="module")
def pairs(root: Path) -> pd.DataFrame:
    """Correlations of the samples of two networks by N: with each other, and with training images."""
    rows = {}
    for size in (1, 10, 32, 100, 320, 1000, 10_000):
        table = committed(root, f"results/samples/alpha2/N{size}.csv")
        own = table.network == table.training_set

        def mean(quantity: str, chosen: Any, measure: str = "correlation", table=table) -> float:
            found = table[chosen & (table.quantity == quantity) & (table.measure == measure)]
            return float(found["mean"].mean(skipna=False))

        rows[size] = {
            "pair": mean("pair_similarity", ~own),
            "own": mean("closest_similarity", own),
            "other": mean("closest_similarity", ~own),
            "copied": mean("copied", own),
            "memorised": mean("memorised", own, "scaled_ratio"),
            "plain": mean("memorised", own, "distance_ratio"),
        }
    return pd.DataFrame(rows).T


def test_samples_go_from_copies_to_agreement(pairs: pd.DataFrame):
    assert pairs.copied[1] > 0.9
    assert pairs.pair[1] < 0
    assert pairs.own[10] > pairs.other[10] + 0.1
    assert (pairs.pair.diff().dropna() > 0).all()
    generalising = pairs.loc[320:]
    assert (generalising.pair > 0.9).all()
    assert ((generalising.own - generalising.other).abs() < 0.02).all()
    assert (generalising.copied < 0.02).all()
    assert (generalising.memorised == 0).all()


def test_what_is_copied_is_copied_up_to_contrast(pairs: pd.DataFrame):
    assert pairs.memorised[10] > 2 * pairs.plain[10] > 0


def test_variance_falls_and_bias_remains(root: Path):
    table = committed(root, "results/evaluation/disks-small/ensembles.csv")
    assert (table.networks == 4).all()
    last = table[table["update"] == table["update"].max()]
    for sigma in (0.1, 0.376):
        level = last[last.sigma == sigma].set_index("set_size")
        assert level.variance[2] > 3 * level.variance[1024]
        assert level.bias[1024] > level.variance[1024]
        assert level.own_empirical_distance[2] < level.own_empirical_distance[1024]
        assert level.empirical_distance[2] > level.empirical_distance[1024]


def test_memorisation_takes_longer_for_more_images(root: Path):
    table = committed(root, "results/samples/disks-small/updates.csv")
    chosen = (table.quantity == "memorised") & (table.measure == "scaled_ratio")
    share = table[chosen & (table.network == table.training_set)]
    share = share.groupby(["set_size", "update"])["mean"].mean().unstack()
    first = {size: row.index[row > 0.5].min() for size, row in share.iterrows()}
    assert first[2] < first[4]
    assert all(pd.isna(first[size]) for size in (16, 64, 1024))
    assert (share.loc[[64, 1024]] < 0.01).all(axis=None)


def test_more_images_bring_the_density_nearer(root: Path):
    density = committed(root, "results/evaluation/density.csv").set_index("experiment")
    for name, factor in (("disks-small", 10), ("gaussian-small", 10), ("sines-small", 2)):
        bound = density.loc[name].set_index("set_size").kl
        assert bound.iloc[0] > factor * bound.iloc[-1], name
    largest = density[density.set_size == 1024]
    assert len(largest) == 4
    fields = largest.loc[["disks-small", "gaussian-small"]]
    assert (fields.kl_bias > fields.kl_variance).all()
    assert (largest.kl_quadrature < 0.1 * largest.kl).all()
