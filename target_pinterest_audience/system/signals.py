"""SIGTERM and SIGINT end the run at once, but never in the middle of writing a STATE."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final, NoReturn

from target_pinterest_audience.errors import Terminated

_GRACE_SECONDS: Final = 8.0
"""How long the process may take to end: it may wait for a token that the next run needs, or for a reader of its output
that has stopped reading. Meltano and container platforms kill after ten seconds."""

_LAST_LINE_SECONDS: Final = 0.2
"""How long the last line on standard error may take."""


class Termination:
    """Turns a signal into `Terminated`, raised wherever the main thread is, even inside a request."""

    def __init__(self) -> None:
        """Create it without a shield."""
        self._shields = 0
        self._counting = threading.Lock()
        self._signum: int | None = None
        self._is_terminating = False

    def handle(self, signum: int) -> None:
        """Handle a signal. Only the first one counts: schedulers send SIGINT and SIGTERM in a row.

        Raises:
            Terminated: no block is shielded; else the end of the shielded block raises it.
        """
        if self._is_terminating:
            return
        self._is_terminating = True
        last_resort = threading.Timer(_GRACE_SECONDS, _give_up, (128 + signum,))
        last_resort.daemon = True
        last_resort.start()
        # Set first: a shield may end, on another thread, before the next line.
        self._signum = signum
        if not self._shields:
            self._raise()

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Delay signals until the block ends.

        Raises:
            Terminated: a signal arrived during the block.
        """
        with self._counting:
            self._shields += 1
        try:
            yield
        finally:
            with self._counting:
                self._shields -= 1
        if self._signum is not None and not self._shields:
            self._raise()

    def _raise(self) -> None:
        signum, self._signum = self._signum, None
        if signum is not None:
            raise Terminated(signum)


def obey_signals() -> Termination:
    """Make SIGTERM and SIGINT raise `Terminated` from now on."""
    termination = Termination()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: termination.handle(signum))
    return termination


def _give_up(exit_code: int) -> None:
    """End the process, whatever its threads are waiting for."""
    line = f"Stopped by a signal. A part of the program did not end within {_GRACE_SECONDS:.0f} s and was abandoned.\n"
    # On a thread: writing blocks if nothing reads standard error.
    threading.Thread(target=os.write, args=(2, line.encode()), daemon=True).start()
    time.sleep(_LAST_LINE_SECONDS)
    os._exit(exit_code)


def leave(exit_code: int) -> NoReturn:
    """Flush all output and end the process, without waiting for its other threads.

    Args:
        exit_code: the exit code; 0 becomes 1 if standard output cannot be flushed.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    logging.shutdown()
    # Either stream may be closed, and is None then, or its reader may have ended.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        exit_code = exit_code or 1
    os._exit(exit_code)
