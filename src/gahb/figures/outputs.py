"""Figure "outputs": what two networks of disjoint training sets make of the same noisy test images.

Against noise level, one curve per number of training images N: how alike their denoised images are, and how
alike each is to the closest image of the network's own training set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.curves import limits, sigma_axis, size_styles
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.intervals import SPREAD, Points, draw_band, ensembles_of, last_updates
from gahb.figures.parts.style import PAGE_WIDTH, figure_style
from gahb.figures.parts.tables import read_tables

_SHOWN = {"pair": "output of S1's network – of S2's", "closest": "output – closest training image"}


@dataclass(frozen=True)
class _Measured:
    curves: dict[int, dict[str, Points]]  # N: similarity against σ, of the pair and of the closest
    networks: int
    images: int
    spec: Spec


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> _Measured:
    asked = dict(spec)
    table = ensembles_of(read_tables(inputs), asked["experiment"])
    columns = {"pair": asked["measure"], "closest": f"closest_{asked['measure']}"}
    frame = last_updates(table.frame).sort_values(["set_size", "sigma"])
    if frame.duplicated(["set_size", "sigma"]).any():
        raise ArtifactError(
            f"{table.path} has several rows for one N and sigma after the last update"
        )
    curves: dict[int, dict[str, Points]] = {}
    for size in frame["set_size"].unique():
        rows = frame[frame["set_size"] == size]
        curves[int(size)] = {
            name: Points.of(rows["sigma"], rows[column], rows[f"{column}_se"])
            for name, column in columns.items()
        }
    return _Measured(curves, int(frame["networks"].max()), int(frame["images"].max()), table.spec)


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: the experiment's table of ensembles.
        spec: ``title``, ``experiment``, ``measure``.
    """
    measured = _measure(inputs, spec)
    figure = Drawing(figsize=(PAGE_WIDTH, 3.3), layout="constrained")
    figure.suptitle(spec["title"])
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (name, title) in zip(panels, _SHOWN.items(), strict=True):
        for (size, points), style in zip(
            measured.curves.items(), size_styles(len(measured.curves)), strict=True
        ):
            draw_band(axes, points[name], label=f"N = {size}", **style)
        axes.set_title(title)
        sigma_axis(axes, next(iter(measured.curves.values()))[name].x)
    heights = [points.value for curves in measured.curves.values() for points in curves.values()]
    low, high = limits(heights, 0.04)
    panels[0].set_ylim(low, min(high, 1.04))
    panels[0].set_ylabel(f"mean {spec['measure']}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6)
    return figure


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    measured = _measure(inputs, spec)
    sigmas = next(iter(measured.curves.values()))["pair"].x
    chosen = np.unique(np.linspace(0, len(sigmas) - 1, min(6, len(sigmas))).round().astype(int))
    tables = []
    for name, told in (
        ("pair", "Between the outputs:"),
        ("closest", "Between output and closest training image:"),
    ):
        lines = [
            [str(size), *(points[name].text(place) for place in chosen)]
            for size, points in measured.curves.items()
        ]
        header = ("N", *(f"sigma = {sigmas[place]:.3g}" for place in chosen))
        tables += [told, captions.grid(header, lines)]
    return captions.caption(
        spec["title"],
        f"Denoised images of the same noisy test images: mean {spec['measure']} of those of two networks "
        f"of disjoint training sets, over all pairs of {measured.networks} (left), and of each with the "
        "closest image of its own training set (right), against noise level; bands are one standard "
        "error either side. Noise levels above those trained at are included.",
        SPREAD,
        *tables,
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}",
                f"test images: {measured.images}",
            ]
        )
        + "\n"
        + captions.parameters([measured.spec]),
    )


class OutputsFigure(Figure):
    """Two networks denoise the same images."""

    experiment: str
    """whose networks are drawn, at every N"""
    by: Measure = Field(alias="measure")
    """how alike two images are; correlation removes each image's mean first"""

    def needs(self, params: Params) -> Needs:
        """The ensembles."""
        return Needs(ensembles=(self.experiment,))

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json", by_alias=True))
