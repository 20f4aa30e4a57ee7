"""Images drawn in one call."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gahb.samples.draw import draw_samples
from gahb.samples.process import noise_levels
from gahb.samples.quick import sample
from gahb.samples.samplers.ode import FlowODE
from gahb.samples.samplers.score_ascent import SCORE_ASCENT


def wiener(y: Tensor, sigma: float) -> Tensor:
    return 0.5 + 0.05 / (0.05 + sigma**2) * (y - 0.5)


def test_samples_are_those_of_the_workflow():
    found = sample(wiener, 3, 8, sampler="ode", steps=6, seed=4)
    levels = tuple(noise_levels("geometric", 6, (0.02, 10.0)).tolist())
    expected = draw_samples(wiener, FlowODE(levels, 2), range(3), 8, 4).images
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert found.shape == (3, 1, 8, 8)


def test_samples_around_images_have_their_shape_and_variance():
    draws = torch.Generator().manual_seed(0)
    images = 0.5 + 0.05**0.5 * torch.randn(400, 3, 4, 6, generator=draws)
    found = sample(wiener, 200, around=images, sampler="ode", steps=16)
    assert found.shape == (200, 3, 4, 6)
    assert found.var() == pytest.approx(0.05, rel=0.1)


def test_a_sampler_that_was_built_and_a_blind_denoiser_are_taken():
    blind = sample(lambda y: 0.9 * y, 2, 8, sampler=SCORE_ASCENT["official"])
    assert blind.shape == (2, 1, 8, 8)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="shape: found none"):
        sample(wiener)
    with pytest.raises(ValueError, match=r"shape: found \(1, 9, 9\); the images around= have"):
        sample(wiener, shape=9, around=torch.rand(2, 8, 8))
    with pytest.raises(ValueError, match="there is no sampler 'euler'; there are ancestral"):
        sample(wiener, shape=8, sampler="euler")
    with pytest.raises(ValueError, match="steps: found 1, allowed is at least 2"):
        sample(wiener, shape=8, steps=1)
