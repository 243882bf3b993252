"""The rows that go by way of the ledger: each becomes an event of its row, and what changed is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from target_pinterest_audience.bookkeeping import Bookkeeper
from target_pinterest_audience.keys import RowDigester
from target_pinterest_audience.ledger.catalogue import Feed
from target_pinterest_audience.membership import (
    CONTRIBUTING,
    PACKED,
    Event,
    Kind,
    Named,
    Plan,
    encode_contributions,
    pack_identity,
    unpack_column,
)
from target_pinterest_audience.outbox import Outgoing
from target_pinterest_audience.reconciler import WINDOW_SECONDS, Reconciler
from target_pinterest_audience.row_writer import Row, RowBlock, StreamShape
from target_pinterest_audience.window import Origin

if TYPE_CHECKING:
    from target_pinterest_audience.batches import Batch
    from target_pinterest_audience.delivery import Delivery
    from target_pinterest_audience.ledger import Ledger
    from target_pinterest_audience.routing import ListReference
    from target_pinterest_audience.settings import Settings


_GRACE_SECONDS: Final = 2.0
"""How long the ledger has to end what it does when the run ends before."""


@dataclass(slots=True)
class _Reading:
    """What was read for one list from one source."""

    overwrites: bool = True
    """Whether all of its streams do; rows of one that does not are not all marked, so that they would be missed."""
    rows: int = 0
    raw_streams: set[str] = field(default_factory=set)


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
    ) -> None:
        """Begin a run in the ledger.

        Args:
            ledger: the ledger.
            settings: the settings.
            delivery: where what changed goes.
            logger: told what the ledger does not know.
            clock: seconds that only ever grow.
            now: seconds since 1970.
        """
        self._delivery = delivery
        self._book = Bookkeeper(ledger, settings, delivery, logger, now)
        self._run = self._book.begin_run()
        book = self._book
        self._reconciler = Reconciler(
            ledger, self._run, book.digester.shorten, book.ceilings, book.reference, self._send, book.settle, clock
        )
        self._readings: dict[tuple[int, int], _Reading] = {}
        self._owed: set[int] = set()
        """The lists for which former runs may have left something to be sent."""
        self._owed_since = 0.0
        self._paid: set[int] = set()
        self._clock = clock

    def open(self, shape: StreamShape) -> LedgerWriter | KeylessLedgerWriter:
        """Make ready for a stream: nobody else writes to its lists or its source from now on.

        What former runs were about to send to these lists, not knowing whether it arrived, is sent with the first
        window: by then it is known who has changed since.

        Raises:
            TargetError: the ledger, a lock or a list cannot be had, or the key of the source has changed.
        """
        self._reconciler.wait()
        book = self._book
        book.lock_source(shape.source)
        if not book.knows_source(shape.source):
            self._reconciler.expect_new = True
        lists = {column: book.open_list(plan) for column, plan in shape.plans.items()}
        keyed = bool(shape.key_properties)
        columns = shape.columns if keyed else {f"({kind.name})": kind for kind in shape.columns.values()}
        of_columns = lists if keyed else {f"({kind.name})": lists[name] for name, kind in shape.columns.items()}
        plan, slots = book.open_source(shape.source, list(shape.key_properties), columns, of_columns)
        if not self._owed:
            self._owed_since = self._clock()
        for number in set(book.lists_of_source(plan.source)) - self._paid - self._owed:
            (self._owed if book.owes(number) else self._paid).add(number)
        reading = [self._readings.setdefault((number, plan.source), _Reading()) for number in plan.lists]
        for each in reading:
            each.raw_streams.add(shape.raw_stream)
            each.overwrites = each.overwrites and shape.overwrites
        if shape.overwrites:
            self._reconciler.overwriting.add(plan.source)
        if keyed:
            digest = book.digester.rows(shape.source, shape.key_properties, shape.formats)
            targets = {column: (lists[column], slot) for column, slot in slots.items()}
            return LedgerWriter(shape, plan, targets, digest, self._reconciler, reading)
        plans = {
            column: Plan(plan.source, frozenset({lists[column]}), plan.types, frozenset({slots[f"({kind.name})"]}))
            for column, kind in shape.columns.items()
        }
        return KeylessLedgerWriter(shape, plans, book.digester.identities(shape.source), self._reconciler, reading)

    def _pay(self) -> None:
        """Hand on what former runs left; what this run has noted meanwhile waits already."""
        for number in sorted(self._owed):
            self._book.resend(number)
            self._paid.add(number)
        self._owed.clear()
        self._settle()

    def _send(self, outgoing: Outgoing) -> None:
        reference = self._book.reference(outgoing.list_number)
        for operation, identities, lines in outgoing.sendings:
            self._delivery.put_many(reference, operation, unpack_column(identities), lines)
        self._book.handed_over(outgoing.list_number, outgoing.note, outgoing.last_line)
        self._settle()

    def _settle(self) -> None:
        """Forget what is done with, unless the ledger is busy: then it can wait."""
        if self._reconciler.idle:
            self._book.settle()

    def accepted(self, reference: ListReference, customer_list_id: str | None, batch: Batch) -> None:
        """Note that Pinterest accepted a batch, if the ledger has to do with its list."""
        self._book.accepted(reference, customer_list_id, batch)
        self._settle()

    def refused(self, reference: ListReference, batch: Batch, places: Sequence[int]) -> None:
        """Keep in mind for the next run who was refused, if the ledger has to do with the list."""
        self._book.refused(reference, batch, places)

    def references_to(self, reference: ListReference) -> set[ListReference]:
        """Return all references of the run that lead to the list of one of them."""
        return self._book.references_to(reference)

    @property
    def lines(self) -> tuple[int, int] | None:
        """The first and the last line of the stream that wait to be looked up; None if none do.

        What former runs left waits from before the first line on.
        """
        lines = self._reconciler.lines
        return (0, lines[1] if lines is not None else 0) if self._owed else lines

    def tick(self) -> None:
        """Look up what has waited for long enough. Raises as `flush` does."""
        if self._owed and self._clock() - self._owed_since >= WINDOW_SECONDS:
            self.flush()
        self._reconciler.tick()

    def flush(self) -> None:
        """Look up what waits, and hand on what changed.

        Raises:
            TargetError: the ledger fails, too many would be removed, or a batch could not be delivered.
        """
        self._reconciler.flush()
        self._pay()

    def stop(self) -> None:
        """Begin nothing more in the ledger, and give up what is under way there: the next run does it again."""
        self._reconciler.stop(_GRACE_SECONDS)

    def end(self, incremental: set[str]) -> None:
        """Note that the run ended cleanly.

        Args:
            incremental: the streams, by their raw names, that showed signs of an incremental read.
        """
        feeds = [
            Feed(number, source, each.rows, bool(each.raw_streams & incremental), each.overwrites)
            for (number, source), each in self._readings.items()
        ]
        self._book.end_run(self._run, feeds)


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """Takes the rows of a stream whose key tells them apart."""

    shape: StreamShape
    plan: Plan
    targets: Mapping[str, tuple[int, int]]
    """Column → the list that its identities go to, and its slot."""
    digest: RowDigester
    reconciler: Reconciler
    readings: list[_Reading]
    form: ClassVar = PACKED

    def write(self, row: Row) -> None:
        """See `RowWriter.write`."""
        whole = len(row.present) == len(self.targets)
        present = self.plan.slots if whole else frozenset(self.targets[column][1] for column in row.present)
        self._put(self.digest(row.record), row.kind, _packed(row.named), present, row.line)
        _count_rows(self.readings, not row.deleted)

    def write_block(self, rows: RowBlock) -> None:
        """See `RowWriter.write_block`."""
        digests = self.digest.many(rows.records.column)
        _count_rows(self.readings, len(rows))
        if rows.kind in CONTRIBUTING:
            columns = sorted(self.targets, key=lambda column: self.targets[column])
            slots = [self.targets[column] for column in columns]
            wholes = encode_contributions(slots, [rows.named[column] for column in columns])
            origin = Origin(rows.kind, self.plan, self.shape.tally)
            self.reconciler.put_wholes(digests, wholes, rows.lines, origin)
            return
        for place, digest in enumerate(digests):
            identities = {column: each[place] for column, each in rows.named.items()}
            self._put(digest, rows.kind, identities, self.plan.slots, rows.lines[place])

    def row_digest(self, record: Mapping[str, Any]) -> bytes:
        """See `RowWriter.row_digest`."""
        return self.digest(record)

    def _put(
        self, digest: bytes, kind: Kind, identities: Mapping[str, bytes | None], present: frozenset[int], line: int
    ) -> None:
        named = tuple(Named(*self.targets[column], each) for column, each in identities.items() if each is not None)
        event = Event(kind, _meant(named, kind, self.shape), present, self.plan, line)
        self.reconciler.put(digest, event, Origin(kind, self.plan, self.shape.tally))


@dataclass(frozen=True, slots=True)
class KeylessLedgerWriter:
    """Takes the rows of a stream without a key: each identity is its own row."""

    shape: StreamShape
    plans: Mapping[str, Plan]
    """Column → the plan for its identities."""
    digest: Callable[[str, bytes], bytes]
    """Type of identity, identity → the digest of the row that they are."""
    reconciler: Reconciler
    readings: list[_Reading]
    form: ClassVar = PACKED

    def write(self, row: Row) -> None:
        """See `RowWriter.write`."""
        _count_rows(self.readings, not row.deleted)
        self._put(row.kind, _packed(row.named), row.line)

    def write_block(self, rows: RowBlock) -> None:
        """See `RowWriter.write_block`."""
        _count_rows(self.readings, len(rows))
        for line, identities in zip(rows.lines, zip(*rows.named.values(), strict=True), strict=True):
            self._put(rows.kind, dict(zip(rows.named, identities, strict=True)), line)

    def row_digest(self, record: Mapping[str, Any]) -> None:
        """See `RowWriter.row_digest`: a bad value is no row of its own."""

    def _put(self, kind: Kind, identities: Mapping[str, bytes | None], line: int) -> None:
        for column, identity in identities.items():
            if identity is None:
                continue
            plan = self.plans[column]
            (number,), (slot,) = plan.lists, plan.slots
            event = Event(kind, _meant((Named(number, slot, identity),), kind, self.shape), plan.slots, plan, line)
            self.reconciler.put(self.digest(plan.types[slot], identity), event, Origin(kind, plan, self.shape.tally))


def _packed(named: Mapping[str, str]) -> dict[str, bytes]:
    return {column: pack_identity(identity) for column, identity in named.items()}


def _count_rows(readings: list[_Reading], rows: int) -> None:
    for reading in readings:
        reading.rows += rows


def _meant(named: tuple[Named, ...], kind: Kind, shape: StreamShape) -> tuple[Named, ...]:
    """Leave out what a row does not speak of.

    One that is too bad to be read speaks of nothing, and its values are counted as rejected. A deleted row of a stream
    that removes lifts its refusals, and asks for nothing.
    """
    if kind is Kind.SEEN:
        return ()
    if kind is Kind.DELETED and shape.removes:
        shape.tally.unchanged += len(named)
        return ()
    return named
