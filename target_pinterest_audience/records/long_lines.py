"""How long a line of JSON may be: a small compressed file, or a broken tap, can make one that fills memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from target_pinterest_audience.text.counts import several

MOST_LINE_BYTES: Final = 64 << 20
LONG_LINE_BYTES: Final = 1 << 20
"""From here on the values of a line are counted."""
_MOST_VALUES: Final = 4_000_000
"""A value of two bytes takes some seventy when it is decoded."""


class LineError(Exception):
    """A line is too long. The message is the end of a sentence about the line."""


def check_length(size: int) -> None:
    """Check how long a line is, as far as it has come.

    Raises:
        LineError: it is too long.
    """
    if size > MOST_LINE_BYTES:
        msg = f"is longer than {MOST_LINE_BYTES >> 20} MB"
        raise LineError(msg)


def check_values(text: bytes | bytearray, end: int) -> None:
    """Check how many values the first line of a text has.

    Args:
        text: the text.
        end: where its first line ends.

    Raises:
        LineError: it has too many.
    """
    if end > LONG_LINE_BYTES and text.count(b",", 0, end) > _MOST_VALUES:
        msg = f"has more than {several(_MOST_VALUES, 'value', 'values')}"
        raise LineError(msg)


def whole_lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield whole lines, about as many at a time as a reader returns.

    Args:
        read: returns what comes next, and nothing at the end.

    Raises:
        LineError: a line is too long.
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
