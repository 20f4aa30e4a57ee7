"""Errors of colour images, by denoisers of any signature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gahb.evaluation.measure import NoisySet, squared_differences, squared_errors
from gahb.evaluation.psnr import psnr_of_mean_mse
from gahb.randomness import image_noise

SHAPE = (3, 4, 6)


@pytest.fixture(scope="module")
def noisy() -> NoisySet:
    images = np.stack([image_noise(9, i, 0, 0, SHAPE) for i in range(5)])
    return NoisySet(np.arange(5), np.zeros(5, np.int64), torch.from_numpy(images))


class Shrinks(nn.Module):
    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        return y * (0.5 if sigma is None else 1 / (1 + sigma**2))


@pytest.mark.parametrize("wrap", ["plain", "compiled", "parallel"])
def test_errors_are_of_all_channels_and_wrapped_denoisers_are_told_the_level(noisy, wrap):
    module = Shrinks()
    if wrap == "compiled":
        module = torch.compile(module, backend="eager")
    elif wrap == "parallel":
        module = nn.DataParallel(module)
    sigmas = [0.5, 0.1]
    found = squared_errors(module, noisy, sigmas, seed=0)
    for level, sigma in enumerate(sigmas):
        for image in range(5):
            x = noisy.images[image].numpy()
            y = x + np.float32(sigma) * image_noise(0, image, level, 0, SHAPE)
            expected = np.mean((y / (1 + sigma**2) - x) ** 2)
            assert found[level, image] == pytest.approx(expected, rel=1e-5)
    assert psnr_of_mean_mse(found)[0][0] == pytest.approx(-10 * np.log10(found[0].mean()))


def test_blind_functions_and_differences(noisy):
    apart = squared_differences(lambda y: y, lambda y, sigma: y + sigma, noisy, [0.5], 0)
    np.testing.assert_allclose(apart, 0.25, rtol=1e-5)
    with pytest.raises(ValueError, match=r"needs t, which is not told: pass lambda y, sigma"):
        squared_errors(lambda y, t: y, noisy, [0.5], 0)
    with pytest.raises(ValueError, match="takes images of 1 channel, and these have 3"):
        squared_errors(nn.Conv2d(1, 1, 3, padding=1), noisy, [0.5], 0)
