"""Latencies and delays of calls, which end early when the faults are cleared or the emulator stops."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Waits:
    """The waits of all calls."""

    def __init__(self) -> None:
        """Begin with none."""
        self._changed = threading.Condition()
        self._ended = 0

    def wait(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        """Wait on behalf of a call, until `end` at the latest.

        Args:
            seconds: how long, in real time.
            is_stopped: returns whether there is no point in waiting.
        """
        with self._changed:
            ended = self._ended
            self._changed.wait_for(lambda: ended != self._ended or is_stopped(), seconds)

    def end(self) -> None:
        """End all waits that are under way; later ones are not affected."""
        with self._changed:
            self._ended += 1
            self._changed.notify_all()
