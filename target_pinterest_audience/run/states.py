"""The gate for STATE: each one is held back until Pinterest has accepted everything before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple


class _Waiting(NamedTuple):
    state: Any
    line: int
    since: float


class StateGate:
    """Holds each STATE back until everything before it is delivered."""

    def __init__(self, write: Callable[[Any], None], clock: Callable[[], float], *, closed: bool = False) -> None:
        """Begin without STATE.

        Args:
            write: writes a STATE to standard output.
            clock: monotonic time in seconds.
            closed: whether to write no STATE before `open`.
        """
        self._write = write
        self._clock = clock
        self._closed = closed
        self._waiting: deque[_Waiting] = deque()

    def arrived(self, state: Any, line: int, newest_line: int | None) -> None:  # noqa: ANN401 - any JSON value
        """Hold a STATE.

        If nothing is to be delivered between the STATE before and this one, this one replaces it. So the number of held
        STATE is limited by the waiting batches, not by the stream.

        Args:
            state: the value of the STATE message.
            line: its line in the stream.
            newest_line: the newest line that was ever held on the watermark; None if none was.
        """
        since = self._clock()
        if self._waiting and (newest_line is None or newest_line < self._waiting[-1].line):
            since = self._waiting.pop().since
        self._waiting.append(_Waiting(state, line, since))

    def __len__(self) -> int:
        """Return how many STATE are held."""
        return len(self._waiting)

    def open(self) -> None:
        """Write STATE from now on."""
        self._closed = False

    def release(self, oldest_line: int | None) -> None:
        """Write the newest STATE before a line; it includes those before it.

        Args:
            oldest_line: the earliest line of the stream that is not delivered yet; None if everything is delivered.
        """
        covered = None
        if self._closed:
            return
        while self._waiting and (oldest_line is None or self._waiting[0].line < oldest_line):
            covered = self._waiting.popleft()
        if covered is not None:
            self._write(covered.state)

    def overdue(self, patience_seconds: float) -> int | None:
        """Return the line of the oldest STATE if it has waited for so long; None otherwise."""
        if self._waiting and not self._closed and self._clock() - self._waiting[0].since >= patience_seconds:
            return self._waiting[0].line
        return None
