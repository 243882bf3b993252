"""Reads the input: many complete lines at a time, from a pipe, a file or any iterable."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import stat
from collections.abc import Iterator
from typing import IO, Any, Final

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.records.long_lines import LONG_LINE_BYTES, check_length, check_values
from target_pinterest_audience.records.read_ahead import ReadAhead

TICK_SECONDS: Final = 0.5
"""How long a silent input is waited for before the run gets a turn."""

_BLOCK_BYTES: Final = 1 << 19
"""The approximate size of a block of lines. It fits into the processor's caches."""
_PIPE_BYTES: Final = 1 << 20
"""The requested capacity of a pipe."""
_MOST_WAITING: Final = 4
"""The largest number of blocks that are read ahead."""


def blocks_of(source: IO[Any]) -> Iterator[bytes | None]:
    """Yield blocks of complete lines, and None twice a second while the source is silent.

    Raises:
        StreamError: the source cannot be read.
        LineError: the line after those that were yielded is too long.
    """
    try:
        descriptor = source.fileno()
    except (AttributeError, io.UnsupportedOperation):
        for block in source:
            yield block.encode() if isinstance(block, str) else block
        return
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        # The operating system reads ahead in files; a thread would only take turns with this one at every block.
        yield from read_lines(descriptor)
        return
    _widen(descriptor)
    with ReadAhead(read_lines(descriptor), _MOST_WAITING, "stream-reader") as ahead:
        while not ahead.ended:
            yield joined_blocks(ahead)


def read_lines(descriptor: int) -> Iterator[bytes]:
    """Yield blocks of complete lines as they arrive.

    This reads the descriptor itself, because a buffered reader that waits for input cannot be closed when the process
    must exit.

    Raises:
        StreamError: the input cannot be read.
        LineError: the line after those that were yielded is too long.
    """
    # One buffer for all blocks: touching the pages of a new one costs as much as reading into them.
    buffer, filled = bytearray(), 0
    while True:
        buffer.extend(bytes(max(0, filled + _BLOCK_BYTES - len(buffer))))
        try:
            # Not more than a block, even if a long line has left more room.
            with memoryview(buffer)[filled : filled + _BLOCK_BYTES] as room:
                count = os.readv(descriptor, [room])
        except OSError as error:
            msg = f"The input cannot be read: {error.strerror}."
            raise StreamError(msg) from None
        if not count:
            break
        end = buffer.rfind(b"\n", filled, filled + count) + 1
        if filled > LONG_LINE_BYTES and end:
            check_values(buffer, buffer.index(b"\n", filled))
        filled += count
        if end:
            yield bytes(memoryview(buffer)[:end])
            buffer[: filled - end] = buffer[end:filled]
            filled -= end
        check_length(filled)
    if filled:
        check_values(buffer, filled)
        yield bytes(buffer[:filled])


def joined_blocks(ahead: ReadAhead[bytes]) -> bytes | None:
    """Return the lines that were read ahead, joined to about one block; None if none arrive for a moment.

    A pipe may give little at a time, and a block of a few lines costs as much as a block of many.
    """
    texts: list[bytes] = []
    text = ahead.get(TICK_SECONDS)
    while text is not None:
        texts.append(text)
        # Stop at half a block: the next piece may be a whole one.
        text = ahead.get_another() if 2 * sum(map(len, texts)) < _BLOCK_BYTES else None
    return b"".join(texts) if texts else None


def _widen(descriptor: int) -> None:
    """Let a pipe hold a whole block, where possible: each wake-up of its reader costs milliseconds."""
    # Only Linux can do this, and it limits the capacity that each user may have.
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
