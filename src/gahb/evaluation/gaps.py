"""How far each network is from the exact and classical denoisers of its image class, in dB.

"Near-optimal" is measured here: on the same noisy images, the PSNR of a reference less that of the
network. Against the conditional mean the gap is the price of the network's bias and of its training;
against a known contour, a bound under the Gaussian surrogate, it is at most what remains to be gained, up
to the size of that surrogate's error (:mod:`gahb.denoisers.exact.known_contour`); against an upper bound a
negative gap says by how much the network does better. Gap and standard error come from paired draws; what
other trainings would change is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gahb.artifacts import Spec, provenance, write_table
from gahb.denoisers.reference import theoretical_slope
from gahb.evaluation.draws import digests, paired_errors, read_measured, spec_of
from gahb.evaluation.psnr import DB, input_psnr, psnr_of_mean_mse
from gahb.evaluation.summary import linear_statistic, window_weights
from gahb.evaluation.trainings import between_trainings, made
from gahb.means import standard_error

Float64 = NDArray[np.float64]


def summarise_references(spec: Spec, references: list[Path], output: Path | str) -> None:
    """Write the fitted slope of each reference denoiser, one row per image class and reference.

    Args:
        spec: ``{"slope_window": [low, high]}``, in sigma.
        references: tables of :func:`gahb.evaluation.of_reference.evaluate_reference`.
        output: table to write, ``.csv``.
    """
    low, high = spec["slope_window"]
    rows = []
    for path in references:
        made_from, draws = read_measured(path, "reference")
        weights = window_weights(np.array(made_from["evaluation"]["sigmas"]), (low, high))
        slope, slope_se = linear_statistic(draws["test"]["mse"], weights, draws["test"]["image"])
        rows.append(
            {
                "image_class": made_from["image_class"],
                "reference": made_from["reference"]["name"],
                "alpha": made_from["dataset"].get("alpha"),
                "images": len(draws["test"]["image"]),
                "slope": slope,
                "slope_se": slope_se,
                "sigma_low": low,
                "sigma_high": high,
                "theoretical_slope": theoretical_slope(
                    made_from["reference"], made_from["dataset"]
                ),
            }
        )
    write_table(output, pd.DataFrame(rows), provenance(spec, digests(references)))


def measure_gaps(tables: list[Path], references: list[Path], output: Path | str) -> None:
    """Write one row per network, reference of its image class, and noise level.

    ``reference_gap_se`` is over images; ``reference_gap_between`` is that of one training
    (:mod:`gahb.evaluation.trainings`).

    Args:
        tables: evaluation tables of networks.
        references: tables of :func:`gahb.evaluation.of_reference.evaluate_reference`.
        output: table to write, ``.csv``.
    """
    of_class: dict[str, list[Path]] = {}
    for path in references:
        of_class.setdefault(spec_of(path, "reference")["image_class"], []).append(path)
    rows: list[dict[str, Any]] = []
    for path in tables:
        for reference in of_class.get(spec_of(path, "network")["network"]["image_class"], []):
            rows += _gaps(path, reference)
    found = pd.DataFrame(rows)
    if rows:
        alike = ("image_class", "made", "reference", "sigma")
        between = between_trainings(found, "reference_gap", alike)
        found["reference_gap_between"] = between["error"]
        found = found.drop(columns="made")
    write_table(output, found, provenance({}, digests([*tables, *references])))


def _gaps(table: Path, reference: Path) -> Iterator[dict[str, Any]]:
    learned, exact, of_reference = paired_errors(table, reference)
    network = spec_of(table, "network")["network"]
    first, second = learned["mse"], exact["mse"]
    learned_psnr, exact_psnr = psnr_of_mean_mse(first)[0], psnr_of_mean_mse(second)[0]
    influences = first / first.mean(1, keepdims=True) - second / second.mean(1, keepdims=True)
    errors = DB * standard_error(influences)
    for level, sigma in enumerate(of_reference["evaluation"]["sigmas"]):
        yield {
            "experiment": network["experiment"],
            "image_class": network["image_class"],
            "set_size": network["set_size"],
            "split": network["split"],
            "reference": of_reference["reference"]["name"],
            "sigma": sigma,
            "input_psnr": input_psnr(sigma),
            "images": len(learned["image"]),
            "network_psnr": learned_psnr[level],
            "reference_psnr": exact_psnr[level],
            "reference_gap": exact_psnr[level] - learned_psnr[level],
            "reference_gap_se": errors[level],
            "made": made(network),
        }
