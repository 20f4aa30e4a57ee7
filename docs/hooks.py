"""Hook of MkDocs: pages and pictures that lie outside docs/, with links that hold in both places.

In the repository a link leads from file to file. On the site README.md is the home page, the results and
the other files stand beside the pages of docs/, and every link is rewritten to lead there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import gahb

ROOT = Path(__file__).parents[1]
OUTSIDE = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "params.yaml"),
    *("results/README.md", "results/figures/*.png", "workflow/presets/*.yaml"),
)
_LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")


def _on_site(path: str) -> str:
    """Where a file of the repository is on the site, as a path from the site's sources."""
    return "index.md" if path == "README.md" else path.removeprefix("docs/")


def _public(name: str) -> str:
    """An entry of the list of public names: a link to where a class or function is documented."""
    item = getattr(gahb, name)
    home = getattr(item, "__qualname__", None)
    return f"- `{name}`" if home is None else f"- [`{name}`][{item.__module__}.{home}]"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            place = _on_site(path.relative_to(ROOT).as_posix())
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links, which lead from where the page lies in the repository."""
    home = Path(page.file.abs_src_path).relative_to(ROOT).parent.as_posix()
    here = posixpath.dirname(page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        target = _on_site(posixpath.normpath(posixpath.join(home, link[2])))
        return link[1] + posixpath.relpath(target, here or ".")

    if "<!-- names -->" in markdown:
        markdown = markdown.replace("<!-- names -->", "\n".join(map(_public, gahb.__all__)))
    return _LINK.sub(rewritten, markdown)
