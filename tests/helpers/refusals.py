"""What is said of a wrong params.yaml."""

from typing import Any

import pytest

from gahb.params import ParamsError, validate


def refusal(params: dict[str, Any]) -> str:
    """The message that refuses ``params``."""
    with pytest.raises(ParamsError) as refused:
        validate(params)
    return str(refused.value)
