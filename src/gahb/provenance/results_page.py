"""The page of results: which claims hold, every figure with its caption, and the tables, in Markdown.

All of it comes from tables and captions. A caption is reStructuredText of a kind that is Markdown too
(escapes with a backslash, lists, bold), but for its tables.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

import pandas as pd

from gahb.artifacts import read_sidecar, write_text
from gahb.claims.parts.scales import counted, read_scales
from gahb.figures.parts.intervals import summarised
from gahb.figures.parts.markup import taken_apart
from gahb.figures.parts.tables import Table, read_tables
from gahb.provenance.machines import in_words

_HEADER = (
    "Made by the rule `results_page` from the tables and captions beside it, and from nothing else: a "
    "change belongs into what they are made from."
)
_MADE_FROM = "Made from:"  # ends what was measured; the cards say the rest
_RULE = re.compile(r"=+( +=+)*")


def write_results_page(
    claims: Path,
    tables: Sequence[Path],
    figures: Sequence[Path],
    output: Path,
    others: Sequence[Path] = (),
) -> None:
    """Write the page.

    Args:
        claims: table of :func:`gahb.claims.parts.make.write_claims`.
        tables: the summary, gaps, density bounds and samples of pairs of networks (``.csv``), each if
            there is one, in any order.
        figures: captions, ``<name>.rst`` with ``<name>.png`` beside it, in the order of the page.
        output: ``.md``; links are relative to its folder.
        others: tables of claims of other runs, each in the folder of its scale's name.

    Raises:
        gahb.artifacts.ArtifactError: a table is missing, damaged or of no known kind.
    """
    found = read_tables(tables)
    parts = ["# Results", _HEADER, *_judged(claims, others, figures, output.parent)]
    parts += [*_machines(found), "## Figures"]
    for caption in figures:
        parts += _figure(caption, output.parent)
    parts += ["## Tables"] if found else []
    for title, kind, words, fill in (
        ("Gap, agreement and slope", "summary", _SUMMARY, _summary),
        ("Gaps to exact and classical denoisers", "gaps", _GAPS, _gaps),
        ("Samples of two networks", "samples", _SAMPLES, _samples),
        ("Bounds on the divergence of densities", "density", _DENSITY, _density),
        ("Bounds on the likelihood of Gaussian fields", "elbo", _ELBO, _elbo),
    ):
        chosen = [table for table in found if table.kind == kind]
        if chosen:
            sources = ", ".join(_link(table.path, output.parent) for table in chosen)
            words += _origins(chosen) if kind == "summary" else ""
            parts += [f"### {title}", words, fill(chosen), f"From {sources}."]
    write_text(output, "\n\n".join(parts) + "\n")


def _origins(tables: Sequence[Table]) -> str:
    """What is to be known of networks that were trained here, and of imported ones, if there are any."""
    updates = pd.concat([table.frame["updates"] for table in tables])
    return _SHARED * bool(updates.notna().any()) + _IMPORTED * bool(updates.isna().any())


def _machines(tables: Sequence[Table]) -> list[str]:
    """What trained the networks of the summary, and how many."""
    trained = [
        in_words(one)
        for table in tables
        if table.kind == "summary"
        for one in read_sidecar(table.path).get("trained_by", [])
        if one
    ]
    counted = [f"{words} ({count})" for words, count in sorted(Counter(trained).items())]
    return [f"Networks were trained by: {'; '.join(counted)}."] if counted else []


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _link(path: Path, folder: Path) -> str:
    relative = _relative(path, folder)
    return f"[{relative}]({relative})"


# ---------------------------------------------------------------------------------------------
# Claims

_CLAIMS = (
    "Each sentence of the paper or of the talk that is about numbers, what was measured of it here, "
    "and the verdict. A verdict is computed: every claim has checks, which its module in "
    "`src/gahb/claims` states; it *holds* if all of them are true, *holds in part* if some are, "
    "*does not hold at this scale* if none is, and is *not measured* where this run has nothing to "
    "measure it on. The first error of a number is the standard error over images, the second that "
    "between trainings. Sources and numbers in print are those of arXiv 2310.02557 and of a talk "
    "about it."
)
_SCALES = (
    "Other columns are the same claims judged by runs of presets of these names, at another scale."
)


def _judged(
    claims: Path, others: Sequence[Path], figures: Sequence[Path], folder: Path
) -> list[str]:
    """What holds, and what does not, at each scale: how many claims, and one line for each."""
    judged = read_scales(claims, others)
    scales = list(judged[0].at)
    shown = {path.stem: _relative(path.with_suffix(".png"), folder) for path in figures}
    lines = []
    for claim in judged:
        sentence, *said = map(_cell, (claim.sentence, claim.source, claim.in_print))
        if claim.figure in shown:
            sentence = f"[{sentence}]({shown[claim.figure]})"
        at = [
            ": ".join(part for part in (f"**{one.verdict}**", _cell(one.text)) if part)
            if one.verdict
            else "not asked"
            for one in claim.at.values()
        ]
        lines.append([sentence, *said, *at])
    told = "; ".join(f"{scale}, {counted(judged, scale)}" for scale in scales)
    links = ", ".join(_link(path, folder) for path in (claims, *others))
    return [
        "## What holds, and what does not",
        _CLAIMS,
        *([_SCALES] if others else []),
        f"{len(judged)} claims; {told}.",
        _markdown(("claim", "source", "in print", *scales), lines, ":--"),
        f"The checks behind each verdict are in {links}.",
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ---------------------------------------------------------------------------------------------
# Captions


def _figure(caption: Path, folder: Path) -> list[str]:
    """Title, image, and what the caption says and measures."""
    title, blocks = taken_apart(caption)
    measured = [
        _table_of(block.splitlines()) if _RULE.match(block) else block
        for block in takewhile(lambda block: block != _MADE_FROM, blocks)
    ]
    image = _relative(caption.with_suffix(".png"), folder)
    return [f"### {title}", f"![{title}]({image})", *measured]


def _table_of(lines: Sequence[str]) -> str:
    """The Markdown of a simple table of reStructuredText, with one line of header."""
    starts = [place.start() for place in re.finditer("=+", lines[0])]
    cells = [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
        if not _RULE.fullmatch(line)
    ]
    return _markdown(cells[0], cells[1:])


def _markdown(header: Sequence[str], lines: Iterable[Sequence[str]], align: str = "--:") -> str:
    rows = [header, [align] * len(header), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


# ---------------------------------------------------------------------------------------------
# Tables

_SUMMARY = (
    "*Gap*: PSNR on the own training set less PSNR on the test set, in dB, averaged over noise "
    "levels, with its standard error over test images; *largest*: the same at the worst level; "
    "*agreement*: PSNR in dB between the outputs of the networks of S1 and S2 on the same noisy test "
    "images; *same set*: the same of two trainings on one set with different seeds; *slope*: of test "
    "PSNR against input PSNR, over the noise levels of the last column. *Between*: the standard deviation "
    "of the number before it between trainings, pooled over so many *cells*, the experiments at one N "
    "with several trainings, of networks made alike, of one image class, N within a factor of ten. "
    "*Oracle*: the slope of the denoiser that is exact or knows the contour, over the same noise "
    "levels and on the images that both have. *Theory*: for small noise, the lesser of α/(α+1), the "
    "minimax rate of the function class, "
    "and (β−1)/β, which the backgrounds allow."
)
_SHARED = (
    " First weights, order and noise of the training depend on "
    "the seed and the split alone: networks of one split share them for every N and experiment."
)
_IMPORTED = (
    " What imported networks were trained on, and how, is known to who published them; the training set "
    "named is one that they are measured on."
)
_GAPS = (
    "PSNR of an exact or classical denoiser less that of the network with the most training images, in dB, "
    "on the same noisy test images, with its standard error over images and, where there are several "
    "trainings, between them (of one training). Positive: the reference is better."
)
_SAMPLES = (
    "Networks of S1 and S2 sample from the same noise. Mean correlations with their standard errors; the "
    "share of samples that are memorised (three times nearer to one image of the own set than to any "
    "other, whatever the factor between image and copy, duplicates counted once; by plain distance: as "
    "they are), and the share that is copied. Whether samples are images of the class: how near fresh "
    "images are to a set; the variance of samples along the leading principal directions over that of "
    "fresh images; and p of a two-sample test of samples and fresh images, for S1 and for S2."
)
_MEANS = {  # columns of the table: quantity, measure, and whether against the own set
    "two networks": ("pair_similarity", "correlation", None),
    "closest, own set": ("closest_similarity", "correlation", True),
    "closest, other set": ("closest_similarity", "correlation", False),
    "S1 to closest of S2": ("twin_similarity", "correlation", None),
    "fresh to closest": ("fresh_similarity", "correlation", False),
    "leading variance": ("principal_variance_ratio", "leading", False),
}
_SHARES = {
    "memorised": ("memorised", "scaled_ratio", True),
    "by plain distance": ("memorised", "distance_ratio", True),
    "copied": ("copied", "correlation", True),
}
_DENSITY = (
    "An upper bound, in nats per image, on the divergence of the density that a denoiser defines from that "
    "of the images, both with noise of the lowest σ: the integral of the denoiser's excess error over "
    "noise levels, with its standard error over test images, the error of the quadrature, and the standard "
    "error between the K networks of disjoint sets; its split into variance and bias; *start*, what "
    "beginning with Gaussian noise adds; and the bound, their sum."
)

_ELBO = (
    "The evidence lower bound of a discrete chain backwards with the network and with the exact denoiser, "
    "in nats per image, below the exact log-likelihood; and how far below, with the standard error over "
    "test images. What the exact denoiser loses is owed to the number of noise levels and to the ends of "
    "the chain."
)


def _number(value: float, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)


def _with_error(value: float, error: float, form: str) -> str:
    return _number(value, form) + ("" if pd.isna(error) else f" ± {error:{form}}")


def _summary(tables: Sequence[Table]) -> str:
    header = ("experiment", "N", "split", "gap", "between", "largest", "agreement", "same set")
    slopes = ("slope", "between", "cells", "oracle", "theory", "σ")
    return _markdown(
        (*header, *slopes),
        (
            (
                *(str(row[name]) for name in ("experiment", "set_size", "split")),
                _with_error(row["gap"], row["gap_se"], ".2f"),
                _number(row["gap_between"], ".2f"),
                _number(row["largest_gap"], ".2f"),
                *(_number(row[name], ".1f") for name in ("agreement", "agreement_same_set")),
                _with_error(row["slope"], row["slope_se"], ".3f"),
                _number(row["slope_between"], ".3f"),
                str(row["pooled_cells"]),
                _number(row["oracle_slope"], ".3f"),
                _number(row["theoretical_slope"], ".2f"),
                f"{row['sigma_low']:g} to {row['sigma_high']:g}",
            )
            for row in _records(tables)
        ),
    )


def _records(tables: Sequence[Table]) -> list[dict[str, float]]:
    frame = pd.concat([table.frame for table in tables])
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _gaps(tables: Sequence[Table]) -> str:
    gaps = pd.concat([table.frame for table in tables])
    sigmas = sorted(gaps["sigma"].unique(), reverse=True)[::3]
    by_experiment = gaps.groupby("experiment")
    largest = gaps[gaps["set_size"] == by_experiment["set_size"].transform("max")]
    shown = largest[largest["split"] == largest.groupby("experiment")["split"].transform("min")]
    lines = []
    for names, rows in shown.groupby(["experiment", "set_size", "reference"], sort=False):
        at = rows.set_index("sigma")
        gap, error = at["reference_gap"], at["reference_gap_se"]
        between = at["reference_gap_between"]
        cells = [
            _with_error(gap[s], error[s], ".2f")
            + ("" if pd.isna(between[s]) else f" ± {between[s]:.2f}")
            for s in sigmas
        ]
        lines.append([*map(str, names), *cells])
    return _markdown(("experiment", "N", "reference", *(f"σ = {s:g}" for s in sigmas)), lines)


def _samples(tables: Sequence[Table]) -> str:
    lines = []
    for table in sorted(tables, key=lambda one: (one.value("experiment"), one.value("set_size"))):
        tested = table.frame[table.frame["quantity"] == "p_value"]
        alike, shares = (
            [summarised(table.frame, table.path, *asked) for asked in quantities]
            for quantities in (_MEANS.values(), _SHARES.values())
        )
        lines.append(
            [
                *(str(table.value(key)) for key in ("experiment", "set_size")),
                *(_with_error(mean, error, ".3f") for mean, error, _ in alike),
                *(_number(mean, ".2f") for mean, _, _ in shares),
                ", ".join(_number(p, ".3f") for p in tested["mean"]),
            ]
        )
    return _markdown(("experiment", "N", *_MEANS, *_SHARES, "p"), lines)


def _density(tables: Sequence[Table]) -> str:
    header = ("experiment", "N", "K", "integral", "images", "quadrature", "networks")
    split = ("bits per pixel", "variance", "bias²", "start", "bound", "σ")
    return _markdown(
        (*header, *split),
        (
            (
                *(str(row[name]) for name in ("experiment", "set_size", "networks")),
                f"{row['kl']:.1f}",
                *(f"± {row[f'kl_{name}']:.1f}" for name in ("se", "quadrature", "between")),
                f"{row['bits_per_pixel']:.3f}",
                *(_number(row[name], ".1f") for name in ("kl_variance", "kl_bias")),
                *(f"{row[name]:.1f}" for name in ("start", "bound")),
                f"{row['sigma_low']:g} to {row['sigma_high']:g}",
            )
            for row in _records(tables)
        ),
    )


def _elbo(tables: Sequence[Table]) -> str:
    header = ("experiment", "N", "split", "log-likelihood", "exact bound", "network's bound")
    return _markdown(
        (*header, "exact loses", "network loses", "levels", "σ"),
        (
            (
                *(str(row[name]) for name in ("experiment", "set_size", "split")),
                *(f"{row[name]:.1f}" for name in ("log_likelihood", "exact_elbo", "elbo")),
                *(
                    _with_error(row[name], row[f"{name}_se"], ".1f")
                    for name in ("exact_loss", "loss")
                ),
                str(row["levels"]),
                f"{row['sigma_low']:g} to {row['sigma_high']:g}",
            )
            for row in _records(tables)
        ),
    )
