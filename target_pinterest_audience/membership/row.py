"""Rows whose identities are extracted: one by one, or as a block of columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from target_pinterest_audience.membership.events import Kind

if TYPE_CHECKING:
    from target_pinterest_audience.records.blocks import RecordBlock


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
