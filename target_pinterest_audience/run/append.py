"""Rows that bypass the ledger (`load_method: append-only`): every identity in them is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.membership.events import CAUSES, Kind
from target_pinterest_audience.membership.row import Row, RowBlock, in_order
from target_pinterest_audience.routing.orders import Order
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.run.dispatcher import Dispatcher


_OPERATIONS: Mapping[Kind, Operation] = {
    Kind.ARRIVED: Operation.ADD,
    Kind.GRANTED: Operation.ADD,
    Kind.REFUSED: Operation.REMOVE,
    Kind.DELETED: Operation.REMOVE,
    Kind.EXCLUDED: Operation.REMOVE,
}


@dataclass(frozen=True, slots=True)
class AppendingWriter:
    """Sends every identity that comes: nothing is remembered, so nothing is known of what a row said before."""

    shape: StreamShape
    references: Callable[[str | None], Mapping[str, ListReference]]
    """What rows name as their list → column → the list that its identities go to."""
    dispatcher: Dispatcher
    suppressed: AbstractSet[bytes] = frozenset()
    """Who was forgotten and is not to be added, by `member_key`."""

    def write(self, row: Row) -> None:
        """See `RowWriter.write`."""
        if row.kind is Kind.SEEN:
            return
        references = self.references(row.list_name)
        named = [(references[column], each) for column, each in row.named.items() if column in references]
        if row.kind is Kind.DELETED and self.shape.removes:
            # A deleted row of a stream that removes no longer asks for anything.
            self.shape.tally.unchanged += len(named)
            return
        for reference, identity in named:
            self._hand_over(reference, row.kind, (identity,), (row.line,))

    def row_digest(self, record: Mapping[str, Any]) -> None:
        """See `RowWriter.row_digest`: nothing is remembered of it."""

    def write_block(self, rows: RowBlock) -> None:
        """See `RowWriter.write_block`."""
        for reference, columns, lines in self._columns_of_lists(rows):
            self._hand_over(reference, rows.kind, *in_order(columns, lines))

    def _hand_over(
        self, reference: ListReference, kind: Kind, identities: Sequence[bytes], lines: Sequence[int]
    ) -> None:
        """Hand identities over, and count what becomes of them."""
        operation, tally = _OPERATIONS[kind], self.shape.tally
        if self.suppressed and operation is Operation.ADD:
            kept = [place for place, each in enumerate(identities) if member_key(each) not in self.suppressed]
            tally.refused += len(identities) - len(kept)
            identities, lines = [identities[place] for place in kept], [lines[place] for place in kept]
        # Before: while the dispatcher waits for room, Pinterest may refuse some of them, which then count as that.
        self._count(kind, len(identities))
        again = self.dispatcher.send(Order(reference, operation, identities, lines, CAUSES[kind]))
        self._count(kind, -again)
        tally.duplicates += again

    def _count(self, kind: Kind, identities: int) -> None:
        tally = self.shape.tally
        if kind is Kind.REFUSED:
            tally.refused += identities
        elif _OPERATIONS[kind] is Operation.REMOVE:
            tally.named_for_removal += identities
        else:
            tally.added += identities

    def _columns_of_lists(
        self, rows: RowBlock
    ) -> Iterator[tuple[ListReference, list[Sequence[bytes | None]], Sequence[int]]]:
        """Yield each list that rows go to, the columns that go there, and the lines of these rows."""
        for name, places in rows.by_list():
            references = self.references(name)
            some = len(places) < len(rows)
            of_lists: dict[ListReference, list[Sequence[bytes | None]]] = {}
            for column, identities in rows.named.items():
                chosen = [identities[place] for place in places] if some else identities
                of_lists.setdefault(references[column], []).append(chosen)
            lines = [rows.lines[place] for place in places] if some else rows.lines
            for reference, columns in of_lists.items():
                yield reference, columns, lines
