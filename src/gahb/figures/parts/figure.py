"""What a figure is: its options, what it is drawn from, what it measures there, and how it is drawn.

A figure is a model of options in the module of its name in :mod:`gahb.figures`. Its caption is the template
``figures/captions/<name>.rst``, filled in with what it measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gahb.options import ALL_DIFFER, Count, Options, Sigma

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from gahb.datasets.image_class import ImageClass

FIGURES = "gahb.figures"
Params = dict[str, Any]
Inputs = Sequence[Path | str]
Network = tuple[str, int, str]  # experiment, set size, split
Reference = tuple[str, str]  # experiment, reference denoiser of its image class

Experiments = Annotated[list[str], Field(min_length=1), *ALL_DIFFER]
Ranks = Annotated[list[Count], Field(min_length=1), *ALL_DIFFER]
TwoSizes = Annotated[list[Count], Field(min_length=2, max_length=2), *ALL_DIFFER]
TwoSigmas = Annotated[list[Sigma], Field(min_length=2, max_length=2), *ALL_DIFFER]
Uppers = Annotated[list[str], Field(min_length=1, max_length=4), *ALL_DIFFER]
Measure = Literal["cosine", "correlation"]
Aggregation = Literal["psnr_of_mean_mse", "mean_psnr"]


@dataclass(frozen=True)
class Needs:
    """The tables, spectra and samples that one figure is drawn from.

    Attributes:
        tables: of all networks or references together: summary, references, gaps, density.
        networks: whose evaluations are drawn.
        memorising: training sets whose optimal denoiser's evaluations are drawn.
        agreements: (experiment, set size) whose two networks are compared.
        references: exact and classical denoisers whose evaluations, or gaps to them, are drawn.
        spectra: networks whose eigenvalues or eigenvectors are drawn.
        reference_spectra: exact and classical denoisers whose eigenvalues or eigenvectors are drawn.
        adaptivity: experiments whose networks' eigenvectors are compared with those of oracles.
        ensembles: experiments whose networks of all splits are compared.
        elbos: experiments on Gaussian fields whose likelihood is bounded.
        sample_tables: (experiment, set size) whose two networks' samples are summarised.
        samples_over_training: experiments whose samples are summarised against updates.
        samples: (experiment, set size) of pairs of networks whose samples are drawn.
    """

    tables: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    memorising: tuple[Network, ...] = ()
    agreements: tuple[tuple[str, int], ...] = ()
    references: tuple[Reference, ...] = ()
    spectra: tuple[Network, ...] = ()
    reference_spectra: tuple[Reference, ...] = ()
    adaptivity: tuple[str, ...] = ()
    ensembles: tuple[str, ...] = ()
    elbos: tuple[str, ...] = ()
    sample_tables: tuple[tuple[str, int], ...] = ()
    samples_over_training: tuple[str, ...] = ()
    samples: tuple[tuple[str, int], ...] = ()


class Figure(Options, ABC):
    """One figure of params.yaml."""

    of_underneath: ClassVar[bool] = False  # whether shuffled images are looked at as they were

    title: str | None = None
    """above the figure, and first in its caption; what it found, unless said otherwise"""

    @property
    def named_experiments(self) -> list[str]:
        """The experiments that its options name, whether or not they exist."""
        names = getattr(self, "experiments", None)
        return list(names) if names is not None else [self.experiment]  # type: ignore[attr-defined]

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Whether it can be drawn for networks trained on images of a class."""
        return True

    @abstractmethod
    def needs(self, params: Params) -> Needs:
        """What it is drawn from; its experiments exist in ``params``."""

    def problems(self, params: Params) -> Iterator[str]:
        """What of ``params`` does not fit it beside its needs, one sentence each, after its key."""
        yield from ()

    @abstractmethod
    def measure(self, inputs: Inputs) -> Any:
        """Read and check what it is drawn from, and compute every number that it shows.

        Args:
            inputs: the files that its needs stand for, in any order.

        Raises:
            gahb.artifacts.ArtifactError: an input is missing, damaged or not what the figure needs.
        """

    @abstractmethod
    def finding(self, measured: Any) -> str:
        """What was measured, in one line of numbers."""

    def heading(self, measured: Any) -> str:
        """The line above the figure: its title, or else what it found."""
        return self.title or self.finding(measured)

    @abstractmethod
    def draw(self, measured: Any) -> Drawing:
        """Draw what was measured."""


def all_sizes(params: Params, experiment: str, split: str) -> tuple[Network, ...]:
    """The networks of every set size of an experiment, on one split."""
    sizes = params["experiments"][experiment]["set_sizes"]
    return tuple((experiment, size, split) for size in sizes)


def files(params: Params, needed: Needs) -> list[str]:
    """The tables, spectra and samples that needs stand for, as paths from the project's root."""
    evaluation, spectra, samples = (
        f"{params['results']}/{phase}" for phase in ("evaluation", "spectra", "samples")
    )
    image_class = {key: value["image_class"] for key, value in params["experiments"].items()}
    return [
        *(f"{evaluation}/{table}.csv" for table in needed.tables),
        *(f"{evaluation}/{name}/N{size}_{split}.csv" for name, size, split in needed.networks),
        *(
            f"{evaluation}/{name}/N{size}_{split}_memorising.csv"
            for name, size, split in needed.memorising
        ),
        *(f"{evaluation}/{name}/N{size}_agreement.csv" for name, size in needed.agreements),
        *(
            f"{evaluation}/references/{image_class[name]}/{reference}.csv"
            for name, reference in needed.references
        ),
        *(f"{spectra}/{name}/N{size}_{split}.h5" for name, size, split in needed.spectra),
        *(f"{spectra}/{name}/{reference}.h5" for name, reference in needed.reference_spectra),
        *(f"{spectra}/{name}/adaptivity.csv" for name in needed.adaptivity),
        *(f"{evaluation}/{name}/ensembles.csv" for name in needed.ensembles),
        *(f"{evaluation}/{name}/elbo.csv" for name in needed.elbos),
        *(f"{samples}/{name}/N{size}.csv" for name, size in needed.sample_tables),
        *(f"{samples}/{name}/updates.csv" for name in needed.samples_over_training),
        *(f"{samples}/{name}/N{size}.h5" for name, size in needed.samples),
    ]
