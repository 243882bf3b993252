"""The earliest and the latest line of the stream at which something waits, found quickly among thousands of lists."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from typing import Final

_SLACK: Final = 64
"""How many entries that count no more may be kept before they are cleared away."""


class Watermark:
    """Keeps the lines at which lists wait in heaps, so that a look does not go through all lists.

    An entry may be out of date; it is held against the list when it comes to the top. There is always one that is as
    early as the earliest line of its list, whenever a signal ends the run: so nothing that waits is overlooked.
    """

    def __init__(self, lines_of: Callable[[int], Collection[int]]) -> None:
        """Begin with nothing that waits.

        Args:
            lines_of: returns the lines at which a list waits, by the number of the list; a few at most.
        """
        self._lines_of = lines_of
        self._earliest: list[tuple[int, int]] = []
        """Line and list."""
        self._noted: dict[int, int] = {}
        """List → the line of its earliest entry, or an earlier one."""
        self._latest: list[tuple[int, int]] = []
        """Line, negated, and list."""
        self._ends: dict[int, int] = {}
        """List → the line of its entry there that counts."""
        self._changed: set[int] = set()
        """The lists that may wait at a later line than that."""

    def note(self, number: int, line: int) -> None:
        """Note that a list is about to wait at a line; called before it does."""
        noted = self._noted.get(number)
        if noted is None or line < noted:
            heapq.heappush(self._earliest, (line, number))
            self._noted[number] = line
        self._changed.add(number)

    @property
    def earliest(self) -> int | None:
        """The earliest line at which a list waits; None if none does."""
        while self._earliest:
            line, number = self._earliest[0]
            actual = min(self._lines_of(number), default=None)
            if actual is None:
                heapq.heappop(self._earliest)
                self._noted.pop(number, None)
            elif actual > line:
                heapq.heapreplace(self._earliest, (actual, number))
                self._noted[number] = actual
            else:
                return actual
        return None

    @property
    def latest(self) -> int | None:
        """The latest line at which a list waits; None if none does."""
        for number in self._changed:
            self._note_end(number)
        self._changed.clear()
        while self._latest:
            negated, number = self._latest[0]
            if self._ends.get(number) != -negated:
                heapq.heappop(self._latest)
            elif max(self._lines_of(number), default=None) == -negated:
                return -negated
            else:
                del self._ends[number]
                self._note_end(number)
        return None

    def _note_end(self, number: int) -> None:
        end = max(self._lines_of(number), default=None)
        if end is None or self._ends.get(number) == end:
            return
        self._ends[number] = end
        heapq.heappush(self._latest, (-end, number))
        if len(self._latest) > 2 * len(self._ends) + _SLACK:
            self._latest = [(-line, each) for each, line in self._ends.items()]
            heapq.heapify(self._latest)
