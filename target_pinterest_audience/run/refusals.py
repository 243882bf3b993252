"""Which stream a line came from: asked only when Pinterest refuses an identity whose row is long gone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Receipt
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.vocabulary import Operation


class RowOwner(Protocol):
    """Has read rows, and counts those that Pinterest refuses."""

    def note_refused(self, references: Collection[ListReference], operation: Operation, line: int) -> bool:
        """Count an identity that a list does not take; return whether it can be from one of the owner's rows.

        Args:
            references: all that lead to the list.
            operation: what was to be done with the identity.
            line: the line of the stream that asked for it.
        """
        ...


class Refusals:
    """Finds the owners of lines, as far back as something waits for an answer, and passes refusals on to them."""

    def __init__(self) -> None:
        """Begin with no lines."""
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._owners: list[RowOwner] = []

    def note_rows(self, line: int, count: int, owner: RowOwner) -> None:
        """Note who has read lines that follow each other; none comes before those that were noted already."""
        if self._owners and self._owners[-1] is owner:
            self._stops[-1] = max(self._stops[-1], line + count)
            return
        self._starts.append(line)
        self._stops.append(line + count)
        self._owners.append(owner)

    def note(self, receipt: Receipt, references: Collection[ListReference]) -> None:
        """Pass on what Pinterest refuses of a batch.

        Args:
            receipt: what came of the batch.
            references: all that lead to its list.
        """
        for index in receipt.refused:
            line = receipt.batch.lines[index]
            # Stream maps can split a row; the first that feeds the list counts it.
            any(owner.note_refused(references, receipt.batch.operation, line) for owner in self.owners_of(line))

    def owners_of(self, line: int) -> Iterator[RowOwner]:
        """Yield who has read a line, as far as it is known: more than one if stream maps split it."""
        at = bisect_right(self._starts, line) - 1
        while at >= 0 and line < self._stops[at]:
            yield self._owners[at]
            at -= 1

    def forget_before(self, line: int) -> None:
        """Forget lines that nothing waits for any more; what was noted last is kept, since it may still be read."""
        count = min(bisect_right(self._stops, line), len(self._stops) - 1)
        # Seldom, since the rest is moved.
        if count > len(self._stops) // 2:
            del self._starts[:count], self._stops[:count], self._owners[:count]
