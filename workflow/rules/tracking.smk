# Records that travel with the results, and one run at a time. No rules here: see docs/tracking.md.

from snakemake.settings.types import ExecMode

from tracking import alone, limits, previous, watch
from tracking.records import Records

backend = workflow.workflow_settings.persistence_backend
if backend.name != "FILE":
    raise WorkflowError(
        f"--persistence-backend: found {backend}, allowed is file: the records that travel with the results "
        "are read from it (docs/tracking.md)"
    )

RECORDS = Records(Path(RESULTS))
PHASES = {"datasets", "denoisers", "evaluation", "samples", "spectra", "claims", "figures"}

if workflow.exec_mode == ExecMode.DEFAULT:
    if workflow.local_exec:
        limits.keep(workflow)
    if alone.begin():
        previous.bring_back()
        RECORDS.restore()


def end_of_run(succeeded):
    """Let the records travel; after a success, only those of what the run knows how to make."""
    watch.end()
    previous.bring_back()
    jobs = list(workflow.dag.jobs) if succeeded else []
    planned = [str(path) for job in jobs for path in job.output]
    targets = {job.rule.name for job in jobs}
    whole = PHASES if "all" in targets else PHASES & targets
    RECORDS.write(planned, phases=whole | ({"cards"} if "provenance" in targets else set()))


onstart:
    alone.hold()
    jobs = list(workflow.dag.needrun_jobs())
    must_have_gpus(jobs)
    RECORDS.refuse(str(path) for job in jobs for path in [*job.input, *job.output])
    previous.keep(str(path) for job in jobs for path in job.output)
    if workflow.local_exec:  # a ration of jobs per second wakes the scheduler ever more often
        workflow.scheduler.job_rate_limiter = None
    watch.begin(workflow, jobs, Path(RESULTS) / "logs")


onsuccess:
    end_of_run(True)


onerror:
    end_of_run(False)
