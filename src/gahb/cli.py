"""The ``gahb`` command: one verb per phase, reading named inputs and a spec, writing named outputs.

A rule's shell line is one such command; it can be copied, pasted and run. Specs are JSON, the
resolved part of params.yaml that an artifact depends on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gahb.artifacts import ArtifactError, Spec, check_input
from gahb.params import ParamsError
from gahb.params.figure_inputs import FIGURE_NAMES


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; errors in what was asked for are told in one message, with exit status 1."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except (ArtifactError, ParamsError, ValueError, OSError) as error:
        sys.exit(f"gahb {options.verb}: error: {error}")
    except LookupError as error:
        sys.exit(
            f"gahb {options.verb}: error: the spec lacks, or names, what is not there: {error}"
        )
    except ArithmeticError as error:
        sys.exit(f"gahb {options.verb}: error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gahb", description=__doc__.split("\n\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="PHASE")

    verb = _verb(verbs, "datasets", _datasets, "make a dataset: synthesise it, or read photographs")
    verb.add_argument("--output", type=Path, required=True, help="dataset to write, .h5")
    verb.add_argument("--threads", type=int, default=1, help="rendering threads (default 1)")

    verb = _verb(verbs, "denoisers", _denoisers, "train a denoiser, or continue training it")
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

    phase = verbs.add_parser("evaluation", help="measure denoisers")
    kinds = phase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    verb = _verb(kinds, "network", _evaluate_network, "a network: PSNR against noise level")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--network", type=Path, required=True, help="weights, .safetensors")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "memorising", _evaluate_memorising, "the optimum for a training set")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "agreement", _compare, "two networks on the same noisy images")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--networks", type=Path, nargs=2, required=True, help="weights of S1 and S2")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "reference", _evaluate_reference, "an exact or classical denoiser")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "references", _summarise_references, "slopes, one row per reference")
    verb.add_argument("--references", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = kinds.add_parser("gaps", help="networks against references, per noise level")
    verb.add_argument("--tables", type=Path, nargs="+", required=True, help="network tables, .csv")
    verb.add_argument("--references", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb.set_defaults(run=_measure_gaps)
    verb = _verb(kinds, "summary", _summarise, "one row per network")
    verb.add_argument("--tables", type=Path, nargs="+", required=True, help="network tables, .csv")
    verb.add_argument("--comparisons", type=Path, nargs="*", default=[], help="agreement, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")

    verb = _verb(kinds, "ensembles", _measure_ensembles, "networks of disjoint training sets")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="weights, by set size and split"
    )
    verb.add_argument(
        "--snapshots", type=Path, nargs="*", default=[], help="of the same networks, in their order"
    )
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = kinds.add_parser("density", help="bounds on the divergence of the learned density")
    verb.add_argument("--ensembles", type=Path, nargs="+", required=True, help="tables, .csv")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb.set_defaults(run=_bound_densities)

    phase = verbs.add_parser("samples", help="sample from two networks on the same noise")
    kinds = phase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    verb = _verb(kinds, "pair", _samples, "two trained networks")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument("--networks", type=Path, nargs=2, required=True, help="weights of S1 and S2")
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")
    verb = _verb(kinds, "updates", _samples_over_training, "pairs of networks while they learn")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument(
        "--snapshots",
        type=Path,
        nargs="+",
        required=True,
        help="weights at several updates, by set size, S1 before S2",
    )
    verb.add_argument("--output", type=Path, required=True, help="table to write, .csv")

    verb = _verb(verbs, "spectra", _spectra, "Jacobian eigenbases of a denoiser")
    verb.add_argument("--dataset", type=Path, required=True, help="dataset, .h5")
    verb.add_argument(
        "--network", type=Path, help="weights, .safetensors; without, the reference that SPEC names"
    )
    verb.add_argument("--output", type=Path, required=True, help="spectra to write, .h5")

    verb = verbs.add_parser(
        "import",
        help="read published weights",
        description=(_import.__doc__ or "").split("\n\n")[0],
    )
    verb.set_defaults(run=_import)
    verb.add_argument("weights", type=Path, help="published PyTorch state dict")
    target = verb.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, help="weights to write, .safetensors")
    target.add_argument("--experiment", help="of params.yaml: stand for a network trained there")
    verb.add_argument("--set-size", type=int, help="with --experiment: which of its networks")
    verb.add_argument("--split", help="with --experiment: which of its networks, S1, S2 ...")
    verb.add_argument("--preset", help="with --experiment: preset laid over params.yaml")

    verb = _verb(verbs, "figures", _figures, "draw a figure and its caption")
    verb.add_argument("name", help=", ".join(FIGURE_NAMES))
    verb.add_argument("--inputs", type=Path, nargs="+", required=True, help="tables and spectra")
    verb.add_argument("--output", type=Path, nargs="+", required=True, help=".png, .pdf and .rst")

    phase = verbs.add_parser("provenance", help="say what finished results are and were made from")
    kinds = phase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    verb = kinds.add_parser("metrics", help="the numbers that DVC compares between commits")
    verb.add_argument("--summary", type=Path, required=True, help="summary table, .csv")
    verb.add_argument("--output", type=Path, required=True, help="metrics to write, .json")
    verb.set_defaults(run=_metrics)
    verb = kinds.add_parser("data-cards", help="what every dataset is")
    verb.add_argument("--datasets", type=Path, nargs="+", required=True, help="datasets, .h5")
    verb.add_argument("--output", type=Path, required=True, help="cards to write, .md")
    verb.set_defaults(run=_data_cards)
    verb = kinds.add_parser("model-cards", help="what every network is, and how well it denoises")
    verb.add_argument("--networks", type=Path, nargs="+", required=True, help=".safetensors")
    verb.add_argument("--summary", type=Path, required=True, help="summary table, .csv")
    verb.add_argument("--output", type=Path, required=True, help="cards to write, .md")
    verb.set_defaults(run=_model_cards)
    verb = _verb(kinds, "crate", _crate, "machine-readable provenance of the whole run")
    verb.add_argument("--citation", type=Path, required=True, help="CITATION.cff")
    verb.add_argument("--output", type=Path, required=True, help="ro-crate-metadata.json to write")

    verb = verbs.add_parser("verify", help="check all results against what they should be")
    verb.add_argument("--preset", help="check the results of this preset")
    verb.set_defaults(run=_verify)
    return parser


def _verb(
    parent: Any, name: str, run: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = parent.add_parser(
        name, help=summary, description=(run.__doc__ or summary).split("\n\n")[0]
    )
    verb.add_argument("--spec", type=_json, required=True, help="what it is made from, JSON")
    verb.set_defaults(run=run)
    return verb


def _json(text: str) -> Spec:
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(spec, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, found {text}")
    return spec


def _datasets(options: argparse.Namespace) -> None:
    """Make a dataset, synthetic or of photographs: images, and the disjoint index sets S1, S2 and test."""
    from gahb.datasets.store import write_dataset

    write_dataset(options.spec, options.output, options.threads)


def _denoisers(options: argparse.Namespace) -> None:
    """Train a denoiser, or continue a training that was killed."""
    from gahb.datasets.store import open_dataset
    from gahb.denoisers.training import train

    train(
        options.spec,
        open_dataset(options.dataset, options.spec["dataset"]),
        options.output,
        options.table,
        options.checkpoint,
        options.checkpoint_seconds,
        options.snapshots,
        options.snapshots_at,
    )


def _evaluate_network(options: argparse.Namespace) -> None:
    """PSNR of a network on its own training set, the other split's, and the test set."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.tables import evaluate_network

    dataset = open_dataset(options.dataset, options.spec["network"]["dataset"])
    evaluate_network(options.spec, dataset, options.network, options.output)


def _evaluate_memorising(options: argparse.Namespace) -> None:
    """PSNR of the denoiser that is optimal for a training set, on the same draws."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.tables import evaluate_memorising

    dataset = open_dataset(options.dataset, options.spec["memorising"]["dataset"])
    evaluate_memorising(options.spec, dataset, options.output)


def _compare(options: argparse.Namespace) -> None:
    """PSNR between the outputs of the two splits' networks on the same noisy test images."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.tables import compare_networks

    dataset = open_dataset(options.dataset, options.spec["first"]["dataset"])
    compare_networks(options.spec, dataset, tuple(options.networks), options.output)


def _evaluate_reference(options: argparse.Namespace) -> None:
    """PSNR of an exact or classical denoiser on test images, on the draws that networks get."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.tables import evaluate_reference

    dataset = open_dataset(options.dataset, options.spec["dataset"])
    evaluate_reference(options.spec, dataset, options.output)


def _summarise_references(options: argparse.Namespace) -> None:
    """Fitted slope of each exact or classical denoiser: one row per image class and denoiser."""
    from gahb.evaluation.gaps import summarise_references

    summarise_references(options.spec, options.references, options.output)


def _measure_gaps(options: argparse.Namespace) -> None:
    """PSNR of each reference less that of each network of its class, on the same draws."""
    from gahb.evaluation.gaps import measure_gaps

    measure_gaps(options.tables, options.references, options.output)


def _summarise(options: argparse.Namespace) -> None:
    """Train-test gap, agreement of the splits and test slope: one row per network."""
    from gahb.evaluation.summary import summarise

    summarise(options.spec, options.tables, options.comparisons, options.output)


def _measure_ensembles(options: argparse.Namespace) -> None:
    """Variance and bias of networks of disjoint training sets, and their distance from optima."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.ensembles import measure_ensembles

    dataset = open_dataset(options.dataset, options.spec["ensemble"]["dataset"])
    measure_ensembles(options.spec, dataset, options.networks, options.snapshots, options.output)


def _bound_densities(options: argparse.Namespace) -> None:
    from gahb.evaluation.density import bound_densities

    bound_densities(options.ensembles, options.output)


def _samples(options: argparse.Namespace) -> None:
    """Samples of the two splits' networks from the same noise, and their closest training images."""
    from gahb.datasets.store import open_dataset
    from gahb.samples.run import sample_pair

    dataset = open_dataset(options.dataset, options.spec["first"]["dataset"])
    sample_pair(options.spec, dataset, tuple(options.networks), options.output)


def _samples_over_training(options: argparse.Namespace) -> None:
    """Samples of two splits' networks from the same noise, after more and more updates."""
    from gahb.datasets.store import open_dataset
    from gahb.samples.over_training import sample_over_training

    dataset = open_dataset(options.dataset, options.spec["ensemble"]["dataset"])
    sample_over_training(options.spec, dataset, options.snapshots, options.output)


def _spectra(options: argparse.Namespace) -> None:
    """Eigenvalues and eigenvectors of a denoiser's Jacobian at noisy test images."""
    import torch

    from gahb.datasets.store import open_dataset
    from gahb.denoisers.references import ErrorBound, build_reference
    from gahb.denoisers.weights import load_denoiser
    from gahb.spectra.run import compute_spectra

    spec = options.spec
    learned = options.network is not None
    torch.set_num_threads(spec["spectra"]["threads"])
    dataset = open_dataset(options.dataset, (spec["network"] if learned else spec)["dataset"])
    inputs = {"dataset": dataset.images_sha256}
    device = "cpu"
    denoiser: torch.nn.Module
    if learned:
        denoiser, header = load_denoiser(options.network, spec["network"])
        check_input(options.network, header["inputs"], "dataset", dataset.images_sha256)
        inputs["network"] = header["tensors_sha256"]
        device = "cuda" if torch.cuda.is_available() else "cpu"
    else:
        built = build_reference(spec["reference"], spec["dataset"], dataset)
        if isinstance(built, ErrorBound):
            name = spec["reference"]["name"]
            raise ValueError(f"{name} is a bound on the error, no denoiser with a Jacobian")
        denoiser = built
    indices = dataset.indices["test"][spec["spectra"]["test_images"]]
    images = dataset.images(indices)
    compute_spectra(denoiser.to(device), images, indices, spec, options.output, inputs, device)


def _import(options: argparse.Namespace) -> None:
    """Turn published weights into weights that every command reads as if trained here.

    With ``--experiment`` they take the place of a network of params.yaml, whose dataset must exist:
    the rules find it trained. With ``--output`` they carry their architecture alone, for the library.
    """
    from gahb.denoisers.published import convert_published

    def absent(path: Path) -> Path:
        if path.exists():
            raise ValueError(f"{path} exists and would be overwritten: remove it first")
        return path

    if options.output is not None:
        if options.set_size is not None or options.split is not None or options.preset is not None:
            raise ValueError("--set-size, --split and --preset go with --experiment, not --output")
        print(options.output, convert_published(options.weights, absent(options.output)))
        return
    if options.set_size is None or options.split is None:
        raise ValueError("--experiment needs --set-size and --split")
    from gahb.datasets.store import open_dataset
    from gahb.params import load_params, network_spec, require_network

    params = load_params(preset=options.preset)
    network = (options.experiment, options.set_size, options.split)
    require_network(params, *network)
    if "snapshots" in params["experiments"][options.experiment]:
        raise ValueError(
            f"{options.experiment} keeps snapshots of the training, which published weights lack"
        )
    spec = network_spec(params, *network)
    results = Path(params["results"])
    dataset = open_dataset(results / f"datasets/{spec['image_class']}.h5", spec["dataset"])
    place = f"{options.experiment}/N{options.set_size}_{options.split}"
    output = results / f"denoisers/{place}.safetensors"
    architecture = convert_published(
        options.weights,
        absent(output),
        spec,
        dataset.images_sha256,
        results / f"training/{place}.csv",
    )
    print(output, architecture)


def _figures(options: argparse.Namespace) -> None:
    """Draw a figure from tables and spectra, and write the caption that says how it was made."""
    from gahb.figures.registry import make_figure

    make_figure(options.name, options.inputs, options.spec, options.output)


def _metrics(options: argparse.Namespace) -> None:
    from gahb.provenance.metrics import write_metrics

    write_metrics(options.summary, options.output)


def _data_cards(options: argparse.Namespace) -> None:
    from gahb.provenance.cards import write_data_cards

    write_data_cards(options.datasets, options.output)


def _model_cards(options: argparse.Namespace) -> None:
    from gahb.provenance.cards import write_model_cards

    write_model_cards(options.networks, options.summary, options.output)


def _crate(options: argparse.Namespace) -> None:
    """Write the RO-Crate of a finished run."""
    from gahb.provenance.crate import write_crate

    write_crate(options.spec, options.citation, options.output)


def _verify(options: argparse.Namespace) -> None:
    """Check every result of this folder against params.yaml, its records and dvc.lock."""
    from gahb.provenance.verify import disagreements

    found = disagreements(Path(), options.preset)
    if found:
        raise ArtifactError(f"{len(found)} disagreements\n" + "\n".join(found))
    print("every result is what params.yaml, the records and dvc.lock say")
