"""The canonical JSON of every spec of params.yaml and of all presets: what decides every result."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gahb import params as gahb_params
from gahb.artifacts import canonical_json

GOLDEN: dict[str | None, str] = {
    None: "030c310048f33b5822a7dfe59b9c98cb4aa74bfdbca6f3eb4979485030116ef9",
    "celeba": "18b333e5d0ebc5282a60ac9254578f53e5a7a372d3ef8d9e0bc0f702ad68b315",
    "lsun": "fdbba7cd4be5d9ddb941ad2f05e65fe6f2b445207821890eaa8737bf9bf3d8fe",
    "paper": "6bea4be12e94711813a107426a58e08761301a3576f706405baf30ad2802b627",
    "photographs": "de7d82d90e3ce800e9aa84a959d74d5f7817f41eb2a1d69abb8fc3140f5e296e",
    "smoke": "921388806c33389aa8b04ba40f63e2e5a813a77c700fcab1636494892779f410",
}


def specs(params: dict[str, Any]) -> Iterator[Any]:
    """Every spec of a run, each with its place."""
    for name in sorted(params["image_classes"]):
        yield "dataset", name, gahb_params.dataset_spec(params, name)
    for name, experiment in sorted(params["experiments"].items()):
        sampled = name in params["sampling"]["experiments"]
        for size in experiment["set_sizes"]:
            for split in experiment["splits"]:
                place = (name, size, split)
                for kind in ("network_spec", "evaluation_spec", "memorising_spec", "spectra_spec"):
                    yield kind, *place, getattr(gahb_params, kind)(params, *place)
            if {"S1", "S2"} <= set(experiment["splits"]):
                yield "agreement", name, size, gahb_params.agreement_spec(params, name, size)
                if sampled:
                    yield "samples", name, size, gahb_params.samples_spec(params, name, size)
        yield "snapshots", name, gahb_params.snapshot_updates(params, name)
        yield "ensemble", name, gahb_params.ensemble_spec(params, name)
        yield "over", name, gahb_params.samples_over_training_spec(params, name)
        for reference in sorted(params.get("references", {})):
            spec = gahb_params.reference_spectra_spec(params, name, reference)
            yield "reference_spectra", name, reference, spec
    for name in sorted(params["image_classes"]):
        for reference in sorted(params.get("references", {})):
            yield "reference", name, gahb_params.reference_spec(params, name, reference)
    yield "summary", gahb_params.summary_spec(params)
    for name in sorted(params["figures"]):
        yield "figure", name, gahb_params.figure_spec(params, name)


@pytest.mark.parametrize("preset", list(GOLDEN))
def test_specs_are_what_they_were(root: Path, preset: str | None):
    text = "\n".join(canonical_json(spec) for spec in specs(gahb_params.load_params(root, preset)))
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN[preset]
