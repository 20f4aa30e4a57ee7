"""All claims judged, in one table: ``gahb claims``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gahb.artifacts import Spec, digest_file, provenance, write_table
from gahb.claims.parts.claim import CLAIMS, NOT_MEASURED, Claim, Finding
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import files
from gahb.options import module, names

COLUMNS = ("number", "name", "claim", "source", "quantity", "in_print", "here", "checks")
_ANSWERS = {True: "yes", False: "no", None: "not measured"}


def all_claims() -> dict[str, Claim]:
    """The claims by name, in their order.

    Raises:
        TypeError: a module defines none, or several.
    """
    found: dict[str, Claim] = {}
    for name in names(CLAIMS):
        home = module(CLAIMS, name)
        kinds = [
            item
            for key, item in vars(home).items()
            if inspect.isclass(item) and issubclass(item, Claim)
            if item.__module__ == home.__name__ and not key.startswith("_")
        ]
        if len(kinds) != 1:
            raise TypeError(f"{home.__name__} must define one public claim, found {len(kinds)}")
        found[name] = kinds[0]()
    return dict(sorted(found.items(), key=lambda item: item[1].number))


def claim_files(params: dict[str, Any]) -> list[str]:
    """The tables, samples and spectra that claims are judged by, as paths from the project's root."""
    run = Run.of(params)
    needed = [claim.needs(run) for claim in all_claims().values()]
    return sorted({path for one in needed if one is not None for path in files(params, one)})


def judge(run: Run, found: Found) -> dict[str, Finding]:
    """What was measured of every claim, by name and in order."""
    return {
        name: claim.measure(run, found) if claim.needs(run) is not None else NOT_MEASURED
        for name, claim in all_claims().items()
    }


def write_claims(spec: Spec, inputs: Sequence[Path], output: Path | str) -> None:
    """Judge every claim, and write the table.

    Args:
        spec: the fields of :class:`Run`.
        inputs: tables (``.csv``) and spectra (``.h5``), in any order.
        output: table to write, ``.csv``: one row per claim, with the ``verdict`` that follows from its
            ``checks``; errors of ``here`` are over images, then between trainings; ``figure`` shows it.

    Raises:
        gahb.artifacts.ArtifactError: an input is missing, damaged or of no known kind.
    """
    findings = judge(Run.model_validate(spec), Found.read(sorted(inputs)))
    table = []
    for name, claim in all_claims().items():
        finding = findings[name]
        checks = [f"{words}: {_ANSWERS[holds]}" for words, holds in finding.checks.items()]
        columns = (claim.number, name, claim.sentence, claim.source, claim.formula)
        row = (*columns, claim.paper, finding.text, "; ".join(checks))
        told = {"verdict": finding.verdict, "figure": claim.figure}
        table.append({**dict(zip(COLUMNS, row, strict=True)), **told})
    digests = {path.as_posix(): digest_file(path) for path in sorted(inputs)}
    write_table(output, pd.DataFrame(table), provenance(spec, digests))
