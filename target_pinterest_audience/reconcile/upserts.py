"""The rows that go by way of the ledger: each becomes an event of its row, and what changed is sent."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.identities.list_names import NO_LIST
from target_pinterest_audience.ledger.catalogue.runs import RunFeed
from target_pinterest_audience.ledger.history import SEVERAL_LISTS
from target_pinterest_audience.membership.statements import Plan
from target_pinterest_audience.reconcile.bookkeeping import Bookkeeper
from target_pinterest_audience.reconcile.reconciler import WINDOW_SECONDS, Reconciler
from target_pinterest_audience.reconcile.rows_to_events import KeylessLedgerWriter, LedgerWriter, Reading, Targets
from target_pinterest_audience.reconcile.source_book import SourceBook
from target_pinterest_audience.routing.orders import Order
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.vocabulary import Cause

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.refused_members import RefusedMembers
    from target_pinterest_audience.routing.orders import AcceptedRemoval, Receipt
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.settings import Settings
    from target_pinterest_audience.watermark import Hold


_GRACE_SECONDS: Final = 2.0
"""How long the ledger has to end what it does when the run ends before."""


class Upserts:
    """All streams of a run whose rows the ledger remembers."""

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
        """Begin a run in the ledger.

        Args:
            ledger: the ledger.
            settings: the settings.
            delivery: where what changed goes.
            logger: told what the ledger does not know.
            clock: seconds that only ever grow.
            now: seconds since 1970.
            in_history: whether the history for people has the run.
        """
        self._delivery = delivery
        self._book = Bookkeeper(ledger, settings, delivery, logger, now)
        self._run = self._book.begin_run(in_history=in_history)
        book = self._book
        self._sources = SourceBook(ledger, book.digester, book.configuration, self._run, logger, now)
        self._reconciler = Reconciler(
            ledger, book.digester.shorten, book.ceilings, delivery.watermark, clock, self._sources.runs,
        )  # fmt: skip
        self._readings: dict[tuple[int, int], Reading] = {}
        """List and source → what was read for the one from the other."""
        self._routed: dict[int, Reading] = {}
        """Source whose rows name their lists → what was read from it, which tells who is gone from any of them."""
        self._columns: dict[tuple[str, str], set[int]] = {}
        """Stream and identity column → the lists that it feeds."""
        self._lists_with_leftovers: set[int] = set()
        """The lists for which former runs may have left something to be sent."""
        self._leftovers_since = 0.0
        self._hold: Hold | None = None
        """Holds the watermark for leftovers."""
        self._lists_done: set[int] = set()
        self._sends_leftovers = False
        self._clock = clock

    def open(self, shape: StreamShape) -> LedgerWriter | KeylessLedgerWriter:
        """Make ready for a stream: nobody else writes to its lists or its source from now on.

        What former runs were about to send to these lists, not knowing whether it arrived, is sent with the first
        window: by then it is known who has changed since.

        Raises:
            TargetError: the ledger, a lock or a list cannot be had, or the key of the source has changed.
        """
        self._reconciler.collect()
        book = self._book
        book.locks.take_source(shape.source)
        if not self._sources.knows(shape.source):
            self._reconciler.expect_new = True
        lists = None if shape.routed else self._open_lists(shape, None)
        keyed = bool(shape.key_properties)
        columns = shape.columns if keyed else {f"({kind.name})": kind for kind in shape.columns.values()}
        numbers = frozenset(lists.values()) if lists is not None else None
        plan, of_columns = self._sources.open(shape, columns, numbers)
        slots = of_columns if keyed else {name: of_columns[f"({kind.name})"] for name, kind in shape.columns.items()}
        self._find_leftovers(self._sources.lists_of(plan.source))
        source = self._sources.runs[plan.source]
        source.overwrites = source.overwrites or shape.overwrites
        readings = self._find_readings(shape, plan)
        if lists is None:
            targets = self._targets_by_name(shape, plan.source, slots)
        else:
            targets = functools.partial(_same, {column: (number, slots[column]) for column, number in lists.items()})
        if keyed:
            digest = self._sources.digester_of(plan.source, shape.source, shape.key_schemas)
            admit = functools.partial(self._admit_kinds, plan.source)
            return LedgerWriter(shape, plan, slots, targets, digest, admit, self._reconciler, readings)
        plans = {
            column: replace(
                plan, lists=frozenset({lists[column]}) if lists is not None else None, slots=frozenset({slot})
            )
            for column, slot in slots.items()
        }
        digest_of = book.digester.identities(shape.source)
        return KeylessLedgerWriter(shape, plans, targets, digest_of, self._reconciler, readings)

    def _admit_kinds(self, source: int, kinds: Mapping[str, Collection[str]]) -> None:
        """Note kinds of key values that are new; see `SourceBook.check_kinds`, which may refuse them."""
        self._sources.check_kinds(source, kinds)
        # The thread that works a window off has the ledger for as long.
        self._reconciler.collect()
        self._sources.note_kinds(source, kinds)

    def _open_lists(self, shape: StreamShape, list_name: str | None) -> dict[str, int]:
        """Return the lists that the identities in each column go to."""
        lists = {column: self._book.open_list(plan) for column, plan in shape.plan(list_name).items()}
        for column, number in lists.items():
            self._columns.setdefault((shape.tally.stream, column), set()).add(number)
        return lists

    def _targets_by_name(self, shape: StreamShape, source: int, slots: Mapping[str, int]) -> Targets:
        """Return what opens a list as soon as a row names it."""

        @functools.cache
        def targets(list_name: str | None) -> Mapping[str, tuple[int, int]]:
            if list_name == NO_LIST:
                return {}
            # What is worked off in the ledger meanwhile looks at the lists that are open.
            self._reconciler.collect()
            lists = self._open_lists(shape, list_name)
            self._sources.feed(self._sources.runs[source], set(lists.values()))
            self._find_leftovers(lists.values())
            return {column: (number, slots[column]) for column, number in lists.items()}

        return targets

    def _find_leftovers(self, numbers: Iterable[int]) -> None:
        """Keep in mind to which of some lists former runs may have left something to be sent."""
        for number in set(numbers) - self._lists_done - self._lists_with_leftovers:
            if not self._book.owes(number):
                self._lists_done.add(number)
                continue
            if self._hold is None:
                self._leftovers_since = self._clock()
                self._hold = self._delivery.watermark.hold(0)
            self._lists_with_leftovers.add(number)

    def _find_readings(self, shape: StreamShape, plan: Plan) -> list[Reading]:
        """Return what counts the rows of a stream."""
        mark = self._sources.runs[plan.source].mark
        if plan.lists is None:
            readings = [self._routed.setdefault(plan.source, Reading(mark))]
        else:
            readings = [self._readings.setdefault((number, plan.source), Reading(mark)) for number in plan.lists]
        for each in readings:
            each.raw_streams.add(shape.raw_stream)
            each.overwrites = each.overwrites and shape.overwrites
        return readings

    def orders(self) -> Iterator[Order]:
        """Yield what changed and is not handed over, and after the first window what former runs left.

        An order counts as handed over when the next one is asked for.

        Raises:
            TargetError: a list that only former settings led to cannot be opened.
        """
        book = self._book
        for outgoing in self._reconciler.orders():
            reference = book.reference(outgoing.list_number)
            for operation, identities, lines, cause in outgoing.sendings:
                yield Order(reference, operation, identities, lines, cause or Cause.UNFINISHED)
            book.handed_over(outgoing.list_number, outgoing.note, outgoing.last_line)
        # They are read from the ledger, which has to be free.
        if self._sends_leftovers and self._reconciler.idle:
            self._sends_leftovers = False
            for number in sorted(self._lists_with_leftovers):
                yield from book.leftovers(number)
                self._lists_done.add(number)
            self._lists_with_leftovers.clear()
            if self._hold is not None:
                self._hold.release()
                self._hold = None

    def settle(self, receipt: Receipt) -> None:
        """Note what came of a batch, if the ledger has to do with its list."""
        self._book.settle(receipt)

    def removed(self, reference: ListReference, removal: AcceptedRemoval) -> None:
        """Note that Pinterest removed somebody, if the ledger has to do with the list."""
        self._book.removed(reference, removal)

    def tidy(self) -> None:
        """Delete notes whose identities were all accepted, unless the ledger is busy: then that can wait."""
        if self._reconciler.idle:
            self._book.tidy()

    def references_to(self, reference: ListReference) -> set[ListReference]:
        """Return all references of the run that lead to the list of one of them."""
        return self._book.references_to(reference)

    def waits_for(self, line: int) -> bool:
        """Return whether something from before a line of the stream waits to be looked up or handed over."""
        return bool(self._lists_with_leftovers) or self._reconciler.waits_for(line)

    @property
    def rows_before(self) -> int:
        """How many rows the last clean run of these settings read; 0 if that is not known."""
        return self._book.rows_before

    def tick(self) -> None:
        """Look up what has waited for long enough. Raises as `flush` does."""
        if self._lists_with_leftovers and self._clock() - self._leftovers_since >= WINDOW_SECONDS:
            self.flush()
        self._reconciler.tick()

    def flush(self) -> None:
        """Look up what waits: afterwards `orders` has all that changed, and what former runs left.

        Raises:
            TargetError: the ledger fails, or too many people would be removed.
        """
        self._reconciler.flush()
        self._sends_leftovers = bool(self._lists_with_leftovers)

    def stop(self) -> None:
        """Begin nothing more in the ledger, and give up what is under way there: the next run does it again."""
        self._reconciler.stop(_GRACE_SECONDS)

    def end(self, incremental: set[str], *, empty: bool) -> None:
        """Note that the run ended cleanly.

        Args:
            incremental: the streams, by their raw names, that showed signs of an incremental read.
            empty: whether neither a row nor a STATE came.
        """
        for source, reading in self._routed.items():
            for number in self._sources.lists_marked_for(self._sources.runs[source]):
                self._readings.setdefault((number, source), reading)
        feeds = [
            RunFeed(number, source, each.rows, bool(each.raw_streams & incremental), each.overwrites, each.mark)
            for (number, source), each in self._readings.items()
        ]
        self._book.end_run(self._run, feeds, empty=empty)

    def members(self) -> dict[ListReference, int]:
        """Return how many identities belong on each list, as far as the ledger knows; nothing if it hangs.

        Raises:
            LedgerError: it cannot be read.
        """
        return {} if self._reconciler.hangs else self._book.members()

    def mass_refusals(self) -> list[RefusedMembers]:
        """Return the lists that most members left by refusals; none if the ledger hangs."""
        return [] if self._reconciler.hangs else self._book.mass_refusals()

    def end_history(self, exit_code: int, tallies: Iterable[StreamTally], *, empty: bool) -> None:
        """Note for people how the run ended, unless the ledger hangs.

        Args:
            exit_code: the process's.
            tallies: what was read of each stream.
            empty: whether neither a row nor a STATE came.

        Raises:
            LedgerError: it cannot be noted.
        """
        rejected: dict[int, Counter[str]] = {}
        for tally in tallies:
            for column, remark, count in tally.rejects:
                numbers = self._columns.get((tally.stream, column), ())
                number = next(iter(numbers)) if len(numbers) == 1 else SEVERAL_LISTS
                if numbers:
                    rejected.setdefault(number, Counter())[remark.name] += count
        if not self._reconciler.hangs:
            self._book.end_history(exit_code, rejected, empty=empty)


def _same(targets: Mapping[str, tuple[int, int]], _list_name: str | None) -> Mapping[str, tuple[int, int]]:
    return targets
