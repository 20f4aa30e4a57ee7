"""Read params.yaml, overlay a preset, and validate everything before anything runs.

Each error names the key, what was found and what is allowed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from gahb.params.consistency import inconsistencies
from gahb.params.names import missing_networks

Params = dict[str, Any]


class ParamsError(Exception):
    """params.yaml or a preset asks for something that does not exist or cannot be."""


# ---------------------------------------------------------------------------------------------
# Reading


def load_params(root: Path | str = ".", preset: str | None = None) -> Params:
    """Read and validate ``params.yaml`` under ``root``, overlaid with a preset.

    Raises:
        ParamsError: naming every key that is wrong, what was found and what is allowed.
    """
    params = _read_yaml(Path(root, "params.yaml"))
    if preset is not None:
        folder = Path(root, "workflow/presets")
        path = folder / f"{preset}.yaml"
        if not path.exists():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
            raise ParamsError(f"preset: found {preset!r}, allowed are {known}")
        params = overlay(params, _read_yaml(path))
    return validate(params, Path(root, "workflow/schemas/params.schema.yaml"))


def _read_yaml(path: Path) -> Params:
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path} must be a mapping, found {type(content).__name__}")
    return content


class Only(dict[str, Any]):
    """A mapping tagged ``!only`` in a preset: of the one below, only the keys named here are kept."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and a key given twice or that is not text is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str):
                problem = f"found the key {key!r}, allowed is text (put it in quotes)"
            elif keys.count(key) > 1:
                problem = f"found the key {key!r} twice"
            else:
                continue
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def _only(loader: _Loader, node: yaml.Node) -> Only:
    if not isinstance(node, yaml.MappingNode):
        problem = "found !only before what is no mapping"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return Only(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("!only", _only)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def overlay(base: Params, changes: Params) -> Params:
    """``base`` with ``changes`` laid over it: mappings merge, null removes, all else replaces.

    A mapping tagged ``!only`` keeps, of the one below, no key that it does not name itself.
    """
    kept = changes.keys() if isinstance(changes, Only) else base.keys()
    merged = {key: value for key, value in base.items() if key in kept}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = overlay(merged[key], value)
        else:
            merged[key] = value
    return merged


# ---------------------------------------------------------------------------------------------
# Validation


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 1e3 for an integer and .nan for a number; a count or a noise level is neither.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


@cache
def _validator(schema: Path) -> Any:
    """The validator of a schema file, which is read once."""
    return _Validator(_read_yaml(schema))


def validate(params: Params, schema: Path | str) -> Params:
    """Check ``params`` against the schema file and for consistency; return it unchanged."""
    errors = _validator(Path(schema)).iter_errors(params)
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    problems = [_explain(leaf) for leaf in leaves if not _only_follows(leaf, leaves)]
    if not problems:
        problems = list(inconsistencies(params))
    if problems:
        raise ParamsError("params.yaml: " + "\nparams.yaml: ".join(dict.fromkeys(problems)))
    return params


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    if error.context:
        for inner in error.context:
            yield from _leaves(inner)
    else:
        yield error


def _only_follows(error: ValidationError, others: list[ValidationError]) -> bool:
    """Whether keys seem unknown only since a section that knows them has another error.

    A conditional section in which anything is wrong counts as not having looked at its keys.
    """
    if error.validator != "unevaluatedProperties":
        return False
    path = list(error.absolute_path)
    inside = any(
        other.validator != "unevaluatedProperties"
        and list(other.absolute_path)[: len(path)] == path
        for other in others
    )
    return inside and not _unknown_keys(error)


def _explain(error: ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "(top level)"
    found, allowed = error.instance, error.validator_value
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = sorted(_known_keys(error.schema, found))
        names = ", ".join(map(repr, _unknown_keys(error)))
        return f"{key}: unknown are {names}; known keys here are {', '.join(known)}"
    if error.validator == "required":
        return f"{key}: {error.message}"
    rule = {
        "enum": "one of {}",
        "type": "a value of type {}",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "minItems": "at least {} entries",
        "maxItems": "at most {} entries",
        "minProperties": "at least {} entries",
        "pattern": "text matching {}",
        "uniqueItems": "entries that all differ",
    }.get(error.validator, f"{error.validator} {{}}")
    shown = ", ".join(map(str, allowed)) if isinstance(allowed, list) else allowed
    return f"{key}: found {json.dumps(found, default=str)}, allowed is {rule.format(shown)}"


def _unknown_keys(error: ValidationError) -> list[str]:
    """Keys of a mapping that no section of the schema knows."""
    known = set(_known_keys(error.schema, error.instance))
    return [key for key in error.instance if key not in known]


def _known_keys(schema: Params, found: Params) -> Iterator[str]:
    """Keys of a mapping, with those that depend on the kind of image class or network it is."""
    yield from schema.get("properties", {})
    for part in schema.get("allOf", ()):
        if _Validator(part["if"]).is_valid(found):
            yield from part["then"].get("properties", {})


def require_network(params: Params, experiment: str, set_size: int, split: str) -> None:
    """Raise :class:`ParamsError` unless the experiments of ``params`` have this network."""
    for problem in missing_networks(params, "experiments", experiment, [set_size], [split]):
        raise ParamsError(f"params.yaml: {problem}")
