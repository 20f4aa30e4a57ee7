"""The one table that sums up a run: train-test gap, agreement of the splits, and slopes.

A standard error of an average over noise levels, or of a slope across them, has to account for the
same images being measured at all levels. Each is therefore computed from per-image influences: the
first-order change of the statistic when one draw's weight changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gahb.artifacts import Spec, provenance, read_sidecar, read_table, write_table
from gahb.denoisers.reference import drawn_slope
from gahb.evaluation.draws import Draws, digests, paired_errors, read_measured, spec_of
from gahb.evaluation.psnr import DB, psnr_of_mean_mse
from gahb.evaluation.trainings import between_trainings, made
from gahb.means import standard_error

Float64 = NDArray[np.float64]


def linear_statistic(
    errors: Float64, weights: Float64, images: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """A weighted sum over noise levels of PSNR of mean MSE, and its standard error over draws.

    Args:
        errors: (levels, draws) mean squared errors; draws share their image across levels.
        weights: (levels,), one over their number for an average.
        images: (draws,), see :func:`gahb.means.standard_error`.
    """
    value = float(weights @ psnr_of_mean_mse(errors)[0])
    influences = -DB * weights @ (errors / errors.mean(axis=1, keepdims=True) - 1)
    return value, float(standard_error(influences, images))


def slope_weights(input_psnrs: Float64) -> Float64:
    """The weights with which a least-squares slope sums its ordinates."""
    centred = input_psnrs - input_psnrs.mean()
    return np.asarray(centred / (centred @ centred))


def summarise(
    spec: Spec,
    tables: list[Path],
    comparisons: list[Path],
    references: list[Path],
    output: Path | str,
) -> None:
    """Write one row per network; in the sidecar, in the same order, what trained them.

    Errors that end in ``_se`` are over images; ``gap_between`` and ``slope_between`` are those of one
    training, pooled over ``pooled_cells`` cells (:mod:`gahb.evaluation.trainings`); ``trainings`` is how
    many the row's own cell has. ``oracle_slope`` is the slope, on the same images, of the denoiser that is
    exact or knows the contour, and ``slope_above_oracle`` the network's slope there less that.

    Args:
        spec: ``{"slope_window": [low, high]}``, in sigma.
        tables: evaluation tables of networks.
        comparisons: tables of :func:`gahb.evaluation.agreement.compare_networks`: of two disjoint training
            sets, or of two trainings on the same set (``agreement_same_set``).
        references: tables of :func:`gahb.evaluation.of_reference.evaluate_reference`.
        output: summary table, ``.csv``.
    """
    agreement: dict[tuple[str, int], tuple[float, float]] = {}
    same_set: dict[tuple[str, int], tuple[float, float]] = {}
    for path in comparisons:
        made_from, draws = read_measured(path, "first")
        first, second = made_from["first"], made_from["second"]
        found = same_set if first["split"] == second["split"] else agreement
        found[first["experiment"], first["set_size"]] = _average(draws["test"])
    oracles: dict[str, Path] = {}
    for path in references:
        made_from = spec_of(path, "reference")
        if made_from["reference"]["denoiser"] in _ORACLES:
            oracles.setdefault(made_from["image_class"], path)
    rows = []
    for path in tables:
        network = spec_of(path, "network")["network"]
        cell = network["experiment"], network["set_size"]
        compared = {"agreement": agreement.get(cell), "agreement_same_set": same_set.get(cell)}
        row = _row(path, spec["slope_window"])
        for name, pair in compared.items():
            row[name], row[f"{name}_se"] = pair or (np.nan, np.nan)
        oracle = oracles.get(network["image_class"])
        nothing = dict.fromkeys(_OF_ORACLE, np.nan)
        beside = nothing if oracle is None else _beside_oracle(path, oracle, row)
        rows.append(row | beside | {"made": made(network)})
    summary = pd.DataFrame(rows)
    for name in ("gap", "slope"):
        between = between_trainings(summary, name, ("image_class", "made"))
        summary[f"{name}_between"] = between["error"]
    summary["trainings"], summary["pooled_cells"] = between["trainings"], between["cells"]
    made_from = provenance(spec, digests([*tables, *comparisons, *references]))
    made_from["trained_by"] = [read_sidecar(path).get("trained_by", {}) for path in tables]
    write_table(output, summary.drop(columns="made"), made_from)


_ORACLES = ("exact", "known_contour")  # denoisers that an optimum is compared by
_OF_ORACLE = ("oracle_slope", "slope_above_oracle", "slope_above_oracle_se")


def _average(draws: Draws) -> tuple[float, float]:
    """PSNR of mean MSE of one set, averaged over noise levels."""
    levels = len(draws["mse"])
    return linear_statistic(draws["mse"], np.full(levels, 1 / levels), draws["image"])


def window_weights(sigmas: Float64, window: Sequence[float]) -> Float64:
    """The weights with which a slope over a window of noise levels sums PSNR at all of them."""
    inside = (sigmas >= window[0]) & (sigmas <= window[1])
    weights = np.zeros(len(sigmas))
    weights[inside] = slope_weights(-20 * np.log10(sigmas[inside]))
    return weights


def _row(path: Path, window: list[float]) -> dict[str, Any]:
    made_from, draws = read_measured(path, "network")
    network = made_from["network"]
    table = read_table(path)
    test = table[table.evaluated_on == "test"]
    own = table[table.evaluated_on == "own"]
    gaps = own.psnr_of_mean_mse.to_numpy() - test.psnr_of_mean_mse.to_numpy()
    own_average, own_se = _average(draws["own"])
    test_average, test_se = _average(draws["test"])
    weights = window_weights(test.sigma.to_numpy(), window)
    slope, slope_se = linear_statistic(draws["test"]["mse"], weights, draws["test"]["image"])
    return {
        "experiment": network["experiment"],
        "image_class": network["image_class"],
        "alpha": network["dataset"].get("alpha"),
        "set_size": network["set_size"],
        "split": network["split"],
        "updates": network.get("training", {}).get("updates"),  # empty for imported weights
        "gap": own_average - test_average,
        "gap_se": float(np.hypot(own_se, test_se)),
        "largest_gap": float(gaps[np.abs(gaps).argmax()]),
        "slope": slope,
        "slope_se": slope_se,
        "sigma_low": window[0],
        "sigma_high": window[1],
        "theoretical_slope": drawn_slope(network["dataset"]),
    }


def _beside_oracle(path: Path, oracle: Path, row: dict[str, Any]) -> dict[str, float]:
    """Slopes of the oracle and of the network over one window, on the images that both have."""
    learned, exact, of_reference = paired_errors(path, oracle)
    sigmas = np.array(of_reference["evaluation"]["sigmas"])
    weights = window_weights(sigmas, (row["sigma_low"], row["sigma_high"]))
    values = [float(weights @ psnr_of_mean_mse(one["mse"])[0]) for one in (exact, learned)]
    relative = [one["mse"] / one["mse"].mean(1, keepdims=True) for one in (exact, learned)]
    influences = -DB * weights @ (relative[1] - relative[0])
    error = float(standard_error(influences, learned["image"]))
    return dict(zip(_OF_ORACLE, (values[0], values[1] - values[0], error), strict=True))
