"""The right to erasure: somebody leaves every list of the ad account, and does not come back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.delivery.halving import Halving
from target_pinterest_audience.delivery.pending import ENVELOPE_BYTES, cut
from target_pinterest_audience.identities.packed import as_records, member_key
from target_pinterest_audience.membership.events import Kind, Named
from target_pinterest_audience.membership.healing import is_healing, safe_seconds
from target_pinterest_audience.membership.statements import statements
from target_pinterest_audience.pinterest.errors import NotFoundError, PinterestError, RefusedError
from target_pinterest_audience.reconcile.notes import note_decisions
from target_pinterest_audience.reconcile.withdrawal import apply_to_rows, event_of, pages
from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, tell_removal
from target_pinterest_audience.vocabulary import Cause, Operation

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
    """A customer list that somebody is to leave."""

    id: str
    name: str | None
    listed: bool
    """Whether Pinterest lists it; if not, the ledger knows it."""


class Receipt(NamedTuple):
    """What was done about one list; it names nobody."""

    list: str
    name: str | None
    outcome: str
    at: float | None
    """When Pinterest answered, in seconds since 1970; None if nothing was sent."""
    request_ids: tuple[str, ...]
    """What Pinterest calls the requests that it accepted."""


def strike_from_ledger(
    ledger: Ledger, locks: Locks, shorten: Shorten, identities: Collection[bytes], *, suppress: bool, now: float
) -> frozenset[tuple[int, int]]:
    """Take somebody out of what rows contribute, and note the removals that follow, at one stroke.

    What rows refuse stays: it keeps the same person off the lists.

    Args:
        ledger: the ledger.
        locks: taken for all that the ledger knows.
        shorten: the keyed digest of an identity.
        identities: all forms in which a list may hold the person, packed.
        suppress: whether no run may add them again, to any list.
        now: seconds since 1970.

    Returns:
        List and number of each note of these removals.

    Raises:
        LedgerError: the ledger cannot be written, or another process is at work.
    """
    locks.take_all()
    known = {*identities, *map(shorten, identities)}
    named = tuple(Named(0, 0, each) for each in sorted(identities))
    catalogue = ledger.catalogue
    noted: set[tuple[int, int]] = set()
    with ledger.transaction():
        locks.refuse_newcomers()
        for source in catalogue.sources():
            event = event_of(Kind.FORGOTTEN, source.number, named=named)
            for page in pages(ledger, source.number):
                rows = [row for row, said in page if any(each.identity in known for each in statements(said))]
                decisions = apply_to_rows(ledger, rows, event, shorten)
                noted.update((each.list_number, each.note) for each in note_decisions(ledger, decisions))
        if suppress:
            for key in sorted(set(map(member_key, identities))):
                catalogue.suppressions.add(key, now)
    return frozenset(noted)


def _tell_nobody(_sentence: str) -> None:
    """Pass over."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Sends the removals of somebody, list by list; every such request leaves here.

    Attributes:
        account: the ad account.
        ledger: knows some of its lists; None if there is none.
        settings: how much fits into a request, and whether any is sent.
        identities: all forms in which a list may hold the person, packed.
        now: returns the seconds since 1970.
        history: notes what was removed, for people.
        noted: what `strike_from_ledger` returned.
        tell: told of each request that Pinterest accepted, for the log.
    """

    account: PinterestClient
    ledger: Ledger | None
    settings: Settings
    identities: tuple[bytes, ...]
    now: Callable[[], float]
    history: RunHistory | None = None
    tell: Callable[[str], None] = _tell_nobody
    noted: Collection[tuple[int, int]] = frozenset()

    def targets(self) -> list[Target]:
        """Return all customer lists of the account: those that Pinterest lists, and others that the ledger knows.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        found = {each.id: Target(each.id, each.name, listed=True) for each in self.account.customer_lists()}
        # A listing can lag behind.
        for entry in self.ledger.catalogue.lists() if self.ledger is not None else ():
            if entry.customer_list_id is not None:
                known = Target(entry.customer_list_id, entry.name, listed=False)
                found.setdefault(known.id, known)
        return list(found.values())

    def remove_from(self, target: Target) -> Receipt:
        """Have Pinterest remove the person from a list, whether they are on it or not.

        The API does not tell what type a list is of, so every list is asked.

        Raises:
            PinterestError: Pinterest could not be reached, or does not permit it; the subclass says what can be done.
        """
        if self.settings.dry_run:
            return Receipt(target.id, target.name, WOULD_BE_REMOVED, None, ())
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
            self.tell(tell_removal(accepted[-1], target.name, target.id))

        try:
            outcome = self._deliver(Halving(send))
        except NotFoundError:
            # One of Pinterest's machines may not know a new list yet.
            outcome = NOT_FOUND if target.listed else GONE
        self._note(target, accepted)
        if outcome == REMOVED:
            self._settle(target, unanswered=unanswered)
        request_ids = tuple(each.request_id for each in accepted if each.request_id is not None)
        return Receipt(target.id, target.name, outcome, self.now(), request_ids)

    def _note(self, target: Target, accepted: Collection[AcceptedRemoval]) -> None:
        """Note in the ledger, if it knows the list, what Pinterest removed."""
        entry = self.ledger.catalogue.list_of_id(target.id) if self.ledger is not None else None
        if self.ledger is None or self.history is None or entry is None:
            return
        with self.ledger.transaction():
            for removal in accepted:
                self.history.removed(entry.number, removal)
            self.history.write_removals()

    def _deliver(self, halving: Halving) -> str:
        settings = self.settings
        room = max(1, settings.max_request_bytes - ENVELOPE_BYTES)
        refused = False
        for batch in cut(Operation.REMOVE, self.identities, settings.batch_size_rows, room):
            try:
                refused = bool(halving.deliver(batch)) or refused
            except RefusedError:  # noqa: PERF203 - one round is a request
                refused = True
        return REFUSED if refused else REMOVED

    def _settle(self, target: Target, *, unanswered: bool) -> None:
        """Strike out what was noted for the list and names nobody else.

        A request of a run that was cut short may still bring the person back, so what that run left is sent once more
        by a later run.
        """
        entry = self.ledger.catalogue.list_of_id(target.id) if self.ledger is not None else None
        if self.ledger is None or entry is None:
            return
        removed = set(self.identities)
        due = self.now() + safe_seconds(self.settings.read_timeout_seconds)
        with self.ledger.transaction():
            for note in list(self.ledger.notes(entry.number)):
                if not removed.issuperset(note.identities) or is_healing(note.due):
                    continue
                if (entry.number, note.number) in self.noted or note.due is not None:
                    self.ledger.settle(entry.number, [note.number])
                else:
                    self.ledger.postpone(entry.number, [note.number], due)
            if unanswered:
                causes = bytes([Cause.FORGET]) * len(self.identities)
                self.ledger.note_unsettled(entry.number, self.identities, causes, due=due, sent=Operation.REMOVE)
