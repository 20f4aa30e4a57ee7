"""Networks beside the exact and classical denoisers of their image class, out of the inputs.

Everything here reads tables and spectra that were made on the same noisy images, and says which file
is missing or does not belong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gahb.artifacts import ArtifactError, Spec
from gahb.datasets.image_class import image_class
from gahb.figures.parts.eigenbases import (
    Eigenbasis,
    Eigenvalues,
    find_reference_spectra,
    find_spectra,
    read_eigenbasis,
)
from gahb.figures.parts.tables import Curve, Table, choose, curve, one, rows, summary_of, the_only

NETWORK = "network"
AGGREGATION = "psnr_of_mean_mse"  # theory speaks of the expected squared error
SURROGATE = "bound under the Gaussian surrogate"  # what the error of a known contour is
EXCESS = 0.3  # dB by which it may be beaten, about: see gahb.denoisers.exact.known_contour

Inputs = Sequence[Path | str]


def network_table(tables: Sequence[Table], experiment: str, set_size: int, split: str) -> Table:
    """The evaluation of one network."""
    chosen = choose(tables, "psnr", experiment=experiment, set_size=set_size, split=split)
    return one(
        [table for table in chosen if "network" in set(table.frame["denoiser"])],
        f"the network of {experiment}, N = {set_size}, {split}",
    )


def reference_table(tables: Sequence[Table], image_class: str, reference: str) -> Table:
    """The evaluation of one exact or classical denoiser."""
    return one(
        [
            table
            for table in tables
            if table.kind == "reference"
            and table.spec["reference"].get("name") == reference
            and table.spec.get("image_class") == image_class
        ],
        f"the reference denoiser {reference} on {image_class}",
    )


def curve_on_test(table: Table) -> Curve:
    """PSNR on test images of the one denoiser in a table of a network or of a reference."""
    name = table.spec["reference"]["name"] if table.kind == "reference" else "network"
    found = curve(table, name, "test", AGGREGATION)
    if not np.isfinite(found.psnr).all():
        raise ArtifactError(f"{table.path} holds a PSNR that is not a finite number")
    return found


def count_of_test_images(table: Table) -> int:
    """How many test images a table of a network or of a reference is measured on."""
    return int(rows(table, evaluated_on="test")["images"].max())


def dataset_of(spec: Spec) -> Spec:
    """The dataset in the spec of a network's or a reference's table or spectra."""
    dataset: Spec = spec["network"]["dataset"] if "network" in spec else spec["dataset"]
    return dataset


def alpha_of(dataset: Spec) -> float:
    """Regularity α of the C^α images of a dataset.

    Raises:
        ArtifactError: the images are of another class.
    """
    if "alpha" not in dataset:
        raise ArtifactError(
            f"images of class {dataset['class']} have no regularity alpha; the figure is for "
            "C^alpha images"
        )
    return float(dataset["alpha"])


def small_noise_gain(spec: Spec) -> tuple[int, float]:
    """Free parameters n of an image class, and the gain 10 log10(d/n) in dB that its optimum tends to.

    Raises:
        ArtifactError: the image class is no manifold of known dimension.
    """
    dataset = dataset_of(spec)
    dimension = image_class(dataset).dimension
    if dimension is None:
        raise ArtifactError(
            f"images of class {dataset['class']} are no manifold of known dimension"
        )
    return dimension, float(10 * np.log10(dataset["size"] ** 2 / dimension))


@dataclass(frozen=True)
class Gap:
    """PSNR of a reference less that of a network, from paired draws; arrays over growing sigma.

    What is measured on different numbers of images does not belong in one panel: images differ by
    more than denoisers do. One curve is therefore drawn as it was measured, and the others beside it
    at their paired gap, with the standard error of the gap.
    """

    set_size: int  # of the network
    sigma: np.ndarray
    input_psnr: np.ndarray
    gap: np.ndarray  # dB
    se: np.ndarray  # its standard error over images, or between trainings where that is larger, dB
    images: int

    def text(self) -> str:
        """Mean over noise levels; smallest, largest, and the largest standard error of one."""
        low, high, se = self.gap.min(), self.gap.max(), self.se.max()
        return f"{self.gap.mean():.2f} ({low:.2f} to {high:.2f}; {se:.2f})"

    def reference(self, learned: Curve) -> Curve:
        """The reference's curve on the network's images: that of the network plus the paired gap."""
        return self._beside(learned, 1)

    def network(self, reference: Curve) -> Curve:
        """The network's curve on the reference's images: that of the reference less the paired gap."""
        return self._beside(reference, -1)

    def _beside(self, anchor: Curve, sign: int) -> Curve:
        if not np.array_equal(anchor.sigma, self.sigma):
            raise ArtifactError(
                f"the table of gaps has the noise levels {self.sigma.tolist()}; the curve beside which "
                f"they are drawn has {anchor.sigma.tolist()}"
            )
        return Curve(
            self.set_size, self.sigma, self.input_psnr, anchor.psnr + sign * self.gap, self.se
        )


def gap_to(
    tables: Sequence[Table], experiment: str, set_size: int, split: str, reference: str
) -> Gap:
    """How far one network is from one reference, out of the table of gaps."""
    table = the_only(tables, "gaps", "gaps (one row per network, reference and noise level)")
    found = rows(table, experiment=experiment, set_size=set_size, split=split, reference=reference)
    return Gap(
        set_size=set_size,
        sigma=found["sigma"].to_numpy(dtype=float),
        input_psnr=found["input_psnr"].to_numpy(dtype=float),
        gap=found["reference_gap"].to_numpy(dtype=float),
        se=np.asarray(
            np.fmax(found["reference_gap_se"], found["reference_gap_between"]), dtype=float
        ),
        images=int(found["images"].max()),
    )


@dataclass(frozen=True)
class Slope:
    """A slope of output against input PSNR, fitted over a window of noise levels.

    Attributes:
        slope, se: as fitted, and its standard error: over images, or between trainings of the network where
            that is larger.
        window: lowest and highest noise level of the fit.
        theory: the slope for small noise that theory gives this denoiser; nan where it gives none.
        oracle: the slope, over the same window and images, of the denoiser that is exact or knows the
            contour; nan where none was measured.
    """

    slope: float
    se: float
    window: tuple[float, float]
    theory: float
    oracle: float = math.nan

    def fitted(self) -> str:
        """The slope with its standard error."""
        return f"{self.slope:.3f} ± {self.se:.3f}"

    def of_theory(self) -> str:
        """The slope of theory, or a dash."""
        return f"{self.theory:.3f}" if np.isfinite(self.theory) else "–"

    def of_oracle(self) -> str:
        """The oracle's slope, or a dash."""
        return f"{self.oracle:.3f}" if np.isfinite(self.oracle) else "–"

    def text(self) -> str:
        """The fitted slope, and in brackets that of theory."""
        return f"{self.fitted()} ({self.of_theory()})"

    def inside(self, fitted: Curve) -> tuple[np.ndarray, np.ndarray]:
        """Input and output PSNR of a curve over the window.

        Raises:
            ArtifactError: fewer than two points of the curve are in the window.
        """
        low, high = self.window
        inside = (fitted.sigma >= low * 0.9999) & (fitted.sigma <= high * 1.0001)
        if inside.sum() < 2:
            raise ArtifactError(
                f"fewer than two noise levels of a curve are in the window of the fit, {low:g} to "
                f"{high:g}"
            )
        return fitted.input_psnr[inside], fitted.psnr[inside]

    def intercept(self, fitted: Curve) -> float:
        """Where the line through the centre of the curve's points meets an input PSNR of 0 dB."""
        x, y = self.inside(fitted)
        return float(y.mean() - self.slope * x.mean())


def _slope(table: Table, row: pd.Series[Any], what: str) -> Slope:
    numbers = [float(row[name]) for name in ("slope", "slope_se", "sigma_low", "sigma_high")]
    if not np.isfinite(numbers).all():
        raise ArtifactError(f"{table.path}: no slope of {what}")
    theory = float(row["theoretical_slope"])
    between, oracle = (float(row.get(name, math.nan)) for name in ("slope_between", "oracle_slope"))
    se = float(np.fmax(numbers[1], between))
    return Slope(numbers[0], se, (numbers[2], numbers[3]), theory, oracle)


def network_slope(tables: Sequence[Table], experiment: str, set_size: int, split: str) -> Slope:
    """The slope of a network, out of the summary table."""
    table = summary_of(tables)
    found = rows(table, experiment=experiment, set_size=set_size, split=split)
    return _slope(table, found.iloc[0], f"{experiment}, N = {set_size}, {split}")


def reference_slope(tables: Sequence[Table], image_class: str, reference: str) -> Slope:
    """The slope of a reference denoiser, out of the table of references."""
    table = the_only(tables, "references", "references (one row per reference denoiser)")
    found = rows(table, image_class=image_class, reference=reference)
    return _slope(table, found.iloc[0], f"{reference} on {image_class}")


def network_spectra(inputs: Inputs, experiment: str, set_size: int, split: str) -> Path:
    """The spectra file of one network; it must be there."""
    path = find_spectra(inputs, experiment, split, set_size)
    if path is None:
        raise _absent(f"{experiment}, N = {set_size}, {split}", inputs)
    return path


def reference_spectra(inputs: Inputs, image_class: str, reference: str) -> Path:
    """The spectra file of one reference denoiser; it must be there."""
    path = find_reference_spectra(inputs, image_class, reference)
    if path is None:
        raise _absent(f"{reference} on {image_class}", inputs)
    return path


def _absent(what: str, inputs: Inputs) -> ArtifactError:
    given = ", ".join(map(str, inputs)) or "none"
    return ArtifactError(f"no spectra file of {what} among the inputs: {given}")


def same_noisy_image(
    paths: tuple[Path, Path], image: int, sigma: float
) -> tuple[Eigenbasis, Eigenbasis]:
    """The eigenbases of two denoisers at one noisy image.

    Raises:
        ArtifactError: the files hold other images or other noise.
    """
    first, second = (read_eigenbasis(path, image, sigma) for path in paths)
    for name in ("clean", "noisy"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise ArtifactError(
                f"{first.path} and {second.path} do not hold the same {name} image for test image "
                f"{image}: they were computed from other images or other noise"
            )
    return first, second


def check_same_levels(first: Eigenvalues, second: Eigenvalues) -> None:
    """Refuse the eigenvalues of two denoisers on other images or at other noise levels."""
    if not np.array_equal(first.image_index, second.image_index) or not np.array_equal(
        first.sigma, second.sigma
    ):
        raise ArtifactError(
            f"{first.path} and {second.path} do not hold the same images and noise levels"
        )


@dataclass(frozen=True)
class Beside:
    """A network on test images, and reference denoisers of its image class beside it.

    Attributes:
        experiment: of the network.
        dataset: its images.
        curves: by denoiser: the network, and the references at their gaps to it.
        slopes: by denoiser.
        gaps: by reference.
        images: how many the network is measured on.
        specs: of the tables of PSNR.
    """

    experiment: str
    dataset: Spec
    curves: dict[str, Curve]
    slopes: dict[str, Slope]
    gaps: dict[str, Gap]
    images: int
    specs: list[Spec]

    @property
    def alpha(self) -> float:
        """Regularity of the images; see :func:`alpha_of`."""
        return alpha_of(self.dataset)


def network_beside(
    tables: Sequence[Table],
    experiment: str,
    set_size: int,
    split: str,
    references: Sequence[str],
) -> Beside:
    """A network and reference denoisers of its image class, out of the tables."""
    network = (experiment, set_size, split)
    table = network_table(tables, *network)
    images = table.value("image_class")
    others = [reference_table(tables, images, name) for name in references]
    learned = curve_on_test(table)
    gaps = {name: gap_to(tables, *network, name) for name in references}
    slopes = {name: reference_slope(tables, images, name) for name in references}
    return Beside(
        experiment=experiment,
        dataset=dataset_of(table.spec),
        curves={NETWORK: learned} | {name: gap.reference(learned) for name, gap in gaps.items()},
        slopes={NETWORK: network_slope(tables, *network)} | slopes,
        gaps=gaps,
        images=count_of_test_images(table),
        specs=[table.spec, *(other.spec for other in others)],
    )
