"""Parses pages: fenced blocks, and the comments that say how to run their examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docgen.about import PAGES

_OPENING: Final = re.compile(r"^(?P<indent> *)```(?P<language>\w+)(?P<rest>.*)$")
_TITLE: Final = re.compile(r'title="([^"]+)"')
_DIRECTIVE: Final = re.compile(r"^<!-- (?P<name>run|setup|fault)(?:: (?P<value>.*))? -->$")


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


@dataclass(frozen=True, slots=True)
class Directive:
    """A comment in a page, which readers do not see.

    Attributes:
        name: `setup` for a command that the page does not show, `fault` for a fault of the emulator.
        value: the command, or the fault as JSON.
    """

    name: str
    value: str


def parse(page: str) -> Iterator[Fence | Directive]:
    """Yield the fenced blocks and directives of a page, in order."""
    lines = page.splitlines()
    at, run = 0, False
    while at < len(lines):
        directive = _DIRECTIVE.match(lines[at])
        opening = _OPENING.match(lines[at])
        at += 1
        if directive and directive["name"] == "run":
            run = True
        elif directive:
            yield Directive(directive["name"], directive["value"] or "")
        elif opening:
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


def has_transcripts(page: str) -> bool:
    """Return whether a page has a transcript."""
    return any(isinstance(part, Fence) and part.run for part in parse(page))
