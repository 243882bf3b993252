"""Rows: what each row says, and the marks of the runs that read it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.ledger.marks.seen_keys import SeenKeys, unpack

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.marks.seen_keys import Append
    from target_pinterest_audience.ledger.query import Query


class Rows(ABC):
    """The rows of a ledger. A row is known by the digest of its source and its key.

    Attributes:
        seen_keys: the keys of rows that were marked by `note_seen`.
    """

    def __init__(self, query: Query, append: Append | None = None) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements that both databases know.
            append: see `SeenKeys`.
        """
        self._query = query
        self.seen_keys = SeenKeys(query, append)

    @abstractmethod
    def read(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """Return row → what it says, encoded. Rows that the ledger does not know are left out."""

    def differing(self, says: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the rows whose stored statements differ from those in `says`.

        Args:
            says: row → its expected statements, encoded; empty if the row should be unknown.

        Returns:
            Row → its stored statements; empty if it is unknown.
        """
        known = self.read(says)
        return {row: known.get(row, b"") for row, said in says.items() if known.get(row, b"") != said}

    @abstractmethod
    def write(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """Replace what rows say, and mark them unless they have a later mark. Rows that say nothing are deleted.

        Args:
            source: the source of the rows.
            mark: the mark of reader 0, as in `mark_seen`; 0 if that reader did not read the rows.
            says: row → what it says, encoded.
        """

    def prepare(self, source: int, says: Mapping[bytes, bytes]) -> object:  # noqa: ARG002 - nothing to prepare
        """Do what `insert` can do without the database, so that another thread can use it meanwhile.

        Returns:
            What to hand to `insert` with the same rows. Other rows may be prepared before that.
        """
        return None

    def insert(self, source: int, mark: int, says: Mapping[bytes, bytes], prepared: object = None) -> bool:  # noqa: ARG002 - declined
        """Write rows without a look-up before, where that is faster. Each row says something.

        Args:
            source: see `write`.
            mark: see `write`.
            says: see `write`.
            prepared: what `prepare` returned, if it was called.

        Returns:
            Whether the rows were written. If one is known already, or if it would not be faster, nothing is written.
        """
        return False

    @abstractmethod
    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """Mark each of some rows as seen by a reader; for many rows, `note_seen` is faster.

        Marks only grow; rows that the ledger does not know are skipped.
        """

    def note_seen(self, source: int, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """Record that a reader saw rows of a source, without a write for each of them. `marks` does not return it."""
        self.seen_keys.add(source, reader, mark, rows)

    @abstractmethod
    def marks(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """Return row → its mark by a reader, from `mark_seen` or `write`. Rows that have none are left out.

        A row that the ledger knows always has one by reader 0.
        """

    def unseen(self, source: int, before: int, limit: int, reader: int = 0) -> Iterator[list[bytes]]:
        """Yield the rows of a source that a reader has not seen lately, in pages, ordered by their digests.

        The rows of a page may be changed before the next page is requested. All pages are full except the last one,
        because few rows are looked up hardly faster than many.

        Args:
            source: the source.
            before: only rows with an earlier mark than this one, or without a mark.
            limit: how many rows a page has at most.
            reader: the reader whose marks count.
        """
        noted = self.seen_keys.in_order(source, reader, before)
        after = b""
        unseen: list[bytes] = []
        while page := self._marked_before(source, before, after, limit, reader):
            after = page[-1]
            missing = set(page)
            for keys in noted.up_to(after):
                missing.difference_update(unpack(keys))
            unseen += sorted(missing)
            if len(unseen) >= limit:
                yield unseen[:limit]
                unseen = unseen[limit:]
        if unseen:
            yield unseen

    def _marked_before(self, source: int, before: int, after: bytes, limit: int, reader: int) -> list[bytes]:
        """Return a page of the rows whose own mark is earlier than `before`, whatever `note_seen` recorded."""
        if reader:
            found = self._page(
                "SELECT {rows}.row_key AS row_key FROM {rows} LEFT JOIN sightings ON sightings.reader = ? "
                "AND sightings.row_key = {rows}.row_key WHERE {rows}.row_key > ? AND source = ? "
                "AND COALESCE(mark, 0) < ?",
                limit, reader, after, source, before,
            )  # fmt: skip
        else:
            found = self._page(
                "SELECT row_key FROM {rows} WHERE row_key > ? AND source = ? AND seen < ?",
                limit, after, source, before,
            )  # fmt: skip
        return [bytes(row) for (row,) in found]

    def of_source(self, source: int, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return a page of all rows of a source, ordered by their digests.

        Args:
            source: the source.
            after: only rows with greater digests; `b""` for the first page.
            limit: how many rows at most.

        Returns:
            Pairs of digest and what the row says.
        """
        select = "SELECT row_key, says FROM {rows} WHERE row_key > ? AND source = ?"
        return [(bytes(row), bytes(said)) for row, said in self._page(select, limit, after, source)]

    def _tables(self) -> Sequence[str]:
        """Return the names of the tables that rows are in, each row in one of them."""
        return ("row_says",)

    def _page(self, select: str, limit: int, *parameters: object) -> list[tuple[Any, ...]]:
        """Return a page of rows, ordered by their digests.

        Args:
            select: the statement for one of `_tables`, whose name is written `{rows}`.
            limit: how many rows at most.
            parameters: its parameters.
        """
        tables = self._tables()
        parts = " UNION ALL ".join(select.format(rows=name) for name in tables)
        return self._query(f"{parts} ORDER BY row_key LIMIT ?", *parameters * len(tables), limit)
