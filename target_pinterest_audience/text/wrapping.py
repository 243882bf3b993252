"""Sentences on a terminal: lines end between words, so that no id, path or command is cut in two."""

from __future__ import annotations

import re
import shutil
import unicodedata
from typing import Final, TextIO

_MARGIN: Final = re.compile(r" *(?:[-✓!✗] )?")
"""What later lines of a paragraph are indented by: blanks, and the mark of an item."""


def fitted(text: str, stream: TextIO, *, room: int = 0) -> str:
    """Return a text with line breaks where a terminal needs them; elsewhere as it is, on one line.

    Args:
        text: the text.
        stream: where it is printed.
        room: how many characters to leave free on each line.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns - room
    return "\n".join(wrapped(line, width) for line in text.split("\n"))


def wrapped(text: str, width: int) -> str:
    """Return a line, broken at blanks. A word that is wider than the terminal stays whole.

    Args:
        text: the line.
        width: the width of the terminal.
    """
    found = _MARGIN.match(text)
    margin = found[0] if found is not None else ""
    line, *words = text[len(margin) :].split(" ")
    line = margin + line
    lines = []
    for word in words:
        if _cells(line) + 1 + _cells(word) <= width:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = " " * len(margin) + word
    return "\n".join([*lines, line])


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )
