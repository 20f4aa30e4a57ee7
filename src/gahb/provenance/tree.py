"""The finished tree as its records, Snakemake's plan and dvc.lock see it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gahb.artifacts import ArtifactError, Spec, refuse_conflict

NOT_RESULTS = {"benchmarks", "checkpoints", "logs", "records"}  # folders beside those of phases


@dataclass(frozen=True)
class Result:
    """A recorded result.

    Attributes:
        sha256: of the bytes that were made.
        rule: the rule that made them.
        spec: what they were made from, out of params.yaml.
        code: SHA-256 of the code that made them.
        inputs: path -> SHA-256 of what they were made from.
    """

    sha256: str
    rule: str
    spec: Spec
    code: str
    inputs: dict[str, str]


def refuse_conflicts(root: Path, results: Path) -> None:
    """Refuse a tree in the middle of a merge: what it records of its results is that of two trees.

    Raises:
        ArtifactError: naming the file and the cure.
    """
    for file in [root / "dvc.lock", *sorted((root / results).glob("records/*.json"))]:
        if file.is_file():
            cure = "take the results of one side (docs/tracking.md, Merging branches)"
            refuse_conflict(file, file.read_text(), cure)


def recorded(results: Path) -> dict[str, Result]:
    """Path -> recorded result, from ``<results>/records``.

    Raises:
        ArtifactError: a file of records cannot be read.
    """
    found = {}
    for file in sorted(results.glob("records/*.json")):
        try:
            for job in json.loads(file.read_text()):
                sums = {path: sha.split(":")[1] for path, sha in job["input_checksums"].items()}
                spec, code = spec_of(job["params"]), code_of(job["params"])
                for path, sha256 in job["outputs"].items():
                    found[path] = Result(sha256, job["rule"], spec, code, sums)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArtifactError(f"{file} is damaged or edited: {error!r}") from error
    return found


def spec_of(params: Sequence[str]) -> Spec:
    """The spec among the parameters of a job, empty if there is none.

    Snakemake records a parameter as Python writes it; a spec is JSON inside that.
    """
    found: Spec = json.loads(_beginning(params, "{") or "{}")
    return found


def code_of(params: Sequence[str]) -> str:
    """The SHA-256 of code among the parameters of a job, empty if there is none."""
    return _beginning(params, "sha256:").removeprefix("sha256:")


def _beginning(params: Sequence[str], start: str) -> str:
    values = map(ast.literal_eval, params)
    return next((one for one in values if isinstance(one, str) and one.startswith(start)), "")


def planned(
    root: Path, targets: Sequence[str], preset: str | None = None
) -> dict[str, Spec | None]:
    """Path -> spec that params.yaml asks for, of everything that Snakemake makes for some targets.

    Raises:
        ArtifactError: Snakemake has no plan; the message is its own.
    """
    command = [sys.executable, "workflow/tracking/plan.py", ",".join(targets)]
    command += [preset] if preset else []
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ArtifactError(f"snakemake has no plan:\n{run.stderr.strip()}")
    plan: dict[str, Spec | None] = json.loads(run.stdout)
    return plan


def on_disk(results: Path) -> set[str]:
    """Every result on disk, whoever put it there; not the logs, nor what presets computed.

    A folder inside that has logs and benchmarks of its own holds the results of a preset from elsewhere.
    """
    presets = {file.stem for file in Path("workflow/presets").glob("*.yaml")}
    others = {
        logs.parent
        for logs in results.rglob("logs")
        if logs.parent != results and (logs.parent / "benchmarks").is_dir()
    }
    found = set()
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        if parts[0] in NOT_RESULTS | presets or not others.isdisjoint(path.parents):
            continue
        if path.is_file() and path.name[0] != ".":
            found.add(path.as_posix())
    return found


# ---------------------------------------------------------------------------------------------
# DVC


def cached_by_dvc(file: Path) -> set[str]:
    """The folders of the results that DVC holds and git does not, from ``dvc.yaml``."""
    stages = yaml.safe_load(file.read_text())["stages"].values()
    outputs = {name: how for stage in stages for out in stage["outs"] for name, how in out.items()}
    return {Path(name).name for name, how in outputs.items() if how.get("cache", True)}


def out_of_step(root: Path) -> tuple[dict[str, str], set[str]]:
    """Where the folder is not what dvc.lock says, as ``dvc status`` finds it.

    Returns:
        Output -> how it differs (``modified``, ``deleted``, ``not in cache``), and the sections of
        params.yaml that have changed.

    Raises:
        ArtifactError: DVC cannot say; the message is its own.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    try:
        found: dict[str, list[Any]] = json.loads(run.stdout)
    except ValueError:
        raise ArtifactError(f"dvc status fails:\n{run.stderr.strip()}") from None
    outputs: dict[str, str] = {}
    sections: set[str] = set()
    for changes in found.values():
        for change in changes:
            if isinstance(change, dict):  # "always changed" is a word
                outputs |= change.get("changed outs", {})
                sections |= set(change.get("changed deps", {}).get("params.yaml", {}))
    return outputs, sections
