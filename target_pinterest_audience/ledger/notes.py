"""Notes: identities that the ledger records before they are sent, until Pinterest has accepted them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from target_pinterest_audience.ledger.query import marks, parts
from target_pinterest_audience.membership.healing import is_healing
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


class Note(NamedTuple):
    """Identities of a list that are to be sent, or were sent without an answer.

    Attributes:
        number: the number of the note.
        identities: the identities.
        causes: the causes of their removal, a byte for each; empty if they are not known, or none are removed.
        due: when to send them, as Unix time in seconds; None: a request with them may be under way. See `healing`.
        sent: the operation of the unanswered request; None if there may have been several requests.
    """

    number: int
    identities: list[bytes]
    causes: bytes
    due: float | None
    sent: Operation | None


class NewNote(NamedTuple):
    """Identities of a list that are about to be sent.

    Attributes:
        list_number: the list.
        identities: the identities.
        causes: the causes of their removal, a byte for each; empty if none are removed.
    """

    list_number: int
    identities: Collection[bytes]
    causes: bytes


class Notes:
    """The notes of a ledger."""

    def __init__(self, query: Query) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
        """
        self._query = query

    def add(
        self,
        list_number: int,
        identities: Collection[bytes],
        causes: bytes = b"",
        *,
        due: float | None = None,
        sent: Operation | None = None,
    ) -> int:
        """Record identities that are about to be sent, or are to be sent once more.

        Args:
            list_number: the list.
            identities: the identities.
            causes: the causes of their removal, a byte for each; empty if none are removed.
            due: when to send them, as Unix time in seconds; None: a request with them may be under way.
            sent: the operation of the unanswered request that is the reason, if there was just one.

        Returns:
            The number of the note.
        """
        ((note,),) = self._query("SELECT COALESCE(MAX(note), 0) + 1 FROM unsettled WHERE list = ?", list_number)
        self._query(
            "INSERT INTO unsettled (list, note, identities, causes, due, sent) VALUES (?, ?, ?, ?, ?, ?)",
            list_number, note, msgspec.msgpack.encode(list(identities)), causes or None, due, sent and sent.value,
        )  # fmt: skip
        return int(note)

    def add_many(self, new: Sequence[NewNote]) -> list[int]:
        """Record identities that are about to be sent to many lists, and return the numbers of the notes."""
        numbers = []
        for some in parts(new):
            lists = list({each.list_number for each in some})
            newest: dict[int, int] = dict(
                self._query(
                    f"SELECT list, MAX(note) FROM unsettled WHERE list IN ({marks(lists)}) GROUP BY list",  # noqa: S608
                    *lists,
                )
            )
            values: list[object] = []
            for number, identities, causes in some:
                newest[number] = newest.get(number, 0) + 1
                numbers.append(newest[number])
                values += (number, newest[number], msgspec.msgpack.encode(list(identities)), causes or None)
            rows = ", ".join("(?, ?, ?, ?)" for _ in some)
            self._query(f"INSERT INTO unsettled (list, note, identities, causes) VALUES {rows}", *values)  # noqa: S608
        return numbers

    def settle(self, list_number: int, notes: Collection[int]) -> None:
        """Delete notes, because Pinterest accepted all of their identities."""
        self.settle_many([(list_number, note) for note in notes])

    def settle_many(self, notes: Sequence[tuple[int, int]]) -> None:
        """Delete notes of many lists, given the list and the number of each."""
        for some in parts(notes):
            rows = ", ".join("(?, ?)" for _ in some)
            # SQLite uses the index for a SELECT only: for VALUES alone it reads the whole table.
            settled = f"SELECT column1, column2 FROM (VALUES {rows}) AS settled"  # noqa: S608 - our own words
            self._query(
                f"DELETE FROM unsettled WHERE (list, note) IN ({settled})",  # noqa: S608 - our own words
                *(part for each in some for part in each),
            )

    def postpone(self, list_number: int, notes: Collection[int], due: float | None) -> None:
        """Change when notes are sent; see `add`. Their operation counts as unknown from now on."""
        for note in notes:
            self._query("UPDATE unsettled SET due = ?, sent = NULL WHERE list = ? AND note = ?", due, list_number, note)

    def postpone_each(self, due_times: Mapping[tuple[int, int], float | None]) -> None:
        """Do what `postpone` does for each of some notes, given as list and note."""
        for (list_number, note), due in due_times.items():
            self.postpone(list_number, [note], due)

    def of_list(self, list_number: int) -> Iterator[Note]:
        """Yield all notes of a list, oldest first."""
        for (number,) in self._query("SELECT note FROM unsettled WHERE list = ? ORDER BY note", list_number):
            for identities, causes, due, sent in self._query(
                "SELECT identities, causes, due, sent FROM unsettled WHERE list = ? AND note = ?", list_number, number
            ):
                named = msgspec.msgpack.decode(bytes(identities), type=list[bytes])
                operation = Operation(sent) if sent is not None else None
                yield Note(int(number), named, bytes(causes or b""), due, operation)

    def due_times(self, list_number: int) -> dict[int, float | None]:
        """Return note → when it is to be sent, for a list; None: at once."""
        return dict(self._query("SELECT note, due FROM unsettled WHERE list = ? ORDER BY note", list_number))

    def unsettled(self, list_number: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the number and the identities of each note of a list that is not for healing, oldest first."""
        return ((note.number, note.identities) for note in self.of_list(list_number) if not is_healing(note.due))

    def count_unsettled(self, list_number: int) -> int:
        """Return how many identities the notes of `unsettled` name."""
        return sum(len(identities) for _, identities in self.unsettled(list_number))
