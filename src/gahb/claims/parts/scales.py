"""Claims as they were judged at several scales, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from gahb.artifacts import read_table
from gahb.claims.parts.claim import Verdict

HERE = "here"


@dataclass(frozen=True)
class Judgement:
    """What was measured of a claim at one scale.

    Attributes:
        text: the numbers, with their errors.
        verdict: one of :data:`gahb.claims.parts.claim.Verdict`, or nothing where it was not asked.
        checks: what the verdict follows from.
    """

    text: str
    verdict: str
    checks: str


@dataclass(frozen=True)
class JudgedClaim:
    """One claim.

    Attributes:
        number: its place.
        sentence: the claim.
        source: where it is made.
        quantity: what is measured.
        in_print: the number in the paper, or nothing.
        figure: name of the figure that shows it, or nothing.
        at: scale -> judgement, that of this run first, under :data:`HERE`.
    """

    number: int
    sentence: str
    source: str
    quantity: str
    in_print: str
    figure: str
    at: Mapping[str, Judgement]


def read_scales(claims: Path, others: Sequence[Path] = ()) -> list[JudgedClaim]:
    """The claims of one run, each beside what other runs make of the claim of its name.

    Args:
        claims: table of :func:`gahb.claims.parts.make.write_claims`.
        others: the same of other runs; the folder of a table names its scale.

    Raises:
        gahb.artifacts.ArtifactError: a table is missing or was edited.
    """
    tables = {HERE: claims} | {path.parent.name: path for path in others}
    rows = {
        scale: {
            str(row["name"]): {str(key): str(value) for key, value in row.items()}
            for row in read_table(path).astype(object).fillna("").to_dict("records")
        }
        for scale, path in tables.items()
    }
    return [
        JudgedClaim(
            *(int(row["number"]), row["claim"], row["source"], row["quantity"]),
            *(row["in_print"], row["figure"]),
            {scale: _judgement(of_scale.get(name, {})) for scale, of_scale in rows.items()},
        )
        for name, row in rows[HERE].items()
    ]


def _judgement(row: Mapping[str, str]) -> Judgement:
    return Judgement(*(row.get(key, "") for key in ("here", "verdict", "checks")))


def counted(claims: Sequence[JudgedClaim], scale: str) -> str:
    """How many claims got which verdict at a scale."""
    verdicts = [claim.at[scale].verdict for claim in claims]
    return ", ".join(f"{verdict}: {verdicts.count(verdict)}" for verdict in get_args(Verdict))
