"""The learning rate falls to zero along half a period of a cosine."""

import math


def decay(share: float) -> float:
    """Factor of the learning rate when ``share`` of all updates is done."""
    return 0.5 * (1 + math.cos(math.pi * share))
