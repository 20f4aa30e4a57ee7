"""Figures draw tables and spectra as they are, with captions, into byte-stable files."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")

from helpers import figures  # noqa: E402
from helpers.figure_results import (  # noqa: E402
    SIGMAS,
    SIZES,
    check_text,
    evaluation,
    lines_of,
    network,
    psnr_rows,
    slope_of,
    write_evaluation,
    write_spectra,
    write_summary,
)
from helpers.figures import images_of  # noqa: E402

from gahb.artifacts import ArtifactError, create_hdf5, provenance, write_table  # noqa: E402
from gahb.figures.parts.captions import TEMPLATES, made_from  # noqa: E402
from gahb.figures.parts.figure import FIGURES  # noqa: E402
from gahb.figures.parts.make import make_figure  # noqa: E402
from gahb.figures.parts.markup import (  # noqa: E402
    escape,
    headed,
    taken_apart,
    unescaped,
)
from gahb.figures.parts.style import luminance, ordered_colours, spread  # noqa: E402
from gahb.figures.parts.tables import read_tables  # noqa: E402
from gahb.options import names  # noqa: E402

ALPHAS = {f"alpha{n}": float(n) for n in (1, 2, 3)}
SPECS: dict[str, dict[str, Any]] = {
    "transition": {
        "title": "From memorising to generalising",
        "experiment": "alpha2",
        "aggregation": "mean_psnr",
        "split": "S1",
    },
    "basis": {
        "title": "Two bases for one image",
        "experiment": "alpha2",
        "set_sizes": [10, 1000],
        "split": "S1",
        "image": 5,
        "sigma": 0.15,
        "eigenvectors": [1, 2, 5, 9, 20],
    },
    "regularity": {
        "title": "Slopes against regularity",
        "experiments": list(ALPHAS),
        "set_size": 1000,
        "split": "S1",
        "image": 5,
        "sigma": 0.15,
        "eigenvectors": [2, 9],
    },
    "gap": {"title": "Training set size", "experiment": "alpha2"},
}


def drawn(name: str, inputs: list[Path], **options: Any) -> Any:
    return figures.drawn(name, inputs, SPECS[name] | options)


def told(name: str, inputs: list[Path], **options: Any) -> str:
    return figures.told(name, inputs, SPECS[name] | options)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Inputs of every figure, with files in them that the figure must leave aside."""
    folder = tmp_path_factory.mktemp("results")
    tables = {
        name: write_evaluation(folder / "evaluation", name, alpha) for name, alpha in ALPHAS.items()
    }
    summary = write_summary(folder / "evaluation", ALPHAS)
    spectra = [write_spectra(folder / "spectra", "alpha2", size) for size in (10, 1000)]
    spectra += [
        write_spectra(folder / "spectra", name, 1000, alpha=alpha)
        for name, alpha in ALPHAS.items()
        if name != "alpha2"
    ]
    every = [path for paths in tables.values() for path in paths]
    return {
        "transition": [summary, *every],
        "basis": spectra,
        "regularity": [summary, *every, *spectra],
        "gap": [summary, *every],
    }


# ---------------------------------------------------------------------------------------------
# Files


def test_a_matplotlibrc_changes_nothing(results: dict[str, list[Path]], tmp_path: Path) -> None:
    figures.check_same_bytes("gap", results["gap"], SPECS["gap"], tmp_path)


def test_files_have_the_same_bytes_in_every_process(
    results: dict[str, list[Path]], tmp_path: Path
) -> None:
    program = (
        "import sys, json\n"
        "from gahb.figures.parts.make import make_figure\n"
        "for asked in json.loads(sys.argv[1]): make_figure(*asked)\n"
    )
    made = []
    for seed, order in (("1", 1), ("2", -1)):  # of hashes: no order of a set or of inputs may show
        outputs = {
            name: [str(tmp_path / seed / f"{name}.{kind}") for kind in figures.KINDS]
            for name in SPECS
        }
        asked = [
            [name, [*map(str, results[name])][::order], spec, outputs[name]]
            for name, spec in SPECS.items()
        ]
        subprocess.run(
            [sys.executable, "-c", program, json.dumps(asked)],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=tmp_path,
        )
        made.append([Path(path).read_bytes() for paths in outputs.values() for path in paths])
    assert made[0] == made[1]
    for mark in (b"CreationDate", matplotlib.__version__.encode()):
        assert not any(mark in file for file in made[0])


def test_every_figure_has_a_template() -> None:
    templates = {path.stem for path in TEMPLATES.glob("[!_]*.rst")}
    assert templates == set(names(FIGURES))


@pytest.mark.parametrize("name", SPECS)
def test_text_is_readable_and_inside_the_page(name: str, results: dict[str, list[Path]]) -> None:
    check_text(drawn(name, results[name]))


@pytest.mark.parametrize("sizes", [[1000], [1, 10**5], [1, 3, 10, 30, 100, 300, 1000, 3000, 10**4]])
def test_text_is_readable_for_any_set_sizes(sizes: list[int], tmp_path: Path) -> None:
    inputs = [
        *write_evaluation(tmp_path, "alpha2", sizes=sizes),
        write_summary(tmp_path, {"alpha2": 2.0}, sizes=sizes),
    ]
    for name in ("transition", "gap"):
        check_text(drawn(name, inputs))


def test_an_unknown_figure_or_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there are .*gap, .*transition"):
        make_figure("spiral", [], {}, [])
    with pytest.raises(ValueError, match=r"a\.svg.*\.png"):
        make_figure("gap", [], SPECS["gap"], [tmp_path / "a.svg"])
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        make_figure("gap", ["weights.safetensors"], SPECS["gap"], [tmp_path / "a.png"])


# ---------------------------------------------------------------------------------------------
# What is drawn is what the tables say


def test_transition_draws_the_tables(results: dict[str, list[Path]]) -> None:
    figure = drawn("transition", results["transition"])
    panels = figure.axes[:2]
    for axes, panel in zip(panels, ("own", "test"), strict=True):
        found = lines_of(axes)
        for size in SIZES:
            for name in ("", "_memorising"):
                path = next(
                    p
                    for p in results["transition"]
                    if p.parent.name == "alpha2" and p.name == f"N{size}{name}_S1.csv"
                )
                table = pd.read_csv(path).query("evaluated_on == @panel")
                expected = table[["input_psnr", "mean_psnr"]].to_numpy()
                assert any(
                    line.shape == expected.shape and np.array_equal(line, expected)
                    for line in found
                ), (panel, size, name)
    assert panels[0].get_shared_x_axes().joined(*panels)
    assert panels[0].get_shared_y_axes().joined(*panels)


def test_basis_draws_the_spectra(results: dict[str, list[Path]]) -> None:
    figure = drawn("basis", results["basis"])
    images = images_of(figure)
    curves = [line for axes in figure.axes for line in lines_of(axes)]
    titles = [axes.get_title() for axes in figure.axes]
    for path in results["basis"][:2]:
        with h5py.File(path) as file:
            for name in ("clean", "noisy", "denoised"):
                image = file[name][0].reshape(12, 12)
                assert any(np.array_equal(image, found) for found in images), name
            for k in SPECS["basis"]["eigenvectors"]:
                vector = file["eigenvectors"][0, 0, k - 1]
                assert any(np.array_equal(vector, found) for found in images), k
                assert f"k = {k}\nλ = {file['eigenvalues'][0, 0, k - 1]:.3f}" in titles
            for values in (file["eigenvalues"][0, 0], np.abs(file["clean_coefficients"][0, 0])):
                expected = np.column_stack([np.arange(1, values.size + 1), values])
                assert any(np.array_equal(line, expected) for line in curves)


def test_basis_averages_eigenvalues_over_images(tmp_path: Path) -> None:
    paths = [write_spectra(tmp_path, "alpha2", n, positions=(5, 6, 9)) for n in (10, 1000)]
    curves = [line for axes in drawn("basis", paths).axes for line in lines_of(axes)]
    caption = told("basis", paths)
    for path in paths:
        with h5py.File(path) as file:
            values = file["eigenvalues"][:, 0]
            asymmetry = file["asymmetry"][:, 0].mean()
        expected = np.column_stack([np.arange(1, values.shape[1] + 1), values.mean(0)])
        assert any(np.array_equal(line, expected) for line in curves)
        se = values[:, 0].std(ddof=1) / 3**0.5
        assert f"{values[:, 0].mean():.3f} +/- {se:.3f}" in caption
        assert f"{asymmetry:.3f} +/- 0.000" in caption
    assert "averaged over 3 test images, with a band of one standard error" in caption


def test_eigenvectors_are_centred_at_zero(results: dict[str, list[Path]]) -> None:
    figure = drawn("basis", results["basis"])
    shown = [axes for axes in figure.axes if axes.get_title().startswith("k = ")]
    assert len(shown) == 10
    for axes in shown:
        (image,) = axes.get_images()
        low, high = image.get_clim()
        assert low == -high
        assert high == pytest.approx(np.quantile(np.abs(np.asarray(image.get_array())), 0.995))


def test_regularity_draws_curves_and_slopes(results: dict[str, list[Path]]) -> None:
    figure = drawn("regularity", results["regularity"])
    for axes, (name, alpha) in zip(
        [axes for axes in figure.axes if "theory" in axes.get_title()], ALPHAS.items(), strict=True
    ):
        path = next(
            p for p in results["regularity"] if p.parent.name == name and p.name == "N1000_S1.csv"
        )
        table = pd.read_csv(path).query("evaluated_on == 'test'")
        curve, fit, theory = lines_of(axes)
        np.testing.assert_array_equal(curve, table[["input_psnr", "psnr_of_mean_mse"]].to_numpy())
        window = table.query("0.029 < sigma < 0.31")
        for line, slope in ((theory, 1 - 1 / alpha), (fit, slope_of(alpha))):
            assert line[0, 0] == window["input_psnr"].min()
            assert line[-1, 0] == window["input_psnr"].max()
            assert np.diff(line[:, 1])[0] / np.diff(line[:, 0])[0] == pytest.approx(slope)
        assert theory[0, 1] == fit[0, 1]
        assert np.interp(window["input_psnr"].mean(), *fit.T) == pytest.approx(
            window["psnr_of_mean_mse"].mean()
        )
        assert f"fit {slope_of(alpha):.3f} ± 0.020" in axes.get_title()  # between trainings
        assert f"oracle {slope_of(alpha) + 0.05:.3f}" in axes.get_title()


def test_regularity_without_spectra_has_no_eigenvectors(results: dict[str, list[Path]]) -> None:
    tables = [path for path in results["regularity"] if path.suffix == ".csv"]
    figure = drawn("regularity", tables)
    assert not [axes for axes in figure.axes if axes.get_images()]
    assert "igenvector" not in told("regularity", tables)


def test_gap_draws_the_tables(results: dict[str, list[Path]]) -> None:
    figure = drawn("gap", results["gap"])
    left, right = figure.axes
    summary = pd.read_csv(results["gap"][0]).query("experiment == 'alpha2'")
    heights = [line[:, 1] for line in lines_of(left)]
    for split in ("S1", "S2"):
        for column in ("gap", "largest_gap"):
            expected = summary.query("split == @split")[column].to_numpy()
            assert any(np.array_equal(found, expected) for found in heights), (split, column)
    pairs = summary.query("split == 'S1'")[["set_size", "agreement"]].to_numpy()
    assert any(np.array_equal(found, pairs) for found in lines_of(right))
    same = summary.query("split == 'S1'")[["set_size", "agreement_same_set"]].dropna().to_numpy()
    assert len(same) == 2
    assert any(np.array_equal(found, same) for found in lines_of(right))
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["same set, other seed"]
    bars = [b.get_segments()[0] for b in left.collections]  # of N = 1
    halves = [np.ptp(bar[:, 1]) / 2 for bar in bars]
    assert max(halves) == pytest.approx(2.5)  # between trainings, more than over images
    lowest = [
        pd.read_csv(path).set_index("sigma").loc[SIGMAS[0], "psnr_between"]
        for path in results["gap"]
        if path.parent.name == "alpha2" and "agreement" in path.name
    ]
    assert any(np.array_equal(found[:, 1], lowest) for found in lines_of(right))
    labels = [text.get_text() for text in right.texts]
    assert "mean over σ" in labels
    assert "σ = 0.01" in labels
    assert "σ = 1" in labels


# ---------------------------------------------------------------------------------------------
# Captions


@pytest.mark.parametrize("name", SPECS)
def test_captions_print_what_networks_were_made_from(
    name: str, results: dict[str, list[Path]]
) -> None:
    caption = told(name, results[name])
    for expected in (
        SPECS[name]["title"],
        "images alpha2: C^α images, α = 2, 24 x 24 pixels",
        "networks alpha2, unet, 2 blocks, 16 channels, batch size 128",
        "optimiser adam, sigma range [0.005, 1.0], updates 1234",
        "of S1",
        "1000",
    ):
        assert expected in caption, expected
    assert "noise law" not in caption  # the default


@pytest.mark.parametrize("name", SPECS)
def test_captions_are_plain_restructuredtext(name: str, results: dict[str, list[Path]]) -> None:
    figures.check_caption(name, results[name], SPECS[name])


def test_captions_print_measured_numbers(results: dict[str, list[Path]]) -> None:
    transition = told("transition", results["transition"])
    path = next(
        p for p in results["transition"] if p.parent.name == "alpha2" and p.name == "N1_S1.csv"
    )
    own = pd.read_csv(path).query("evaluated_on == 'own'")["mean_psnr"].mean()
    assert f"{own:.2f}" in transition
    assert "memorising denoiser on own training set for N = 1, 10" in transition
    assert re.search(r"^ *1000 +\S+ +\S+ +\S+ +0\.50 ", transition, re.M)  # between trainings
    gap = told("gap", results["gap"])
    assert "number of updates and width" in gap
    assert "depend on the seed and the split alone" in gap
    assert "with different seeds" in gap
    assert re.search(r"^ *100 +\S+ +\S+ +26\.00 ", gap, re.M)  # the agreement of one set
    assert re.search(r"^ *10 +\S+ +\S+ +- ", gap, re.M)
    with h5py.File(results["basis"][1]) as file:
        value = file["eigenvalues"][0, 0, 19]
    assert f"{value:.3f}" in told("basis", results["basis"])
    with h5py.File(results["basis"][0]) as file:
        basis = told("basis", results["basis"])
        assert f"{file['trace'][0, 0]:.1f}" in basis
        for size in (10, 1000):
            assert re.search(rf"^ *{size} +0.900 +0.010$", basis, re.M)
    regularity = told("regularity", results["regularity"])
    assert f"{slope_of(3):.3f}" in regularity


def test_networks_that_are_made_alike_are_told_of_once() -> None:
    specs = [{"network": network("alpha2", size, "S1")} for size in (1, 10)]
    pair = {"first": network("alpha2", 10, "S1"), "second": network("alpha2", 10, "S2")}
    changed = network("alpha2", 1, "S1")
    changed["training"] = changed["training"] | {"updates": 5}
    images, *networks = made_from([*specs, {"network": changed}, specs[0]])
    assert images == "images alpha2: C^α images, α = 2, 24 x 24 pixels"
    assert [text.rpartition(": ")[2] for text in networks] == ["N = 1, 10 of S1", "N = 1 of S1"]
    assert "updates 5" in networks[1]
    (_, text) = made_from([*specs, pair])
    assert text.endswith(": N = 1 of S1; N = 10 of S1, S2")


def test_imported_networks_are_told_of_as_imported() -> None:
    imported = {k: v for k, v in network("alpha2", 10, "S1").items() if k != "training"}
    imported["imported"] = True
    (_, text) = made_from([{"network": imported}])
    assert text == "networks alpha2, unet, 2 blocks, 16 channels, imported: N = 10 of S1"


def test_escape_keeps_text_on_one_line() -> None:
    assert escape("a\n {{b}}") == r"a \{\{b\}\}"


@pytest.mark.parametrize("title", ["Another", "*N* = 1_000 {0 %}, at last 2*", r"a \ b"])
def test_a_caption_is_taken_apart_into_what_it_was_made_of(tmp_path: Path, title: str) -> None:
    caption = tmp_path / "one.rst"
    caption.write_text(f"{headed(title)}\n\nA sentence.\n\n\n=  =\n1  2\n=  =\n")
    found, blocks = taken_apart(caption)
    assert unescaped(found) == title
    assert blocks == ["A sentence.", "=  =\n1  2\n=  ="]


# ---------------------------------------------------------------------------------------------
# Errors


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "N1_S1.csv"
    spec = {"network": network("alpha2", 1, "S1"), "evaluation": evaluation()}
    table = psnr_rows("network", 1, 2.0, SIGMAS, 0.0)
    write_table(path, table.drop(columns=["mean_psnr_se", "images"]), provenance(spec))
    with pytest.raises(ArtifactError, match=r"N1_S1\.csv lacks .*images, mean_psnr_se; found"):
        read_tables([path])
    write_table(path, table[["sigma"]], provenance(spec))
    with pytest.raises(ArtifactError, match=r"N1_S1\.csv is no table .*found .*sigma; expected"):
        read_tables([path])
    write_table(path, table.iloc[:0], provenance(spec))
    with pytest.raises(ArtifactError, match=r"N1_S1\.csv has no rows"):
        read_tables([path])


def test_an_edited_table_is_refused(tmp_path: Path) -> None:
    path = write_summary(tmp_path, ALPHAS)
    path.write_text(path.read_text().replace("S1", "S2", 1))
    with pytest.raises(ArtifactError, match=r"summary\.csv is damaged or edited"):
        read_tables([path])


def test_a_missing_network_is_named(results: dict[str, list[Path]]) -> None:
    inputs = [
        path
        for path in results["transition"]
        if not (path.parent.name == "alpha2" and path.name == "N100_S1.csv")
    ]
    with pytest.raises(ArtifactError, match="network denoiser for N = 100, alpha2, S1"):
        drawn("transition", inputs)
    with pytest.raises(
        ArtifactError, match=r"(?s)no psnr table of experiment rays.*\n.*N1_S1\.csv"
    ):
        drawn("transition", inputs, experiment="rays")
    with pytest.raises(ArtifactError, match="exactly one table of summary"):
        drawn("gap", results["gap"][1:])
    inputs = [path for path in results["gap"] if path.name != "N100_agreement.csv"]
    with pytest.raises(ArtifactError, match=r"1, 10, 100, 1000; .* for N = 1, 10, 1000"):
        drawn("gap", inputs)
    with pytest.raises(ArtifactError, match="no spectra file of alpha2, N = 7, S1"):
        drawn("basis", results["basis"], set_sizes=[7, 1000])


def test_what_a_spectra_file_lacks_is_named(results: dict[str, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 has the test images 5 .* asks for 6"):
        drawn("basis", results["basis"], image=6)
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 has the noise levels 0\.15; .* 0\.2"):
        drawn("basis", results["basis"], sigma=0.2)
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 keeps 24 eigenvectors; .* 25"):
        drawn("basis", results["basis"], eigenvectors=[25])
    few = write_spectra(tmp_path, "alpha2", 10)
    other = write_spectra(tmp_path, "alpha2", 1000, alpha=3.0)
    with pytest.raises(ArtifactError, match="do not hold the same clean image"):
        drawn("basis", [few, other])
    with h5py.File(few, "a") as file:
        del file["clean_coefficients"]
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 lacks .* clean_coefficients; found"):
        drawn("basis", [few, other])
    with h5py.File(few, "a") as file:
        file["clean_coefficients"] = np.zeros((1, 1, 3))
    with pytest.raises(ArtifactError, match=r"clean_coefficients has shape \(1, 1, 3\), expected"):
        drawn("basis", [few, other])


def test_other_hdf5_files_are_left_aside(results: dict[str, list[Path]], tmp_path: Path) -> None:
    path = tmp_path / "N10_S1.h5"  # evaluation keeps the error of each draw in such a file
    spec = {"network": network("alpha2", 10, "S1"), "evaluation": evaluation()}
    with create_hdf5(path, provenance(spec)) as file:
        file["mse"] = np.zeros(3)
    assert drawn("basis", [path, *results["basis"]]).axes


def test_a_truncated_spectra_file_is_refused(tmp_path: Path) -> None:
    path = write_spectra(tmp_path, "alpha2", 10)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 is damaged or truncated"):
        drawn("basis", [path])


def test_a_network_without_slope_is_refused(tmp_path: Path) -> None:
    inputs = [
        *write_evaluation(tmp_path, "alpha2", sizes=[1000]),
        write_summary(tmp_path, {"alpha2": float("nan")}, sizes=[1000]),
    ]
    with pytest.raises(ArtifactError, match=r"summary\.csv: no slope of alpha2, N = 1000, S1"):
        drawn("regularity", inputs, experiments=["alpha2"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown are 'colour'; known keys here are aggregation, .*title"),
        ({"aggregation": "median"}, r"(?s)^.*aggregation\n.*'psnr_of_mean_mse' or 'mean_psnr'"),
        ({"split": "S"}, r"(?m)^split\n.*"),
        ({"title": 3}, r"(?m)^title\n.*string"),
    ],
)
def test_wrong_options_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn("transition", [], **change)


@pytest.mark.parametrize("name", SPECS)
def test_missing_options_are_named(name: str) -> None:
    for option in set(SPECS[name]) - {"title"}:
        spec = {key: value for key, value in SPECS[name].items() if key != option}
        with pytest.raises(ValueError, match=rf"(?m)^{option}\n.*required"):
            make_figure(name, [], spec, [])


# ---------------------------------------------------------------------------------------------
# Style


@pytest.mark.parametrize("count", range(1, 10))
def test_colours_darken_monotonically(count: int) -> None:
    values = [luminance(colour) for colour in ordered_colours(count)]
    assert len(values) == count
    assert all(before > after for before, after in itertools.pairwise(values))
    # the lightest stands out on white paper: contrast ratio of WCAG 2
    assert 1.05 / (values[0] + 0.05) > 1.5


def test_spread_separates_labels_and_keeps_their_order() -> None:
    moved = spread([3.0, 1.0, 1.1, 9.0], 1.0)
    assert moved[3] == 9.0
    assert moved[1] == pytest.approx(0.55)
    assert moved[2] == pytest.approx(1.55)
    assert moved[0] == 3.0
    assert spread([], 1.0) == []
