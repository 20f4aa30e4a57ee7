"""The sections ``evaluation`` and ``ensembles`` of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gahb.options import Count, Names, Options, Seed, SigmaRange, Sigmas, Threads, wrong


class Evaluation(Options):
    """PSNR on the own training set, the other split's and the test set; noise fixed per image and level."""

    seed: Seed
    """of the noise, with the image and the level"""
    sigmas: Sigmas
    """noise levels, on the scale of intensities in [0, 1]"""
    images: Annotated[Count, Field(ge=2)]
    """images per set, at most"""
    minimum_draws: Annotated[Count, Field(ge=2)]
    """noise draws per set, at least; images of smaller sets are drawn repeatedly"""
    slope_window: SigmaRange
    """[lowest, highest] sigma of the slope fits"""
    references: dict[str, Names] = {}
    """which of references are measured, by image class"""
    controls: dict[str, str] = {}
    """experiments, and to each the one whose networks of S1 saw the same images with another seed: compared
    as those of S1 and S2 are"""
    threads: Threads
    """processor threads; they change the last bits"""

    @model_validator(mode="after")
    def _window_holds_levels(self) -> Evaluation:
        low, high = self.slope_window
        inside = [sigma for sigma in self.sigmas if low <= sigma <= high]
        if len(inside) < 3:
            allowed = f"a window of at least 3 of evaluation.sigmas; it holds {len(inside)}"
            raise wrong([low, high], allowed, "slope_window")
        return self


class Elbo(Options):
    """The evidence lower bound of denoisers of Gaussian fields, beside the exact log-likelihood."""

    steps: Annotated[Count, Field(ge=2)]
    """noise levels of the chain, evenly spaced in dB"""
    sigma_range: SigmaRange
    """[lowest, highest] noise level of the chain"""
    images: Annotated[Count, Field(ge=2)]
    """test images, at most, each with one draw of noise per level"""


class Ensembles(Options):
    """Networks of disjoint training sets on the same noisy images, beside exact denoisers."""

    seed: Seed
    """of the noise, with the image and the level"""
    experiments: Names
    """whose networks are compared, for every set size, and at every snapshot"""
    sigmas: Sigmas
    """noise levels, in ascending order; the bound on the density is integrated over those that were
    trained at, and apart from that over those above"""
    sigmas_over_training: Sigmas
    """those of sigmas that networks are compared at before the end of their training"""
    images: Annotated[Count, Field(ge=2)]
    """test images, and images of each training set, at most"""
    elbo: Elbo | None = None
    """of experiments on Gaussian fields: the variational bound of a discrete reverse process"""
    threads: Threads
    """processor threads; they change the last bits"""

    @model_validator(mode="after")
    def _levels_ascend(self) -> Ensembles:
        if self.sigmas != sorted(self.sigmas):
            raise wrong(self.sigmas, "noise levels in ascending order", "sigmas")
        for index, sigma in enumerate(self.sigmas_over_training):
            if sigma not in self.sigmas:
                allowed = f"one of {', '.join(map(str, self.sigmas))}"
                raise wrong(sigma, allowed, "sigmas_over_training", index)
        return self
