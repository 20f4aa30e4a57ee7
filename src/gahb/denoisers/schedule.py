"""The learning rate of every update: a schedule, after a linear rise."""

from __future__ import annotations

from gahb.artifacts import Spec
from gahb.denoisers.choices import SCHEDULES
from gahb.options import module


def rate_share(training: Spec, update: int) -> float:
    """Share of the learning rate at ``update`` (0-based) of ``training["updates"]``.

    It follows the schedule that ``training["schedule"]`` names, and rises linearly over the first
    ``warmup`` updates.
    """
    decay = module(SCHEDULES, training["schedule"]).decay(update / training["updates"])
    return float(decay * min(1.0, (update + 1) / (training["warmup"] + 1)))


def learning_rate(training: Spec, update: int) -> float:
    """Learning rate at ``update``; under Muon, of what is left to Adam."""
    return float(training["learning_rate"] * rate_share(training, update))
