"""The tables a figure is drawn from: read with their provenance, checked, and chosen.

A table is recognised by its columns and placed (experiment, set size, split) by its sidecar, never
by its name or folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gahb.artifacts import ArtifactError, Spec, read_sidecar, read_table, sidecar_of

AGGREGATIONS = ("mean_psnr", "psnr_of_mean_mse")

_SIGNATURES = {  # column that tells a kind of table, the first that fits
    "psnr": "evaluated_on",
    "agreement": "psnr_between",
    "summary": "gap",
    "gaps": "reference_gap",
    "references": "reference",
    "ensembles": "own_empirical_distance",
    "density": "kl_quadrature",
    "adaptivity": "other_overlap",
    "elbo": "exact_elbo",
    "samples_over_training": "update",  # the columns of samples and these: before them
    "samples": "training_set",
}
_SAMPLES = ("quantity", "network", "training_set", "measure", "mean", "se", "count")
_COLUMNS = {
    "psnr": [
        *("denoiser", "evaluated_on", "sigma", "input_psnr", "images"),
        *(name + end for name in AGGREGATIONS for end in ("", "_se")),
    ],
    "agreement": ["sigma", "input_psnr", "images", "psnr_between", "psnr_between_se"],
    "summary": [
        *("experiment", "set_size", "split", "updates", "gap", "gap_se", "largest_gap"),
        *("slope", "slope_se", "sigma_low", "sigma_high", "theoretical_slope"),
        *("agreement", "agreement_se", "agreement_same_set", "agreement_same_set_se"),
        *("gap_between", "slope_between", "trainings", "pooled_cells"),
        *("oracle_slope", "slope_above_oracle", "slope_above_oracle_se"),
    ],
    "gaps": [
        *("experiment", "image_class", "set_size", "split", "reference", "sigma", "input_psnr"),
        *("images", "reference_gap", "reference_gap_se", "reference_gap_between"),
    ],
    "references": [
        *("image_class", "reference", "images", "slope", "slope_se", "sigma_low", "sigma_high"),
        "theoretical_slope",
    ],
    "ensembles": [
        *("set_size", "update", "sigma", "networks", "images"),
        *(
            name + end
            for name in (
                *("variance", "bias", "excess", "exact_mse"),
                *("cosine", "correlation", "closest_cosine", "closest_correlation"),
                *("empirical_distance", "own_empirical_distance"),
            )
            for end in ("", "_se")
        ),
    ],
    "density": [
        *("experiment", "image_class", "set_size", "networks", "images", "pixels"),
        *("sigma_low", "sigma_high", "kl", "kl_se", "kl_quadrature", "kl_between"),
        *("bits_per_pixel", "kl_variance", "kl_variance_se", "kl_bias", "kl_bias_se"),
        *("kl_outside", "kl_outside_se", "outside_low", "outside_high"),
        *("start", "bound", "per_efold_low", "exponent_low"),
    ],
    "adaptivity": [
        *(
            "basis",
            "filter",
            "set_size",
            "split",
            "sigma",
            "rank",
            "images",
            "pixels",
            "oracle_rank",
        ),
        *(
            name + end
            for name in ("share", "overlap", "other_overlap", "gain", "error")
            for end in ("", "_se")
        ),
    ],
    "elbo": [
        *(
            "experiment",
            "set_size",
            "split",
            "levels",
            "sigma_low",
            "sigma_high",
            "images",
            "pixels",
        ),
        *("log_likelihood", "log_likelihood_se", "elbo", "elbo_se", "loss", "loss_se"),
        *("exact_elbo", "exact_elbo_se", "exact_loss", "exact_loss_se"),
        *("steps_kl", "prior_kl", "reconstruction"),
        *("exact_steps_kl", "exact_prior_kl", "exact_reconstruction"),
    ],
    "samples_over_training": ["set_size", "update", *_SAMPLES],
    "samples": [*_SAMPLES],
}


@dataclass(frozen=True)
class Table:
    """One table: what kind it is, its rows, and the spec in its sidecar."""

    path: Path
    kind: str  # a key of _COLUMNS, or reference: the psnr table of an exact or classical denoiser
    frame: pd.DataFrame
    spec: Spec

    def value(self, key: str) -> Any:
        """``key`` of the spec, at its top or in one of its sections (``network`` ...)."""
        sections = [self.spec, *(item for item in self.spec.values() if isinstance(item, dict))]
        for section in sections:
            if key in section:
                return section[key]
        raise ArtifactError(
            f"{sidecar_of(self.path)}: its spec does not say {key!r}; it has {sorted(self.spec)}"
        )

    def where(self, **wanted: Any) -> bool:
        """Whether the spec says all of this."""
        return all(self.value(key) == value for key, value in wanted.items())


def read_tables(paths: Iterable[Path | str]) -> list[Table]:
    """Read every ``.csv`` among ``paths`` and check that it has the columns of its kind.

    Raises:
        ArtifactError: a file is missing, edited, empty, of no known kind, or lacks columns.
    """
    return [_read(Path(path)) for path in paths if Path(path).suffix == ".csv"]


def _read(path: Path) -> Table:
    frame = read_table(path)
    found = [str(name) for name in frame.columns]
    kinds = [kind for kind, column in _SIGNATURES.items() if column in found]
    if not kinds:
        raise ArtifactError(
            f"{path} is no table a figure knows: found the columns {', '.join(found)}; expected "
            + ", ".join(f"{column!r} ({kind})" for kind, column in _SIGNATURES.items())
        )
    missing = [name for name in _COLUMNS[kinds[0]] if name not in found]
    if missing:
        raise ArtifactError(
            f"{path} lacks columns of a table of kind {kinds[0]!r}: {', '.join(missing)}; "
            f"found {', '.join(found)}"
        )
    if frame.empty:
        raise ArtifactError(f"{path} has no rows")
    spec = read_sidecar(path)["spec"]
    kind = "reference" if kinds[0] == "psnr" and "reference" in spec else kinds[0]
    return Table(path, kind, frame, spec)


def choose(tables: Sequence[Table], kind: str, **wanted: Any) -> list[Table]:
    """Tables of one kind whose spec says ``wanted``, by growing set size.

    Raises:
        ArtifactError: there is none; the message lists the files given.
    """
    chosen = [table for table in tables if table.kind == kind and table.where(**wanted)]
    if not chosen:
        asked = ", ".join(f"{key} {value}" for key, value in wanted.items())
        given = "\n  ".join(f"{table.path} ({table.kind})" for table in tables) or "no table"
        raise ArtifactError(f"no {kind} table of {asked} among the inputs:\n  {given}")
    return sorted(chosen, key=lambda table: int(table.value("set_size")))


def one(tables: Sequence[Table], what: str) -> Table:
    """The only table of the list."""
    if len(tables) != 1:
        paths = ", ".join(str(table.path) for table in tables) or "none"
        raise ArtifactError(f"exactly one table of {what} is needed; found {paths}")
    return tables[0]


def the_only(tables: Sequence[Table], kind: str, what: str) -> Table:
    """The only table of its kind among the inputs."""
    return one([table for table in tables if table.kind == kind], what)


def summary_of(tables: Sequence[Table]) -> Table:
    """The one summary table among the inputs."""
    return the_only(tables, "summary", "summary (one row per network)")


def rows(table: Table, **wanted: Any) -> pd.DataFrame:
    """Rows of a table whose columns have these values, by growing σ where there is σ.

    Raises:
        ArtifactError: there is none; the message says what the column holds.
    """
    frame = table.frame
    for column, value in wanted.items():
        kept = frame[frame[column] == value]
        if kept.empty:
            raise ArtifactError(
                f"{table.path} has no row with {column} = {value!r}; it has "
                + ", ".join(str(found) for found in pd.unique(frame[column]))
            )
        frame = kept
    return frame.sort_values("sigma") if "sigma" in frame else frame


@dataclass(frozen=True)
class Curve:
    """PSNR against noise level of one denoiser on one image set; arrays over growing σ."""

    set_size: int | None  # None for an exact or classical denoiser
    sigma: np.ndarray
    input_psnr: np.ndarray  # dB
    psnr: np.ndarray  # dB
    se: np.ndarray  # standard error of psnr, dB


def curve(table: Table, denoiser: str, evaluated_on: str, aggregation: str) -> Curve:
    """One PSNR curve of a psnr table."""
    frame = rows(table, denoiser=denoiser, evaluated_on=evaluated_on)
    columns = ("sigma", "input_psnr", aggregation, f"{aggregation}_se")
    arrays = [frame[column].to_numpy(dtype=float) for column in columns]
    if np.unique(arrays[0]).size != arrays[0].size:
        raise ArtifactError(
            f"{table.path} has several rows for one sigma: {denoiser}, {evaluated_on}"
        )
    set_size = None if table.kind == "reference" else int(table.value("set_size"))
    return Curve(set_size, *arrays)
