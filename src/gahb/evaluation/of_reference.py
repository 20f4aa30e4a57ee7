"""An exact or classical denoiser against noise level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gahb.artifacts import Spec, provenance
from gahb.datasets.store import Dataset
from gahb.denoisers.reference import ErrorBound, build_reference
from gahb.evaluation.draws import write_measured
from gahb.evaluation.evaluate import psnr_table, with_images
from gahb.evaluation.measure import noisy_set, squared_errors


def evaluate_reference(spec: Spec, dataset: Dataset, output: Path | str) -> None:
    """Measure an exact or classical denoiser on test images, on the draws that networks get."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    reference, measured = spec["reference"], spec["evaluation"]
    noisy = noisy_set(dataset, dataset.indices["test"], reference["images"], minimum_draws=1)
    built = build_reference(reference, spec["dataset"], dataset)
    if isinstance(built, ErrorBound):
        errors = {"test": built(noisy.indices, measured["sigmas"])}
    else:
        errors = {"test": squared_errors(built, noisy, measured["sigmas"], measured["seed"])}
    sets = {"test": noisy}
    table = psnr_table(reference["name"], errors, sets, measured["sigmas"])
    stated = getattr(built, "stated", None)
    if stated is not None:
        table = _with_quadrature(table, [stated[sigma] for sigma in measured["sigmas"]], dataset)
    made_from = provenance(spec, {"dataset": dataset.images_sha256})
    write_measured(output, table, with_images(errors, sets), made_from)


def _with_quadrature(
    table: pd.DataFrame, stated: list[tuple[float, int]], dataset: Dataset
) -> pd.DataFrame:
    """Add what a denoiser that integrates numerically says of its own errors at each noise level.

    ``quadrature_error`` is the largest error of a mean that it stated, as a mean square over pixels;
    ``unresolved`` is of how many draws it stopped refining before its tolerance was reached.
    """
    errors, unresolved = zip(*stated, strict=True)
    for sigma, error, count in zip(table["sigma"], errors, unresolved, strict=True):
        if count:
            print(
                f"sigma {sigma:g}: on {count} draws the quadrature stopped at its limit of cells, before "
                f"its tolerance; the largest error that it states is {error:.2g}, summed over pixels"
            )
    pixels = dataset.spec["size"] ** 2
    return table.assign(quadrature_error=np.array(errors) / pixels, unresolved=unresolved)
