"""A network as it was before something was tried with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_REGISTERED = ("_parameters", "_buffers", "_modules")


class Before:
    """What a network is made of and keeps now, to be brought back after a trial.

    What layers keep in lists and dictionaries of their own is not known.
    """

    def __init__(self, network: nn.Module) -> None:
        known = [one for one in tensors_of(network).values() if not is_lazy(one)]
        self._values = [(one, one.detach().clone()) for one in known]
        attributes = [vars(part) for part in network.modules()]
        registered = [own.get(name) for own in attributes for name in _REGISTERED]
        held = attributes + [one for one in registered if isinstance(one, dict)]
        self._held = [(one, dict(one)) for one in held]

    @torch.no_grad()
    def bring_back_values(self) -> None:
        """Those of parameters and buffers, in place."""
        for one, value in self._values:
            one.copy_(value)

    def bring_back(self) -> None:
        """All: what was replaced is what it was again, and what was added is gone."""
        for one, entries in self._held:
            one.clear()
            one.update(entries)
        self.bring_back_values()


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, those that are not saved among them."""
    return dict(network.named_parameters()) | dict(network.named_buffers())
