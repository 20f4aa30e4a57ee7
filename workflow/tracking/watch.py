"""One line that says how far a run is, on what it works, and how long it will take.

While jobs run, what Snakemake says of each (hundreds of lines) goes to its log file only; errors are
printed as ever. A thread of its own looks every two seconds at which jobs are finished and which run.
Seconds of jobs that have not finished yet are taken from their own progress, else from those of their
rule that this run has finished, else from the benchmarks of earlier runs. A rule of which none is known
counts as nothing, and the line then says "at least".
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import Any, TextIO

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

SECONDS = 2.0  # between two looks
QUIET_SECONDS = 60.0  # between two lines where no terminal can rewrite its last
SHOWN = 4  # running jobs named in the line
ROUTINE = {
    LogEvent.JOB_INFO,
    LogEvent.GROUP_INFO,
    LogEvent.SHELLCMD,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED,
    LogEvent.PROGRESS,
}
_CLEAR = "\r\033[K"
_watching: list[Watch] = []
_LEFT = re.compile(rb"([\d.]+) s left")


class Watch(logging.Filter):
    """Watches the jobs of a run, and filters what the handlers of terminals print.

    Args:
        jobs: all jobs of the run that make something; of each ``rule.name``, ``log``, ``benchmark``
            and ``threads`` are read, once.
        running: the jobs that run now.
        finished: whether a job has finished.
        cores: how many the run may use.
        logs: folder that is left out of the names of jobs, which are those of their logs.
        stream: where the line goes.
    """

    def __init__(
        self,
        jobs: Iterable[Any],
        running: Callable[[], Iterable[Any]],
        finished: Callable[[Any], bool],
        cores: int,
        logs: Path,
        stream: TextIO = sys.stderr,
    ) -> None:
        super().__init__()
        self._running, self._finished, self._cores, self._stream = running, finished, cores, stream
        self._open = {job: _Job(job, logs, cores) for job in jobs}
        self._total = len(self._open)
        self._begun: dict[Any, float] = {}
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._earlier: dict[str, list[float]] = defaultdict(list)
        for job in self._open.values():
            if job.earlier is not None:
                self._earlier[job.rule].append(job.earlier)
        self._terminal = stream.isatty()
        self._start = self._last = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is worth interrupting the line for."""
        routine = getattr(record, "event", None) in ROUTINE
        if routine or str(record.msg).startswith("Select jobs to execute"):
            return False
        if self._terminal:
            self._stream.write(_CLEAR)
        return True

    def begin(self) -> None:
        """Start watching."""
        self._thread.start()

    def end(self) -> None:
        """Stop watching, and leave a last line."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            self._look(time.monotonic())
            self._write(f"{self._done()} in {_duration(time.monotonic() - self._start)}\n")

    def _watch(self) -> None:
        while not self._ended.wait(SECONDS):
            try:
                now = time.monotonic()
                self._look(now)
                if self._terminal:
                    width = shutil.get_terminal_size().columns
                    self._write(self.line(now)[: width - 1])
                elif now - self._last >= QUIET_SECONDS:
                    self._last = now
                    self._write(self.line(now) + "\n")
            except Exception as error:  # whatever it is, the run goes on
                logger.debug(f"the line of progress was not written: {error!r}")

    def _write(self, text: str) -> None:
        self._stream.write(_CLEAR + text if self._terminal else text)
        self._stream.flush()

    def _look(self, now: float) -> None:
        """Take note of which jobs have begun and which have finished."""
        for job in self._running():
            if job in self._open:
                self._begun.setdefault(job, now)
        for job in [job for job in self._open if self._finished(job)]:
            rule = self._open.pop(job).rule
            self._seconds[rule].append(now - self._begun.pop(job, now))

    def line(self, now: float) -> str:
        """What is to be said at a time of the monotonic clock."""
        left, known, names = 0.0, True, []
        longest = 0.0
        running = set(self._running())
        for job, facts in self._open.items():
            expected = self._expected(facts.rule)
            seconds = expected
            if job in running:
                told = facts.told_left()
                names.append(facts.name + ("" if told is None else f" ({_duration(told)} left)"))
                if told is not None:
                    seconds = told
                elif expected is not None:
                    seconds = max(0.0, expected - (now - self._begun.get(job, now)))
            known = known and seconds is not None
            left += (seconds or 0.0) * facts.threads
            longest = max(longest, seconds or 0.0)
        words = [self._done()]
        if known or left:
            about = "about" if known else "at least"
            words.append(f"{about} {_duration(max(longest, left / self._cores))} left")
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            words.append("running " + ", ".join(names[:SHOWN]) + more)
        return "; ".join(words)

    def _done(self) -> str:
        return f"{self._total - len(self._open)} of {self._total} jobs done"

    def _expected(self, rule: str) -> float | None:
        """The seconds that a job of a rule takes, if any are known."""
        known = self._seconds.get(rule) or self._earlier.get(rule)
        return fmean(known) if known else None


class _Job:
    """What is read of a job once, on the thread of the scheduler."""

    def __init__(self, job: Any, logs: Path, cores: int) -> None:
        self.rule: str = job.rule.name
        self.threads = min(int(job.threads), cores)
        self.log = Path(str(job.log[0])) if job.log else None
        self.name = self.rule
        if self.log is not None and self.log.is_relative_to(logs):
            self.name = self.log.relative_to(logs).with_suffix("").as_posix()
        self.earlier = _benchmarked(job.benchmark)

    def told_left(self) -> float | None:
        """The seconds left by the newest progress in the job's own log, less the log's age."""
        if self.log is None or not self.log.is_file():
            return None
        with open(self.log, "rb") as file:
            file.seek(max(0, self.log.stat().st_size - 2000))
            told = _LEFT.findall(file.read())
        if not told:
            return None
        return max(0.0, float(told[-1]) - (time.time() - self.log.stat().st_mtime))


def _benchmarked(path: Any) -> float | None:
    """The seconds of the run that a benchmark file tells of, if there is one."""
    try:
        return float(Path(str(path)).read_text().splitlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def begin(workflow: Any, jobs: Iterable[Any], logs: Path) -> None:
    """Watch a run of Snakemake whose jobs are about to start; under --verbose, hide nothing."""
    print(f"What each job says goes to {logs}.", file=sys.stderr, flush=True)
    making = [job for job in jobs if job.output]
    scheduler, cores = workflow.scheduler, workflow.resource_settings.cores
    watch = Watch(making, lambda: list(scheduler.running), workflow.dag.finished, cores, logs)
    for handler in [] if workflow.output_settings.verbose else logger.handlers:
        told = isinstance(handler, logging.StreamHandler)
        if told and not isinstance(handler, logging.FileHandler):
            handler.addFilter(watch)
    watch.begin()
    _watching.append(watch)


def end() -> None:
    """Stop watching, if a run is watched."""
    while _watching:
        _watching.pop().end()
