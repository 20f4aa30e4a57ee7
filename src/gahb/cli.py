"""The ``gahb`` command: one verb per phase, reading named inputs and a spec, writing named outputs.

A rule's shell line is one such command; it can be copied, pasted and run. Specs are JSON, the
resolved part of params.yaml that an artifact depends on.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gahb import commands, devices, people
from gahb.artifacts import ArtifactError, Spec
from gahb.explaining import explain
from gahb.options import names

# what torch says, in errors of no type of their own, where there is no GPU
_NO_GPU = re.compile("not compiled with CUDA|NVIDIA driver|No CUDA GPUs")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; errors in what was asked for are told in one message, with exit status 1."""
    options = _parser().parse_args(arguments)
    if "check" in options:
        options.check(options)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        with devices.job():
            run(options)
    except ValidationError as error:
        problems = "; ".join(explain(error, getattr(options, "spec", None) or {}))
        sys.exit(f"gahb {options.verb}: error: {problems}")
    except (ArtifactError, ValueError, OSError) as error:
        sys.exit(f"gahb {options.verb}: error: {error}")
    except (MemoryError, RuntimeError, AssertionError) as error:
        from gahb.denoisers.memory import is_out_of_memory

        if not is_out_of_memory(error) and not _NO_GPU.search(str(error)):
            raise
        told = (str(error).strip() or "out of memory").splitlines()[0]
        told = "; ".join([told, *getattr(error, "__notes__", [])])
        sys.exit(f"gahb {options.verb}: error: this machine cannot do it: {told}")
    except LookupError as error:
        sys.exit(
            f"gahb {options.verb}: error: the spec lacks, or names, what is not there: {error}"
        )
    except ArithmeticError as error:
        sys.exit(f"gahb {options.verb}: error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="gahb", description=__doc__.split("\n\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="PHASE")

    verb = _verb(
        verbs, "datasets", commands.datasets, "make a dataset: synthesise it, or read photographs"
    )
    verb.add_argument("--output", type=Path, required=True, help="dataset to write, .h5")
    verb.add_argument("--threads", type=int, default=1, help="rendering threads (default 1)")

    verb = _verb(
        verbs, "denoisers", commands.denoisers, "train a denoiser, or continue training it"
    )
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--output", type=Path, required=True, help="weights to write, .safetensors")
    verb.add_argument("--table", type=Path, required=True, help="per-update log to write, .csv")
    verb.add_argument("--checkpoint", type=Path, required=True, help="state of a killed run")
    verb.add_argument(
        "--checkpoint-seconds", type=float, default=30.0, help="time between states (default 30)"
    )
    verb.add_argument("--snapshots", type=Path, help="weights on the way to write, .safetensors")
    verb.add_argument(
        "--snapshots-at", type=int, nargs="+", default=[], help="after how many updates"
    )
    verb.add_argument(
        "--planned",
        type=int,
        default=0,
        help="images in all updates of all networks of this shape; many repay compiling",
    )

    phase = verbs.add_parser("evaluation", help="measure denoisers")
    kinds = phase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    verb = _verb(kinds, "network", commands.evaluate_network, "a network: PSNR against noise level")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--network", type=Path, required=True, help="weights, .safetensors")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(
        kinds, "memorising", commands.evaluate_memorising, "the optimum for a training set"
    )
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "agreement", commands.compare, "two networks on the same noisy images")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--networks", type=Path, nargs=2, required=True, help="weights of the two")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "reference", commands.evaluate_reference, "an exact or classical denoiser")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(
        kinds, "references", commands.summarise_references, "slopes, one row per reference"
    )
    verb.add_argument("--references", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = kinds.add_parser("gaps", help="networks against references, per noise level")
    verb.add_argument("--tables", type=Path, nargs="+", required=True, help="network tables, .csv")
    verb.add_argument("--references", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb.set_defaults(run=commands.measure_gaps)
    verb = _verb(kinds, "summary", commands.summarise, "one row per network")
    verb.add_argument("--tables", type=Path, nargs="+", required=True, help="network tables, .csv")
    verb.add_argument("--comparisons", type=Path, nargs="*", default=[], help="agreement, .csv")
    verb.add_argument("--references", type=Path, nargs="*", default=[], help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")

    verb = _verb(
        kinds, "ensembles", commands.measure_ensembles, "networks of disjoint training sets"
    )
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="weights, by set size and split"
    )
    verb.add_argument(
        "--snapshots", type=Path, nargs="*", default=[], help="of the same networks, in their order"
    )
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(
        kinds, "elbo", commands.measure_likelihoods, "bounds on the likelihood of Gaussian fields"
    )
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="weights, by set size and split"
    )
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = kinds.add_parser("density", help="bounds on the divergence of the learned density")
    verb.add_argument("--ensembles", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb.set_defaults(run=commands.bound_densities)

    phase = verbs.add_parser("samples", help="sample from two networks on the same noise")
    kinds = phase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    verb = _verb(kinds, "pair", commands.samples, "two trained networks")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--networks", type=Path, nargs=2, required=True, help="weights of S1 and S2")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(
        kinds, "updates", commands.samples_over_training, "pairs of networks while they learn"
    )
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument(
        "--snapshots",
        type=Path,
        nargs="+",
        required=True,
        help="weights at several updates, by set size, S1 before S2",
    )
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")

    _spectra(verbs)
    _psnr(verbs)
    _sample(verbs)

    verb = _verb(
        verbs, "adaptivity", commands.adaptivity, "eigenbases beside oracles and other bases"
    )
    verb.add_argument(
        "--spectra", type=Path, nargs="+", required=True, help="of networks of one experiment, .h5"
    )
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")

    verb = verbs.add_parser(
        "import",
        help="read published weights",
        description=(commands.import_weights.__doc__ or "").split("\n\n")[0],
    )
    verb.set_defaults(run=commands.import_weights)
    verb.add_argument("weights", type=Path, help="published weights, of PyTorch or .safetensors")
    verb.add_argument("--output", type=Path, required=True, help="weights to write, .safetensors")
    verb.add_argument(
        "--key", help="which state dict, where the file holds several: ema, model.0 ..."
    )
    verb.add_argument("--sha256", help="what the file must have")
    verb.add_argument("--spec", type=_json, help="the network of params.yaml that it is, JSON")
    verb.add_argument("--dataset", type=Path, help="with --spec: the dataset of that network, .h5")

    verb = _verb(verbs, "figures", commands.figures, "draw a figure and its caption")
    verb.add_argument("name", help=", ".join(names("gahb.figures")))
    verb.add_argument("--inputs", type=Path, nargs="+", required=True, help="tables and spectra")
    verb.add_argument("--output", type=Path, nargs="+", required=True, help=".png, .pdf and .rst")

    verb = _verb(verbs, "claims", commands.claims, "judge every claim by what was measured")
    verb.add_argument("--inputs", type=Path, nargs="*", default=[], help="tables and spectra")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")

    verb = verbs.add_parser(
        "page",
        help="a page to look at, in one file",
        description=(commands.page.__doc__ or "").split("\n\n")[0],
    )
    verb.set_defaults(run=commands.page)
    verb.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of what is not named below"
    )
    verb.add_argument("--claims", type=Path, help="table of claims, .csv")
    _scales(verb)
    verb.add_argument("--inputs", type=Path, nargs="+", help="spectra, samples, tables of PSNR")
    verb.add_argument("--figures", type=Path, nargs="+", help="captions, .rst, beside their .png")
    verb.add_argument(
        "--output", type=Path, default=Path("page.html"), help="page to write (default page.html)"
    )

    phase = verbs.add_parser("provenance", help="say what finished results are and were made from")
    kinds = phase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    verb = kinds.add_parser("metrics", help="the numbers that DVC compares between commits")
    verb.add_argument("--summary", type=Path, required=True, help="summary table, .csv")
    verb.add_argument("--output", type=Path, required=True, help="metrics to write, .json")
    verb.set_defaults(run=commands.metrics)
    verb = kinds.add_parser("data-cards", help="what every dataset is")
    verb.add_argument("--datasets", type=Path, nargs="+", required=True, help="datasets, .h5")
    verb.add_argument("--citation", type=Path, required=True, help="CITATION.cff, for the licence")
    verb.add_argument("--output", type=Path, nargs="+", required=True, help="cards to write, .md")
    verb.set_defaults(run=commands.data_cards)
    verb = kinds.add_parser("model-cards", help="what every network is, and how well it denoises")
    verb.add_argument("--networks", type=Path, nargs="+", required=True, help=".safetensors")
    verb.add_argument("--summary", type=Path, required=True, help="summary table, .csv")
    verb.add_argument("--citation", type=Path, required=True, help="CITATION.cff, for the licence")
    verb.add_argument("--output", type=Path, nargs="+", required=True, help="cards to write, .md")
    verb.set_defaults(run=commands.model_cards)
    verb = kinds.add_parser("results-page", help="all figures and the main tables, for a reader")
    verb.add_argument("--tables", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--figures", type=Path, nargs="+", required=True, help="captions, .rst")
    verb.add_argument("--claims", type=Path, required=True, help="table of claims, .csv")
    _scales(verb)
    verb.add_argument("--output", type=Path, required=True, help="page to write, .md")
    verb.set_defaults(run=commands.results_page)
    verb = _verb(kinds, "crate", commands.crate, "machine-readable provenance of the whole run")
    verb.add_argument("--citation", type=Path, required=True, help="CITATION.cff")
    verb.add_argument("--snakefile", type=Path, required=True, help="the workflow")
    verb.add_argument(
        "--versions",
        type=_version,
        nargs="*",
        default=[],
        help="NAME=VERSION of what ran the workflow",
    )
    verb.add_argument("--output", type=Path, required=True, help="ro-crate-metadata.json to write")

    verb = verbs.add_parser("pretrained", help="list the trained networks that come with gahb")
    verb.add_argument(
        "--from",
        dest="results",
        type=Path,
        help="put those of this folder of results in their place",
    )
    verb.set_defaults(run=people.pretrained)

    verb = verbs.add_parser("verify", help="check all results against what they should be")
    verb.add_argument("--preset", help="check the results of this preset")
    verb.set_defaults(run=commands.verify)
    return parser


def _spectra(verbs: Any) -> None:
    """The verb that rules call with a spec, and people with an image."""
    verb: _Parser = verbs.add_parser(
        "spectra",
        help="Jacobian eigenbases of a denoiser",
        description=(people.spectra.__doc__ or "").split("\n\n")[0]
        + " Rules name a spec and a dataset instead of an image.",
    )
    _weights(verb, required=False)
    verb.add_argument("--image", type=Path, help="clean image, .png or .jpg; noise is added to it")
    verb.add_argument("--sigma", type=float, default=0.1, help="noise level (default 0.1)")
    verb.add_argument("--k", type=int, help="number of eigenvectors (default all)")
    verb.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    verb.add_argument("--output", type=Path, help="spectra to write, .h5")
    verb.add_argument("--plot", type=Path, help="figure to write, .png or .pdf")
    rule = verb.add_argument_group("for rules")
    rule.add_argument("--spec", type=_json, help="what it is made from, JSON")
    rule.add_argument("--dataset", type=Path, help="dataset, .h5")
    rule.add_argument(
        "--network", type=Path, help="weights, .safetensors; without, the reference that SPEC names"
    )

    def check(options: argparse.Namespace) -> None:
        by_rule = options.spec is not None
        needed = ("dataset", "output") if by_rule else ("weights", "image")
        missing = [f"--{name}" for name in needed if getattr(options, name) is None]
        others = ("weights", "image", "k", "plot") if by_rule else ("dataset", "network")
        wrong = [f"--{name}" for name in others if getattr(options, name) is not None]
        if missing:
            verb.error(f"the following arguments are required: {', '.join(missing)}")
        if wrong:
            verb.error(f"{', '.join(wrong)} {'does not go' if by_rule else 'goes'} with --spec")
        options.run = commands.spectra if by_rule else people.spectra

    verb.set_defaults(check=check, run=None)


def _psnr(verbs: Any) -> None:
    verb = _plain(verbs, "psnr", people.psnr, "PSNR of denoisers against noise level")
    _weights(verb, several=True)
    verb.add_argument("--images", type=Path, required=True, help="folder of PNG or JPEG files")
    verb.add_argument("--sigmas", type=float, nargs="+", help="noise levels (default 0.01 to 1)")
    verb.add_argument("--repeats", type=int, default=1, help="draws of noise per image (default 1)")
    verb.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    verb.add_argument("--output", type=Path, help="table to write, .csv")
    verb.add_argument("--plot", type=Path, help="figure to write, .png or .pdf")


def _sample(verbs: Any) -> None:
    verb = _plain(verbs, "sample", people.sample, "draw images with a denoiser")
    _weights(verb)
    verb.add_argument("--count", type=int, default=16, help="number of images (default 16)")
    verb.add_argument("--size", type=int, help="side of the images in pixels (default 32)")
    verb.add_argument("--around", type=Path, help="folder of images of the class to start around")
    verb.add_argument("--sampler", default="ancestral", help="ancestral, deterministic or ode")
    verb.add_argument("--steps", type=int, default=32, help="calls per image (default 32)")
    verb.add_argument(
        "--sigma-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="noise levels"
    )
    verb.add_argument("--seed", type=int, default=0, help="of all noise (default 0)")
    verb.add_argument("--output", type=Path, required=True, help="images, .png, .pdf or .npy")


def _weights(verb: argparse.ArgumentParser, required: bool = True, several: bool = False) -> None:
    verb.add_argument(
        "--weights",
        required=required,
        nargs="+" if several else None,
        help="weights, .safetensors, or the name of a network that comes with gahb (gahb pretrained)",
    )


def _plain(
    parent: Any, name: str, run: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    """A verb for people: options alone."""
    verb: argparse.ArgumentParser = parent.add_parser(
        name, help=summary, description=(run.__doc__ or summary).split("\n\n")[0]
    )
    verb.set_defaults(run=run)
    return verb


class _Parser(argparse.ArgumentParser):
    """A parser that names the option that was probably meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an unknown option before asking for those that are missing."""
        given = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:
            known = [name for name in self._option_string_actions if name.startswith("--")]
            for word in given:
                option = word.partition("=")[0]
                if (
                    option[:2] == "--"
                    and option != "--"
                    and not any(name.startswith(option) for name in known)
                ):
                    close = get_close_matches(option, known, 1)
                    meant = (
                        f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                    )
                    self.error(f"unrecognized argument {option}: {meant}")
        return super().parse_known_args(given, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an unknown verb."""
        known = list(map(str, action.choices or ()))
        close = get_close_matches(str(value), known, 1)
        if close and value not in known:
            raise argparse.ArgumentError(
                action, f"invalid choice: {value!r}: did you mean {close[0]}?"
            )
        super()._check_value(action, value)


def _verb(
    parent: Any, name: str, run: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = parent.add_parser(
        name, help=summary, description=(run.__doc__ or summary).split("\n\n")[0]
    )
    verb.add_argument("--spec", type=_json, required=True, help="what it is made from, JSON")
    verb.set_defaults(run=run)
    return verb


def _scales(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--scales", type=Path, nargs="*", default=[], help="claims of runs of other scales, .csv"
    )


def _version(text: str) -> tuple[str, str]:
    name, sign, version = text.partition("=")
    if not (name and sign and version):
        raise argparse.ArgumentTypeError(f"expected NAME=VERSION, found {text}")
    return name, version


def _json(text: str) -> Spec:
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(spec, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, found {text}")
    return spec
