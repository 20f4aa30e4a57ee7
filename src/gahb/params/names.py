"""Names in params.yaml that stand for nothing there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

Params = dict[str, Any]


def missing_networks(
    params: Params, key: str, experiment: str, set_sizes: Iterable[int], splits: Iterable[str]
) -> Iterator[str]:
    """What of these networks the experiments of ``params`` do not have."""
    if experiment not in params["experiments"]:
        yield unknown(f"{key}: experiment", experiment, params["experiments"])
        return
    asked = params["experiments"][experiment]
    for set_size in set_sizes:
        if set_size not in asked["set_sizes"]:
            yield unknown(f"{key}: set size of {experiment}", set_size, asked["set_sizes"])
    for split in splits:
        if split not in asked["splits"]:
            yield unknown(f"{key}: split of {experiment}", split, asked["splits"])


def unknown(key: str, found: Any, known: Iterable[Any], why: str = "") -> str:
    """What is said of a name, or another value, that is none of those there are."""
    return f"{key}: found {json.dumps(found)}{why}, allowed is one of {', '.join(map(str, known))}"
