"""Rows after their identities were extracted: single rows, and blocks of columns. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from target_pinterest_audience.membership.events import Kind

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock


class Row(NamedTuple):
    """A record after its identities were extracted.

    Attributes:
        kind: what happened to its row.
        record: the record, for its key.
        named: identity column → its packed identities, which are different and in order; an array has several. If the
            record could not be read, the identities only show which keyless rows it is about.
        present: the identity columns in the record, whether their values are valid, invalid or null.
        line: its line in the stream.
        deleted: whether it is deleted, whatever else it says.
        list_name: the list name in it, empty if it has none; None if the settings choose the list.
        forms: identity → the same person under the other hash algorithms, if the record refuses them.
        held: whether the first identity in it says that its person is held out.
    """

    kind: Kind
    record: Mapping[str, Any]
    named: Mapping[str, Sequence[bytes]]
    present: Collection[str]
    line: int
    deleted: bool
    list_name: str | None = None
    forms: Mapping[bytes, Sequence[bytes]] = MappingProxyType({})
    held: bool = False


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Consecutive rows of one kind that all have their key and every identity column.

    Attributes:
        kind: what happened to each row.
        records: the records, for their keys.
        named: identity column → its layers: the first has one packed identity of each row, or None, and there are more
            if rows have arrays. The identities of a row are different and in order.
        list_names: the list name in each row; None if the settings choose the list.
        forms: the index of a row → its identities → the same person under the other hash algorithms, if the rows refuse
            them.
        held: the indices of the rows whose person is held out, in ascending order.
    """

    kind: Kind
    records: RecordBlock
    named: Mapping[str, Sequence[Sequence[bytes | None]]]
    list_names: Sequence[str] | None = None
    forms: Mapping[int, Mapping[bytes, Sequence[bytes]]] = field(default_factory=dict)
    held: Sequence[int] = ()

    @property
    def lines(self) -> Sequence[int]:
        """The line of each row in the stream."""
        return self.records.lines

    def named_in(self, index: int) -> dict[str, list[bytes]]:
        """Return the identities in a row, by column."""
        return {
            column: [each for layer in layers if (each := layer[index]) is not None]
            for column, layers in self.named.items()
        }

    def forms_of(self, index: int) -> Mapping[bytes, Sequence[bytes]]:
        """Return the identities in a row, with the same person under the other hash algorithms."""
        return self.forms.get(index, {})

    def list_name(self, index: int) -> str | None:
        """Return the list name in a row; None if the settings choose the list."""
        return self.list_names[index] if self.list_names is not None else None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.records)


class RowWriter(Protocol):
    """Takes the rows of one stream under one schema."""

    def write(self, row: Row) -> None:
        """Take a row.

        Raises:
            TargetError: the row filled a window or a batch that could not be written.
        """
        ...

    def write_block(self, rows: RowBlock) -> None:
        """Take a block of rows, to the same effect. Raises as `write` does."""
        ...

    def row_digest(self, record: Mapping[str, Any]) -> bytes | None:
        """Return the digest by which the ledger identifies a record's row; None if it stores no such row."""
        ...


def in_order(columns: Sequence[Sequence[bytes | None]], lines: Sequence[int]) -> tuple[Sequence[bytes], Sequence[int]]:
    """Return the identities in some columns of rows, row by row, and the line of each."""
    if len(columns) == 1 and all(columns[0]):
        return cast("Sequence[bytes]", columns[0]), lines
    named, lines_of_named = [], []
    for line, row in zip(lines, zip(*columns, strict=True), strict=True):
        for identity in row:
            if identity is not None:
                named.append(identity)
                lines_of_named.append(line)
    return named, lines_of_named
