"""What each verb of the ``gahb`` command does with its options: open the inputs, and call the library.

Torch and the phases are loaded by the verb that needs them, so that the command line itself is quick.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gahb.artifacts import ArtifactError, check_output


def datasets(options: argparse.Namespace) -> None:
    """Make a dataset, synthetic or of photographs: images, and the disjoint index sets S1, S2 and test."""
    from gahb.datasets.store import write_dataset

    write_dataset(options.spec, options.output, options.threads)


def denoisers(options: argparse.Namespace) -> None:
    """Train a denoiser, or continue a training that was killed."""
    from gahb.datasets.store import open_dataset
    from gahb.denoisers.compilation import use_cache
    from gahb.denoisers.training import train

    use_cache()
    train(
        options.spec,
        open_dataset(options.dataset, options.spec["dataset"]),
        options.output,
        options.table,
        options.checkpoint,
        options.checkpoint_seconds,
        options.snapshots,
        options.snapshots_at,
        options.planned,
    )


def evaluate_network(options: argparse.Namespace) -> None:
    """PSNR of a network on its own training set, the other split's, and the test set."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.of_network import evaluate_network

    dataset = open_dataset(options.dataset, options.spec["network"]["dataset"])
    evaluate_network(options.spec, dataset, options.network, options.output)


def evaluate_memorising(options: argparse.Namespace) -> None:
    """PSNR of the denoiser that is optimal for a training set, on the same draws."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.of_optimum import evaluate_memorising

    dataset = open_dataset(options.dataset, options.spec["memorising"]["dataset"])
    evaluate_memorising(options.spec, dataset, options.output)


def compare(options: argparse.Namespace) -> None:
    """PSNR between the outputs of the two splits' networks on the same noisy test images."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.agreement import compare_networks

    dataset = open_dataset(options.dataset, options.spec["first"]["dataset"])
    compare_networks(options.spec, dataset, tuple(options.networks), options.output)


def evaluate_reference(options: argparse.Namespace) -> None:
    """PSNR of an exact or classical denoiser on test images, on the draws that networks get."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.of_reference import evaluate_reference

    dataset = open_dataset(options.dataset, options.spec["dataset"])
    evaluate_reference(options.spec, dataset, options.output)


def summarise_references(options: argparse.Namespace) -> None:
    """Fitted slope of each exact or classical denoiser: one row per image class and denoiser."""
    from gahb.evaluation.gaps import summarise_references

    summarise_references(options.spec, options.references, options.output)


def measure_gaps(options: argparse.Namespace) -> None:
    """PSNR of each reference less that of each network of its class, on the same draws."""
    from gahb.evaluation.gaps import measure_gaps

    measure_gaps(options.tables, options.references, options.output)


def summarise(options: argparse.Namespace) -> None:
    """Train-test gap, agreement of the splits and test slope: one row per network."""
    from gahb.evaluation.summary import summarise

    summarise(options.spec, options.tables, options.comparisons, options.references, options.output)


def measure_ensembles(options: argparse.Namespace) -> None:
    """Variance and bias of networks of disjoint training sets, and their distance from optima."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.ensembles import measure_ensembles

    dataset = open_dataset(options.dataset, options.spec["ensemble"]["dataset"])
    measure_ensembles(options.spec, dataset, options.networks, options.snapshots, options.output)


def measure_likelihoods(options: argparse.Namespace) -> None:
    """Evidence lower bounds of networks of Gaussian fields, beside the exact log-likelihood."""
    from gahb.datasets.store import open_dataset
    from gahb.evaluation.likelihood import measure_likelihoods

    dataset = open_dataset(options.dataset, options.spec["ensemble"]["dataset"])
    measure_likelihoods(options.spec, dataset, options.networks, options.output)


def bound_densities(options: argparse.Namespace) -> None:
    """Bounds on the divergence of learned densities from those of the images, in nats."""
    from gahb.evaluation.divergence import bound_densities

    bound_densities(options.ensembles, options.output)


def samples(options: argparse.Namespace) -> None:
    """Samples of the two splits' networks from the same noise, and their closest training images."""
    from gahb.datasets.store import open_dataset
    from gahb.samples.pair import sample_pair

    dataset = open_dataset(options.dataset, options.spec["first"]["dataset"])
    sample_pair(options.spec, dataset, tuple(options.networks), options.output)


def samples_over_training(options: argparse.Namespace) -> None:
    """Samples of two splits' networks from the same noise, after more and more updates."""
    from gahb.datasets.store import open_dataset
    from gahb.samples.over_training import sample_over_training

    dataset = open_dataset(options.dataset, options.spec["ensemble"]["dataset"])
    sample_over_training(options.spec, dataset, options.snapshots, options.output)


def spectra(options: argparse.Namespace) -> None:
    """Eigenvalues and eigenvectors of a denoiser's Jacobian at noisy test images."""
    from gahb.datasets.store import open_dataset

    spec = options.spec
    if options.network is None:
        from gahb.spectra.of_reference import spectra_of_reference

        dataset = open_dataset(options.dataset, spec["dataset"])
        spectra_of_reference(spec, dataset, options.output)
    else:
        from gahb.spectra.of_network import spectra_of_network

        dataset = open_dataset(options.dataset, spec["network"]["dataset"])
        spectra_of_network(spec, dataset, options.network, options.output)


def adaptivity(options: argparse.Namespace) -> None:
    """How well the eigenbases of networks are adapted to the contours of the images."""
    from gahb.spectra.adaptivity import measure_adaptivity

    measure_adaptivity(options.spec, options.spectra, options.output)


def import_weights(options: argparse.Namespace) -> None:
    """Turn published weights into weights that the library and every command read.

    The rules add ``--spec`` and ``--dataset``: the network of params.yaml that the weights are, and its
    images. Without, weights carry their architecture alone, for the library.
    """
    from gahb.datasets.store import open_dataset
    from gahb.denoisers.published import convert_published

    if (options.spec is None) != (options.dataset is None):
        raise ValueError(
            "--spec and --dataset go together: a network of params.yaml and its images"
        )
    images = None
    if options.spec is not None:
        images = open_dataset(options.dataset, options.spec["dataset"]).images_sha256
    elif options.output.exists():
        raise ValueError(f"{options.output} exists and would be overwritten: remove it first")
    check_output(options.output, ".safetensors")
    architecture, found = convert_published(
        options.weights, options.output, options.spec, images, options.key, options.sha256
    )
    told = f"; taken: {found.told}" if found.told else ""
    print(f"{options.output}: {architecture}{told}")


def figures(options: argparse.Namespace) -> None:
    """Draw a figure from tables and spectra, and write the caption that says how it was made."""
    from gahb.figures.parts.make import make_figure

    make_figure(options.name, options.inputs, options.spec, options.output)


def claims(options: argparse.Namespace) -> None:
    """Judge every claim by tables, samples and spectra, and write which of them hold."""
    from gahb.claims.parts.make import write_claims

    write_claims(options.spec, options.inputs, options.output)


def metrics(options: argparse.Namespace) -> None:
    """The numbers that DVC compares between commits."""
    from gahb.provenance.metrics import write_metrics

    write_metrics(options.summary, options.output)


def data_cards(options: argparse.Namespace) -> None:
    """One card per dataset."""
    from gahb.provenance.cards import write_data_cards

    write_data_cards(options.datasets, options.citation, options.output)


def model_cards(options: argparse.Namespace) -> None:
    """One card per network."""
    from gahb.provenance.cards import write_model_cards

    write_model_cards(options.networks, options.summary, options.citation, options.output)


def results_page(options: argparse.Namespace) -> None:
    """The page on which all figures and the main tables stand."""
    from gahb.provenance.results_page import write_results_page

    write_results_page(
        options.claims, options.tables, options.figures, options.output, options.scales
    )


def page(options: argparse.Namespace) -> None:
    """Write the page to look at: bases, samples, curves, claims and figures in one HTML file."""
    from gahb.page.make import results_of, write_page

    check_output(options.output, ".html")
    results = options.results
    claims = options.claims or results / "claims.csv"
    figures = options.figures or sorted(results.glob("figures/*.rst"))
    write_page(
        claims, options.inputs or results_of(results), figures, options.output, options.scales
    )
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


def crate(options: argparse.Namespace) -> None:
    """Write the RO-Crate of a finished run."""
    from gahb.provenance.crate import write_crate

    versions = dict(options.versions)
    write_crate(options.spec, versions, options.citation, options.snakefile, options.output)


def verify(options: argparse.Namespace) -> None:
    """Check every result of this folder against params.yaml, its records and dvc.lock."""
    from gahb.provenance.verify import disagreements, notes

    for note in notes(Path(), options.preset):
        print(f"note: {note}")
    found = disagreements(Path(), options.preset)
    if found:
        raise ArtifactError(f"{len(found)} disagreements\n" + "\n".join(found))
    print("every result is what params.yaml, the records and dvc.lock say")
