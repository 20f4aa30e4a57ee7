"""What claims are judged by: the tables, samples and spectra of a run, read once for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gahb.artifacts import ArtifactError, Spec
from gahb.claims.parts.claim import number
from gahb.figures.parts.beside import dataset_of
from gahb.figures.parts.figure import Network
from gahb.figures.parts.intervals import summarised
from gahb.figures.parts.tables import Table, one, read_tables, rows, the_only
from gahb.hdf5 import with_section
from gahb.means import mean_and_error
from gahb.spectra.store import read_spectra

_USED = (
    *("sigma", "clean", "denoised", "symmetric_denoised", "eigenvalues", "least_eigenvalue"),
    *("asymmetry", "homogeneity_residual", "trace", "effective_rank"),
    *("leading_response", "null_response"),
)
_BETWEEN = ("gap", "slope")


@dataclass(frozen=True)
class Spectrum:
    """Spectra of one denoiser: its spec, and datasets by name; see :data:`gahb.spectra.store.SCHEMA`."""

    spec: Spec
    arrays: Mapping[str, np.ndarray]

    @property
    def pixels(self) -> int:
        """Their number d."""
        return int(np.prod(self.arrays["clean"].shape[1:]))

    def at(self, name: str, sigma: float) -> np.ndarray:
        """A dataset at the noise level nearest to ``sigma``, for each image."""
        return np.asarray(self.arrays[name][:, self._level(sigma)])

    def _level(self, sigma: float) -> int:
        return int(np.argmin(np.abs(np.log(self.arrays["sigma"] / sigma))))

    def passing(self, sigma: float) -> np.ndarray:
        """sigma^2 tr J, the noise that passes, at the noise level nearest to ``sigma``, for each image."""
        level = float(self.arrays["sigma"][self._level(sigma)])
        return level**2 * self.at("trace", sigma)

    def errors(self, sigma: float, name: str = "denoised") -> np.ndarray:
        """Squared error of an output, summed over pixels, for each image."""
        difference = self.at(name, sigma).astype(float) - self.arrays["clean"].astype(float)
        return np.square(difference).reshape(len(difference), -1).sum(1)


@dataclass(frozen=True)
class Mean:
    """A mean, its standard error over images, and that between trainings; NaN where not known."""

    value: float
    se: float = math.nan
    between: float = math.nan

    def __str__(self) -> str:
        return number(self.value, self.se, self.between)


@dataclass(frozen=True)
class Found:
    """The tables and spectra of a run."""

    tables: Sequence[Table]
    spectra: Sequence[Spectrum]

    @classmethod
    def read(cls, inputs: Sequence[Path]) -> Found:
        """From files.

        Raises:
            gahb.artifacts.ArtifactError: one is missing, damaged or of no known kind.
        """
        spectra = [
            Spectrum(spec, read_spectra(path, names=_USED)[0])
            for path, spec in with_section(inputs, "spectra")
        ]
        return cls(read_tables(inputs), spectra)

    @cached_property
    def _summary(self) -> Table:
        return the_only(self.tables, "summary", "summary (one row per network)")

    def mean(self, experiment: str, set_size: int, quantity: str) -> Mean:
        """A column of the summary, averaged over the splits of a cell.

        Splits share their test images: the error over images is the mean of theirs, an upper bound.
        """
        cell = rows(self._summary, experiment=experiment, set_size=set_size)
        value = float(cell[quantity].mean())
        se = float(cell[f"{quantity}_se"].mean()) if f"{quantity}_se" in cell else math.nan
        between = math.nan
        if quantity in _BETWEEN:
            between = float(cell[f"{quantity}_between"].mean()) / math.sqrt(len(cell))
        return Mean(value, se, between)

    def largest_gap(self, experiment: str, set_size: int) -> float:
        """|train - test| in dB at the worst noise level of all splits of a cell."""
        cell = rows(self._summary, experiment=experiment, set_size=set_size)
        return float(cell["largest_gap"].abs().max())

    def gaps(self, experiment: str, set_size: int, reference: str) -> pd.DataFrame:
        """PSNR of a reference less that of the networks, by growing sigma, averaged over splits."""
        table = the_only(self.tables, "gaps", "gaps (one row per network, reference and level)")
        chosen = rows(table, experiment=experiment, set_size=set_size, reference=reference)
        columns = ["reference_gap", "reference_gap_se", "reference_gap_between"]
        found = chosen.groupby("sigma")[columns].mean()
        found["reference_gap_between"] /= math.sqrt(chosen["split"].nunique())
        return found

    def psnr(self, experiment: str, set_size: int) -> pd.DataFrame:
        """Input PSNR, test PSNR and its standard errors, by growing sigma, averaged over splits.

        The column ``between`` is the standard error between the trainings of the splits; NaN of one.
        """
        frames = [
            table.frame[(table.frame.evaluated_on == "test") & (table.frame.denoiser == "network")]
            for table in self.tables
            if table.kind == "psnr" and table.where(experiment=experiment, set_size=set_size)
        ]
        if not frames:
            raise ArtifactError(f"no table of PSNR of {experiment}, N = {set_size}")
        columns = ["input_psnr", "psnr_of_mean_mse", "psnr_of_mean_mse_se"]
        by_level = pd.concat(frames).groupby("sigma")
        between = by_level["psnr_of_mean_mse"].std() / math.sqrt(len(frames))
        return by_level[columns].mean().assign(between=between)

    def bandlet_slope(self, image_class: str, reference: str) -> Mean:
        """The slope of a reference denoiser."""
        table = the_only(self.tables, "references", "references (one row per reference)")
        row = rows(table, image_class=image_class, reference=reference).iloc[0]
        return Mean(float(row["slope"]), float(row["slope_se"]))

    def image_class(self, experiment: str) -> str:
        """That of an experiment, by its name in params.yaml."""
        return str(rows(self._summary, experiment=experiment)["image_class"].iloc[0])

    def table(self, kind: str, experiment: str) -> Table:
        """The one table of a kind that is of one experiment."""
        chosen = [t for t in self.tables if t.kind == kind and t.where(experiment=experiment)]
        return one(chosen, f"{kind.replace('_', ' ')} of {experiment}")

    def densities(self, experiment: str) -> pd.DataFrame:
        """Bounds of an experiment, by growing N."""
        table = the_only(self.tables, "density", "density (one row per experiment and N)")
        return rows(table, experiment=experiment).sort_values("set_size")

    def samples(
        self, experiment: str, set_size: int, quantity: str, measure: str, own: bool | None = None
    ) -> Mean:
        """A quantity of samples; see :func:`gahb.figures.parts.intervals.summarised`."""
        table = self.samples_table(experiment, set_size)
        return Mean(*summarised(table.frame, table.path, quantity, measure, own)[:2])

    def samples_table(self, experiment: str, set_size: int) -> Table:
        """The table of samples of the two networks of one N."""
        chosen = [
            table
            for table in self.tables
            if table.kind == "samples" and table.where(experiment=experiment, set_size=set_size)
        ]
        return one(chosen, f"samples of {experiment}, N = {set_size}")

    def pixels(self, experiment: str) -> int:
        """Number of pixels of an experiment's images."""
        tables = [t for t in self.tables if t.kind == "psnr" and t.where(experiment=experiment)]
        if not tables:
            raise ArtifactError(f"no table of PSNR of {experiment}")
        return int(dataset_of(tables[0].spec)["size"]) ** 2

    def spectrum(self, experiment: str, set_size: int, split: str) -> Spectrum:
        """The spectra of one network."""
        asked: dict[str, Any] = {"experiment": experiment, "set_size": set_size, "split": split}
        for spectrum in self.spectra:
            network = spectrum.spec.get("network", {})
            if all(network.get(key) == value for key, value in asked.items()):
                return spectrum
        raise ArtifactError(f"no spectra of {experiment}, N = {set_size}, {split}")

    def spectra_of(self, networks: Sequence[Network]) -> list[Spectrum]:
        """The spectra of several networks."""
        return [self.spectrum(*network) for network in networks]


def over_images(of_networks: Sequence[np.ndarray]) -> Mean:
    """Mean over the images of each network, and over networks that differ in their training.

    Networks are measured at the same images: the error over images is the mean of theirs, an upper bound.
    """
    means, errors = zip(*(mean_and_error(one.astype(float)) for one in of_networks), strict=True)
    return Mean(float(np.mean(means)), float(np.mean(errors)), mean_and_error(means)[1])
