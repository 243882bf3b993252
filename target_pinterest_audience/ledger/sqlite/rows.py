"""The rows of a SQLite ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.ledger.rows import Rows
from target_pinterest_audience.ledger.sqlite.bulk import groups

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.feeds import Feeds
    from target_pinterest_audience.ledger.sqlite.bulk import Group
    from target_pinterest_audience.ledger.sqlite.connection import Connection
    from target_pinterest_audience.ledger.sqlite.keys.known_keys import KnownKeys, Suspects


_ANY_SOURCE: Final = 0
"""A row is found by its key alone, whichever source it is of."""


class _Prepared(NamedTuple):
    """New rows, ready to be inserted.

    Attributes:
        suspects: the keys that a layer may have; None if no filter was asked.
        parts: the rows, in groups.
    """

    suspects: Suspects | None
    parts: list[Group]


class SqliteRows(Rows):
    """Reads and writes rows in groups; see `bulk`."""

    def __init__(self, connection: Connection, feeds: Feeds, known: KnownKeys) -> None:
        """Bind to a ledger.

        Args:
            connection: its connection.
            feeds: its feeds, which name the readers of a source.
            known: the keys of its rows.
        """
        super().__init__(connection.query)
        self._connection = connection
        self._feeds = feeds
        self._known = known
        self._layers = known.layers

    def read(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Rows.read`."""
        with self._connection.snapshot():
            found = self._known.find("hex(says)", list(rows), _ANY_SOURCE, fill=False)
        return {row: bytes.fromhex(said) for row, said in found.items()}

    def differing(self, says: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Rows.differing`."""
        differing: dict[bytes, bytes] = {}
        missing: list[bytes] = []
        others: list[str] = []  # the tables that were not asked for all rows yet
        rows, values = list(says), list(says.values())
        with self._connection.snapshot():
            guess = self._layers.guess(rows, _ANY_SOURCE)
            for name, where in guess.items():
                some = _parts_of(rows, where)
                missing += self._compare(name, some, _parts_of(values, where), differing, in_order=False)
                if len(some) < len(rows):
                    others.append(name)
            # They are sorted once. SQLite sorts those of a guess, while other threads run.
            missing.sort()
            for name in others:
                # One table after the other, so that its pages are read in their order.
                if missing:
                    missing = self._compare(name, missing, [says[row] for row in missing], differing, in_order=True)
            new = {row: b"" for row in missing if says[row]}
            self._known.remember(dict.fromkeys(new), _ANY_SOURCE)
        return differing | new

    def _compare(
        self, name: str, rows: list[bytes], says: list[bytes], differing: dict[bytes, bytes], *, in_order: bool
    ) -> list[bytes]:
        """Compare rows with those of a table, and return those that it does not have.

        Args:
            name: the table.
            rows: the rows.
            says: what to compare the statements of each with.
            differing: gets row → its statements, where they differ.
            in_order: whether the rows are in their order.
        """
        missing: list[bytes] = []
        for group in groups(rows, says, in_order=False):
            compared = self._connection.compare("says", name, "row_key", group, in_order=in_order)
            found = {group.keys[place]: said for place, said in compared.differing.items()}
            self._known.remember(dict.fromkeys(found, name), _ANY_SOURCE)
            differing.update(found)
            missing += map(group.keys.__getitem__, compared.missing)
        return missing

    def write(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """See `Rows.write`."""
        saying = [row for row, said in says.items() if said]
        for name, rows in self._known.divide(saying, source).items():
            for group in groups(rows, [says[row] for row in rows]):
                self._connection.run(
                    f"INSERT INTO {name} (row_key, source, seen, says) SELECT {{key}}, :source, :mark, {{value}} "
                    "FROM places WHERE TRUE ON CONFLICT (row_key) "
                    "DO UPDATE SET source = excluded.source, seen = MAX(seen, excluded.seen), says = excluded.says",
                    group, source=source, mark=mark,
                )  # fmt: skip
        self._delete(source, [row for row, said in says.items() if not said])
        self._known.forget_tables()

    def _delete(self, source: int, rows: list[bytes]) -> None:
        """Delete rows, and what readers have seen of them."""
        # A delete in every layer would take far longer than a look-up that ends at the layer that has the row.
        for name, some in self._known.locate(rows, source).items():
            for group in groups(some):
                self._connection.run(f"DELETE FROM {name} WHERE row_key IN (SELECT {{key}} FROM places)", group)
        readers = self._feeds.readers(source)
        for group in groups(rows):
            for reader in readers:
                self._connection.run(
                    "DELETE FROM sightings WHERE reader = :reader AND row_key IN (SELECT {key} FROM places)",
                    group, reader=reader,
                )  # fmt: skip

    def prepare(self, source: int, says: Mapping[bytes, bytes]) -> object:
        """See `Rows.prepare`."""
        rows = list(says)
        return _Prepared(self._known.suspects(rows, source), list(groups(rows, list(says.values()))))

    def insert(self, source: int, mark: int, says: Mapping[bytes, bytes], prepared: object = None) -> bool:
        """See `Rows.insert`."""
        if not isinstance(prepared, _Prepared):
            prepared = _Prepared(None, list(groups(list(says), list(says.values()))))
        self._known.forget_tables()
        may_insert = not self._known.layers.exist or self._known.may_insert(list(says), source, prepared.suspects)
        return may_insert and self._connection.insert_new(
            prepared.parts,
            "row_says (row_key, source, seen, says) SELECT {key}, :source, :mark, {value} FROM places",
            "row_says WHERE row_key IN (SELECT {key} FROM places)",
            source=source, mark=mark,
        )  # fmt: skip

    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """See `Rows.mark_seen`."""
        for name, some in self._known.locate(list(rows), _ANY_SOURCE).items():
            for group in groups(some):
                if reader:
                    self._connection.run(
                        f"INSERT INTO sightings (reader, row_key, mark) SELECT :reader, row_key, :mark FROM places "
                        f"JOIN {name} ON row_key = {{key}} WHERE TRUE "
                        "ON CONFLICT (reader, row_key) DO UPDATE SET mark = MAX(mark, excluded.mark)",
                        group, reader=reader, mark=mark,
                    )  # fmt: skip
                else:
                    self._connection.run(
                        f"UPDATE {name} SET seen = :mark "
                        "WHERE row_key IN (SELECT {key} FROM places) AND seen < :mark",
                        group, mark=mark,
                    )  # fmt: skip

    def marks(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """See `Rows.marks`."""
        with self._connection.snapshot():
            if reader:
                source = "places CROSS JOIN sightings ON reader = :reader AND row_key = {key}"
                found = self._connection.find("mark", source, list(rows), in_order=False, reader=reader)
            else:
                found = self._known.find("seen", list(rows), _ANY_SOURCE, fill=False)
        return {row: int(mark) for row, mark in found.items()}

    def _page(self, select: str, limit: int, *parameters: object) -> list[tuple[bytes, bytes]]:
        """See `Rows._page`."""
        with self._connection.snapshot():
            return super()._page(select, limit, *parameters)

    def _tables(self) -> Sequence[str]:
        """See `Rows._tables`."""
        return self._layers.names()


def _parts_of(values: list[bytes], where: Sequence[slice]) -> list[bytes]:
    """Return some parts of a list, joined."""
    return [value for part in where for value in values[part]] if len(where) != 1 else values[where[0]]
