"""One line says how far a run is; what Snakemake says of jobs goes to its log, errors to both."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.tracking_project import ROOT, environment

sys.path.insert(0, str(ROOT / "workflow"))
from tracking import watch


class Run:
    """Jobs of a run that no Snakemake makes, on a clock that is set by hand."""

    def __init__(self, folder: Path, cores: int = 2) -> None:
        self.folder, self.cores, self.now = folder, cores, 0.0
        self.jobs: list[object] = []
        self.running: list[object] = []
        self.finished: set[str] = set()

    def job(self, rule: str, name: str, threads: int = 1, earlier: float | None = None) -> object:
        benchmark = self.folder / f"{name}.tsv".replace("/", "_")
        if earlier is not None:
            benchmark.write_text(f"s\th:m:s\n{earlier}\t0:00:00\n")
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        job = SimpleNamespace(
            rule=SimpleNamespace(name=rule),
            log=[log],
            benchmark=benchmark,
            threads=threads,
            name=name,
        )
        self.jobs.append(_Hashed(job))
        return self.jobs[-1]

    def watch(self, stream: io.StringIO | None = None) -> watch.Watch:
        return watch.Watch(
            self.jobs,
            lambda: list(self.running),
            lambda job: job.name in self.finished,
            self.cores,
            self.folder / "logs",
            stream or io.StringIO(),
        )


class _Hashed:
    def __init__(self, job: SimpleNamespace) -> None:
        self.__dict__.update(vars(job))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_time_left_is_of_finished_jobs_of_the_rule(run: Run):
    first, second = run.job("denoiser", "denoisers/a/N1"), run.job("denoiser", "denoisers/a/N2")
    run.job("denoiser", "denoisers/a/N3")
    watching = run.watch()
    run.running = [first]
    watching._look(0.0)
    assert watching.line(0.0) == "0 of 3 jobs done; running denoisers/a/N1"
    run.running, run.finished = [second], {first.name}
    watching._look(40.0)
    # 40 s each: 30 of one that runs and 40 of one that waits, on two cores
    assert watching.line(50.0) == "1 of 3 jobs done; about 40 s left; running denoisers/a/N2"
    assert "about 40 s" in watching.line(500.0)  # one that takes longer counts as nothing


def test_time_left_is_of_earlier_runs_or_at_least(run: Run):
    run.job("denoiser", "denoisers/a/N1", threads=8, earlier=600.0)
    run.job("denoiser", "denoisers/a/N2")
    assert run.watch().line(0.0) == "0 of 2 jobs done; about 15 min left"
    run.job("spectrum", "spectra/a/N1")
    assert run.watch().line(0.0) == "0 of 3 jobs done; at least 15 min left"


def test_a_job_tells_its_own_time_left(run: Run):
    training = run.job("denoiser", "denoisers/a/N1", earlier=5.0)
    run.running = [training]
    training.log[0].write_text(
        "update 10/800, 300 images/s, 200 s left\nupdate 20/800, 90 s left\n"
    )
    written = time.time() - 30
    os.utime(training.log[0], (written, written))
    assert run.watch().line(0.0) in (
        "0 of 1 jobs done; about 60 s left; running denoisers/a/N1 (60 s left)",
        "0 of 1 jobs done; about 59 s left; running denoisers/a/N1 (59 s left)",
        "0 of 1 jobs done; about 60 s left; running denoisers/a/N1 (59 s left)",
    )


def test_many_running_jobs_are_counted(run: Run):
    run.running = [run.job("figure", f"figures/{name}") for name in "abcdef"]
    assert (
        run.watch()
        .line(0.0)
        .endswith("running figures/a, figures/b, figures/c, figures/d and 2 more")
    )


def test_what_fails_inside_does_not_reach_the_run(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "SECONDS", 0.01)
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.0)
    run.job("figure", "figures/a")
    watching = run.watch()
    watching._running = lambda: 1 / 0
    watching.begin()
    time.sleep(0.1)
    assert watching._thread.is_alive()
    watching._running = list
    watching.end()
    assert "0 of 1 jobs done in " in watching._stream.getvalue()


def test_errors_pass_and_routine_does_not(run: Run):
    def record(level: int, message: str, **extra: object) -> logging.LogRecord:
        return logging.makeLogRecord({"levelno": level, "msg": message, **extra})

    watching = run.watch()
    for event in watch.ROUTINE:
        assert not watching.filter(record(logging.INFO, "", event=event))
    assert not watching.filter(record(logging.INFO, "Select jobs to execute..."))
    assert watching.filter(record(logging.ERROR, "", event=watch.LogEvent.JOB_ERROR))
    assert watching.filter(record(logging.INFO, "Shutting down, this might take some time."))


SNAKEFILE = """
import sys
from pathlib import Path

sys.path.insert(0, "{workflow}")
from tracking import watch

watch.SECONDS = 0.2
watch.QUIET_SECONDS = 0.5


rule all:
    input:
        "right",
        "wrong",


rule right:
    output:
        touch("right"),
    shell:
        "sleep 2"


rule wrong:
    output:
        "wrong",
    log:
        "logs/wrong/a.log",
    shell:
        "sleep 1; echo this went wrong > {{log}}; exit 1"


onstart:
    watch.begin(workflow, workflow.dag.needrun_jobs(), Path("logs"))


onsuccess:
    watch.end()


onerror:
    watch.end()
"""
COMMAND = ("snakemake", "--cores", "2", "--show-failed-logs", "--printshellcmds")


def snakefile(folder: Path) -> Path:
    (folder / "Snakefile").write_text(SNAKEFILE.format(workflow=ROOT / "workflow"))
    return folder


def begun(folder: Path, **streams: int) -> subprocess.Popen[bytes]:
    told = environment() | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}
    return subprocess.Popen(COMMAND, cwd=snakefile(folder), env=told, **streams)


def test_a_failed_job_is_shown_in_full_and_the_rest_in_lines(tmp_path: Path):
    run = begun(tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    told = run.communicate()[1].decode()
    assert run.returncode == 1
    lines = told.splitlines()
    assert "What each job says goes to logs." in lines
    assert any(line.startswith("0 of 2 jobs done; running ") for line in lines), told
    assert any(line.startswith("1 of 2 jobs done in ") for line in lines), told
    for shown in ("Error in rule wrong", "this went wrong", "exit 1"):
        assert shown in told
    for hidden in ("Shell command: sleep 2", "Finished jobid", "Select jobs", "Execute 2 jobs"):
        assert hidden not in told
    (log,) = (tmp_path / ".snakemake/log").glob("*.log")
    for kept in ("sleep 2", "Finished jobid", "Error in rule wrong"):
        assert kept in log.read_text()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_keeps_one_line(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "SECONDS", 0.01)
    run.running = [run.job("figure", "figures/a")]
    watching = run.watch(Terminal())
    watching.begin()
    time.sleep(0.2)
    assert watching.filter(logging.makeLogRecord({"levelno": logging.ERROR, "msg": "Error"}))
    watching.end()
    told = watching._stream.getvalue()
    line = "\r\033[K0 of 1 jobs done; running figures/a"
    assert told.count(line) > 2
    assert "\r\033[K\r\033[K" in told  # before the error
    assert told.count("\n") == 1
    assert told.endswith("\r\033[K0 of 1 jobs done in 0 s\n")
