# gahb: datasets -> denoisers -> evaluation, samples, spectra -> claims, figures. `snakemake --cores all` makes it all;
# `snakemake datasets`, `denoisers`, `evaluation`, `samples`, `spectra`, `claims`, `figures` make one phase and what it needs;
# `--config preset=smoke` or `preset=paper` lays workflow/presets/<preset>.yaml over params.yaml.

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


# Parameters, checked before anything runs, and what the rules share. No rules here.

import json
import os
import re
import shlex
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

ROOT = Path(str(workflow.current_basedir)).parents[1]  # of this project, also as another's module

# What a plan needs, by the names that pip has; the rules need more.
NEEDED = "grimp h5py lazy_loader numpy pandas pydantic pywavelets scipy".split()
missing = [name for name in NEEDED if not find_spec({"pywavelets": "pywt"}.get(name, name))]
if missing:
    pip = shlex.join([sys.executable, "-m", "pip", "install", "-c", str(ROOT / "constraints.txt")])
    raise WorkflowError(
        f"{sys.executable}, which runs Snakemake, lacks {', '.join(missing)}. Type: {pip} {' '.join(missing)}"
    )

sys.path[:0] = [str(ROOT / "src"), str(ROOT / "workflow")]

import gahb.datasets.files as gahb_files
import gahb.datasets.folders as gahb_folders
import gahb.devices as gahb_devices
import gahb.params as gahb_params
from gahb.params.modules import named_modules
from gahb.params.specs import (
    absent_files,
    figure_options,
    is_imported,
    planned_images,
    published_file,
    training_of,
)
from gahb.spectra.options import LARGEST_FULL
from tracking.sources import Sources

unknown = sorted(set(config) - {"preset"})
if unknown:
    raise WorkflowError(f"--config: found {', '.join(unknown)}, allowed is preset=<name or file>")

try:
    PARAMS = gahb_params.load_params(ROOT, config.get("preset"))
except gahb_params.ParamsError as error:
    raise WorkflowError(str(error))

RESULTS = PARAMS["results"]


def literal(text):
    """A text in which Snakemake finds no wildcards: the project's path may hold braces."""
    return text.replace("{", "{{").replace("}", "}}")


ENVIRONMENT = literal(str(ROOT / "workflow/envs/gahb.yaml"))

# Rules run the package from the source tree: inside a conda environment it is not installed, and Snakemake
# blocks an inherited PYTHONPATH there. Of several environments that are active conda replaces its own in
# PATH, where it stands: behind a virtual environment, which would then run the rules unseen.
prefix = f"export PYTHONPATH={shlex.quote(str(ROOT / 'src'))}; "
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    prefix += 'export PATH="$CONDA_PREFIX/bin:$PATH"; '
shell.prefix(literal(prefix))


wildcard_constraints:
    image_class="[A-Za-z0-9-]+",
    experiment="[A-Za-z0-9-]+",
    set_size="[0-9]+",
    split="S[1-9][0-9]*",
    reference="[A-Za-z0-9-]+",


SOURCES = Sources(ROOT / "src")


def in_root(name):
    """A file of this project, named from where results are made: by its own name, if that is here."""
    return os.path.relpath(ROOT / name)


def versions(*packages):
    """NAME=VERSION of those that are installed: the environment of a rule has none of them."""
    installed = {item.metadata["Name"]: item.version for item in metadata.distributions()}
    return [f"{name}={installed[name]}" for name in packages if name in installed]


def as_json(value):
    """A spec as one line, the same whenever the values are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class Made:
    """What decides the results of a rule beside its inputs; its methods are functions of `params`.

    Its spec is what ``resolve`` finds for the wildcards ``names``. Its code is the module ``entry``, which the
    command calls, and the modules that the sections ``watching`` of the spec name, with all that they import.
    """

    def __init__(self, resolve, *names, entry, watching=()):
        self.names, self.entry, self.watching = names, entry, watching
        self.resolve = cache(lambda *given: resolve(PARAMS, *given))

    def _spec(self, wildcards):
        return self.resolve(*(wildcards[name] for name in self.names))

    def named(self, wildcards):
        """The modules that the spec names."""
        return named_modules(self._spec(wildcards), *self.watching)

    def spec(self, wildcards):
        """The spec as JSON."""
        return as_json(self._spec(wildcards))

    def code(self, wildcards):
        """The digest of the code."""
        return SOURCES.digest([self.entry, *self.named(wildcards)])


def code(*modules):
    """The digest of the code of a rule without a spec, or beside its own."""
    return SOURCES.digest(modules)


# Files that weights are imported from are asked for before anything runs, all that are missing at once.
absent = absent_files(PARAMS)
if absent:
    raise WorkflowError("params.yaml: " + "\nparams.yaml: ".join(absent))

# Experiments whose networks get tables of PSNR, those that keep the weights of several updates, and
# those whose networks are compared with each other.
EVALUATED = {
    name: experiment
    for name, experiment in PARAMS["experiments"].items()
    if experiment.get("evaluation", True)
}
IMPORTED = [name for name in PARAMS["experiments"] if is_imported(PARAMS, name)]
FOLLOWED = [name for name, experiment in PARAMS["experiments"].items() if "snapshots" in experiment]
COMPARED = PARAMS["ensembles"]["experiments"]
USED_IMAGE_CLASSES = sorted({name["image_class"] for name in PARAMS["experiments"].values()})

# Read before anything runs: a folder or file that is missing stops here, one that has changed redoes its dataset.
try:
    used = {name: gahb_params.dataset_spec(PARAMS, name) for name in USED_IMAGE_CLASSES}
    LISTINGS = {name: gahb_folders.listings(name, spec) for name, spec in used.items()}
    FILES = {name: gahb_files.files_of(name, spec) for name, spec in used.items()}
except ValueError as error:
    raise WorkflowError(str(error))


def classes(experiments):
    """The modules of the image classes that experiments draw on."""
    used = {PARAMS["experiments"][name]["image_class"] for name in experiments}
    specs = (gahb_params.dataset_spec(PARAMS, name) for name in sorted(used))
    return [module for spec in specs for module in named_modules(spec, "dataset")]


def network_labels(wildcards):
    """What tells the networks of an experiment apart in the report, and the regularity alpha of their images.

    The report makes a switch of a label after the first that has two values.
    """
    image_class = PARAMS["experiments"][wildcards.experiment]["image_class"]
    alpha = PARAMS["image_classes"][image_class].get("alpha")
    labels = size_label(wildcards) | {"split": wildcards.split}
    return labels if alpha is None else labels | {"alpha": f"{alpha:g}"}


def size_label(wildcards):
    """N in the report, which sorts labels as text: with spaces before it they sort as numbers do."""
    return {"N": f"{wildcards.set_size:>9}"}


def dataset_of(wildcards):
    """The dataset that an experiment draws on."""
    image_class = PARAMS["experiments"][wildcards.experiment]["image_class"]
    return f"{RESULTS}/datasets/{image_class}.h5"


def networks(pattern, chosen=None):
    """``pattern`` filled in with every (experiment, set size, split), or the chosen ones."""
    return [
        pattern.format(experiment=name, set_size=set_size, split=split)
        for name, experiment in (PARAMS["experiments"] if chosen is None else chosen).items()
        for set_size in experiment["set_sizes"]
        for split in experiment["splits"]
    ]


MEASURED_REFERENCES = [
    {"image_class": image_class, "reference": reference}
    for image_class, names in PARAMS["evaluation"].get("references", {}).items()
    for reference in names
]


def compared_networks(pattern):
    """``pattern`` filled in with every network whose image class has reference denoisers."""
    compared = PARAMS["evaluation"].get("references", {})
    experiments = EVALUATED.items()
    return networks(
        pattern, {name: value for name, value in experiments if value["image_class"] in compared}
    )


def pairs(pattern, chosen):
    """``pattern`` filled in with every (experiment, set size) of those trained on both S1 and S2."""
    return [
        pattern.format(experiment=name, set_size=set_size)
        for name, experiment in PARAMS["experiments"].items()
        if {"S1", "S2"} <= set(experiment["splits"]) and name in chosen
        for set_size in experiment["set_sizes"]
    ]


def one_of(names):
    """The pattern of a wildcard that is one of these names: none, if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def published(wildcards):
    """The published file of an imported network, with what is known of it."""
    return published_file(PARAMS, **wildcards)


def published_options(wildcards):
    """The arguments of an import that say which state dict and which bytes are meant."""
    given = published(wildcards)
    return "".join(
        f" --{key} {shlex.quote(str(given[key]))}" for key in ("key", "sha256") if key in given
    )


def training_threads(wildcards):
    """Threads of one training: a training parameter, since they change the last bits of the weights."""
    return training_of(PARAMS, wildcards.experiment)["threads"]


on_this_machine = workflow.global_resources["_nodes"].value is None


def device_mb(experiment):
    """Memory of a GPU that a training takes, on one that multiplies bfloat16 unless float32 is asked for.

    Measured on an H100, in bfloat16: 100 to 165 bytes for each image of a batch, pixel and channel of the first block.
    """
    training = training_of(PARAMS, experiment)
    described = PARAMS["experiments"][experiment]
    architecture = PARAMS["architectures"][described["architecture"]]
    in_full = training["precision"] == "float32" or architecture.get("predicts") == "image"
    size = gahb_params.dataset_spec(PARAMS, described["image_class"])["size"]
    held = training["batch_size"] * size**2 * architecture.get("channels", 64)
    return 1000 + (340 if in_full else 170) * held // 10**6


if on_this_machine and "gpu" not in workflow.global_resources and gahb_devices.visible():
    largest = 4000  # what denoising many images takes
    for name in PARAMS["experiments"]:
        if name not in IMPORTED and training_of(PARAMS, name)["device"] != "cpu":
            largest = max(largest, device_mb(name))
    # Of eight on an H100, those that trained made 20,000 images a second together, where one alone makes 48,000.
    each = min(4, gahb_devices.jobs_at_once(largest))
    workflow.register_resource("gpu", each * len(gahb_devices.visible()))


def gpus(wildcards):
    """How many GPUs a job asks for: none where its networks are for the processor, or `--resources gpu=0` was given."""
    wanted = training_of(PARAMS, wildcards.experiment)["device"] != "cpu"
    limit = workflow.global_resources.get("gpu")
    return int(wanted and (limit is None or limit.value != 0))


def must_have_gpus(jobs):
    """Stop before anything is made where a job is to compute on CUDA and this machine has none."""
    if not on_this_machine or not gahb_devices.none_in_sight():
        return
    for job in jobs:
        name = job.wildcards_dict.get("experiment")
        # `--default-resources gpu=0` is a resource of every job, of those without networks too
        if name is None or name in IMPORTED or "gpu" not in job.rule.resources:
            continue
        if training_of(PARAMS, name)["device"] == "cuda":
            hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
            named = "no /dev/nvidia*" if hidden is None else f"CUDA_VISIBLE_DEVICES={hidden!r}"
            raise WorkflowError(
                f"training.device of experiment {name}: found cuda, but this machine has no GPU ({named}); "
                "allowed here is auto or cpu"
            )


def planned(wildcards):
    """Images in all updates of all networks that share what is compiled for this one.

    Whether `compile: auto` compiles is a matter of all networks of one shape together. A resource, since it
    decides no more than the last bits of the weights: another plan redoes no training.
    """
    return planned_images(PARAMS, wildcards.experiment)


def snapshots(wildcards, output):
    """The arguments of a training that keeps snapshots."""
    updates = gahb_params.snapshot_updates(PARAMS, wildcards.experiment)
    return f" --snapshots {output.snapshots} --snapshots-at {' '.join(map(str, updates))}"


def snapshots_of(splits=None):
    """The input function of an experiment's snapshots, by set size and split; empty if it keeps none."""

    def found(wildcards):
        chosen = PARAMS["experiments"][wildcards.experiment]
        return networks(
            f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}_snapshots.safetensors",
            (
                {wildcards.experiment: chosen | {"splits": splits or chosen["splits"]}}
                if wildcards.experiment in FOLLOWED
                else {}
            ),
        )

    return found


def networks_of(wildcards):
    """All networks of an experiment, by set size and split."""
    return networks(
        f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        {wildcards.experiment: PARAMS["experiments"][wildcards.experiment]},
    )


def controlled(wildcards):
    """The two networks of one training set that are compared."""
    spec = gahb_params.control_spec(PARAMS, wildcards.experiment, wildcards.set_size)
    pattern = f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors"
    return [pattern.format(**network) for network in (spec["first"], spec["second"])]


def spectra_of(wildcards):
    """The spectra of all networks of an experiment that have any, by set size and split."""
    return networks(
        f"{RESULTS}/spectra/{{experiment}}/N{{set_size}}_{{split}}.h5",
        {wildcards.experiment: PARAMS["spectra"]["networks"][wildcards.experiment]},
    )


def oracles_mb(wildcards):
    """Memory of a job that holds a basis of all pixels, in float64, for each of some images."""
    spec = gahb_params.adaptivity_spec(PARAMS, wildcards.experiment)
    matrices = len(spec["spectra"]["test_images"]) + 6
    return 1500 + matrices * spec["ensemble"]["dataset"]["size"] ** 4 * 8 // 10**6


def on_gpu(wildcards):
    """Whether a job that may compute on a GPU finds one, which is not known of a cluster's nodes."""
    return gpus(wildcards) and not (on_this_machine and gahb_devices.none_in_sight())


def process_mb(wildcards):
    """Memory of a job before it holds anything: with CUDA its libraries are there too."""
    return 4000 if on_gpu(wildcards) else 2000


def training_set_mb(wildcards):
    """Memory of a job that holds a training set: in float32, and in float64 with room to work.

    Imported networks were trained on more images than there may be here.
    """
    experiment = PARAMS["experiments"][wildcards.experiment]
    dataset = gahb_params.dataset_spec(PARAMS, experiment["image_class"])
    largest = getattr(wildcards, "set_size", max(experiment["set_sizes"]))
    held = min(int(largest), dataset["images"])
    return process_mb(wildcards) + held * dataset["size"] ** 2 * 24 // 10**6


def spectra_mb(wildcards):
    """Memory of a job that holds a Jacobian, its eigenvectors and what is made of them, in float64."""
    image_class = PARAMS["experiments"][wildcards.experiment]["image_class"]
    pixels = gahb_params.dataset_spec(PARAMS, image_class)["size"] ** 2
    return 1000 + process_mb(wildcards) + 10 * min(pixels, LARGEST_FULL) ** 2 * 8 // 10**6


# `default-resources: gpu=0` is for clusters without GPUs. Unlike `resources: gpu=0` it reaches the job on the node.
default_gpu = workflow.resource_settings._parsed_default_resources.get("gpu")
if default_gpu is not None and default_gpu.value == 0:
    workflow.register_resource("gpu", 0)


def cost_of_pass(wildcards):
    """What a pass through a job's networks costs, in those of params.yaml: 32x32 pixels, 16 channels."""
    image_class = getattr(wildcards, "image_class", None)
    channels = 16
    if image_class is None and hasattr(wildcards, "experiment"):
        experiment = PARAMS["experiments"][wildcards.experiment]
        image_class = experiment["image_class"]
        channels = PARAMS["architectures"][experiment["architecture"]].get("channels", channels)
    size = gahb_params.dataset_spec(PARAMS, image_class)["size"] if image_class else 32
    return max(1, (size / 32) ** 2) * max(1, (channels / 16) ** 2)


def minutes(usual):
    """Wall time that a job asks a cluster for, in minutes, more with each attempt.

    ``usual`` is what the slowest such job may take in the default run, six times what it took on one AVX2
    core (`results/benchmarks`). Ten are for the start; larger images and networks get more.
    """
    return lambda wildcards, attempt: attempt * int(10 + usual * cost_of_pass(wildcards))


def training_minutes(wildcards, attempt):
    """Wall time of a training, in minutes: 195 s were measured for 800 updates of 32 images on a processor.

    On an H100 it was 8 ms for an update, or 1.3 million images of that cost a second, whichever is more.
    """
    training = training_of(PARAMS, wildcards.experiment)
    images = training["updates"] * training["batch_size"]
    if on_gpu(wildcards):
        seconds = max(0.008 * training["updates"], images * cost_of_pass(wildcards) / 1.3e6)
        return attempt * int(10 + 6 * seconds / 60)
    return minutes(20 * images / (800 * 32))(wildcards, attempt)


def figure_inputs(wildcards):
    """The tables and spectra that a figure is drawn from."""
    return gahb_params.figure_files(PARAMS, wildcards.figure)


def figure_code(wildcards):
    """The digest of what draws a figure, its caption and style among it.

    A caption says what the images are; a figure of samples asks their sampler where it starts.
    """
    name = wildcards.figure
    drawn = figure_options(PARAMS, name).named_experiments
    modules = ["gahb.figures.parts.make", f"gahb.figures.{name}", *classes(drawn)]
    if any("/samples/" in path for path in figure_inputs(wildcards)):
        for experiment in drawn:
            sampling = gahb_params.sampling_settings(PARAMS, experiment)
            modules += named_modules({"sampling": sampling}, "sampling")
    beside = [f"figures/captions/{name}.rst", "figures/parts/style.mplstyle"]
    return SOURCES.digest(modules, beside)


def records(wildcards):
    """The records of all phases, which no job makes: a run writes them when it ends."""
    made = (Path(path).relative_to(RESULTS).parts[0] for path in rules.all.input)
    phases = sorted({name.split(".")[0] for name in made})
    files = [f"{RESULTS}/records/{phase}.json" for phase in phases]
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        raise WorkflowError(
            f"provenance describes a finished run, whose end writes {', '.join(missing)}: "
            "give the command without provenance first, then again with it alone"
        )
    return files
rule datasets:
    input:
        expand(f"{RESULTS}/datasets/{{image_class}}.h5", image_class=USED_IMAGE_CLASSES),


DATASET = Made(
    gahb_params.dataset_spec,
    "image_class",
    entry="gahb.datasets.store",
    watching=["dataset"],
)


rule dataset:
    input:
        lambda wildcards: FILES.get(wildcards.image_class, []),
    output:
        f"{RESULTS}/datasets/{{image_class}}.h5",
    log:
        f"{RESULTS}/logs/datasets/{{image_class}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/datasets/{{image_class}}.tsv"
    priority: 10
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(2),
        mem_mb=2000,
    params:
        spec=DATASET.spec,
        code=DATASET.code,
        listing=lambda wildcards: LISTINGS.get(wildcards.image_class, ""),
    message:
        "making the images of {wildcards.image_class}"
    shell:
        "python -m gahb datasets --spec {params.spec:q} --threads {threads} --output {output} > {log} 2>&1"
rule denoisers:
    input:
        networks(f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors"),


NETWORK = Made(
    gahb_params.network_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.denoisers.training",
    watching=["architecture", "training"],
)


# Of an experiment with `snapshots` a second rule keeps the weights on the way. Those of one with `imported` come
# from files.
rule denoiser:
    input:
        dataset=dataset_of,
    output:
        weights=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        table=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.csv",
        sidecar=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.json",
    log:
        f"{RESULTS}/logs/denoisers/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/denoisers/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    wildcard_constraints:
        experiment=one_of(name for name in PARAMS["experiments"] if name not in FOLLOWED + IMPORTED),
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        runtime=training_minutes,
        mem_mb=training_set_mb,
        gpu=gpus,
        planned=planned,
    params:
        spec=NETWORK.spec,
        code=NETWORK.code,
        checkpoint=f"{RESULTS}/checkpoints/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        snapshots="",
    message:
        "training {wildcards.experiment} on {wildcards.set_size} images of {wildcards.split}"
    shell:
        "python -m gahb denoisers --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.weights} --table {output.table} --checkpoint {params.checkpoint}"
        " --planned {resources.planned}{params.snapshots} > {log} 2>&1"


use rule denoiser as denoiser_followed with:
    output:
        weights=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        snapshots=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}_snapshots.safetensors",
        table=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.csv",
        sidecar=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.json",
    wildcard_constraints:
        experiment=one_of(FOLLOWED),
    params:
        spec=NETWORK.spec,
        code=NETWORK.code,
        checkpoint=f"{RESULTS}/checkpoints/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        snapshots=snapshots,


IMPORT = Made(
    gahb_params.network_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.denoisers.published",
    watching=["architecture"],
)


rule denoiser_imported:
    input:
        published=lambda wildcards: published(wildcards)["file"],
        dataset=dataset_of,
    output:
        weights=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
    log:
        f"{RESULTS}/logs/denoisers/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/denoisers/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    wildcard_constraints:
        experiment=one_of(IMPORTED),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=2000,
    params:
        spec=IMPORT.spec,
        code=IMPORT.code,
        options=published_options,
    message:
        "importing {input.published} as {wildcards.experiment}"
    shell:
        "python -m gahb import {input.published:q} --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.weights}{params.options} > {log} 2>&1"
EVALUATION = Made(
    gahb_params.evaluation_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.evaluation.of_network",
    watching=["architecture"],
)
MEMORISING = Made(
    gahb_params.memorising_spec,
    "experiment",
    "set_size",
    "split",
    entry="gahb.evaluation.of_optimum",
)
AGREEMENT = Made(
    gahb_params.agreement_spec,
    *("experiment", "set_size"),
    entry="gahb.evaluation.agreement",
    watching=["architecture"],
)
CONTROL = Made(
    gahb_params.control_spec,
    *("experiment", "set_size"),
    entry="gahb.evaluation.agreement",
    watching=["architecture"],
)
ELBO = Made(
    gahb_params.elbo_spec,
    "experiment",
    entry="gahb.evaluation.likelihood",
    watching=["dataset", "exact", "architecture"],
)
REFERENCE = Made(
    gahb_params.reference_spec,
    *("image_class", "reference"),
    entry="gahb.evaluation.of_reference",
    watching=["reference"],
)
ENSEMBLE = Made(
    gahb_params.ensemble_spec,
    "experiment",
    entry="gahb.evaluation.ensembles",
    watching=["dataset", "exact", "architecture"],
)
SUMMARY = Made(gahb_params.summary_spec, entry="gahb.evaluation.summary")
REFERENCES = [
    f"{RESULTS}/evaluation/references/{measured['image_class']}/{measured['reference']}.csv"
    for measured in MEASURED_REFERENCES
]
AGREEMENTS = pairs(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv", EVALUATED)
CONTROLS = gahb_params.control_sizes(PARAMS)
CONTROLLED = [
    f"{RESULTS}/evaluation/{name}/N{set_size}_control.csv"
    for name, set_sizes in CONTROLS.items()
    for set_size in set_sizes
]
ENSEMBLES = expand(f"{RESULTS}/evaluation/{{experiment}}/ensembles.csv", experiment=COMPARED)
BOUNDED = any(
    gahb_params.exact_is_known(PARAMS, PARAMS["experiments"][name]["image_class"])
    for name in COMPARED
)
ELBOS = [
    f"{RESULTS}/evaluation/{name}/elbo.csv"
    for name in COMPARED
    if "elbo" in PARAMS["ensembles"]
    and gahb_params.likelihood_is_known(PARAMS, PARAMS["experiments"][name]["image_class"])
]
GAPS = [f"{RESULTS}/evaluation/gaps.csv"] * bool(REFERENCES)
DENSITY = [f"{RESULTS}/evaluation/density.csv"] * BOUNDED


rule evaluation:
    input:
        networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv", EVALUATED),
        networks(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.csv",
            {name: one for name, one in EVALUATED.items() if name not in IMPORTED},
        ),
        AGREEMENTS,
        CONTROLLED,
        ENSEMBLES,
        ELBOS,
        f"{RESULTS}/evaluation/summary.csv",
        [f"{RESULTS}/evaluation/references.csv"] * bool(REFERENCES),
        GAPS,
        DENSITY,
        f"{RESULTS}/evaluation/metrics.json",


rule evaluation_network:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
    output:
        table=report(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv",
            caption="../report/network.rst",
            category="Errors of networks",
            subcategory="{experiment}",
            labels=network_labels,
        ),
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        runtime=minutes(2),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=EVALUATION.spec,
        code=EVALUATION.code,
    message:
        "evaluating {input.network}"
    shell:
        "python -m gahb evaluation network --spec {params.spec:q} --dataset {input.dataset}"
        " --network {input.network} --output {output.table} > {log} 2>&1"


rule evaluation_memorising:
    input:
        dataset=dataset_of,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        runtime=minutes(2),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=MEMORISING.spec,
        code=MEMORISING.code,
    message:
        "evaluating the optimum for {wildcards.set_size} images of {wildcards.split}"
        " ({wildcards.experiment})"
    shell:
        "python -m gahb evaluation memorising --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_agreement:
    input:
        dataset=dataset_of,
        networks=expand(
            f"{RESULTS}/denoisers/{{{{experiment}}}}/N{{{{set_size}}}}_{{split}}.safetensors",
            split=["S1", "S2"],
        ),
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_agreement.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_agreement.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        runtime=minutes(3),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=AGREEMENT.spec,
        code=AGREEMENT.code,
    message:
        "comparing the two networks of {wildcards.experiment} at N = {wildcards.set_size}"
    shell:
        "python -m gahb evaluation agreement --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_control:
    input:
        dataset=dataset_of,
        networks=controlled,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_control.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_control.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_control.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_control.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_control.tsv"
    wildcard_constraints:
        experiment=one_of(CONTROLS),
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        runtime=minutes(3),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=CONTROL.spec,
        code=CONTROL.code,
    message:
        "comparing two trainings on one set at N = {wildcards.set_size} ({wildcards.experiment})"
    shell:
        "python -m gahb evaluation agreement --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_reference:
    input:
        dataset=f"{RESULTS}/datasets/{{image_class}}.h5",
    output:
        table=f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.csv",
        sidecar=f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.json",
        draws=f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.h5",
    log:
        f"{RESULTS}/logs/evaluation/references/{{image_class}}/{{reference}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/references/{{image_class}}/{{reference}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        runtime=minutes(4),
        mem_mb=3000,
    params:
        spec=REFERENCE.spec,
        code=REFERENCE.code,
    message:
        "evaluating {wildcards.reference} on {wildcards.image_class}"
    shell:
        "python -m gahb evaluation reference --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_ensembles:
    input:
        dataset=dataset_of,
        networks=networks_of,
        snapshots=snapshots_of(),
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/ensembles.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/ensembles.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/ensembles.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/ensembles.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/ensembles.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["ensembles"]["threads"]
    resources:
        runtime=minutes(31),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=ENSEMBLE.spec,
        code=ENSEMBLE.code,
    message:
        "comparing all networks of {wildcards.experiment} with each other and with optima"
    shell:
        "python -m gahb evaluation ensembles --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --snapshots {input.snapshots} --output {output.table}"
        " > {log} 2>&1"


rule evaluation_elbo:
    input:
        dataset=dataset_of,
        networks=networks_of,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/elbo.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/elbo.json",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/elbo.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/elbo.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["ensembles"]["threads"]
    resources:
        runtime=minutes(2),
        mem_mb=process_mb,
        gpu=gpus,
    params:
        spec=ELBO.spec,
        code=ELBO.code,
    message:
        "bounds on the likelihood of {wildcards.experiment}"
    shell:
        "python -m gahb evaluation elbo --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_density:
    input:
        tables=ENSEMBLES,
        draws=[path.replace(".csv", ".h5") for path in ENSEMBLES],
    output:
        table=report(
            f"{RESULTS}/evaluation/density.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "density"},
        ),
        sidecar=f"{RESULTS}/evaluation/density.json",
    log:
        f"{RESULTS}/logs/evaluation/density.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/density.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.evaluation.divergence"),
    message:
        "bounds on the divergence of the learned densities"
    shell:
        "python -m gahb evaluation density --ensembles {input.tables} --output {output.table}"
        " > {log} 2>&1"


rule evaluation_references:
    input:
        tables=REFERENCES,
        draws=[path.replace(".csv", ".h5") for path in REFERENCES],
    output:
        table=report(
            f"{RESULTS}/evaluation/references.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "references"},
        ),
        sidecar=f"{RESULTS}/evaluation/references.json",
    log:
        f"{RESULTS}/logs/evaluation/references.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/references.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=SUMMARY.spec,
        code=code(
            "gahb.evaluation.gaps", *(m for r in MEASURED_REFERENCES for m in REFERENCE.named(r))
        ),
    message:
        "slopes of all exact and classical denoisers"
    shell:
        "python -m gahb evaluation references --spec {params.spec:q} --references {input.tables}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_gaps:
    input:
        tables=compared_networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv"),
        draws=compared_networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5"),
        references=REFERENCES,
        reference_draws=[path.replace(".csv", ".h5") for path in REFERENCES],
    output:
        table=report(
            f"{RESULTS}/evaluation/gaps.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "gaps"},
        ),
        sidecar=f"{RESULTS}/evaluation/gaps.json",
    log:
        f"{RESULTS}/logs/evaluation/gaps.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/gaps.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.evaluation.gaps"),
    message:
        "networks against exact and classical denoisers"
    shell:
        "python -m gahb evaluation gaps --tables {input.tables} --references {input.references}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_summary:
    input:
        tables=networks(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv", EVALUATED
        ),
        comparisons=[*AGREEMENTS, *CONTROLLED],
        references=REFERENCES,
        draws=[
            *networks(
                f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5", EVALUATED
            ),
            *[path.replace(".csv", ".h5") for path in [*AGREEMENTS, *CONTROLLED, *REFERENCES]],
        ],
    output:
        table=report(
            f"{RESULTS}/evaluation/summary.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "summary"},
        ),
        sidecar=f"{RESULTS}/evaluation/summary.json",
    log:
        f"{RESULTS}/logs/evaluation/summary.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/summary.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=SUMMARY.spec,
        code=code("gahb.evaluation.summary", *classes(EVALUATED)),
    message:
        "summarising all networks"
    shell:
        "python -m gahb evaluation summary --spec {params.spec:q} --tables {input.tables}"
        " --comparisons {input.comparisons} --references {input.references} --output {output.table} > {log} 2>&1"
SAMPLES = Made(
    gahb_params.samples_spec,
    *("experiment", "set_size"),
    entry="gahb.samples.pair",
    watching=["architecture", "sampling"],
)
SAMPLES_OVER_TRAINING = Made(
    gahb_params.samples_over_training_spec,
    "experiment",
    entry="gahb.samples.over_training",
    watching=["architecture", "sampling"],
)
PAIRS = pairs(
    f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.csv", PARAMS["sampling"]["experiments"]
)


rule samples:
    input:
        PAIRS,
        expand(
            f"{RESULTS}/samples/{{experiment}}/updates.csv",
            experiment=[name for name in PARAMS["sampling"]["experiments"] if name in FOLLOWED],
        ),


rule sample_pair:
    input:
        dataset=dataset_of,
        networks=expand(
            f"{RESULTS}/denoisers/{{{{experiment}}}}/N{{{{set_size}}}}_{{split}}.safetensors",
            split=["S1", "S2"],
        ),
    output:
        table=report(
            f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.csv",
            caption="../report/samples.rst",
            category="Samples",
            subcategory="{experiment}",
            labels=size_label,
        ),
        sidecar=f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.json",
        samples=f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.h5",
    log:
        f"{RESULTS}/logs/samples/{{experiment}}/N{{set_size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{experiment}}/N{{set_size}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["sampling"]["threads"]
    resources:
        runtime=minutes(8),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=SAMPLES.spec,
        code=SAMPLES.code,
    message:
        "sampling from the two networks of {wildcards.experiment} at N = {wildcards.set_size}"
    shell:
        "python -m gahb samples pair --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule samples_over_training:
    input:
        dataset=dataset_of,
        snapshots=snapshots_of(["S1", "S2"]),
    output:
        table=f"{RESULTS}/samples/{{experiment}}/updates.csv",
        sidecar=f"{RESULTS}/samples/{{experiment}}/updates.json",
    log:
        f"{RESULTS}/logs/samples/{{experiment}}/updates.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{experiment}}/updates.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["sampling"]["threads"]
    resources:
        runtime=minutes(13),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=SAMPLES_OVER_TRAINING.spec,
        code=SAMPLES_OVER_TRAINING.code,
    message:
        "sampling from the two networks of {wildcards.experiment} while they learn"
    shell:
        "python -m gahb samples updates --spec {params.spec:q} --dataset {input.dataset}"
        " --snapshots {input.snapshots} --output {output.table} > {log} 2>&1"
SPECTRUM = Made(
    gahb_params.spectra_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.spectra.of_network",
    watching=["architecture"],
)
SPECTRUM_OF_REFERENCE = Made(
    gahb_params.reference_spectra_spec,
    *("experiment", "reference"),
    entry="gahb.spectra.of_reference",
    watching=["reference"],
)
ADAPTIVITY = Made(
    gahb_params.adaptivity_spec,
    "experiment",
    entry="gahb.spectra.adaptivity",
    watching=["dataset"],
)


rule spectra:
    input:
        networks(
            f"{RESULTS}/spectra/{{experiment}}/N{{set_size}}_{{split}}.h5",
            PARAMS["spectra"]["networks"],
        ),
        [
            f"{RESULTS}/spectra/{experiment}/{reference}.h5"
            for experiment, chosen in PARAMS["spectra"]["networks"].items()
            for reference in chosen.get("references", [])
        ],
        expand(
            f"{RESULTS}/spectra/{{experiment}}/adaptivity.csv",
            experiment=gahb_params.adapted(PARAMS),
        ),


rule spectrum:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
    output:
        f"{RESULTS}/spectra/{{experiment}}/N{{set_size}}_{{split}}.h5",
    log:
        f"{RESULTS}/logs/spectra/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectra/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["spectra"]["threads"]
    resources:
        runtime=minutes(5),
        mem_mb=spectra_mb,
        gpu=gpus,
    params:
        spec=SPECTRUM.spec,
        code=SPECTRUM.code,
    message:
        "Jacobian spectra of {input.network}"
    shell:
        "python -m gahb spectra --spec {params.spec:q} --dataset {input.dataset}"
        " --network {input.network} --output {output} > {log} 2>&1"


rule spectrum_reference:
    input:
        dataset=dataset_of,
    output:
        f"{RESULTS}/spectra/{{experiment}}/{{reference}}.h5",
    log:
        f"{RESULTS}/logs/spectra/{{experiment}}/{{reference}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectra/{{experiment}}/{{reference}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["spectra"]["threads"]
    resources:
        runtime=minutes(6),
        mem_mb=3000,
    params:
        spec=SPECTRUM_OF_REFERENCE.spec,
        code=SPECTRUM_OF_REFERENCE.code,
    message:
        "Jacobian spectra of {wildcards.reference} on the images of {wildcards.experiment}"
    shell:
        "python -m gahb spectra --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output} > {log} 2>&1"


rule spectra_adaptivity:
    input:
        spectra=spectra_of,
    output:
        table=f"{RESULTS}/spectra/{{experiment}}/adaptivity.csv",
        sidecar=f"{RESULTS}/spectra/{{experiment}}/adaptivity.json",
    log:
        f"{RESULTS}/logs/spectra/{{experiment}}/adaptivity.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectra/{{experiment}}/adaptivity.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["spectra"]["threads"]
    resources:
        runtime=minutes(1),
        mem_mb=oracles_mb,
    params:
        spec=ADAPTIVITY.spec,
        code=ADAPTIVITY.code,
    message:
        "comparing the bases of the networks of {wildcards.experiment} with those of oracles"
    shell:
        "python -m gahb adaptivity --spec {params.spec:q} --spectra {input.spectra}"
        " --output {output.table} > {log} 2>&1"
# Which claims hold: judged by tables, samples and spectra alone.

from gahb.claims.parts.claim import CLAIMS
from gahb.options import names

CLAIMED = f"{RESULTS}/claims.csv"

# Presets that run the same experiments at another scale: where one was run, its claims stand beside those of
# params.yaml on the page of results.
SCALES = ["extended", "gpu", "paper", "published"]
OTHER_SCALES = [
    table
    for table in (f"{RESULTS}/{scale}/claims.csv" for scale in SCALES)
    if "preset" not in config and os.path.isfile(table)
]


rule claims:
    input:
        gahb_params.claim_files(PARAMS),
    output:
        table=report(
            CLAIMED,
            caption="../report/claims.rst",
            category="Claims",
            labels={"table": "claims"},
        ),
        sidecar=f"{RESULTS}/claims.json",
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=as_json(gahb_params.claims_spec(PARAMS)),
        code=code("gahb.claims.parts.make", *(f"{CLAIMS}.{name}" for name in names(CLAIMS))),
    message:
        "judging all claims"
    shell:
        "python -m gahb claims --spec {params.spec:q} --inputs {input} --output {output.table}"
        " > {log} 2>&1"
rule figures:
    input:
        expand(
            f"{RESULTS}/figures/{{figure}}.{{kind}}",
            figure=PARAMS["figures"],
            kind=["png", "pdf", "rst"],
        ),
        f"{RESULTS}/README.md",


rule figure:
    input:
        data=figure_inputs,
    output:
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        caption=f"{RESULTS}/figures/{{figure}}.rst",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{figure}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=lambda wildcards: as_json(gahb_params.figure_spec(PARAMS, wildcards.figure)),
        code=figure_code,
    message:
        "drawing {wildcards.figure}"
    shell:
        "python -m gahb figures {wildcards.figure} --spec {params.spec:q} --inputs {input.data}"
        " --output {output} > {log} 2>&1"


rule results_page:
    input:
        tables=[f"{RESULTS}/evaluation/summary.csv", *GAPS, *DENSITY, *ELBOS, *PAIRS],
        claims=CLAIMED,
        scales=OTHER_SCALES,
        captions=expand(f"{RESULTS}/figures/{{figure}}.rst", figure=PARAMS["figures"]),
        pictures=expand(f"{RESULTS}/figures/{{figure}}.png", figure=PARAMS["figures"]),
    output:
        f"{RESULTS}/README.md",
    log:
        f"{RESULTS}/logs/figures/results_page.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/results_page.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.results_page"),
    message:
        "putting figures and tables on one page"
    shell:
        "python -m gahb provenance results-page --claims {input.claims} --scales {input.scales}"
        " --tables {input.tables} --figures {input.captions} --output {output} > {log} 2>&1"
# A page to look at, in one file, and what `snakemake --report` shows. `snakemake page` makes the page; `all` does not
# need it: it says nothing that results do not, and is large. Like report.html it lies beside the results, not among them.


rule page:
    input:
        claims=CLAIMED,
        scales=OTHER_SCALES,
        spectra=[path for path in rules.spectra.input if path.endswith(".h5")],
        samples=[path.replace(".csv", ".h5") for path in PAIRS],
        psnr=networks(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv",
            {name: one | {"splits": one["splits"][:1]} for name, one in EVALUATED.items()},
        ),
        references=REFERENCES,
        captions=expand(f"{RESULTS}/figures/{{figure}}.rst", figure=PARAMS["figures"]),
        pictures=expand(f"{RESULTS}/figures/{{figure}}.png", figure=PARAMS["figures"]),
    output:
        f"page-{literal(Path(config['preset']).stem)}.html" if "preset" in config else "page.html",
    log:
        f"{RESULTS}/logs/page.log",
    benchmark:
        f"{RESULTS}/benchmarks/page.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=SOURCES.digest(
            ["gahb.page.make"], [f"page/page.{kind}" for kind in ("html", "css", "js")]
        ),
    message:
        "making the page to look at"
    shell:
        "python -m gahb page --claims {input.claims} --scales {input.scales}"
        " --inputs {input.spectra} {input.samples} {input.psnr} {input.references}"
        " --figures {input.captions} --output {output} > {log} 2>&1"
# Records that travel with the results, and one run at a time. No rules here: see docs/tracking.md.

from snakemake.settings.types import ExecMode

from tracking import alone, limits, previous, watch
from tracking.records import Records

backend = workflow.workflow_settings.persistence_backend
if backend.name != "FILE":
    raise WorkflowError(
        f"--persistence-backend: found {backend}, allowed is file: the records that travel with the results "
        "are read from it (docs/tracking.md)"
    )

RECORDS = Records(Path(RESULTS))
PHASES = {"datasets", "denoisers", "evaluation", "samples", "spectra", "claims", "figures"}

if workflow.exec_mode == ExecMode.DEFAULT:
    if workflow.local_exec:
        limits.keep(workflow)
    if alone.begin():
        previous.bring_back()
        RECORDS.restore()


def end_of_run(succeeded):
    """Let the records travel; after a success, only those of what the run knows how to make."""
    watch.end()
    previous.bring_back()
    jobs = list(workflow.dag.jobs) if succeeded else []
    planned = [str(path) for job in jobs for path in job.output]
    targets = {job.rule.name for job in jobs}
    whole = PHASES if "all" in targets else PHASES & targets
    RECORDS.write(planned, phases=whole | ({"cards"} if "provenance" in targets else set()))


onstart:
    alone.hold()
    jobs = list(workflow.dag.needrun_jobs())
    must_have_gpus(jobs)
    RECORDS.refuse(str(path) for job in jobs for path in [*job.input, *job.output])
    previous.keep(str(path) for job in jobs for path in job.output)
    if workflow.local_exec:  # a ration of jobs per second wakes the scheduler ever more often
        workflow.scheduler.job_rate_limiter = None
    watch.begin(workflow, jobs, Path(RESULTS) / "logs")


onsuccess:
    end_of_run(True)


onerror:
    end_of_run(False)


rule all:
    default_target: True
    input:
        rules.datasets.input,
        rules.denoisers.input,
        rules.evaluation.input,
        rules.samples.input,
        rules.spectra.input,
        rules.claims.output.table,
        rules.figures.input,


# What is said about finished results. `snakemake provenance` makes it; `all` does not need it.

DATA_CARDS = expand(f"{RESULTS}/cards/datasets/{{name}}.md", name=USED_IMAGE_CLASSES)
MODEL_CARDS = networks(f"{RESULTS}/cards/denoisers/{{experiment}}/N{{set_size}}_{{split}}.md")


rule provenance:
    input:
        DATA_CARDS,
        MODEL_CARDS,
        f"{RESULTS}/ro-crate-metadata.json",


rule metrics:
    input:
        summary=f"{RESULTS}/evaluation/summary.csv",
    output:
        f"{RESULTS}/evaluation/metrics.json",
    log:
        f"{RESULTS}/logs/provenance/metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/metrics.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.metrics"),
    message:
        "collecting the metrics that DVC compares"
    shell:
        "python -m gahb provenance metrics --summary {input.summary} --output {output} > {log} 2>&1"


rule data_cards:
    input:
        datasets=rules.datasets.input,
        about=in_root("CITATION.cff"),
    output:
        report(
            DATA_CARDS,
            caption="../report/cards.rst",
            category="Cards",
            subcategory="Datasets",
        ),
    log:
        f"{RESULTS}/logs/provenance/data_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/data_cards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.cards", *classes(PARAMS["experiments"])),
    message:
        "describing the datasets"
    shell:
        "python -m gahb provenance data-cards --datasets {input.datasets}"
        " --citation {input.about} --output {output} > {log} 2>&1"


rule model_cards:
    input:
        networks=rules.denoisers.input,
        summary=f"{RESULTS}/evaluation/summary.csv",
        about=in_root("CITATION.cff"),
    output:
        report(
            MODEL_CARDS,
            caption="../report/cards.rst",
            category="Cards",
            subcategory="Networks",
        ),
    log:
        f"{RESULTS}/logs/provenance/model_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/model_cards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.cards", *classes(PARAMS["experiments"])),
    message:
        "describing the networks"
    shell:
        "python -m gahb provenance model-cards --networks {input.networks}"
        " --summary {input.summary} --citation {input.about} --output {output} > {log} 2>&1"


rule crate:
    input:
        results=rules.all.input,
        records=records,
        about=in_root("CITATION.cff"),
        snakefile=in_root("Snakefile"),
        dvc=in_root("dvc.yaml"),
    output:
        metadata=f"{RESULTS}/ro-crate-metadata.json",
        workflow=f"{RESULTS}/ro-crate-workflow.smk",
    log:
        f"{RESULTS}/logs/provenance/crate.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/crate.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=as_json(PARAMS),
        code=code("gahb.provenance.crate"),
        versions=versions("dvc", "snakemake"),
    message:
        "describing the run as an RO-Crate"
    shell:
        "python -m gahb provenance crate --spec {params.spec:q} --citation {input.about}"
        " --snakefile {input.snakefile} --versions {params.versions} --output {output.metadata} > {log} 2>&1"


localrules:
    all,
    datasets,
    denoisers,
    evaluation,
    samples,
    spectra,
    figures,
    provenance,
