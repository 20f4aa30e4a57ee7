"""Print what Snakemake would make for some targets, with specs: ``plan.py TARGETS [PRESET]``.

TARGETS are separated by commas.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
)


@contextlib.contextmanager
def workflow(targets: str, preset: str | None = None) -> Iterator[Any]:
    """Snakemake's workflow, its plan of the targets made."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        made = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config={"preset": preset} if preset else {}),
            snakefile=Path("Snakefile"),
        )
        with contextlib.redirect_stdout(io.StringIO()):
            settings = DAGSettings(targets=set(targets.split(",")), force_incomplete=True)
            made.dag(settings).summary()
        yield made._workflow


def plan(targets: str, preset: str | None = None) -> dict[str, Any]:
    """Result -> spec that params.yaml asks for, of all jobs of the targets."""
    with workflow(targets, preset) as made:
        return {
            str(output): json.loads(job.params.spec) if hasattr(job.params, "spec") else None
            for job in made.dag.jobs
            for output in job.output
        }


if __name__ == "__main__":
    print(json.dumps(plan(*sys.argv[1:]), sort_keys=True))
