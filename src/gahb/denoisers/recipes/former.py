"""The default before Muon: Adam with an annealed weight, kept for comparison."""

from gahb.denoisers.recipes import published

TRAINING = published.TRAINING | {
    "weighting": "annealed",
    "initialisation": "small_gains",
    "learning_rate": 4e-3,
    "schedule": "cosine",
    "warmup": 100,
}
