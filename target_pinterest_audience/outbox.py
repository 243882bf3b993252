"""What is about to be sent: noted in the ledger before, so that the next run sends what a killed one left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

from target_pinterest_audience.changes import Decisions, ListDecisions
from target_pinterest_audience.ledger import Ledger
from target_pinterest_audience.membership import NOBODY, Cause
from target_pinterest_audience.packed import member_key
from target_pinterest_audience.pinterest import Operation

_IN_A_NOTE: Final = 10_000


class Sending(NamedTuple):
    """Identities on their way for the same thing.

    Attributes:
        operation: what is to be done with them.
        identities: one after the other.
        lines: the line of the stream that each is sent for.
        cause: why they are removed; None if they are added.
    """

    operation: Operation
    identities: list[bytes]
    lines: list[int]
    cause: Cause | None


class Outgoing(NamedTuple):
    """Identities that are noted together."""

    list_number: int
    note: int
    sendings: list[Sending]
    """In the order of the stream, so that a batch that stays half-full holds back no earlier STATE."""

    @property
    def first_line(self) -> int:
        """The first line of the stream that any of them is sent for."""
        return self.sendings[0].lines[0]

    @property
    def last_line(self) -> int:
        """The last line of the stream that any of them is sent for."""
        return self.sendings[-1].lines[-1]


def note_decisions(ledger: Ledger, decisions: Decisions) -> list[Outgoing]:
    """Note who is about to be sent, within a transaction of the caller; return it as it is to be handed over."""
    outgoing = []
    for number, decided in decisions.items():
        for sendings in _in_order(decided):
            identities = [identity for each in sendings for identity in each.identities]
            note = ledger.note_unsettled(number, identities, _causes(sendings))
            outgoing.append(Outgoing(number, note, sendings))
    return outgoing


def _causes(sendings: list[Sending]) -> bytes:
    """Return why identities are removed, a byte for each; nothing if none are."""
    if all(each.cause is None for each in sendings):
        return b""
    return b"".join(bytes([each.cause or Cause.UNFINISHED]) * len(each.identities) for each in sendings)


def _in_order(decided: ListDecisions) -> Iterator[list[Sending]]:
    """Yield what is to be sent in the order of the stream, so much as is noted together at a time."""
    causes: list[Cause | None] = [None] * len(decided.additions)
    causes += [removal.cause for removal in decided.removals.values()]
    identities = [*decided.additions, *decided.removals]
    lines = [*decided.additions.values(), *(removal.line for removal in decided.removals.values())]
    in_order = sorted(range(len(lines)), key=lines.__getitem__)
    for start in range(0, len(in_order), _IN_A_NOTE):
        some = in_order[start : start + _IN_A_NOTE]
        yield [
            Sending(
                Operation.ADD if cause is None else Operation.REMOVE,
                [identities[place] for place in places],
                [lines[place] for place in places],
                cause,
            )
            for cause, group in groupby(some, causes.__getitem__)
            for places in [list(group)]
        ]


def owed(ledger: Ledger, list_number: int) -> Iterator[tuple[int, list[tuple[Operation, bytes, Cause]]]]:
    """Yield each note of a list and what sends its identities to where they belong by now, with the cause of removals.

    Whatever Pinterest did with them since they were noted, afterwards it agrees with the ledger.
    """
    for note, identities in ledger.unsettled(list_number):
        counts = ledger.read_members(list_number, list(map(member_key, identities)))
        belong = (counts.get(member_key(identity), NOBODY).on_list for identity in identities)
        operations = [Operation.ADD if each else Operation.REMOVE for each in belong]
        causes = ledger.removal_causes(list_number, note) or bytes(len(identities))
        yield note, list(zip(operations, identities, map(Cause, causes), strict=True))


def owes_additions(ledger: Ledger, list_number: int) -> bool:
    """Tell whether somebody may have been added to a list without an answer."""
    return any(operation is Operation.ADD for _, some in owed(ledger, list_number) for operation, *_ in some)


class Outbox:
    """The notes whose identities were handed over in this run, until Pinterest has accepted them all."""

    def __init__(self) -> None:
        """Begin with none."""
        self._handed_over: dict[int, dict[int, int]] = defaultdict(dict)
        """List → note → the last line that it was handed over for."""
        self._left: set[tuple[int, int]] = set()

    def add(self, list_number: int, note: int, last_line: int) -> None:
        """Take in a note that was handed over as a whole."""
        self._handed_over[list_number][note] = last_line

    def leave(self, list_number: int, note: int) -> None:
        """Take in a note that is for the next run."""
        self._left.add((list_number, note))

    def has(self, list_number: int, note: int) -> bool:
        """Tell whether a note is of this run, so that nothing is to be done about it."""
        return note in self._handed_over[list_number] or (list_number, note) in self._left

    def settle(self, list_number: int, oldest_line: int | None) -> list[int]:
        """Forget and return the notes that nothing is left of.

        Args:
            list_number: the list.
            oldest_line: the earliest line that something waits for that the list has not accepted; None if all is.
        """
        handed_over = self._handed_over[list_number]
        settled = [note for note, line in handed_over.items() if oldest_line is None or line < oldest_line]
        for note in settled:
            del handed_over[note]
        return settled
