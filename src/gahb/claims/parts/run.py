"""What a run makes that claims can be judged by: which experiments there are of which kind."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from gahb.datasets.image_class import CLASSES, ImageClass
from gahb.figures.parts.figure import Needs
from gahb.options import Options, model

Params = dict[str, Any]


class Run(Options):
    """The experiments of a run, by what a claim asks of them."""

    main: str | None
    """on images with a contour, measured, of those with two splits, if any, the one of the most N"""
    sizes: dict[str, list[int]]
    """N of the measured experiments, ascending"""
    splits: dict[str, list[str]]
    """of the same"""
    alphas: dict[str, float]
    """regularity of the images of experiments like the main one; where several have one, the first"""
    shuffled: tuple[str, str] | None
    """an experiment, and another on its images with their pixels shuffled"""
    other_network: str | None
    """an experiment on the images of the main one with another kind of network"""
    exact: dict[str, str]
    """the exact denoiser measured beside the networks of an experiment"""
    wavelets: dict[str, list[str]]
    """wavelet thresholding of the same images"""
    bandlets: dict[str, list[str]]
    """bandlet thresholding of the same images"""
    kinds: dict[str, str]
    """image class of the measured experiments"""
    imported: list[str] = Field([])
    """whose networks were trained elsewhere, on images that are not known: they have no gap to speak of"""
    ensembles: list[str]
    """whose networks are compared with each other"""
    densities: list[str]
    """of these, those whose images have an exact denoiser"""
    sampled: dict[str, list[int]]
    """whose networks are sampled from, and at which N"""
    followed: list[str]
    """of these, those that are sampled while they are trained"""
    spectra: dict[str, list[int]]
    """N of networks whose Jacobians are analysed, ascending"""
    spectra_splits: dict[str, list[str]]
    """of the same"""
    adapted: bool
    """whether the bases of the main experiment are compared with those of oracles"""

    @classmethod
    def of(cls, params: Params) -> Run:
        """What ``params``, complete and checked, make."""
        classes, experiments = params["image_classes"], params["experiments"]
        measured = {name: one for name, one in experiments.items() if one.get("evaluation", True)}
        pairs = {name for name, one in experiments.items() if {"S1", "S2"} <= set(one["splits"])}
        images = {name: classes[one["image_class"]] for name, one in experiments.items()}
        kind = {name: str(given["class"]) for name, given in images.items()}
        curved = [name for name in measured if _drawn(kind[name]).has_contour]
        main = max(
            [name for name in curved if name in pairs] or curved,
            key=lambda name: len(measured[name]["set_sizes"]),
            default=None,
        )
        network = {
            name: (one["architecture"], params["architectures"][one["architecture"]]["network"])
            for name, one in experiments.items()
        }
        alphas: dict[str, float] = {}
        for name in [main, *curved] if main else []:
            like = images[name].get("size") == images[main].get("size")
            like = like and network[name] == network[main] and "alpha" in images[name]
            if like and "background_alpha" not in images[name]:
                alpha = float(images[name]["alpha"])
                alphas |= {} if alpha in alphas.values() else {name: alpha}
        references = {
            name: {
                reference: params["references"][reference]["denoiser"]
                for reference in params["evaluation"]
                .get("references", {})
                .get(one["image_class"], [])
            }
            for name, one in measured.items()
        }

        def of_kind(denoiser: str) -> dict[str, list[str]]:
            found = {
                name: [reference for reference, kind in given.items() if kind == denoiser]
                for name, given in references.items()
            }
            return {name: given for name, given in found.items() if given}

        shuffled = [
            (name, other)
            for other in measured
            for name in measured
            if kind[other] == "shuffled" and images[other]["of"] == measured[name]["image_class"]
        ]
        others = [
            name
            for name, one in measured.items()
            if main
            and one["image_class"] == measured[main]["image_class"]
            and network[name][1] != network[main][1]
        ]
        sampled = params["sampling"]["experiments"]
        spectra = params["spectra"]["networks"]
        compared = params["ensembles"]["experiments"]
        return cls(
            main=main,
            sizes={name: sorted(one["set_sizes"]) for name, one in measured.items()},
            splits={name: one["splits"] for name, one in measured.items()},
            alphas=dict(sorted(alphas.items(), key=lambda item: item[1])),
            shuffled=shuffled[0] if shuffled else None,
            other_network=others[0] if others else None,
            exact={name: given[0] for name, given in of_kind("exact").items()},
            wavelets=of_kind("wavelet"),
            bandlets=of_kind("bandlet"),
            kinds={name: kind[name] for name in measured},
            imported=[name for name, one in experiments.items() if "imported" in one],
            ensembles=compared,
            densities=[name for name in compared if _exact(images[name], classes)],
            sampled={name: sorted(experiments[name]["set_sizes"]) for name in sampled},
            followed=[name for name in sampled if "snapshots" in experiments[name]],
            spectra={name: sorted(one["set_sizes"]) for name, one in spectra.items()},
            spectra_splits={name: one["splits"] for name, one in spectra.items()},
            adapted=main in spectra and len(spectra[main]["set_sizes"]) > 1,
        )

    def largest(self, experiment: str) -> int:
        """The largest N of a measured experiment."""
        return self.sizes[experiment][-1]

    def main_spectrum(self) -> Needs | None:
        """The spectra of the main experiment at the largest N, if they are made."""
        if self.main is None or self.main not in self.spectra:
            return None
        return Needs(spectra=self.spectra_of(self.main))

    def all_spectra(self) -> Needs | None:
        """The spectra of every experiment at its largest N, if any are made."""
        every = tuple(network for name in self.spectra for network in self.spectra_of(name))
        return Needs(spectra=every) if every else None

    def main_samples(self) -> Needs | None:
        """The samples of the main experiment at the largest N, if they are drawn."""
        if self.main is None or self.main not in self.sampled:
            return None
        return Needs(sample_tables=((self.main, self.sampled[self.main][-1]),))

    def spectra_of(self, experiment: str) -> tuple[tuple[str, int, str], ...]:
        """The networks of the largest N, one of each split, whose Jacobians are analysed."""
        size = self.spectra[experiment][-1]
        return tuple((experiment, size, split) for split in self.spectra_splits[experiment])

    def spectrum(self, experiment: str, set_size: int | None = None) -> tuple[str, int, str]:
        """The network of the largest N, or another, whose Jacobian is analysed."""
        size = self.spectra[experiment][-1] if set_size is None else set_size
        return experiment, size, self.spectra_splits[experiment][0]


def _drawn(kind: str) -> type[ImageClass]:
    drawn: type[ImageClass] = model(CLASSES, kind)
    return drawn


def _exact(images: dict[str, Any], classes: dict[str, Any]) -> bool:
    underneath = classes[images["of"]] if "of" in images else images
    return _drawn(underneath["class"]).exact is not None
