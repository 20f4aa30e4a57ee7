"""params.yaml as one model: its sections, each defined beside what it configures."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gahb.datasets.options import DatasetOptions
from gahb.denoisers.options import ArchitectureOptions, Experiment, ReferenceOptions, Training
from gahb.evaluation.options import Ensembles, Evaluation
from gahb.figures.parts.figure import FIGURES
from gahb.options import EachNamed, Name, Options
from gahb.samples.options import ChosenSampler, Sampling
from gahb.spectra.options import Spectra


class SampledExperiment(Experiment):
    """Image class x architecture x set sizes x splits, and how its networks are sampled from."""

    sampler: ChosenSampler | None = None
    """in the place of sampling.sampler"""


class ParamsModel(Options):
    """Everything a run depends on. Unknown keys are errors."""

    results: Annotated[str, Field(pattern="^/?[A-Za-z0-9_][A-Za-z0-9_/-]*$")]
    """folder that all artifacts are written to; relative to the project"""
    image_classes: Annotated[dict[Name, DatasetOptions], Field(min_length=1)]
    """named image classes, each stored as one dataset"""
    architectures: Annotated[dict[Name, ArchitectureOptions], Field(min_length=1)]
    """named networks"""
    training: Training = Training()
    """how every network is trained, unless its experiment says otherwise"""
    experiments: Annotated[dict[Name, SampledExperiment], Field(min_length=1)]
    """image class x architecture x set sizes x splits"""
    references: dict[Name, ReferenceOptions] = Field({})
    """named exact and classical denoisers, for evaluation and spectra to refer to"""
    evaluation: Evaluation
    """PSNR of every network, and of references beside them"""
    ensembles: Ensembles
    """networks of disjoint training sets beside each other"""
    sampling: Sampling
    """samples of the networks of S1 and S2 from the same noise"""
    spectra: Spectra
    """Jacobian eigenbases"""
    figures: Annotated[dict[str, Any], EachNamed(FIGURES)]
    """by name; each is drawn from tables, samples and spectra alone"""
