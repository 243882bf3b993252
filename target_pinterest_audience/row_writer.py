"""Where a row's identities go, once they are read: past the ledger here; by way of the ledger in `upserts`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from target_pinterest_audience.membership import CAUSES, Kind
from target_pinterest_audience.packed import member_key
from target_pinterest_audience.pinterest import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.delivery import Delivery
    from target_pinterest_audience.identities import IdentityType
    from target_pinterest_audience.record_blocks import RecordBlock
    from target_pinterest_audience.routing import ListPlan, ListReference
    from target_pinterest_audience.tally import StreamTally


@dataclass(frozen=True, slots=True)
class StreamShape:
    """What is known of a stream's rows from its schema and settings.

    Attributes:
        raw_stream: its name as the tap gives it, which is what STATE speaks of.
        properties: all columns in its schema.
        source: the source that its rows belong to.
        key_properties: the columns that tell its rows apart; none if each identity is its own row.
        key_schemas: key property → its JSON schema.
        columns: identity column → its type.
        plan: returns for each identity column the list that its identities go to, if their rows name it so; for None,
            if the settings choose it.
        routed: whether rows name their lists.
        removes: whether it names people who must not be on the list.
        overwrites: whether `prune` may remove whom it does not name.
        tally: counts what becomes of its values.
    """

    raw_stream: str
    properties: tuple[str, ...]
    source: str
    key_properties: tuple[str, ...]
    key_schemas: Mapping[str, Any]
    columns: Mapping[str, IdentityType]
    plan: Callable[[str | None], Mapping[str, ListPlan]]
    routed: bool
    removes: bool
    overwrites: bool
    tally: StreamTally


class Row(NamedTuple):
    """A record whose identities are read.

    Attributes:
        kind: what it says of its row.
        record: the record, for its key.
        named: the identities in its columns, packed; of a row that is too bad to be read,
            they only tell which rows those are that have no key.
        present: the identity columns that it has, with a good value, a bad one or none.
        line: its line in the stream.
        deleted: whether it is deleted, whatever else it says.
        list_name: the list that it names, empty if none; None if the settings choose the list.
        forms: what the people whom it refuses are under the other algorithms, in each column.
    """

    kind: Kind
    record: Mapping[str, Any]
    named: Mapping[str, bytes]
    present: Collection[str]
    line: int
    deleted: bool
    list_name: str | None = None
    forms: Mapping[str, Sequence[bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows that follow each other, that all say the same, and that have their key and all identity columns.

    Attributes:
        kind: what each says of its row: that it is there, or that its people must not be.
        records: the records, for their keys.
        named: identity column → its identities, packed, None where there is no good value.
        list_names: the list that each names; None if the settings choose the list.
        forms: identity column → the same people under each of the other algorithms, if the rows refuse them.
    """

    kind: Kind
    records: RecordBlock
    named: Mapping[str, Sequence[bytes | None]]
    list_names: Sequence[str] | None = None
    forms: Mapping[str, Sequence[Sequence[bytes | None]]] = field(default_factory=dict)

    @property
    def lines(self) -> Sequence[int]:
        """The line of each in the stream."""
        return self.records.lines

    def forms_of(self, place: int) -> dict[str, list[bytes]]:
        """Return what the people whom one of the rows refuses are under the other algorithms, in each column."""
        return {
            column: [each for form in forms for each in [form[place]] if each is not None]
            for column, forms in self.forms.items()
        }

    def list_name(self, place: int) -> str | None:
        """Return the list that one of the rows names; None if the settings choose the list."""
        return self.list_names[place] if self.list_names is not None else None

    def by_list(self) -> Iterator[tuple[str | None, Sequence[int]]]:
        """Yield each list that rows name, and the places of these rows."""
        if self.list_names is None:
            yield None, range(len(self))
            return
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self.list_names):
            places.setdefault(name, []).append(place)
        yield from places.items()

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.records)


class RowWriter(Protocol):
    """Takes the rows of one stream under one schema."""

    def write(self, row: Row) -> None:
        """Take in a row.

        Raises:
            TargetError: a batch that it filled could not be delivered.
        """
        ...

    def write_block(self, rows: RowBlock) -> None:
        """Take in many rows, to the same effect. Raises as `write` does."""
        ...

    def row_digest(self, record: Mapping[str, Any]) -> bytes | None:
        """Return what the ledger knows a record's row by; None if it does not."""
        ...


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
    delivery: Delivery
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
        # Before, since it may be heard meanwhile that Pinterest refuses some of them, which then count as that.
        self._count(kind, len(identities))
        again = self.delivery.put_many(reference, operation, identities, lines, CAUSES[kind])
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


def in_order(columns: Sequence[Sequence[bytes | None]], lines: Sequence[int]) -> tuple[Sequence[bytes], Sequence[int]]:
    """Return the identities in some columns of rows in the order of a reader, and the line of each."""
    if len(columns) == 1 and all(columns[0]):
        return cast("Sequence[bytes]", columns[0]), lines
    named, lines_of_named = [], []
    for line, row in zip(lines, zip(*columns, strict=True), strict=True):
        for identity in row:
            if identity is not None:
                named.append(identity)
                lines_of_named.append(line)
    return named, lines_of_named
