"""Feeds: which source feeds which list, and which reader marks the rows that are read for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


class Feeds:
    """The feeds in a ledger."""

    def __init__(self, query: Query) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
        """
        self._query = query

    def add(self, source: int, number: int, reader: int = 0) -> None:
        """Record that a source feeds a list, and the reader of its rows, unless the feed is known."""
        self._query(
            "INSERT INTO feeds (source, list, reader) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", source, number, reader
        )

    def sources(self, number: int) -> list[int]:
        """Return the sources that have ever fed a list."""
        return [source for (source,) in self._query("SELECT source FROM feeds WHERE list = ? ORDER BY source", number)]

    def source_names(self, number: int) -> list[str]:
        """Return the names of the sources that have ever fed a list."""
        found = self._query("SELECT name FROM sources JOIN feeds USING (source) WHERE list = ? ORDER BY name", number)
        return [str(name) for (name,) in found]

    def readers_of_lists(self, source: int) -> dict[int, int]:
        """Return list → its reader, for all lists that a source has ever fed."""
        return dict(self._query("SELECT list, reader FROM feeds WHERE source = ?", source))

    def readers(self, source: int) -> list[int]:
        """Return the readers of a source that keep their marks in the table `sightings`."""
        found = self._query("SELECT DISTINCT reader FROM feeds WHERE source = ? AND reader > 0", source)
        return [int(reader) for (reader,) in found]

    def new_reader(self) -> int:
        """Return an unused number for a reader."""
        return int(self._query("SELECT COALESCE(MAX(reader), 0) + 1 FROM feeds")[0][0])
