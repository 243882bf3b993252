"""The picture of the demo: a terminal in which the parts of `pinterest-audience demo` appear one after the other.

It is made from the transcript in `docs/demo.md`, which a test compares with the program. The picture has no script and
loads nothing. Where animations are off, all of it is there at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from docgen.fences import parse

_COMMAND: Final = "make demo"
_COLUMNS: Final = 88
_WIDTH: Final = 8.0
_HEIGHT: Final = 19
_MARGIN: Final = 20
_BAR: Final = 34
_SECONDS: Final = 1.6
"""How long after a part the next one appears."""

_CHOSEN: Final = (
    "1. ",
    '   line 18: {"email":',
    '   line 28: {"email":',
    "2. ",
    '   Created customer list "customers"',
    "   customers: 2,000 rows, 10 of them marked as deleted;",
    "   customers: rejected: 41 in column email:",
    '   customer list "customers" (id',
    "3. ",
    "   The records of the first request:",
    "   Requests that contain a plain address: 0",
    "4. ",
    "   Customer 1 has a new address:",
    "   Customer 2 was deleted;",
    "   PATCH: REMOVE 3",
    "   PATCH: ADD 1",
    "5. ",
    '   customer list "customers", id',
    '   audience "customers", id',
)
"""The beginnings of the lines that the picture shows, in order: the whole transcript would be 1,100 pixels high."""

_CUT: Final = ("   line ", "   The records ")
"""Lines of data, which are cut at the edge; others are wrapped, and titles shortened."""

_STYLE: Final = """
 text { font: 13.3px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; fill: #c9d1d9; }
 .title { font-weight: 700; fill: #ffffff; } .command { fill: #7ee787; } .bar { fill: #8b949e; }
 @keyframes appear { from { opacity: 0; } to { opacity: 1; } }
 @media (prefers-reduced-motion: no-preference) { .part { animation: appear .4s ease-out backwards; } }
"""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    kind: str
    part: int


def recording(page: str) -> str:
    """Return the picture as SVG.

    Args:
        page: the page with the demo's transcript.

    Raises:
        ValueError: the transcript lacks a line that the picture shows.
    """
    (transcript,) = [fence for fence in parse(page) if fence.run]
    lines = [_Line(f"$ {_COMMAND}", "command", 0), *_wrapped(_chosen(transcript.lines))]
    width = round(_COLUMNS * _WIDTH + 2 * _MARGIN)
    height = _BAR + len(lines) * _HEIGHT + 6 * _HEIGHT // 2 + _MARGIN
    frame = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>A terminal: the rows of a table become a customer list and an audience; later, only changes are sent.</title>
<style>{_STYLE}</style>
<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>
<path d="M0 {_BAR} V10 A10 10 0 0 1 10 0 H{width - 10} A10 10 0 0 1 {width} 10 V{_BAR} Z" fill="#21262d"/>
<circle cx="20" cy="17" r="5" fill="#484f58"/><circle cx="38" cy="17" r="5" fill="#484f58"/>
<circle cx="56" cy="17" r="5" fill="#484f58"/>
<text class="bar" x="{width / 2}" y="22" text-anchor="middle">target-pinterest-audience</text>
"""
    return frame + "\n".join(_drawn(lines)) + "\n</svg>\n"


def _chosen(lines: Iterable[str]) -> Iterator[str]:
    remaining = iter(lines)
    for beginning in _CHOSEN:
        line = next((each for each in remaining if each.startswith(beginning)), None)
        if line is None:
            msg = f"The demo's transcript has no line that begins with {beginning!r} where the picture shows one."
            raise ValueError(msg)
        yield line


def _wrapped(lines: Iterable[str]) -> Iterator[_Line]:
    part = 0
    for line in lines:
        title = not line.startswith(" ")
        part += title
        if line.startswith(_CUT) and len(line) > _COLUMNS:
            pieces = [line[: _COLUMNS - 1] + "…"]
        elif title and len(line) > _COLUMNS:
            pieces = [_shortened(line)]
        else:
            pieces = textwrap.wrap(line, _COLUMNS, subsequent_indent=" " * 5)
        yield from (_Line(piece, "title" if title else "line", part) for piece in pieces)


def _shortened(title: str) -> str:
    """Return a title without its parenthesis, and without as many of its last clauses as do not fit."""
    title = title.partition(" (")[0]
    while len(title) > _COLUMNS and ", " in title:
        title = title.rpartition(", ")[0]
    return title


def _drawn(lines: Iterable[_Line]) -> Iterator[str]:
    """Yield a group for each part; an empty half line is above each."""
    y, part = _BAR + _HEIGHT / 2, -1
    for line in lines:
        if line.part != part:
            y += _HEIGHT / 2 if line.part else 0
            yield ("</g>\n" if part >= 0 else "") + f'<g class="part" style="animation-delay: {line.part * _SECONDS}s">'
            part = line.part
        y += _HEIGHT
        # The width of each line is given, since fonts differ; `xml:space` keeps its blanks.
        indent = len(line.text) - len(line.text.lstrip())
        text = line.text.lstrip()
        yield (
            f'<text class="{line.kind}" x="{_MARGIN + indent * _WIDTH}" y="{round(y - 5)}" xml:space="preserve" '
            f'textLength="{len(text) * _WIDTH}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
        )
    yield "</g>"
