"""Muon on the hidden convolutions, Adam on all else: first and last one, gains, biases, matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from gahb.denoisers.muon import Together

FASTER = 2.0  # the rate of hidden convolutions, in units of that of Adam


def build(network: torch.nn.Module, rate: float, images: torch.Tensor) -> Together:
    """The optimiser of all parameters: Adam at ``rate``, Muon at twice that; no weight decay.

    Args:
        network: whose parameters they are.
        rate: of Adam.
        images: (B, C, H, W) as the network will get, to see which of its convolutions are hidden.
    """
    import torch

    from gahb.denoisers.muon import Muon, Together, hidden_convolutions

    hidden = hidden_convolutions(network, images)
    known = {id(parameter) for parameter in hidden}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    parts: list[torch.optim.Optimizer] = []
    if others:
        parts.append(torch.optim.Adam(others, lr=rate, fused=True))
    if hidden:
        parts.append(Muon(hidden, lr=FASTER * rate))
    return Together(*parts)
