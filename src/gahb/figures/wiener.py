"""Figure "wiener": what a network learns of Gaussian fields, against the Wiener filter.

The optimal denoiser of a stationary Gaussian field is linear: it shrinks the Fourier coefficient of
power P_k by λ_k = P_k/(P_k + σ²). The eigenvalues of the network's Jacobian beside the true ones, its
asymmetry (the optimum's is 0), and how far its PSNR is from the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import Spec
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts.beside import (
    Gap,
    check_same_levels,
    gap_to,
    network_spectra,
    network_table,
    reference_spectra,
    reference_table,
)
from gahb.figures.parts.curves import EXACT, IDENTITY, draw_curve, rank_axis, sigma_axis
from gahb.figures.parts.eigenbases import read_eigenvalues
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.panels import place
from gahb.figures.parts.style import PAGE_WIDTH, line, page, two_colours
from gahb.figures.parts.tables import read_tables
from gahb.options import Count, Index, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_RANKS = (1, 4, 16, 64, 256)  # eigenvalues listed in the caption

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.14
_WIDEST, _MOST = 2.0, 4  # width of a column, number of columns
_TOP, _LABELS = 0.62, 0.62  # above the first row, between rows
_SPECTRUM, _LOWER = 1.5, 1.4  # heights


@dataclass(frozen=True)
class Level:
    """Sorted eigenvalues of the network and the true ones at one noisy image."""

    sigma: float
    learned: np.ndarray
    true: np.ndarray
    asymmetry: float
    true_asymmetry: float

    @property
    def rms(self) -> float:
        """Root mean square difference of the eigenvalues at equal rank."""
        return float(np.sqrt(np.mean((self.learned - self.true) ** 2)))


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        levels: eigenvalues at one test image, by growing sigma.
        gap: PSNR of the Wiener filter less that of the network.
        image_index: of the test image in its dataset.
        specs: of the inputs.
    """

    levels: list[Level]
    gap: Gap
    image_index: int
    specs: list[Spec]

    @property
    def shown(self) -> list[Level]:
        """The noise levels that get a column: evenly spread, lowest and highest among them."""
        last = len(self.levels) - 1
        places = np.unique(np.linspace(0, last, min(_MOST, last + 1)).round())
        return [self.levels[int(at)] for at in places]

    @property
    def ranks(self) -> list[int]:
        """The ranks k whose eigenvalues the caption lists."""
        return [k for k in _RANKS if k <= self.levels[0].true.size]

    @property
    def columns(self) -> list[str]:
        """What is in the columns of :attr:`rows`."""
        return ["sigma", *(f"k = {k}" for k in self.ranks), "rms", "trace", "asymmetry"]

    @property
    def rows(self) -> list[list[str]]:
        """Learned and true eigenvalues and trace, and asymmetry, at each noise level."""
        return [
            [
                f"{level.sigma:g}",
                *(f"{level.learned[k - 1]:.3f} / {level.true[k - 1]:.3f}" for k in self.ranks),
                f"{level.rms:.3f}",
                f"{level.learned.sum():.1f} / {level.true.sum():.1f}",
                f"{level.asymmetry:.3f}",
            ]
            for level in self.levels
        ]

    @property
    def gaps(self) -> list[list[str]]:
        """sigma, the gap to the optimum and its standard error."""
        columns = (self.gap.sigma, self.gap.gap, self.gap.se)
        return [[f"{s:g}", f"{gap:.3f}", f"{se:.3f}"] for s, gap, se in zip(*columns, strict=True)]


class WienerFigure(Figure):
    """Learned and true shrinkage of Gaussian fields."""

    experiment: str
    """one on Gaussian fields"""
    set_size: Count
    """N"""
    split: Split
    """of the network drawn"""
    reference: str
    """the entry of references that is exact for the image class"""
    image: Index
    """position in the test set"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Gaussian fields."""
        return issubclass(images, Gaussian)

    def needs(self, params: Params) -> Needs:
        """One network, the optimum, and the spectra of both."""
        network = ((self.experiment, self.set_size, self.split),)
        reference = ((self.experiment, self.reference),)
        return Needs(
            tables=("gaps",),
            networks=network,
            references=reference,
            spectra=network,
            reference_spectra=reference,
        )

    def measure(self, inputs: Inputs) -> Measured:
        """Read the gap of network and filter, and the spectra of both at the same noisy images."""
        network = (self.experiment, self.set_size, self.split)
        tables = read_tables(inputs)
        table = network_table(tables, *network)
        image_class = table.value("image_class")
        reference = reference_table(tables, image_class, self.reference)
        learned = read_eigenvalues(network_spectra(inputs, *network))
        true = read_eigenvalues(reference_spectra(inputs, image_class, self.reference))
        check_same_levels(learned, true)
        at = learned.place(self.image)
        count = min(learned.values.shape[-1], true.values.shape[-1])
        levels = [
            Level(
                sigma=float(learned.sigma[level]),
                learned=learned.values[at, level, :count],
                true=true.values[at, level, :count],
                asymmetry=float(learned.asymmetry[at, level]),
                true_asymmetry=float(true.asymmetry[at, level]),
            )
            for level in np.argsort(learned.sigma)
        ]
        return Measured(
            levels,
            gap_to(tables, *network, self.reference),
            int(learned.image_index[at]),
            [table.spec, reference.spec, learned.spec, true.spec],
        )

    def draw(self, measured: Measured) -> Drawing:
        """One column per noise level: spectra, one against the other; below, gap and asymmetry."""
        levels = measured.shown
        room = PAGE_WIDTH - _LEFT - _RIGHT
        width = min((room - (len(levels) - 1) * _BETWEEN) / len(levels), _WIDEST)
        left = _LEFT + (room - len(levels) * (width + _BETWEEN) + _BETWEEN) / 2
        scatter_top = _TOP + _SPECTRUM + _LABELS
        lower_top = scatter_top + width + 1.0
        height = lower_top + _LOWER + 0.44
        drawing = page(height, self.title, below=0.1)
        colour = two_colours()[1]
        spectra, scatters = [], []
        for number, level in enumerate(levels):
            at = left + number * (width + _BETWEEN)
            spectra.append(place(drawing, at, _TOP, width, _SPECTRUM))
            scatters.append(place(drawing, at, scatter_top, width, width))
            _spectrum(spectra[-1], level, colour)
            _scatter(scatters[-1], level, colour)
        lowest = min(0.0, *(float(level.learned.min()) for level in levels)) - 0.05
        highest = max(1.0, *(float(level.learned.max()) for level in levels)) + 0.05
        for row in (spectra, scatters):
            for axes in row:
                axes.set_ylim(lowest, highest)
                axes.tick_params(labelleft=axes is row[0])
                if row is scatters:
                    axes.set_xlim(lowest, highest)
        spectra[0].set_ylabel("eigenvalue λ$_k$")
        scatters[0].set_ylabel("learned λ$_k$")
        drawing.legend(
            handles=[
                line("network", color=colour, marker="."),
                line("true, P$_k$/(P$_k$+σ²)", **EXACT),
                line("learned = true", **IDENTITY),
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - (scatter_top + width + 0.4) / height),
            ncols=3,
            borderpad=0,
        )
        half = (room - 0.7) / 2
        _gap(place(drawing, _LEFT, lower_top, half, _LOWER), measured.gap, colour)
        _asymmetry(place(drawing, _LEFT + half + 0.7, lower_top, half, _LOWER), measured, colour)
        return drawing


def _spectrum(axes: Axes, level: Level, colour: Any) -> None:
    k = np.arange(1, level.true.size + 1)
    axes.plot(k, level.learned, color=colour)
    axes.plot(k, level.true, **EXACT)
    rank_axis(axes, k.size)
    axes.set_title(f"σ = {level.sigma:g}")


def _scatter(axes: Axes, level: Level, colour: Any) -> None:
    axes.axline((0, 0), slope=1, **IDENTITY)
    axes.plot(level.true, level.learned, ".", color=colour, markersize=2.5)
    axes.set_xlabel("true λ$_k$")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.text(0.05, 0.95, f"rms {level.rms:.3f}", transform=axes.transAxes, ha="left", va="top")


def _gap(axes: Axes, gap: Gap, colour: Any) -> None:
    axes.axhline(0, **EXACT)
    draw_curve(axes, gap.sigma, gap.gap, gap.se, color=colour, marker="o")
    sigma_axis(axes, gap.sigma)
    axes.set_ylim(min(0.0, float((gap.gap - gap.se).min())) - 0.05, None)
    axes.set_ylabel("PSNR gap (dB)")
    axes.set_title("optimum minus network, test images")


def _asymmetry(axes: Axes, measured: Measured, colour: Any) -> None:
    sigma = [level.sigma for level in measured.levels]
    axes.plot(sigma, [level.true_asymmetry for level in measured.levels], marker="D", **EXACT)
    axes.plot(sigma, [level.asymmetry for level in measured.levels], color=colour, marker="o")
    sigma_axis(axes, np.array(sigma))
    highest = max(level.asymmetry for level in measured.levels)
    axes.set_ylim(-0.06 * highest, 1.2 * highest)
    axes.set_ylabel("‖J−Jᵀ‖ / ‖J+Jᵀ‖")
    axes.set_title("asymmetry of the Jacobian")
