"""Notes: identities that the ledger records before they are sent, until Pinterest has accepted them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from target_pinterest_audience.membership.healing import is_healing
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

_Each = TypeVar("_Each")
_TOGETHER: Final = 50
"""How many notes to write or delete in one statement."""


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
        return self.add_all(list_number, [(identities, causes)], due=due, sent=sent)[0]

    def add_all(
        self,
        list_number: int,
        noted: Sequence[tuple[Collection[bytes], bytes]],
        *,
        due: float | None = None,
        sent: Operation | None = None,
    ) -> list[int]:
        """Record what `add` records in several notes, given the identities and the causes of each.

        Returns:
            The numbers of the notes.
        """
        ((first,),) = self._query("SELECT COALESCE(MAX(note), 0) + 1 FROM unsettled WHERE list = ?", list_number)
        numbers = list(range(int(first), int(first) + len(noted)))
        operation = sent and sent.value
        # Together, because the database may be far away.
        for some in _pages(list(zip(numbers, noted, strict=True))):
            rows = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(some))
            values = [
                (list_number, number, msgspec.msgpack.encode(list(identities)), causes or None, due, operation)
                for number, (identities, causes) in some
            ]
            statement = f"INSERT INTO unsettled (list, note, identities, causes, due, sent) VALUES {rows}"  # noqa: S608 - our own words
            self._query(statement, *chain.from_iterable(values))
        return numbers

    def settle(self, list_number: int, notes: Collection[int]) -> None:
        """Delete notes, because Pinterest accepted all of their identities."""
        for some in _pages(list(notes)):
            which = ", ".join("?" * len(some))
            self._query(f"DELETE FROM unsettled WHERE list = ? AND note IN ({which})", list_number, *some)  # noqa: S608 - our own words

    def postpone(self, list_number: int, notes: Collection[int], due: float | None) -> None:
        """Change when notes are sent; see `add`. Their operation counts as unknown from now on."""
        for note in notes:
            self._query("UPDATE unsettled SET due = ?, sent = NULL WHERE list = ? AND note = ?", due, list_number, note)

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


def _pages(several: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    return (several[start : start + _TOGETHER] for start in range(0, len(several), _TOGETHER))
