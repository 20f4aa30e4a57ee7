"""Machine-readable provenance: an RO-Crate of a finished run.

The crate's root is the folder of results. Every result is a ``File`` with its SHA-256 and size, every
job a ``CreateAction`` with its inputs, results and resolved spec, every package a
``SoftwareApplication`` with its version. Nothing in it depends on when or where it was written.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from gahb.artifacts import ArtifactError, canonical_json, digest_file, provenance, write_text
from gahb.params.specs import Params
from gahb.provenance.tree import Result, recorded

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".h5": "application/x-hdf5",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".rst": "text/x-rst",
    ".safetensors": "application/octet-stream",
}


def write_crate(params: Params, citation: Path, output: Path) -> None:
    """Write ``ro-crate-metadata.json`` into the folder of results.

    Args:
        params: everything that the run depended on.
        citation: ``CITATION.cff``, for title, licence and date.
        output: the file to write, beside the folders of the results and their records.

    Raises:
        ArtifactError: a recorded result is missing, or is not what its record says.
    """
    results = output.parent
    about = yaml.safe_load(citation.read_text())
    crate = ROCrate()
    root = crate.root_dataset
    root["name"] = about["title"]
    root["description"] = about.get("abstract", about["title"])
    root["datePublished"] = str(about.get("date-released", "2026"))
    root["license"] = about["license"]
    software = [_package(crate, *item) for item in sorted(_packages().items())]
    root["mentions"] = [_parameter(crate, *item) for item in sorted(params.items())]
    jobs: dict[str, list[tuple[str, Result]]] = {}
    for name, record in sorted(recorded(results).items()):
        # cards are written beside this file, in any order; the record of this file is of the one before
        if Path(name).is_relative_to(results / "cards") or Path(name) == output:
            continue
        _add_file(crate, results, Path(name), record.sha256)
        key = canonical_json([record.rule, record.spec, record.code, record.inputs])
        jobs.setdefault(key, []).append((name, record))
    for made in jobs.values():
        _add_job(crate, results, made, software)
    text = json.dumps(_sorted(crate.metadata.generate()), indent=1, sort_keys=True)
    write_text(output, text + "\n")


def _packages() -> dict[str, str]:
    versions: dict[str, str] = provenance({})["versions"]
    return versions | {name: metadata.version(name) for name in ("dvc", "snakemake")}


def _package(crate: ROCrate, name: str, version: str) -> ContextEntity:
    properties = {"@type": "SoftwareApplication", "name": name, "version": version}
    return crate.add(ContextEntity(crate, f"#software-{name}", properties=properties))


def _parameter(crate: ROCrate, name: str, value: Any) -> ContextEntity:
    properties = {"@type": "PropertyValue", "name": name, "value": canonical_json(value)}
    return crate.add(ContextEntity(crate, f"#params-{name}", properties=properties))


def _add_file(crate: ROCrate, results: Path, file: Path, recorded_sha256: str) -> None:
    if not file.is_file():
        raise ArtifactError(f"{file} is recorded, but missing: run snakemake, or dvc pull")
    sha256 = digest_file(file)
    if sha256 != recorded_sha256:
        raise ArtifactError(
            f"{file} has SHA-256 {sha256}, its record has {recorded_sha256}: run snakemake first"
        )
    properties = {
        "sha256": sha256,
        "contentSize": str(file.stat().st_size),
        "encodingFormat": MEDIA_TYPES.get(file.suffix, "application/octet-stream"),
    }
    crate.add_file(dest_path=file.relative_to(results).as_posix(), properties=properties)


def _add_job(
    crate: ROCrate, results: Path, made: list[tuple[str, Result]], software: list[ContextEntity]
) -> None:
    first, record = made[0]
    inputs = []
    for path, sha256 in sorted(record.inputs.items()):
        name = os.path.relpath(path, results)
        outside = name.startswith("..")
        inputs.append(_source(crate, path, sha256) if outside else {"@id": name})
    if record.code:
        inputs.append(_source(crate, f"{record.rule}-{record.code[:12]}", record.code))
    properties = {
        "@type": "CreateAction",
        "name": record.rule,
        "description": canonical_json(record.spec),
        "instrument": [{"@id": entity.id} for entity in software],
        "object": inputs,
        "result": [{"@id": os.path.relpath(path, results)} for path, _ in made],
    }
    crate.add(
        ContextEntity(crate, f"#job-{os.path.relpath(first, results)}", properties=properties)
    )


def _source(crate: ROCrate, name: str, sha256: str) -> dict[str, str]:
    """A reference to what is no result: a file beside them, or the code of a job."""
    identifier = f"#source-{name}"
    if crate.get(identifier) is None:
        source = {"@type": "SoftwareSourceCode", "name": name, "sha256": sha256}
        crate.add(ContextEntity(crate, identifier, properties=source))
    return {"@id": identifier}


def _sorted(document: dict[str, Any]) -> dict[str, Any]:
    """The same document with its entities, and their lists of references, in the order of names."""
    for entity in document["@graph"]:
        for key, value in entity.items():
            if isinstance(value, list) and all(isinstance(item, dict) for item in value):
                entity[key] = sorted(value, key=lambda item: str(item.get("@id")))
    document["@graph"].sort(key=lambda entity: str(entity["@id"]))
    return document
