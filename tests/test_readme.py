"""The README says what is true: its example runs, its tables are those of the code and results."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import pandas as pd

from gahb.spectra.store import schema_table


def results_table(summary: pd.DataFrame) -> str:
    """The README's table of results, from the committed summary."""
    lines = [
        "| α | N | split | gap (dB) | largest (dB) | agreement (dB) | slope | α/(α+1) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in summary.itertuples():
        agreement = "" if pd.isna(row.agreement) else f"{row.agreement:.1f}"
        lines.append(
            f"| {row.alpha:g} | {row.set_size} | {row.split} | {row.gap:.2f} ± {row.gap_se:.2f} "
            f"| {row.largest_gap:.2f} | {agreement} | {row.slope:.3f} ± {row.slope_se:.3f} "
            f"| {row.theoretical_slope:.2f} |"
        )
    return "\n".join(lines)


def test_the_table_of_results_is_that_of_the_committed_results(root: Path):
    """Of the commit, so that a user's own results, made since, do not fail the tests."""

    def committed(name: str) -> str:
        show = ["git", "show", f"HEAD:{name}"]
        return subprocess.run(show, cwd=root, check=True, capture_output=True, text=True).stdout

    expected = results_table(pd.read_csv(io.StringIO(committed("results/evaluation/summary.csv"))))
    assert expected in committed("README.md"), f"the README should hold\n{expected}"


def test_the_table_of_the_spectra_file_is_the_schema(root: Path):
    expected = schema_table()
    assert expected in (root / "README.md").read_text(), f"the README should hold\n{expected}"


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
