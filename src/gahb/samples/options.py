"""The section ``sampling`` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gahb.options import Count, Names, Number, Options, Seed, Threads, Variant, wrong
from gahb.samples.sampler import SAMPLERS, SamplerOptions

ChosenSampler = Annotated[SamplerOptions, Variant(SAMPLERS, "kind")]


class Sampling(Options):
    """The networks of S1 and S2 sample from the same noise."""

    seed: Seed
    """of the start and injected noise, which depends on it, the sample and the step alone"""
    experiments: Names
    """whose networks sample; each must have both splits"""
    sampler: ChosenSampler
    """ancestral: the reverse process with x0-prediction; deterministic: the same without noise (DDIM); ode:
    the probability flow by a multistep method; score_ascent: the paper's Algorithm 1; an experiment
    may have another"""
    samples: Annotated[Count, Field(ge=2)]
    """number of samples of each network"""
    start: Literal["white", "covariance"]
    """what sampling starts from at its highest noise level: white, noise about `start_mean`; covariance,
    noise added to Gaussian images of the mean and covariance of the first training images of both halves,
    2048 at most, whatever N is: it leaks these second-order statistics of the class to every network,
    and nothing else"""
    start_mean: Annotated[Number, Field(ge=0, le=1)]
    """mean intensity of a white start"""
    shown: Count
    """number of samples whose trajectory and closest training images are kept as images"""
    levels_kept: Annotated[Count, Field(ge=2)]
    """noise levels, evenly spaced in dB, at which the images of a trajectory are kept"""
    duplicate_threshold: Annotated[Number, Field(gt=0, lt=1)]
    """similarity above which two images count as copies of each other"""
    precision: Literal["auto", "float32", "bfloat16"]
    """of the network's products; images between its calls are kept in float32"""
    threads: Threads
    """processor threads; they change the last bits"""

    @model_validator(mode="after")
    def _shown_are_drawn(self) -> Sampling:
        if self.shown > self.samples:
            allowed = f"at most {self.samples}, the number of samples"
            raise wrong(self.shown, allowed, "shown")
        return self
