"""The rows of a PostgreSQL ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.ledger.postgres.bulk import bytea_array, copied, integers
from target_pinterest_audience.ledger.rows import Rows
from target_pinterest_audience.membership.row_keys import ROW_BYTES

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.feeds import Feeds
    from target_pinterest_audience.ledger.postgres.session import Session

_PLACE: Final = itemgetter(slice(4))
"""The first bytes of a row's key, which decide where it lies; see `row_keys.RowDigester`.

Rows of one place lie together anyway, and if they come in their order, PostgreSQL leaves every page of the index half
empty.
"""


class PostgresRows(Rows):
    """Reads and writes many rows in one statement; see `bulk`."""

    def __init__(self, session: Session, feeds: Feeds) -> None:
        """Bind to a ledger.

        Args:
            session: its session.
            feeds: its feeds, which name the readers of a source.
        """
        super().__init__(session.query, self._append_pieces)
        self._session = session
        self._feeds = feeds

    def read(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Rows.read`."""
        keys = bytea_array(sorted(rows))
        return dict(self._session.bulk("SELECT row_key, says FROM row_says WHERE row_key = ANY(%b)", keys))

    def differing(self, says: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Rows.differing`."""
        rows = sorted(says, key=_PLACE)
        # With the limit it is a look-up in the index for each row, however big the server believes the table to be.
        found = self._session.bulk(
            "SELECT given.row_key, COALESCE(known.says, '') FROM unnest(%b, %b) AS given (row_key, says) "
            "LEFT JOIN LATERAL (SELECT says FROM row_says WHERE row_says.row_key = given.row_key LIMIT 1) AS known "
            "ON TRUE WHERE COALESCE(known.says, '') <> given.says",
            bytea_array(rows), bytea_array([says[row] for row in rows]),
        )  # fmt: skip
        return dict(found)

    def write(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """See `Rows.write`."""
        saying = sorted((row, said) for row, said in says.items() if said)
        self._session.bulk(
            "INSERT INTO row_says (row_key, source, seen, says) "
            "SELECT row_key, %s, %s, says FROM unnest(%b, %b) AS given (row_key, says) "
            "ON CONFLICT (row_key) "
            "DO UPDATE SET source = excluded.source, seen = GREATEST(row_says.seen, excluded.seen), "
            "says = excluded.says",
            source, mark, bytea_array([row for row, _ in saying]), bytea_array([said for _, said in saying]),
        )  # fmt: skip
        silent = bytea_array(sorted(row for row, said in says.items() if not said))
        self._session.bulk("DELETE FROM row_says WHERE row_key = ANY(%b)", silent)
        for reader in self._feeds.readers(source) if silent else ():
            self._session.bulk("DELETE FROM sightings WHERE reader = %s AND row_key = ANY(%b)", reader, silent)

    def insert(self, source: int, mark: int, says: Mapping[bytes, bytes], prepared: object = None) -> bool:  # noqa: ARG002 - nothing is prepared
        """See `Rows.insert`."""
        rows = sorted(says, key=_PLACE)
        statements = [says[row] for row in rows]
        return self._session.insert_new(
            "row_says (source, seen, row_key, says)",
            copied(integers(source, mark), rows, statements, columns=4),
        )

    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """See `Rows.mark_seen`."""
        if reader:
            self._session.bulk(
                "INSERT INTO sightings (reader, row_key, mark) SELECT %s, row_key, %s FROM row_says "
                "WHERE row_key = ANY(%b) "
                "ON CONFLICT (reader, row_key) DO UPDATE SET mark = GREATEST(sightings.mark, excluded.mark)",
                reader, mark, bytea_array(sorted(rows)),
            )  # fmt: skip
        else:
            self._session.bulk(
                "UPDATE row_says SET seen = %s WHERE row_key = ANY(%b) AND seen < %s",
                mark, bytea_array(sorted(rows)), mark,
            )  # fmt: skip

    def marks(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """See `Rows.marks`."""
        if reader:
            statement = "SELECT row_key, mark FROM sightings WHERE reader = %s AND row_key = ANY(%b)"
            return dict(self._session.bulk(statement, reader, bytea_array(sorted(rows))))
        keys = bytea_array(sorted(rows))
        return dict(self._session.bulk("SELECT row_key, seen FROM row_says WHERE row_key = ANY(%b)", keys))

    def _append_pieces(self, source: int, reader: int, mark: int, number: int, pieces: Sequence[bytes]) -> None:
        self._session.bulk(
            "INSERT INTO seen_keys (source, reader, mark, piece, first_key, row_keys) "
            "SELECT %s, %s, %s, %s + place - 1, first_key, row_keys "
            "FROM unnest(%b, %b) WITH ORDINALITY AS given (first_key, row_keys, place)",
            source, reader, mark, number,
            bytea_array([keys[:ROW_BYTES] for keys in pieces]), bytea_array(pieces),
        )  # fmt: skip
