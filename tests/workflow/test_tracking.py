"""Two doors to one set of artifacts: what `dvc repro` and `snakemake` make, keep, redo and refuse."""

from __future__ import annotations

import os
import random
import re
import shutil
from pathlib import Path

import pytest
import yaml
from helpers.tracking_project import (
    ROOT,
    clone,
    commit,
    contents,
    fails,
    planned,
    project,
    run,
    stages,
)

pytestmark = pytest.mark.slow
TRIALS = int(os.environ.get("GAHB_TRIALS", "1"))  # of each kind; 20 are the promise
NETWORK = "denoisers/alpha1/N2_S1.safetensors"
ALPHA1 = {  # what a training parameter of the experiment alpha1 decides
    NETWORK,
    "evaluation/alpha1/N2_S1.csv",
    "evaluation/summary.csv",
    "evaluation/metrics.json",
    "spectra/alpha1/N2_S1.h5",
    "claims.csv",
    "figures/regularity.png",
    "figures/transition.png",  # of alpha2, whose rows of the summary it reads beside those of alpha1
    "README.md",
}
# of these, drawn again to what may be the same bytes
REDRAWN = {"figures/regularity.png", "figures/transition.png"}
SPECTRA = {"spectra/alpha1/N2_S1.h5", "claims.csv", "figures/regularity.png", "README.md"}
FIGURES_ONLY = (
    *("snakemake", "figures", "--allowed-rules", "figure", "figures", "claims", "results_page"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project built by `dvc repro` from a bare clone, committed and pushed."""
    folder = project(tmp_path_factory.mktemp("tracking") / "origin/gahb")
    run(folder, "dvc", "repro")
    commit(folder, "the results")
    run(folder, "dvc", "remote", "modify", "--local", "local", "url", "../../gahb-remote")
    run(folder, "dvc", "push")
    return folder


@pytest.fixture(scope="module")
def pulled(finished: Path) -> Path:
    """A clone elsewhere, pulled, its cache linked by hard links."""
    folder = clone(finished, finished.parents[1] / "pulled/gahb", "hardlink")
    run(folder, "dvc", "pull")
    return folder


@pytest.fixture
def tree(pulled: Path):
    """That clone, free to be changed: afterwards everything is as git and DVC know it."""
    yield pulled
    run(pulled, "git", "checkout", "-q", "--", ".")
    run(pulled, "git", "clean", "-fdq")
    run(pulled, "dvc", "checkout", "--force")


def change(folder: Path, section: str, name: str, value: dict) -> None:
    """Lay a value over one entry of a section of params.yaml."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params[section][name] |= value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def touch_everything(folder: Path, draw: random.Random) -> None:
    """Give every file a modification time of its own, as a clone or a pull does."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {".git", ".dvc", ".snakemake"} & set(path.parts):
            time = draw.randrange(1_500_000_000, 1_700_000_000)
            os.utime(path, (time, time), follow_symlinks=False)


# 1 -------------------------------------------------------------------------------------------


def test_a_finished_tree_runs_nothing_by_either_door(finished: Path):
    assert "Running stage" not in run(finished, "dvc", "repro")
    assert planned(finished) == set()
    assert "up to date" in run(finished, "dvc", "status")
    assert run(finished, "git", "status", "--short") == ""
    assert "every result is what" in run(finished, "python", "-m", "gahb", "verify", **SOURCE)


SOURCE = {"PYTHONPATH": "src"}


def test_one_command_brings_dvc_level_after_snakemake(tree: Path):
    change(tree, "experiments", "alpha1", {"training": {"seed": 5}})
    run(tree, "snakemake")
    assert "changed" in run(tree, "dvc", "status")
    run(tree, "dvc", "commit", "--force")
    assert stages(tree) == []
    assert planned(tree) == set()
    assert "every result is what" in run(tree, "python", "-m", "gahb", "verify", **SOURCE)


def test_results_that_somebody_brings_back_are_taken_in_as_they_are(finished: Path, tmp_path: Path):
    """Made on another machine: copied in with their records, at any times, and without .snakemake."""
    folder = clone(finished, tmp_path / "elsewhere/gahb")
    left_behind = shutil.ignore_patterns("checkpoints", "benchmarks", "logs")
    shutil.rmtree(folder / "results")
    shutil.copytree(finished / "results", folder / "results", ignore=left_behind)
    touch_everything(folder, random.Random(3))
    assert planned(folder) == set()
    assert "every result is what" in run(folder, "python", "-m", "gahb", "verify", **SOURCE)
    assert planned(folder) == set()


# 2 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache_type", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_a_pulled_clone_is_up_to_date(finished: Path, tmp_path: Path, cache_type: str, user: str):
    folder = clone(finished, tmp_path / "gahb", cache_type)
    prefix: tuple[str, ...] = ()
    if user == "root" and os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    if user == "ordinary" and os.geteuid() == 0:
        # an owner of the same files whom permissions bind, as they do not bind root
        prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
        if "uid=1000" not in run(folder, *prefix, "id", check=False):
            pytest.skip("user namespaces are not permitted here")
    run(folder, *prefix, "dvc", "pull")
    dry = run(folder, *prefix, "snakemake", "-n")
    assert "Nothing to be done" in dry
    assert "Running stage" not in run(folder, *prefix, "dvc", "repro")
    assert "up to date" in run(folder, *prefix, "dvc", "status")
    weights = folder / "results" / NETWORK
    assert weights.is_symlink() == (cache_type == "symlink")
    assert (weights.stat().st_nlink > 1) == (cache_type == "hardlink")


@pytest.mark.parametrize("cache_type", ["hardlink", "symlink"])
def test_a_rerun_replaces_links_and_leaves_the_cache_alone(
    finished: Path, tmp_path: Path, cache_type: str
):
    folder = clone(finished, tmp_path / "gahb", cache_type)
    run(folder, "dvc", "pull")
    cached = {path: path.read_bytes() for path in Path(f"{folder}-cache/files").rglob("??/*")}
    change(folder, "experiments", "alpha1", {"training": {"seed": 5}})
    run(folder, "snakemake", "denoisers")
    assert len(cached) > 4
    assert all(path.is_dir() or path.read_bytes() == kept for path, kept in cached.items())
    run(folder, "git", "checkout", "-q", "--", ".")
    run(folder, "dvc", "checkout", "--force")
    assert contents(folder) == contents(finished)
    assert planned(folder) == set()


# 3 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trial", range(TRIALS))
def test_what_is_planned_is_what_depends_on_a_change(tree: Path, trial: int):
    """Whatever the modification times: also those that put every change before every result."""
    draw = random.Random(trial)
    touch_everything(tree, draw)
    assert planned(tree) == set()
    assert stages(tree) == []

    change(tree, "experiments", "alpha1", {"training": {"seed": draw.randrange(1, 1000)}})
    touch_everything(tree, draw)
    assert planned(tree) == ALPHA1
    assert stages(tree) == ["denoisers", "evaluation", "samples", "spectra", "claims", "figures"]
    run(tree, "git", "checkout", "-q", "--", "params.yaml")

    change(tree, "figures", "transition", {"title": f"Trial {trial}"})
    touch_everything(tree, draw)
    assert planned(tree) == {"figures/transition.png", "README.md"}
    assert stages(tree) == ["figures"]
    run(tree, "git", "checkout", "-q", "--", "params.yaml")

    other = tree / "results/extended/claims.csv"  # made by a preset, and on the page
    other.write_text(other.read_text() + "\n")
    touch_everything(tree, draw)
    assert planned(tree) == {"README.md"}
    assert stages(tree) == ["figures"]
    run(tree, "git", "checkout", "-q", "--", str(other))

    module = tree / "src/gahb/spectra/eigen.py"
    for edit, made in (("# a comment", set()), (f"trial = {trial}", SPECTRA)):
        module.write_text(f"{module.read_text()}\n{edit}\n")
        touch_everything(tree, draw)
        assert planned(tree) == made
        assert len(stages(tree)) == 7  # DVC asks Snakemake, which knows better, in every phase


@pytest.mark.parametrize("door", [("dvc", "repro"), ("snakemake",)], ids=lambda door: door[0])
def test_a_changed_parameter_is_what_the_weights_were_trained_with(tree: Path, door):
    before = contents(tree)
    change(tree, "experiments", "alpha1", {"training": {"seed": 3}})
    touch_everything(tree, random.Random(1))
    run(tree, *door)
    changed = {name for name, digest in contents(tree).items() if before.get(name) != digest}
    assert changed >= ALPHA1 - REDRAWN
    assert not [name for name in changed if "alpha2" in name or name.startswith("datasets")]
    if door[0] == "snakemake":
        run(tree, "dvc", "commit", "--force")
    assert "every result is what" in run(tree, "python", "-m", "gahb", "verify", **SOURCE)


# 4 -------------------------------------------------------------------------------------------


def plant(folder: Path, kind: str) -> str:
    """Put a wrong file under a result's name, with an innocent modification time; its name."""
    results = folder / "results"
    name = "datasets/alpha1.h5" if kind == "swapped dataset" else NETWORK
    path = results / name
    times = path.stat()
    content = path.read_bytes()
    path.unlink()  # not through a link into the cache
    if kind == "swapped dataset":
        content = (results / "datasets/alpha2.h5").read_bytes()
    elif kind == "foreign weights":
        content = (results / "denoisers/alpha2/N2_S1.safetensors").read_bytes()
    elif kind == "flipped bit":
        content = content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]
    elif kind == "truncated file":
        content = content[:-100]
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return f"results/{name}"


KINDS = ("swapped dataset", "foreign weights", "flipped bit", "truncated file")


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_or_damaged_artifact_is_refused_by_name(tree: Path, kind: str):
    records = contents(tree)
    path = plant(tree, kind)
    told = fails(tree, "snakemake")
    assert f"{path} is damaged or foreign: it has SHA-256" in told
    assert "its record has" in told
    told = fails(tree, "dvc", "repro")
    assert f"{path} is damaged or foreign" in told
    told = fails(tree, "python", "-m", "gahb", "verify", **SOURCE)
    assert f"{path}: damaged or foreign, found SHA-256" in told
    assert "since dvc.lock was written" in told
    after = {name: digest for name, digest in contents(tree).items() if f"results/{name}" != path}
    assert after.items() <= records.items()
    run(tree, "dvc", "checkout", "--force")
    assert planned(tree) == set()


def test_verify_lists_every_disagreement(tree: Path):
    plant(tree, "truncated file")
    (tree / "results/figures/transition.png").unlink()
    (tree / "results/evaluation/mine.csv").write_text("a\n1\n")
    change(tree, "figures", "regularity", {"title": "Another"})
    told = fails(tree, "python", "-m", "gahb", "verify", **SOURCE)
    for line in (
        f"results/{NETWORK}: damaged or foreign",
        "results/figures/transition.png: missing",
        "results/evaluation/mine.csv: foreign, nothing in params.yaml asks for it",
        f"results/spectra/alpha1/N2_S1.h5: made from another results/{NETWORK}",
        "figures/regularity.rst was made from other settings.\n  title: the file has nothing, params.yaml "
        'asks for "Another"',
        "results/denoisers: modified since dvc.lock was written",
        "params.yaml: figures is not what dvc.lock has",
    ):
        assert line in told


# 6 -------------------------------------------------------------------------------------------


@pytest.fixture
def bare(finished: Path, tmp_path: Path) -> Path:
    """What git holds: neither datasets nor weights."""
    folder = clone(finished, tmp_path / "gahb")
    assert not (folder / "results/datasets").exists()
    assert not (folder / "results/denoisers").exists()
    return folder


def test_figures_are_drawn_again_from_what_git_holds(finished: Path, bare: Path):
    assert " ".join(FIGURES_ONLY) in (ROOT / "Makefile").read_text()
    old = {path: path.stat().st_ino for path in (bare / "results/figures").iterdir()}
    assert len(old) == 6
    run(bare, *FIGURES_ONLY, "--forcerun", "figure")
    assert all(path.stat().st_ino != inode for path, inode in old.items())
    assert run(bare, "git", "status", "--short") == ""
    assert contents(bare).items() <= contents(finished).items()


def test_a_figure_that_fails_is_not_lost_and_not_taken_for_new(bare: Path):
    before = contents(bare)
    module = bare / "src/gahb/figures/regularity.py"
    failing = "def _fail(*given):\n    raise RuntimeError('no figure')\n\n\nRegularityFigure.draw = _fail\n"
    module.write_text(f"{module.read_text()}\n\n{failing}")
    assert "no figure" in fails(bare, *FIGURES_ONLY)
    assert contents(bare) == before
    output = run(bare, *FIGURES_ONLY, "-n")
    assert len(re.findall("Shell command: python", output)) == 2
    run(bare, "git", "checkout", "-q", "--", ".")
    assert "Nothing to be done" in run(bare, *FIGURES_ONLY, "-n")


def test_an_experiment_beside_the_main_results_leaves_them_alone(tree: Path):
    before = contents(tree)
    options = ("--temp", "--name", "shorter", "-S", "training.updates=4")
    run(tree, "dvc", "exp", "run", *options, "denoisers")
    assert contents(tree) == before
    assert run(tree, "git", "status", "--short") == ""
    assert planned(tree) == set()
    assert "shorter" in run(tree, "dvc", "exp", "show", "--csv")
    told = run(tree, "dvc", "params", "diff", "HEAD", "shorter")
    assert re.search(r"training.updates\W+6\W+4", told)
    refs = run(tree, "git", "for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    (experiment,) = [ref for ref in refs if ref.endswith("/shorter")]
    lock = run(tree, "git", "show", f"{experiment}:dvc.lock")
    assert lock != (tree / "dvc.lock").read_text()


# 7 -------------------------------------------------------------------------------------------


def test_a_lock_of_a_dead_run_is_no_obstacle(tree: Path):
    locks = tree / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.output.lock").write_text(f"results/{NETWORK}\n")
    (locks / "0.input.lock").write_text("results/datasets/alpha1.h5\n")
    change(tree, "figures", "transition", {"title": "Another"})
    run(tree, "snakemake")
    assert planned(tree) == set()
