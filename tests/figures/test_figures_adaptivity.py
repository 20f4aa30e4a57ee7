"""The figure "adaptivity" draws what the table says, and its caption prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")

from helpers import figures  # noqa: E402
from helpers.figure_results import check_text, network  # noqa: E402

from gahb.artifacts import ArtifactError, provenance, write_table  # noqa: E402
from gahb.params import ParamsError, adapted, figure_files, validate  # noqa: E402

SIZES = [1, 10, 32, 100, 320, 1000, 10000]
RANKS = [2**power for power in range(11)]
FLOORS = {"known-contour": 0.5, "other-contour": 1.4, "bandlets": 1.2, "wavelets": 1.3, "pixels": 9}
SPEC: dict[str, Any] = {
    "title": "How adapted bases are",
    "experiment": "alpha2",
    "split": "S1",
    "sigma": 0.1,
    "rank": 64,
}


def rows_of(size: int, split: str, sigma: float, images: int) -> list[dict[str, Any]]:
    rows = []
    for place, rank in enumerate(RANKS):
        known = rank <= 128
        gain = 0.04 * np.log10(size)
        numbers = {
            "share": (0.9 - 0.06 * place + 0.02 * np.log10(size)) if known else np.nan,
            "overlap": 0.3 + gain + sigma if known else np.nan,
            "other_overlap": 0.3 + sigma if known else np.nan,
            "gain": gain if known else np.nan,
            "error": (1 - rank / RANKS[-1]) / (1 + rank) / (1 + np.log10(size)) / (1 + sigma),
        }
        errors = {f"{name}_se": 0.01 if images > 1 else np.nan for name in numbers}
        label = {"set_size": size, "split": split, "sigma": sigma, "oracle_rank": 62.5}
        rows.append({"basis": "learned", "rank": rank} | label | numbers | errors)
    return rows


def write(folder: Path, images: int = 4, rename: str | None = None) -> Path:
    """A table of networks of two splits at two noise levels."""
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        for split in ("S1", "S2"):
            for sigma in (0.1, 0.3):
                rows += rows_of(size, split, sigma, images)
    for name, factor in FLOORS.items():
        for rank in RANKS:
            error = min(0.9, factor * (1 - rank / RANKS[-1]) / (1 + rank))
            filtered = {"filter": "db4"} if name in ("bandlets", "wavelets") else {}
            rows.append({"basis": name, "rank": rank, "error": error, "error_se": 0.01} | filtered)
    of_network = network("alpha2", 1, "S1")
    ensemble = {key: of_network[key] for key in of_network if key not in ("set_size", "split")}
    spec = {
        "ensemble": ensemble | {"set_sizes": SIZES, "splits": ["S1", "S2"]},
        "spectra": {"sigmas": [0.1, 0.3]},
    }
    table = pd.DataFrame(rows).assign(images=images, pixels=RANKS[-1])
    path = folder / "adaptivity.csv"
    write_table(path, table.rename(columns={rename: "x"} if rename else {}), provenance(spec))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("adaptivity"))


def test_curves_are_those_of_the_table(path: Path) -> None:
    page = figures.drawn("adaptivity", [path], SPEC)
    upper, error, overlap, kept = page.axes[:4]
    table = pd.read_csv(path).query("basis != 'learned' or (split == 'S1' and sigma == 0.1)")
    learned = table[table["basis"] == "learned"]
    shares = upper.get_lines()
    for size, line in zip(SIZES, shares, strict=False):
        expected = learned[(learned["set_size"] == size) & (learned["rank"] <= 128)]
        np.testing.assert_allclose(line.get_ydata(), expected["share"])
    np.testing.assert_allclose(shares[-1].get_ydata(), 62.5 / 1024)
    drawn = error.get_lines()
    assert len(drawn) == len(FLOORS) + len(SIZES)
    for name, line in zip(FLOORS, drawn, strict=False):
        expected = table[(table["basis"] == name) & (table["rank"] <= 512)]
        np.testing.assert_allclose(line.get_ydata(), expected["error"])
    at_rank = learned[learned["rank"] == 64]
    own, another = (container[0] for container in overlap.containers)
    np.testing.assert_allclose(own.get_ydata(), at_rank["overlap"])
    np.testing.assert_allclose(another.get_ydata(), at_rank["other_overlap"])
    np.testing.assert_allclose(kept.containers[0][0].get_ydata(), at_rank["error"])


def test_text_is_legible(path: Path, tmp_path: Path) -> None:
    check_text(figures.drawn("adaptivity", [path], SPEC))
    check_text(figures.drawn("adaptivity", [write(tmp_path, images=1)], SPEC | {"sigma": 0.3}))


def test_the_same_bytes_come_again(path: Path, tmp_path: Path) -> None:
    figures.check_same_bytes("adaptivity", [path], SPEC, tmp_path)


def test_captions(path: Path, tmp_path: Path) -> None:
    figures.check_caption("adaptivity", [path], SPEC)
    caption = figures.told("adaptivity", [path], SPEC)
    assert "measured on 4 test images, at sigma = 0.1, means with one standard error" in caption
    row = pd.read_csv(path).query(
        "set_size == 1000 and split == 'S1' and sigma == 0.1 and rank == 64"
    )
    overlap, gain = row["overlap"].iloc[0], row["gain"].iloc[0]
    assert f" 1000  {overlap:.3f} +/- 0.010  0.400 +/- 0.010  {gain:.3f} +/- 0.010" in caption
    assert "wavelets (db4)" in caption
    assert "N = 1, 10, 32, 100, 320, 1000, 10000 of S1, S2" in caption
    single = figures.told("adaptivity", [write(tmp_path, images=1)], SPEC)
    assert "measured on 1 test image, at sigma = 0.1, without standard errors" in single


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"experiment": "alpha3"}, "exactly one table of adaptivity of alpha3 is needed"),
        ({"split": "S3"}, "has no row with split = 'S3'; it has S1, S2"),
        ({"sigma": 0.2}, "has no row with sigma = 0.2"),
        ({"rank": 256}, "has no overlap and error at rank 256"),
        ({"rank": 60}, "has no overlap and error at rank 60"),
    ],
)
def test_what_is_missing_is_named(changed: dict[str, Any], message: str, path: Path) -> None:
    with pytest.raises(ArtifactError, match=message):
        figures.drawn("adaptivity", [path], SPEC | changed)


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="lacks columns of a table of kind 'adaptivity': gain"):
        figures.drawn("adaptivity", [write(tmp_path, rename="gain")], SPEC)


# ---------------------------------------------------------------------------------------------
# params.yaml


def test_bases_are_compared_where_contours_are_known_and_n_varies(params: dict[str, Any]) -> None:
    assert adapted(params) == ["soft"]  # hard has a single N
    assert figure_files(params, "adaptivity") == ["results/spectra/soft/adaptivity.csv"]
    params["image_classes"]["soft"] = {"class": "shuffled", "of": "hard", "permutation_seed": 0}
    assert adapted(params) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("experiment", "cubes", 'figures.adaptivity: experiment: found "cubes"'),
        (
            "experiment",
            "hard",
            "figures.adaptivity: needs the spectra of hard at several N, on images with a contour; "
            "spectra.networks has them of soft",
        ),
        ("split", "S2", 'figures.adaptivity.split: found "S2", allowed is one of S1'),
        ("sigma", 0.2, "figures.adaptivity.sigma: found 0.2, allowed is one of 0.1"),
        ("rank", 16, "figures.adaptivity.rank: found 16 of 8 eigenvectors kept, .* 1, 2, 4, 8"),
        ("rank", 3, "figures.adaptivity.rank: found 3 of 8 eigenvectors kept"),
    ],
)
def test_what_is_not_there_is_refused(
    key: str, value: Any, message: str, params: dict[str, Any]
) -> None:
    params["figures"]["adaptivity"][key] = value
    with pytest.raises(ParamsError, match=message):
        validate(params)
