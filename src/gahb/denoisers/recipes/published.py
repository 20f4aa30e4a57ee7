"""The published code's: sigma = u^2, Kaiming-normal, small gains, Adam at 1e-3, halved after each tenth."""

from typing import Any

TRAINING: dict[str, Any] = {
    "noise_law": "squared_uniform",
    "noise_draws": "independent",
    "sigma_range": [0, 1],
    "weighting": "none",
    "initialisation": "published",
    "fix_norm_after": 1,
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "schedule": "halving",
    "warmup": 0,
}
