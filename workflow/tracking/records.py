"""Snakemake's records of how each result was made, kept beside the results instead of only in .snakemake.

Snakemake decides what to redo from its records in ``.snakemake/metadata``, and consults the checksums
in them only for inputs whose modification time is later than the output's. A clone has no records and
random times, so a stale result would pass. Here every record is also written, with the SHA-256 of the
result that it vouches for and without times, to ``<results>/records/<phase>.json``, which git tracks.
Whenever Snakemake starts, before it plans anything:

- a result whose bytes have the recorded SHA-256 gets its record back;
- a result that has no record, or one of whose inputs has changed unseen by Snakemake (its time is not
  later), is marked incomplete, and is therefore made again;
- a result that has other bytes than the recorded ones is refused when a run would read or replace it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from gahb.artifacts import ArtifactError
from gahb.provenance.tree import on_disk, refuse_conflicts

KEPT = ("rule", "code", "params", "input", "input_checksums", "record_format_version")
Record = dict[str, Any]


@cache
def sha256(path: str) -> str:
    """SHA-256 of a file, read once per process."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Made:
    """A result as it was made: the record, and the SHA-256 of the bytes that it vouches for."""

    record: Record
    sha256: str

    def changed_inputs(self) -> list[str]:
        """The recorded inputs that exist with other content than the recorded one."""
        checksums = self.record["input_checksums"]
        return [
            name
            for name, checksum in sorted(checksums.items())
            if os.path.isfile(name) and f"sha256:{sha256(name)}" != checksum
        ]


@dataclass
class Records:
    """The records of one results folder: those that travel, and those of this working folder.

    Attributes:
        results: the folder.
    """

    results: Path
    folder: Path = field(default_factory=lambda: Path(".snakemake").absolute())
    persistence: FilePersistence = field(init=False)
    vouched: dict[str, tuple[float, str]] = field(default_factory=dict)  # start of the job, SHA-256
    refused: dict[str, str] = field(default_factory=dict)  # result -> what is wrong with it

    def __post_init__(self) -> None:
        self.persistence = FilePersistence(path=self.folder)

    @property
    def ledger(self) -> Path:
        """Which bytes each local record vouches for; as local as the records themselves."""
        return self.folder / f"vouched-{self.results.as_posix().replace('/', '-')}.json"

    def files(self) -> list[str]:
        """Every result on disk."""
        return sorted(on_disk(self.results))

    # -----------------------------------------------------------------------------------------
    # At the start

    def restore(self) -> None:
        """Bring Snakemake's records in line with the bytes on disk, and say what is not in line."""
        travelling = self.read()
        last = json.loads(self.ledger.read_text()) if self.ledger.exists() else {}
        ledger, refused = last.get("vouched", {}), last.get("refused", [])
        unseen = False
        for path in self.files():
            local = self.persistence._read_record(path)
            started = bool(self.persistence._filter_incomplete_keys([path]))
            candidates = []
            if local is not None:
                start, digest = ledger.get(path, (None, None))
                made_since = start != local.starttime
                if (_is_of(local, path) and not started) if made_since else digest == sha256(path):
                    candidates.append(Made(_kept(local), sha256(path)))
                    unseen |= made_since
            tracked = travelling.get(path)
            if tracked is not None and tracked.sha256 == sha256(path):
                candidates.append(tracked)
            if candidates:
                self._install(path, local, candidates, started)
            else:
                expected = tracked.sha256 if tracked else ledger.get(path, (None, None))[1]
                wrong = expected not in (None, sha256(path))
                if wrong and (not started or path in refused):  # else a job was killed
                    self.refused[path] = (
                        f"{path} is damaged or foreign: it has SHA-256 {sha256(path)}, "
                        f"its record has {expected}"
                    )
                    _say(self.refused[path])
                self.persistence._mark_incomplete(path, None)
        self._tell_absent(travelling)
        self._write_ledger()
        if unseen:  # a run was killed before it could write the records that travel
            self.write()

    def _tell_absent(self, travelling: dict[str, Made]) -> None:
        """Say that what a clone lacks need not be made again."""
        absent = [path for path in travelling if not os.path.isfile(path)]
        if absent:
            _say(
                f"{len(absent)} recorded results are not here, {absent[0]} among them: dvc pull fetches "
                "them where there is a remote, or they are made again; make figures needs none of them"
            )

    def _install(
        self, path: str, local: MetadataRecord | None, candidates: list[Made], started: bool
    ) -> None:
        """Make the record that vouches for a result Snakemake's, the one that fits its inputs first."""
        made = next((made for made in candidates if not made.changed_inputs()), candidates[0])
        if local is None or _kept(local) != made.record:
            time = os.stat(path).st_mtime  # none travels; the report wants one
            local = MetadataRecord(**made.record, starttime=time, endtime=time, incomplete=False)
            self.persistence._write_record(path, local)
            self.persistence._clear_cache()
        self.vouched[path] = (local.starttime, made.sha256)
        hidden = [name for name in made.changed_inputs() if not _is_newer(name, path)]
        if hidden:
            _say(f"{path} was made from another {', '.join(hidden)}: it is to be made again")
            self.persistence._mark_incomplete(path, None)
        elif started:
            self.persistence._unmark_incomplete(path)

    def refuse(self, files: Iterable[str]) -> None:
        """Stop a run that would read or replace a refused result.

        Raises:
            WorkflowError: naming each, what was found and what was expected.
        """
        found = [self.refused[path] for path in sorted(set(files) & self.refused.keys())]
        if found:
            raise WorkflowError(
                "\n".join(found)
                + "\nBring it back (dvc checkout --force, git checkout) or, to have "
                "it made again, delete it."
            )

    def _write_ledger(self) -> None:
        _write(self.ledger, {"vouched": self.vouched, "refused": sorted(self.refused)})

    # -----------------------------------------------------------------------------------------
    # The records that travel

    def read(self) -> dict[str, Made]:
        """Result -> how it was made, from ``<results>/records``.

        Raises:
            WorkflowError: they cannot be read, or are in the middle of a merge.
        """
        try:
            refuse_conflicts(Path(), self.results)
        except ArtifactError as error:
            raise WorkflowError(str(error)) from error
        made: dict[str, Made] = {}
        for file in sorted(self.results.glob("records/*.json")):
            try:
                jobs = json.loads(file.read_text())
                for job in jobs:
                    outputs = job.pop("outputs")
                    made |= {path: Made(job, digest) for path, digest in outputs.items()}
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise WorkflowError(
                    f"{file} is damaged or edited: {error!r}. Bring it back (git checkout), or delete it: "
                    "what was not made in this folder is then made again"
                ) from error
        return made

    def write(self, planned: Iterable[str] = (), phases: Iterable[str] = ()) -> None:
        """Write the records of all results that are vouched for, phase by phase.

        Records of files that are absent here stay: a clone need not hold every artifact.

        Args:
            planned: what the run that has ended knows how to make.
            phases: those planned as a whole; there, a record of anything else is dropped. One that
                makes nothing leaves an empty folder, since DVC expects one.
        """
        self.persistence._clear_cache()
        sha256.cache_clear()
        made = self.read()
        for path in self.files():
            local = self.persistence._read_record(path)
            if local is None or self.persistence._filter_incomplete_keys([path]):
                continue
            if self.vouched.get(path, (None,))[0] != local.starttime:
                if not _is_of(local, path):
                    continue
                self.vouched[path] = (local.starttime, sha256(path))
            made[path] = Made(_kept(local), self.vouched[path][1])
        self._write_ledger()
        by_phase: dict[str, list[Record]] = {phase: [] for phase in phases}
        for job in _jobs(made):
            by_phase.setdefault(self._phase(job), []).append(job)
        for phase, jobs in by_phase.items():
            if phase in phases:
                jobs = [job for job in jobs if job["outputs"].keys() <= set(planned)]
                self._keep_folder(phase, empty=not jobs)
            file = self.results / f"records/{phase}.json"
            if not file.exists() or file.read_text() != _text(jobs):
                _write(file, jobs)

    def _keep_folder(self, phase: str, empty: bool) -> None:
        keep = self.results / phase / ".gitkeep"
        if empty:
            keep.parent.mkdir(parents=True, exist_ok=True)
            keep.touch()
        else:
            keep.unlink(missing_ok=True)

    def _phase(self, job: Record) -> str:
        """The folder of the first of a job's results."""
        return Path(min(job["outputs"])).relative_to(self.results).parts[0].split(".")[0]


def _kept(record: MetadataRecord) -> Record:
    return {key: record[key] for key in KEPT}


def _is_of(record: MetadataRecord, path: str) -> bool:
    """Whether a record is of this very file: Snakemake also writes one for a job that failed."""
    return bool(record.endtime == os.stat(path).st_mtime)


def _is_newer(name: str, path: str) -> bool:
    """Whether Snakemake is sure to see that an input is later than a result, links or not."""
    own = min(os.stat(name).st_mtime, os.lstat(name).st_mtime)
    return own > max(os.stat(path).st_mtime, os.lstat(path).st_mtime)


def _jobs(results: dict[str, Made]) -> list[Record]:
    """One entry per job, its outputs together, in the order of their names."""
    jobs: dict[str, Record] = {}
    for path, how in sorted(results.items()):
        key = json.dumps(how.record, sort_keys=True)
        jobs.setdefault(key, how.record | {"outputs": {}})["outputs"][path] = how.sha256
    return list(jobs.values())


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(_text(value))
    os.replace(partial, path)


def _say(message: str) -> None:
    print(f"records: {message}", file=sys.stderr)


assert RECORD_FORMAT_VERSION == 6, "a newer Snakemake keeps other records: adapt KEPT"
