"""params.yaml as one model: its sections, each defined beside what it configures."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from gahb.datasets.options import DatasetOptions
from gahb.denoisers.options import ArchitectureOptions, Experiment, ReferenceOptions, Training
from gahb.evaluation.options import Ensembles, Evaluation
from gahb.figures.parts.figure import FIGURES
from gahb.options import Name, Options, _details, _unknown_keys, model, names
from gahb.samples.options import Sampling
from gahb.spectra.options import Spectra


def _figures(value: Any) -> Any:
    """Each figure is a model in the module of its name."""
    if not isinstance(value, dict):
        raise PydanticCustomError("wrong", "a value of type object")
    problems = []
    if not value.keys() <= set(names(FIGURES)):
        problems.append(_unknown_keys(value, names(FIGURES)))
    for name in value.keys() & set(names(FIGURES)):
        for detail in _details(lambda name=name: model(FIGURES, name).model_validate(value[name])):
            problems.append(detail | {"loc": (name, *detail.get("loc", ()))})
    if problems:
        raise ValidationError.from_exception_data("figures", problems)
    return {name: model(FIGURES, name).model_validate(item) for name, item in value.items()}


class _FiguresSchema(WithJsonSchema):
    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        found = {name: model(FIGURES, name).model_json_schema() for name in names(FIGURES)}
        return {"type": "object", "additionalProperties": False, "properties": found}


class ParamsModel(Options):
    """Everything a run depends on. Unknown keys are errors."""

    results: Annotated[str, Field(pattern="^[A-Za-z0-9_][A-Za-z0-9_/-]*$")]
    """folder that all artifacts are written to"""
    image_classes: Annotated[dict[Name, DatasetOptions], Field(min_length=1)]
    """named image classes, each stored as one dataset"""
    architectures: Annotated[dict[Name, ArchitectureOptions], Field(min_length=1)]
    """named networks"""
    training: Training = Training()
    """how every network is trained, unless its experiment says otherwise"""
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    """image class x architecture x set sizes x splits"""
    references: dict[Name, ReferenceOptions] = {}
    """named exact and classical denoisers, for evaluation and spectra to refer to"""
    evaluation: Evaluation
    """PSNR of every network, and of references beside them"""
    ensembles: Ensembles
    """networks of disjoint training sets beside each other"""
    sampling: Sampling
    """samples of the networks of S1 and S2 from the same noise"""
    spectra: Spectra
    """Jacobian eigenbases"""
    figures: Annotated[dict[str, Any], BeforeValidator(_figures), _FiguresSchema({})]
    """by name; each is drawn from tables, samples and spectra alone"""
