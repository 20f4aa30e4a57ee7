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
