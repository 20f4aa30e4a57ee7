"""Figure "optimum": networks trained on disks against the exact posterior mean.

Antialiased disks form a manifold of five dimensions, so that the error of the optimal denoiser tends to
5 σ²/d and its Jacobian to the projection on five tangent directions (Kadkhodaie et al., ICLR 2024,
figure 5); of disks with hard edges or integer parameters only the two greys remain. Test PSNR and the
gap to the optimum; eigenvalues of both Jacobians, and how many are too many against σ; the tangent
directions above the network's leading eigenvectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from gahb.datasets.classes.disks import Disks
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts.beside import (
    check_same_levels,
    count_of_test_images,
    curve_on_test,
    gap_to,
    network_spectra,
    network_table,
    reference_spectra,
    reference_table,
    same_noisy_image,
    small_noise_gain,
)
from gahb.figures.parts.curves import (
    EXACT,
    EXACT_COLOUR,
    IDENTITY,
    draw_curve,
    limits,
    sigma_axis,
    size_styles,
)
from gahb.figures.parts.eigenbases import read_eigenvalues
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params, all_sizes
from gahb.figures.parts.optimum import Measured, quadrature, shares
from gahb.figures.parts.over_images import mean_and_se, read_over_images
from gahb.figures.parts.panels import name_row, place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, line, page
from gahb.figures.parts.tables import choose, read_tables
from gahb.options import Count, Index, Number, Sigma, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_SHOWN = 30  # eigenvalues
_NETWORK: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 0.9}
_EXACT_POINTS = EXACT | {"marker": "D", "markersize": 3, "markerfacecolor": "white"}
_LIMIT: dict[str, Any] = {"color": "0.1", "linewidth": 1.0, "linestyle": "-."}

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.62
_PANEL = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
_UPPER, _LOWER = (0.62, 1.75), (3.5, 1.4)  # top and height of the two rows of panels
_IMAGES, _IMAGE, _TILE, _GAP = 5.75, 1.1, 0.78, 0.06  # top of the images; sides
_TITLE = 0.36  # above an image or an eigenvector
_PER_ROW = 5  # eigenvectors


class OptimumFigure(Figure):
    """Networks beside the optimum, on disks (the paper's figure 5)."""

    experiment: str
    """one on disks"""
    split: Split
    """of the networks drawn"""
    reference: str
    """the entry of references that is exact for the image class"""
    set_size: Count
    """the network whose eigenvectors are shown"""
    image: Index
    """position in the test set"""
    sigma: Sigma
    """noise level of the image"""
    eigenvectors: Annotated[Count, Field(le=20)]
    """how many leading ones of the network are shown"""
    threshold: Annotated[Number, Field(gt=0, lt=1)]
    """eigenvalues above it are counted"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Disks."""
        return issubclass(images, Disks)

    def needs(self, params: Params) -> Needs:
        """Every N, the optimum, and the spectra of both."""
        reference = ((self.experiment, self.reference),)
        return Needs(
            tables=("gaps",),
            networks=all_sizes(params, self.experiment, self.split),
            references=reference,
            spectra=((self.experiment, self.set_size, self.split),),
            reference_spectra=reference,
        )

    def measure(self, inputs: Inputs) -> Measured:
        """Read curves and gaps, and the spectra of network and optimum at the same noisy images."""
        experiment, split, reference = self.experiment, self.split, self.reference
        tables = read_tables(inputs)
        evaluated = choose(tables, "psnr", experiment=experiment, split=split)
        sizes = sorted({int(table.value("set_size")) for table in evaluated})
        networks = [network_table(tables, experiment, size, split) for size in sizes]
        image_class = networks[0].value("image_class")
        exact = reference_table(tables, image_class, reference)
        dimension, gain = small_noise_gain(exact.spec)
        paths = (
            network_spectra(inputs, experiment, self.set_size, split),
            reference_spectra(inputs, image_class, reference),
        )
        learned, optimal = same_noisy_image(paths, self.image, self.sigma)
        every = [read_eigenvalues(path) for path in paths]
        check_same_levels(*every)
        order = np.argsort(every[0].sigma)
        tangent = np.stack([optimal.eigenvector(k + 1) for k in range(dimension)])
        leading = np.stack([learned.eigenvector(k + 1) for k in range(self.eigenvectors)])
        over = {
            name: read_over_images(path, self.sigma)
            for name, path in zip(("network", "exact"), paths, strict=True)
        }
        at_all = [over[name].eigenvectors for name in ("network", "exact")]
        gaps = [gap_to(tables, experiment, size, split, reference) for size in sizes]
        optimum = curve_on_test(exact)
        return Measured(
            networks=[gap.network(optimum) for gap in gaps],
            exact=optimum,
            gaps=gaps,
            dimension=dimension,
            gain=gain,
            learned=learned,
            optimal=optimal,
            sigma=every[0].sigma[order],
            counts={
                name: values.above(self.threshold)[:, order]
                for name, values in zip(over, every, strict=True)
            },
            over=over,
            shares=shares(leading, tangent),
            all_shares=np.stack(
                [
                    shares(ours[: self.eigenvectors], best[:dimension])
                    for ours, best in zip(*at_all, strict=True)
                ]
            ),
            exact_images=count_of_test_images(exact),
            quadrature=quadrature(exact.frame, optimum),
            specs=[*(t.spec for t in networks), exact.spec, learned.spec, optimal.spec],
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        gap = measured.gaps[-1]
        return (
            f"At N = {gap.set_size} the network is {gap.gap.min():.1f} to {gap.gap.max():.1f} dB "
            "below the exact posterior mean"
        )

    def draw(self, measured: Measured) -> Drawing:
        """Above, curves and gaps; then eigenvalues and counts of them; below, the eigenvectors."""
        rows = -(-measured.dimension // _PER_ROW) - (-self.eigenvectors // _PER_ROW)
        images = max(rows * (_TILE + _TITLE), 2 * (_IMAGE + _TITLE)) - _TITLE
        drawing = page(_IMAGES + images + 0.08, self.heading(measured), below=0.1)
        right = _LEFT + _PANEL + _BETWEEN
        upper = [place(drawing, left, _UPPER[0], _PANEL, _UPPER[1]) for left in (_LEFT, right)]
        _curves(upper[0], upper[1], measured)
        _curve_legend(drawing, measured)
        lower = [place(drawing, left, _LOWER[0], _PANEL, _LOWER[1]) for left in (_LEFT, right)]
        network = _NETWORK | {"color": size_styles(1)[0]["color"]}
        self._eigenvalues(lower[0], measured, network)
        self._counts(lower[1], measured, network)
        _four_images(drawing, measured, 0.12)
        _tiles(drawing, measured, PAGE_WIDTH - 0.08 - _PER_ROW * _TILE - (_PER_ROW - 1) * _GAP)
        return drawing

    def _eigenvalues(self, axes: Axes, measured: Measured, network: dict[str, Any]) -> None:
        from matplotlib.ticker import MultipleLocator

        network_values, exact_values = (
            mean_and_se(measured.over[which].eigenvalues[:, :_SHOWN])
            for which in ("network", "exact")
        )
        k = np.arange(1, network_values[0].size + 1)
        axes.axhline(self.threshold, **IDENTITY)
        axes.axvline(measured.dimension + 0.5, color="0.6", linewidth=0.8)
        name = f"network, N = {self.set_size}"
        draw_curve(axes, k, *network_values, label=name, **network)
        draw_curve(axes, k, *exact_values, label="exact", **_EXACT_POINTS)
        axes.set_title(f"eigenvalues, σ = {measured.learned.sigma:g}")
        axes.set_xlabel("k")
        axes.set_ylabel("eigenvalue λ$_k$")
        axes.xaxis.set_major_locator(MultipleLocator(5))
        axes.set_xlim(0.3, k.size + 0.7)
        middle = network_values[0][k.size // 2 :]
        low, high = axes.get_ylim()
        axes.legend(loc="upper right" if middle.mean() < (low + high) / 2 else "lower right")

    def _counts(self, axes: Axes, measured: Measured, network: dict[str, Any]) -> None:
        from matplotlib.ticker import MaxNLocator

        dimension, counts = measured.dimension, measured.counts
        axes.axhline(dimension, label=f"{dimension}, the dimension of the manifold", **_LIMIT)
        means = {name: mean_and_se(count) for name, count in counts.items()}
        draw_curve(axes, measured.sigma, *means["network"], label="network", **network)
        draw_curve(axes, measured.sigma, *means["exact"], label="exact", **_EXACT_POINTS)
        axes.set_ylim(0, 1.6 * max(*(mean.max() for mean, _ in means.values()), dimension))
        sigma_axis(axes, measured.sigma)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_title(f"eigenvalues above {self.threshold:g}")
        axes.set_ylabel("how many")
        axes.legend(loc="upper right")


def _curves(left: Axes, right: Axes, measured: Measured) -> None:
    """Test PSNR of all networks and of the optimum; the gaps between them."""
    exact = measured.exact
    left.axline((0, 0), slope=1, **IDENTITY)
    left.axline((0, measured.gain), slope=1, **_LIMIT)
    right.axhline(0, **EXACT)
    for learned, gap, style in zip(
        measured.networks, measured.gaps, size_styles(len(measured.networks)), strict=True
    ):
        draw_curve(left, learned.input_psnr, learned.psnr, learned.se, **style)
        draw_curve(right, gap.input_psnr, gap.gap, gap.se, **style)
    draw_curve(left, exact.input_psnr, exact.psnr, exact.se, zorder=3, **EXACT)
    left.set_title("on held-out test images")
    left.set_ylabel("output PSNR (dB)")
    right.set_title("exact minus network")
    right.set_ylabel("PSNR gap (dB)")
    for axes in (left, right):
        axes.set_xlabel("input PSNR (dB)")
        axes.set_xlim(*limits([exact.input_psnr], 1.0))
    left.set_ylim(*limits([exact.psnr, *(c.psnr for c in measured.networks)], 2.0))


def _curve_legend(drawing: Drawing, measured: Measured) -> None:
    styles = size_styles(len(measured.networks))
    sizes = [
        line(f"N = {learned.set_size}", **style)
        for learned, style in zip(measured.networks, styles, strict=True)
    ]
    lines = [
        line("exact posterior mean", **EXACT),
        line(f"MSE = {measured.dimension} σ²/d", **_LIMIT),
        line("output = input", **IDENTITY),
    ]
    bottom = _UPPER[0] + _UPPER[1]
    for handles, top in ((sizes, bottom + 0.37), (lines, bottom + 0.56)):
        drawing.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - top / drawing.get_figheight()),
            ncols=len(handles),
            borderpad=0,
        )


def _four_images(drawing: Drawing, measured: Measured, left: float) -> None:
    learned, optimal = measured.learned, measured.optimal
    for number, (title, image) in enumerate(
        (
            ("clean", learned.clean),
            (f"noisy\n{learned.input_psnr:.1f} dB", learned.noisy),
            (f"network\n{learned.output_psnr:.1f} dB", learned.denoised),
            (f"exact\n{optimal.output_psnr:.1f} dB", optimal.denoised),
        )
    ):
        row, column = divmod(number, 2)
        at = left + column * (_IMAGE + _GAP)
        axes = place(drawing, at, _IMAGES + row * (_IMAGE + _TITLE), _IMAGE, _IMAGE)
        show_image(axes, image, title)


def _tiles(drawing: Drawing, measured: Measured, left: float) -> None:
    """Tangent directions of the exact denoiser, then the network's leading eigenvectors."""
    row = 0
    for name, basis, count, colour in (
        ("exact", measured.optimal, measured.dimension, EXACT_COLOUR),
        ("network", measured.learned, len(measured.shares), size_styles(1)[0]["color"]),
    ):
        for start in range(0, count, _PER_ROW):
            top = _IMAGES + row * (_TILE + _TITLE)
            style = {"color": colour, "fontweight": "bold"}
            name_row(drawing, name, left - 0.06, top + _TILE / 2, **style)
            for k in range(start, min(start + _PER_ROW, count)):
                axes = place(drawing, left + (k - start) * (_TILE + _GAP), top, _TILE, _TILE)
                share = "" if name == "exact" else f"\nshare {measured.shares[k]:.2f}"
                title = f"λ$_{{{k + 1}}}$ = {basis.eigenvalues[k]:.3f}{share}"
                show_eigenvector(axes, basis.eigenvector(k + 1), title)
            row += 1
