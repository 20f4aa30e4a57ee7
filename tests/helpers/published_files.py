"""Files of weights as the paper's repository has them, of networks that nobody trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gahb.denoisers.networks import build_network
from gahb.denoisers.published import published_name


def publish(path: Path, architecture: dict[str, Any], seed: int) -> None:
    """Write a state dict with the published names, as a network in DataParallel has them."""
    state = build_network(architecture, seed=seed).state_dict()
    names = {name: f"module.{published_name(name, architecture)}" for name in state}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({names[name]: value for name, value in state.items()}, path)
