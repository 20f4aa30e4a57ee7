"""Eigenvectors of the network oscillate along contours and in flat regions."""

from __future__ import annotations

import pandas as pd

from gahb.artifacts import ArtifactError
from gahb.claims.parts.claim import Claim, Finding, above, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

SIGMA = 0.1
HALF = 0.5


def at_rank(found: Found, run: Run) -> pd.DataFrame:
    """Rows of the table of bases at the σ nearest .1 and the power of two nearest to the oracle's rank."""
    table = found.table("adaptivity", str(run.main))
    frame = table.frame
    learned = frame[frame["basis"] == "learned"]
    nearest = min(learned["sigma"].unique(), key=lambda sigma: abs(sigma - SIGMA))
    learned = learned[learned["sigma"] == nearest]
    split = run.spectrum(str(run.main))[2]
    learned = learned[learned["split"] == split]
    known = learned.groupby("rank")["overlap"].apply(lambda values: values.notna().all())
    ranks = [int(rank) for rank, whole in known.items() if whole]
    if not ranks:
        raise ArtifactError(f"{table.path} has no overlap of learned bases at sigma = {nearest:g}")
    kept = float(learned["oracle_rank"].mean())
    rank = min(ranks, key=lambda rank: abs(rank - kept))
    others = frame[frame["basis"] != "learned"]
    both = pd.concat([learned[learned["rank"] == rank], others[others["rank"] == rank]])
    return both.sort_values("set_size")


class Adaptivity(Claim):
    """At the rank nearest to the oracle's: at the most N the overlap is above one half, and above that
    with another contour by two errors; it has grown from the least N by two errors.
    """

    number = 12
    sentence = (
        "The basis is adapted to the image: it oscillates along the contour and in the flat "
        "regions."
    )
    source = "Fig. 3 and 4"
    formula = (
        "mean share of the leading eigenvectors in the span of as many leading ones of the oracle "
        "that knows the contour; gain: less the same with the contour of another image; at the σ "
        "nearest 0.1"
    )
    figure = "adaptivity"

    def needs(self, run: Run) -> Needs | None:
        """The comparison of bases of the main experiment."""
        return Needs(adaptivity=(run.main,)) if run.adapted and run.main else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Overlaps at the least and the most N."""
        rows = at_rank(found, run)
        learned = rows[rows["basis"] == "learned"]
        few, many = learned.iloc[0], learned.iloc[-1]
        own, gain = float(many["overlap"]), float(many["gain"])
        overlaps = ", ".join(
            f"N = {int(row['set_size'])}: {number(float(row['overlap']), row['overlap_se'])}"
            for row in (few, many)
        )
        return Finding(
            f"rank {int(many['rank'])}, {overlaps}, gain {number(gain, many['gain_se'])}",
            {
                f"overlap above {HALF:g}": judged(own > HALF, own),
                "more than with another contour": above(gain, many["gain_se"]),
                "grows with N": above(
                    own - float(few["overlap"]), few["overlap_se"], many["overlap_se"]
                ),
            },
        )
