"""The session of a run in the ledger: it opens streams, turns their rows into orders, and settles what was accepted."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.ledger.history import SEVERAL_LISTS
from target_pinterest_audience.ledger.marks.settling import settle
from target_pinterest_audience.reconcile.books import Books
from target_pinterest_audience.reconcile.leftovers import Leftovers
from target_pinterest_audience.reconcile.reconciler import WINDOW_SECONDS, Reconciler
from target_pinterest_audience.reconcile.refused_members import RefusedMembers
from target_pinterest_audience.reconcile.sources.readings import Readings
from target_pinterest_audience.reconcile.sources.source_book import SourceBook
from target_pinterest_audience.reconcile.windows.list_slots import ListSlots
from target_pinterest_audience.reconcile.windows.rows_to_events import KeyedRowWriter, KeylessRowWriter
from target_pinterest_audience.routing.orders import Order, name_list
from target_pinterest_audience.routing.stream import StreamShape

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.routing.orders import ListSize
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.settings import Settings


_GRACE_SECONDS: Final = 2.0
"""How long to wait for the window that is being processed when the run stops early."""


class Session:
    """All streams of a run whose rows pass through the ledger.

    Attributes:
        journal: settles receipts; the dispatcher calls it.
        rows_before: the number of rows that the last clean run of these settings read; 0 if unknown.
        rejects_before: the values that this run rejected.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        delivery: Delivery,
        logger: logging.Logger,
        clock: Callable[[], float],
        now: Callable[[], float],
        *,
        in_history: bool = True,
    ) -> None:
        """Record that a run has begun.

        Args:
            ledger: the ledger.
            settings: the settings.
            delivery: sends to the lists.
            logger: logs warnings.
            clock: monotonic time in seconds.
            now: returns the Unix time.
            in_history: whether to enter the run in the history for people.
        """
        books = self._books = Books.make(ledger, settings, delivery, logger, now)
        run = books.recorder.begin_run(in_history=in_history)
        self.journal = books.outbox
        self.rows_before = books.recorder.rows_before
        self.rejects_before = books.recorder.rejects_before
        self._sources = SourceBook(ledger, books.recorder.configuration, run, logger, now)
        self._reconciler = Reconciler(
            ledger, ledger.digester.shorten, books.ceilings, delivery.watermark, clock, books.outbox,
            self._sources.runs,
        )  # fmt: skip
        self._leftovers = Leftovers(books.outbox, delivery.watermark, clock)
        self._readings = Readings()
        self._columns: dict[tuple[str, str], set[int]] = {}
        """Stream and identity column → the lists that the column feeds."""

    def open(self, shape: StreamShape) -> KeyedRowWriter | KeylessRowWriter:
        """Lock and enter the lists and the source of a stream, and return the writer of its rows.

        What former runs left to send to these lists is sent after the first window: by then it is known which rows have
        changed since.

        Raises:
            TargetError: the ledger, a lock or a list is not available; or the key of the source has changed.
        """
        self._reconciler.collect()
        catalogue = self._books.ledger.catalogue
        self._books.locks.take_source(shape.source)
        if catalogue.sources.find(shape.source) is None:
            self._reconciler.expect_new = True
        lists = None if shape.routed else self._open_lists(shape, [None])[0]
        keyed = bool(shape.key_properties)
        columns = shape.columns if keyed else {f"({kind.name})": kind for kind in shape.columns.values()}
        numbers = frozenset(lists.values()) if lists is not None else None
        plan, of_columns = self._sources.open(shape, columns, numbers)
        slots = of_columns if keyed else {name: of_columns[f"({kind.name})"] for name, kind in shape.columns.items()}
        self._leftovers.find(sorted(entry.number for entry in catalogue.lists.of_source(plan.source)))
        source = self._sources.runs[plan.source]
        if shape.overwrites and not source.overwrites:
            settle(self._books.ledger, plan.source)
            source.overwrites = True
        readings = self._readings.begin(shape, source, plan.lists)
        list_slots = ListSlots(slots, functools.partial(self._open_named, shape, plan.source), lists)
        if keyed:
            digest = self._sources.keys.digester_of(plan.source, shape.source, shape.key_schemas)
            admit = functools.partial(self._admit_kinds, plan.source)
            return KeyedRowWriter(shape, plan, slots, list_slots, digest, admit, self._reconciler, readings)
        plans = {
            column: replace(
                plan, lists=frozenset({lists[column]}) if lists is not None else None, slots=frozenset({slot})
            )
            for column, slot in slots.items()
        }
        digest_of = self._books.ledger.digester.identities(shape.source)
        return KeylessRowWriter(shape, plans, list_slots, digest_of, self._reconciler, readings)

    def _admit_kinds(self, source: int, kinds: Mapping[str, Collection[str]]) -> None:
        """Note new kinds of key values. Raises as `SourceKeys.check_kinds` does."""
        self._sources.keys.check_kinds(source, kinds)
        # The ledger is busy while a window is processed.
        self._reconciler.collect()
        self._sources.keys.note_kinds(source, kinds)

    def _open_lists(self, shape: StreamShape, list_names: Sequence[str | None]) -> list[dict[str, int]]:
        """Open the lists for the identities in each column, and return column → list for each list name."""
        plans = [shape.plan(name) for name in list_names]
        numbers = iter(self._books.lists.open_all([each for of_name in plans for each in of_name.values()]))
        opened = [dict(zip(of_name, numbers, strict=False)) for of_name in plans]
        for lists in opened:
            for column, number in lists.items():
                self._columns.setdefault((shape.tally.stream, column), set()).add(number)
        return opened

    def _open_named(self, shape: StreamShape, source: int, list_names: Sequence[str]) -> list[dict[str, int]]:
        """Open the lists that rows name, as `_open_lists` does."""
        # A window that is processed reads which lists are open.
        self._reconciler.collect()
        opened = self._open_lists(shape, list_names)
        numbers = {number for lists in opened for number in lists.values()}
        self._sources.feed(source, numbers)
        self._leftovers.find(numbers)
        return opened

    def orders(self) -> Iterator[Order]:
        """Yield what was noted and not handed over, and after the first window what former runs left.

        An order counts as handed over when the next one is requested.

        Raises:
            TargetError: a list that only former settings led to cannot be opened.
        """
        for outgoing in self._reconciler.orders():
            yield from self._books.outbox.hand_over(outgoing)
        # Leftovers are read from the ledger, which is busy while a window is processed.
        if self._reconciler.idle:
            yield from self._leftovers.orders()

    def tidy(self) -> None:
        """Delete accepted notes, unless the ledger is busy: then this can wait."""
        # Also if the run stops, and the window that was being processed is never collected.
        if self._reconciler.ledger_is_free:
            self._books.outbox.tidy()

    def note_unsent(self) -> None:
        """Note at the end what was never sent, and which lists will not be created, unless the ledger is busy.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        if self._reconciler.ledger_is_free:
            self._books.outbox.note_unsent(self._reconciler.not_handed_over())
            self._books.outbox.note_missing_lists()

    def waits_for(self, line: int) -> bool:
        """Return whether something from before a line of the stream is not handed over yet."""
        return self._leftovers.waiting or self._reconciler.waits_for(line)

    def tick(self) -> None:
        """Process a window that has waited long enough. Raises as `flush` does."""
        if self._leftovers.have_waited(WINDOW_SECONDS):
            self.flush()
        self._reconciler.tick()

    def flush(self) -> None:
        """Process the window. After that `orders` yields all that changed, and what former runs left.

        Raises:
            RemovalCeilingError: more people would leave a list than the settings allow.
            LedgerError: the ledger cannot be written.
        """
        self._reconciler.flush()
        self._leftovers.release()

    def stop(self) -> None:
        """Abort the window that is being processed; the next run reads its rows again."""
        self._reconciler.stop(_GRACE_SECONDS)

    def end(self, incremental: set[str], *, empty: bool) -> None:
        """Record that the run ended cleanly.

        Args:
            incremental: the streams, by their raw names, that showed signs of an incremental read.
            empty: whether neither a row nor a STATE came.
        """
        feeds = self._readings.feeds(incremental, self._sources.lists_marked_for)
        self._books.recorder.end_run(feeds, self._books.lists.opened, empty=empty)

    def sizes(self) -> dict[ListReference, ListSize]:
        """Return how big each list is; nothing if the ledger hangs.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return {} if self._reconciler.hangs else self._books.sizes()

    def mass_refusals(self) -> list[RefusedMembers]:
        """Return the lists that most members left by refusals; none if the ledger hangs."""
        if self._reconciler.hangs:
            return []
        opened, delivery = self._books.lists.opened, self._books.delivery
        return [
            RefusedMembers(report.customer_list_id or "", name_list(report), each.members, each.refused)
            for each in self._books.ceilings.mass_refusals()
            if each.number in opened
            for report in [delivery.report(opened[each.number])]
        ]

    def large_removals(self) -> list[tuple[str, str]]:
        """Return the id of each list that many people left, and how many; see `Ceilings.large_removals`."""
        entry = self._books.ledger.catalogue.lists.entry
        removals = self._books.ceilings.large_removals()
        found = [(entry(number).customer_list_id, many) for number, many in removals.items()]
        return [(list_id, many) for list_id, many in found if list_id is not None]

    def end_history(
        self, exit_code: int, tallies: Iterable[StreamTally], *, empty: bool, error: str | None = None
    ) -> None:
        """Write for people how the run ended, unless the ledger hangs.

        Args:
            exit_code: the exit code of the process.
            tallies: what was read of each stream.
            empty: whether neither a row nor a STATE came.
            error: the error message, if the run failed.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        rejected: dict[int, Counter[str]] = {}
        rejects: dict[tuple[str, str, str], int] = {}
        held_out = 0
        for tally in tallies:
            held_out += tally.held_out_rows
            for (column, remark), count in tally.remarks.items():
                if remark.rejects:
                    rejects[tally.stream, column, remark.value] = count
            for column, remark, count in tally.rejects:
                numbers = self._columns.get((tally.stream, column), ())
                number = next(iter(numbers)) if len(numbers) == 1 else SEVERAL_LISTS
                if numbers:
                    rejected.setdefault(number, Counter())[remark.name] += count
        if not self._reconciler.hangs:
            self._books.end_history(exit_code, rejected, empty=empty, held_out=held_out, error=error, rejects=rejects)
