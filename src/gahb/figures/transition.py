"""Figure "transition": from memorising to generalising as the training set grows.

Output PSNR against input PSNR, on the networks' own training sets and on held-out test images, one
curve per training set size N (Kadkhodaie et al., ICLR 2024, figure 1). A network that memorises
follows the dashed curve of the denoiser that is optimal for its training set; one that
generalises has the same curve in both panels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.curves import draw_curve, noise_scale, size_styles
from gahb.figures.parts.figure import Aggregation, Figure, Inputs, Needs, Params, all_sizes
from gahb.figures.parts.style import PAGE_WIDTH, figure_style
from gahb.figures.parts.tables import Curve, choose, curve, one, read_tables
from gahb.options import Split

_PER_ROW = 6  # entries of the legend
_PANELS = {"own": "own training set", "test": "held-out test images"}
_AGGREGATIONS = {
    "mean_psnr": "mean over images of each image's PSNR",
    "psnr_of_mean_mse": "PSNR of the squared error averaged over images",
}


@dataclass(frozen=True)
class _Measured:
    sizes: list[int]
    network: dict[str, list[Curve]]  # by panel, then by growing set size
    memorising: dict[str, list[Curve]]
    specs: list[Spec]
    images: dict[str, list[int]]  # number of images behind the curves of a panel


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> _Measured:
    asked = dict(spec)
    tables = choose(
        read_tables(inputs), "psnr", experiment=asked["experiment"], split=asked["split"]
    )
    sizes = sorted({int(table.value("set_size")) for table in tables})
    network: dict[str, list[Curve]] = {panel: [] for panel in _PANELS}
    memorising: dict[str, list[Curve]] = {panel: [] for panel in _PANELS}
    images: dict[str, list[int]] = {panel: [] for panel in _PANELS}
    for size in sizes:
        for denoiser, curves in (("network", network), ("memorising", memorising)):
            table = one(
                [
                    table
                    for table in tables
                    if table.value("set_size") == size and denoiser in set(table.frame["denoiser"])
                ],
                f"the {denoiser} denoiser for N = {size}, {asked['experiment']}, {asked['split']}",
            )
            for panel in _PANELS:
                curves[panel].append(curve(table, denoiser, panel, asked["aggregation"]))
                shown = table.frame[table.frame["evaluated_on"] == panel]
                images[panel].append(int(shown["images"].max()))
    broken = [c for panel in _PANELS for c in network[panel] if not np.isfinite(c.psnr).all()]
    if broken:
        raise ArtifactError(
            f"the network table of N = {broken[0].set_size}, {asked['experiment']}, "
            f"{asked['split']} holds a PSNR that is not a finite number"
        )
    return _Measured(sizes, network, memorising, [table.spec for table in tables], images)


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: psnr tables of the networks and of the memorising denoisers, one each per N; tables
            of other experiments and splits are left aside.
        spec: ``title``, ``experiment``, ``aggregation``, ``split``.
    """
    measured = _measure(inputs, spec)
    below = 0.33 + 0.18 * -(-len(measured.sizes) // _PER_ROW)  # inches, for the legends
    height = 3.7 + below
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.set_layout_engine("constrained", rect=(0, below / height, 1, 1 - below / height))
    figure.suptitle(spec["title"])
    panels: Sequence[Axes] = figure.subplots(1, 2, sharex=True, sharey=True)
    styles = size_styles(len(measured.sizes))
    for axes, (panel, name) in zip(panels, _PANELS.items(), strict=True):
        axes.set_title(f"on {name}" if panel == "test" else f"on its {name}", pad=4)
        axes.axline((0, 0), slope=1, color="0.45", linewidth=0.9, linestyle=":")
        for place, style in enumerate(styles):
            colour = style["color"]
            exact, learned = measured.memorising[panel][place], measured.network[panel][place]
            axes.plot(exact.input_psnr, exact.psnr, color=colour, linestyle="--", linewidth=1)
            draw_curve(axes, learned.input_psnr, learned.psnr, learned.se, **style)
        axes.set_xlabel("input PSNR (dB)")
        noise_scale(axes)
    panels[0].set_ylabel("output PSNR (dB)")
    panels[0].set_xlim(*_limits([c.input_psnr for c in measured.network["own"]], 1.0))
    panels[0].set_ylim(*_heights(measured))
    _legend(figure, measured.sizes, styles)
    return figure


def _limits(values: list[np.ndarray], margin: float) -> tuple[float, float]:
    together = np.concatenate(values)
    return float(together.min()) - margin, float(together.max()) + margin


def _legend(figure: Drawing, sizes: list[int], styles: list[dict[str, Any]]) -> None:
    per_size = [
        Line2D([], [], label=f"N = {size}", **style)
        for size, style in zip(sizes, styles, strict=True)
    ]
    kinds = [
        Line2D([], [], color="0.3", label="network"),
        Patch(color="0.3", alpha=0.25, linewidth=0, label="± 1 standard error"),
        Line2D([], [], color="0.3", linestyle="--", linewidth=1, label="memorising denoiser"),
        Line2D([], [], color="0.45", linestyle=":", linewidth=0.9, label="output = input"),
    ]
    for handles, height in ((per_size, 0.24), (kinds, 0.02)):
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, height / figure.get_figheight()),
            ncols=min(len(handles), _PER_ROW),
        )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    measured = _measure(inputs, spec)
    lines = []
    for place, size in enumerate(measured.sizes):
        own, test = measured.network["own"][place], measured.network["test"][place]
        gap = own.psnr - test.psnr
        worst = int(np.abs(gap).argmax())
        lines.append(
            [
                str(size),
                f"{own.psnr.mean():.2f}",
                f"{test.psnr.mean():.2f}",
                f"{gap.mean():.2f}",
                f"{gap[worst]:.2f}",
                f"{test.sigma[worst]:g}",
            ]
        )
    largest = measured.network["test"][-1]
    gain = largest.psnr - largest.input_psnr
    least = int(gain.argmin())
    hidden = {
        panel: [
            str(exact.set_size)
            for exact, learned in zip(
                measured.memorising[panel], measured.network[panel], strict=True
            )
            if not np.isfinite(exact.psnr).all() or exact.psnr.max() > _heights(measured)[1]
        ]
        for panel in _PANELS
    }
    outside = "; ".join(
        f"on {_PANELS[panel]} for N = {', '.join(sizes)}"
        for panel, sizes in hidden.items()
        if sizes
    )
    return captions.caption(
        spec["title"],
        "Output PSNR against input PSNR (-20 log10 of the noise level) on the networks' own "
        "training sets (left) and on held-out test images (right), one curve per training set size "
        "N, with a band of one standard error either side. Dashed: the memorising denoiser, which "
        "is optimal when the images are exactly those of the training set. Dotted: output = input.",
        f"PSNR here is the {_AGGREGATIONS[spec['aggregation']]} "
        f"({captions.escape(spec['aggregation'])}).",
        f"Outside the axes, because it reproduces training images almost exactly: the memorising "
        f"denoiser {outside}."
        if outside
        else "",
        "Measured, in dB, averaged over the noise levels shown, and the largest difference:",
        captions.grid(("N", "own", "test", "own - test", "largest", "at sigma"), lines),
        f"For N = {measured.sizes[-1]} the output on test images exceeds the input by at least "
        f"{gain[least]:.2f} dB (at an input PSNR of {largest.input_psnr[least]:.1f} dB).",
        "The N at which memorising ends is a statement about this N, number of updates and width "
        "of network together: more updates memorise more images.",
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, split {spec['split']}, "
                f"N = {', '.join(map(str, measured.sizes))}",
                f"images: {_range(measured.images['own'])} of the own training set, "
                f"{_range(measured.images['test'])} of the test set",
            ]
        )
        + "\n"
        + captions.parameters(measured.specs),
    )


def _heights(measured: _Measured) -> tuple[float, float]:
    """Range of output PSNR shown: of the networks, and room to see the memorising optimum leave."""
    shown = [curve.psnr for panel in _PANELS for curve in measured.network[panel]]
    low, high = _limits(shown, 2.0)
    soaring = any(curve.psnr.max() > high for curve in measured.memorising["own"])
    return low, high + 0.25 * (high - low) * soaring


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


class TransitionFigure(Figure):
    """PSNR in and out, on training and test images, one curve per N (the paper's figure 1)."""

    experiment: str
    """whose networks are drawn, at every N"""
    split: Split
    """of the networks drawn"""
    aggregation: Aggregation
    """dB of the mean squared error, or mean over images of each one's dB"""

    def needs(self, params: Params) -> Needs:
        """Every N of one split, and the optimum for its training set."""
        networks = all_sizes(params, self.experiment, self.split)
        return Needs(networks=networks, memorising=networks)

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
