"""A stand-in for conda, of which it has no more than Snakemake uses; nothing is fetched.

``install(folder)`` lays it down: ``folder/bin/conda`` and ``folder/bin/activate``. An environment is one
of this Python's own with links to the packages that its file names, as they are installed here, and to what
those require. Versions and builds are not solved for; a channel must be one that there is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHANNELS = {"conda-forge", "defaults"}
OTHER_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch"}

# Of a second environment conda puts the folder in the place that the first one's has in PATH.
ACTIVATE = """\
PATH=":$PATH:"
case "$PATH" in
    *":${CONDA_PREFIX:-}/bin:"*) PATH="${PATH/":$CONDA_PREFIX/bin:"/":$1/bin:"}" ;;
    *) PATH=":$1/bin$PATH" ;;
esac
PATH="${PATH#:}"
export PATH="${PATH%:}" CONDA_PREFIX="$1"
"""


def install(folder: Path) -> Path:
    """Make the two commands, and return the folder that PATH needs."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/activate").write_text(ACTIVATE)
    conda = folder / "bin/conda"
    conda.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{folder}" "$@"\n')
    conda.chmod(0o755)
    return folder / "bin"


def create(prefix: Path, packages: Iterable[str]) -> Path:
    """Make an environment of some packages, by their names for pip; return its Python."""
    venv.create(prefix, symlinks=True)
    (place,) = prefix.glob("lib/python*/site-packages")
    for distribution in with_requirements(packages):
        for name in {file.parts[0] for file in distribution.files or []}:
            link, target = place / name, Path(str(distribution.locate_file(name)))
            if name not in ("..", "__pycache__") and target.exists() and not link.exists():
                link.symlink_to(target)
    return prefix / "bin/python"


def with_requirements(packages: Iterable[str]) -> Iterable[metadata.Distribution]:
    """What is installed here of these packages and of all that they require."""
    pending, seen = list(packages), set()
    while pending:
        name = canonicalize_name(pending.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another system, say
            continue
        yield found
        for required in map(Requirement, found.requires or []):
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                pending.append(required.name)


def create_from_file(prefix: Path, file: Path) -> None:
    """What ``conda env create`` does with an environment file."""
    asked = yaml.safe_load(file.read_text())
    for channel in asked["channels"]:
        if channel not in CHANNELS:
            sys.exit(f"UnavailableInvalidChannel: HTTP 404 NOT FOUND for channel {channel}")
    names = [re.split("[<>=! ]", line)[0] for line in asked["dependencies"]]
    create(prefix, [OTHER_NAMES.get(name, name) for name in names if name != "python"])
    (place,) = prefix.glob("lib/python*/site-packages")
    (place / "sitecustomize.py").write_text(  # what runs in it can be told afterwards
        f"import sys\nopen({str(prefix / 'used')!r}, 'a').write(' '.join(sys.orig_argv) + '\\n')\n"
    )


def main(folder: Path, arguments: list[str]) -> None:
    """Do what Snakemake asks conda for."""
    if arguments == ["--version"]:
        print("conda 26.7.1")
    elif arguments[:1] == ["info"]:
        print(json.dumps({"conda_prefix": str(folder), "platform": "linux-64"}))
    elif arguments[:2] == ["config", "--get"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments[:2] == ["env", "create"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("--file", type=Path)
        parser.add_argument("--prefix", type=Path)
        options, _ = parser.parse_known_args(arguments[2:])
        create_from_file(options.prefix, options.file)
    elif arguments[:1] != ["clean"]:
        sys.exit(f"the stand-in for conda has no {' '.join(arguments)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
