"""The table `seen_keys`: the keys of unchanged rows that `overwrite` read, sorted and joined in pieces.

A mark at each row would change a page of the table for almost every row. A piece is written once, behind the others,
and takes 16 bytes a row. To find the rows that a run did not see, the pieces are merged in the order of their keys, as
the rows are read: so memory depends on how many pieces overlap, not on how many there are.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.membership.row_keys import ROW_BYTES

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

PIECE_KEYS: Final = 1_024
"""How many keys a piece holds at most. The more, the fewer statements a window takes; the fewer, the less memory the
pieces take that overlap: each window adds pieces from one end of the keys to the other."""

END: Final = b"\xff" * ROW_BYTES
"""No key is greater."""

_PAGE_PIECES: Final = 128
_MOST_PARAMETERS: Final = 500
_NEWEST: Final = (1 << 31) - 1
_KEY: Final = struct.Struct(f"{ROW_BYTES}s")


class Piece(NamedTuple):
    """Keys that one run saw.

    Attributes:
        first: the first key.
        mark: the mark of the run.
        number: the number of the piece among those of its mark.
        keys: the keys, sorted and joined.
    """

    first: bytes
    mark: int
    number: int
    keys: bytes


def unpack(keys: bytes) -> Iterator[bytes]:
    """Yield keys that are joined."""
    return (key for (key,) in _KEY.iter_unpack(keys))


def joined(rows: Collection[bytes]) -> list[bytes]:
    """Return keys, sorted and joined, in pieces."""
    ordered = sorted(rows)
    return [b"".join(ordered[start : start + PIECE_KEYS]) for start in range(0, len(ordered), PIECE_KEYS)]


Append = Callable[[int, int, int, int, Sequence[bytes]], None]
"""Writes pieces: source, reader, mark, number of the first piece, joined keys of each."""


class KeysInOrder:
    """Some pieces, merged: a pass over their keys in order, a stretch at a time."""

    def __init__(self, read: Callable[[Piece, bytes], list[Piece]]) -> None:
        """Begin before the first key.

        Args:
            read: returns a page of the pieces behind a piece that begin up to a key, in the order of their first keys.
        """
        self._read = read
        self._newest = Piece(b"", 0, 0, b"")
        self._begun: list[Piece] = []
        """The pieces that reach beyond the last stretch; of each, the keys that are left."""
        self._finished: list[int] = []

    def up_to(self, last: bytes) -> Iterator[bytes]:
        """Yield the keys up to a key and beyond the last stretch, joined, in several sorted parts.

        The next stretch may begin when all parts were taken.
        """
        begun, self._begun = self._begun, []
        for piece in begun:
            yield from self._cut(piece, last)
        while page := self._read(self._newest, last):
            self._newest = page[-1]._replace(keys=b"")
            for piece in page:
                yield from self._cut(piece, last)

    def _cut(self, piece: Piece, last: bytes) -> Iterator[bytes]:
        """Yield the keys of a piece up to a key, and keep the others."""
        keys = piece.keys
        size = len(keys)
        if keys[-ROW_BYTES:] > last:
            starts = range(0, size, ROW_BYTES)
            size = ROW_BYTES * bisect_right(starts, last, key=lambda start: keys[start : start + ROW_BYTES])
            self._begun.append(piece._replace(keys=keys[size:]))
        else:
            self._finished.append(piece.number)
        if size:
            yield keys[:size]

    def take_finished(self) -> list[int]:
        """Return the numbers of the pieces of which no key is left, each of them once."""
        finished, self._finished = self._finished, []
        return finished


class SeenKeys:
    """The pieces in a ledger."""

    def __init__(self, query: Query, append: Append | None = None) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            append: writes pieces, if there is a faster way than a statement for each.
        """
        self._query = query
        self._append = append or self._append_each

    def add(self, source: int, reader: int, mark: int, rows: Collection[bytes]) -> None:
        """Record that a reader saw rows."""
        pieces = joined(rows)
        if pieces:
            ((newest,),) = self._query(
                "SELECT COALESCE(MAX(piece), 0) FROM seen_keys WHERE source = ? AND reader = ? AND mark = ?",
                source, reader, mark,
            )  # fmt: skip
            self._append(source, reader, mark, int(newest) + 1, pieces)

    def _append_each(self, source: int, reader: int, mark: int, number: int, pieces: Sequence[bytes]) -> None:
        for place, keys in enumerate(pieces, number):
            self._query(
                "INSERT INTO seen_keys (source, reader, mark, piece, first_key, row_keys) VALUES (?, ?, ?, ?, ?, ?)",
                source, reader, mark, place, keys[:ROW_BYTES], keys,
            )  # fmt: skip

    def readers(self, source: int) -> list[int]:
        """Return the readers that saw rows of a source."""
        found = self._query("SELECT DISTINCT reader FROM seen_keys WHERE source = ? ORDER BY reader", source)
        return [int(reader) for (reader,) in found]

    def sizes(self, source: int, reader: int) -> dict[int, int]:
        """Return mark → how many keys have it."""
        found = self._query(
            "SELECT mark, SUM(LENGTH(row_keys)) FROM seen_keys WHERE source = ? AND reader = ? GROUP BY mark",
            source, reader,
        )  # fmt: skip
        return {int(mark): int(size) // ROW_BYTES for mark, size in found}

    def in_order(self, source: int, reader: int, oldest: int, newest: int = _NEWEST) -> KeysInOrder:
        """Return a pass over the keys that a reader saw.

        Args:
            source: the source.
            reader: the reader.
            oldest: only keys with this mark or a later one.
            newest: only keys with this mark or an earlier one.
        """

        def read(after: Piece, last: bytes) -> list[Piece]:
            found = self._query(
                "SELECT first_key, mark, piece, row_keys FROM seen_keys WHERE source = ? AND reader = ? "
                "AND (first_key, mark, piece) > (?, ?, ?) AND first_key <= ? AND mark BETWEEN ? AND ? "
                "ORDER BY first_key, mark, piece LIMIT ?",
                source, reader, after.first, after.mark, after.number, last, oldest, newest, _PAGE_PIECES,
            )  # fmt: skip
            return [Piece(bytes(first), mark, number, bytes(keys)) for first, mark, number, keys in found]

        return KeysInOrder(read)

    def first_key_behind(self, source: int, reader: int, mark: int, after: bytes, pieces: int) -> bytes | None:
        """Return the first key of the piece that is so many pieces of a mark behind a key; None if there is none."""
        found = self._query(
            "SELECT first_key FROM seen_keys WHERE source = ? AND reader = ? AND first_key > ? AND mark = ? "
            "ORDER BY first_key LIMIT 1 OFFSET ?",
            source, reader, after, mark, pieces,
        )  # fmt: skip
        return bytes(found[0][0]) if found else None

    def drop(self, source: int, reader: int, mark: int, numbers: Sequence[int]) -> None:
        """Delete pieces of a mark."""
        for start in range(0, len(numbers), _MOST_PARAMETERS):
            some = numbers[start : start + _MOST_PARAMETERS]
            self._query(
                "DELETE FROM seen_keys WHERE source = ? AND reader = ? AND mark = ? "  # noqa: S608 - only question marks
                f"AND piece IN ({', '.join('?' * len(some))})",
                source, reader, mark, *some,
            )  # fmt: skip

    def pages(self, source: int, reader: int) -> Iterator[list[Piece]]:
        """Yield all pieces of a reader; those of a page may be changed before the next page is requested."""
        mark, number = 0, 0
        while found := self._query(
            "SELECT first_key, mark, piece, row_keys FROM seen_keys WHERE source = ? AND reader = ? "
            "AND (mark, piece) > (?, ?) ORDER BY mark, piece LIMIT ?",
            source, reader, mark, number, _PAGE_PIECES,
        ):  # fmt: skip
            page = [Piece(bytes(first), each, piece, bytes(keys)) for first, each, piece, keys in found]
            yield page
            mark, number = page[-1].mark, page[-1].number

    def replace(self, source: int, reader: int, piece: Piece, keys: bytes) -> None:
        """Leave only some of its keys in a piece."""
        if keys:
            self._query(
                "UPDATE seen_keys SET first_key = ?, row_keys = ? "
                "WHERE source = ? AND reader = ? AND mark = ? AND piece = ?",
                keys[:ROW_BYTES], keys, source, reader, piece.mark, piece.number,
            )  # fmt: skip
        else:
            self.drop(source, reader, piece.mark, [piece.number])
