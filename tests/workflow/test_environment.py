"""One set of packages everywhere.

What the source imports, the ranges of pyproject.toml, the pins of constraints.txt, the conda
environment of the rules, the Makefile and both CI definitions say the same. Each check returns the
disagreements it finds; it must find none here, and must find those planted in a copy.
"""

import ast
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import gahb

ROOT = Path(__file__).parents[2]
FILES = (
    ".pre-commit-config.yaml",
    ".zenodo.json",
    "CITATION.cff",
    "Makefile",
    "constraints.txt",
    "pyproject.toml",
    "workflow/envs/gahb.yaml",
    ".ci/run",
    ".github/workflows/ci.yml",
)
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "PIL": "pillow",
    "pydantic_core": "pydantic",
    "pywt": "pywavelets",
}  # where the import has another name
CONDA_NAMES = {
    "huggingface-hub": "huggingface_hub",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}
WORKFLOW_TOOLS = {"dvc", "grimp", "snakemake"}  # run the rules; the rules do not import them
DESCRIBING = "provenance"  # the subpackage that may import what only the workflow needs


def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def library(root: Path) -> dict[str, Requirement]:
    """What `pip install gahb` brings."""
    return requirements(project(root)["project"]["dependencies"])


def extras(root: Path) -> dict[str, Requirement]:
    groups = project(root)["project"]["optional-dependencies"]
    return requirements([line for group in groups.values() for line in group])


def dependencies(root: Path) -> dict[str, Requirement]:
    """What `make` installs: the library and what runs the workflow."""
    groups = project(root)["project"]["optional-dependencies"]
    return library(root) | requirements(groups["workflow"])


def pin_lines(root: Path) -> list[str]:
    lines = (root / "constraints.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def pins(root: Path) -> dict[str, Version]:
    pairs = [line.split("==") for line in pin_lines(root) if line.count("==") == 1]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def conda_packages(root: Path) -> dict[str, SpecifierSet]:
    """The conda environment's packages."""
    environment = yaml.safe_load((root / "workflow/envs/gahb.yaml").read_text())
    packages = {}
    for line in environment["dependencies"]:
        name, bounds = re.fullmatch(r"([\w.-]+?)\s*([=<>!].*)?", line).groups()
        packages[name] = SpecifierSet(bounds or "")
    return packages


def run_time_imports(root: Path, without: str = "") -> set[str]:
    """Distributions that src/gahb imports when it runs, at the top of a module or inside it."""
    modules = set()
    for path in (root / "src/gahb").rglob("*.py"):
        if without and without in path.relative_to(root / "src/gahb").parts:
            continue
        for node in walk_run_time(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    foreign = modules - sys.stdlib_module_names - {"gahb"}
    return {canonicalize_name(DISTRIBUTIONS.get(module, module)) for module in foreign}


def walk_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    for child in children:
        yield from walk_run_time(child)


def lowest_python(root: Path) -> str:
    return project(root)["project"]["requires-python"].removeprefix(">=")


# ---------------------------------------------------------------------------------------------
# Checks: each yields what disagrees


def imports_and_dependencies(root: Path) -> Iterator[str]:
    imported, declared, pinned = run_time_imports(root), dependencies(root), pins(root)
    conda = conda_packages(root)
    for name in sorted(imported):
        if name not in declared:
            yield f"src/gahb imports {name}, which pyproject.toml does not declare"
        if name not in pinned:
            yield f"src/gahb imports {name}, which constraints.txt does not pin"
        if CONDA_NAMES.get(name, name) not in conda:
            yield f"src/gahb imports {name}, which the conda environment lacks"
    for name in sorted(run_time_imports(root, without=DESCRIBING) - library(root).keys()):
        if name in declared:
            yield f"src/gahb imports {name} outside {DESCRIBING}, which `pip install gahb` lacks"
    for name in sorted(declared.keys() - imported - WORKFLOW_TOOLS):
        yield f"pyproject.toml declares {name}, which src/gahb never imports"
    expected = {CONDA_NAMES.get(name, name) for name in imported} | {"python"}
    for name in sorted(conda.keys() - expected):
        yield f"the conda environment has {name}, which src/gahb never imports"


def versions(root: Path) -> Iterator[str]:
    pinned, conda = pins(root), conda_packages(root)
    for name, requirement in (dependencies(root) | extras(root)).items():
        if name not in pinned:
            yield f"pyproject.toml declares {name}, which constraints.txt does not pin"
            continue
        if not requirement.specifier:
            yield f"pyproject.toml gives no range for {name}"
        if pinned[name] not in requirement.specifier:
            yield f"pyproject.toml asks for {requirement}, constraints.txt pins {pinned[name]}"
        found = conda.get(CONDA_NAMES.get(name, name))
        if found not in (None, requirement.specifier):
            yield f"conda has {name} {found or 'of any version'}, pyproject.toml {requirement}"


def constraints(root: Path) -> Iterator[str]:
    """Only `name==version`, once each, in any environment: no address, no local version."""
    lines = pin_lines(root)
    for line in lines:
        if not re.fullmatch(r"[\w.-]+==[\w.]+", line):
            yield f"constraints.txt: {line!r} is not `name==version` without a local version"
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"constraints.txt pins {name} twice"
    for name in ("pip", "setuptools", "torch"):
        if name not in names:
            yield f"constraints.txt does not pin {name}"


def everything_installed_is_pinned(root: Path) -> Iterator[str]:
    """Follow the requirements of what is installed here, as pip did."""
    pinned = pins(root)
    declared = (dependencies(root) | extras(root)).values()
    pending = [(requirement, "pyproject.toml") for requirement in declared]
    seen = set()
    while pending:
        requirement, wanted_by = pending.pop()
        name = canonicalize_name(requirement.name)
        if name not in pinned:
            yield f"{wanted_by} needs {name}, which constraints.txt does not pin"
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # an extra that is not installed here
            continue
        for inner in map(Requirement, needed):
            chosen = ["", *requirement.extras]
            if not inner.marker or any(inner.marker.evaluate({"extra": name}) for name in chosen):
                pending.append((inner, name))


def python_versions(root: Path) -> Iterator[str]:
    lowest = lowest_python(root)
    tools = project(root)["tool"]
    if tools["mypy"]["python_version"] != lowest:
        yield f"mypy checks for another Python than {lowest}"
    if tools["ruff"]["target-version"] != "py" + lowest.replace(".", ""):
        yield f"ruff checks for another Python than {lowest}"
    if f"sys.version_info < ({lowest.replace('.', ', ')})" not in (root / "Makefile").read_text():
        yield f"the Makefile does not ask for Python {lowest}"
    if Version(lowest) not in conda_packages(root)["python"]:
        yield f"conda has another Python than {lowest}"
    jobs = yaml.safe_load((root / ".github/workflows/ci.yml").read_text())["jobs"]
    tested = jobs["test"]["strategy"]["matrix"]["python"]
    if min(tested, key=Version) != lowest:
        yield f"GitHub's tests run from Python {min(tested, key=Version)}, not {lowest}"


def entry_points(root: Path) -> Iterator[str]:
    makefile = (root / "Makefile").read_text()
    for line in re.findall(r".*pip install.*", makefile):
        if not re.search(
            r"--constraint constraints.txt|\$\(source\) --upgrade|roc-validator", line
        ):
            yield f"the Makefile installs without constraints.txt: {line.strip()}"
    if "pyproject.toml constraints.txt" not in makefile:
        yield "the Makefile does not renew the environment when the packages change"
    if not re.search(r"^make test\b", (root / ".ci/run").read_text(), re.MULTILINE):
        yield ".ci/run does not run `make test`"
    jobs = yaml.safe_load((root / ".github/workflows/ci.yml").read_text())["jobs"]
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    linted = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    for hook in hooks:
        if hook["entry"].removeprefix(".venv/bin/") not in linted:
            yield f"`make lint` does not run {hook['entry']}"
    if len(hooks) != len(linted.splitlines()):
        yield "not all that `make lint` runs is a hook"
    for job, command in (("test", "make test"), ("lint", "make lint")):
        if command not in [step.get("run") for step in jobs[job]["steps"]]:
            yield f"GitHub's job {job} does not run `{command}`"
    addresses = r"https?://|file://|--(extra-)?index-url|--find-links (?!\"\$\(WHEELS\))"
    for file in ("Makefile", "constraints.txt", "workflow/envs/gahb.yaml", ".ci/run"):
        if re.search(addresses, (root / file).read_text()):
            yield f"{file} names a package registry"
    channels = yaml.safe_load((root / "workflow/envs/gahb.yaml").read_text())["channels"]
    if channels != ["conda-forge"]:  # for conda >= 26.7 `nodefaults` is one that does not exist
        yield f"conda has the channels {channels}"


def release(root: Path) -> Iterator[str]:
    (version,) = re.findall(r'__version__ = "(.*)"', (root / "src/gahb/version.py").read_text())
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    if citation["version"] != version:
        yield f"CITATION.cff has version {citation['version']}, gahb/version.py {version}"
    zenodo = json.loads((root / ".zenodo.json").read_text())
    for key in ("title", "license", "keywords"):
        if zenodo[key] != citation[key]:
            yield f".zenodo.json has {key} {zenodo[key]}, CITATION.cff {citation[key]}"
    if gahb.__version__ != version:
        yield f"gahb.__version__ is {gahb.__version__}, gahb/version.py has {version}"


CHECKS = (
    imports_and_dependencies,
    versions,
    constraints,
    everything_installed_is_pinned,
    python_versions,
    entry_points,
    release,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_repository_agrees_with_itself(check: Callable[[Path], Iterator[str]]):
    assert list(check(ROOT)) == []


def test_this_environment_lies_within_the_declared_ranges():
    outside = [
        f"{requirement}, installed {metadata.version(name)}"
        for name, requirement in dependencies(ROOT).items()
        if Version(metadata.version(name)) not in requirement.specifier
    ]
    assert outside == []


@pytest.mark.skipif(
    not Path(sys.prefix, ".installed").exists(), reason="this environment was not made by make"
)
def test_the_environment_made_by_make_holds_the_pins():
    installed = {
        canonicalize_name(distribution.metadata["Name"]): Version(distribution.version)
        for distribution in metadata.distributions()
    }
    installed.pop("gahb")
    pinned = pins(ROOT)
    assert installed.keys() - pinned.keys() == set()
    assert {
        name: version
        for name, version in installed.items()
        if Version(version.public) != pinned[name]  # the CPU build of torch is 2.13.0+cpu
    } == {}


# ---------------------------------------------------------------------------------------------
# The checks notice what they are for


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


PLANTED = [
    # check, file, pattern, replacement, what the check must say
    (
        imports_and_dependencies,
        "src/gahb/randomness.py",
        r"\nimport hashlib\n",
        "\nimport hashlib\ndef later():\n    import skimage.data\n",
        "imports skimage, which pyproject.toml does not declare",
    ),
    (
        imports_and_dependencies,
        "src/gahb/randomness.py",
        r"\nimport hashlib\n",
        "\nimport hashlib\ndef later():\n    import rocrate\n",
        "imports rocrate outside provenance",
    ),
    (imports_and_dependencies, "pyproject.toml", r' +"h5py.*\n', "", "h5py.*not declare"),
    (imports_and_dependencies, "constraints.txt", r"h5py==.*\n", "", "h5py.*not pin"),
    (imports_and_dependencies, "workflow/envs/gahb.yaml", r" +- pytorch.*\n", "", "torch.*lacks"),
    (
        imports_and_dependencies,
        "workflow/envs/gahb.yaml",
        r"- numpy",
        "- scikit-image>=0.25\n  - numpy",
        "scikit-image.*never imports",
    ),
    (
        imports_and_dependencies,
        "pyproject.toml",
        r'"numpy>',
        '"scikit-image>=0.20", "numpy>',
        "scikit-image.*never imports",
    ),
    (versions, "constraints.txt", r"torch==.*", "torch==2.4.1", "torch>=2.5.*2.4.1"),
    (versions, "workflow/envs/gahb.yaml", r"pytorch>.*", "pytorch>=2.13", "torch >=2.13"),
    (versions, "workflow/envs/gahb.yaml", r"numpy>.*", "numpy", "numpy of any version"),
    (versions, "pyproject.toml", r'"snakemake.*?"', '"snakemake>=10"', "snakemake>=10"),
    (versions, "pyproject.toml", r'"torch.*?"', '"torch"', "no range for torch"),
    (versions, "constraints.txt", r"pytest==.*\n", "", "pytest.*not pin"),
    (constraints, "constraints.txt", r"(torch==.*)", r"\1+cpu", r"torch==.*\+cpu"),
    (constraints, "constraints.txt", r"numpy==.*", "numpy>=2", "numpy>=2"),
    (constraints, "constraints.txt", r"(numpy==.*)", r"\1\nNumPy==2.0", "numpy twice"),
    (constraints, "constraints.txt", r"pip==.*\n", "", "not pin pip"),
    (everything_installed_is_pinned, "constraints.txt", r"sympy==.*\n", "", "torch needs sympy"),
    (python_versions, "pyproject.toml", r'">=3.11"', '">=3.12"', "Makefile"),
    (python_versions, "workflow/envs/gahb.yaml", r"python>.*", "python>=3.12", "conda"),
    (python_versions, ".github/workflows/ci.yml", r'"3.11", ', "", "GitHub"),
    (entry_points, "Makefile", r" --constraint constraints.txt", "", "without constraints"),
    (entry_points, ".ci/run", r"make test", "pytest", "ci/run"),
    (entry_points, ".github/workflows/ci.yml", r"make lint", "ruff check", "job lint"),
    (entry_points, "constraints.txt", r"^", "--index-url https://example.org\n", "registry"),
    (
        entry_points,
        "workflow/envs/gahb.yaml",
        r"(- conda-forge)",
        r"\1\n  - nodefaults",
        "channels",
    ),
    (release, "src/gahb/version.py", r'"[\d.]+"', '"9.9"', "gahb.__version__ is"),
    (release, ".zenodo.json", r'"license": "MIT"', '"license": "GPL"', "zenodo.*license"),
    (entry_points, "Makefile", r"\tlint-imports\n|\t.*lint-imports\n", "", "lint-imports"),
    (release, "CITATION.cff", r"\nversion: .*", "\nversion: 9.9.0", "CITATION"),
]


@pytest.mark.parametrize(
    ("check", "file", "pattern", "replacement", "message"),
    PLANTED,
    ids=[f"{check.__name__}-{message}" for check, *_, message in PLANTED],
)
def test_a_disagreement_is_noticed(copy: Path, check, file, pattern, replacement, message):
    text = (copy / file).read_text()
    edited = re.sub(pattern, replacement, text, count=1)
    assert edited != text, "nothing was planted: the pattern no longer fits the file"
    (copy / file).write_text(edited)
    assert any(re.search(message, problem) for problem in check(copy))
