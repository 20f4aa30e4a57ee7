"""Read params.yaml, overlay a preset, and validate everything before anything runs.

Each error names the key, what was found and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gahb.artifacts import ArtifactError, refuse_conflict
from gahb.explaining import explain
from gahb.params.consistency import inconsistencies
from gahb.params.model import ParamsModel
from gahb.params.names import missing_networks

Params = dict[str, Any]


class ParamsError(ValueError):
    """params.yaml or a preset asks for something that does not exist or cannot be."""


# ---------------------------------------------------------------------------------------------
# Reading


def load_params(root: Path | str = ".", preset: str | None = None) -> Params:
    """Read and validate ``params.yaml`` under ``root``, overlaid with a preset.

    Args:
        root: of the checkout.
        preset: name of a file in workflow/presets, or the path of any other, which ends in .yaml or
            .yml and says where its results go.

    Raises:
        ParamsError: naming every key that is wrong, what was found and what is allowed.
    """
    params = _read_yaml(Path(root, "params.yaml"))
    for changes in [] if preset is None else _presets(Path(root, "workflow/presets"), preset):
        params = overlay(params, changes)
    return validate(params)


def _presets(folder: Path, preset: str, *above: str) -> list[Params]:
    """A preset, after the one that its key ``preset`` names, which it is laid over."""
    own = Path(preset).suffix in (".yaml", ".yml")
    path = Path(preset).expanduser() if own else folder / f"{preset}.yaml"
    if preset in above or not (own or path.exists()):
        known = ", ".join(sorted({file.stem for file in folder.glob("*.yaml")} - {*above}))
        raise ParamsError(
            f"preset: found {preset!r}, allowed are {known}, or a path ending in .yaml"
        )
    changes = _read_yaml(path)
    if own and "results" not in changes:  # or it would write over those of params.yaml
        raise ParamsError(f"{preset}: 'results', the folder of what it makes, is required")
    below = changes.pop("preset", None)
    return [*([] if below is None else _presets(folder, below, preset, *above)), changes]


def _read_yaml(path: Path) -> Params:
    try:
        text = path.read_text()
        refuse_conflict(path, text, "keep what is right, and none of git's marks")
        content = yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}") from error
    except ArtifactError as error:
        raise ParamsError(str(error)) from error
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


def validate(params: Params) -> Params:
    """Check ``params`` against the models of all sections and for consistency; return it unchanged.

    Raises:
        ParamsError: naming every key that is wrong, what was found and what is allowed.
    """
    try:
        ParamsModel.model_validate(params)
        problems = list(_nulls(params)) or list(inconsistencies(params))
    except ValidationError as error:
        problems = explain(error, params)
    if problems:
        raise ParamsError("params.yaml: " + "\nparams.yaml: ".join(dict.fromkeys(problems)))
    return params


def _nulls(value: Any, *key: str) -> Iterator[str]:
    """Keys without a value, which the models would take for keys that are left out."""
    if value is None:
        yield f"{'.'.join(key)}: found null, allowed is a value; or leave the key out"
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _nulls(item, *key, name)


def require_network(params: Params, experiment: str, set_size: int, split: str) -> None:
    """Raise :class:`ParamsError` unless the experiments of ``params`` have this network."""
    for problem in missing_networks(params, "experiments", experiment, [set_size], [split]):
        raise ParamsError(f"params.yaml: {problem}")
