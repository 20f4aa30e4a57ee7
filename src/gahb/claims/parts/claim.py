"""What a claim is: a sentence, where it is made, what is measured, and a rule that judges it.

Every claim is judged by checks, sentences that are true or false of numbers that were measured. A verdict
is never written: it *holds* if all checks do, *holds in part* if some do, *does not hold at this scale* if
none does; it is *not measured* where a run has nothing to measure it on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from gahb.figures.parts.figure import Needs

if TYPE_CHECKING:
    from gahb.claims.parts.found import Found
    from gahb.claims.parts.run import Run

CLAIMS = "gahb.claims"
Verdict = Literal["holds", "holds in part", "does not hold at this scale", "not measured"]
ERRORS = 2.0  # standard errors by which a difference is told from none
SIMILAR = 0.03  # correlation by which two mean similarities count as the same


@dataclass(frozen=True)
class Finding:
    """What was measured of a claim.

    Attributes:
        text: the numbers, with their errors.
        checks: sentence -> whether it is true; None where it could not be measured.
    """

    text: str
    checks: Mapping[str, bool | None]

    @property
    def verdict(self) -> Verdict:
        """By the checks that could be measured."""
        known = [holds for holds in self.checks.values() if holds is not None]
        if not known:
            return "not measured"
        if all(known):
            return "holds"
        return "holds in part" if any(known) else "does not hold at this scale"


NOT_MEASURED = Finding("", {})


class Claim(ABC):
    """One claim. A module of :mod:`gahb.claims` defines one of these.

    Attributes:
        number: its place among the claims.
        sentence: the claim, for a reader.
        source: figure or section of the paper, or the talk.
        formula: the measured quantity.
        paper: the number in print, if there is one.
        figure: module of :mod:`gahb.figures` in which it is seen.
    """

    number: ClassVar[int]
    sentence: ClassVar[str]
    source: ClassVar[str]
    formula: ClassVar[str]
    paper: ClassVar[str | None] = None
    figure: ClassVar[str | None] = None

    @abstractmethod
    def needs(self, run: Run) -> Needs | None:
        """The tables, samples and spectra that it is judged by; None if the run does not make them."""

    @abstractmethod
    def measure(self, run: Run, found: Found) -> Finding:
        """Judge it; called only where there are :meth:`needs`.

        Raises:
            gahb.artifacts.ArtifactError: an input is missing.
        """


def judged(holds: object, *numbers: float) -> bool | None:
    """Whether a check holds; None if one of its numbers is not known."""
    return bool(holds) if all(map(math.isfinite, numbers)) else None


def above(difference: float, *errors: float) -> bool | None:
    """Whether a difference is positive by more than :data:`ERRORS` standard errors, those known."""
    known = [error for error in errors if math.isfinite(error)]
    return judged(difference > ERRORS * math.hypot(*known), difference)


def number(value: float, images: float = math.nan, trainings: float = math.nan) -> str:
    """A number with its standard error over images, and that between trainings, with two digits of the
    least.
    """
    if not math.isfinite(value):
        return "n/a"
    known = [error for error in (images, trainings) if math.isfinite(error) and error > 0]
    least = min(known, default=abs(value) / 10)
    places = min(max(1 - math.floor(math.log10(least)), 0), 6) if least > 0 else 1
    if least < 1e-5 and least > 0:
        return f"{value:.1e}"
    text = f"{value:.{places}f}"
    if math.isfinite(images):
        text += f" ± {images:.{places}f}"
    if math.isfinite(trainings):
        text += f" ± {trainings:.{places}f}" + ("" if math.isfinite(images) else " (trainings)")
    return text
