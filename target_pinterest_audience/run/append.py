"""The row writer of `load_method: append-only`: rows bypass the ledger, and every identity in them is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.membership.events import CAUSES, Kind
from target_pinterest_audience.membership.row import Row, RowBlock, in_order
from target_pinterest_audience.routing.orders import MixedOrder, Order
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
    """Sends every identity in the rows of a stream. It remembers nothing, so it cannot know what a row said before."""

    shape: StreamShape
    references: Callable[[str | None], Mapping[str, ListReference]]
    """The list name in a row, or None if the settings choose the list → column → the list of its identities."""
    dispatcher: Dispatcher
    suppressed: AbstractSet[bytes] = frozenset()
    """The member keys of people who were forgotten and must not be added."""
    _named_lists: defaultdict[str, dict[str, ListReference]] = field(default_factory=lambda: defaultdict(dict))
    """Column → list name in a row → the list of the identities in that column, for the names that came in blocks."""

    def write(self, row: Row) -> None:
        """Take a row. Raises as `RowWriter.write` does."""
        if row.kind is Kind.SEEN:
            return
        references = self.references(row.list_name)
        named = [
            (references[column], each) for column in row.named if column in references for each in row.named[column]
        ]
        if row.held:
            self.shape.tally.held_out += len(named)
            return
        if row.kind is Kind.DELETED and self.shape.removes:
            # A deleted row of a stream that removes no longer asks for anything.
            self.shape.tally.unchanged += len(named)
            return
        for reference, identity in named:
            self._hand_over(reference, row.kind, (identity,), (row.line,))

    def row_digest(self, record: Mapping[str, Any]) -> None:
        """Return None: no row is remembered."""

    def write_block(self, rows: RowBlock) -> None:
        """Take a block of rows. Raises as `RowWriter.write` does."""
        held = rows.held
        self.shape.tally.held_out += sum(
            layer[index] is not None for layers in rows.named.values() for layer in layers for index in held
        )
        if rows.list_names is not None:
            self._send_routed(rows, rows.list_names)
            return
        for reference, columns, lines in self._columns_of_lists(rows):
            self._hand_over(reference, rows.kind, *in_order(columns, lines))

    def _hand_over(
        self, reference: ListReference, kind: Kind, identities: Sequence[bytes], lines: Sequence[int]
    ) -> None:
        """Send identities to a list, and count them."""
        operation = _OPERATIONS[kind]
        if self._some_are_suppressed(operation):
            kept = self._not_suppressed(identities)
            identities, lines = [identities[index] for index in kept], [lines[index] for index in kept]
        # Counted first: while the dispatcher waits for room, Pinterest may refuse some of them and change the counts.
        self._count(kind, len(identities))
        again = self.dispatcher.send(Order(reference, operation, identities, lines, CAUSES[kind]))
        self._count_again(kind, again)

    def _send_routed(self, rows: RowBlock, names: Sequence[str]) -> None:
        """Send the identities of rows that name their lists: hardly two rows of a block may share one."""
        operation, held = _OPERATIONS[rows.kind], set(rows.held)
        for column, layers in rows.named.items():
            lists = self._lists_of(column, names)
            for layer in layers:
                indices: Sequence[int] = range(len(rows))
                if held or None in layer:
                    indices = [index for index, each in enumerate(layer) if each is not None and index not in held]
                if self._some_are_suppressed(operation):
                    chosen = self._not_suppressed([layer[index] or b"" for index in indices])
                    indices = [indices[index] for index in chosen]
                some = len(indices) < len(rows)
                order = MixedOrder(
                    [lists[index] for index in indices] if some else lists,
                    operation,
                    cast("list[bytes]", [layer[index] for index in indices] if some else layer),
                    [rows.lines[index] for index in indices] if some else rows.lines,
                    CAUSES[rows.kind],
                )
                self._count(rows.kind, len(indices))
                self._count_again(rows.kind, self.dispatcher.send_mixed(order))

    def _lists_of(self, column: str, names: Sequence[str]) -> list[ListReference]:
        """Return the list of the identities in a column of each row, given the list names in the rows."""
        known = self._named_lists[column]
        try:
            return [known[name] for name in names]
        except KeyError:
            known.update((name, self.references(name)[column]) for name in dict.fromkeys(names))
        return [known[name] for name in names]

    def _some_are_suppressed(self, operation: Operation) -> bool:
        return bool(self.suppressed) and operation is Operation.ADD

    def _not_suppressed(self, identities: Sequence[bytes]) -> list[int]:
        """Return the indices of the identities that may be added; count the others."""
        kept = [index for index, each in enumerate(identities) if member_key(each) not in self.suppressed]
        self.shape.tally.refused += len(identities) - len(kept)
        return kept

    def _count_again(self, kind: Kind, again: int) -> None:
        """Count identities that were counted, and turned out to wait already, as duplicates."""
        self._count(kind, -again)
        self.shape.tally.duplicates += again

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
        """Yield each list that rows go to, the identities in each column for it, and the lines of the rows.

        Rows that are held out are left out.
        """
        held = set(rows.held)
        references = self.references(None)
        indices = [index for index in range(len(rows)) if index not in held] if held else ()
        of_lists: dict[ListReference, list[Sequence[bytes | None]]] = {}
        for column, layers in rows.named.items():
            for layer in layers:
                chosen = [layer[index] for index in indices] if held else layer
                of_lists.setdefault(references[column], []).append(chosen)
        lines = [rows.lines[index] for index in indices] if held else rows.lines
        for reference, columns in of_lists.items():
            yield reference, columns, lines
