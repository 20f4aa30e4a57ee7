"""One new thing is one new module: a plan on a finished tree redoes what uses it, and nothing else.

The code is that of docs/extending.md, as it stands there. To Snakemake the tree is finished: each result
is there, and was recorded by a run that only touched it, since what is planned depends on no content.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.tracking_project import ROOT, copied, planned, run, snakemake_plan, write_params

from gahb.params import figure_files, load_params, overlay

pytestmark = pytest.mark.slow

FIGURES = ("basis", "bounds", "density", "gap", "memorisation", "samples", "wiener")
TRAINING = (
    *("A noise law", "Noise draws", "A weighting"),
    *("An initialisation", "A schedule", "An optimiser"),
)
SUMMARISED = {"evaluation/summary.csv", "evaluation/metrics.json"}


def params() -> dict[str, Any]:
    """Of the smoke preset, as few experiments as show what is used and what is not."""
    made = load_params(ROOT, "smoke") | {"results": "results"}
    names = ("alpha2", "disks-small", "gaussian")
    for section in ("image_classes", "experiments"):
        made[section] = {name: made[section][name] for name in names}
    made["experiments"]["disks-small"]["training"] |= {"noise_law": "uniform"}
    del made["experiments"]["disks-small"]["sampler"]  # all are sampled as `sampling` says
    references = made["evaluation"]["references"]
    made["evaluation"]["references"] = {name: references[name] for name in ("alpha2", "gaussian")}
    networks = made["spectra"]["networks"]
    made["spectra"]["networks"] = {name: networks[name] for name in ("alpha2", "gaussian")}
    made["evaluation"]["controls"] = {}
    made["ensembles"]["experiments"] = ["alpha2", "disks-small"]
    made["figures"] = {name: made["figures"][name] for name in FIGURES}
    made["figures"]["density"]["experiments"] = ["disks-small"]
    return made


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All jobs of the finished tree, which is the folder of the first."""
    folder = copied(tmp_path_factory.mktemp("extending") / "gahb")
    write_params(folder, params())
    found = snakemake_plan(folder)
    for job in found:
        for path in job["outputs"]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    run(folder, "snakemake", "--touch", "--quiet", "--cores", "64")
    return [job | {"folder": folder} for job in found]


@pytest.fixture
def tree(jobs: list[dict[str, Any]]) -> Iterator[Path]:
    """That tree, free to be changed: afterwards source and params.yaml are as they were."""
    folder: Path = jobs[0]["folder"]
    kept = {path: path.read_bytes() for path in sources(folder)}
    yield folder
    for path in sources(folder):
        if path not in kept:
            path.unlink()
        elif path.read_bytes() != kept[path]:
            path.write_bytes(kept[path])
    write_params(folder, params())


def sources(folder: Path) -> list[Path]:
    return [
        path for path in (folder / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"
    ]


def begun(folder: Path, jobs: list[dict[str, Any]]) -> set[str]:
    """Of what a dry run would make, that which nothing before it makes stale: the rest follows."""
    plan = planned(folder)
    return first(jobs, lambda job: name_of(job) in plan)


def first(jobs: list[dict[str, Any]], stale: Callable[[dict[str, Any]], bool]) -> set[str]:
    """Of jobs that are stale themselves, those that read nothing that is made again."""
    made: set[str] = set()
    found = set()
    for job in jobs:  # each after those that it reads from
        follows = not made.isdisjoint(job["inputs"])
        if stale(job) and not follows:
            found.add(name_of(job))
        if stale(job) or follows:
            made.update(job["outputs"])
    return found


def name_of(job: dict[str, Any]) -> str:
    """What a plan calls a job."""
    return re.search(r"--output (?:results/)?(\S+)", job["command"])[1]


# ---------------------------------------------------------------------------------------------
# The page


def blocks(*sections: str) -> list[tuple[str, str]]:
    """Path and text of the code blocks of sections of the page, by their headings."""
    page = (ROOT / "docs/extending.md").read_text()
    parts = re.split(r"^##+ (.*)$", page, flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = []
    for section in sections:
        for text in re.findall(
            r"^```\w+\n(.*?)^```", told[section], flags=re.DOTALL | re.MULTILINE
        ):
            first, rest = text.split("\n", 1)
            found.append((re.search(r"[\w/-]+\.\w+", first)[0], rest))
    assert found
    return found


def add(folder: Path, *sections: str) -> dict[str, Any]:
    """Do what sections of the page say; the parameters are then these."""
    changed = params()
    for path, text in blocks(*sections):
        if path != "params.yaml":
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
            continue
        changes = yaml.safe_load(text)
        if "sampling" in changes:  # another sampler takes the place of the one there is
            changed["sampling"].pop("sampler")
        changed = overlay(changed, changes)
    write_params(folder, changed)
    return changed


def drawn_from(changed: dict[str, Any], made: set[str]) -> set[str]:
    """The figures that read any of some results, and the page that shows all of them."""
    paths = {f"results/{name}" for name in made}
    found = {name for name in changed["figures"] if paths & set(figure_files(changed, name))}
    return {f"figures/{name}.png" for name in found} | {"claims.csv", "README.md"}


def of_network(name: str) -> set[str]:
    """What one network, named by experiment, set size and split, brings with it, its table included."""
    tables = (f"evaluation/{name}.csv", f"evaluation/{name}_memorising.csv")
    return {f"denoisers/{name}.safetensors", *tables} | SUMMARISED


def test_an_image_class(tree: Path):
    changed = add(tree, "An image class")
    module = tree / "src/gahb/datasets/classes/stripes.py"
    with_denoiser = module.read_text()
    module.write_text(re.sub(r"    exact: .*\n", "", with_denoiser))
    assert module.read_text() != with_denoiser
    made = {"datasets/stripes.h5"} | of_network("stripes/N1000_S1")
    assert planned(tree) == made | drawn_from(changed, made)


def test_an_image_class_with_its_exact_denoiser(tree: Path):
    changed = add(tree, "An image class", "Its exact denoiser")
    made = {"datasets/stripes.h5"} | of_network("stripes/N1000_S1")
    made |= {
        f"evaluation/{name}.csv" for name in ("references/stripes/exact", "references", "gaps")
    }
    assert planned(tree) == made | drawn_from(changed, made)


def test_a_figure(tree: Path):
    add(tree, "A figure")
    assert planned(tree) == {"figures/levels.png", "README.md"}


def test_values_of_training_options(tree: Path):
    """Each in an experiment of its own."""
    changed = add(tree, "A value of a training option", *TRAINING)
    experiments = changed["experiments"]
    other = experiments.pop("alpha2-other")
    assert len(other["training"]) == len(TRAINING)
    made = {"evaluation/gaps.csv"}
    for option, value in other["training"].items():
        name = f"alpha2-{option.replace('_', '-')}"
        experiments[name] = other | {"training": {option: value}}
        made |= of_network(f"{name}/N10_S1")
    write_params(tree, changed)
    assert planned(tree) == made | drawn_from(changed, made)


def test_an_image_class_of_ones_own(tree: Path):
    changed = add(tree, "An image class of your own")
    made = {"datasets/checks.h5"} | of_network("checks/N1000_S1")
    assert planned(tree) == made | drawn_from(changed, made)


def test_a_network_of_ones_own(tree: Path):
    changed = add(tree, "A network of your own")
    made = of_network("alpha2-mine/N10_S1") | {"evaluation/gaps.csv"}
    assert planned(tree) == made | drawn_from(changed, made)


def test_a_recipe(tree: Path):
    changed = add(tree, "A recipe")
    made = of_network("alpha2-plain/N10_S1") | {"evaluation/gaps.csv"}
    assert planned(tree) == made | drawn_from(changed, made)


def test_a_sampler(tree: Path):
    changed = add(tree, "A sampler")
    made = {f"samples/{name}.csv" for name in ("alpha2/N2", "alpha2/N16", "disks-small/N4")}
    made |= {"samples/disks-small/updates.csv"}
    samples = {name.replace(".csv", ".h5") for name in made}
    assert planned(tree) == made | drawn_from(changed, made | samples)


SECTIONS = (
    *("An image class", "Its exact denoiser", "An image class of your own"),
    *("A network of your own", "A figure", *TRAINING, "A recipe", "A sampler"),
)


def test_what_nobody_uses_redoes_nothing(tree: Path):
    add(tree, *SECTIONS)
    write_params(tree, params())
    assert planned(tree) == set()


def test_the_tests_of_the_page_pass(tree: Path):
    add(tree, *SECTIONS)
    tests = sorted({path for path, _ in blocks(*SECTIONS, "A value of a training option")})
    tests = [path for path in tests if path.startswith("tests/")]
    assert len(tests) == 7
    for path, text in blocks("A value of a training option", "An optimiser"):
        if path.startswith("tests/"):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
    told = run(
        tree, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, PYTHONPATH="src"
    )
    assert re.search(r"^\d+ passed", told, flags=re.MULTILINE), told


# ---------------------------------------------------------------------------------------------
# Edits of what is there


class _Undocumented(ast.NodeTransformer):
    """Other docstrings, also below names; comments and formatting go when code is written anew."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value = ast.Constant("Other words.")
        return node


def test_comments_docstrings_and_formatting_redo_nothing(tree: Path):
    for module in (tree / "src").rglob("*.py"):
        code = ast.unparse(_Undocumented().visit(ast.parse(module.read_text())))
        module.write_text(f"# a comment\n{code}\n\n\n# and another\n")
    assert planned(tree) == set()


NETWORKS = {
    "alpha2": {f"denoisers/alpha2/N{size}_{split}" for size in (2, 16) for split in ("S1", "S2")},
    "gaussian": {"denoisers/gaussian/N16_S1", "denoisers/gaussian/N16_S2"},
    "disks-small": {"denoisers/disks-small/N4_S1", "denoisers/disks-small/N4_S2"},
}


def weights(*experiments: str) -> set[str]:
    return {f"{name}.safetensors" for one in experiments for name in NETWORKS[one]}


SPECTRA = {f"spectra/{name}.h5" for name in ("alpha2/N2_S1", "alpha2/N16_S1", "gaussian/N16_S1")}
SAMPLES = {f"samples/{name}.csv" for name in ("alpha2/N2", "alpha2/N16", "disks-small/N4")}
EDITS = {  # module: what it makes stale; all that is made from it follows
    "datasets/classes/gaussian": {"datasets/gaussian.h5"},
    "denoisers/training": weights("alpha2", "gaussian", "disks-small"),
    "denoisers/noise_laws/uniform": weights("disks-small"),
    "denoisers/noise_laws/log_uniform": weights("alpha2", "gaussian"),
    "denoisers/noise_laws/squared_uniform": set(),
    "denoisers/noise_draws/stratified": weights("alpha2", "gaussian", "disks-small"),
    "denoisers/initialisations/unit": weights("alpha2", "gaussian", "disks-small"),
    "denoisers/optimisers/muon": weights("alpha2", "gaussian", "disks-small"),
    "denoisers/muon": weights("alpha2", "gaussian", "disks-small"),
    "denoisers/optimisers/adam": set(),
    "denoisers/exact/gaussian": {
        "evaluation/references/gaussian/exact.csv",
        "spectra/gaussian/exact.h5",
    },
    "evaluation/divergence": {"evaluation/density.csv"},
    "evaluation/agreement": {
        f"evaluation/{name}_agreement.csv" for name in ("alpha2/N2", "alpha2/N16", "gaussian/N16")
    },
    # The figure of bounds reads no spectra, but shares a module with those that do
    "spectra/eigen": SPECTRA | {"spectra/gaussian/exact.h5", "figures/bounds.png"},
    "spectra/adaptivity": {"spectra/alpha2/adaptivity.csv"},
    "samples/over_training": {"samples/disks-small/updates.csv"},
    "figures/gap": {"figures/gap.png"},
}


@pytest.mark.parametrize("module", EDITS)
def test_an_edit_redoes_what_runs_the_module(jobs: list[dict[str, Any]], module: str):
    """By what the digests of the plan cover."""
    name = f"gahb.{module.replace('/', '.')}"
    assert first(jobs, lambda job: name in job["watched"]) == EDITS[module]


def test_a_digest_decides_what_is_planned(tree: Path, jobs: list[dict[str, Any]]):
    edited = ("datasets/classes/gaussian", "denoisers/noise_laws/uniform")
    for module in edited:
        path = tree / f"src/gahb/{module}.py"
        path.write_text(path.read_text() + "\nedited = True\n")
    assert begun(tree, jobs) == {name for module in edited for name in EDITS[module]}


@pytest.mark.parametrize("file", ["captions/gap.rst", "parts/style.mplstyle"])
def test_an_edit_of_a_caption_or_of_the_style_redraws(
    tree: Path, jobs: list[dict[str, Any]], file: str
):
    path = tree / "src/gahb/figures" / file
    path.write_text((path.read_text() if path.exists() else "") + "# edited\n")
    redrawn = ["gap"] if "gap" in file else FIGURES
    assert begun(tree, jobs) == {f"figures/{name}.png" for name in redrawn}
