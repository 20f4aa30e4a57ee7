"""The public interface: every name loads when it is used, and no sooner."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gahb


@pytest.mark.parametrize("name", gahb.__all__)
def test_every_public_name_loads(name: str):
    found = getattr(gahb, name)
    assert name in dir(gahb)
    assert getattr(found, "__name__", name) == name


def test_importing_the_package_loads_nothing_heavy(environment: dict[str, str]):
    heavy = ("torch", "numpy", "pandas", "h5py", "matplotlib", "pydantic")
    code = f"import gahb, sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="Diffusion"):
        gahb.Diffusion  # noqa: B018


IMAGES = torch.rand(2, 8, 8)
SAMPLER = gahb.FlowODE((1.0, 0.5))
RAYS = gahb.Rays(size=8, seed=0, exponent=4.0)
ERRORS = np.ones((1, 3, 1)), None, np.ones(1), 64


def halved(y: Tensor) -> Tensor:
    return y / 2


@pytest.mark.parametrize(
    ("told", "call"),
    [
        ("repeats: found 1.5", lambda: gahb.psnr_curve(halved, IMAGES, 0.1, repeats=1.5)),
        ("repeats: found '2'", lambda: gahb.agreement(halved, halved, IMAGES, 0.1, repeats="2")),
        ("sigmas: found None", lambda: gahb.psnr_curve(halved, IMAGES, None)),
        (r"sigmas: found \[0.1\]", lambda: gahb.psnr_curve(halved, IMAGES, [[0.1]])),
        ("sigma: found None", lambda: gahb.analyse(halved, IMAGES[0], IMAGES[0], None)),
        ("found 2.5 eigenv", lambda: gahb.analyse(halved, *IMAGES, 0.1, eigenvectors=2.5)),
        ("found 2.5 eigenv", lambda: gahb.eigenbasis(halved, IMAGES[0], 2.5)),
        ("batch_size: found 0", lambda: gahb.LinearisedDenoiser(halved, IMAGES[0], batch_size=0)),
        ("ranks: found", lambda: gahb.plot_basis(gahb.analyse(halved, *IMAGES, 0.1), [1.5])),
        ("columns: found 0", lambda: gahb.plot_images(IMAGES, columns=0)),
        ("titles: found 1, expected 2", lambda: gahb.plot_images(IMAGES, ["a"])),
        ("count: found 2.5", lambda: gahb.sample(halved, 2.5, 8)),
        ("shape: found 8.5", lambda: gahb.sample(halved, 2, 8.5)),
        (r"shape: found \(1, 8.5, 8\)", lambda: gahb.sample(halved, 2, (1, 8.5, 8))),
        ("numbers: found 4", lambda: gahb.draw_samples(halved, SAMPLER, 4, 8, 0)),
        ("batch: found 0", lambda: gahb.draw_samples(halved, SAMPLER, range(2), 8, 0, batch=0)),
        ("steps: found 2.5", lambda: gahb.noise_levels("geometric", 2.5, (0.1, 1))),
        ("sigma_range: found 0.1", lambda: gahb.noise_levels("geometric", 3, 0.1)),
        ("order: found 1.5", lambda: gahb.FlowODE((1.0, 0.5), 1.5)),
        ("levels: found 1.0", lambda: gahb.Ancestral(1.0)),
        ("trained: found 0.1", lambda: gahb.density_bound([0.1, 0.2, 0.3], *ERRORS, 0.1)),
        ("blocks: found 1.5", lambda: gahb.UNet(1.5)),
        ("layers: found 3.5", lambda: gahb.BFCNN(3.5)),
        ("levels: .* found 1.5", lambda: gahb.WaveletDenoiser(levels=1.5)),
        ("moments: .* found 1.5", lambda: gahb.BandletDenoiser(moments=1.5)),
        ("batch: found 1.5", lambda: gahb.EmpiricalDenoiser(IMAGES, batch=1.5)),
        ("count: found 2.0", lambda: RAYS.render(0, 2.0)),
    ],
)
def test_counts_and_levels_that_are_none_are_refused_by_name(told: str, call: Callable[[], Any]):
    with pytest.raises(ValueError, match=told):
        call()


def test_one_rank_or_level_needs_no_list():
    assert gahb.plot_basis(gahb.analyse(halved, *IMAGES, 0.1), 3).axes
    options = {"followed": 1, "levels": 0.5}
    drawn = gahb.draw_samples(halved, SAMPLER, np.arange(2), 8, 0, **options)
    assert drawn.trajectories.kept_sigma.shape == (1, 1)
