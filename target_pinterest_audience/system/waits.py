"""Says for whom a process waits, and how long at most: at once, and again each minute."""

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
    """A wait that is looked after in rounds."""

    def __init__(self, why: str, limit_seconds: float | None, *, setting: str = "", after_seconds: float = 0.0) -> None:
        """Begin to wait.

        Args:
            why: what is waited for, as a sentence, such as "another run has the list".
            limit_seconds: how long at most; None if that is not known.
            setting: the setting that says so, if one does.
            after_seconds: after how long it is worth a word.
        """
        self._why = why
        named = f" (`{setting}`)" if setting else ""
        self._limit = f"at most {limit_seconds:,.0f} s{named}" if limit_seconds is not None else "as long as it takes"
        self._began = time.monotonic()
        self._due = self._began + after_seconds
        self._said = False

    def say(self, who: Callable[[], object] = str) -> None:
        """Say what is waited for, if it is time to.

        Args:
            who: returns who has it; something false if that is not known.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY_SECONDS
        name = who()
        why = f"{self._why}: {name}" if name else self._why
        if self._said:
            _logger.warning("Still waiting, %.0f s so far and %s: %s.", now - self._began, self._limit, why)
        else:
            _logger.warning("%s. Waiting %s.", why[:1].upper() + why[1:], self._limit)
        self._said = True


@contextmanager
def waiting(why: str, limit_seconds: float | None, *, after_seconds: float = 0.0) -> Iterator[None]:
    """Say what the block waits for, from a thread of its own: the block is held up in one call. See `Wait`."""
    wait, done = Wait(why, limit_seconds, after_seconds=after_seconds), threading.Event()

    def keep_saying() -> None:
        pause = after_seconds
        while not done.wait(pause):
            wait.say()
            pause = EVERY_SECONDS

    threading.Thread(target=keep_saying, name="waits", daemon=True).start()
    try:
        yield
    finally:
        done.set()
