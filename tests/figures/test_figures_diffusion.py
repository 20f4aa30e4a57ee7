"""Figures of memorisation, its onset and the density bound: drawn from synthetic tables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import figures
from helpers.diffusion_results import (
    SIZES,
    SPECS,
    UPDATES,
    all_tables,
    changed,
    has_line,
    points_of,
    write_density,
    write_ensembles,
    write_samples,
    write_updates,
)
from helpers.figure_results import check_text
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gahb.figures.memorisation import Measured, MemorisationFigure
from gahb.figures.parts.intervals import with_error
from gahb.figures.parts.make import make_figure


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return all_tables(tmp_path_factory.mktemp("results"))


# ---------------------------------------------------------------------------------------------
# Files


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], dict[str, dict[str, Any]]]:
    """Tables of two small experiments, and the figures of them."""
    folder, sizes = tmp_path_factory.mktemp("few"), [2, 16]
    names = ["disks-small", "rays-small"]
    inputs = [write_density(folder, dict.fromkeys(names, (sizes, 2)))]
    for name in names:
        inputs.append(write_ensembles(folder, name, sizes, 2, updates=UPDATES[-2:]))
        inputs += write_samples(folder, name, sizes)
    inputs.append(write_updates(folder, "disks-small", sizes))
    specs = {
        name: spec | ({"experiments": names} if "experiments" in spec else {})
        for name, spec in SPECS.items()
    }
    return inputs, specs


@pytest.mark.slow
def test_files_have_the_same_bytes_in_every_process(
    few: tuple[list[Path], dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    inputs, specs = few
    program = (
        "import sys, json\n"
        "from gahb.figures.parts.make import make_figure\n"
        "for made in json.loads(sys.argv[1]):\n"
        "    make_figure(*made)\n"
    )
    kinds = ("png", "pdf", "rst")
    asked = []
    for name, spec in specs.items():
        outputs = [[tmp_path / part / f"{name}.{kind}" for kind in kinds] for part in "ab"]
        make_figure(name, inputs, spec, outputs[0])
        asked.append((name, [*map(str, inputs)], spec, [*map(str, outputs[1])]))
    source = Path(__file__).parents[2] / "src"
    subprocess.run(
        [sys.executable, "-c", program, json.dumps(asked)],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(source)},
        cwd=tmp_path,
    )
    for name in SPECS:
        for kind in kinds:
            first, second = ((tmp_path / part / f"{name}.{kind}").read_bytes() for part in "ab")
            assert first == second, (name, kind)


@pytest.mark.parametrize("name", SPECS)
def test_text_is_readable_and_inside_the_page(name: str, inputs: list[Path]) -> None:
    check_text(figures.drawn(name, inputs, SPECS[name]))


def test_text_is_readable_for_small_experiments(
    few: tuple[list[Path], dict[str, dict[str, Any]]],
) -> None:
    inputs, specs = few
    for name, spec in specs.items():
        one = {"experiments": ["disks-small"]} if "experiments" in spec else {}
        check_text(figures.drawn(name, inputs, spec | one))


# ---------------------------------------------------------------------------------------------
# What is drawn is what the tables say


def test_memorisation_draws_the_tables(inputs: list[Path]) -> None:
    figure = figures.drawn("memorisation", inputs, SPECS["memorisation"])
    share, similarity, *errors_ = figure.axes[:6]
    for experiment in SPECS["memorisation"]["experiments"]:
        files = [p for p in inputs if p.parent.name == experiment and p.name.startswith("N")]
        found = {"memorised": [], "plain": [], "copied": [], "pair": [], "own": [], "other": []}
        for path in files:
            table, size = pd.read_csv(path), int(path.stem[1:])
            same = table["network"] == table["training_set"]
            memorised = table["quantity"] == "memorised"
            plain = memorised & (table["measure"] == "distance_ratio")
            alike = table["measure"] == "correlation"
            near = alike & (table["quantity"] == "closest_similarity")
            pair = alike & (table["quantity"] == "pair_similarity")
            for name, chosen in (
                ("memorised", memorised & ~plain & same),
                ("plain", plain & same),
                ("copied", alike & same & (table["quantity"] == "copied")),
                ("pair", pair),
                ("own", near & same),
                ("other", near & ~same),
            ):
                found[name].append((size, table[chosen]["mean"].mean()))
        for name in ("memorised", "plain"):
            shares = np.array(found[name])
            assert has_line(share, shares[np.isfinite(shares[:, 1])])
        assert has_line(share, np.array(found["copied"]))
        for name in ("pair", "own", "other"):
            assert has_line(similarity, np.array(found[name])), (experiment, name)
        (ensembles,) = (
            pd.read_csv(p)
            for p in inputs
            if p.parent.name == experiment and p.name == "ensembles.csv"
        )
        last = ensembles[ensembles["update"] == UPDATES[-1]]
        for place, sigma in enumerate(SPECS["memorisation"]["sigmas"]):
            level = last[last["sigma"] == sigma]
            for panel, columns in (
                (errors_[place], ("variance", "bias")),
                (errors_[2 + place], ("own_empirical_distance", "empirical_distance")),
            ):
                for column in columns:
                    shown = level[level[column] > level[f"{column}_se"]]
                    expected = np.column_stack([shown["set_size"], shown[column] / sigma**2])
                    assert len(expected) == 0 or has_line(panel, expected), (experiment, column)


def test_a_bias_below_zero_is_an_upper_bound(inputs: list[Path], tmp_path: Path) -> None:
    def below_zero(table: pd.DataFrame) -> pd.DataFrame:
        here = (table["set_size"] == 1024) & (table["sigma"] == 0.1)
        table.loc[here, ["bias", "bias_se"]] = [-1e-5, 2e-5]
        return table

    table = changed(inputs[1], tmp_path, below_zero)
    spec = SPECS["memorisation"] | {"experiments": ["gaussian-small"]}
    figure = figures.drawn("memorisation", [table, *inputs[5:]], spec)
    panel = figure.axes[2]
    (triangle,) = (
        line.get_xydata()
        for line in panel.get_lines()
        if line.get_marker() == "v" and len(line.get_xydata())
    )
    np.testing.assert_allclose(triangle, [[1024, 3e-5 / 0.1**2]])
    assert not any((line[:, 1] < 0).any() for line in points_of(panel))
    caption = figures.told("memorisation", [table, *inputs[5:]], spec)
    assert "-0.0010 +/- 0.0020" in caption


def test_onset_draws_the_tables(inputs: list[Path]) -> None:
    figure = figures.drawn("onset", inputs, SPECS["onset"])
    share, similarity, times, variance, bias, distance = figure.axes[:6]
    updates = pd.read_csv(next(p for p in inputs if p.name == "updates.csv"))
    ensembles = pd.read_csv(inputs[0]).query("sigma == 0.1")
    for size in SIZES:
        rows = updates[updates["set_size"] == size]
        own = rows[(rows["measure"] == "scaled_ratio") & (rows["network"] == rows["training_set"])]
        mean = own.groupby("update")["mean"].mean()
        assert has_line(share, np.column_stack([mean.index, mean]))
        pair = rows[(rows["quantity"] == "pair_similarity") & (rows["measure"] == "correlation")]
        assert has_line(similarity, pair[["update", "mean"]].to_numpy())
        level = ensembles[ensembles["set_size"] == size]
        for axes, column in (
            (variance, "variance"),
            (bias, "bias"),
            (distance, "own_empirical_distance"),
        ):
            assert has_line(axes, np.column_stack([level["update"], level[column] / 0.01]))
    rings = [line for line in share.get_lines() if line.get_markerfacecolor() == "none"]
    found = {float(line.get_xdata()[0]) for line in rings}
    assert len(found) == 3
    for ring in found:  # half of the samples of some N are memorised there
        assert any(
            np.interp(np.log(ring), np.log(line[:, 0]), line[:, 1]) == pytest.approx(0.5)
            for line in points_of(share)
            if len(line) == len(UPDATES)
        )
    marks = {(line.get_marker(), *line.get_xydata()[0]) for line in times.get_lines()}
    assert {("1", 4.0, 25.0), ("2", 1024.0, 1600.0), ("2", 4096.0, 1600.0)} <= marks


def test_onset_without_exact_denoiser_has_no_bias(inputs: list[Path], tmp_path: Path) -> None:
    sizes = [1, 16, 64]  # of one image, no share of memorised samples is defined
    found = [
        write_ensembles(tmp_path, "alpha2", sizes, 2, UPDATES),
        write_updates(tmp_path, "alpha2", sizes),
    ]
    spec = SPECS["onset"] | {"experiment": "alpha2"}
    figure = figures.drawn("onset", found, spec)
    titles = [axes.get_title() for axes in figure.axes]
    assert "squared bias" not in titles
    assert "to empirical optimum, test" in titles
    caption = figures.told("onset", found, spec)
    assert "there is no exact denoiser" in caption
    assert re.search(r"^ *1 +undefined +n/a", caption, re.M)


def test_outputs_draws_the_tables(inputs: list[Path]) -> None:
    figure = figures.drawn("outputs", inputs, SPECS["outputs"])
    (table,) = (
        pd.read_csv(path)
        for path in inputs
        if path.parent.name == "disks-small" and path.name == "ensembles.csv"
    )
    last = table[table["update"] == UPDATES[-1]].sort_values("sigma")
    for axes, column in zip(figure.axes[:2], ("correlation", "closest_correlation"), strict=True):
        for size in SIZES:
            rows = last[last["set_size"] == size]
            assert has_line(axes, rows[["sigma", column]].to_numpy()), (size, column)


def test_density_draws_the_tables(inputs: list[Path]) -> None:
    figure = figures.drawn("density", inputs, SPECS["density"])
    above, middle, below = (figure.axes[start : start + 4] for start in (0, 4, 8))
    density = pd.read_csv(inputs[-1])
    for place, experiment in enumerate(SPECS["density"]["experiments"]):
        ensembles = pd.read_csv(inputs[(0, 1, 3, 4)[place]])
        last = ensembles[ensembles["update"] == UPDATES[-1]].sort_values("sigma")
        bounds = density[density["experiment"] == experiment]
        for size in bounds["set_size"]:
            rows = last[last["set_size"] == size]
            scale = 256 / rows["sigma"] ** 2
            expected = np.column_stack([rows["sigma"], rows["excess"] * scale])
            assert has_line(above[place], expected), (experiment, size)
            # the area over ln sigma of what is drawn is the bound
            inside = expected[expected[:, 0] <= 1.0]
            area = np.trapezoid(inside[:, 1], np.log(inside[:, 0]))
            kl = bounds[bounds["set_size"] == size]["kl"].iloc[0]
            assert area == pytest.approx(kl)
        for column in ("excess", "variance", "bias"):  # of the largest N
            assert has_line(middle[place], np.column_stack([rows["sigma"], rows[column] * scale]))
        for column in ("kl", "kl_variance", "kl_bias", "kl_outside", "start"):
            assert has_line(below[place], bounds[["set_size", column]].to_numpy())
        (shade,) = above[place].patches
        assert shade.get_x() == 1.0
    (bits,) = below[-1].child_axes
    low, high = below[-1].get_ylim()
    FigureCanvasAgg(figure).draw()
    assert bits.get_ylim() == pytest.approx([low / 256 / np.log(2), high / 256 / np.log(2)])


def test_density_without_levels_outside_and_of_one_network(
    inputs: list[Path], tmp_path: Path
) -> None:
    missing = ["kl_outside", "kl_outside_se", "outside_low", "outside_high", "kl_between"]
    missing += ["kl_variance", "kl_variance_se", "kl_bias", "kl_bias_se"]
    density = changed(inputs[-1], tmp_path, lambda table: table.assign(**dict.fromkeys(missing)))
    split = ["variance", "variance_se", "bias", "bias_se"]
    ensembles = changed(
        inputs[3],
        tmp_path,
        lambda table: table[table["sigma"] <= 1].assign(**dict.fromkeys(split)),
    )
    spec = SPECS["density"] | {"experiments": ["rays-small"]}
    figure = figures.drawn("density", [ensembles, density], spec)
    check_text(figure)
    assert not figure.axes[0].patches
    assert len([line for line in points_of(figure.axes[1]) if len(line) > 2]) == 1
    caption = figures.told("density", [ensembles, density], spec)
    assert "Shaded" not in caption
    assert "n/a" in caption


# ---------------------------------------------------------------------------------------------
# Captions


@pytest.mark.parametrize("name", SPECS)
def test_captions_are_plain_restructuredtext(name: str, inputs: list[Path]) -> None:
    figures.check_caption(name, inputs, SPECS[name])
    caption = figures.told(name, inputs, SPECS[name])
    for expected in ("updates 1234", "16 channels", "N = 4"):
        assert expected in caption, expected


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"a": 4, "b": 16}, "up to N = 4 (a), 16 (b)"),
        ({"a": 4, "b": None}, "up to N = 4 (a), at no N measured (b)"),
        ({"b": None}, "at no N measured (b)"),
    ],
)
def test_what_is_nowhere_memorised_is_said_so(sizes: dict[str, int | None], words: str) -> None:
    ensembles: Any = [
        SimpleNamespace(experiment=name, most_memorised=size) for name, size in sizes.items()
    ]
    figure = MemorisationFigure(experiments=list(sizes), sigmas=[0.1, 0.3])
    found = figure.finding(Measured(ensembles))
    assert found == f"Half of the samples are memorised {words}"


def test_captions_print_measured_numbers(inputs: list[Path]) -> None:
    memorisation = figures.told("memorisation", inputs, SPECS["memorisation"])
    rows = pd.read_csv(inputs[0]).query("sigma == 0.1 and update == 1600")
    first, last = rows.iloc[0], rows.iloc[-1]
    over = rows[rows["bias"] > rows["variance"]]["set_size"]
    assert list(over) == [4096]
    assert (
        f"disks-small: variance goes from {first['variance'] / 0.01:.2g} (N = 4) to "
        f"{last['variance'] / 0.01:.2g} (N = 4096); bias from {first['bias'] / 0.01:.2g} to "
        f"{last['bias'] / 0.01:.2g}; bias exceeds variance at N = 4096; the distance to the empirical "
        f"optimum on own training images from {first['own_empirical_distance'] / 0.01:.2g} to "
        f"{last['own_empirical_distance'] / 0.01:.2g}."
    ) in memorisation
    assert "an image of the own set is above 0.95" in memorisation
    assert "No exact denoiser, and so no bias: alpha2." in memorisation
    assert "memorised up to N = 256 and not at N = 1024." in memorisation
    text = figures.told("onset", inputs, SPECS["onset"])
    assert re.search(r"^ *4 +by 25 +up to 25 ", text, re.M)
    assert re.search(r"^ *64 +287 +200 and 336 ", text, re.M)
    assert re.search(r"^4096 +never +after 1600 ", text, re.M)
    assert "to the 3 onsets found grows as N to the power 1.0" in text
    density = figures.told("density", inputs, SPECS["density"])
    row = pd.read_csv(inputs[-1]).iloc[3]
    cell = with_error(row["kl"], row["kl_se"], row["kl_quadrature"], row["kl_between"])
    assert re.search(rf"disks-small +256 +{re.escape(cell)} +{row['bits_per_pixel']:.3g} ", density)
    assert with_error(row["kl_outside"], row["kl_outside_se"]) in density
    assert "a near 0, are about the sigma low chosen" in density


def test_fewer_than_three_onsets_do_not_grow(inputs: list[Path], tmp_path: Path) -> None:
    updates = next(p for p in inputs if p.name == "updates.csv")
    few = changed(updates, tmp_path, lambda table: table[table["set_size"].isin([64, 4096])])
    text = figures.told("onset", [inputs[0], few], SPECS["onset"])
    assert "Onsets found between two measured updates: 1;" in text
    assert "to the power" not in text
