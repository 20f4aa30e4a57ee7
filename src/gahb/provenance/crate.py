"""Machine-readable provenance: an RO-Crate of a finished run, of the profile Provenance Run Crate.

The crate's root is the folder of results. The main entity is the workflow, copied beside the crate as one
file; it has a step for each rule, and the code of each job as a part. Every job is a ``CreateAction`` with
its inputs, results and resolved spec, and the time when it ended: that of its results' files, which are as
new as the clone in a clone. Packages are listed with their versions. What git holds is named by its path;
what DVC holds, or lies outside the folder, does not travel with the crate and is named by its digest
(``ni:``, RFC 6920).
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.model.data_entity import DataEntity
from rocrate.rocrate import ROCrate

from gahb.artifacts import ArtifactError, canonical_json, digest_file, provenance, write_text
from gahb.params.specs import Params
from gahb.provenance.tree import Result, cached_by_dvc, recorded

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
WORKFLOW = "ro-crate-workflow.smk"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
COMPLETED = "http://schema.org/CompletedActionStatus"
Reference = dict[str, str]


def write_crate(
    params: Params,
    versions: Mapping[str, str],
    citation: Path,
    snakefile: Path,
    output: Path,
) -> None:
    """Write ``ro-crate-metadata.json`` and ``ro-crate-workflow.smk`` into the folder of results.

    Args:
        params: everything that the run depended on.
        versions: of the packages that ran the workflow, which need not be installed here.
        citation: ``CITATION.cff``, for title, licence, authors and date.
        snakefile: the workflow; ``dvc.yaml`` beside it says what DVC holds.
        output: the file to write, beside the folders of the results and their records.

    Raises:
        ArtifactError: a recorded result is missing, or is not what its record says.
    """
    results = output.parent
    jobs: dict[str, list[tuple[str, Result]]] = {}
    for name, record in sorted(recorded(results).items()):
        # cards are written beside this file, in any order; its own record is of the one before
        if Path(name).relative_to(results).parts[0] in ("cards", output.name, WORKFLOW):
            continue
        key = canonical_json([record.rule, record.spec, record.code, record.inputs])
        jobs.setdefault(key, []).append((name, record))
    crate = _Crate(results, cached_by_dvc(snakefile.with_name("dvc.yaml")))
    made = [name for job in jobs.values() for name, _ in job]
    ended = _ended(made)
    crate.describe(yaml.safe_load(citation.read_text()), ended)
    for job in jobs.values():
        crate.add_job(job)
    workflow = results / WORKFLOW
    write_text(workflow, _in_one_file(snakefile))
    crate.add_workflow(workflow, params, versions, made, ended)
    text = json.dumps(_sorted(crate.crate.metadata.generate()), indent=1, sort_keys=True)
    write_text(output, text + "\n")


def _in_one_file(snakefile: Path) -> str:
    """The text of a workflow, that of the files it includes in their places."""

    def included(match: re.Match[str]) -> str:
        return (snakefile.parent / match[1]).read_text()

    return re.sub(r'^include: "(.+)"\n', included, snakefile.read_text(), flags=re.MULTILINE)


def _ended(files: Iterable[str]) -> str:
    """When the last of some files was written, to the second."""
    last = max((os.stat(file).st_mtime for file in files if os.path.isfile(file)), default=0.0)
    return datetime.fromtimestamp(int(last), UTC).isoformat()


def named_by_digest(sha256: str) -> str:
    """The ``ni:`` URI of content, which names it wherever it is (RFC 6920)."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"


@dataclass
class _Crate:
    """A crate while it is filled.

    Attributes:
        results: its root.
        cached: folders of the results that DVC holds and git does not.
    """

    results: Path
    cached: set[str]
    crate: ROCrate = field(default_factory=lambda: ROCrate(version="1.1"))
    files: dict[str, Reference] = field(default_factory=dict)  # path -> its entity
    tools: dict[str, list[Reference]] = field(default_factory=lambda: defaultdict(list))

    def entity(self, identifier: str, kind: str | list[str], **properties: Any) -> Reference:
        """Add what is no data."""
        described = {"@type": kind, **properties}
        self.crate.add(ContextEntity(self.crate, identifier, properties=described))
        return {"@id": identifier}

    def describe(self, about: Mapping[str, Any], ended: str) -> None:
        """What the whole is, and who answers for it."""
        self.crate.metadata.extra_terms["sha256"] = "https://w3id.org/ro/terms/workflow-run#sha256"
        self.crate.metadata["conformsTo"] = [
            {"@id": self.crate.metadata.profile},
            {"@id": WORKFLOW_CRATE},
        ]
        root = self.crate.root_dataset
        root["conformsTo"] = [
            self.entity(profile, "CreativeWork", name=name, version=version)
            for profile, (name, version) in PROFILES.items()
        ]
        root["name"] = about["title"]
        root["description"] = about.get("abstract", about["title"])
        root["datePublished"] = str(about.get("date-released", ended[:10]))
        licence = f"https://spdx.org/licenses/{about['license']}"
        self.license = self.entity(licence, "CreativeWork", name=about["license"])
        root["license"] = self.license
        names = [
            author.get("name") or f"{author['given-names']} {author['family-names']}"
            for author in about["authors"]
        ]
        self.agent = self.entity("#authors", "Organization", name=", ".join(names))
        root["author"] = self.agent
        root["publisher"] = self.agent
        self.version = about["version"]

    def file(self, path: str, sha256: str) -> Reference:
        """A file by its path where git holds it, and else by its digest.

        Raises:
            ArtifactError: a result is missing, or is not what its record says.
        """
        if path in self.files:
            return self.files[path]
        name = Path(os.path.relpath(path, self.results)).as_posix()
        outside = name.startswith("..")
        if not outside:
            _check(path, sha256)
        remote = outside or name.split("/")[0] in self.cached
        identifier = named_by_digest(sha256) if remote else name
        known = self.crate.get(identifier)
        if known is not None:  # two files of the same bytes
            known.append_to("name", name)
        else:
            properties: dict[str, Any] = {
                "@type": "File",
                "name": os.path.relpath(path) if outside else name,
                "sha256": sha256,
                "encodingFormat": MEDIA_TYPES.get(Path(path).suffix, "text/plain"),
            }
            if os.path.isfile(path):
                properties["contentSize"] = str(os.stat(path).st_size)
                properties["sdDatePublished"] = _ended([path])
            if name == "README.md":
                properties["about"] = {"@id": "./"}
            if remote and not outside:
                properties["description"] = "Not in git: `dvc pull` fetches it."
            self.crate.add(DataEntity(self.crate, identifier, properties=properties))
        self.files[path] = {"@id": identifier}
        return self.files[path]

    def add_job(self, made: list[tuple[str, Result]]) -> None:
        """One job: what it read, what it wrote, by which code."""
        first, record = made[0]
        tool = f"#code-{record.rule}-{record.code[:12]}"
        if self.crate.get(tool) is None:
            version = f"sha256:{record.code}" if record.code else self.version
            self.tools[record.rule].append(
                self.entity(tool, "SoftwareSourceCode", name=record.rule, version=version)
            )
        job = self.entity(
            f"#job-{os.path.relpath(first, self.results)}",
            "CreateAction",
            name=record.rule,
            description=canonical_json(record.spec),
            instrument={"@id": tool},
            agent=self.agent,
            actionStatus=COMPLETED,
            endTime=_ended(name for name, _ in made),
            object=[self.file(path, sha256) for path, sha256 in sorted(record.inputs.items())],
            result=[self.file(path, result.sha256) for path, result in made],
        )
        self.crate.root_dataset.append_to("mentions", job)

    def add_workflow(
        self,
        file: Path,
        params: Params,
        versions: Mapping[str, str],
        made: Iterable[str],
        ended: str,
    ) -> None:
        """The main entity: the workflow, its steps and parameters, and its run."""
        installed: dict[str, str] = provenance({})["versions"]
        packages = [
            self.entity(f"#software-{name}", "SoftwareApplication", name=name, version=version)
            for name, version in sorted((installed | dict(versions)).items())
        ]
        values = []
        for name, value in sorted(params.items()):
            formal, given = f"#parameter-{name}", f"#params-{name}"
            values.append(
                self.entity(
                    given,
                    "PropertyValue",
                    name=name,
                    value=canonical_json(value),
                    exampleOfWork={"@id": formal},
                )
            )
            self.entity(
                formal,
                "FormalParameter",
                name=name,
                additionalType="PropertyValue",
                workExample={"@id": given},
            )
        steps = [
            self.entity(f"#step-{rule}", "HowToStep", name=rule, workExample=tools)
            for rule, tools in sorted(self.tools.items())
        ]
        language = self.entity(
            LANGUAGE, "ComputerLanguage", name="Snakemake", url="https://snakemake.github.io"
        )
        workflow = self.file(os.fspath(file), digest_file(file))
        main = self.crate.get(workflow["@id"])
        described = {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "conformsTo": {
                "@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
            },
            "programmingLanguage": language,
            "version": self.version,
            "license": self.license,
            "hasPart": [tool for tools in self.tools.values() for tool in tools],
            "input": [{"@id": f"#parameter-{name}"} for name in sorted(params)],
            "step": steps,
            "softwareRequirements": packages,
        }
        for key, value in described.items():
            main.properties()[key] = value
        self.crate.root_dataset["mainEntity"] = workflow
        run = self.entity(
            "#run",
            "CreateAction",
            name="run of the workflow",
            description="everything that the results were made by",
            instrument=workflow,
            agent=self.agent,
            actionStatus=COMPLETED,
            endTime=ended,
            object=values,
            result=[self.files[name] for name in made],
        )
        self.crate.root_dataset.append_to("mentions", run)


def _check(path: str, recorded_sha256: str) -> None:
    if not os.path.isfile(path):
        raise ArtifactError(f"{path} is recorded, but missing: run snakemake, or dvc pull")
    sha256 = digest_file(path)
    if sha256 != recorded_sha256:
        raise ArtifactError(
            f"{path} has SHA-256 {sha256}, its record has {recorded_sha256}: run snakemake first"
        )


def _sorted(document: dict[str, Any]) -> dict[str, Any]:
    """The same document with its entities, and their lists of references, in the order of names.

    A list of one becomes that one, as RO-Crate recommends.
    """
    for entity in document["@graph"]:
        for key, value in entity.items():
            if isinstance(value, list) and all(isinstance(item, dict) for item in value):
                ordered = sorted(value, key=lambda item: str(item.get("@id")))
                entity[key] = ordered[0] if len(ordered) == 1 else ordered
    document["@graph"].sort(key=lambda entity: str(entity["@id"]))
    return document
