"""What a ledger can do, whichever database it is kept in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from target_pinterest_audience.membership.healing import is_healing
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.alerts import StandingAlerts
    from target_pinterest_audience.ledger.catalogue import Catalogue
    from target_pinterest_audience.ledger.history import History
    from target_pinterest_audience.membership.counts import Count


class Note(NamedTuple):
    """Identities of a list that something is sent for, or was sent for without an answer.

    Attributes:
        number: the number of the note.
        identities: the identities.
        causes: why they are removed, a byte for each; nothing if that is not known, or none are.
        due: when they are to be sent, in seconds since 1970; None: a request with them may be under way. See `healing`.
        sent: what the unanswered request asked for; None if there may have been several.
    """

    number: int
    identities: list[bytes]
    causes: bytes
    due: float | None
    sent: Operation | None


class Ledger(ABC):
    """Rows and what they say, members and how many rows name them, and what Pinterest has not accepted yet.

    Every method raises a `LedgerError` if the database fails. Methods that write are called within `transaction`. Of
    several threads, one at a time has the database, for the length of a transaction; the others wait.

    Attributes:
        where: the place of the ledger, for people; without a password.
        secret: what its keyed digests are made with.
        places_rows: whether it has rows with neighbouring keys side by side; see `keys.RowDigester`.
        catalogue: the small tables: lists, sources, columns, runs.
        history: what runs leave for people.
        alerts: what people are told of.
        caveat: what is dangerous about its place, as sentences; None if nothing is known to be.
    """

    where: str
    caveat: str | None = None
    secret: bytes
    places_rows: bool
    catalogue: Catalogue
    history: History
    alerts: StandingAlerts

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Commit what is written in the block, durably; roll it back if the block raises.

        It begins only if this process still holds all its locks; else it raises as `ensure_locks` does. In a dry run
        nothing is ever committed: later blocks see what earlier ones wrote, and `close` forgets it.
        """

    @abstractmethod
    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """Take locks and keep them until the process ends or `close`; those that this ledger has already are free.

        Args:
            names: what is locked, in the order in which it is taken.
            wait_seconds: how long to wait for all of them.

        Raises:
            LedgerError: another process has one. The message names its host, process and start.
        """

    @abstractmethod
    def ensure_locks(self) -> None:
        """Make sure that this process still holds all the locks that it took; it costs nothing if it took none.

        May be called from any thread, and does not wait for a transaction of another one.

        Raises:
            LedgerError: it lost one, or that cannot be checked.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End what another thread has under way with a `LedgerError`; nothing happens if there is nothing."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the locks and the database."""

    # Rows

    @abstractmethod
    def read_rows(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """Return what rows say, encoded; those that the ledger does not know are left out."""

    def differing_rows(self, says: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return what rows say, as `read_rows` does, if it is not what they are supposed to say.

        Args:
            says: row → what it is supposed to say; nothing, if it is supposed to be unknown.

        Returns:
            Row → what it says, nothing if it is unknown.
        """
        known = self.read_rows(says)
        return {row: known.get(row, b"") for row, said in says.items() if known.get(row, b"") != said}

    @abstractmethod
    def write_rows(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """Replace what rows say, and mark them as seen unless a later mark is there; one that says nothing is deleted.

        Args:
            source: the source.
            mark: what reader 0 marks the rows with, as `mark_seen` does; 0 if it did not see them.
            says: row → what it says, encoded.
        """

    def insert_rows(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> bool:  # noqa: ARG002 - declined
        """Write rows without looking them up before, where that is quicker; each says something.

        Returns:
            Whether they are written. False if a row is known already, or if it is not quicker; nothing is written then.
        """
        return False

    @abstractmethod
    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """Mark rows as seen by a reader. Marks only grow; rows that the ledger does not know are passed over."""

    @abstractmethod
    def marks_of(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """Return the marks that a reader left on rows; rows that it did not see are left out."""

    def unseen_rows(
        self, source: int, before: int, after: bytes, limit: int, reader: int = 0
    ) -> list[tuple[bytes, bytes]]:
        """Return some of a source's rows that a reader has not seen for some time.

        Args:
            source: the source.
            before: rows are returned whose mark is less than this one, or that have none.
            after: only rows whose digests are greater; `b""` to begin with.
            limit: how many at most.
            reader: whose marks count.

        Returns:
            Pairs of digest and what the row says, ordered by digest.
        """
        if reader:
            found = self._query(
                "SELECT row_says.row_key, says FROM row_says LEFT JOIN sightings ON sightings.reader = ? "
                "AND sightings.row_key = row_says.row_key WHERE row_says.row_key > ? AND source = ? "
                "AND COALESCE(mark, 0) < ? ORDER BY row_says.row_key LIMIT ?",
                reader, after, source, before, limit,
            )  # fmt: skip
        else:
            found = self._query(
                "SELECT row_key, says FROM row_says WHERE row_key > ? AND source = ? AND seen < ? ORDER BY row_key "
                "LIMIT ?",
                after, source, before, limit,
            )  # fmt: skip
        return [(bytes(row), bytes(said)) for row, said in found]

    def rows_of(self, source: int, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return some of a source's rows, whichever run saw them; see `unseen_rows`."""
        found = self._query(
            "SELECT row_key, says FROM row_says WHERE row_key > ? AND source = ? ORDER BY row_key LIMIT ?",
            after, source, limit,
        )  # fmt: skip
        return [(bytes(row), bytes(said)) for row, said in found]

    # Members

    @abstractmethod
    def read_members(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """Return how many rows name each identity; those that none names are left out."""

    @abstractmethod
    def write_members(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """Replace the counts of identities; one that no row names is forgotten."""

    def insert_members(self, list_number: int, identities: Collection[bytes]) -> bool:  # noqa: ARG002 - declined
        """Count identities as named by one row each, likewise without looking them up; see `insert_rows`."""
        return False

    # What Pinterest has not accepted yet

    def note_unsettled(
        self,
        list_number: int,
        identities: Collection[bytes],
        causes: bytes = b"",
        *,
        due: float | None = None,
        sent: Operation | None = None,
    ) -> int:
        """Note that something is about to be sent for identities, or is to be sent once more.

        Args:
            list_number: the list.
            identities: the identities.
            causes: why they are removed, a byte for each; nothing if none are.
            due: when they are to be sent, in seconds since 1970; None: a request with them may be under way.
            sent: what the unanswered request asked for that is the reason, if there was just one.

        Returns:
            The number of the note.
        """
        ((note,),) = self._query("SELECT COALESCE(MAX(note), 0) + 1 FROM unsettled WHERE list = ?", list_number)
        self._query(
            "INSERT INTO unsettled (list, note, identities, causes, due, sent) VALUES (?, ?, ?, ?, ?, ?)",
            list_number, note, msgspec.msgpack.encode(list(identities)), causes or None, due, sent and sent.value,
        )  # fmt: skip
        return int(note)

    def settle(self, list_number: int, notes: Collection[int]) -> None:
        """Forget notes, since all that they name was accepted."""
        for note in notes:
            self._query("DELETE FROM unsettled WHERE list = ? AND note = ?", list_number, note)

    def postpone(self, list_number: int, notes: Collection[int], due: float | None) -> None:
        """Change when notes are to be sent; see `note_unsettled`. What was sent for them may then be anything."""
        for note in notes:
            self._query("UPDATE unsettled SET due = ?, sent = NULL WHERE list = ? AND note = ?", due, list_number, note)

    def notes(self, list_number: int) -> Iterator[Note]:
        """Yield all notes of a list, the oldest first."""
        for (number,) in self._query("SELECT note FROM unsettled WHERE list = ? ORDER BY note", list_number):
            for identities, causes, due, sent in self._query(
                "SELECT identities, causes, due, sent FROM unsettled WHERE list = ? AND note = ?", list_number, number
            ):
                named = msgspec.msgpack.decode(bytes(identities), type=list[bytes])
                operation = Operation(sent) if sent is not None else None
                yield Note(int(number), named, bytes(causes or b""), due, operation)

    def due_times(self, list_number: int) -> dict[int, float | None]:
        """Return when each note of a list is to be sent; None: at once."""
        return dict(self._query("SELECT note, due FROM unsettled WHERE list = ? ORDER BY note", list_number))

    def unsettled(self, list_number: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the number of each note of a list and the identities that it names, the oldest first.

        Those are left out that are only to be sent once more.
        """
        return ((note.number, note.identities) for note in self.notes(list_number) if not is_healing(note.due))

    def count_unsettled(self, list_number: int) -> int:
        """Return how many identities those notes of a list name."""
        return sum(len(identities) for _, identities in self.unsettled(list_number))

    @abstractmethod
    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that every database knows; see `Query`."""
