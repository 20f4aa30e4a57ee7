"""The one table that sums up a run: train-test gap, agreement of the splits, and slopes.

A standard error of an average over noise levels, or of a slope across them, has to account for the
same images being measured at all levels. Each is therefore computed from per-image influences: the
first-order change of the statistic when one draw's weight changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gahb.artifacts import Spec, provenance, read_sidecar, read_table, write_table
from gahb.evaluation.draws import Draws, digests, read_measured
from gahb.evaluation.psnr import DB, psnr_of_mean_mse
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


def summarise(spec: Spec, tables: list[Path], comparisons: list[Path], output: Path | str) -> None:
    """Write one row per network; in the sidecar, in the same order, what trained them.

    Args:
        spec: ``{"slope_window": [low, high]}``, in sigma.
        tables: evaluation tables of networks.
        comparisons: tables of :func:`gahb.evaluation.agreement.compare_networks`.
        output: summary table, ``.csv``.
    """
    agreement = {}
    for path in comparisons:
        made_from, draws = read_measured(path, "first")
        first = made_from["first"]
        agreement[first["experiment"], first["set_size"]] = _average(draws["test"])
    rows = [_row(path, spec["slope_window"], agreement) for path in tables]
    made = provenance(spec, digests([*tables, *comparisons]))
    made["trained_by"] = [read_sidecar(path).get("trained_by", {}) for path in tables]
    write_table(output, pd.DataFrame(rows), made)


def _average(draws: Draws) -> tuple[float, float]:
    """PSNR of mean MSE of one set, averaged over noise levels."""
    levels = len(draws["mse"])
    return linear_statistic(draws["mse"], np.full(levels, 1 / levels), draws["image"])


def _row(
    path: Path, window: list[float], agreement: dict[tuple[str, int], tuple[float, float]]
) -> dict[str, Any]:
    made_from, draws = read_measured(path, "network")
    network = made_from["network"]
    table = read_table(path)
    test = table[table.evaluated_on == "test"]
    own = table[table.evaluated_on == "own"]
    gaps = own.psnr_of_mean_mse.to_numpy() - test.psnr_of_mean_mse.to_numpy()
    own_average, own_se = _average(draws["own"])
    test_average, test_se = _average(draws["test"])

    inside = test.sigma.between(window[0], window[1]).to_numpy()
    weights = np.zeros(len(test))
    weights[inside] = slope_weights(test.input_psnr.to_numpy()[inside])
    slope, slope_se = linear_statistic(draws["test"]["mse"], weights, draws["test"]["image"])

    alpha = network["dataset"].get("alpha")
    between, between_se = agreement.get(
        (network["experiment"], network["set_size"]), (np.nan, np.nan)
    )
    return {
        "experiment": network["experiment"],
        "image_class": network["image_class"],
        "alpha": alpha,
        "set_size": network["set_size"],
        "split": network["split"],
        "updates": network["training"]["updates"],
        "gap": own_average - test_average,
        "gap_se": float(np.hypot(own_se, test_se)),
        "largest_gap": float(gaps[np.abs(gaps).argmax()]),
        "slope": slope,
        "slope_se": slope_se,
        "sigma_low": window[0],
        "sigma_high": window[1],
        "theoretical_slope": np.nan if alpha is None else alpha / (alpha + 1),
        "agreement": between,
        "agreement_se": between_se,
    }
