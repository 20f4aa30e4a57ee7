"""The pages say what is true: links lead somewhere, examples run, and what is named exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.published_files import publish

import gahb.samples.store
import gahb.spectra.store
from gahb.denoisers.published import convert_published
from gahb.hdf5 import schema_table

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return _BLOCK.sub("", page.read_text())


def examples(page: str) -> list[str]:
    """The Python examples of a page."""
    blocks = _BLOCK.findall((ROOT / page).read_text())
    return [code for language, code in blocks if language == "python"]


def run(page: str) -> dict[str, Any]:
    """What the Python examples of a page leave behind."""
    names: dict[str, Any] = {}
    for code in examples(page):
        exec(compile(code, page, "exec"), names)
    return names


def test_the_readme_is_one_page_with_one_figure():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 130
    assert len(re.findall(r"!\[", readme)) == 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if anchor else []
        anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
        assert not anchor or anchor in anchors, link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_and_path_that_is_named_exists(page: Path):
    text = prose(page)
    for name in set(re.findall(r"`(gahb(?:\.\w+)+)`", text)):
        home, _, last = name.rpartition(".")
        if not hasattr(import_module(home), last):
            import_module(name)
    folders = "src|workflow|benchmarks|profiles|tests"
    for path in re.findall(rf"`(?:python )?((?:{folders})/[\w./-]+)[ `]", text):
        assert (ROOT / path).exists(), path


def test_the_example_of_the_readme_runs_and_has_ten_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    (example,) = examples("README.md")
    assert len([line for line in example.splitlines() if line]) <= 10
    names = run("README.md")
    assert tuple(names["eigenvalues"].shape) == (20,)
    assert tuple(names["eigenvectors"].shape) == (20, 1, 32, 32)
    assert (tmp_path / "basis.png").exists()


def test_the_example_of_the_library_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert tuple(run("docs/library.md")["samples"].shape) == (4, 1, 16, 16)
    assert (tmp_path / "psnr.png").exists()


def test_the_examples_of_samples_and_references_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    publish(tmp_path / "model.pt", {"network": "unet", "blocks": 1, "channels": 4}, seed=0)
    convert_published(tmp_path / "model.pt", tmp_path / "faces.safetensors")
    monkeypatch.chdir(tmp_path)
    assert tuple(run("docs/diffusion.md")["samples"].shape) == (8, 1, 16, 16)
    made = run("docs/denoisers.md")
    assert type(made["posterior"]).__name__ == "DiskPosterior"
    assert made["denoised"].shape == (1, 1, 80, 80)
    assert made["provenance"]["spec"]["architecture"]["network"] == "unet"


@pytest.mark.parametrize(
    ("page", "schema"),
    [
        ("docs/spectra.md", gahb.spectra.store.SCHEMA),
        ("docs/diffusion.md", gahb.samples.store.SCHEMA),
    ],
)
def test_the_table_of_a_file_is_its_schema(page: str, schema: Any):
    expected = schema_table(schema)
    assert expected in (ROOT / page).read_text(), f"{page} should hold\n{expected}"


def test_the_site_has_every_page():
    def leaves(nav: Any) -> list[str]:
        if isinstance(nav, str):
            return [nav]
        items = nav.values() if isinstance(nav, dict) else nav
        return [leaf for item in items for leaf in leaves(item)]

    docs = ROOT / "docs"
    pages = (path for kind in ("*.md", "*.ipynb") for path in docs.rglob(kind))
    there = {path.relative_to(docs).as_posix() for path in pages}
    outside = {"index.md", "results/README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
    assert set(leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])) == there | outside


def test_every_version_is_the_same():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == gahb.__version__
    assert f"## {gahb.__version__}" in (ROOT / "CHANGELOG.md").read_text()
