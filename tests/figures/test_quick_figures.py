"""Figures of what the library returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gahb.evaluation.curves import psnr_curve
from gahb.figures.parts.quick import plot_basis, plot_images, plot_psnr
from gahb.spectra.analysis import analyse


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_basis_is_drawn_of_any_number_of_channels(channels: int, tmp_path: Path):
    torch.manual_seed(0)
    network = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    clean = torch.rand(channels, 8, 12)
    found = analyse(network, clean, clean + 0.1 * torch.randn_like(clean), 0.1)
    figure = plot_basis(found, ranks=[1, 2, 5])
    spectrum, coefficients = figure.axes[3:5]
    np.testing.assert_array_equal(spectrum.lines[0].get_ydata(), found.eigenvalues)
    np.testing.assert_array_equal(
        coefficients.lines[0].get_ydata(), np.abs(found.clean_coefficients)
    )
    titles = [axes.get_title() for axes in figure.axes[5:]]
    assert titles == [f"k = {k}\nλ = {found.eigenvalues[k - 1]:.3f}" for k in (1, 2, 5)]
    figure.savefig(tmp_path / "basis.png")
    with pytest.raises(ValueError, match=r"ranks: found \[0\]; the analysis keeps .* 1 to"):
        plot_basis(found, ranks=[0])


def test_curves_are_drawn_by_name():
    images = torch.rand(3, 8, 8)
    curves = {
        name: psnr_curve(lambda y, f=f: f * y, images) for name, f in (("a", 1.0), ("b", 0.5))
    }
    (axes,) = plot_psnr(curves, "mean_psnr").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "output = input",
        "a",
        "b",
    ]
    np.testing.assert_allclose(
        np.sort(axes.lines[2].get_ydata()), np.sort(curves["b"]["mean_psnr"])
    )
    assert len(plot_psnr(curves["a"]).axes) == 1
    with pytest.raises(ValueError, match="curves: a has no median"):
        plot_psnr(curves, "median")
    with pytest.raises(ValueError, match="curves: found none"):
        plot_psnr({})


def test_images_are_drawn_in_rows():
    figure = plot_images(torch.rand(5, 3, 8, 8), titles=list("abcde"), columns=3)
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    assert figure.get_figwidth() <= 7
