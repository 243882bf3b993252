"""What SIGTERM and SIGINT do: end the run at once, but never in the middle of writing a STATE."""

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
"""How long leaving may take: a token may be under way that the next run needs, or whoever reads our standard output or
error may have stopped to. Meltano and container platforms kill after ten seconds."""


_WORDS_SECONDS: Final = 0.2


class Termination:
    """Turns a signal into `Terminated`, raised where the main thread is, be it inside a request."""

    def __init__(self) -> None:
        """Begin unshielded."""
        self._shields = 0
        self._counting = threading.Lock()
        self._signum: int | None = None
        self._arrived = False

    def arrived(self, signum: int) -> None:
        """Handle a signal; after the first, others change nothing: schedulers send SIGINT and SIGTERM in a row.

        Raises:
            Terminated: at once, or at the end of the block that is shielded.
        """
        if self._arrived:
            return
        self._arrived = True
        last_resort = threading.Timer(_GRACE_SECONDS, _give_up, (128 + signum,))
        last_resort.daemon = True
        last_resort.start()
        # Noted first: a shield may end, on another thread, before the next line.
        self._signum = signum
        if not self._shields:
            self._raise()

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Let a signal wait until the block is done.

        Raises:
            Terminated: a signal arrived meanwhile.
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
    """Let SIGTERM and SIGINT end the process in good order from now on."""
    termination = Termination()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: termination.arrived(signum))
    return termination


def _give_up(exit_code: int) -> None:
    """End the process, whatever its other threads wait for."""
    words = f"Stopped by a signal, and something took longer than {_GRACE_SECONDS:.0f} s to end: given up.\n"
    # A descriptor that nobody reads must not keep us either.
    threading.Thread(target=os.write, args=(2, words.encode()), daemon=True).start()
    time.sleep(_WORDS_SECONDS)
    os._exit(exit_code)


def leave(exit_code: int) -> NoReturn:
    """End the process with all that it said, and without waiting for its other threads.

    Args:
        exit_code: the process's; 1 in place of 0 if standard output does not take the last words.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    logging.shutdown()
    # Either may be closed, and then it is None, or whoever read it may be gone.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        exit_code = exit_code or 1
    os._exit(exit_code)
