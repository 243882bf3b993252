"""Where STATE leaves: held back until Pinterest has accepted everything that came before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple


class _Waiting(NamedTuple):
    state: Any
    line: int
    since: float


class StateGate:
    """Holds each STATE back until nothing from before it is left to deliver."""

    def __init__(self, write: Callable[[Any], None], clock: Callable[[], float], *, closed: bool = False) -> None:
        """Keep the two edges of the process that the gate needs.

        Args:
            write: hands a STATE to whoever runs the target.
            clock: seconds that only ever grow, to tell how long a STATE has waited.
            closed: whether nothing leaves before `open`.
        """
        self._write = write
        self._clock = clock
        self._closed = closed
        self._waiting: deque[_Waiting] = deque()

    def arrived(self, state: Any, line: int, newest_line: int | None) -> None:  # noqa: ANN401 - any JSON value
        """Take in a STATE message's value.

        A STATE that no delivery can tell from the one before takes its place, so that what waits is bounded by the
        batches that wait, and not by the stream.

        Args:
            state: the value.
            line: the line of the stream that it came on.
            newest_line: the last of the lines that the waiting batches begin with; None if none waits.
        """
        since = self._clock()
        if self._waiting and (newest_line is None or newest_line < self._waiting[-1].line):
            since = self._waiting.pop().since
        self._waiting.append(_Waiting(state, line, since))

    def open(self) -> None:
        """Let STATE leave from now on."""
        self._closed = False

    def release(self, oldest_line: int | None) -> None:
        """Write the newest STATE that is covered; it speaks for those before it.

        Args:
            oldest_line: the earliest line of the stream that is not delivered yet; None if everything is.
        """
        covered = None
        if self._closed:
            return
        while self._waiting and (oldest_line is None or self._waiting[0].line < oldest_line):
            covered = self._waiting.popleft()
        if covered is not None:
            self._write(covered.state)

    def overdue(self, patience_seconds: float) -> int | None:
        """Return the line of the oldest STATE if it has waited for so long, else None."""
        if self._waiting and not self._closed and self._clock() - self._waiting[0].since >= patience_seconds:
            return self._waiting[0].line
        return None
