"""Standard output, where STATE leaves: whole lines or an error that says that nobody takes them."""

from __future__ import annotations

import os
import sys

from target_pinterest_audience.errors import OutputError


def write_line(text: str) -> None:
    """Write a line to standard output, all of it.

    The descriptor is written to directly: an unbuffered standard output (`PYTHONUNBUFFERED`) cuts a long line off
    without a word when a signal arrives.

    Raises:
        OutputError: standard output is closed, or what it leads to takes no more.
    """
    try:
        if sys.stdout is None:
            raise BrokenPipeError
        sys.stdout.flush()
        _write_all(text + "\n")
    except OSError as error:
        msg = (
            f"STATE cannot be handed over: standard output is closed or full ({error.strerror or 'closed'}). Look at "
            "what runs the target. What was delivered stays; the next run sends it again."
        )
        raise OutputError(msg) from None


def _write_all(text: str) -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError):
        # Somebody has put another object in its place, as tests do.
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    rest = memoryview(text.encode())
    while rest:
        rest = rest[os.write(descriptor, rest) :]
