"""Figure "wiener": what a network learns of Gaussian fields, against the Wiener filter.

The optimal denoiser of a stationary Gaussian field is linear: it shrinks the Fourier coefficient of
power P_k by λ_k = P_k/(P_k + σ²). The shrinkage of the network on the same Fourier modes beside it, its
asymmetry (the optimum's is 0), and how far its PSNR is from the optimum.

Compared are Rayleigh quotients e_k* S e_k of the symmetric part S of the Jacobian, which are linear in S:
its errors average out of their mean. They would spread sorted eigenvalues, whose largest are then too
large and whose least too small at equal rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import ArtifactError, Spec
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
from gahb.figures.parts.curves import EXACT, IDENTITY, draw_curve, sigma_axis
from gahb.figures.parts.eigenbases import read_eigenvalues
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.over_images import (
    OverImages,
    SpectraTables,
    mean_and_se,
    mean_text,
    read_over_images,
)
from gahb.figures.parts.panels import place
from gahb.figures.parts.style import PAGE_WIDTH, line, page, two_colours
from gahb.figures.parts.tables import read_tables
from gahb.options import Count, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_LISTED = (0, 1, 2, 4, 8, 16)  # |k| of the modes listed in the caption

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.14
_WIDEST, _MOST = 2.0, 4  # width of a column, number of columns
_TOP, _LABELS = 0.62, 0.62  # above the first row, between rows
_SPECTRUM, _LOWER = 1.5, 1.4  # heights


@dataclass(frozen=True)
class Level:
    """Shrinkage of Fourier modes at one noise level, averaged over those of equal frequency |k|.

    Attributes:
        learned, optimal: of the network and of the exact denoiser, at all images.
        frequency: (F,) |k|, growing, in cycles per image.
        shrinkage: (I, F) Rayleigh quotients of the network.
        true: (F,) those of the exact denoiser.
    """

    learned: OverImages
    optimal: OverImages
    frequency: np.ndarray
    shrinkage: np.ndarray
    true: np.ndarray

    @property
    def sigma(self) -> float:
        """Noise level."""
        return self.learned.sigma

    @property
    def rms(self) -> float:
        """Root mean square difference over all modes, of means over images."""
        pair = (one.fourier_quotients.mean(0) for one in (self.learned, self.optimal))
        return _rms(*pair)

    @property
    def rms_of_ranks(self) -> float:
        """The same of sorted eigenvalues at equal rank."""
        return _rms(*(one.eigenvalues.mean(0) for one in (self.learned, self.optimal)))


def _rms(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(np.mean((first - second) ** 2)))


def radial_means(modes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over the Fourier modes of equal |k|.

    Args:
        modes: (..., H, H), in the order of ``fft2``.

    Returns:
        (F,) frequencies |k| in cycles per image, growing; and (..., F) means.
    """
    whole = np.round(np.fft.fftfreq(modes.shape[-1], 1 / modes.shape[-1])).astype(int)
    squared = (whole[:, None] ** 2 + whole[None] ** 2).ravel()
    frequencies, member, counts = np.unique(squared, return_inverse=True, return_counts=True)
    share = np.eye(len(frequencies))[member.ravel()] / counts
    return np.sqrt(frequencies), modes.reshape(*modes.shape[:-2], -1) @ share


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        levels: shrinkage by growing sigma.
        gap: PSNR of the Wiener filter less that of the network.
        specs: of the inputs.
    """

    levels: list[Level]
    gap: Gap
    specs: list[Spec]

    @property
    def shown(self) -> list[Level]:
        """The noise levels that get a column: evenly spread, lowest and highest among them."""
        last = len(self.levels) - 1
        places = np.unique(np.linspace(0, last, min(_MOST, last + 1)).round())
        return [self.levels[int(at)] for at in places]

    @property
    def tables(self) -> SpectraTables:
        """What the caption says of the network at each noise level."""
        return SpectraTables("sigma", [(f"{one.sigma:g}", one.learned) for one in self.levels])

    @property
    def columns(self) -> list[str]:
        """What is in the columns of :attr:`rows`: |k|, and the network and the truth by sigma."""
        names = ("network", "true")
        return ["frequency", *(f"{name}, {one.sigma:g}" for one in self.levels for name in names)]

    @property
    def rows(self) -> list[list[str]]:
        """Shrinkage of the modes of some frequencies |k|, by the network and true."""
        first = self.levels[0]
        return [
            [f"{k:g}"]
            + [
                text
                for one in self.levels
                for text in (mean_text(one.shrinkage[:, at], ".3f"), f"{one.true[at]:.3f}")
            ]
            for at, k in enumerate(first.frequency)
            if k in _LISTED
        ]

    @property
    def differences(self) -> list[list[str]]:
        """sigma, rms difference of modes and of sorted eigenvalues, trace of both."""
        return [
            [
                f"{one.sigma:g}",
                f"{one.rms:.3f}",
                f"{one.rms_of_ranks:.3f}",
                one.learned.text("trace", ".1f"),
                f"{one.optimal.numbers['trace'].mean():.1f}",
            ]
            for one in self.levels
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

    def problems(self, params: Params) -> Iterator[str]:
        """All of the Jacobian must be known."""
        spectra = params["spectra"]
        method = spectra["networks"].get(self.experiment, {}).get("method") or spectra["method"]
        if method != "full":
            yield f"experiment: spectra of {self.experiment} have the method {method}, allowed is full"

    def measure(self, inputs: Inputs) -> Measured:
        """Read the gap of network and filter, and the spectra of both at the same noisy images."""
        network = (self.experiment, self.set_size, self.split)
        tables = read_tables(inputs)
        table = network_table(tables, *network)
        image_class = table.value("image_class")
        reference = reference_table(tables, image_class, self.reference)
        paths = (
            network_spectra(inputs, *network),
            reference_spectra(inputs, image_class, self.reference),
        )
        learned, true = (read_eigenvalues(path) for path in paths)
        check_same_levels(learned, true)
        return Measured(
            [_level(*paths, float(sigma)) for sigma in np.sort(learned.sigma)],
            gap_to(tables, *network, self.reference),
            [table.spec, reference.spec, learned.spec, true.spec],
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        gap = measured.gap.gap
        return (
            f"The network is {gap.min():.2f} to {gap.max():.2f} dB below the Wiener filter, "
            f"and shrinks as it does up to {max(level.rms for level in measured.levels):.2f}"
        )

    def draw(self, measured: Measured) -> Drawing:
        """One column per noise level: shrinkage, one against the other; below, gap and asymmetry."""
        levels = measured.shown
        room = PAGE_WIDTH - _LEFT - _RIGHT
        width = min((room - (len(levels) - 1) * _BETWEEN) / len(levels), _WIDEST)
        left = _LEFT + (room - len(levels) * (width + _BETWEEN) + _BETWEEN) / 2
        scatter_top = _TOP + _SPECTRUM + _LABELS
        lower_top = scatter_top + width + 1.0
        height = lower_top + _LOWER + 0.44
        drawing = page(height, self.heading(measured), below=0.1)
        colour = two_colours()[1]
        spectra, scatters = [], []
        for number, level in enumerate(levels):
            at = left + number * (width + _BETWEEN)
            spectra.append(place(drawing, at, _TOP, width, _SPECTRUM))
            scatters.append(place(drawing, at, scatter_top, width, width))
            _spectrum(spectra[-1], level, colour)
            _scatter(scatters[-1], level, colour)
        means = np.concatenate([level.shrinkage.mean(0) for level in levels])
        lowest, highest = min(0.0, float(means.min())) - 0.05, max(1.0, float(means.max())) + 0.05
        for row in (spectra, scatters):
            for axes in row:
                axes.set_ylim(lowest, highest)
                axes.tick_params(labelleft=axes is row[0])
                if row is scatters:
                    axes.set_xlim(lowest, highest)
        spectra[0].set_ylabel("shrinkage λ$_k$")
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


def _level(network: Path, reference: Path, sigma: float) -> Level:
    learned, optimal = (read_over_images(path, sigma) for path in (network, reference))
    for one in (learned, optimal):
        if not np.isfinite(one.fourier_quotients).all():
            raise ArtifactError(
                f"{one.path} has no Rayleigh quotients of Fourier modes: the method of its spectra was "
                "not full"
            )
    frequency, shrinkage = radial_means(learned.fourier_quotients)
    true = radial_means(optimal.fourier_quotients.mean(0))[1]
    return Level(learned, optimal, frequency, shrinkage, true)


def _spectrum(axes: Axes, level: Level, colour: Any) -> None:
    inside = level.frequency > 0
    k = level.frequency[inside]
    mean, se = mean_and_se(level.shrinkage[:, inside])
    draw_curve(axes, k, mean, se, color=colour, marker=".", markersize=2.5)
    axes.plot(k, level.true[inside], **EXACT)
    axes.set_xscale("log")
    axes.set_xlim(0.9, 1.1 * k[-1])
    octaves = [2**power for power in range(int(np.log2(k[-1])) + 1)]
    axes.set_xticks(octaves, [str(octave) for octave in octaves])
    axes.minorticks_off()
    axes.set_xlabel("frequency |k|")
    axes.set_title(f"σ = {level.sigma:g}")


def _scatter(axes: Axes, level: Level, colour: Any) -> None:
    axes.axline((0, 0), slope=1, **IDENTITY)
    axes.plot(level.true, level.shrinkage.mean(0), ".", color=colour, markersize=2.5)
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
    sigma = np.array([level.sigma for level in measured.levels])
    true = [level.optimal.numbers["asymmetry"].mean() for level in measured.levels]
    axes.plot(sigma, true, marker="D", **EXACT)
    mean, se = mean_and_se(
        np.stack([level.learned.numbers["asymmetry"] for level in measured.levels], axis=-1)
    )
    draw_curve(axes, sigma, mean, se, color=colour, marker="o")
    sigma_axis(axes, sigma)
    highest = float(mean.max())
    axes.set_ylim(-0.06 * highest, 1.2 * highest)
    axes.set_ylabel("‖J−Jᵀ‖ / ‖J+Jᵀ‖")
    axes.set_title("asymmetry of the Jacobian")
