"""torch.compile, where it works: one line says where it does not, and everything goes on without."""

from __future__ import annotations

import atexit
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gahb.denoisers.trials import Before

PLACE = "TORCHINDUCTOR_CACHE_DIR"
CACHE = Path(".cache/inductor")  # under the project: found again by later runs, ignored by git


def can_compile() -> bool:
    """Whether torch.compile finds what it needs on any device: a compiler and Python's headers."""
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    return headers and any(map(shutil.which, ("g++", "clang++", "c++")))


def use_cache() -> None:
    """Give the compiler of this job a folder that can be written to, before torch looks for one.

    It changes the environment, as a call of the library is not to. Without such a folder not even an
    optimiser can be made. That which the environment names is taken, else
    ``CACHE``, else a temporary one.
    """
    wanted = Path(os.environ.get(PLACE, CACHE)).absolute()
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            pass
    except OSError as error:
        print(f"{wanted} cannot be written to ({error.strerror}): nothing compiled is kept")
        wanted = Path(tempfile.mkdtemp(prefix="gahb-"))
        atexit.register(shutil.rmtree, wanted, ignore_errors=True)
    os.environ[PLACE] = str(wanted)
    # Saves a second and more of each start: the processor's vector instructions are not tried out,
    # nor headers compiled ahead, by a compiler that has nothing to compile.
    os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")


def compiled_or_not(
    errors: Callable[..., Tensor], network: nn.Module, example: tuple[Any, ...]
) -> tuple[Callable[..., Tensor], bool]:
    """``errors`` compiled for ``network`` and arguments like ``example``, and whether it is.

    Both directions are tried once; the network is left as it was. Whatever goes wrong in this (no
    compiler that works, no folder to write to or to load from) is printed in a line, and ``errors`` is
    returned as it is: a mistake of its own will show there.
    """
    try:
        import torch._inductor.config as inductor

        inductor.cpp_cache_precompile_headers = False
        compiled: Callable[..., Tensor] = torch.compile(errors, dynamic=False)
        before = Before(network)
        try:
            network.train()
            compiled(network, *example).mean().backward()
        finally:
            network.zero_grad(set_to_none=True)
            before.bring_back()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        print(f"not compiled, and some times slower: {type(error).__name__}: {lines[0][:160]}")
        return errors, False
    return compiled, True
