"""The figures by name, and the one call that makes one: ``gahb figures <name> ...``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gahb.artifacts import digest_file, write_text
from gahb.figures import (
    basis,
    bounds,
    cones,
    density,
    gap,
    memorisation,
    onset,
    optimum,
    outputs,
    regularity,
    samples,
    shuffled,
    similarity,
    trajectory,
    transition,
    twins,
    wiener,
)
from gahb.figures.save import save

Inputs = Sequence[Path | str]


@dataclass(frozen=True)
class FigureMaker:
    """How one figure is drawn and described, and the options its spec must have."""

    draw: Callable[[Inputs, Mapping[str, Any]], Figure]
    caption: Callable[[Inputs, Mapping[str, Any]], str]
    options: tuple[str, ...]


FIGURES: dict[str, FigureMaker] = {
    "transition": FigureMaker(transition.draw, transition.caption, transition.OPTIONS),
    "basis": FigureMaker(basis.draw, basis.caption, basis.OPTIONS),
    "regularity": FigureMaker(regularity.draw, regularity.caption, regularity.OPTIONS),
    "gap": FigureMaker(gap.draw, gap.caption, gap.OPTIONS),
    "optimum": FigureMaker(optimum.draw, optimum.caption, optimum.OPTIONS),
    "bounds": FigureMaker(bounds.draw, bounds.caption, bounds.OPTIONS),
    "wiener": FigureMaker(wiener.draw, wiener.caption, wiener.OPTIONS),
    "shuffled": FigureMaker(shuffled.draw, shuffled.caption, shuffled.OPTIONS),
    "cones": FigureMaker(cones.draw, cones.caption, cones.OPTIONS),
    "outputs": FigureMaker(outputs.draw, outputs.caption, outputs.OPTIONS),
    "memorisation": FigureMaker(memorisation.draw, memorisation.caption, memorisation.OPTIONS),
    "onset": FigureMaker(onset.draw, onset.caption, onset.OPTIONS),
    "density": FigureMaker(density.draw, density.caption, density.OPTIONS),
    "samples": FigureMaker(samples.draw, samples.caption, samples.OPTIONS),
    "similarity": FigureMaker(similarity.draw, similarity.caption, similarity.OPTIONS),
    "trajectory": FigureMaker(trajectory.draw, trajectory.caption, trajectory.OPTIONS),
    "twins": FigureMaker(twins.draw, twins.caption, twins.OPTIONS),
}


def make_figure(
    name: str, inputs: Inputs, spec: Mapping[str, Any], outputs: Sequence[Path | str]
) -> None:
    """Draw the figure ``name`` and write it with its caption.

    Args:
        name: a key of :data:`FIGURES`.
        inputs: tables (``.csv``, each with its ``.json`` sidecar), spectra and samples files
            (``.h5``), in any order.
        spec: the figure's options.
        outputs: files to write: ``.png``, ``.pdf`` and, for the caption, ``.rst``.

    Raises:
        ValueError: no such figure, a wrong option, or an output of another kind.
        gahb.artifacts.ArtifactError: an input is missing, damaged or not what the figure needs.
    """
    if name not in FIGURES:
        raise ValueError(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    paths = [Path(path) for path in inputs]
    targets = [Path(path) for path in outputs]
    for path in paths:
        if path.suffix not in (".csv", ".h5"):
            raise ValueError(
                f"{path}: a figure is drawn from tables (.csv), spectra and samples (.h5)"
            )
    for path in targets:
        if path.suffix not in (".png", ".pdf", ".rst"):
            raise ValueError(f"{path}: a figure is written as .png, .pdf and .rst")
    figure = FIGURES[name].draw(paths, spec)
    text = FIGURES[name].caption(paths, spec)
    digests = {"/".join(path.parts[-2:]): digest_file(path) for path in sorted(paths)}
    for path in targets:
        if path.suffix == ".rst":
            write_text(path, text)
        else:
            save(figure, path, spec["title"], {"spec": dict(spec), "inputs": digests})
