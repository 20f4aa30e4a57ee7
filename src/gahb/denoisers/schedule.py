"""The learning rate of every update: a schedule, after a linear rise."""

from __future__ import annotations

from gahb.artifacts import Spec
from gahb.denoisers.choices import SCHEDULES
from gahb.options import module


def learning_rate(training: Spec, update: int) -> float:
    """Learning rate at ``update`` (0-based) of ``training["updates"]``.

    It follows the schedule that ``training["schedule"]`` names, and rises linearly over the first
    ``warmup`` updates.
    """
    decay = module(SCHEDULES, training["schedule"]).decay(update / training["updates"])
    warmup = min(1.0, (update + 1) / (training["warmup"] + 1))
    return float(training["learning_rate"] * decay * warmup)
