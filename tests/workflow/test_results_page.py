"""The page of results holds what tables and captions say, and nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers import figures
from helpers.diffusion_results import SPECS, all_tables
from helpers.figure_results import write_summary

from gahb.artifacts import ArtifactError, provenance, write_table, write_text
from gahb.figures.parts.intervals import summarised
from gahb.provenance.results_page import write_results_page

EXPERIMENTS = {"alpha2": 2.0, "alpha3": 3.0}
SIGMAS = (1.0, 0.3, 0.1, 0.03)


def write_claims(folder: Path, here: str = "1.0 ± 0.1", count: int = 3) -> None:
    claims = [
        {"number": number, "name": f"claim{number}", "claim": f"Claim {number}, |x| falls."}
        | {"source": "Fig. 1", "quantity": "dB"}
        | {
            "in_print": paper,
            "here": here,
            "checks": "",
            "verdict": verdict,
            "figure": figure,
        }
        for number, paper, verdict, figure in (
            (1, "slope 1", "holds", "density"),
            (2, None, "not measured", "absent"),
            (3, None, "holds", None),
        )[:count]
    ]
    write_table(folder / "claims.csv", pd.DataFrame(claims), provenance({}))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of every kind, and two captions."""
    folder = tmp_path_factory.mktemp("project") / "results"
    tables = all_tables(folder)
    write_summary(folder / "evaluation", EXPERIMENTS)
    gaps = [
        {"experiment": name, "image_class": name, "set_size": size, "split": split}
        | {"reference": "exact", "sigma": sigma, "input_psnr": 0.0, "images": 64}
        | {"reference_gap": size * sigma, "reference_gap_se": 0.5}
        | {"reference_gap_between": 0.25 if size == 100 else float("nan")}
        for name in EXPERIMENTS
        for size, split in ((10, "S1"), (100, "S1"), (100, "S2"))
        for sigma in SIGMAS
    ]
    write_table(folder / "evaluation/gaps.csv", pd.DataFrame(gaps), provenance({}))
    write_claims(folder)
    for name in ("onset", "density"):
        title = {"title": "Nats | *bold* | a_b"} if name == "density" else {}
        caption = figures.told(name, tables, SPECS[name] | title)
        write_text(folder / f"figures/{name}.rst", caption)
    return folder


def page(results: Path, tables: list[str], captions: tuple[str, ...] = ()) -> str:
    output = results / "README.md"
    found = [path for pattern in tables for path in sorted(results.glob(pattern))]
    claims = results / "claims.csv"
    shown = [results / f"figures/{name}.rst" for name in captions]
    write_results_page(claims, found, shown, output)
    return output.read_text()


def cells(text: str, *first: str) -> list[str]:
    """Of the one line of a table that starts with these."""
    rows = [re.split(r" \| ", line.strip("| ")) for line in text.splitlines() if line[:1] == "|"]
    (row,) = (row for row in rows if row[: len(first)] == list(first))
    return row


def test_networks_say_what_trained_them(tmp_path: Path) -> None:
    write_claims(tmp_path)
    path = write_summary(tmp_path, EXPERIMENTS)
    table, one = pd.read_csv(path), {"processor": "A CPU", "device": "cpu", "precision": "bfloat16"}
    trained = [one | {"compiled": False}, {"imported": True}] + [one | {"compiled": True}] * 3
    made_from = provenance({"slope_window": [0.03, 0.3]}) | {"trained_by": trained}
    assert "Networks were trained by" not in page(tmp_path, ["summary.csv"])
    write_table(path, table, made_from)
    assert (
        "Networks were trained by: A CPU, cpu, bfloat16 (1); A CPU, cpu, bfloat16, compiled (3); "
        "whoever published their weights (1)."
    ) in page(tmp_path, ["summary.csv"])


def test_claims_stand_first_and_lead_to_their_figures(results: Path) -> None:
    text = page(results, ["evaluation/summary.csv"], ("density",))
    first = text.split("\n## ")[1]
    assert first.startswith("What holds, and what does not")
    told = "holds: 2, holds in part: 0, does not hold at this scale: 0, not measured: 1."
    assert f"3 claims; here, {told}" in first
    lines = [line for line in first.splitlines() if line.startswith("| ")]
    assert lines[2:] == [
        r"| [Claim 1, \|x\| falls.](figures/density.png) | Fig. 1 | slope 1 | **holds**: 1.0 ± 0.1 |",
        r"| Claim 2, \|x\| falls. | Fig. 1 |  | **not measured**: 1.0 ± 0.1 |",
        r"| Claim 3, \|x\| falls. | Fig. 1 |  | **holds**: 1.0 ± 0.1 |",
    ]
    assert "(claims.csv)" in first


def test_each_scale_that_was_run_is_a_column(results: Path, tmp_path: Path) -> None:
    gpu = tmp_path / "gpu"
    write_claims(gpu, here="2.0 ± 0.1", count=2)  # of an older version, without the third claim
    output = tmp_path / "README.md"
    write_results_page(results / "claims.csv", [], [], output, [gpu / "claims.csv"])
    text = output.read_text()
    assert "Other columns are the same claims" in text
    assert "not measured: 1; gpu, holds: 1, holds in part: 0" in text
    assert cells(text, "claim") == ["claim", "source", "in print", "here", "gpu"]
    assert cells(text, r"Claim 1, \|x\| falls.")[3:] == [
        "**holds**: 1.0 ± 0.1",
        "**holds**: 2.0 ± 0.1",
    ]
    assert cells(text, r"Claim 3, \|x\| falls.")[3:] == ["**holds**: 1.0 ± 0.1", "not asked"]
    assert "[gpu/claims.csv](gpu/claims.csv)" in text


def test_every_figure_is_shown_with_what_it_measured(results: Path) -> None:
    text = page(results, [], ("onset", "density"))
    assert "`results_page`" in text.split("##")[0]
    onset, density = text.index("### When memorisation sets in"), text.index("### Nats")
    assert onset < density
    assert r"![Nats \| \*bold\* \| a\_b](figures/density.png)" in text
    for name in ("onset", "density"):
        caption = (results / f"figures/{name}.rst").read_text()
        measured = caption.split("Made from:")[0]
        assert measured.split("\n\n")[1] in text  # the first paragraph
        for line in measured.splitlines():
            if re.match(r" *(\S+ +)?\d+  ", line):  # of a table
                shown = [cell.strip() for cell in re.split(r" {2,}", line.strip())]
                assert f"| {' | '.join(shown)} |" in text, line
    assert "Made from" not in text
    assert "====" not in text


def test_tables_print_their_numbers(results: Path) -> None:
    text = page(results, ["evaluation/*.csv", "samples/*/N*.csv"])
    row = pd.read_csv(results / "evaluation/summary.csv").query("experiment == 'alpha3'").iloc[1]
    assert cells(text, "alpha3", str(row["set_size"]), "S2")[3:] == [
        f"{row['gap']:.2f} ± {row['gap_se']:.2f}",
        f"{row['gap_between']:.2f}",
        f"{row['largest_gap']:.2f}",
        f"{row['agreement']:.1f}",
        "" if pd.isna(row["agreement_same_set"]) else f"{row['agreement_same_set']:.1f}",
        f"{row['slope']:.3f} ± {row['slope_se']:.3f}",
        *("0.020", "3", f"{row['oracle_slope']:.3f}", "0.67"),
        "0.03 to 0.3",
    ]
    assert cells(text, "alpha2", "100", "exact") == [
        *("alpha2", "100", "exact", "100.00 ± 0.50 ± 0.25", "3.00 ± 0.50 ± 0.25")
    ]
    path = results / "samples/gaussian-small/N64.csv"
    table = pd.read_csv(path)
    pair, error, _ = summarised(table, path, "pair_similarity", "correlation")
    share, *_ = summarised(table, path, "memorised", "scaled_ratio", own=True)
    plain, *_ = summarised(table, path, "memorised", "distance_ratio", own=True)
    shown = next(
        line
        for line in text.splitlines()
        if line.startswith(f"| gaussian-small | 64 | {pair:.3f} ± {error:.3f} |")
    )
    of_class = "0.700 ± 0.004 | 0.900 ± 0.050"
    assert f"| 0.600 ± 0.020 | {of_class} | {share:.2f} | {plain:.2f} |" in shown
    assert shown.endswith("| 0.250, 0.125 |")
    assert re.search(r"^\| alpha2 \| 1 \| .* ± 0\.050 \|  \|  \| \d", text, re.M)  # undefined
    row = pd.read_csv(results / "evaluation/density.csv").iloc[3]
    assert cells(text, "disks-small", "256", "4")[3:6] == [
        *(f"{row['kl']:.1f}", f"± {row['kl_se']:.1f}", f"± {row['kl_quadrature']:.1f}")
    ]
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (results / target).exists(), target


def test_what_a_preset_has_no_tables_of_is_left_out(results: Path) -> None:
    text = page(results, ["evaluation/summary.csv"])
    assert "### Gap, agreement and slope" in text
    assert text.count("### ") == 1
    assert "## Tables" not in page(results, [], ("onset",))


def test_an_edited_table_is_refused(results: Path, tmp_path: Path) -> None:
    for kind in (".csv", ".json"):
        shutil.copy(results / f"evaluation/density{kind}", tmp_path / f"density{kind}")
    edited = tmp_path / "density.csv"
    edited.write_text(edited.read_text().replace("6.4", "4.6"))
    with pytest.raises(ArtifactError, match=r"density\.csv"):
        write_results_page(results / "claims.csv", [edited], [], tmp_path / "README.md")
