"""The learning rate is halved after each tenth of the run: the published code's schedule."""

import math


def decay(share: float) -> float:
    """Factor of the learning rate when ``share`` of all updates is done."""
    return float(0.5 ** math.floor(10 * share))
