"""The books of one process: its locks, lists, notes and record in the ledger, put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_pinterest_audience.membership.healing import safe_seconds
from target_pinterest_audience.reconcile.ceiling import Ceilings
from target_pinterest_audience.reconcile.list_book import ListBook
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.reconcile.outbox import Outbox
from target_pinterest_audience.reconcile.run_history import figures_of
from target_pinterest_audience.reconcile.run_record import RunRecorder
from target_pinterest_audience.routing.orders import ListSize

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.ledger.catalogue.runs import RejectCounts
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.settings import Settings


@dataclass(frozen=True, slots=True)
class Books:
    """What a run, or a command that removes people, keeps in the ledger. Nothing is written before it begins.

    Attributes:
        ledger: the ledger.
        delivery: sends to the lists.
        locks: the locks on lists and sources.
        recorder: records the beginning and the end.
        ceilings: count the removals from each list.
        lists: the lists and their numbers in the ledger.
        outbox: the notes of what is sent; the dispatcher's journal.
    """

    ledger: Ledger
    delivery: Delivery
    locks: Locks
    recorder: RunRecorder
    ceilings: Ceilings
    lists: ListBook
    outbox: Outbox

    @classmethod
    def make(
        cls, ledger: Ledger, settings: Settings, delivery: Delivery, logger: logging.Logger, now: Callable[[], float]
    ) -> Books:
        """Put the books of a process together.

        Args:
            ledger: the ledger.
            settings: the settings.
            delivery: sends to the lists.
            logger: logs warnings.
            now: returns the Unix time.
        """
        locks, recorder = Locks(ledger, settings), RunRecorder(ledger, settings, now)
        ceilings = Ceilings(
            settings.max_removal_percent, recorder.explain, now, deleted_percent=settings.max_deleted_percent
        )
        lists = ListBook(ledger, settings, delivery, locks, ceilings, recorder, logger)
        outbox = Outbox(
            ledger, lists, recorder.history, delivery.watermark, logger, now,
            safe_seconds=safe_seconds(settings.read_timeout_seconds),
        )  # fmt: skip
        return cls(ledger, delivery, locks, recorder, ceilings, lists, outbox)

    def sizes(self) -> dict[ListReference, ListSize]:
        """Return how big each list is that was opened."""
        entries = {each: self.ledger.catalogue.lists.entry(number) for number, each in self.lists.opened.items()}
        return {each: ListSize(entry.members, entry.contributing_rows) for each, entry in entries.items()}

    def end_history(
        self,
        exit_code: int,
        rejected: Mapping[int, Mapping[str, int]],
        *,
        empty: bool = False,
        held_out: int = 0,
        error: str | None = None,
        rejects: RejectCounts | None = None,
    ) -> None:
        """Write for people how the run or command ended, cleanly or not.

        Args:
            exit_code: the exit code of the process.
            rejected: see `figures_of`.
            empty: whether this was a run to which neither a row nor a STATE came.
            held_out: how many rows the run held out.
            error: the error message, if it failed.
            rejects: the values that a run rejected; None for a command.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        reports = {number: self.delivery.report(reference) for number, reference in self.lists.opened.items()}
        history = self.recorder.history

        def end() -> None:
            figures = figures_of(self.ledger, reports, rejected)
            history.end(exit_code, self.delivery.traffic, figures, empty=empty, held_out=held_out, error=error)
            if rejects is not None:
                self.recorder.note_rejects(rejects)

        self.ledger.transact(end)
        history.forget_removals()
