"""Limits for lines of JSON: a small compressed file or a broken tap can write one that fills the memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from target_pinterest_audience.text.counts import several

MOST_LINE_BYTES: Final = 64 << 20
LONG_LINE_BYTES: Final = 1 << 20
"""The values of longer lines are counted."""
_MOST_VALUES: Final = 4_000_000
"""A value of two bytes takes about seventy when it is decoded."""


class LineError(Exception):
    """A line is too long. The message is a predicate whose subject is the line."""


def check_length(size: int) -> None:
    """Check the length of a line, or of the part of it that has arrived.

    Raises:
        LineError: the line is too long.
    """
    if size > MOST_LINE_BYTES:
        msg = f"is longer than {MOST_LINE_BYTES >> 20} MB"
        raise LineError(msg)


def check_values(text: bytes | bytearray, end: int) -> None:
    """Check the number of values in the first line of a text.

    Args:
        text: the text.
        end: the end of its first line.

    Raises:
        LineError: the line has too many values.
    """
    if end > LONG_LINE_BYTES and text.count(b",", 0, end) > _MOST_VALUES:
        msg = f"has more than {several(_MOST_VALUES, 'value', 'values')}"
        raise LineError(msg)


def whole_lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield blocks of complete lines, each about as large as the pieces that `read` returns.

    Args:
        read: returns the next piece, which is empty at the end.

    Raises:
        LineError: a line is too long, or has too many values.
    """
    begun: list[bytes] = []
    size = 0
    while piece := read():
        end = piece.rfind(b"\n") + 1
        if end:
            text = b"".join([*begun, piece[:end]])
            check_values(text, text.index(b"\n"))
            yield text
            begun, size, piece = [], 0, piece[end:]
        if piece:
            begun.append(piece)
            size += len(piece)
            check_length(size)
    if begun:
        text = b"".join(begun)
        check_values(text, len(text))
        yield text
