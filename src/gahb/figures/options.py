"""The options of a figure, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gahb.artifacts import Spec
from gahb.figures.sampled import MEASURES
from gahb.figures.tables import AGGREGATIONS

_KINDS: dict[str, tuple[str, Any]] = {
    "title": ("a string", lambda value: isinstance(value, str)),
    "experiment": ("the name of an experiment", lambda value: isinstance(value, str)),
    "experiments": ("a list of experiments", lambda value: _filled_list(value, str)),
    "aggregation": (" or ".join(AGGREGATIONS), lambda value: value in AGGREGATIONS),
    "split": ("S1 or S2", lambda value: value in ("S1", "S2")),
    "set_size": ("a whole number above 0", lambda value: _count(value)),
    "set_sizes": (
        "two different whole numbers above 0",
        lambda value: (
            _filled_list(value, int) and len(set(value)) == len(value) == 2 and min(value) > 0
        ),
    ),
    "image": ("a position in the test set, counted from 0", lambda value: _index(value)),
    "sigma": ("a number above 0", lambda value: _number(value) and value > 0),
    "sigmas": (
        "two different numbers above 0",
        lambda value: (
            isinstance(value, list)
            and all(_number(v) and v > 0 for v in value)
            and len(set(value)) == len(value) == 2
        ),
    ),
    "eigenvectors": (
        "a list of eigenvector numbers k, counted from 1",
        lambda value: _filled_list(value, int) and all(_count(v) for v in value),
    ),
    "reference": ("the name of a reference denoiser", lambda value: isinstance(value, str)),
    "lower": ("the name of a reference denoiser", lambda value: isinstance(value, str)),
    "upper": ("a list of reference denoisers", lambda value: _filled_list(value, str)),
    "threshold": (
        "a number between 0 and 1",
        lambda value: _number(value) and 0 < value < 1,
    ),
    "measure": (" or ".join(MEASURES), lambda value: value in MEASURES),
    "shown": ("a whole number above 0", lambda value: _count(value)),
    "sample": ("a position among the samples shown, counted from 0", lambda value: _index(value)),
}


def check_options(
    figure: str, spec: Mapping[str, Any], names: tuple[str, ...], **kinds: str
) -> Spec:
    """The options ``names`` of a figure's spec, each present and of the right kind.

    Args:
        figure: its name.
        spec: its options.
        names: the options that it takes.
        **kinds: for an option that this figure understands in its own way, the option of
            ``_KINDS`` whose values it takes.

    Raises:
        ValueError: an option is missing, unknown, or of another kind; the message names it.
    """
    unknown = sorted(set(spec) - set(names))
    if unknown:
        raise ValueError(
            f"figure {figure!r} has no option {', '.join(unknown)}; it takes {', '.join(names)}"
        )
    for name in names:
        wanted, fits = _KINDS[kinds.get(name, name)]
        if name not in spec:
            raise ValueError(f"figure {figure!r} needs the option {name!r}: {wanted}")
        if not fits(spec[name]):
            raise ValueError(
                f"figure {figure!r}, option {name!r}: found {spec[name]!r}, expected {wanted}"
            )
    return dict(spec)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count(value: Any) -> bool:
    return _index(value) and value > 0


def _filled_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, kind) for v in value)
