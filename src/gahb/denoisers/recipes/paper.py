"""The paper's text: sigma uniform in [0, 1]; where it says nothing, its published code."""

from gahb.denoisers.recipes import published

TRAINING = published.TRAINING | {"noise_law": "uniform"}
