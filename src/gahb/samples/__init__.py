"""Diffusion: the forward process, samplers, and what two networks make of the same noise."""

from gahb.samples.process import alpha_bars, beta_schedule, noise_levels, sigma_of
from gahb.samples.run import sample_pair
from gahb.samples.samplers import (
    SCORE_ASCENT,
    Ancestral,
    Deterministic,
    FlowODE,
    Sampler,
    ScoreAscent,
    build_sampler,
)
from gahb.samples.sampling import Samples, draw_samples
from gahb.samples.store import read_samples

__all__ = [
    "SCORE_ASCENT",
    "Ancestral",
    "Deterministic",
    "FlowODE",
    "Sampler",
    "Samples",
    "ScoreAscent",
    "alpha_bars",
    "beta_schedule",
    "build_sampler",
    "draw_samples",
    "noise_levels",
    "read_samples",
    "sample_pair",
    "sigma_of",
]
