"""What is wrong with options, in one sentence each: the key, what was found, what is allowed."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from gahb.options import model, names, takes_own
from gahb.own import is_own

Params = dict[str, Any]
_ALLOWED = {  # what is said of an error of pydantic's, with its context filled in
    "int_type": "a value of type integer",
    "float_type": "a value of type number",
    "finite_number": "a value of type number",
    "string_type": "a value of type string",
    "bool_type": "a value of type boolean",
    "list_type": "a value of type array",
    "tuple_type": "a value of type array",
    "dict_type": "a value of type object",
    "model_type": "a value of type object",
    "literal_error": "one of {expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "text matching {pattern}",
    "wrong": "{allowed}",
}


def explain(error: ValidationError, params: Params, *above: str) -> list[str]:
    """Each problem in one sentence: the key, what was found, what is allowed.

    Args:
        error: of the validation.
        params: what was validated.
        *above: keys under which it stands in params.yaml.
    """
    told: dict[str, Any] = {}  # what was found at a key, and all that is allowed there
    sentences = []
    for found in error.errors(include_url=False):
        path = list(above) + _keys(params, found["loc"], keep=found["type"] in ("wrong", "missing"))
        if found["type"] == "missing" and isinstance(found["loc"][-1], int):  # of a pair
            key = f"{_dotted(path[:-1])}: found {json.dumps(found['input'], default=str)}"
            told[key] = [f"at least {found['loc'][-1] + 1} entries"]
        elif found["type"] == "missing":
            *parents, name = path
            sentences.append(f"{_dotted(parents)}: {name!r} is a required property")
        elif found["type"] == "unknown":
            sentences.append(f"{_dotted(path)}: {found['msg']}")
        else:
            context: dict[str, Any] = {"allowed": found["msg"]} | found.get("ctx", {})
            if found["type"] == "literal_error":
                context["expected"] = re.sub(r"'|(?<=,) or (?=')", "", context["expected"])
                context["expected"] = context["expected"].replace(" or ", ", ")
            allowed = _ALLOWED.get(found["type"], "{allowed}").format(**context)
            if path and path[-1] == "[key]":
                path, shown = path[:-2], path[-2]
            else:
                shown = found["input"]
            key = f"{_dotted(path)}: found {json.dumps(shown, default=str)}"
            told.setdefault(key, []).append(allowed)
    joined = [f"{key}, allowed is {' or '.join(dict.fromkeys(a))}" for key, a in told.items()]
    return sentences + joined


def options_of(package: str, kind: str, name: str, options: Params) -> Any:
    """The model of options that a module of a package defines, with the options given.

    Args:
        package: where the modules are.
        kind: what they are, in the singular, for the messages.
        name: of the module.
        options: all of the model's, and no others.

    Raises:
        ValueError: there is no such module, or its options are not the ones given.
    """
    if name not in names(package) and not (is_own(name) and takes_own(package)):
        raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(names(package))}")
    try:
        return model(package, name)(**options)
    except ValidationError as error:
        raise ValueError(f"{kind} {name!r}: {'; '.join(explain(error, options))}") from error


def _dotted(path: list[str]) -> str:
    return ".".join(path) or "(top level)"


def _keys(params: Any, location: tuple[str | int, ...], keep: bool) -> list[str]:
    """The keys of params.yaml in pydantic's location, which also names the branches of unions."""
    path, here = [], params
    for item in location:
        inside = (isinstance(here, dict) and item in here) or (
            isinstance(here, list) and isinstance(item, int) and item < len(here)
        )
        if inside:
            here = here[item]
        if inside or keep or item == "[key]":
            path.append(str(item))
    return path
