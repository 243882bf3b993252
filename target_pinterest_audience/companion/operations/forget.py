"""The right to erasure: removes people from every list of the ad account, and keeps them out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.companion.operations.find_people import count_people
from target_pinterest_audience.delivery.halving import Halving, Trial, WireRefusedError
from target_pinterest_audience.delivery.pending import cut, records_room
from target_pinterest_audience.identities.packed import as_records, member_key
from target_pinterest_audience.ledger.marks.settling import forget_deleted
from target_pinterest_audience.membership.events import Kind, Named
from target_pinterest_audience.membership.healing import is_healing, may_be_under_way, safe_seconds
from target_pinterest_audience.membership.statements import statements
from target_pinterest_audience.pinterest.errors import NotFoundError, PinterestError, RefusedError
from target_pinterest_audience.reconcile.notes import note_decisions
from target_pinterest_audience.reconcile.withdrawal import apply_to_rows, event_of, pages
from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, tell_removal
from target_pinterest_audience.vocabulary import Cause, Operation, WireFormat

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.client import PinterestClient
    from target_pinterest_audience.reconcile.locks import Locks
    from target_pinterest_audience.reconcile.run_history import RunHistory
    from target_pinterest_audience.reconcile.withdrawal import Shorten
    from target_pinterest_audience.settings import Settings

REMOVED: Final = "removed"
WOULD_BE_REMOVED: Final = "would be removed"
GONE: Final = "list is gone"
NOT_FOUND: Final = "list not found"
REFUSED: Final = "refused by Pinterest"
NOT_DONE: Final = "not done"


class Target(NamedTuple):
    """A customer list to remove people from."""

    id: str
    name: str | None
    listed: bool
    """Whether Pinterest's listing has it; if not, it is known from the ledger."""
    people: int
    """How many of the people were on it, by the ledger. If none, it is asked as a precaution."""


class Erased(NamedTuple):
    """What `erase_from_ledger` did."""

    notes: frozenset[tuple[int, int]] = frozenset()
    """The list and the number of each note of a removal."""
    people: Mapping[int, int] = {}
    """List → how many of the people were on it."""


NOTHING_ERASED: Final = Erased()


class Receipt(NamedTuple):
    """What was done on one list; it contains no identities."""

    target: Target
    outcome: str
    at: float | None
    """The Unix time of Pinterest's response; None if nothing was sent."""
    request_ids: tuple[str, ...]
    """Pinterest's ids of the requests that it accepted."""


def erase_from_ledger(
    ledger: Ledger, locks: Locks, shorten: Shorten, people: Sequence[Collection[bytes]], *, suppress: bool, now: float
) -> Erased:
    """Delete what rows contribute of the identities, and note the resulting removals, in one transaction.

    What rows refuse stays: it keeps the same people off the lists.

    Args:
        ledger: the ledger.
        locks: takes the locks of all lists in the ledger.
        shorten: returns the keyed digest of an identity.
        people: all forms in which a list may contain each person, packed.
        suppress: whether to keep runs from adding them again, to any list.
        now: Unix time in seconds.

    Raises:
        LedgerError: the ledger cannot be written, or another process holds a lock.
    """
    locks.take_all()
    identities = frozenset[bytes]().union(*people)
    known = {*identities, *map(shorten, identities)}
    named = tuple(Named(0, 0, each) for each in sorted(identities))
    catalogue = ledger.catalogue

    def erase() -> Erased:
        locks.refuse_newcomers()
        were_on = count_people(ledger, people)
        noted: set[tuple[int, int]] = set()
        for source in catalogue.sources.all():
            event = event_of(Kind.FORGOTTEN, source.number, named=named)
            touched = False
            for page in pages(ledger, source.number):
                rows = [row for row, said in page if any(each.identity in known for each in statements(said))]
                touched = touched or bool(rows)
                decisions = apply_to_rows(ledger, rows, event, shorten)
                noted.update((each.list_number, each.note) for each in note_decisions(ledger, decisions))
            if touched:
                forget_deleted(ledger, source.number)
        if suppress:
            for key in sorted(set(map(member_key, identities))):
                catalogue.suppressions.add(key, now)
        return Erased(frozenset(noted), were_on)

    return ledger.transact(erase)


def _log_nothing(_sentence: str) -> None:
    """Log nothing."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Removes people from the lists of the ad account, one list after the other.

    Attributes:
        account: the client for the ad account.
        ledger: the ledger; None if there is none.
        settings: limit the size of requests, and may make this a dry run.
        identities: all forms in which a list may contain the people, packed.
        now: returns the Unix time in seconds.
        history: records the removals.
        log: logs a sentence for each request that Pinterest accepted.
        erased: what `erase_from_ledger` returned.
        phones_are_meant: whether some identities are known to be phone numbers. Otherwise they may be, and a list for
            which Pinterest accepts no phone numbers holds none.
    """

    account: PinterestClient
    ledger: Ledger | None
    settings: Settings
    identities: tuple[bytes, ...]
    now: Callable[[], float]
    history: RunHistory | None = None
    log: Callable[[str], None] = _log_nothing
    erased: Erased = NOTHING_ERASED
    phones_are_meant: bool = False

    def targets(self) -> list[Target]:
        """Return all customer lists of the ad account: those in Pinterest's listing, and others that the ledger knows.

        Raises:
            PinterestError: the listing cannot be read.
        """
        entries = self.ledger.catalogue.lists.all() if self.ledger is not None else ()
        people = {each.customer_list_id: self.erased.people.get(each.number, 0) for each in entries}
        found = {
            each.id: Target(each.id, each.name, listed=True, people=people.get(each.id, 0))
            for each in self.account.customer_lists()
        }
        # The listing can lag behind.
        for entry in entries:
            if entry.customer_list_id is not None:
                known = Target(entry.customer_list_id, entry.name, listed=False, people=people[entry.customer_list_id])
                found.setdefault(known.id, known)
        return list(found.values())

    def remove_from(self, target: Target) -> Receipt:
        """Have Pinterest remove the people from a list, whether they are on it or not.

        The API does not return the type of a list, so lists of every type get the request.

        Raises:
            PinterestError: Pinterest cannot be reached, or does not permit the request.
        """
        if self.settings.dry_run:
            return Receipt(target, WOULD_BE_REMOVED, None, ())
        accepted: list[AcceptedRemoval] = []
        unanswered = False

        def send(batch: Batch) -> None:
            nonlocal unanswered
            try:
                answer = self.account.update_customer_list(target.id, batch.operation, as_records(batch.identities))
            except PinterestError as error:
                unanswered = unanswered or error.unanswered
                raise
            unanswered = unanswered or answer.unanswered
            causes = {Cause.FORGET: len(batch.identities)}
            accepted.append(AcceptedRemoval(answer.received, causes, answer.request_id))
            self.log(tell_removal(accepted[-1], target.name, target.id))

        try:
            outcome = self._deliver(
                {WireFormat.RECORDS: Halving(send), WireFormat.PHONES: Halving(send, trial=Trial())}
            )
        except NotFoundError:
            # Some of Pinterest's servers may not know a new list yet.
            outcome = NOT_FOUND if target.listed else GONE
        self._note(target, accepted)
        if outcome == REMOVED:
            self._settle(target, unanswered=unanswered)
        request_ids = tuple(each.request_id for each in accepted if each.request_id is not None)
        return Receipt(target, outcome, self.now(), request_ids)

    def _note(self, target: Target, accepted: Collection[AcceptedRemoval]) -> None:
        """Record in the history what Pinterest removed, if the ledger knows the list."""
        entry = self.ledger.catalogue.lists.by_id(target.id) if self.ledger is not None else None
        if self.ledger is None or self.history is None or entry is None:
            return
        for removal in accepted:
            self.history.removed(entry.number, removal)
        self.ledger.transact(self.history.write_removals)
        self.history.forget_removals()

    def _deliver(self, halving: Mapping[WireFormat, Halving]) -> str:
        settings = self.settings
        room = records_room(settings.max_request_bytes, None)
        refused = False
        for batch in cut(Operation.REMOVE, self.identities, settings.batch_size_rows, room):
            try:
                some_refused = bool(halving[batch.wire].deliver(batch))
            except (RefusedError, WireRefusedError):
                some_refused = True
            # If only a digest was given, it need not be that of a phone number.
            needless = halving[batch.wire].is_in_doubt and not self.phones_are_meant
            refused = refused or (some_refused and not needless)
        return REFUSED if refused else REMOVED

    def _settle(self, target: Target, *, unanswered: bool) -> None:
        """Settle the notes for the list that contain only these people.

        A request of an interrupted run may still add the people again. So a later run resends what that run left.
        """
        entry = self.ledger.catalogue.lists.by_id(target.id) if self.ledger is not None else None
        if self.ledger is None or entry is None:
            return
        removed, notes, number = set(self.identities), self.ledger.notes, entry.number
        due = self.now() + safe_seconds(self.settings.read_timeout_seconds)

        def settle() -> None:
            for note in list(notes.of_list(number)):
                if not removed.issuperset(note.identities) or is_healing(note.due):
                    continue
                if (number, note.number) in self.erased.notes or not may_be_under_way(note.due):
                    notes.settle(number, [note.number])
                else:
                    notes.postpone(number, [note.number], due)
            if unanswered:
                causes = bytes([Cause.FORGET]) * len(self.identities)
                notes.add(number, self.identities, causes, due=due, sent=Operation.REMOVE)

        self.ledger.transact(settle)
