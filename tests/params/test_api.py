"""The public interface: every name loads when it is used, and no sooner."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gahb


@pytest.mark.parametrize("name", gahb.__all__)
def test_every_public_name_loads(name: str):
    found = getattr(gahb, name)
    assert name in dir(gahb)
    assert getattr(found, "__name__", name) == name


def test_importing_the_package_loads_nothing_heavy(environment: dict[str, str]):
    heavy = ("torch", "numpy", "pandas", "h5py", "matplotlib", "pydantic")
    code = f"import gahb, sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="Diffusion"):
        gahb.Diffusion  # noqa: B018
