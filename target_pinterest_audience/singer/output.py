"""What a run writes while it goes on: STATE on standard output, and a progress line on a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.json import serialize_json

from target_pinterest_audience.errors import OutputError
from target_pinterest_audience.reporting.progress import on_terminal

if TYPE_CHECKING:
    from target_pinterest_audience.reporting.progress import Progress, Snapshot


class Output:
    """Writes STATE to standard output, and shows progress if standard error is a terminal."""

    def __init__(self, logger: logging.Logger, shield: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Prepare. No progress is shown yet.

        Args:
            logger: the run's logger, whose level decides whether progress is shown.
            shield: delays signals while a STATE is written.
        """
        self._logger = logger
        self._shield = shield
        self._progress: Progress | None = None

    def show_progress(self, look: Callable[[], Snapshot]) -> None:
        """Show a progress line.

        Args:
            look: returns the progress of the run. It is called on another thread.
        """
        self._progress = on_terminal(look, self._logger)
        if self._progress is not None:
            self._progress.start()

    def hide_progress(self) -> None:
        """Remove the progress line."""
        if self._progress is not None:
            self._progress.stop()

    def write_state(self, state: Any) -> None:  # noqa: ANN401 - any JSON value
        """Write a STATE to standard output.

        Raises:
            OutputError: standard output is closed or full.
        """
        aside: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if self._progress is not None and sys.stdout.isatty():
            aside = self._progress.aside()
        with self._shield(), aside:
            write_line(serialize_json(state))


def write_line(text: str) -> None:
    """Write a complete line to standard output.

    This writes to the descriptor itself, because an unbuffered standard output (`PYTHONUNBUFFERED`) silently truncates
    a long line when a signal arrives.

    Raises:
        OutputError: standard output is closed or full.
    """
    try:
        if sys.stdout is None:
            raise BrokenPipeError
        sys.stdout.flush()
        _write_all(text + "\n")
    except OSError as error:
        msg = (
            f"STATE cannot be written: standard output is closed or full ({error.strerror or 'closed'}). Check the "
            "program that reads it. Rows that were delivered stay; the next run sends them again."
        )
        raise OutputError(msg) from None


def _write_all(text: str) -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError):
        # Another object, without a descriptor, takes the place of standard output, as in tests.
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    rest = memoryview(text.encode())
    while rest:
        rest = rest[os.write(descriptor, rest) :]
