"""Check a whole tree of results against params.yaml, its records and dvc.lock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gahb.artifacts import (
    ArtifactError,
    Spec,
    check_spec,
    digest_file,
    open_hdf5,
    read_attribute,
    read_sidecar,
    read_table,
    read_tensors,
    sidecar_of,
)
from gahb.params import load_params
from gahb.provenance.machines import differences
from gahb.provenance.tree import Result, on_disk, out_of_step, planned, recorded, refuse_conflicts

PROVENANCE = ("cards", "ro-crate-metadata.json")  # what the target of that name makes


def disagreements(root: Path, preset: str | None = None) -> list[str]:
    """Everything that is not as it should be: one line or more per file, in the order of names.

    Checked are: that every file which params.yaml asks for is there, has the recorded SHA-256, was
    made from the spec and the inputs that it should be, and that dvc.lock holds the same. Cards and
    crate, which nothing needs, are checked once any of them is there.

    Raises:
        ParamsError: params.yaml is wrong.
        ArtifactError: the records are damaged, or a merge is not finished, or Snakemake has no plan.
    """
    params = load_params(root, preset)
    results = Path(params["results"])
    refuse_conflicts(root, results)
    records = recorded(root / results)  # before Snakemake, which may add to them
    described = any((root / results / name).exists() for name in PROVENANCE)
    asked = planned(root, ("all", "provenance") if described else ("all",), preset)
    found = {Path(name).relative_to(root).as_posix() for name in on_disk(root / results)}
    digests: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
    for path in sorted(asked.keys() | found):
        problems[path] = list(_problems(root, path, asked, records.get(path), digests))
    lines = [line for path in sorted(problems) for line in problems[path]]
    return lines + (list(_against_lock(root, results)) if preset is None else [])


def notes(root: Path, preset: str | None = None) -> list[str]:
    """What is no disagreement, and good to know: where several machines or precisions were at work."""
    results = Path(load_params(root, preset)["results"])
    found = (Path(name).relative_to(root).as_posix() for name in on_disk(root / results))
    return differences(root, found, results)


def _problems(
    root: Path,
    path: str,
    asked: dict[str, Spec | None],
    record: Result | None,
    digests: dict[str, str],
) -> Iterator[str]:
    if not (root / path).is_file():
        yield f"{path}: missing"
        return
    if path not in asked:
        yield f"{path}: foreign, nothing in params.yaml asks for it"
        return
    if record is None:
        yield f"{path}: no record says how it was made"
    else:
        digest = _digest(root, path, digests)
        if digest != record.sha256:
            yield f"{path}: damaged or foreign, found SHA-256 {digest}, recorded is {record.sha256}"
        for name, expected in sorted(record.inputs.items()):
            if (root / name).is_file() and (digest := _digest(root, name, digests)) != expected:
                yield f"{path}: made from another {name}, found SHA-256 {digest}, recorded is {expected}"
    try:
        _check_contents(root, path, asked[path], record)
    except ArtifactError as error:
        text = str(error).replace(f"{root}/", "")
        yield text if text.startswith(path) else f"{path}: {text}"


def _digest(root: Path, path: str, digests: dict[str, str]) -> str:
    if path not in digests:
        digests[path] = digest_file(root / path)
    return digests[path]


def _check_contents(root: Path, path: str, spec: Spec | None, record: Result | None) -> None:
    """Whether an artifact opens, is whole, and was made from ``spec`` and the inputs in place."""
    file = root / path
    if file.suffix == ".safetensors":
        made_from = read_tensors(file, spec)[1]
    elif file.suffix == ".csv":
        read_table(file, spec)
        made_from = read_sidecar(file)
    elif file.suffix == ".h5":
        with open_hdf5(file, spec) as opened:
            made_from = {"inputs": read_attribute(opened, "inputs")}
    else:  # pictures and captions carry no spec of their own: their record does
        if record is not None:
            check_spec(path, record.spec, spec)
        return
    if record is None:
        return
    known = {digest for name in record.inputs for digest in _identities(root / name)}
    for name, digest in sorted(made_from["inputs"].items()):
        if digest not in known and all((root / name).is_file() for name in record.inputs):
            raise ArtifactError(
                f"{path} was made from another {name}: it records SHA-256 {digest}, "
                "which none of its inputs has"
            )


def _identities(file: Path) -> set[str]:
    """The digests by which an artifact may be named as an input of others."""
    if not file.is_file():
        return set()
    identities = {digest_file(file)}
    try:
        if file.suffix == ".safetensors":
            identities.add(read_tensors(file)[1]["tensors_sha256"])
        elif file.suffix == ".h5":
            with open_hdf5(file) as opened:
                if "images_sha256" in opened.attrs:
                    identities.add(read_attribute(opened, "images_sha256"))
        elif file.suffix == ".csv" and sidecar_of(file).is_file():
            identities.add(read_sidecar(file)["sha256"])
    except ArtifactError:  # its own line tells of it
        pass
    return identities


def _against_lock(root: Path, results: Path) -> Iterator[str]:
    """What DVC finds different; it keeps params.yaml's own results, not those of presets."""
    if not (root / "dvc.lock").exists():
        yield "dvc.lock: missing (dvc commit writes it)"
        return
    outputs, sections = out_of_step(root)
    for path, how in sorted(outputs.items()):
        if Path(path).is_relative_to(results) and how != "not in cache":
            yield f"{path}: {how} since dvc.lock was written"
    for section in sorted(sections):
        yield f"params.yaml: {section} is not what dvc.lock has: dvc repro has not run since"
