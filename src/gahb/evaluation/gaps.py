"""How far each network is from the exact and classical denoisers of its image class, in dB.

"Near-optimal" is measured here: on the same noisy images, the PSNR of a reference less that of the
network. Against the conditional mean the gap is the price of the network's bias and of its training;
against a known contour, a bound under the Gaussian surrogate, it is at most what remains to be gained, up
to the size of that surrogate's error (:mod:`gahb.denoisers.exact.known_contour`); against an upper bound a
negative gap says by how much the network does better. Gap and standard error come from paired draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gahb.artifacts import ArtifactError, Spec, provenance, write_table
from gahb.denoisers.reference import theoretical_slope
from gahb.evaluation.draws import digests, read_measured, spec_of
from gahb.evaluation.psnr import DB, input_psnr, psnr_of_mean_mse
from gahb.evaluation.summary import linear_statistic, slope_weights
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
        sigmas = np.array(made_from["evaluation"]["sigmas"])
        inside = (sigmas >= low) & (sigmas <= high)
        weights = np.zeros(len(sigmas))
        weights[inside] = slope_weights(-20 * np.log10(sigmas[inside]))
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
    write_table(output, pd.DataFrame(rows), provenance({}, digests([*tables, *references])))


def _gaps(table: Path, reference: Path) -> Iterator[dict[str, Any]]:
    of_network, learned_draws = read_measured(table, "network")
    of_reference, exact_draws = read_measured(reference, "reference")
    network = of_network["network"]
    learned, learned_images = learned_draws["test"]["mse"], learned_draws["test"]["image"]
    exact, exact_images = exact_draws["test"]["mse"], exact_draws["test"]["image"]
    if network["dataset"] != of_reference["dataset"]:
        raise ArtifactError(f"{table} and {reference} were measured on different datasets")
    for key in ("sigmas", "seed"):
        asked, other = of_network["evaluation"][key], of_reference["evaluation"][key]
        if asked != other:
            raise ArtifactError(
                f"{table} and {reference} were not measured on the same draws: {key} {asked} and {other}"
            )
    count = min(len(learned_images), len(exact_images))
    if not np.array_equal(learned_images[:count], exact_images[:count]):
        raise ArtifactError(f"{table} and {reference} were not measured on the same images")
    learned, exact = learned[:, :count], exact[:, :count]
    learned_psnr, exact_psnr = psnr_of_mean_mse(learned)[0], psnr_of_mean_mse(exact)[0]
    influences = learned / learned.mean(1, keepdims=True) - exact / exact.mean(1, keepdims=True)
    errors = DB * standard_error(influences)
    for level, sigma in enumerate(of_network["evaluation"]["sigmas"]):
        yield {
            "experiment": network["experiment"],
            "image_class": network["image_class"],
            "set_size": network["set_size"],
            "split": network["split"],
            "reference": of_reference["reference"]["name"],
            "sigma": sigma,
            "input_psnr": input_psnr(sigma),
            "images": count,
            "network_psnr": learned_psnr[level],
            "reference_psnr": exact_psnr[level],
            "reference_gap": exact_psnr[level] - learned_psnr[level],
            "reference_gap_se": errors[level],
        }
