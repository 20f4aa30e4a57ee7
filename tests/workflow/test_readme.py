"""The README says what is true: its example runs, its tables are those of the code and results."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import gahb.samples.store
import gahb.spectra.store
from gahb.hdf5 import schema_table


def cell(value: float, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)


def results_table(summary: pd.DataFrame) -> str:
    """The README's table of results, from the committed summary."""
    lines = [
        "| experiment | N | split | gap (dB) | largest (dB) | agreement (dB) | slope | α/(α+1) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in summary.itertuples():
        lines.append(
            f"| {row.experiment} | {row.set_size} | {row.split} | {row.gap:.2f} ± {row.gap_se:.2f} "
            f"| {row.largest_gap:.2f} | {cell(row.agreement, '.1f')} "
            f"| {row.slope:.3f} ± {row.slope_se:.3f} | {cell(row.theoretical_slope, '.2f')} |"
        )
    return "\n".join(lines)


def gaps_table(gaps: pd.DataFrame) -> str:
    """The README's table of gaps: PSNR of references less that of the largest network, in dB."""
    sigmas = sorted(gaps.sigma.unique(), reverse=True)[::3]
    largest = gaps[gaps.set_size == gaps.groupby("experiment").set_size.transform("max")]
    lines = [
        "| experiment | N | reference | " + " | ".join(f"σ = {sigma:g}" for sigma in sigmas) + " |",
        "|---|---|---|" + "---|" * len(sigmas),
    ]
    shown = largest[largest.split == "S1"]
    for names, rows in shown.groupby(["experiment", "set_size", "reference"], sort=False):
        at = rows.set_index("sigma")
        cells = [
            f"{at.reference_gap[sigma]:.2f} ± {at.reference_gap_se[sigma]:.2f}" for sigma in sigmas
        ]
        lines.append(f"| {' | '.join(map(str, names))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def samples_table(*tables: pd.DataFrame) -> str:
    """The README's table of the samples of two networks, one row per N; correlations and shares."""
    lines = [
        "| N | two networks | closest, own set | closest, other set | S1 to closest of S2 "
        "| memorised | copied |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, table in zip(SIZES, tables, strict=True):
        own, other = table.network == table.training_set, table.network != table.training_set

        def mean(
            quantity: str, rows: pd.Series, measure: str = "correlation", table=table
        ) -> tuple[float, float]:
            chosen = table[rows & (table.quantity == quantity) & (table.measure == measure)]
            assert len(chosen)
            return chosen["mean"].mean(skipna=False), chosen["se"].mean(skipna=False)

        alike = [
            mean("pair_similarity", other),
            mean("closest_similarity", own),
            mean("closest_similarity", other),
            mean("twin_similarity", other),
        ]
        shares = mean("memorised", own, "correlation_ratio")[0], mean("copied", own)[0]
        cells = [f"{value:.3f}" + cell(error, "+.3f").replace("+", " ± ") for value, error in alike]
        lines.append(
            f"| {size} | {' | '.join(cells)} | {' | '.join(cell(one, '.2f') for one in shares)} |"
        )
    return "\n".join(lines)


def density_table(density: pd.DataFrame) -> str:
    """The README's table of bounds on the divergence, in nats."""
    lines = [
        "| experiment | N | K | integral | images | quadrature | networks | bits per pixel | variance "
        "| bias² | start | bound |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in density.itertuples():
        lines.append(
            f"| {row.experiment} | {row.set_size} | {row.networks} | {row.kl:.1f} | ± {row.kl_se:.1f} "
            f"| ± {row.kl_quadrature:.1f} | ± {row.kl_between:.1f} | {row.bits_per_pixel:.3f} "
            f"| {row.kl_variance:.1f} | {row.kl_bias:.1f} | {row.start:.1f} | {row.bound:.1f} |"
        )
    return "\n".join(lines)


SIZES = (1, 10, 100, 1000, 10000)
TABLES: dict[str, tuple[Callable[..., str], list[str]]] = {
    "results": (results_table, ["evaluation/summary.csv"]),
    "gaps": (gaps_table, ["evaluation/gaps.csv"]),
    "samples": (samples_table, [f"samples/alpha2/N{size}.csv" for size in SIZES]),
    "density": (density_table, ["evaluation/density.csv"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_results_are_those_of_the_committed_results(root: Path, name: str):
    """Of the commit, so that a user's own results, made since, do not fail the tests."""

    def committed(name: str) -> str:
        show = ["git", "show", f"HEAD:{name}"]
        return subprocess.run(show, cwd=root, check=True, capture_output=True, text=True).stdout

    table, paths = TABLES[name]
    expected = table(*[pd.read_csv(io.StringIO(committed(f"results/{path}"))) for path in paths])
    assert expected in committed("README.md"), f"the README should hold\n{expected}"


def test_the_table_of_the_spectra_file_is_the_schema(root: Path):
    expected = schema_table(gahb.spectra.store.SCHEMA)
    assert expected in (root / "README.md").read_text(), f"the README should hold\n{expected}"


def test_the_page_on_diffusion_holds_the_schema_of_samples_and_its_example_runs(root: Path):
    page = (root / "docs/diffusion.md").read_text()
    expected = schema_table(gahb.samples.store.SCHEMA)
    assert expected in page, f"docs/diffusion.md should hold\n{expected}"
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert tuple(names["samples"].shape) == (8, 1, 16, 16)


def test_the_example_runs_and_has_ten_lines(root: Path):
    (example,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 10
    names: dict[str, object] = {}
    exec(example, names)
    assert tuple(names["eigenvectors"].shape) == (20, 1, 40, 40)


def test_every_file_named_exists(root: Path):
    readme = (root / "README.md").read_text()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", readme):
        assert (root / target).exists(), target
