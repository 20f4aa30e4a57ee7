"""A project small enough to be built, cloned, killed and built again: two networks, two figures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from gahb.params import load_params

ROOT = Path(__file__).parents[2]
FILES = (
    "Snakefile",
    "params.yaml",
    "CITATION.cff",
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    ".gitattributes",
)
FOLDERS = ("src", "workflow", "profiles")
SCALE = ("results/extended/claims.csv", "results/extended/claims.json")  # which git holds


def micro(root: Path) -> dict[str, Any]:
    """The smoke preset, smaller: 2 datasets, 2 networks, a spectrum, 2 figures, into results/.

    Every job starts an interpreter, which is what takes the time: as few jobs as show the phases.
    """
    params = load_params(root, "smoke") | {"results": "results"}
    for section in ("image_classes", "experiments"):
        params[section] = {name: params[section][name] for name in ("alpha1", "alpha2")}
    for name in ("alpha1", "alpha2"):
        params["image_classes"][name] |= {"size": 8, "images": 16, "test_images": 8}
        params["experiments"][name] |= {"set_sizes": [2], "splits": ["S1"]}
    params["architectures"] = {"unet": {"network": "unet", "blocks": 1, "channels": 4}}
    params["training"] |= {"updates": 6, "batch_size": 4, "warmup": 1, "monitor_every": 3}
    params["training"] |= {"precision": "float32", "compile": "never"}
    params["evaluation"] |= {"images": 8, "minimum_draws": 8, "references": {}, "controls": {}}
    params["sampling"]["experiments"] = params["ensembles"]["experiments"] = []
    params["spectra"] |= {"eigenvectors": 8, "test_images": [0]}
    params["spectra"]["networks"] = {"alpha1": {"set_sizes": [2], "splits": ["S1"]}}
    figures = params["figures"]
    figures["regularity"] |= {"experiments": ["alpha1"], "set_size": 2, "eigenvectors": [1, 4]}
    params["figures"] = {name: figures[name] for name in ("regularity", "transition")}
    return params


def copied(folder: Path) -> Path:
    """What a clone would hold: no results, no caches, no environment; and not under git."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def write_params(folder: Path, params: dict[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def project(folder: Path, params: dict[str, Any] | None = None) -> Path:
    """What a clone would hold, with smaller defaults, committed to git; DVC knows no result yet."""
    copied(folder)
    (folder / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    write_params(folder, params or micro(ROOT))
    for name in SCALE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    commit(folder, "the project")
    return folder


def environment() -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "DVC", "SNAKEMAKE", "PYTEST"))
    }
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_NO_ANALYTICS": "1",
        "HOME": os.environ.get("HOME", "/tmp"),
    }


def run(folder: Path, *command: str, check: bool = True, **changes: str) -> str:
    """Run a command there as a user would; its output, standard error included."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment() | changes,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout
    return done.stdout


def fails(folder: Path, *command: str, **changes: str) -> str:
    """Run a command that must fail."""
    shell = f"{' '.join(command)}; test $? -ne 0 && echo it-failed"
    output = run(folder, "sh", "-c", shell, check=False, **changes)
    assert output.rstrip().endswith("it-failed"), output
    return output


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run(folder, "git", *identity, "commit", "-q", "--allow-empty", "-m", message)


def clone(source: Path, folder: Path, cache_type: str = "copy") -> Path:
    """A clone elsewhere with a cache of its own, and the remote of ``source``."""
    run(source.parent, "git", "clone", "-q", str(source), str(folder))
    run(folder, "dvc", "cache", "dir", "--local", f"{folder}-cache")
    run(folder, "dvc", "config", "--local", "cache.type", cache_type)
    remote = source.parent.parent / "gahb-remote"
    run(folder, "dvc", "remote", "modify", "--local", "local", "url", str(remote))
    return folder


def planned(folder: Path, *arguments: str) -> set[str]:
    """The results that a dry run of Snakemake would make, one name per job."""
    output = run(folder, "snakemake", "-n", *arguments)
    commands = re.findall(r"Shell command: (python -m gahb .*)", output)
    assert ("Nothing to be done" in output) == (not commands), output
    return {re.search(r"--output (?:results/)?(\S+)", command)[1] for command in commands}


def stages(folder: Path) -> list[str]:
    """The stages that `dvc repro` would run."""
    output = run(folder, "dvc", "repro", "--dry")
    return re.findall(r"Running stage '(\w+)'", output)


def contents(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of all results and records, without logs and timings."""
    results = folder / "results"
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and path.relative_to(results).parts[0] not in ("logs", "benchmarks", "checkpoints")
    }


PLAN = """
import json, sys
from tracking.plan import workflow
with workflow("all", *sys.argv[1:]) as made:
    watched = made.globals["SOURCES"].watched
    jobs = [
        {
            "rule": job.rule.name,
            "inputs": sorted(map(str, job.input)),
            "outputs": sorted(map(str, job.output)),
            "command": job.shellcmd,
            "watched": sorted(watched[job.params.code]),
        }
        for level in made.dag.toposorted()
        for job in sorted(level, key=lambda job: str(job.output))
        if job.output
    ]
heavy = {"torch", "matplotlib"} & set(sys.modules)
assert not heavy, f"a plan takes seconds longer, since it loads {heavy}"
print(json.dumps(jobs))
"""


def snakemake_plan(folder: Path, *preset: str) -> list[dict[str, Any]]:
    """All jobs of a folder, each after those it reads from: what it reads, makes, runs and watches."""
    told = run(folder, "python", "-c", PLAN, *preset, PYTHONPATH="src:workflow")
    jobs: list[dict[str, Any]] = json.loads(told.splitlines()[-1])
    return jobs
