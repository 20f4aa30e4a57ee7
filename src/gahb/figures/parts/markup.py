"""The little markup of captions: text put into it, and taken out of it again."""

from __future__ import annotations

import re
from pathlib import Path


def escape(text: str) -> str:
    """Text that neither reStructuredText nor Jinja takes for markup."""
    return re.sub(r"([\\`*_|{}%#<>])", r"\\\1", " ".join(text.split()))


def unescaped(text: str) -> str:
    """The text that :func:`escape` was given, where no markup is known."""
    return re.sub(r"\\(.)", r"\1", text)


def headed(title: str) -> str:
    """The first line of a caption: its title, bold."""
    return f"**{escape(title)}**"


def taken_apart(caption: Path) -> tuple[str, list[str]]:
    """The title of a caption (``.rst``), still escaped, and the paragraphs and tables below it."""
    title, *blocks = re.split(r"\n{2,}", caption.read_text().strip())
    return title.removeprefix("**").removesuffix("**"), blocks
