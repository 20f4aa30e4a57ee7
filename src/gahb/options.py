"""Options as typed models, and choices that are found by name.

An option stands once: its name, type, range and one sentence are a field of a model beside what it
configures. The checks of params.yaml, its JSON schema and docs/params.md follow from these models.

A choice between several models, or functions, is a package: ``class: rays`` is the module ``rays`` of
:mod:`gahb.datasets.image_class`, and the one model that it defines. Nothing lists them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from copy import copy
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from gahb.own import EXAMPLE, PATTERN, is_own

_KNOWN_ERRORS = set(get_args(core_schema.ErrorType))


class Options(BaseModel):
    """A mapping of params.yaml: unknown keys are errors, and values never change.

    The sentence about a field is the text below it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @classmethod
    def keys(cls) -> set[str]:
        """Its keys in params.yaml."""
        return {field.alias or name for name, field in cls.model_fields.items()}

    @model_validator(mode="wrap")
    @classmethod
    def _name_unknown_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """Tell of all unknown keys at once, with those that are known, beside all other errors."""
        keys = cls.keys()
        known_here = cls.model_config.get("extra") == "forbid"
        if not known_here or not isinstance(value, dict) or value.keys() <= keys:
            return handler(value)
        known = {key: item for key, item in value.items() if key in keys}
        problems = [unknown_keys(value, keys)]
        try:
            handler(known)
        except ValidationError as error:
            problems += _details(error)
        raise ValidationError.from_exception_data(cls.__name__, problems)


# ---------------------------------------------------------------------------------------------
# Types of fields. YAML's 1e3 is no integer, true is no number, and .nan is none either.


def _all_differ(values: Any) -> Any:
    if isinstance(values, list) and any(v in values[:place] for place, v in enumerate(values)):
        raise PydanticCustomError("wrong", "entries that all differ")
    return values


def _lower_first(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise PydanticCustomError("wrong", "a lower value first")
    return pair


LOWER_FIRST = AfterValidator(_lower_first)
Integer = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Index = Annotated[int, Field(strict=True, ge=0)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9-]+$")]
Seed = Index
Threads = Count
Sigma = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=10)]
Split = Annotated[str, Field(pattern="^S[1-9][0-9]?$")]
SigmaRange = Annotated[tuple[Sigma, Sigma], LOWER_FIRST]
ALL_DIFFER = (BeforeValidator(_all_differ), Field(json_schema_extra={"uniqueItems": True}))
Sigmas = Annotated[list[Sigma], Field(min_length=1), *ALL_DIFFER]
SetSizes = Annotated[list[Count], Field(min_length=1), *ALL_DIFFER]
Splits = Annotated[list[Split], Field(min_length=1), *ALL_DIFFER]
Names = Annotated[list[str], *ALL_DIFFER]


# ---------------------------------------------------------------------------------------------
# Problems


def wrong(found: Any, allowed: str, *key: str | int) -> ValidationError:
    """The error of a model's own check, to be raised in a validator; it is a :class:`ValueError`.

    Args:
        found: what was found.
        allowed: what is allowed, to be read after "allowed is".
        *key: where, inside the model.
    """
    problem = PydanticCustomError("wrong", "{allowed}", {"allowed": allowed})
    detail = InitErrorDetails(type=problem, loc=key, input=found)
    return ValidationError.from_exception_data("options", [detail])


def unknown_keys(value: dict[str, Any], known: Iterable[str]) -> InitErrorDetails:
    """The problem of keys that a mapping has beside those that are known."""
    names = ", ".join(repr(key) for key in value if key not in set(known))
    text = f"unknown are {names}; known keys here are {', '.join(sorted(known))}"
    problem = PydanticCustomError("unknown", "{text}", {"text": text})
    return InitErrorDetails(type=problem, loc=(), input=value)


def _details(error: ValidationError) -> list[InitErrorDetails]:
    """The problems of an error, so that they can be raised together with others."""
    return [
        InitErrorDetails(
            type=found["type"]
            if found["type"] in _KNOWN_ERRORS
            else PydanticCustomError(found["type"], "{text}", {"text": found["msg"]}),
            loc=found["loc"],
            input=found["input"],
            ctx=found.get("ctx", {}),
        )
        for found in error.errors()
    ]


def _validated(options: type[Options], value: Any) -> tuple[Any, list[InitErrorDetails]]:
    """The model of a value, or None and its problems."""
    try:
        return options.model_validate(value), []
    except ValidationError as error:
        return None, _details(error)


def changes(chosen: type[Options]) -> type[Any]:
    """The model of a mapping that replaces some values of another: every key of it may be left out."""
    fields: dict[str, Any] = {}
    for name, field in chosen.model_fields.items():
        optional = copy(field)
        optional.default = None
        fields[name] = (field.annotation, optional)
    return create_model(f"{chosen.__name__}Changes", __base__=Options, **fields)


# ---------------------------------------------------------------------------------------------
# Found by name


@cache
def names(package: str) -> tuple[str, ...]:
    """Names of the public modules of a package: what can be chosen there."""
    found = pkgutil.iter_modules(import_module(package).__path__)
    return tuple(sorted(m.name for m in found if not m.ispkg and not m.name.startswith("_")))


def module(package: str, name: str) -> ModuleType:
    """The module ``name`` of a package.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in names(package):
        raise ValueError(f"found {name!r}, allowed is one of {', '.join(names(package))}")
    return import_module(f"{package}.{name}")


def model(package: str, name: str) -> type[Any]:
    """The one public model of options that the module ``name`` of a package defines.

    Or that of a class of one's own (:mod:`gahb.own`), where the package has a module ``_own``.

    Raises:
        ValueError: there is no such module; the message lists those there are.
    """
    if is_own(name) and takes_own(package):
        return _own(package).model(name)
    home = module(package, name)
    found = [
        item
        for key, item in vars(home).items()
        if isinstance(item, type) and issubclass(item, Options)
        if item.__module__ == home.__name__ and not key.startswith("_")
    ]
    if len(found) != 1:
        raise TypeError(f"{home.__name__} must define one public model, found {len(found)}")
    return found[0]


@cache
def takes_own(package: str) -> bool:
    """Whether classes of one's own may be named beside the modules of a package."""
    return find_spec(f"{package}._own") is not None


def _own(package: str) -> Any:
    return import_module(f"{package}._own")


class Named:
    """Marks a field, a string, that names a module of a package: ``Annotated[str, Named(...)]``."""

    def __init__(self, package: str) -> None:
        self.package = package

    def _known(self, value: str) -> str:
        if value not in names(self.package):
            raise PydanticCustomError("wrong", f"one of {', '.join(names(self.package))}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "enum": list(names(self.package))}


class Variant:
    """Marks a field, a mapping of which ``key`` names the module that defines its model.

    Args:
        package: where the modules are.
        key: of the mapping, such as ``class``.
        beside: keys of the mapping that are not the model's; where a model has fields of the same
            names, they are its own, and where it says ``beside = False`` there are none.
    """

    def __init__(self, package: str, key: str, beside: type[Options] | None = None) -> None:
        self.package, self.key, self.beside = package, key, beside

    def apart(self, chosen: type[Options]) -> set[str]:
        """Keys of the mapping that are not the model's."""
        if self.beside is None or not getattr(chosen, "beside", True):
            return set()
        return self.beside.keys() - chosen.keys()

    def _chosen(self, value: Any) -> Any:
        if isinstance(value, Options):  # in the library
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("wrong", "a value of type object")
        if self.key not in value:
            missing = InitErrorDetails(type="missing", loc=(self.key,), input=value)
            raise ValidationError.from_exception_data(self.key, [missing])
        chosen = self._model(value[self.key])
        apart, own = self.apart(chosen), chosen.keys()
        if chosen.model_config.get("extra") == "allow":  # and says itself what it knows
            own = own | (value.keys() - apart - {self.key})
        problems: list[InitErrorDetails] = []
        if not value.keys() <= own | apart | {self.key}:
            problems.append(unknown_keys(value, own | apart | {self.key}))
        if self.beside is not None and apart:
            problems += _validated(self.beside, {k: v for k, v in value.items() if k in apart})[1]
        found, wrongs = _validated(chosen, {k: v for k, v in value.items() if k in own})
        if problems or wrongs:
            raise ValidationError.from_exception_data(self.key, [*problems, *wrongs])
        return found

    def _model(self, name: Any) -> type[Any]:
        own = isinstance(name, str) and is_own(name) and takes_own(self.package)
        if not own and name not in names(self.package):
            beside = f", or {EXAMPLE}" if takes_own(self.package) else ""
            raise wrong(name, f"one of {', '.join(names(self.package))}{beside}", self.key)
        try:
            return model(self.package, name)
        except ValueError as error:
            raise wrong(name, f"a class that can be used: {error}", self.key) from error

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._chosen)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        variants = [
            self._variant(model(self.package, name), {"const": name}, handler)
            for name in names(self.package)
        ]
        if takes_own(self.package):
            own = {"type": "string", "pattern": PATTERN, "examples": [EXAMPLE]}
            variants.append(self._variant(_own(self.package).OWN, own, handler))
        return {"oneOf": variants}

    def _variant(self, chosen: type[Options], name: dict[str, Any], handler: Any) -> dict[str, Any]:
        schema, apart = _json_schema(chosen, handler), self.apart(chosen)
        beside = _json_schema(self.beside, handler) if self.beside and apart else {}
        fields = {k: v for k, v in beside.get("properties", {}).items() if k in apart}
        required = [key for key in beside.get("required", []) if key in apart]
        return schema | {
            "properties": {self.key: name} | schema.get("properties", {}) | fields,
            "required": [self.key, *schema.get("required", []), *required],
        }


class EachNamed:
    """Marks a field, a mapping of which each key names the module that defines its value's model."""

    def __init__(self, package: str) -> None:
        self.package = package

    def _chosen(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise PydanticCustomError("wrong", "a value of type object")
        known = names(self.package)
        problems = [] if value.keys() <= set(known) else [unknown_keys(value, known)]
        found = {}
        for name in (name for name in value if name in known):
            found[name], wrongs = _validated(model(self.package, name), value[name])
            problems += [detail | {"loc": (name, *detail.get("loc", ()))} for detail in wrongs]
        if problems:
            raise ValidationError.from_exception_data("modules", problems)
        return found

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._chosen)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        found = {
            name: _json_schema(model(self.package, name), handler) for name in names(self.package)
        }
        return {"type": "object", "additionalProperties": False, "properties": found}


def _json_schema(options: type[Options], handler: Any) -> dict[str, Any]:
    """The JSON schema of a model, for another that holds it."""
    found: dict[str, Any] = handler.resolve_ref_schema(handler(options.__pydantic_core_schema__))
    return found
