"""The rows of a PostgreSQL ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.rows import Rows

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.feeds import Feeds
    from target_pinterest_audience.ledger.postgres.session import Session


class PostgresRows(Rows):
    """Reads and writes many rows in one statement, as arrays."""

    def __init__(self, session: Session, feeds: Feeds) -> None:
        """Bind to a ledger.

        Args:
            session: its session.
            feeds: its feeds, which name the readers of a source.
        """
        super().__init__(session.query)
        self._session = session
        self._feeds = feeds

    def read(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Rows.read`."""
        return dict(self._session.bulk("SELECT row_key, says FROM row_says WHERE row_key = ANY(%b)", sorted(rows)))

    def write(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """See `Rows.write`."""
        saying = sorted((row, said) for row, said in says.items() if said)
        self._session.bulk(
            "INSERT INTO row_says (row_key, source, seen, says) "
            "SELECT row_key, %s, %s, says FROM unnest(%b::bytea[], %b::bytea[]) AS given (row_key, says) "
            "ON CONFLICT (row_key) "
            "DO UPDATE SET source = excluded.source, seen = GREATEST(row_says.seen, excluded.seen), "
            "says = excluded.says",
            source, mark, [row for row, _ in saying], [said for _, said in saying],
        )  # fmt: skip
        silent = sorted(row for row, said in says.items() if not said)
        self._session.bulk("DELETE FROM row_says WHERE row_key = ANY(%b)", silent)
        for reader in self._feeds.readers(source) if silent else ():
            self._session.bulk("DELETE FROM sightings WHERE reader = %s AND row_key = ANY(%b)", reader, silent)

    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """See `Rows.mark_seen`."""
        if reader:
            self._session.bulk(
                "INSERT INTO sightings (reader, row_key, mark) SELECT %s, row_key, %s FROM row_says "
                "WHERE row_key = ANY(%b) "
                "ON CONFLICT (reader, row_key) DO UPDATE SET mark = GREATEST(sightings.mark, excluded.mark)",
                reader, mark, sorted(rows),
            )  # fmt: skip
        else:
            self._session.bulk(
                "UPDATE row_says SET seen = %s WHERE row_key = ANY(%b) AND seen < %s", mark, sorted(rows), mark
            )

    def marks(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """See `Rows.marks`."""
        if reader:
            statement = "SELECT row_key, mark FROM sightings WHERE reader = %s AND row_key = ANY(%b)"
            return dict(self._session.bulk(statement, reader, sorted(rows)))
        return dict(self._session.bulk("SELECT row_key, seen FROM row_says WHERE row_key = ANY(%b)", sorted(rows)))
