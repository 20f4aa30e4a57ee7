"""The previous results, kept while a run replaces them.

Snakemake removes a job's results before it starts the job; if the job then fails, or everything is killed,
they would be gone. Hard links keep them: they cost nothing, and work for links into DVC's cache too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

KEPT = Path(".snakemake/previous")


def keep(files: Iterable[str]) -> None:
    """Keep those of ``files`` that exist."""
    for path in files:
        if os.path.lexists(path):
            kept = KEPT / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, kept, follow_symlinks=False)
            except OSError:  # another file system
                shutil.copy2(path, kept, follow_symlinks=False)


def bring_back() -> None:
    """Put back what was kept and has not been replaced; nothing is kept afterwards."""
    for folder, _, names in os.walk(KEPT):
        for name in names:
            kept = Path(folder, name)
            path = kept.relative_to(KEPT)
            if not os.path.lexists(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(kept, path)
    shutil.rmtree(KEPT, ignore_errors=True)
