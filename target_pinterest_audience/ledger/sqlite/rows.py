"""The rows of a SQLite ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.rows import Rows
from target_pinterest_audience.ledger.sqlite.bulk import groups

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.feeds import Feeds
    from target_pinterest_audience.ledger.sqlite.connection import Connection


class SqliteRows(Rows):
    """Reads and writes rows in groups; see `bulk`."""

    def __init__(self, connection: Connection, feeds: Feeds) -> None:
        """Bind to a ledger.

        Args:
            connection: its connection.
            feeds: its feeds, which name the readers of a source.
        """
        super().__init__(connection.query)
        self._connection = connection
        self._feeds = feeds

    def read(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Rows.read`."""
        return {
            group.keys[place]: bytes.fromhex(said)
            for group in groups(list(rows), in_order=False)
            for place, said in self._connection.find("hex(says)", "places JOIN row_says ON row_key = {key}", group)
        }

    def differing(self, says: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Rows.differing`."""
        # A value of no bytes is NULL.
        source = "places LEFT JOIN row_says ON row_key = {key} WHERE COALESCE(says, x'') <> COALESCE({value}, x'')"
        return {
            group.keys[place]: bytes.fromhex(said)
            for group in groups(list(says), list(says.values()), in_order=False)
            for place, said in self._connection.find("hex(COALESCE(says, x''))", source, group)
        }

    def write(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """See `Rows.write`."""
        saying = {row: said for row, said in says.items() if said}
        for group in groups(list(saying), list(saying.values())):
            self._connection.run(
                "INSERT INTO row_says (row_key, source, seen, says) SELECT {key}, :source, :mark, {value} FROM places "
                "WHERE TRUE ON CONFLICT (row_key) "
                "DO UPDATE SET source = excluded.source, seen = MAX(seen, excluded.seen), says = excluded.says",
                group, source=source, mark=mark,
            )  # fmt: skip
        readers = self._feeds.readers(source)
        for group in groups([row for row, said in says.items() if not said]):
            self._connection.run("DELETE FROM row_says WHERE row_key IN (SELECT {key} FROM places)", group)
            for reader in readers:
                self._connection.run(
                    "DELETE FROM sightings WHERE reader = :reader AND row_key IN (SELECT {key} FROM places)",
                    group, reader=reader,
                )  # fmt: skip

    def insert(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> bool:
        """See `Rows.insert`."""
        return self._connection.insert_new(
            groups(list(says), list(says.values())),
            "row_says (row_key, source, seen, says) SELECT {key}, :source, :mark, {value} FROM places",
            "row_says WHERE row_key IN (SELECT {key} FROM places)",
            source=source, mark=mark,
        )  # fmt: skip

    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """See `Rows.mark_seen`."""
        for group in groups(list(rows)):
            if reader:
                self._connection.run(
                    "INSERT INTO sightings (reader, row_key, mark) SELECT :reader, row_key, :mark FROM places "
                    "JOIN row_says ON row_key = {key} WHERE TRUE "
                    "ON CONFLICT (reader, row_key) DO UPDATE SET mark = MAX(mark, excluded.mark)",
                    group, reader=reader, mark=mark,
                )  # fmt: skip
            else:
                self._connection.run(
                    "UPDATE row_says SET seen = :mark WHERE row_key IN (SELECT {key} FROM places) AND seen < :mark",
                    group, mark=mark,
                )  # fmt: skip

    def marks(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """See `Rows.marks`."""
        value, source = "seen", "places JOIN row_says ON row_key = {key}"
        parameters: dict[str, object] = {}
        if reader:
            value, source = "mark", "places JOIN sightings ON reader = :reader AND row_key = {key}"
            parameters = {"reader": reader}
        return {
            group.keys[place]: int(mark)
            for group in groups(list(rows), in_order=False)
            for place, mark in self._connection.find(value, source, group, **parameters)
        }
