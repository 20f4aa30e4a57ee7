"""Figures of memorisation, its onset and the density bound: drawn from synthetic tables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

matplotlib = pytest.importorskip("matplotlib")

from figure_results import check_text, lines_of, network  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402

from gahb.artifacts import ArtifactError, provenance, write_table  # noqa: E402
from gahb.figures.onset import growth, onset  # noqa: E402
from gahb.figures.parts.captions import rendered  # noqa: E402
from gahb.figures.parts.figure import FIGURES, Figure  # noqa: E402
from gahb.figures.parts.intervals import Points, wilson, with_error  # noqa: E402
from gahb.figures.parts.make import make_figure  # noqa: E402
from gahb.figures.parts.style import figure_style  # noqa: E402
from gahb.figures.parts.tables import read_tables  # noqa: E402
from gahb.options import model  # noqa: E402
from gahb.params import figure_files  # noqa: E402
from gahb.params.consistency import inconsistencies  # noqa: E402

SIZES = [4, 16, 64, 256, 1024, 4096]
CALPHA_SIZES = [1, 10, 100, 1000, 10000]
SIGMAS = [2.0, 1.0, 0.631, 0.398, 0.251, 0.158, 0.1, 0.0631, 0.0398, 0.0251, 0.02]
UPDATES = [25, 42, 71, 119, 200, 336, 565, 951, 1600]
PIXELS = {"disks-small": 256, "gaussian-small": 256, "rays-small": 256, "sines-small": 256}
EASE = {"gaussian-small": 2.0, "alpha2": 0.6, "rays-small": 0.2, "sines-small": 0.3}  # times errors
SAMPLES = 64


def mean_squared_error(sigma: Any) -> Any:
    """Of a typical optimal denoiser of images whose pixels have a variance of 0.05."""
    return sigma**2 * 0.05 / (sigma**2 + 0.05)


def errors(experiment: str, size: int, update: float, sigma: Any) -> dict[str, Any]:
    """What K networks of N images might err after some updates: copies first, then one function."""
    exact = experiment in PIXELS
    scale = mean_squared_error(sigma) * EASE.get(experiment, 1.0)
    learned = 1 - np.exp(-update / 150)
    memory = learned / (1 + size / (60 * EASE.get(experiment, 1.0)))
    variance = scale * (0.9 * memory + 0.004 * learned)
    bias = scale * (0.35 * (1 - learned) + 0.022 + 0.06 * memory)
    bias = np.where((size > 1000) & (np.asarray(sigma) >= 1), -0.0002 * scale, bias)
    own = scale * (0.5 * np.clip(1 - memory, 0, 1) ** 1.5 + 0.02)
    if not exact:
        bias = scale * np.nan
    return {
        "variance": variance,
        "bias": bias,
        "excess": variance + bias,
        "exact_mse": 0.2 * scale if exact else scale * np.nan,
        "empirical_distance": own + 0.3 * variance,
        "own_empirical_distance": own,
        "cosine": 1 - variance,
        "correlation": 1 - 2 * variance,
        "closest_cosine": 0.9 + 0.05 * variance,
        "closest_correlation": 0.6 + 0.3 * variance,
        "mse": 0.2 * scale + variance + np.nan_to_num(bias),
    }


def ensemble(experiment: str, sizes: list[int], networks: int) -> dict[str, Any]:
    described = network(experiment, 1, "S1")
    return {key: value for key, value in described.items() if key not in ("set_size", "split")} | {
        "set_sizes": sizes,
        "splits": [f"S{number + 1}" for number in range(networks)],
    }


def write_ensembles(
    folder: Path,
    experiment: str,
    sizes: list[int] = SIZES,
    networks: int = 4,
    updates: list[int] = UPDATES[-1:],
    sigmas: list[float] = SIGMAS,
) -> Path:
    rows = []
    for size in sizes:
        for update in updates:
            for sigma in sigmas:
                measured = errors(experiment, size, update, sigma)
                rows.append(
                    {
                        "set_size": size,
                        "update": update,
                        "sigma": sigma,
                        "input_psnr": -20 * np.log10(sigma),
                        "networks": networks,
                        "images": 128,
                    }
                    | measured
                    | {f"{name}_se": 0.06 * abs(value) for name, value in measured.items()}
                    | {"bias_se": 0.06 * measured["excess"]}
                )
    path = folder / "evaluation" / experiment / "ensembles.csv"
    settings = {"seed": 0, "sigmas": sigmas, "images": 128}
    spec = {"ensemble": ensemble(experiment, sizes, networks), "measured": settings}
    write_table(path, pd.DataFrame(rows), provenance(spec))
    return path


def sample_rows(size: int, update: float) -> pd.DataFrame:
    """The table of one pair: few images are copied, and the sooner the fewer."""
    learned = 1 / (1 + (4.5 * size / update) ** 3)
    share = round(SAMPLES * learned) / SAMPLES
    rows = []

    def add(quantity: str, network: str, known: str, measure: str, mean: float, se: float) -> None:
        rows.append((quantity, network, known, measure, mean, se, SAMPLES))

    for measure in ("cosine", "correlation"):
        pair = 0.3 + 0.6 * (1 - learned) * (1 - np.exp(-update / 300))
        add("pair_similarity", "both", "none", measure, pair, 0.015)
        for one in ("S1", "S2"):
            for known in ("S1", "S2"):
                closest = 0.75 + 0.24 * learned * (one == known) + 0.02 * np.log10(size)
                add("closest_similarity", one, known, measure, min(closest, 1.0), 0.006)
                copied = round(SAMPLES * learned**0.5) / SAMPLES * (one == known)
                add("copied", one, known, measure, copied, 0.01)
    for one in ("S1", "S2"):
        for known in ("S1", "S2"):
            mean = share if one == known else 1 / SAMPLES
            if size == 1:
                mean = np.nan
            spread = np.sqrt(mean * (1 - mean) / (SAMPLES - 1))
            add("memorised", one, known, "correlation_ratio", mean, spread)
            add("memorised", one, known, "distance_ratio", mean / 2, spread / 2)
        add("calls", one, "none", "count", 63.0, 0.0)
    columns = ["quantity", "network", "training_set", "measure", "mean", "se", "count"]
    return pd.DataFrame(rows, columns=columns)


def sampling() -> dict[str, Any]:
    return {"seed": 2, "sampler": {"kind": "ode", "steps": 32}, "samples": SAMPLES} | {
        "duplicate_threshold": 0.95
    }


def write_samples(folder: Path, experiment: str, sizes: list[int] = SIZES) -> list[Path]:
    paths = []
    for size in sizes:
        path = folder / "samples" / experiment / f"N{size}.csv"
        spec = {
            "first": network(experiment, size, "S1"),
            "second": network(experiment, size, "S2"),
            "sampling": sampling(),
        }
        write_table(path, sample_rows(size, UPDATES[-1]), provenance(spec))
        paths.append(path)
    return paths


def write_updates(folder: Path, experiment: str, sizes: list[int] = SIZES) -> Path:
    parts = [
        sample_rows(size, update).assign(set_size=size, update=update)
        for size in sizes
        for update in UPDATES
    ]
    path = folder / "samples" / experiment / "updates.csv"
    spec = {"ensemble": ensemble(experiment, sizes, 2), "sampling": sampling()}
    write_table(path, pd.concat(parts), provenance(spec))
    return path


def write_density(folder: Path, experiments: dict[str, tuple[list[int], int]]) -> Path:
    """Integrals of what :func:`write_ensembles` writes, by the trapezoidal rule."""
    rows = []
    inner = np.array(SIGMAS[:0:-1])
    for experiment, (sizes, networks) in experiments.items():
        pixels = PIXELS[experiment]
        for size in sizes:
            measured = errors(experiment, size, UPDATES[-1], inner)
            parts = {
                name: float(np.trapezoid(pixels * measured[part] / inner**2, np.log(inner)))
                for name, part in (
                    ("kl", "excess"),
                    ("kl_variance", "variance"),
                    ("kl_bias", "bias"),
                )
            }
            outer = np.array([1.0, 2.0])
            beyond = pixels * errors(experiment, size, UPDATES[-1], outer)["excess"] / outer**2
            rows.append(
                {
                    "experiment": experiment,
                    "image_class": experiment,
                    "set_size": size,
                    "networks": networks,
                    "images": 128,
                    "pixels": pixels,
                    "sigma_low": 0.02,
                    "sigma_high": 1.0,
                    "kl_quadrature": 0.02 * parts["kl"],
                    "kl_between": 0.1 * parts["kl"],
                    "bits_per_pixel": parts["kl"] / pixels / np.log(2),
                    "kl_outside": float(np.trapezoid(3 * beyond, np.log(outer))),
                    "kl_outside_se": 0.3,
                    "outside_low": 1.0,
                    "outside_high": 2.0,
                    "start": 6.4,
                    "bound": 0.0,
                    "exponent_low": 1.0,
                    "per_efold_low": float(pixels * measured["excess"][0] / inner[0] ** 2),
                }
                | parts
                | {f"{name}_se": 0.05 * abs(value) for name, value in parts.items()}
            )
    path = folder / "evaluation" / "density.csv"
    write_table(path, pd.DataFrame(rows), provenance({}))
    return path


SPECS: dict[str, dict[str, Any]] = {
    "memorisation": {
        "title": "What networks share",
        "experiments": ["disks-small", "gaussian-small", "alpha2"],
        "sigmas": [0.1, 1.0],
    },
    "onset": {"title": "When memorisation sets in", "experiment": "disks-small", "sigma": 0.1},
    "density": {
        "title": "How far densities may be",
        "experiments": ["disks-small", "gaussian-small", "rays-small", "sines-small"],
    },
    "outputs": {
        "title": "What two networks make",
        "experiment": "disks-small",
        "measure": "correlation",
    },
}
FEW = [64, 1024]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Tables of all figures together: each must leave aside those of the others."""
    folder = tmp_path_factory.mktemp("results")
    return [
        write_ensembles(folder, "disks-small", updates=UPDATES),
        write_ensembles(folder, "gaussian-small"),
        write_ensembles(folder, "alpha2", CALPHA_SIZES, 2),
        write_ensembles(folder, "rays-small", FEW, 2),
        write_ensembles(folder, "sines-small", FEW, 2),
        *write_samples(folder, "disks-small"),
        *write_samples(folder, "gaussian-small"),
        *write_samples(folder, "alpha2", CALPHA_SIZES),
        write_updates(folder, "disks-small"),
        write_density(
            folder,
            {
                "disks-small": (SIZES, 4),
                "gaussian-small": (SIZES, 4),
                "rays-small": (FEW, 2),
                "sines-small": (FEW, 2),
            },
        ),
    ]


def changed(path: Path, folder: Path, change: Any) -> Path:
    """A copy of a table with other rows."""
    sidecar = json.loads(path.with_suffix(".json").read_text())
    target = folder / path.parent.name / path.name
    write_table(target, change(pd.read_csv(path)), provenance(sidecar["spec"]))
    return target


def figure_of(name: str, spec: dict[str, Any]) -> Figure:
    figure: Figure = model(FIGURES, name).model_validate(spec)
    return figure


def draw(name: str, inputs: list[Path], spec: dict[str, Any]) -> Any:
    figure = figure_of(name, spec)
    with figure_style():
        return figure.draw(figure.measure(inputs))


def caption_of(name: str, inputs: list[Path], spec: dict[str, Any]) -> str:
    figure = figure_of(name, spec)
    return rendered(name, figure, figure.measure(inputs))


def points_of(axes: Any) -> list[np.ndarray]:
    """Finite points of every line of a panel."""
    return [line[np.isfinite(line).all(axis=1)] for line in lines_of(axes)]


def drawn(axes: Any, expected: np.ndarray) -> bool:
    return any(
        line.shape == expected.shape and np.allclose(line, expected, rtol=1e-9, atol=0)
        for line in points_of(axes)
    )


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
    check_text(draw(name, inputs, SPECS[name]))


def test_text_is_readable_for_small_experiments(
    few: tuple[list[Path], dict[str, dict[str, Any]]],
) -> None:
    inputs, specs = few
    for name, spec in specs.items():
        one = {"experiments": ["disks-small"]} if "experiments" in spec else {}
        check_text(draw(name, inputs, spec | one))


# ---------------------------------------------------------------------------------------------
# What is drawn is what the tables say


def test_memorisation_draws_the_tables(inputs: list[Path]) -> None:
    figure = draw("memorisation", inputs, SPECS["memorisation"])
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
            assert drawn(share, shares[np.isfinite(shares[:, 1])])
        assert drawn(share, np.array(found["copied"]))
        for name in ("pair", "own", "other"):
            assert drawn(similarity, np.array(found[name])), (experiment, name)
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
                    assert len(expected) == 0 or drawn(panel, expected), (experiment, column)


def test_a_bias_below_zero_is_an_upper_bound(inputs: list[Path], tmp_path: Path) -> None:
    def below_zero(table: pd.DataFrame) -> pd.DataFrame:
        here = (table["set_size"] == 1024) & (table["sigma"] == 0.1)
        table.loc[here, ["bias", "bias_se"]] = [-1e-5, 2e-5]
        return table

    table = changed(inputs[1], tmp_path, below_zero)
    spec = SPECS["memorisation"] | {"experiments": ["gaussian-small"]}
    figure = draw("memorisation", [table, *inputs[5:]], spec)
    panel = figure.axes[2]
    (triangle,) = (
        line.get_xydata()
        for line in panel.get_lines()
        if line.get_marker() == "v" and len(line.get_xydata())
    )
    np.testing.assert_allclose(triangle, [[1024, 3e-5 / 0.1**2]])
    assert not any((line[:, 1] < 0).any() for line in points_of(panel))
    caption = caption_of("memorisation", [table, *inputs[5:]], spec)
    assert "-0.0010 +/- 0.0020" in caption


def test_onset_draws_the_tables(inputs: list[Path]) -> None:
    figure = draw("onset", inputs, SPECS["onset"])
    share, similarity, times, variance, bias, distance = figure.axes[:6]
    updates = pd.read_csv(next(p for p in inputs if p.name == "updates.csv"))
    ensembles = pd.read_csv(inputs[0]).query("sigma == 0.1")
    for size in SIZES:
        rows = updates[updates["set_size"] == size]
        own = rows[
            (rows["measure"] == "correlation_ratio") & (rows["network"] == rows["training_set"])
        ]
        mean = own.groupby("update")["mean"].mean()
        assert drawn(share, np.column_stack([mean.index, mean]))
        pair = rows[(rows["quantity"] == "pair_similarity") & (rows["measure"] == "correlation")]
        assert drawn(similarity, pair[["update", "mean"]].to_numpy())
        level = ensembles[ensembles["set_size"] == size]
        for axes, column in (
            (variance, "variance"),
            (bias, "bias"),
            (distance, "own_empirical_distance"),
        ):
            assert drawn(axes, np.column_stack([level["update"], level[column] / 0.01]))
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
    figure = draw("onset", found, spec)
    titles = [axes.get_title() for axes in figure.axes]
    assert "squared bias" not in titles
    assert "to empirical optimum, test" in titles
    caption = caption_of("onset", found, spec)
    assert "there is no exact denoiser" in caption
    assert re.search(r"^ *1 +undefined +n/a", caption, re.M)


def test_an_onset_is_where_half_is_memorised() -> None:
    x = np.array([10.0, 100.0, 1000.0])

    def of(*share: float) -> Any:
        value = np.array(share)
        return onset(8, Points(x, value, value, value))

    between = of(0.0, 0.25, 0.75)
    assert between.found
    assert between.update == pytest.approx(100 * 10**0.5)
    assert (between.before, between.after) == (100, 1000)
    assert of(0.4, 0.6, 0.1).update == pytest.approx(10 * 10**0.5)  # the first of several
    exactly = of(0.0, 0.5, 1.0)
    assert exactly.update == pytest.approx(100)
    never, at_once = of(0.0, 0.1, 0.49), of(0.9, 1.0, 1.0)
    assert not never.found
    assert np.isnan(never.update)
    assert never.before == 1000
    assert not at_once.found
    assert at_once.update == at_once.after == 10


@pytest.mark.parametrize("power", [1.0, 0.4])
def test_growth_of_onsets_is_the_exponent_of_a_power_law(power: float) -> None:
    found = []
    for size in (16, 64, 256):
        x = np.geomspace(10, 1e4, 40)
        value = 1 / (1 + (7 * size**power / x) ** 3)
        found.append(onset(size, Points(x, value, value, value)))
    assert growth(found) == pytest.approx(power, abs=0.01)
    never = onset(1024, Points(x, 0 * x, 0 * x, 0 * x))
    assert growth([*found, never]) == growth(found)
    assert np.isnan(growth([*found[:2], never]))


def test_outputs_draws_the_tables(inputs: list[Path]) -> None:
    figure = draw("outputs", inputs, SPECS["outputs"])
    (table,) = (
        pd.read_csv(path)
        for path in inputs
        if path.parent.name == "disks-small" and path.name == "ensembles.csv"
    )
    last = table[table["update"] == UPDATES[-1]].sort_values("sigma")
    for axes, column in zip(figure.axes[:2], ("correlation", "closest_correlation"), strict=True):
        for size in SIZES:
            rows = last[last["set_size"] == size]
            assert drawn(axes, rows[["sigma", column]].to_numpy()), (size, column)


def test_density_draws_the_tables(inputs: list[Path]) -> None:
    figure = draw("density", inputs, SPECS["density"])
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
            assert drawn(above[place], expected), (experiment, size)
            # the area over ln sigma of what is drawn is the bound
            inside = expected[expected[:, 0] <= 1.0]
            area = np.trapezoid(inside[:, 1], np.log(inside[:, 0]))
            kl = bounds[bounds["set_size"] == size]["kl"].iloc[0]
            assert area == pytest.approx(kl)
        for column in ("excess", "variance", "bias"):  # of the largest N
            assert drawn(middle[place], np.column_stack([rows["sigma"], rows[column] * scale]))
        for column in ("kl", "kl_variance", "kl_bias", "kl_outside", "start"):
            assert drawn(below[place], bounds[["set_size", column]].to_numpy())
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
    figure = draw("density", [ensembles, density], spec)
    check_text(figure)
    assert not figure.axes[0].patches
    assert len([line for line in points_of(figure.axes[1]) if len(line) > 2]) == 1
    caption = caption_of("density", [ensembles, density], spec)
    assert "Shaded" not in caption
    assert "n/a" in caption


# ---------------------------------------------------------------------------------------------
# Captions


@pytest.mark.parametrize("name", SPECS)
def test_captions_are_plain_restructuredtext(name: str, inputs: list[Path]) -> None:
    core = pytest.importorskip("docutils.core")
    title = "odd |title| with *stars*, `ticks`, under_ {{ braces }} {% %} {# #}"
    caption = caption_of(name, inputs, SPECS[name] | {"title": title})
    rendered = pytest.importorskip("jinja2").Template(caption).render()  # as snakemake does
    document = core.publish_doctree(rendered, settings_overrides={"report_level": 5})
    from docutils import nodes

    assert not list(document.findall(nodes.system_message))
    assert title in document.astext()
    for expected in (
        "updates 1234",
        "16 channels",
        "noise law log_uniform",
        "N = 4 of S1, N = 4 of S2",
    ):
        assert expected in document.astext(), expected


def test_captions_print_measured_numbers(inputs: list[Path]) -> None:
    memorisation = caption_of("memorisation", inputs, SPECS["memorisation"])
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
    text = caption_of("onset", inputs, SPECS["onset"])
    assert re.search(r"^ *4 +by 25 +up to 25 ", text, re.M)
    assert re.search(r"^ *64 +287 +200 and 336 ", text, re.M)
    assert re.search(r"^4096 +never +after 1600 ", text, re.M)
    assert "to the 3 onsets found grows as N to the power 1.0" in text
    density = caption_of("density", inputs, SPECS["density"])
    row = pd.read_csv(inputs[-1]).iloc[3]
    cell = with_error(row["kl"], row["kl_se"], row["kl_quadrature"], row["kl_between"])
    assert re.search(rf"disks-small +256 +{re.escape(cell)} +{row['bits_per_pixel']:.3g} ", density)
    assert with_error(row["kl_outside"], row["kl_outside_se"]) in density
    assert "a near 0, are about the sigma low chosen" in density


def test_fewer_than_three_onsets_do_not_grow(inputs: list[Path], tmp_path: Path) -> None:
    updates = next(p for p in inputs if p.name == "updates.csv")
    few = changed(updates, tmp_path, lambda table: table[table["set_size"].isin([64, 4096])])
    text = caption_of("onset", [inputs[0], few], SPECS["onset"])
    assert "Onsets found between two measured updates: 1;" in text
    assert "to the power" not in text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.0123, 0.0005), "0.01230 +/- 0.00050"),
        ((121.4, 6.1, 2.4, 12.1), "121.4 +/- 6.1 +/- 2.4 +/- 12.1"),
        ((5610.0, 280.0, np.nan), "5610 +/- 280 +/- n/a"),
        ((-0.001, 0.002), "-0.0010 +/- 0.0020"),
        ((0.0, 0.0), "0.0 +/- 0.0"),
        ((2e-7, 1e-8), "2.00e-07 +/- 1e-08"),
        ((np.nan, 0.1), "n/a"),
    ],
)
def test_numbers_have_the_digits_of_their_errors(numbers: tuple[float, ...], text: str) -> None:
    assert with_error(*numbers) == text


def test_wilson_intervals_solve_their_equation() -> None:
    share, count = np.array([0.0, 0.1, 0.5, 1.0]), np.array([64, 10, 7, 64])
    low, high = wilson(share, count)
    for end in (low, high):  # one standard deviation, of the end itself, from the share
        np.testing.assert_allclose((share - end) ** 2, end * (1 - end) / count, atol=1e-15)
    assert (low <= share).all()
    assert (share <= high).all()
    assert low[0] == pytest.approx(0)
    assert high[0] == pytest.approx(1 / 65)


# ---------------------------------------------------------------------------------------------
# Wrong inputs


def test_kinds_of_tables_are_told_apart(inputs: list[Path]) -> None:
    kinds = {table.path.name: table.kind for table in read_tables(inputs)}
    assert kinds["ensembles.csv"] == "ensembles"
    assert kinds["density.csv"] == "density"
    assert kinds["updates.csv"] == "samples_over_training"
    assert kinds["N4.csv"] == "samples"


def test_what_is_missing_is_named(inputs: list[Path], tmp_path: Path) -> None:
    memorisation, onset_, density, _ = (partial(draw, name) for name in SPECS)
    with pytest.raises(ArtifactError, match="exactly one table of ensembles of disks-small"):
        memorisation(inputs[1:], SPECS["memorisation"])
    lost = [p for p in inputs if (p.parent.name, p.name) != ("disks-small", "N64.csv")]
    with pytest.raises(ArtifactError, match=r"disks-small at N = 4, 16, 64, .* N = 4, 16, 256"):
        memorisation(lost, SPECS["memorisation"])
    with pytest.raises(ArtifactError, match=r"ensembles\.csv has no row with sigma = 0\.3; it has"):
        memorisation(inputs, SPECS["memorisation"] | {"sigmas": [0.1, 0.3]})
    with pytest.raises(ArtifactError, match="one table of samples over training of rays-small"):
        onset_(inputs, SPECS["onset"] | {"experiment": "rays-small"})
    late = changed(inputs[0], tmp_path, lambda table: table[table["update"] == UPDATES[-1]])
    with pytest.raises(ArtifactError, match=r"at least two updates above 0 for N = 4; .* \[1600\]"):
        onset_([late, *inputs[5:]], SPECS["onset"])
    with pytest.raises(ArtifactError, match="exactly one table of density"):
        density(inputs[:-1], SPECS["density"])
    few = changed(inputs[-1], tmp_path, lambda table: table[table["set_size"] > 4])
    with pytest.raises(ArtifactError, match=r"bounds disks-small at N = 16, .* has N = 4, 16"):
        density([*inputs[:-1], few], SPECS["density"])
    with pytest.raises(ArtifactError, match=r"density\.csv has no row with experiment = 'alpha2'"):
        density(inputs, SPECS["density"] | {"experiments": ["alpha2"]})


def test_rows_that_are_not_one_of_each_are_refused(inputs: list[Path], tmp_path: Path) -> None:
    twice = changed(inputs[0], tmp_path, lambda table: pd.concat([table, table]))
    for name in SPECS:
        with pytest.raises(ArtifactError, match="several rows for one N"):
            draw(name, [twice, *inputs[1:]], SPECS[name])
    half = changed(inputs[5], tmp_path, lambda table: table[table["network"] != "S2"])
    with pytest.raises(ArtifactError, match=r"1 rows of memorised .*own training set.* expected 2"):
        draw("memorisation", [*inputs[:5], half, *inputs[6:]], SPECS["memorisation"])


@pytest.mark.parametrize("name", SPECS)
def test_every_option_is_needed_and_no_other_is_known(name: str) -> None:
    for option in SPECS[name]:
        spec = {key: value for key, value in SPECS[name].items() if key != option}
        with pytest.raises(ValidationError, match=rf"{option}\n +Field required"):
            figure_of(name, spec)
    with pytest.raises(ValidationError, match="unknown are 'colour'"):
        figure_of(name, SPECS[name] | {"colour": "red"})


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("memorisation", "sigmas", [0.1]),
        ("memorisation", "sigmas", [0.1, 0.1]),
        ("memorisation", "sigmas", [0.1, -1]),
        ("memorisation", "sigmas", [0.1, 0]),
        ("memorisation", "sigmas", 0.1),
        ("memorisation", "experiments", []),
        ("onset", "sigma", 0),
        ("onset", "experiment", 1),
        ("density", "experiments", ["a", "b", "c", "d", "e"]),
        ("outputs", "measure", "distance"),
    ],
)
def test_wrong_options_are_named(name: str, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        figure_of(name, SPECS[name] | {option: value})


# ---------------------------------------------------------------------------------------------
# params.yaml


@pytest.fixture
def asked(params: dict[str, Any]) -> dict[str, Any]:
    """A params.yaml in which all that the three figures need is listed."""
    common = {"architecture": "small", "set_sizes": [1, 4], "splits": ["S1", "S2"]}
    size = {"size": 8, "images": 40, "test_images": 8, "seed": 0}
    params["image_classes"]["round"] = size | {
        "class": "disks",
        "rendering": "antialiased",
        "parameters": "continuous",
    }
    params["image_classes"]["mixed"] = {"class": "shuffled", "of": "round", "permutation_seed": 0}
    params["experiments"]["round"] = common | {
        "image_class": "round",
        "snapshots": {"first": 25, "count": 3},
    }
    params["experiments"]["mixed"] = common | {"image_class": "mixed"}
    params["sampling"]["experiments"] = ["soft", "round"]
    params["ensembles"] = {
        "seed": 0,
        "experiments": ["soft", "round", "mixed"],
        "sigmas": [0.1, 0.3, 0.9],
        "sigmas_over_training": [0.1],
        "images": 8,
        "threads": 1,
    }
    params["figures"] = {
        "memorisation": {"title": "M", "experiments": ["soft", "round"], "sigmas": [0.1, 0.3]},
        "onset": {"title": "O", "experiment": "round", "sigma": 0.1},
        "density": {"title": "D", "experiments": ["round", "mixed"]},
    }
    return params


def test_figures_are_drawn_from_these_files(asked: dict[str, Any]) -> None:
    assert not list(inconsistencies(asked))
    ensembles = "results/evaluation/{}/ensembles.csv".format
    assert figure_files(asked, "memorisation") == [
        *(ensembles("soft"), ensembles("round")),
        *(f"results/samples/soft/N{size}.csv" for size in (1, 4, 16)),
        *(f"results/samples/round/N{size}.csv" for size in (1, 4)),
    ]
    assert figure_files(asked, "onset") == [
        *(ensembles("round"), "results/samples/round/updates.csv"),
    ]
    assert figure_files(asked, "density") == [
        *("results/evaluation/density.csv", ensembles("round"), ensembles("mixed")),
    ]


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            lambda params: params["ensembles"]["experiments"].remove("round"),
            [
                f"figures.{name}: needs the ensembles of round, which ensembles.experiments does not"
                for name in ("memorisation", "onset", "density")
            ],
        ),
        (
            lambda params: params["sampling"]["experiments"].remove("round"),
            [
                f"figures.{name}: needs the samples of round, which sampling.experiments does not"
                for name in ("memorisation", "onset")
            ],
        ),
        (
            lambda params: params["experiments"]["round"].pop("snapshots"),
            [
                "figures.onset: needs networks of round during training; allowed is an experiment with"
            ],
        ),
        (
            lambda params: params["ensembles"].update(
                sigmas=[0.3, 0.5, 0.9], sigmas_over_training=[0.3]
            ),
            [
                "figures.memorisation.sigmas.0: found 0.1, allowed is one of 0.3, 0.5, 0.9",
                "figures.onset.sigma: found 0.1, allowed is one of 0.3",
            ],
        ),
        (
            lambda params: params["figures"]["density"].update(experiments=["round", "soft"]),
            ["figures.density: found soft, whose images are calpha; allowed are images of class"],
        ),
        (
            lambda params: params["figures"]["onset"].update(experiment="none"),
            ['figures.onset: experiment: found "none", allowed is one of soft'],
        ),
    ],
)
def test_what_params_do_not_list_is_named(
    asked: dict[str, Any], change: Any, messages: list[str]
) -> None:
    change(asked)
    found = list(inconsistencies(asked))
    assert len(found) == len(messages), found
    for message, expected in zip(found, messages, strict=True):
        assert message.startswith(expected), message
