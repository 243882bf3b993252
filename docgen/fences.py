"""What the pages hold besides prose: fenced blocks, and comments that tell how their examples are run."""

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
        title: the name of the file that it shows, if it shows one.
        lines: its content.
        first: the index, in the page's lines, of the first line of its content.
        run: whether it is a transcript: commands behind `$ `, each followed by what it prints.
    """

    language: str
    title: str | None
    lines: tuple[str, ...]
    first: int
    run: bool

    @property
    def text(self) -> str:
        """Its content as a file would have it."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Directive:
    """A comment that a reader of the page does not see.

    Attributes:
        name: `setup` for a command that is not shown, `fault` for something that goes wrong at the emulator.
        value: the command, or the fault as JSON.
    """

    name: str
    value: str


def parse(page: str) -> Iterator[Fence | Directive]:
    """Yield the fenced blocks and directives of a page in their order."""
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
    """Tell whether a page shows what commands print."""
    return any(isinstance(part, Fence) and part.run for part in parse(page))
