"""Denoisers of other libraries become f(y, sigma): by their own formulas, and by the libraries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gahb.denoisers.adapters import from_deepinv, from_diffusers, from_edm
from gahb.evaluation.curves import psnr_curve
from gahb.samples.process import alpha_bars, beta_schedule, sigma_of
from gahb.samples.samplers.ancestral import Ancestral
from gahb.samples.samplers.deterministic import Deterministic
from gahb.spectra.analysis import analyse

MEAN, VARIANCE = 0.4, 0.05  # of independent Gaussian pixels, of which the exact denoiser is known
PREDICTIONS = ("epsilon", "sample", "v_prediction")


def wiener(y: Tensor, sigma: float) -> Tensor:
    return MEAN + VARIANCE / (VARIANCE + sigma**2) * (y - MEAN)


def noisy(channels: int = 1, side: int = 8, count: int = 2) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    return 0.5 + 0.3 * torch.randn(count, channels, side, side, generator=draws)


def library(name: str) -> Any:
    return pytest.importorskip(
        name, reason=f"{name} is not installed: pip install 'gahb[adapters]'"
    )


class ExactNetwork(nn.Module):
    """What a perfect network of a diffusion process on [-1, 1] would predict of those pixels."""

    def __init__(self, prediction: str, shares: np.ndarray) -> None:
        super().__init__()
        self.prediction, self.log_shares = prediction, np.log(shares)

    def forward(self, x: Tensor, time: Tensor) -> SimpleNamespace:
        places = np.arange(len(self.log_shares))
        share = float(np.exp(np.interp(float(time[0]), places, self.log_shares)))
        level = ((1 - share) / share) ** 0.5 / 2
        image = 2 * wiener((x / share**0.5 + 1) / 2, level) - 1
        noise = (x - share**0.5 * image) / (1 - share) ** 0.5
        velocity = share**0.5 * noise - (1 - share) ** 0.5 * image
        answer = {"epsilon": noise, "sample": image, "v_prediction": velocity}[self.prediction]
        return SimpleNamespace(sample=answer)


def scheduler(prediction: str) -> SimpleNamespace:
    shares = torch.from_numpy(alpha_bars(beta_schedule("linear")))
    return SimpleNamespace(
        alphas_cumprod=shares, config=SimpleNamespace(prediction_type=prediction)
    )


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_every_prediction_of_a_diffusion_network_gives_the_image(prediction: str):
    process = scheduler(prediction)
    network = ExactNetwork(prediction, process.alphas_cumprod.numpy())
    denoiser, y = from_diffusers(network, process), noisy().double()
    for time in (3, 200, 700):  # levels of the process itself, where nothing is interpolated
        sigma = float(sigma_of(process.alphas_cumprod.numpy())[time]) / 2
        torch.testing.assert_close(denoiser(y, sigma), wiener(y, sigma), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(denoiser(y, 0.123), wiener(y, 0.123), rtol=1e-4, atol=1e-4)


def test_levels_and_predictions_that_the_process_lacks_are_named():
    process = scheduler("epsilon")
    denoiser = from_diffusers(ExactNetwork("epsilon", process.alphas_cumprod.numpy()), process)
    with pytest.raises(ValueError, match=r"found 0\.001; .* noise levels from 0\.005 to 78\.7"):
        denoiser(noisy(), 0.001)
    with pytest.raises(ValueError, match="told the noise level, found None"):
        denoiser(noisy(), None)
    with pytest.raises(ValueError, match="prediction_type: found 'score'"):
        from_diffusers(nn.Identity(), scheduler("score"))
    with pytest.raises(ValueError, match="intensities"):
        from_edm(nn.Identity(), intensities=(1, 0))


@pytest.mark.parametrize("training", [True, False])
def test_a_network_that_is_adapted_stays_in_its_mode_and_is_measured_in_evaluation(training: bool):
    process = scheduler("epsilon")

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.dropped = nn.Conv2d(1, 1, 1), nn.Dropout(0.5)

        def forward(self, x: Tensor, level: Any, class_labels: None = None) -> Tensor:
            return self.dropped(self.mix(x))

    network = Network().train(training)
    for denoiser in (
        from_deepinv(network),
        from_edm(network),
        from_edm(network, 0.5),
        from_diffusers(network, process),
    ):
        curves = [psnr_curve(denoiser, noisy(), [0.1])["psnr_of_mean_mse"][0] for _ in range(2)]
        assert curves[0] == curves[1]  # nothing is dropped
        assert all(part.training == training for part in network.modules())
        assert network.mix.weight.requires_grad


def test_a_raw_network_is_preconditioned_as_edm_does():
    sigma_data, y = (
        2 * VARIANCE**0.5,
        noisy().double(),
    )  # in [-1, 1], of which c_skip is the exact filter

    def raw(x: Tensor, c_noise: Tensor) -> Tensor:
        assert c_noise.shape == (len(x),)
        level = (4 * c_noise).exp().view(-1, 1, 1, 1)
        total = sigma_data**2 + level**2
        image = 2 * wiener((x * total**0.5 + 1) / 2, level / 2) - 1
        return (image - sigma_data**2 / total * x * total**0.5) / (level * sigma_data / total**0.5)

    def whole(x: Tensor, level: Tensor) -> Tensor:
        assert level.shape == (len(x), 1, 1, 1)
        return 2 * wiener((x + 1) / 2, level / 2) - 1

    for denoiser in (from_edm(raw, sigma_data), from_edm(whole)):
        torch.testing.assert_close(denoiser(y, 0.3), wiener(y, 0.3))


def test_a_deepinv_denoiser_is_told_the_level():
    models = library("deepinv.models")
    torch.manual_seed(0)
    model = models.DRUNet(1, 1, nc=(4, 4, 4, 4), nb=1, pretrained=None)
    denoiser, y = from_deepinv(model), noisy(side=16)
    with torch.no_grad():
        torch.testing.assert_close(denoiser(y, 0.2), model(y, 0.2), rtol=0, atol=0)
        assert not torch.equal(denoiser(y, 0.2), denoiser(y, 0.1))
    found = analyse(denoiser, y[0], y[0], 0.2, method="leading", eigenvectors=2)
    assert found.eigenvectors.shape == (2, 16, 16)


def test_the_preconditioning_is_that_of_deepinv():
    models = library("deepinv.models")
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 3, 3, padding=1)

    class Raw(nn.Module):
        def forward(self, x: Tensor, noise: Tensor, class_labels: None = None) -> Tensor:
            return convolution(x) + noise.view(-1, 1, 1, 1)

    whole, y = from_edm(models.EDMPrecond(Raw(), pixel_std=0.5)), noisy(3)
    torch.testing.assert_close(whole(y, 0.2), from_edm(Raw(), 0.5)(y, 0.2))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_unet_of_diffusers_predicts_what_its_scheduler_makes_of_it(prediction: str):
    diffusers = library("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
    )
    process = diffusers.DDPMScheduler(prediction_type=prediction, clip_sample=False)
    denoiser, y = from_diffusers(unet, process), noisy(3, 16)
    share = process.alphas_cumprod[400]
    sigma = float(((1 - share) / share).sqrt()) / 2
    with torch.no_grad():
        x = share.sqrt() * (2 * y - 1)
        expected = process.step(unet(x, 400).sample, 400, x).pred_original_sample
        found = denoiser(y, sigma)
    torch.testing.assert_close(found, (expected + 1) / 2, rtol=1e-4, atol=1e-4)
    analysis = analyse(denoiser, y[0], y[0], sigma, method="leading", eigenvectors=2)
    assert analysis.eigenvectors.shape == (2, 3, 16, 16)


@pytest.mark.parametrize("kind", ["DDPMScheduler", "DDIMScheduler"])
def test_samplers_step_as_those_of_diffusers(kind: str):
    diffusers = library("diffusers")
    process = getattr(diffusers, kind)(clip_sample=False, prediction_type="sample")
    process.alphas_cumprod = process.alphas_cumprod.double()
    process.set_timesteps(20)
    shares = process.alphas_cumprod.numpy()
    levels = tuple(sigma_of(shares[process.timesteps.numpy()]).tolist())
    draws = torch.Generator().manual_seed(1)
    noises = torch.randn(21, 2, 1, 8, 8, generator=draws, dtype=torch.float64)
    start = levels[0] * noises[0]

    x = start * shares[int(process.timesteps[0])] ** 0.5
    with pytest.MonkeyPatch.context() as patch:
        for step, time in enumerate(process.timesteps.tolist(), start=1):
            if kind == "DDPMScheduler":
                where = "diffusers.schedulers.scheduling_ddpm.randn_tensor"
                patch.setattr(where, lambda *_, z=noises[step], **__: z)
            share = shares[time]
            denoised = wiener(x / share**0.5, ((1 - share) / share) ** 0.5)
            x = process.step(denoised, time, x).prev_sample

    sampler = (Ancestral if kind == "DDPMScheduler" else Deterministic)(levels)
    found = sampler.run(wiener, start, lambda step, rows: noises[step], lambda *_: None).images
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)
