"""Parses pages: fenced blocks, and the comment that says which of them are run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docgen.about import PAGES, REPOSITORY

_OPENING: Final = re.compile(r"^(?P<indent> *)```(?P<language>\w+)(?P<rest>.*)$")
_TITLE: Final = re.compile(r'title="([^"]+)"')
_RUN: Final = "<!-- run -->"


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block.

    Attributes:
        language: what follows the three backticks.
        title: the name of the file that it shows; None if it shows none.
        lines: its content.
        first: the index, in the page's lines, of the first line of its content.
        run: whether it is a transcript: commands after `$ `, each followed by its output.
    """

    language: str
    title: str | None
    lines: tuple[str, ...]
    first: int
    run: bool

    @property
    def text(self) -> str:
        """Its content as the text of a file."""
        return "".join(f"{line}\n" for line in self.lines)


def parse(page: str) -> Iterator[Fence]:
    """Yield the fenced blocks of a page, in order."""
    lines = page.splitlines()
    at, run = 0, False
    while at < len(lines):
        run = run or lines[at] == _RUN
        opening = _OPENING.match(lines[at])
        at += 1
        if opening:
            indent = len(opening["indent"])
            first = at
            while lines[at].strip() != "```":
                at += 1
            title = _TITLE.search(opening["rest"])
            content = tuple(line[indent:] for line in lines[first:at])
            yield Fence(opening["language"], title[1] if title else None, content, first, run)
            at, run = at + 1, False


def all_pages() -> list[Path]:
    """Return the pages of the documentation."""
    return sorted(PAGES.rglob("*.md"))


def pages_in_order() -> list[Path]:
    """Return the pages in the order in which the site's navigation lists them."""
    navigation = (REPOSITORY / "zensical.toml").read_text(encoding="utf-8")
    return [PAGES / name for name in re.findall(r'"([\w/-]+\.md)"', navigation)]


def has_transcripts(page: str) -> bool:
    """Return whether a page has a transcript."""
    return any(fence.run for fence in parse(page))
