"""Slots: the identity columns of streams, with the types of their identities."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.ledger.query import number_of

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


class StreamSlot(NamedTuple):
    """A slot that a stream of a source has, or had."""

    stream: str
    slot: int
    mark: int
    """The mark of the last run in which the stream had it."""


class Slots:
    """The slots in a ledger."""

    def __init__(self, query: Query) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
        """
        self._query = query

    def add(self, column: str, identity_type: str) -> int:
        """Return the number of a column with a type of identity, adding the slot if it is new."""
        return number_of(self._query, "slots", "slot", {"column_name": column, "identity_type": identity_type})

    def all(self) -> dict[int, tuple[str, str]]:
        """Return slot → its column and its type."""
        found = self._query("SELECT slot, column_name, identity_type FROM slots")
        return {slot: (column, kind) for slot, column, kind in found}

    def of_streams(self, source: int, reader: int) -> list[StreamSlot]:
        """Return the slots by which streams of a source feed, or fed, the lists of a reader."""
        found = self._query(
            "SELECT stream, slot, mark FROM stream_slots WHERE source = ? AND reader = ?", source, reader
        )
        return [StreamSlot(*row) for row in found]

    def note_stream(self, source: int, reader: int, slot: StreamSlot) -> None:
        """Record a slot by which a stream of a source feeds the lists of a reader."""
        self._query(
            "INSERT INTO stream_slots (source, reader, stream, slot, mark) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (source, reader, stream, slot) DO UPDATE SET mark = excluded.mark",
            source, reader, *slot,
        )  # fmt: skip

    def forget_stream(self, source: int, reader: int, slot: StreamSlot) -> None:
        """Forget that a stream of a source fed the lists of a reader by a slot."""
        self._query(
            "DELETE FROM stream_slots WHERE source = ? AND reader = ? AND stream = ? AND slot = ?",
            source, reader, slot.stream, slot.slot,
        )  # fmt: skip
