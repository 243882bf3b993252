"""The outbox: the notes of a run, from the moment they are handed to delivery until Pinterest has accepted them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.membership.healing import (
    AT_ONCE,
    REFUSED,
    is_due,
    may_be_under_way,
    once_answered,
    was_refused,
)
from target_pinterest_audience.reconcile.notes import claim_due, note_decisions, note_unanswered, owed
from target_pinterest_audience.routing.orders import Order
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.vocabulary import Cause, Operation, WireFormat

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.list_book import ListBook
    from target_pinterest_audience.reconcile.notes import Outgoing
    from target_pinterest_audience.reconcile.run_history import RunHistory
    from target_pinterest_audience.reconcile.windows.decisions import Decisions
    from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, Receipt
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.watermark import Watermark


class Outbox:
    """Makes orders of notes, and deletes the notes when Pinterest has accepted all of their identities.

    It is the journal of the dispatcher: see `run.dispatcher.Journal`.
    """

    def __init__(
        self,
        ledger: Ledger,
        lists: ListBook,
        history: RunHistory,
        watermark: Watermark,
        logger: logging.Logger,
        now: Callable[[], float],
        *,
        safe_seconds: float,
    ) -> None:
        """Begin without notes.

        Args:
            ledger: the ledger.
            lists: the lists of the run.
            history: records removals for people.
            watermark: the watermark of the stream; held for identities that are not accepted yet.
            logger: logs identities that are sent once more.
            now: returns the Unix time.
            safe_seconds: see `healing.safe_seconds`.
        """
        self._ledger = ledger
        self._lists = lists
        self._history = history
        self._watermark = watermark
        self._logger = logger
        self._now = now
        self._safe_seconds = safe_seconds
        self._handed_over: dict[int, dict[int, int]] = defaultdict(dict)
        """List → note → the last line that it was handed over for."""
        self._found: dict[int, set[int]] = {}
        """List → the notes of former runs for which a request may be under way."""
        self._own: set[tuple[int, int]] = set()
        """The notes of this run that `leftovers` hands over."""
        self._former: set[tuple[int, int]] = set()
        """The notes of former runs that were handed over."""
        self._begun: set[tuple[int, int]] = set()
        """The notes of which a request may have left in this run."""
        self._for_next_run: set[tuple[int, int]] = set()
        self._refused_before: defaultdict[int, set[bytes]] = defaultdict(set)
        """List → identities that Pinterest refused one by one in earlier runs."""
        self._refused_with_format: defaultdict[int, list[int]] = defaultdict(list)
        """List → notes of identities that Pinterest refused before it accepted any in their wire format."""
        self._unanswered: dict[int, list[Batch]] = {}
        """List → accepted batches for which Pinterest may still carry out an earlier request."""
        self._to_settle: set[int] = set()
        """The lists with identities that were accepted or handed over since the last `tidy`."""
        self._without_list: set[int] = set()
        """The lists that have additions and do not exist."""

    def note(self, decisions: Decisions) -> None:
        """Note what is about to be sent, within a transaction of the caller; `leftovers` hands it over."""
        for outgoing in note_decisions(self._ledger, decisions):
            self._own.add((outgoing.list_number, outgoing.note))

    def hand_over(self, outgoing: Outgoing) -> Iterator[Order]:
        """Yield the orders of a note. The note counts as handed over once all of them were taken.

        Raises:
            TargetError: a list that only former settings led to cannot be opened.
        """
        reference = self._lists.reference(outgoing.list_number)
        self._begun.add((outgoing.list_number, outgoing.note))
        for operation, identities, lines, cause in outgoing.sendings:
            yield Order(reference, operation, identities, lines, cause or Cause.UNFINISHED)
        self._add(outgoing.list_number, outgoing.note, outgoing.last_line)

    def has_leftovers(self, number: int) -> bool:
        """Return whether the ledger has notes of a list that are due: unfinished, or to be sent once more."""
        due_times = self._ledger.notes.due_times(number)
        self._found[number] = {note for note, due in due_times.items() if may_be_under_way(due)}
        return any(is_due(due, self._now(), self._safe_seconds) for due in due_times.values())

    def leftovers(self, number: int) -> Iterator[Order]:
        """Yield orders for the notes of a list that are due and were not handed over in this run.

        After those that may not have arrived come those that were accepted long enough ago, and that an older request
        may have undone since: see `healing`.

        Args:
            number: the list.
        """
        claim = partial(claim_due, self._ledger, number, self._now(), self._safe_seconds)
        once_more, new = self._ledger.transact(claim)
        # Lines below those of the stream, one for each note: the next run need not send again what Pinterest has
        # accepted of them, or a rate limit that ends each run before the last note would end them all.
        lines = iter(range(-len(self._ledger.notes.due_times(number)), 0))
        self._own.update((number, note) for note in new)
        sent: set[bytes] = set()
        under_way: set[bytes] = set()
        for note, due, operations in owed(self._ledger, number):
            if note in once_more or self._has(number, note):
                continue
            identities = {identity for _, identity, _ in operations}
            is_own = (number, note) in self._own
            if identities <= (sent if is_own else under_way):
                # A run that was cut short noted them once more; the other note stays until they are accepted.
                self._ledger.transact(partial(self._ledger.notes.settle, number, [note]))
                continue
            some = [each for each in operations if each[1] not in sent]
            if was_refused(due):
                self._refused_before[number].update(identities)
            line = next(lines)
            self._begun.add((number, note))
            yield from self._orders(number, some, line, refused_before=was_refused(due))
            sent |= identities
            if not is_own:
                under_way |= identities
                self._former.add((number, note))
            self._add(number, note, line)
        if once_more:
            yield from self._once_more(number, once_more, sent, lines)

    def removed(self, reference: ListReference, removal: AcceptedRemoval) -> None:
        """Record a request that removed identities, if the ledger feeds the list."""
        number = self._lists.number_of(reference)
        if number is not None:
            self._history.removed(number, removal)

    def settle(self, receipt: Receipt) -> None:
        """Note that Pinterest accepted a batch, if the ledger feeds the list.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        reference, customer_list_id, batch, refused = receipt.list, receipt.list_id, receipt.batch, receipt.refused
        number = self._lists.number_of(reference)
        if number is None:
            return
        if refused:
            self._note_refused(number, receipt)
        is_whole = len(refused) == len(batch.identities)
        if customer_list_id is None and batch.operation is Operation.ADD and not is_whole:
            # Without a list nobody was added: the notes stay until there is one.
            self._without_list.add(number)
            return
        if customer_list_id is not None:
            self._lists.note_id(number, customer_list_id)
        if not is_whole and batch.wire is WireFormat.PHONES and number in self._refused_with_format:
            self._note_format_accepted(number)
        if batch.unanswered:
            # Noted in `tidy`, before the notes of the batch are deleted.
            self._unanswered.setdefault(number, []).append(batch)
        self._to_settle.add(number)

    def references_to(self, reference: ListReference) -> set[ListReference]:
        """Return all references of the run that lead to the same list as one of them."""
        number = self._lists.number_of(reference)
        return self._lists.references_of(number) if number is not None else set()

    def tidy(self) -> None:
        """Delete the notes that Pinterest has accepted, and write the removals to the history.

        Identities that an unanswered request may still affect stay noted until they can be sent once more: those of
        former runs, and those that were accepted after an attempt without an answer.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        settled = {number: self._take_accepted(number) for number in self._to_settle - self._without_list}
        self._to_settle.clear()
        if any(map(any, settled.values())) or self._unanswered or self._history.has_removals:
            self._ledger.transact(partial(self._write_settled, settled, self._now() + self._safe_seconds))
            self._unanswered.clear()
            self._history.forget_removals()

    def _write_settled(self, settled: Mapping[int, _Settled], due: float) -> None:
        for number, batches in self._unanswered.items():
            note_unanswered(self._ledger, number, batches, due)
        done = [(number, note) for number, notes in settled.items() for note in notes.done]
        self._ledger.notes.settle_many(done)
        for number, notes in settled.items():
            self._ledger.notes.postpone(number, notes.former, due)
        self._history.write_removals()

    def note_unsent(self, notes: Iterable[tuple[int, int]]) -> None:
        """Note at the end of the run for which notes no request has left: they need no healing once they are accepted.

        Args:
            notes: notes of this run that were not handed over, as list and note.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        self._postpone(dict.fromkeys(sorted({*notes, *self._own} - self._begun), AT_ONCE))

    def note_missing_lists(self) -> None:
        """Note at the end of the run that nothing is under way for lists that Pinterest clearly refused to create.

        Otherwise the next run would look for them as for lists that an interrupted run may have created.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        self._postpone(
            {
                (number, note): once_answered(due)
                for number in self._found
                if self._lists.was_never_created(number)
                for note, due in self._ledger.notes.due_times(number).items()
                if may_be_under_way(due) and note not in self._found[number]
            }
        )

    def _postpone(self, due_times: Mapping[tuple[int, int], float | None]) -> None:
        if due_times:
            self._ledger.transact(partial(self._ledger.notes.postpone_each, due_times))

    def _take_accepted(self, number: int) -> _Settled:
        """Forget and return the notes of a list that were accepted as a whole."""
        floor = self._watermark.floor(self._lists.reference(number))
        handed_over = self._handed_over[number]
        settled = _Settled([], [])
        for note in [note for note, line in handed_over.items() if floor is None or line < floor]:
            del handed_over[note]
            (settled.former if (number, note) in self._former else settled.done).append(note)
            self._former.discard((number, note))
        return settled

    def _note_refused(self, number: int, receipt: Receipt) -> None:
        """Note the identities that Pinterest refused, so that the next run tries them again if they still matter."""
        batch, before = receipt.batch, self._refused_before[number]
        alone: list[int] = []
        with_format: list[int] = []
        for index in receipt.refused:
            by_format = receipt.wire_refused and batch.identities[index] not in before
            (with_format if by_format else alone).append(index)

        def add() -> list[tuple[int, float]]:
            notes = []
            for indices, due in ((alone, REFUSED), (with_format, AT_ONCE)):
                if indices:
                    identities = [batch.identities[index] for index in indices]
                    causes = bytes(batch.causes[index] for index in indices if batch.causes)
                    notes.append((self._ledger.notes.add(number, identities, causes, due=due), due))
            return notes

        for note, due in self._ledger.transact(add):
            self._for_next_run.add((number, note))
            if due == AT_ONCE:
                self._refused_with_format[number].append(note)

    def _note_format_accepted(self, number: int) -> None:
        """Note that Pinterest accepts the wire format, so it refuses the earlier ones for themselves."""
        self._postpone({(number, note): REFUSED for note in self._refused_with_format.pop(number)})

    def _add(self, number: int, note: int, last_line: int) -> None:
        self._handed_over[number][note] = last_line
        self._to_settle.add(number)

    def _has(self, number: int, note: int) -> bool:
        """Return whether this run has handed a note over, or left it to the next run."""
        return note in self._handed_over[number] or (number, note) in self._for_next_run

    def _once_more(
        self, number: int, once_more: Mapping[int, Operation | None], handed_over: set[bytes], lines: Iterator[int]
    ) -> Iterator[Order]:
        """Yield orders for identities that an old request may have moved to the wrong place, each once.

        Args:
            number: the list.
            once_more: note → the operation of the old request; None if there may have been several.
            handed_over: the identities that were handed over already and need no second request.
            lines: a line for each note.
        """
        before = len(handed_over)
        for note, _, operations in owed(self._ledger, number):
            if note in once_more:
                some = [
                    (operation, identity, cause or Cause.REPEATED)
                    for operation, identity, cause in operations
                    if identity not in handed_over and operation is not once_more[note]
                ]
                line = next(lines)
                yield from self._orders(number, some, line)
                handed_over.update(identity for _, identity, _ in some)
                self._add(number, note, line)
        count = len(handed_over) - before
        if count:
            self._logger.info(
                "%s: %s sent once more, since Pinterest may have carried out an earlier, unanswered request late.",
                self._lists.reference(number), several(count, "identity is", "identities are"),
            )  # fmt: skip

    def _orders(
        self,
        number: int,
        operations: Iterable[tuple[Operation, bytes, Cause]],
        line: int,
        *,
        refused_before: bool = False,
    ) -> Iterator[Order]:
        for (operation, cause), some in groupby(operations, lambda each: (each[0], each[2])):
            identities = [identity for _, identity, _ in some]
            lines = [line] * len(identities)
            yield Order(self._lists.reference(number), operation, identities, lines, cause, refused_before)


class _Settled(NamedTuple):
    """Notes that were accepted as a whole.

    Attributes:
        done: notes to delete.
        former: notes of former runs, whose own requests Pinterest may still carry out.
    """

    done: list[int]
    former: list[int]
