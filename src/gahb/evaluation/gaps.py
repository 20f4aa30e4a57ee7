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

from gahb.artifacts import (
    ArtifactError,
    Spec,
    digest_file,
    provenance,
    read_sidecar,
    read_table,
    write_table,
)
from gahb.denoisers.reference import theoretical_slope
from gahb.evaluation.evaluate import read_draws
from gahb.evaluation.psnr import DB, input_psnr, psnr_of_mean_mse, standard_error
from gahb.evaluation.summary import linear_statistic, slope_weights

Float64 = NDArray[np.float64]


def summarise_references(spec: Spec, references: list[Path], output: Path | str) -> None:
    """Write the fitted slope of each reference denoiser, one row per image class and reference.

    Args:
        spec: ``{"slope_window": [low, high]}``, in sigma.
        references: tables of :func:`gahb.evaluation.evaluate.evaluate_reference`.
        output: table to write, ``.csv``.
    """
    low, high = spec["slope_window"]
    rows = []
    for path in references:
        made_from, errors, images = _read(path, "reference")
        sigmas = np.array(made_from["evaluation"]["sigmas"])
        inside = (sigmas >= low) & (sigmas <= high)
        weights = np.zeros(len(sigmas))
        weights[inside] = slope_weights(-20 * np.log10(sigmas[inside]))
        slope, slope_se = linear_statistic(errors, weights, images)
        alpha = made_from["dataset"].get("alpha")
        rows.append(
            {
                "image_class": made_from["image_class"],
                "reference": made_from["reference"]["name"],
                "alpha": alpha,
                "images": len(images),
                "slope": slope,
                "slope_se": slope_se,
                "sigma_low": low,
                "sigma_high": high,
                "theoretical_slope": theoretical_slope(
                    made_from["reference"], made_from["dataset"]
                ),
            }
        )
    write_table(output, pd.DataFrame(rows), provenance(spec, _digests(references)))


def measure_gaps(tables: list[Path], references: list[Path], output: Path | str) -> None:
    """Write one row per network, reference of its image class, and noise level.

    Args:
        tables: evaluation tables of networks.
        references: tables of :func:`gahb.evaluation.evaluate.evaluate_reference`.
        output: table to write, ``.csv``.
    """
    of_class: dict[str, list[Path]] = {}
    for path in references:
        image_class = _made_from(path, "reference")["spec"]["image_class"]
        of_class.setdefault(image_class, []).append(path)
    rows: list[dict[str, Any]] = []
    for path in tables:
        network = _made_from(path, "network")["spec"]["network"]
        for reference in of_class.get(network["image_class"], []):
            rows += _gaps(path, reference)
    write_table(output, pd.DataFrame(rows), provenance({}, _digests([*tables, *references])))


def _gaps(table: Path, reference: Path) -> Iterator[dict[str, Any]]:
    of_network, learned, learned_images = _read(table, "network")
    of_reference, exact, exact_images = _read(reference, "reference")
    network = of_network["network"]
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


def _made_from(path: Path, kind: str) -> dict[str, Any]:
    """What the evaluation of a ``network`` or a ``reference`` was made from."""
    made_from = read_sidecar(path)
    if kind not in made_from["spec"]:
        raise ArtifactError(f"{path} is not the evaluation of a {kind}")
    return made_from


def _read(path: Path, kind: str) -> tuple[Spec, Float64, NDArray[np.int64]]:
    """Spec of a verified table of this kind, and errors (levels, draws) on the test images."""
    made_from = _made_from(path, kind)
    read_table(path)
    errors, images = read_draws(path, made_from)
    return made_from["spec"], errors["test"], images["test"]


def _digests(paths: list[Path]) -> dict[str, str]:
    return {path.as_posix(): digest_file(path) for path in paths}
