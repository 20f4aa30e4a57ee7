"""Print every result that the workflow knows how to make, with its spec: ``plan.py [preset]``."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
)


def plan(preset: str | None) -> dict[str, dict | None]:
    """Result -> spec that params.yaml asks for, of all jobs of the default target."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config={"preset": preset} if preset else {}),
            snakefile=Path("Snakefile"),
        )
        with contextlib.redirect_stdout(io.StringIO()):
            workflow.dag(DAGSettings(force_incomplete=True)).summary()
        jobs = workflow._workflow.dag.jobs
        return {
            str(output): json.loads(job.params.spec) if hasattr(job.params, "spec") else None
            for job in jobs
            for output in job.output
        }


if __name__ == "__main__":
    print(json.dumps(plan(*sys.argv[1:] or [None]), sort_keys=True))
