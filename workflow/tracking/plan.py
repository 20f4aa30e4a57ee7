"""Print what Snakemake would make for some targets, with specs: ``plan.py TARGETS [PRESET]``.

TARGETS are separated by commas.
"""

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


def plan(targets: str, preset: str | None = None) -> dict[str, dict | None]:
    """Result -> spec that params.yaml asks for, of all jobs of the targets."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config={"preset": preset} if preset else {}),
            snakefile=Path("Snakefile"),
        )
        with contextlib.redirect_stdout(io.StringIO()):
            settings = DAGSettings(targets=set(targets.split(",")), force_incomplete=True)
            workflow.dag(settings).summary()
        jobs = workflow._workflow.dag.jobs
        return {
            str(output): json.loads(job.params.spec) if hasattr(job.params, "spec") else None
            for job in jobs
            for output in job.output
        }


if __name__ == "__main__":
    print(json.dumps(plan(*sys.argv[1:]), sort_keys=True))
