"""One noise level of a batch in each of equal parts of [0, 1].

Without it the batch's mean energy of noise, and with it the scale that normalisations divide by, fluctuates
by 12 % for batches of 32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw(count: int, draws: torch.Generator) -> Tensor:
    """Draws of U(0, 1) that noise levels are made of: (count,)."""
    strata = torch.randperm(count, generator=draws, device=draws.device)
    return (strata + torch.rand(count, generator=draws, device=draws.device)) / count
