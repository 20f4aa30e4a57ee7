"""Figure "adaptivity": how well learned bases are adapted to the contours of images.

The bases in which networks of every N shrink noise, beside that of an oracle that knows the contour: the
share of learned eigenvectors in the oracle's leading eigenspace, and the error of keeping the M largest
coefficients of the clean image, in the learned bases and in others; both against rank and against N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gahb.artifacts import ArtifactError, Spec
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts.captions import ends
from gahb.figures.parts.curves import (
    EXACT,
    IDENTITY,
    draw_curve,
    rank_axis,
    size_axis,
    size_styles,
)
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.intervals import Points, table_of, with_error
from gahb.figures.parts.style import legends, line, page_over_legends, two_colours
from gahb.figures.parts.tables import Table, read_tables, rows
from gahb.options import Count, Sigma, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_NAMES = {
    "known-contour": "oracle",
    "other-contour": "another contour",
    "bandlets": "bandlets",
    "wavelets": "wavelets",
    "pixels": "pixels",
}
_LOOKS: dict[str, dict[str, Any]] = {
    "known-contour": EXACT,
    "other-contour": {"color": "#e06c00", "linewidth": 1.1, "linestyle": ":"},
    "bandlets": {"color": "0.25", "linewidth": 1.1, "linestyle": "-."},
    "wavelets": {"color": "0.45", "linewidth": 1.1, "linestyle": "--"},
    "pixels": {"color": "0.65", "linewidth": 1.1, "linestyle": "-"},
}
_FILTERED = ("bandlets", "wavelets")
_LEAST = 1e-5  # error that the axis reaches at least
_PER_ROW = 7


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        shares: of the eigenvectors up to rank k, by N.
        errors: of keeping M coefficients in the learned bases, by N.
        others: the same in the other bases, by name.
        filters: of wavelets and bandlets at one rank, by name.
        own: overlap with the oracle at one rank, against N.
        another: that with the oracle of another image.
        gain: their difference.
        at_rank: errors at that rank, against N.
        rank: K and M below.
        oracle_rank: directions that the oracle keeps.
        pixels: d.
        images: averaged over.
        specs: of the input.
    """

    shares: dict[int, Points]
    errors: dict[int, Points]
    others: dict[str, Points]
    filters: dict[str, str]
    own: Points
    another: Points
    gain: Points
    at_rank: Points
    rank: int
    oracle_rank: float
    pixels: int
    images: int
    specs: list[Spec]

    @property
    def chance(self) -> float:
        """Overlap of a random basis."""
        return self.rank / self.pixels

    @property
    def size_rows(self) -> list[list[str]]:
        """N, overlaps and their difference, error."""
        columns = (self.own, self.another, self.gain)
        return [
            [
                str(size),
                *(points.text(place) for points in columns),
                _thousandths(self.at_rank, place),
            ]
            for place, size in enumerate(self.errors)
        ]

    @property
    def basis_rows(self) -> list[list[str]]:
        """Name of each other basis, and its error."""
        return [
            [
                self.filters.get(name, _NAMES[name]),
                _thousandths(points, int(np.flatnonzero(points.x == self.rank)[0])),
            ]
            for name, points in self.others.items()
        ]


class AdaptivityFigure(Figure):
    """Learned bases beside those of oracles, bandlets, wavelets and pixels."""

    experiment: str
    """on images with a contour, with spectra at several N"""
    split: Split
    """of the networks drawn"""
    sigma: Sigma
    """noise level of the images"""
    rank: Count
    """eigenvectors compared, and coefficients kept, where they are drawn against N: a power of two"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Those with a contour."""
        return images.has_contour

    def needs(self, params: Params) -> Needs:
        """The comparison of all networks of the experiment that have spectra."""
        return Needs(adaptivity=(self.experiment,))

    def measure(self, inputs: Inputs) -> Measured:
        """Read the comparison at one noise level."""
        table = table_of(read_tables(inputs), "adaptivity", self.experiment)
        learned = rows(table, basis="learned", split=self.split)
        learned = learned[np.isclose(learned["sigma"], self.sigma, rtol=1e-4, atol=0)]
        if learned.empty:
            raise ArtifactError(f"{table.path} has no row with sigma = {self.sigma:g}")
        ranked = learned[learned["rank"] == self.rank].sort_values("set_size")
        if ranked.empty or not np.isfinite(ranked[["overlap", "error"]]).all(axis=None):
            raise ArtifactError(f"{table.path} has no overlap and error at rank {self.rank}")
        sizes = [int(size) for size in ranked["set_size"]]
        of_size = {size: learned[learned["set_size"] == size] for size in sizes}
        return Measured(
            shares={size: _points(frame, "rank", "share") for size, frame in of_size.items()},
            errors={size: _points(frame, "rank", "error") for size, frame in of_size.items()},
            others={name: _points(rows(table, basis=name), "rank", "error") for name in _NAMES},
            filters={name: f"{name} ({_filter(table, name, self.rank)})" for name in _FILTERED},
            own=_points(ranked, "set_size", "overlap"),
            another=_points(ranked, "set_size", "other_overlap"),
            gain=_points(ranked, "set_size", "gain"),
            at_rank=_points(ranked, "set_size", "error"),
            rank=self.rank,
            oracle_rank=float(ranked["oracle_rank"].iloc[0]),
            pixels=int(ranked["pixels"].iloc[0]),
            images=int(ranked["images"].iloc[0]),
            specs=[table.spec],
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        places = ends(list(enumerate(measured.errors)))
        told = ", ".join(f"{measured.own.value[at]:.0%} at N = {size}" for at, size in places)
        chance = f"{measured.chance:.0%}"
        return f"Share of learned eigenvectors in the oracle's span: {told}; by chance {chance}"

    def draw(self, measured: Measured) -> Drawing:
        """Above, shares and errors against rank, one curve per N; below, both against N."""
        sizes = list(measured.shares)
        styles = size_styles(len(sizes))
        drawing = page_over_legends(6.3, 0.5, self.heading(measured))
        (upper, error), (overlap, kept) = drawing.subplots(2, 2)
        for points, style in zip(measured.shares.values(), styles, strict=True):
            _curve(upper, points, style)
        upper.axhline(measured.oracle_rank / measured.pixels, **IDENTITY)
        upper.set_ylim(0, 1.02)
        rank_axis(upper, int(max(points.x[-1] for points in measured.shares.values())))
        upper.set_title("share in the oracle's leading space")
        upper.set_ylabel("share of e$_k$")
        _errors(error, measured, styles)
        _overlaps(overlap, measured)
        _kept(kept, measured, styles)
        legends(
            drawing,
            {
                0.24: [
                    line(f"N = {size}", **style) for size, style in zip(sizes, styles, strict=True)
                ],
                0.04: [line(_NAMES[name], **_LOOKS[name]) for name in measured.others],
            },
            _PER_ROW,
        )
        return drawing


def _errors(axes: Axes, measured: Measured, styles: list[dict[str, Any]]) -> None:
    """Errors of keeping M coefficients, in every basis, up to half of all: with all it is 0."""
    drawn = [
        *((points, _LOOKS[name]) for name, points in measured.others.items()),
        *zip(measured.errors.values(), styles, strict=True),
    ]
    lowest = 1.0
    for points, style in drawn:
        _curve(axes, points.up_to(measured.pixels // 2), style)
        lowest = min(lowest, float(points.up_to(measured.pixels // 2).value.min()))
    rank_axis(axes, measured.pixels // 2)
    axes.set_yscale("log")
    axes.set_ylim(max(lowest / 1.5, _LEAST), 1.3)
    axes.set_xlabel("M")
    axes.set_ylabel("‖x − x$_M$‖² / ‖x‖²")
    axes.set_title("error of the M largest coefficients")


def _overlaps(axes: Axes, measured: Measured) -> None:
    """Overlap with the oracle of the image and of another, against N."""
    lighter, darker = two_colours()
    looks: dict[str, dict[str, Any]] = {
        "this contour": {"color": darker, "marker": "o"},
        "another contour": {"color": lighter, "marker": "s", "linestyle": "--"},
    }
    for points, (name, look) in zip((measured.own, measured.another), looks.items(), strict=True):
        se = np.nan_to_num(points.high - points.value)
        axes.errorbar(points.x, points.value, se, label=name, **look)
    axes.axhline(measured.chance, label="chance", **IDENTITY)
    size_axis(axes, [int(size) for size in measured.own.x])
    axes.set_ylim(0, 1.02)
    axes.set_title(f"overlap of {measured.rank} leading eigenvectors")
    axes.set_ylabel("mean share")
    axes.legend(loc="upper left")


def _kept(axes: Axes, measured: Measured, styles: list[dict[str, Any]]) -> None:
    """Errors at one rank against N, those of the other bases as lines across."""
    for name, points in measured.others.items():
        axes.axhline(float(points.value[points.x == measured.rank][0]), **_LOOKS[name])
    points = measured.at_rank
    se = np.nan_to_num(points.high - points.value)
    axes.errorbar(points.x, points.value, se, color="0.1", linewidth=1.0)
    for place, style in enumerate(styles):
        axes.plot(points.x[place], points.value[place], **style)
    size_axis(axes, [int(size) for size in points.x])
    axes.set_yscale("log")
    axes.set_title(f"error for M = {measured.rank}")
    axes.set_ylabel("‖x − x$_M$‖² / ‖x‖²")


def _filter(table: Table, basis: str, rank: int) -> str:
    return str(rows(table, basis=basis, rank=rank)["filter"].iloc[0])


def _points(frame: pd.DataFrame, x: str, name: str) -> Points:
    known = frame.dropna(subset=[name]).sort_values(x)
    return Points.of(known[x], known[name], known[f"{name}_se"])


def _curve(axes: Axes, points: Points, style: dict[str, Any]) -> None:
    draw_curve(axes, points.x, points.value, np.nan_to_num(points.high - points.value), **style)


def _thousandths(points: Points, place: int) -> str:
    return with_error(
        1e3 * float(points.value[place]), 1e3 * float(points.high[place] - points.value[place])
    )
