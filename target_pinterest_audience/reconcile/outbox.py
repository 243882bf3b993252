"""What is about to be sent: noted in the ledger before, so that the next run sends what a killed one left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.notes import Note
from target_pinterest_audience.membership.healing import is_due, is_healing
from target_pinterest_audience.membership.statements import NOBODY
from target_pinterest_audience.reconcile.changes import Decisions, ListDecisions
from target_pinterest_audience.vocabulary import Cause, Operation

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Batch

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
            note = ledger.notes.add(number, identities, _causes(sendings))
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


class Owed(NamedTuple):
    """What sends the identities of a note to where they belong by now.

    Attributes:
        note: the number of the note.
        operations: what is to be done with each identity, and why if it is removed.
    """

    note: int
    operations: list[tuple[Operation, bytes, Cause]]


def owed(ledger: Ledger, list_number: int) -> Iterator[Owed]:
    """Yield what each note of a list comes to by now, but for those that are only to be sent once more.

    Whatever Pinterest did with them since they were noted, afterwards it agrees with the ledger.
    """
    notes = ledger.notes.of_list(list_number)
    return (_come_to(ledger, list_number, each) for each in notes if not is_healing(each.due))


def _come_to(ledger: Ledger, list_number: int, note: Note) -> Owed:
    counts = ledger.members.read(list_number, list(map(member_key, note.identities)))
    belong = (counts.get(member_key(identity), NOBODY).on_list for identity in note.identities)
    operations = [Operation.ADD if each else Operation.REMOVE for each in belong]
    causes = map(Cause, note.causes or bytes(len(note.identities)))
    return Owed(note.number, list(zip(operations, note.identities, causes, strict=True)))


class Claimed(NamedTuple):
    """Notes whose time has come.

    Attributes:
        once_more: those that are there for healing → what the unanswered request asked for; None if there may have
            been several.
        new: those that no request was sent for yet, or none without an answer.
    """

    once_more: dict[int, Operation | None]
    new: list[int]


def claim_due(ledger: Ledger, list_number: int, now: float, safe: float) -> Claimed:
    """Let those notes be sent at once whose time has come, within a transaction of the caller.

    Should this run die while it sends them, the next one takes them for what it was sending. A note is forgotten if
    all that it names belongs where the unanswered request put it: whenever that is carried out, it changes nothing.

    Args:
        ledger: the ledger.
        list_number: the list.
        now: seconds since 1970.
        safe: see `healing.safe_seconds`.
    """
    claimed = Claimed({}, [])
    for note in ledger.notes.of_list(list_number):
        if note.due is None or not is_due(note.due, now, safe):
            continue
        operations = _come_to(ledger, list_number, note).operations
        if note.sent is not None and all(operation is note.sent for operation, *_ in operations):
            ledger.notes.settle(list_number, [note.number])
            continue
        ledger.notes.postpone(list_number, [note.number], None)
        if is_healing(note.due):
            claimed.once_more[note.number] = note.sent
        else:
            claimed.new.append(note.number)
    return claimed


def owes_additions(ledger: Ledger, list_number: int) -> bool:
    """Tell whether somebody may have been added to a list without an answer."""
    return any(operation is Operation.ADD for each in owed(ledger, list_number) for operation, *_ in each.operations)


def note_unanswered(ledger: Ledger, list_number: int, batches: Sequence[Batch], due: float) -> None:
    """Note accepted batches that are to be sent once more, within a transaction of the caller, each identity once.

    Args:
        ledger: the ledger.
        list_number: the list.
        batches: each with its operation; an earlier request with it got no answer.
        due: when they are to be sent, in seconds since 1970.
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


class Settled(NamedTuple):
    """Notes of a list that nothing is left of.

    Attributes:
        done: those that can be forgotten.
        leftover: those of former runs, whose own requests may still be carried out.
    """

    done: list[int]
    leftover: list[int]


class Outbox:
    """The notes whose identities were handed over in this run, until Pinterest has accepted them all."""

    def __init__(self) -> None:
        """Begin with none."""
        self._handed_over: dict[int, dict[int, int]] = defaultdict(dict)
        """List → note → the last line that it was handed over for."""
        self._left: set[tuple[int, int]] = set()
        self._own: set[tuple[int, int]] = set()
        """The notes of this run that `resend` is to hand over."""
        self._leftover: set[tuple[int, int]] = set()
        """The notes of former runs that were handed over."""

    def expect(self, list_number: int, note: int) -> None:
        """Take in a note of this run that is not handed over yet."""
        self._own.add((list_number, note))

    def add(self, list_number: int, note: int, last_line: int) -> None:
        """Take in a note that was handed over as a whole."""
        self._handed_over[list_number][note] = last_line

    def add_leftover(self, list_number: int, note: int) -> None:
        """Take in a note that was handed over as a whole, and that a former run left unless `expect` says otherwise."""
        if (list_number, note) not in self._own:
            self._leftover.add((list_number, note))
        self.add(list_number, note, last_line=0)

    def leave(self, list_number: int, note: int) -> None:
        """Take in a note that is for the next run."""
        self._left.add((list_number, note))

    def has(self, list_number: int, note: int) -> bool:
        """Tell whether a note is of this run, so that nothing is to be done about it."""
        return note in self._handed_over[list_number] or (list_number, note) in self._left

    def settle(self, list_number: int, oldest_line: int | None) -> Settled:
        """Forget and return the notes that nothing is left of.

        Args:
            list_number: the list.
            oldest_line: the earliest line that something waits for that the list has not accepted; None if all is.
        """
        handed_over = self._handed_over[list_number]
        settled = Settled([], [])
        for note in [note for note, line in handed_over.items() if oldest_line is None or line < oldest_line]:
            del handed_over[note]
            (settled.leftover if (list_number, note) in self._leftover else settled.done).append(note)
            self._leftover.discard((list_number, note))
        return settled
