# Parameters, checked before anything runs, and what the rules share. No rules here.

import json
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

import gahb.datasets.folders as gahb_folders
import gahb.params as gahb_params
from gahb.datasets.classes import IMAGE_CLASSES, OF_PHOTOGRAPHS

unknown = sorted(set(config) - {"preset"})
if unknown:
    raise WorkflowError(f"--config: found {', '.join(unknown)}, allowed is preset=<name>")

try:
    PARAMS = gahb_params.load_params(ROOT, config.get("preset"))
except gahb_params.ParamsError as error:
    raise WorkflowError(str(error))

RESULTS = PARAMS["results"]
ENVIRONMENT = "../envs/gahb.yaml"

# Rules run the package from the source tree: inside a conda environment it is not installed, and
# Snakemake blocks an inherited PYTHONPATH there.
shell.prefix(f"export PYTHONPATH='{ROOT / 'src'}'; ")


wildcard_constraints:
    image_class="[A-Za-z0-9-]+",
    experiment="[A-Za-z0-9-]+",
    set_size="[0-9]+",
    split="S[1-9][0-9]*",
    reference="[A-Za-z0-9-]+",


def spec(resolve, *names):
    """The params function of a rule: the JSON spec resolved from its wildcards."""

    def resolved(wildcards):
        arguments = [wildcards[name] for name in names]
        return json.dumps(resolve(PARAMS, *arguments), sort_keys=True, separators=(",", ":"))

    return resolved


def sources(pattern, exclude=()):
    """Modules whose content decides a rule's results: an edit there, and only there, redoes them."""
    paths = (path for path in (ROOT / "src/gahb").glob(pattern) if path.is_file())
    found = [path for path in paths if path.name not in exclude]
    return sorted(os.path.relpath(path) for path in [*found, ROOT / "src/gahb/randomness.py"])


# What a trained network answers depends on these too: beside its weights, how they are read and applied.
NETWORK_SOURCES = sources("denoisers/networks.py") + sources("denoisers/weights.py")
# Which images of a dataset make up a training set is decided there, and not stored with it.
TRAINING_SET_SOURCES = sources("datasets/splits.py") + sources("datasets/store.py")
REFERENCE_REGISTRY = os.path.relpath(ROOT / "src/gahb/denoisers/references.py")

# Experiments whose networks get tables of PSNR, those that keep the weights of several updates, and
# those whose networks are compared with each other.
EVALUATED = {
    name: experiment
    for name, experiment in PARAMS["experiments"].items()
    if experiment.get("evaluation", True)
}
FOLLOWED = [name for name, experiment in PARAMS["experiments"].items() if "snapshots" in experiment]
COMPARED = PARAMS["ensembles"]["experiments"]
USED_IMAGE_CLASSES = sorted({name["image_class"] for name in PARAMS["experiments"].values()})

# Read before anything runs: a folder that is missing stops here, one that has changed redoes its dataset.
try:
    LISTINGS = {
        name: gahb_folders.listings(name, gahb_params.dataset_spec(PARAMS, name))
        for name in USED_IMAGE_CLASSES
    }
except gahb_params.ParamsError as error:
    raise WorkflowError(str(error))


def class_sources(image_class):
    """Modules that decide the images of a class: of the other classes, only the one underneath."""
    dataset = gahb_params.dataset_spec(PARAMS, image_class)
    kinds = {dataset["class"], dataset.get("of", dataset)["class"]}
    others = [f"{kind}.py" for kind in IMAGE_CLASSES if kind not in kinds]
    if "photographs" not in kinds:
        others += [f"{module}.py" for module in OF_PHOTOGRAPHS]
    return sources("datasets/*.py", exclude=others)


def dataset_sources(wildcards):
    """Modules that decide the images of a dataset."""
    return class_sources(wildcards.image_class)


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


def references(pattern):
    """``pattern`` filled in with every (image class, reference denoiser) that is evaluated."""
    return [
        pattern.format(image_class=image_class, reference=reference)
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


def reference_sources(wildcards):
    """Modules whose content decides what a reference denoiser answers, its image class among them."""
    kind = PARAMS["references"][wildcards.reference]["denoiser"]
    if kind in ("wavelet", "bandlet"):
        return [*sources("denoisers/classical/*.py"), REFERENCE_REGISTRY]
    if kind == "memorising":
        return [*sources("denoisers/empirical.py"), REFERENCE_REGISTRY]
    if "image_class" not in wildcards.keys():
        image_class = PARAMS["experiments"][wildcards.experiment]["image_class"]
    else:
        image_class = wildcards.image_class
    return sorted(
        {
            *sources("denoisers/exact/*.py"),
            *class_sources(image_class),
            os.path.relpath(ROOT / "src/gahb/denoisers/empirical.py"),
            REFERENCE_REGISTRY,
        }
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


def training_threads(wildcards):
    """Threads of one training: a training parameter, since they change the last bits of the weights."""
    experiment = PARAMS["experiments"][wildcards.experiment]
    return (PARAMS["training"] | experiment.get("training", {}))["threads"]


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


def training_set_mb(wildcards):
    """Memory of a job that holds a training set: in float32, and in float64 with room to work."""
    experiment = PARAMS["experiments"][wildcards.experiment]
    pixels = gahb_params.dataset_spec(PARAMS, experiment["image_class"])["size"] ** 2
    largest = getattr(wildcards, "set_size", max(experiment["set_sizes"]))
    return 2000 + int(largest) * pixels * 24 // 10**6


def figure_inputs(wildcards):
    """The tables and spectra that a figure is drawn from."""
    return gahb_params.figure_files(PARAMS, wildcards.figure)


def records(wildcards):
    """The records of all phases, which no job makes: a run writes them when it ends."""
    phases = sorted({Path(path).relative_to(RESULTS).parts[0] for path in rules.all.input})
    files = [f"{RESULTS}/records/{phase}.json" for phase in phases]
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        raise WorkflowError(
            f"provenance describes a finished run, whose end writes {', '.join(missing)}: "
            "give the command without provenance first, then again with it alone"
        )
    return files
