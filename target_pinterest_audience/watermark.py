"""The watermark of a run: the earliest line of the stream that is not delivered yet.

Everything that is still to be delivered (a window of rows, a half-full batch, a request under way) holds a line. A
STATE may be written when its line is below the watermark. Only the main thread uses this module.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from heapq import heappop, heappush


class Hold:
    """Keeps the watermark from passing a line until it is released."""

    __slots__ = ("_group", "_watermark", "line")

    def __init__(self, watermark: Watermark, line: int, group: Hashable | None) -> None:
        """Prepare a hold; call `Watermark.hold` to make one.

        Args:
            watermark: the watermark.
            line: the line to hold.
            group: the group whose floor the hold counts for, too.
        """
        self._watermark = watermark
        self._group = group
        self.line: int | None = line
        """The line; None after `release`."""

    def move(self, line: int) -> None:
        """Hold another line instead."""
        # In this order: a signal may end the run between the two, when the former line must still count.
        self._watermark.note(self, line, self._group)
        self.line = line

    def release(self) -> None:
        """Release the line."""
        self.line = None


class Watermark:
    """The lines of the stream for which something is still to be delivered."""

    def __init__(self) -> None:
        """Begin without holds."""
        self.newest: int | None = None
        """The greatest line that was ever held; None if none was."""
        self._notes: defaultdict[Hashable | None, list[tuple[int, int, Hold]]] = defaultdict(list)
        """Group → a heap of lines and holds. An entry counts as long as its hold is still at that line."""
        self._count = 0

    def hold(self, line: int, group: Hashable | None = None) -> Hold:
        """Hold a line until the hold is released.

        Args:
            line: the line.
            group: the group, such as a customer list, whose floor the hold counts for, too.
        """
        hold = Hold(self, line, group)
        self.note(hold, line, group)
        return hold

    def floor(self, group: Hashable | None = None) -> int | None:
        """Return the earliest line that is held; None if none is.

        Args:
            group: count only the holds of this group.
        """
        if group not in self._notes:
            return None
        heap = self._notes[group]
        while heap and heap[0][2].line != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def note(self, hold: Hold, line: int, group: Hashable | None) -> None:
        """Enter the line of a hold."""
        self._count += 1
        for each in {None, group}:
            heappush(self._notes[each], (line, self._count, hold))
        self.reach(line)

    def reach(self, line: int) -> None:
        """Note that a hold extends up to a line."""
        if self.newest is None or line > self.newest:
            self.newest = line
