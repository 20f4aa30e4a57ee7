"""Samples of several channels and oblong ones, by denoisers of any signature."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.likeness import closest, nearest_distances, nearest_scaled, similarity
from gahb.randomness import image_noise, image_shape
from gahb.samples.draw import draw_samples
from gahb.samples.samplers.ancestral import Ancestral
from gahb.samples.samplers.deterministic import Deterministic
from gahb.samples.samplers.ode import FlowODE
from gahb.samples.samplers.score_ascent import ScoreAscent
from gahb.samples.start import Start, sample_noise

SHAPE = (3, 4, 6)
LEVELS = (4.0, 1.0, 0.1)
MEAN, SPREAD = 0.5, 0.2
SAMPLERS = {
    "ancestral": Ancestral(LEVELS),
    "deterministic": Deterministic(LEVELS),
    "ode": FlowODE(LEVELS),
    "score ascent": ScoreAscent(0.5, 0.5, 4.0, 0.1, growing=False, known_level=True),
}


def wiener(y: Tensor, sigma: float) -> Tensor:
    """The conditional mean of white images about the mean."""
    return MEAN + (y - MEAN) * (SPREAD**2 / (SPREAD**2 + sigma**2))


class Module(nn.Module):
    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        assert sigma is not None
        return wiener(y, sigma)


@pytest.mark.parametrize("name", SAMPLERS)
def test_any_sampler_draws_colours(name):
    drawn = draw_samples(wiener, SAMPLERS[name], range(5), SHAPE, 0, followed=2, levels=(4.0, 1.0))
    assert drawn.images.shape == (5, *SHAPE)
    assert drawn.trajectories.noisy.shape == (2, 2, *SHAPE)
    started = MEAN + 4.0 * sample_noise(0, 1, 0, SHAPE)
    np.testing.assert_allclose(drawn.trajectories.noisy[1, 0], started, rtol=1e-6)
    alone = draw_samples(wiener, SAMPLERS[name], [3], SHAPE, 0).images[0]
    torch.testing.assert_close(alone, drawn.images[3])


def test_deterministic_steps_by_hand_whatever_the_denoiser_is_wrapped_in():
    z = torch.from_numpy(sample_noise(0, 0, 0, SHAPE)).double()
    factor = 1.0
    for sigma, after in zip(LEVELS, (*LEVELS[1:], 0.0), strict=True):
        kept = SPREAD**2 / (SPREAD**2 + sigma**2)
        factor *= kept + (1 - kept) * after / sigma
    expected = MEAN + factor * LEVELS[0] * z
    for denoiser in (
        Module(),
        torch.compile(Module(), backend="eager"),
        functools.partial(Module()),
        nn.DataParallel(Module()),
    ):
        drawn = draw_samples(denoiser, FlowODE(LEVELS, 1), [0], SHAPE, 0, dtype=torch.float64)
        torch.testing.assert_close(drawn.images[0], expected)


def test_blind_denoisers_need_no_parameter_for_the_level():
    blind = draw_samples(lambda y: y / 2, FlowODE(LEVELS), range(2), 4, 0).images
    told = draw_samples(lambda y, sigma: y / 2, FlowODE(LEVELS), range(2), 4, 0).images
    assert torch.equal(blind, told)
    with pytest.raises(ValueError, match=r"needs noise_level, .* denoiser\(y, noise_level=sigma\)"):
        draw_samples(lambda y, noise_level: y, FlowODE(LEVELS), range(2), 4, 0)


def test_a_network_in_training_or_half_precision_samples_in_float32():
    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)
            self.drop = nn.Dropout(0.5)

        def forward(self, y: Tensor) -> Tensor:
            return self.drop(self.conv(y))

    torch.manual_seed(0)
    network = Dropped().bfloat16().float()
    expected = draw_samples(network.eval(), FlowODE(LEVELS), range(3), SHAPE, 0).images
    found = draw_samples(network.train(), FlowODE(LEVELS), range(3), SHAPE, 0).images
    assert torch.equal(found, expected)
    assert network.training
    half = draw_samples(network.bfloat16(), FlowODE(LEVELS), range(3), SHAPE, 0).images
    torch.testing.assert_close(half, expected)


def test_covariance_of_a_start_of_colours():
    deviations = np.stack([image_noise(0, i, 0, 0, SHAPE) for i in range(4)]).astype(np.float64)
    start = Start(np.full(SHAPE, 0.3), deviations)
    drawn = np.stack([start.image(0, i, 0.0, SHAPE) for i in range(3000)]).reshape(3000, -1)
    flat = deviations.reshape(4, -1)
    expected = flat.T @ flat / 4
    assert np.abs(np.cov(drawn.T) - expected).max() < 0.15 * np.abs(expected).max()


def test_memorised_colours_are_found():
    images = torch.from_numpy(np.stack([image_noise(1, i, 0, 0, SHAPE) for i in range(6)]))
    copied = draw_samples(EmpiricalDenoiser(images), FlowODE((30.0, 1.0, 0.01)), range(8), SHAPE, 0)
    found, where = closest(copied.images, images, "correlation")
    assert found.min() > 0.999
    distances = nearest_distances(copied.images, images)
    assert distances[:, 0].max() < 0.01 < 1 < distances[:, 1].min()
    assert nearest_scaled(2 * copied.images, images, 0.95)[:, 0].max() < 0.02
    by_hand = np.corrcoef(copied.images[0].ravel(), images[where[0]].ravel())[0, 1]
    pair = similarity(copied.images[:1], images[where[:1]], "correlation")
    assert pair.item() == pytest.approx(by_hand, abs=1e-5)


def test_shapes():
    assert image_shape(4) == image_shape(np.int64(4)) == (1, 4, 4)
    assert image_shape(SHAPE) == SHAPE
    with pytest.raises(
        ValueError, match=r"shape: found \(4, 6\), allowed is a side of at least 1, or the shape"
    ):
        image_shape((4, 6))
    assert np.array_equal(image_noise(0, 1, 2, 3, 5), image_noise(0, 1, 2, 3, (1, 5, 5)))
    assert sample_noise(0, 1, 2, 5).tobytes() == sample_noise(0, 1, 2, (1, 5, 5)).tobytes()
