"""Notes in the ledger: identities that are recorded before they are sent, so that the next run can finish the job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.notes import Note
from target_pinterest_audience.membership.counts import NOBODY
from target_pinterest_audience.membership.healing import is_due, is_healing, may_be_under_way, once_sent
from target_pinterest_audience.reconcile.windows.decisions import Decisions, ListDecisions
from target_pinterest_audience.vocabulary import Cause, Operation

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Batch

_IN_A_NOTE: Final = 10_000
"""The most identities in a note."""


class Sending(NamedTuple):
    """Identities to send with one operation and for one cause.

    Attributes:
        operation: the operation.
        identities: the identities.
        lines: the line of the stream that each is sent for.
        cause: why they are removed; None if they are added.
    """

    operation: Operation
    identities: list[bytes]
    lines: list[int]
    cause: Cause | None


class Outgoing(NamedTuple):
    """The identities of one note, to be sent."""

    list_number: int
    note: int
    sendings: list[Sending]
    """In the order of the stream, so that a half-full batch holds back no STATE before its own lines."""

    @property
    def first_line(self) -> int:
        """The first line of the stream that any of them is sent for."""
        return self.sendings[0].lines[0]

    @property
    def last_line(self) -> int:
        """The last line of the stream that any of them is sent for."""
        return self.sendings[-1].lines[-1]


def note_decisions(ledger: Ledger, decisions: Decisions) -> list[Outgoing]:
    """Write notes of what is about to be sent, within a transaction of the caller, and return them."""
    outgoing: list[Outgoing] = []
    for number, decided in decisions.items():
        in_notes = list(_in_order(decided))
        noted = [
            ([identity for each in sendings for identity in each.identities], _causes(sendings))
            for sendings in in_notes
        ]
        numbers = ledger.notes.add_all(number, noted)
        outgoing += [Outgoing(number, note, sendings) for note, sendings in zip(numbers, in_notes, strict=True)]
    return outgoing


def _causes(sendings: list[Sending]) -> bytes:
    """Return why identities are removed, one byte for each; no bytes if none are removed."""
    if all(each.cause is None for each in sendings):
        return b""
    return b"".join(bytes([each.cause or Cause.UNFINISHED]) * len(each.identities) for each in sendings)


def _in_order(decided: ListDecisions) -> Iterator[list[Sending]]:
    """Yield what to send in the order of the stream, one note at a time."""
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
                [identities[index] for index in indices],
                [lines[index] for index in indices],
                cause,
            )
            for cause, group in groupby(some, causes.__getitem__)
            for indices in [list(group)]
        ]


class Owed(NamedTuple):
    """The operations that bring the identities of a note to where they belong now.

    Attributes:
        note: the number of the note.
        due: when it is due; see `healing`.
        operations: for each identity the operation, the identity, and why it is removed if it is.
    """

    note: int
    due: float | None
    operations: list[tuple[Operation, bytes, Cause]]


def owed(ledger: Ledger, list_number: int) -> Iterator[Owed]:
    """Yield the operations of each note of a list, except notes that only wait to be sent once more.

    Whatever Pinterest did with the identities since they were noted, the operations bring it in step with the ledger.
    """
    return (
        _current(ledger, list_number, each) for each in ledger.notes.of_list(list_number) if not is_healing(each.due)
    )


def _current(ledger: Ledger, list_number: int, note: Note) -> Owed:
    counts = ledger.members.read(list_number, list(map(member_key, note.identities)))
    belong = (counts.get(member_key(identity), NOBODY).on_list for identity in note.identities)
    operations = [Operation.ADD if each else Operation.REMOVE for each in belong]
    causes = map(Cause, note.causes or bytes(len(note.identities)))
    return Owed(note.number, note.due, list(zip(operations, note.identities, causes, strict=True)))


class Claimed(NamedTuple):
    """Notes that are due.

    Attributes:
        once_more: notes for healing → the operation of the unanswered request; None if there may have been several.
        new: notes for which no request was sent yet, or none without an answer.
    """

    once_more: dict[int, Operation | None]
    new: list[int]


def claim_due(ledger: Ledger, list_number: int, now: float, safe: float) -> Claimed:
    """Claim the notes of a list that are due, within a transaction of the caller.

    If this run dies while it sends them, the next run treats them as notes of this one. A note is deleted if all of its
    identities belong where the unanswered request put them: whenever Pinterest carries it out, it changes nothing.

    Args:
        ledger: the ledger.
        list_number: the list.
        now: Unix time.
        safe: see `healing.safe_seconds`.
    """
    claimed = Claimed({}, [])
    for note in ledger.notes.of_list(list_number):
        if note.due is None or may_be_under_way(note.due) or not is_due(note.due, now, safe):
            continue
        operations = _current(ledger, list_number, note).operations
        if note.sent is not None and all(operation is note.sent for operation, *_ in operations):
            ledger.notes.settle(list_number, [note.number])
            continue
        ledger.notes.postpone(list_number, [note.number], once_sent(note.due))
        if is_healing(note.due):
            claimed.once_more[note.number] = note.sent
        else:
            claimed.new.append(note.number)
    return claimed


def owes_additions(ledger: Ledger, list_number: int) -> bool:
    """Return whether an addition to a list may be under way, so that it may have created the list without an answer."""
    return any(
        operation is Operation.ADD
        for each in owed(ledger, list_number)
        if may_be_under_way(each.due)
        for operation, *_ in each.operations
    )


def note_unanswered(ledger: Ledger, list_number: int, batches: Sequence[Batch], due: float) -> None:
    """Note accepted batches to be sent once more, each identity once, within a transaction of the caller.

    Args:
        ledger: the ledger.
        list_number: the list.
        batches: batches for which an earlier request got no answer.
        due: when to send them, as Unix time.
    """
    asked: dict[bytes, set[Operation]] = defaultdict(set)
    causes: dict[bytes, Cause] = {}
    for batch in batches:
        for identity in batch.identities:
            asked[identity].add(batch.operation)
        causes.update(zip(batch.identities, batch.causes, strict=False))
    alike: dict[Operation | None, list[bytes]] = defaultdict(list)
    for identity, operations in asked.items():
        alike[next(iter(operations)) if len(operations) == 1 else None].append(identity)
    for operation, identities in alike.items():
        for start in range(0, len(identities), _IN_A_NOTE):
            some = identities[start : start + _IN_A_NOTE]
            why = bytes(causes.get(each, Cause.UNFINISHED) for each in some)
            ledger.notes.add(list_number, some, why, due=due, sent=operation)
