"""PSNR curves and agreement of anybody's denoisers, on images of any sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gahb.datasets.store import Dataset
from gahb.denoisers.classical.wavelets import WaveletDenoiser
from gahb.denoisers.networks import NetworkDenoiser, UNet
from gahb.denoisers.weights import load_denoiser
from gahb.evaluation.curves import agreement, psnr_curve
from gahb.evaluation.evaluate import psnr_table
from gahb.evaluation.measure import noisy_set, squared_errors
from gahb.randomness import image_noise

SIGMAS = [0.3, 0.1]


def test_a_curve_is_a_table_of_the_workflow(dataset: Dataset, trained):
    denoiser, _ = load_denoiser(trained(16, "S1"))
    clean = dataset.images(np.arange(6))
    found = psnr_curve(denoiser, clean, SIGMAS, repeats=2, seed=3)
    noisy = noisy_set(dataset, np.arange(6), 6, 12)
    errors = squared_errors(denoiser, noisy, SIGMAS, seed=3)
    expected = psnr_table("", {"": errors}, {"": noisy}, SIGMAS)
    assert found["draws"].tolist() == [12, 12]
    for column in found:
        np.testing.assert_allclose(found[column], expected[column])


def test_sizes_and_channels_may_differ(tmp_path: Path):
    def halved(y: Tensor, sigma: float) -> Tensor:
        return y / 2

    images = [torch.rand(3, 4, 6), torch.rand(4, 4), torch.rand(3, 4, 6)]
    found = psnr_curve(halved, images, SIGMAS, seed=1)
    errors = []
    for index, image in enumerate(images):
        clean = image.view(-1, *image.shape[-2:]).numpy()
        y = clean + 0.1 * image_noise(1, index, 1, 0, clean.shape)
        errors.append(np.square(y / 2 - clean).mean())
    assert found["psnr_of_mean_mse"][1] == pytest.approx(-10 * np.log10(np.mean(errors)), abs=1e-4)
    assert found["mean_psnr"][1] == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-4)
    for name, side in (("a.png", 256), ("b.png", 512)):
        Image.fromarray(np.full((side, side), 128, np.uint8)).save(tmp_path / name)
    identity = psnr_curve(lambda y: y, tmp_path, [0.1])
    assert identity["psnr_of_mean_mse"][0] == pytest.approx(20, abs=0.05)
    assert identity["images"][0] == 2


def test_a_denoiser_gets_a_few_images_at_once_and_fewer_large_ones():
    seen = []

    def noted(y: Tensor) -> Tensor:
        seen.append(tuple(y.shape))
        return y

    psnr_curve(noted, [*torch.rand(2, 256, 256), *torch.rand(40, 8, 8)], [0.1])
    tried, measured = seen[:2], seen[2:]
    assert tried == [(1, 1, 256, 256), (1, 1, 8, 8)]
    assert measured == [(1, 1, 256, 256)] * 2 + [(32, 1, 8, 8), (8, 1, 8, 8)]


def test_what_is_doubted_is_told_once_and_by_name():
    def bytewise(y: Tensor) -> Tensor:
        return 255 * y

    with pytest.warns(RuntimeWarning, match="the denoiser bytewise seems to answer") as told:
        psnr_curve(bytewise, torch.rand(2, 8, 8), [0.1])
    assert len(told) == 1


def test_an_oracle_is_given_the_clean_images():
    images = torch.rand(2, 8, 8)
    oracle, blind = (
        psnr_curve(WaveletDenoiser("haar", rule), images, [0.3])["psnr_of_mean_mse"][0]
        for rule in ("oracle", "universal")
    )
    assert oracle > blind
    with pytest.raises(ValueError, match=r"grey images \(B, 1, H, W\), found \(2, 3, 8, 8\)"):
        psnr_curve(WaveletDenoiser("haar", "oracle"), torch.rand(2, 3, 8, 8), [0.3])


def test_one_draw_has_no_standard_error():
    found = psnr_curve(lambda y: y, torch.rand(1, 8, 8), [0.1])
    assert np.isnan(found["psnr_of_mean_mse_se"][0])


def test_agreement_compares_outputs_on_the_same_noise():
    images = torch.rand(4, 8, 8)
    same = agreement(lambda y: y / 2, lambda y, sigma: y / 2, images, SIGMAS)
    assert np.isinf(same["psnr_between"]).all()
    apart = agreement(lambda y: y, lambda y: y + 0.1, images, SIGMAS)
    np.testing.assert_allclose(apart["psnr_between"], 20, atol=1e-4)
    assert apart["images"].tolist() == [4, 4]


def test_wrong_levels_are_named():
    for sigmas in ([], [0.1, 0], [np.inf]):
        with pytest.raises(ValueError, match="sigmas: found"):
            psnr_curve(lambda y: y, torch.rand(1, 8, 8), sigmas)
    with pytest.raises(ValueError, match="repeats: found 0"):
        psnr_curve(lambda y: y, torch.rand(1, 8, 8), repeats=0)


def test_one_level_needs_no_list():
    images = torch.rand(2, 8, 8)
    assert psnr_curve(lambda y: y, images, 0.1).equals(psnr_curve(lambda y: y, images, [0.1]))
    halved = agreement(lambda y: y, lambda y: y / 2, images, np.float32(0.1))
    assert halved["sigma"].tolist() == pytest.approx([0.1])


def test_a_size_that_does_not_fit_is_named_before_any_is_measured(tmp_path: Path):
    seen = []

    class Noted(UNet):
        def forward(self, y: Tensor) -> Tensor:
            seen.append(len(y))
            return super().forward(y)

    denoiser = NetworkDenoiser(Noted(1, 2)).eval()
    images = [*torch.rand(5, 8, 8), torch.rand(10, 8), torch.rand(9, 8)]
    with pytest.raises(ValueError, match=r"images\[6\], \(1, 9, 8\): .* multiples of 2, found"):
        psnr_curve(denoiser, images, SIGMAS)
    assert seen == [1, 1, 1]
    for name, side in (("a.png", 256), ("b.png", 257)):
        Image.fromarray(np.full((side, side), 128, np.uint8)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"b\.png, \(1, 257, 257\): .* multiples of 2"):
        agreement(lambda y: y, denoiser, tmp_path, SIGMAS)


def test_a_module_may_have_a_batch_that_is_no_number():
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.batch = torch.nn.BatchNorm2d(1)

        def forward(self, y: Tensor) -> Tensor:
            return y

    found = psnr_curve(Own(), torch.rand(2, 16, 16), 0.1)
    assert found["psnr_of_mean_mse"][0] == pytest.approx(20, abs=1)
