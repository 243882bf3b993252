"""One run's dealings with the ledger: its lists and sources, that nobody else writes to them, and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.identities.hashing import HashAlgorithm
from target_pinterest_audience.ledger.catalogue.runs import CLEAN, EMPTY, RunFeed
from target_pinterest_audience.ledger.history import RUN
from target_pinterest_audience.membership.healing import AT_ONCE, is_due, safe_seconds
from target_pinterest_audience.membership.row_keys import Digester
from target_pinterest_audience.reconcile.ceiling import Ceilings
from target_pinterest_audience.reconcile.locks import Locks, reference_to
from target_pinterest_audience.reconcile.outbox import (
    Outbox,
    claim_due,
    note_decisions,
    note_unanswered,
    owed,
    owes_additions,
)
from target_pinterest_audience.reconcile.refused_members import RefusedMembers
from target_pinterest_audience.reconcile.run_history import RunHistory, figures_of
from target_pinterest_audience.routing.orders import Order, name_list
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.settings import MissingLedger
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.vocabulary import Cause, ListType, Operation

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.ledger.catalogue.lists import ListEntry
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.models import CustomerList
    from target_pinterest_audience.reconcile.changes import Decisions
    from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, Receipt
    from target_pinterest_audience.settings import Settings

_RUNS_BACK: Final = 1_000
"""How many runs are looked at for one that ended cleanly."""


class Bookkeeper:
    """Opens lists and sources in the ledger, each under a lock, and keeps the record of the run."""

    def __init__(
        self, ledger: Ledger, settings: Settings, delivery: Delivery, logger: logging.Logger, now: Callable[[], float]
    ) -> None:
        """Find the settings' place in the ledger; nothing is noted yet.

        Args:
            ledger: the ledger.
            settings: the settings.
            delivery: where lists are looked up.
            logger: told of what the ledger does not know.
            now: seconds since 1970.
        """
        self._ledger = ledger
        self._settings = settings
        self._delivery = delivery
        self._logger = logger
        self._now = now
        self.locks = Locks(ledger, settings)
        self.digester = Digester.of(ledger, settings)
        self.ceilings = Ceilings(
            settings.max_removal_percent, self.explain, now, deleted_percent=settings.max_deleted_percent
        )
        self._references: dict[int, ListReference] = {}
        self._numbers: dict[ListReference, int] = {}
        self._ways: dict[int | None, set[ListReference]] = {}
        """List → all references that lead to it."""
        self._former: set[int] = set()
        """The lists that were opened because of what the ledger knows, before any stream of this run named them."""
        self.configuration = self.digester.configuration(settings)
        self._run = 0
        self._changed_settings: list[str] = []
        self._outbox = Outbox()
        self._safe = safe_seconds(settings.read_timeout_seconds)
        self._unanswered: dict[int, list[Batch]] = {}
        """List → batches that it accepted, an earlier request for which may still be carried out."""
        self._to_settle: set[int] = set()
        """The lists of which something was accepted or handed over since notes were forgotten."""
        self._identified: set[int] = set()
        """The lists whose ids the ledger has."""
        self._history = RunHistory(ledger, now)
        self.rows_before = 0
        """How many rows the last clean run of these settings read."""
        self._not_there: set[int] = set()
        """The lists that people were to be added to and that do not exist."""

    def begin_run(self, *, in_history: bool = True) -> int:
        """Note that a run has begun, and return its number.

        Args:
            in_history: whether the history for people has it.
        """
        catalogue = self._ledger.catalogue
        digests = {name: self.digester.setting(name, value) for name, value in self._settings.effects.items()}
        with self._ledger.transaction():
            before = catalogue.runs.newest(self.configuration, clean=True)
            run = self._run = catalogue.runs.begin(self.configuration, digests, self._now())
            if in_history:
                self._history.begin(RUN, run)
            if before is not None:
                # A row that goes to several lists was read once.
                feeds = sorted((feed.source, feed.rows) for feed in catalogue.runs.feeds(before.number))
                self.rows_before = sum(dict(feeds).values())
        self.note_changes(before.settings if before is not None else digests, digests)
        return run

    def _check_algorithm(self, number: int, reference: ListReference) -> None:
        """Note the algorithm of a run that feeds a list.

        Raises:
            ConfigurationError: it changed, and somebody refuses of whom only the form under the former one is known.
        """
        catalogue, algorithm = self._ledger.catalogue, self._settings.hash_algorithm.value
        former, partial = catalogue.lists.algorithm(number)
        if former is None and partial:
            former = self._last_algorithm()
        if former not in {None, algorithm} and partial:
            msg = (
                f"`hash_algorithm` was {former} when {reference} was fed last. Some people refuse to be on it of whom "
                f"the ledger knows one digest only, and {algorithm} would let them back. Set `hash_algorithm: "
                f"{former}` again, or use another list."
            )
            raise ConfigurationError(msg)
        catalogue.lists.set_algorithm(number, algorithm)

    def _last_algorithm(self) -> str | None:
        """Return the algorithm of the last clean run, for lists whose algorithm is not known; None if there is none.

        Runs keep no settings, but the digests of their values. One that did not end cleanly may have been refused for
        its algorithm.
        """
        name = "hash_algorithm"
        digests = {self.digester.setting(name, each.value): each.value for each in HashAlgorithm}
        runs = [each for each in self._ledger.catalogue.runs.recent(_RUNS_BACK) if each.number != self._run]
        clean = [each for each in runs if each.outcome == CLEAN]
        last = clean[:1] or runs[-1:]
        return digests.get(last[0].settings.get(name, "")) if last else None

    def note_changes(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Keep in mind which settings changed from one run to another, by their digests."""
        names = before.keys() | after.keys()
        self._changed_settings = sorted(name for name in names if before.get(name) != after.get(name))

    def end_run(self, run: int, feeds: list[RunFeed], *, empty: bool) -> None:
        """Note that a run ended cleanly; one that is not noted did not.

        Args:
            run: its number.
            feeds: what it read.
            empty: whether neither a row nor a STATE came: such a run is no success, and ends no count of removals.
        """
        outcome, lists = (EMPTY, ()) if empty else (CLEAN, self._references)
        with self._ledger.transaction():
            self._ledger.catalogue.runs.end(run, outcome, self._now(), feeds)
            self._ledger.catalogue.removal_counts.close(lists)

    def begin_history(self, kind: str) -> None:
        """Note that something has begun that is no run; see `HistoryEntry.kind`."""
        with self._ledger.transaction():
            self._history.begin(kind)

    def end_history(self, exit_code: int, rejected: Mapping[int, Mapping[str, int]], *, empty: bool = False) -> None:
        """Note for people how the run ended, cleanly or not; see `figures_of`.

        Raises:
            LedgerError: it cannot be noted.
        """
        reports = {number: self._delivery.report(reference) for number, reference in self._references.items()}
        with self._ledger.transaction():
            lists = figures_of(self._ledger, reports, rejected)
            self._history.end(exit_code, self._delivery.traffic, lists, empty=empty)

    def members(self) -> dict[ListReference, int]:
        """Return how many identities belong on each list of the run."""
        return {reference: self._ledger.catalogue.lists.entry(n).members for n, reference in self._references.items()}

    def mass_refusals(self) -> list[RefusedMembers]:
        """Return the lists of the run that so many members left by refusals that a person should look."""
        return [
            RefusedMembers(report.customer_list_id or "", name_list(report), each.members, each.refused)
            for each in self.ceilings.mass_refusals()
            if each.number in self._references
            for report in [self._delivery.report(self._references[each.number])]
        ]

    def explain(self, number: int) -> tuple[str, str]:
        """Name a list, and tell which settings changed since the last run if any did."""
        changed = ", ".join(f"`{name}`" for name in self._changed_settings)
        suspicion = f"Since the last run {changed} changed, which may be why. " if changed else ""
        entry = self._ledger.catalogue.lists.entry(number)
        name = f'"{entry.name}" (id {entry.customer_list_id})' if entry.name else entry.customer_list_id
        return f"customer list {name}", suspicion

    # Lists

    def open_list(self, plan: ListPlan) -> int:
        """Lock a list, look it up, and return the ledger's number for it.

        Raises:
            LedgerError: another process has the list; or the ledger does not know it and `missing_ledger` is `stop`.
            ConfigurationError: the list cannot be told.
            PinterestError: Pinterest cannot be asked.
        """
        catalogue = self._ledger.catalogue
        if plan.reference not in self._numbers:
            self.locks.take_list(plan.reference)
            pinned = catalogue.lists.pinned(str(plan.reference))
            if pinned is not None and pinned.number in self._former:
                with self._ledger.transaction():
                    self._check_algorithm(pinned.number, plan.reference)
                    self.ceilings.begin(catalogue, pinned.number)
                former = self._references[pinned.number]
                self._remember(pinned, former)
                self._lead(plan.reference, pinned.number)
        if plan.reference in self._numbers:
            number = self._numbers[plan.reference]
            if self._references[number] != plan.reference:
                # Another way to the list would be refused; and this one leads to a list that exists, or must.
                plan = replace(plan, reference=self._references[number], if_missing=IfMissing.REFUSE)
            self._delivery.open(plan)
            return number
        found = self._delivery.open(
            plan,
            pinned.customer_list_id if pinned is not None else None,
            may_be_new=pinned is not None
            and pinned.customer_list_id is None
            and owes_additions(self._ledger, pinned.number),
        )
        if found is not None:
            self.locks.take_list(ListReference(customer_list_id=found.id))
        with self._ledger.transaction():
            entry = self._enter(plan.reference, found, pinned)
            self._check_algorithm(entry.number, plan.reference)
            self.ceilings.begin(catalogue, entry.number)
            catalogue.lists.pin(str(plan.reference), entry.number)
        if found is not None:
            self._identified.add(entry.number)
        self._remember(entry, plan.reference)
        return entry.number

    def _enter(self, reference: ListReference, found: CustomerList | None, pinned: ListEntry | None) -> ListEntry:
        """Return the ledger's entry for a list, which is made if it is new."""
        catalogue = self._ledger.catalogue
        if found is None:
            return pinned or catalogue.lists.add(None, reference.customer_list_name)
        entry = catalogue.lists.by_id(found.id)
        if entry is None and pinned is not None and pinned.customer_list_id is None:
            if not owes_additions(self._ledger, pinned.number):
                # Nobody was about to be added to it, so that no run of ours can have created it and been cut short.
                self._miss(reference)
            catalogue.lists.set_id(pinned.number, found.id)
            return pinned
        if entry is None:
            self._miss(reference)
            entry = catalogue.lists.add(found.id, found.name)
        return entry

    def _remember(self, entry: ListEntry, reference: ListReference) -> None:
        self._lead(reference, entry.number)
        self._references[entry.number] = reference

    def _lead(self, reference: ListReference, number: int) -> None:
        self._numbers[reference] = number
        self._ways.setdefault(number, set()).add(reference)

    def _miss(self, reference: ListReference) -> None:
        """Say that people may have been sent to a list whom the ledger does not know.

        Raises:
            LedgerError: `missing_ledger` says to stop.
        """
        what = (
            f"{self._ledger.where} knows nothing of {reference}, which exists. People who were sent to it before are "
            "sent again, and whoever left since then cannot be removed."
        )
        if self._settings.missing_ledger is MissingLedger.STOP:
            msg = (
                f"{what} Give `ledger_url` the ledger of the former runs; if there were none, set `missing_ledger: "
                "warn` for one run."
            )
            raise LedgerError(msg)
        self._logger.warning(
            "%s If runs are in throw-away containers, keep the ledger in PostgreSQL or on a volume, and set "
            "`missing_ledger: stop`.", what,
        )  # fmt: skip

    def reference(self, number: int) -> ListReference:
        """Return what the delivery knows a list by; one that only former settings led to is opened.

        Raises:
            TargetError: it cannot be opened.
        """
        if number not in self._references:
            entry = self._ledger.catalogue.lists.entry(number)
            reference = reference_to(entry)
            self._delivery.open(ListPlan(reference, ListType.EMAIL, IfMissing.GO_ON, audience=None))
            self._remember(entry, reference)
            self._former.add(number)
        return self._references[number]

    def references_to(self, reference: ListReference) -> set[ListReference]:
        """Return all references of the run that lead to the list of one of them."""
        return set(self._ways.get(self._numbers.get(reference), ()))

    def settle(self, receipt: Receipt) -> None:
        """Note what came of a batch, if the ledger has to do with its list."""
        reference, customer_list_id, batch, refused, _ = receipt
        number = self._numbers.get(reference)
        if number is None:
            return
        if refused:
            self._note_refused(number, batch, refused)
        if customer_list_id is None and batch.operation is Operation.ADD:
            # Without a list nobody was added: they stay unsettled until there is one.
            self._not_there.add(number)
            return
        catalogue = self._ledger.catalogue
        if customer_list_id is not None and number not in self._identified:
            # From its creation on, another process may come to it by its id.
            self.locks.take_list(ListReference(customer_list_id=customer_list_id))
            if catalogue.lists.entry(number).customer_list_id is None:
                with self._ledger.transaction():
                    catalogue.lists.set_id(number, customer_list_id)
            self._identified.add(number)
        if batch.unanswered:
            # Before their notes are forgotten, in `tidy`.
            self._unanswered.setdefault(number, []).append(batch)
        self._to_settle.add(number)

    def removed(self, reference: ListReference, removal: AcceptedRemoval) -> None:
        """Keep in mind that Pinterest removed somebody, if the ledger has to do with the list."""
        number = self._numbers.get(reference)
        if number is not None:
            self._history.removed(number, removal)

    def _note_refused(self, number: int, batch: Batch, places: Sequence[int]) -> None:
        """Note whom Pinterest refused of a batch, so that the next run tries them again, if they still matter then."""
        with self._ledger.transaction():
            refused = [batch.identities[place] for place in places]
            causes = bytes(batch.causes[place] for place in places if batch.causes)
            self._outbox.leave(number, self._ledger.notes.add(number, refused, causes, due=AT_ONCE))

    def handed_over(self, number: int, note: int, last_line: int) -> None:
        """Keep in mind that what a note names waits for requests, the last of it for a line of the stream."""
        self._outbox.add(number, note, last_line)
        self._to_settle.add(number)

    def note(self, decisions: Decisions) -> None:
        """Note who is about to be sent, within a transaction of the caller; `resend` hands it over."""
        for outgoing in note_decisions(self._ledger, decisions):
            self._outbox.expect(outgoing.list_number, outgoing.note)

    def tidy(self) -> None:
        """Forget the notes that nothing is left of, and write for people why whoever was removed was.

        What an unanswered request was about is kept until it can be sent once more: what former runs left, and what
        was accepted after an attempt without an answer.
        """
        floor = self._delivery.watermark.floor
        settled = {
            number: self._outbox.settle(number, floor(self._references[number]))
            for number in self._to_settle - self._not_there
        }
        self._to_settle.clear()
        if any(map(any, settled.values())) or self._unanswered or self._history.has_removals:
            due = self._now() + self._safe
            with self._ledger.transaction():
                for number, batches in self._unanswered.items():
                    note_unanswered(self._ledger, number, batches, due)
                for number, notes in settled.items():
                    self._ledger.notes.settle(number, notes.done)
                    self._ledger.notes.postpone(number, notes.leftover, due)
                self._history.write_removals()
            self._unanswered.clear()

    def owes(self, number: int) -> bool:
        """Tell whether something is noted for a list that may not have arrived, or that is to be sent once more now."""
        due_times = self._ledger.notes.due_times(number).values()
        return any(is_due(due, self._now(), self._safe) for due in due_times)

    def leftovers(self, number: int) -> Iterator[Order]:
        """Yield orders for what was noted for a list and may not have arrived; what waits already is not doubled.

        After that, for what was accepted long enough ago and may have been undone by an older request: see `healing`.
        """
        with self._ledger.transaction():
            once_more, new = claim_due(self._ledger, number, self._now(), self._safe)
        for note in new:
            self._outbox.expect(number, note)
        handed_over: set[bytes] = set()
        for note, operations in owed(self._ledger, number):
            if note not in once_more and not self._outbox.has(number, note):
                yield from self._orders(number, operations)
                handed_over.update(identity for _, identity, _ in operations)
                self._outbox.add_leftover(number, note)
                self._to_settle.add(number)
        if once_more:
            yield from self._once_more(number, once_more, handed_over)

    def _once_more(
        self, number: int, once_more: Mapping[int, Operation | None], handed_over: set[bytes]
    ) -> Iterator[Order]:
        """Yield orders for whom an old request may have put where they do not belong, each once.

        Args:
            number: the list.
            once_more: note → what the old request asked for; None if that may be several things.
            handed_over: who waits already, and needs no second request.
        """
        before = len(handed_over)
        for note, operations in owed(self._ledger, number):
            if note in once_more:
                some = [
                    (operation, identity, cause or Cause.REPEATED)
                    for operation, identity, cause in operations
                    if identity not in handed_over and operation is not once_more[note]
                ]
                yield from self._orders(number, some)
                handed_over.update(identity for _, identity, _ in some)
                self._outbox.add(number, note, last_line=0)
                self._to_settle.add(number)
        count = len(handed_over) - before
        if count:
            self._logger.info(
                "%s: %s sent once more, since Pinterest may have carried out an earlier, unanswered request late.",
                self.reference(number), several(count, "identity is", "identities are"),
            )  # fmt: skip

    def _orders(self, number: int, operations: Iterable[tuple[Operation, bytes, Cause]]) -> Iterator[Order]:
        for (operation, cause), some in groupby(operations, lambda each: (each[0], each[2])):
            identities = [identity for _, identity, _ in some]
            yield Order(self.reference(number), operation, identities, [0] * len(identities), cause)
