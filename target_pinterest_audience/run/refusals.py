"""Refusals: finds the stream of an identity that Pinterest refused, after its row has left the target."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Receipt
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.vocabulary import Operation, WireFormat


class RefusedIdentity(NamedTuple):
    """What is known of an identity that Pinterest refused.

    Attributes:
        line: the line of the stream that it came from.
        operation: the operation that was refused.
        wire: how it was sent.
        with_its_wire: whether Pinterest refuses all identities that are sent like that.
    """

    line: int
    operation: Operation
    wire: WireFormat
    with_its_wire: bool


class RowOwner(Protocol):
    """The reader of a stream's rows, which counts the identities that Pinterest refuses."""

    def note_refused(self, references: Collection[ListReference], refused: RefusedIdentity) -> bool:
        """Count a refused identity, and return whether it can come from a row of this owner.

        Args:
            references: all references to the list.
            refused: the identity.
        """
        ...


class Refusals:
    """Remembers who read which lines while an answer may still concern them, and reports refusals to the readers."""

    def __init__(self) -> None:
        """Begin without lines."""
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._owners: list[RowOwner] = []

    def note_rows(self, line: int, count: int, owner: RowOwner) -> None:
        """Note who has read consecutive lines. Lines are noted in ascending order.

        Args:
            line: the first of them.
            count: how many there are.
            owner: who has read them.
        """
        if self._owners and self._owners[-1] is owner:
            self._stops[-1] = max(self._stops[-1], line + count)
            return
        self._starts.append(line)
        self._stops.append(line + count)
        self._owners.append(owner)

    def note(self, receipt: Receipt, references: Collection[ListReference]) -> None:
        """Report the refused identities of a batch to the owners of their lines.

        Args:
            receipt: the receipt of the batch.
            references: all references to its list.
        """
        batch = receipt.batch
        for index in receipt.refused:
            line = batch.lines[index]
            refused = RefusedIdentity(line, batch.operation, batch.wire, receipt.wire_refused)
            # Stream maps can split a row into several; the first one that feeds the list counts the identity.
            any(owner.note_refused(references, refused) for owner in self.owners_of(line))

    def owners_of(self, line: int) -> Iterator[RowOwner]:
        """Yield the known owners of a line: more than one if stream maps split it."""
        at = bisect_right(self._starts, line) - 1
        while at >= 0 and line < self._stops[at]:
            yield self._owners[at]
            at -= 1

    def forget_before(self, line: int) -> None:
        """Forget lines that no answer can concern any more; the newest entry stays, since its lines are still read."""
        count = min(bisect_right(self._stops, line), len(self._stops) - 1)
        # Not at each call, since deleting moves all later entries.
        if count > len(self._stops) // 2:
            del self._starts[:count], self._stops[:count], self._owners[:count]
