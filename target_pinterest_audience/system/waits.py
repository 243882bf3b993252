"""Logs what a process waits for, and for how long at most: at once, and again each minute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

EVERY_SECONDS: Final = 60.0

_logger: Final = logging.getLogger("target-pinterest-audience")


class Wait:
    """A wait in a loop of short polls, each of which calls `log`."""

    def __init__(self, why: str, limit_seconds: float | None, *, setting: str = "", after_seconds: float = 0.0) -> None:
        """Start the wait.

        Args:
            why: what the process waits for, as a sentence, such as "another run has the list".
            limit_seconds: how long it waits at most; None if that is not known.
            setting: the setting that sets the limit, if one does.
            after_seconds: how long to wait before the first log line.
        """
        self._why = why
        named = f" (`{setting}`)" if setting else ""
        self._limit = f"at most {limit_seconds:,.0f} s{named}" if limit_seconds is not None else "as long as it takes"
        self._began = time.monotonic()
        self._due = self._began + after_seconds
        self._is_logged = False

    def log(self, holder: Callable[[], object] = str) -> None:
        """Log what the process waits for, if a line is due.

        Args:
            holder: returns who holds the lock; something false if that is not known.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY_SECONDS
        name = holder()
        why = f"{self._why}: {name}" if name else self._why
        if self._is_logged:
            _logger.warning("Still waiting, %.0f s so far and %s: %s.", now - self._began, self._limit, why)
        else:
            _logger.warning("%s. Waiting %s.", why[:1].upper() + why[1:], self._limit)
        self._is_logged = True


@contextmanager
def waiting(why: str, limit_seconds: float | None, *, after_seconds: float = 0.0) -> Iterator[None]:
    """Log what a blocking call waits for, from another thread.

    Args:
        why: what the process waits for, as a sentence.
        limit_seconds: how long it waits at most; None if that is not known.
        after_seconds: how long to wait before the first log line.
    """
    wait, done = Wait(why, limit_seconds, after_seconds=after_seconds), threading.Event()

    def keep_logging() -> None:
        pause = after_seconds
        while not done.wait(pause):
            wait.log()
            pause = EVERY_SECONDS

    threading.Thread(target=keep_logging, name="waits", daemon=True).start()
    try:
        yield
    finally:
        done.set()
