"""A progress line at the bottom of an interactive terminal. Not shown when standard error is not a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from rich.console import Console

_PER_SECOND: Final = 4
_RECENT_SECONDS: Final = 5.0
"""The rate is the average over this many seconds."""
_LEAST_SHARE: Final = 0.02
"""With less than this share read, the remaining time would be a guess, so it is not shown."""


class Snapshot(NamedTuple):
    """How far a run is.

    Attributes:
        rows: rows that were read.
        share: which share of the stream that is; 1 at its end; None if the size of the stream is not known.
        requests: requests that Pinterest accepted.
        identities: identities in these requests.
        under_way: identities in the current requests, and in those that wait for them.
        waiting_seconds: how long the next request waits for Pinterest's rate limit; 0 if it does not wait.
    """

    rows: int
    share: float | None
    requests: int
    identities: int
    under_way: int
    waiting_seconds: float


def progress_line(now: Snapshot, elapsed: float, rate: float) -> str:
    """Return the text of the line.

    Args:
        now: how far the run is.
        elapsed: seconds since it began.
        rate: rows per second.
    """
    parts = [several(now.rows, "row", "rows"), f"{rate:,.0f}/s"]
    if now.requests or now.under_way:
        parts.append(f"{now.identities:,} sent in {several(now.requests, 'request', 'requests')}")
    if now.under_way:
        parts.append(f"{now.under_way:,} on their way")
    if now.waiting_seconds > 0:
        parts.append(f"waiting {now.waiting_seconds:,.0f} s for Pinterest's rate limit")
    if now.share is not None and _LEAST_SHARE <= now.share < 1:
        parts.append(f"{now.share:.0%} read, about {_length(elapsed / now.share - elapsed)} to go")
    elif now.share is not None and now.share >= 1:
        parts.append("all read")
    return ", ".join(parts)


def _length(seconds: float) -> str:
    """Return a duration, rounded as an estimate should be."""
    if seconds < 90:  # noqa: PLR2004 - a minute and a half
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - an hour and a half


class Progress:
    """Shows the progress line from `start` to `stop`. Log lines appear above it."""

    def __init__(self, look: Callable[[], Snapshot], console: Console, clock: Callable[[], float]) -> None:
        """Prepare the line; nothing is shown yet.

        Args:
            look: returns how far the run is; called on a thread of its own.
            console: the terminal.
            clock: monotonic time in seconds.
        """
        from rich.live import Live  # noqa: PLC0415 - only a run with a terminal pays for the import

        self._look = look
        self._console = console
        self._clock = clock
        self._began = clock()
        self._recent: deque[tuple[float, int]] = deque()
        # `start` redirects the log handlers line by line: the redirection of rich would break long lines in two.
        self._live = Live(
            console=console, get_renderable=self._line, refresh_per_second=_PER_SECOND, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._handlers: list[logging.StreamHandler[Any]] = []

    def start(self) -> None:
        """Show the line."""
        self._handlers = list(_handlers_of(self._console.file))
        for handler in self._handlers:
            handler.setStream(_Above(self._console))
        self._live.start()

    def stop(self) -> None:
        """Remove the line."""
        self._live.stop()
        for handler in self._handlers:
            handler.setStream(self._console.file)
        self._handlers.clear()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Hide the line while the block writes something else to the same terminal."""
        self._live.stop()
        yield
        self._live.start()

    def _line(self) -> Any:  # noqa: ANN401 - rich is not imported at the top
        from rich.text import Text  # noqa: PLC0415 - only a run with a terminal pays for the import

        now, at = self._look(), self._clock()
        self._recent.append((at, now.rows))
        while len(self._recent) > 1 and at - self._recent[0][0] > _RECENT_SECONDS:
            self._recent.popleft()
        since, before = self._recent[0]
        rate = (now.rows - before) / (at - since) if at > since else 0.0
        return Text(progress_line(now, at - self._began, rate), no_wrap=True, overflow="ellipsis")


class _Above:
    """A file that prints lines above the progress line, unchanged."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, lines: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - only a run with a terminal pays for the import

        self._console.print(Text(lines.removesuffix("\n")), soft_wrap=True)

    def flush(self) -> None:
        """Do nothing: the console flushes by itself."""


def on_terminal(look: Callable[[], Snapshot], logger: logging.Logger) -> Progress | None:
    """Return a progress line on standard error; None if that is no terminal, or if the log level hides the summary.

    Args:
        look: returns how far the run is; called on a thread of its own.
        logger: the run's.
    """
    if not sys.stderr.isatty() or not logger.isEnabledFor(logging.INFO):
        return None
    from rich.console import Console  # noqa: PLC0415 - only a run with a terminal pays for the import

    console = Console(file=sys.stderr)
    return Progress(look, console, time.monotonic) if console.is_terminal and not console.is_dumb_terminal else None


def share_of_file(file: IO[Any] | None) -> float | None:
    """Return which share of a file was read; None if there is no file, or if it is a pipe or empty."""
    if file is None:
        return None
    try:
        descriptor = file.fileno()
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        return min(1.0, os.lseek(descriptor, 0, os.SEEK_CUR) / status.st_size)
    except (OSError, ValueError):
        return None


def _handlers_of(file: object) -> Iterator[logging.StreamHandler[Any]]:
    """Yield the log handlers that write to a file."""
    for logger in (logging.getLogger(), *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", []):
            if isinstance(handler, logging.StreamHandler) and handler.stream is file:
                yield handler
