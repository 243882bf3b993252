"""Brings files of `examples/` into pages, so that each is written once.

A comment above a block names the file that the block shows: `<!-- examples/cron/pinterest -->`.
"""

from __future__ import annotations

import re
from typing import Final

from docgen.about import REPOSITORY

_SHOWN: Final = re.compile(r"^(<!-- (examples/\S+) -->\n```[^\n]*\n)(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown_files(page: str) -> list[str]:
    """Return the files that a page shows, relative to the repository."""
    return [found[2] for found in _SHOWN.finditer(page)]


def with_files(page: str) -> str:
    """Return a page whose blocks show the files as they are."""
    return _SHOWN.sub(lambda found: f"{found[1]}{_text_of(found[2])}```", page)


def _text_of(file: str) -> str:
    return (REPOSITORY / file).read_text(encoding="utf-8")
