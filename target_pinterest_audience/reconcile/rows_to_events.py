"""How the rows of a stream become events of the rows that the ledger knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.membership.row import Row, RowBlock
from target_pinterest_audience.membership.statements import (
    CONTRIBUTING,
    Event,
    Kind,
    Named,
    Plan,
    encode_contributions,
)
from target_pinterest_audience.reconcile.window import Origin
from target_pinterest_audience.routing.stream import StreamShape

if TYPE_CHECKING:
    from target_pinterest_audience.membership.row_keys import RowDigester
    from target_pinterest_audience.reconcile.reconciler import Reconciler

Targets = Callable[[str | None], Mapping[str, tuple[int, int]]]
"""What rows name as their list, None if the settings choose it → identity column → list and slot.

Nothing for rows that are to be on no list."""


@dataclass(slots=True)
class Reading:
    """What was read for one list from one source."""

    mark: int
    """What the rows were marked with."""
    overwrites: bool = True
    """Whether all of its streams do; rows of one that does not are not all marked, so that they would be missed."""
    rows: int = 0
    raw_streams: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """Takes the rows of a stream whose key tells them apart."""

    shape: StreamShape
    plan: Plan
    slots: Mapping[str, int]
    """Identity column → slot."""
    targets: Targets
    digest: RowDigester
    admit: Callable[[Mapping[str, Collection[str]]], None]
    """Takes note of kinds of key values that are new, or raises a ConfigurationError: they make rows twice."""
    reconciler: Reconciler
    readings: Sequence[Reading]

    def write(self, row: Row) -> None:
        """See `RowWriter.write`."""
        digest = self.digest(row.record)
        self._admit_kinds()
        whole = len(row.present) == len(self.slots)
        present = self.plan.slots if whole else frozenset(self.slots[column] for column in row.present)
        targets = self.targets(row.list_name)
        self._put(digest, row.kind, row.named, row.forms, targets, present, row.line)
        _count_rows(self.readings, not row.deleted)

    def write_block(self, rows: RowBlock) -> None:
        """See `RowWriter.write_block`."""
        digests = self.digest.many(rows.records.column)
        self._admit_kinds()
        _count_rows(self.readings, len(rows))
        if rows.kind in CONTRIBUTING:
            wholes = self._wholes(rows)
            # Where rows name their lists, one that names nobody is an event like any other: see `Event.whole`.
            if not self.shape.routed or all(wholes):
                origin = Origin(rows.kind, self.plan, self.shape.tally)
                self.reconciler.put_wholes(digests, wholes, rows.lines, origin)
                return
        for place, digest in enumerate(digests):
            identities = {column: each[place] for column, each in rows.named.items()}
            targets, forms = self.targets(rows.list_name(place)), rows.forms_of(place)
            self._put(digest, rows.kind, identities, forms, targets, self.plan.slots, rows.lines[place])

    def row_digest(self, record: Mapping[str, Any]) -> bytes:
        """See `RowWriter.row_digest`."""
        return self.digest(record)

    def _admit_kinds(self) -> None:
        kinds = self.digest.take_new_kinds()
        if kinds:
            self.admit(kinds)

    def _wholes(self, rows: RowBlock) -> list[bytes]:
        """Return all that rows say, encoded, which do nothing but contribute."""
        wholes = [b""] * len(rows)
        for name, places in rows.by_list():
            targets = self.targets(name)
            columns = sorted(targets, key=targets.__getitem__)
            slots = [targets[column] for column in columns]
            named = [rows.named[column] for column in columns]
            if len(places) == len(rows):
                return encode_contributions(slots, named)
            said = encode_contributions(slots, [[column[place] for place in places] for column in named])
            for place, whole in zip(places, said, strict=True):
                wholes[place] = whole
        return wholes

    def _put(
        self,
        digest: bytes,
        kind: Kind,
        identities: Mapping[str, bytes | None],
        forms: Mapping[str, Sequence[bytes]],
        targets: Mapping[str, tuple[int, int]],
        present: frozenset[int],
        line: int,
    ) -> None:
        named = tuple(
            Named(*targets[column], each)
            for column, each in identities.items()
            if each is not None and column in targets
        )
        routes = {slot: number for number, slot in targets.values()} if self.shape.routed else None
        others = tuple(Named(*targets[column], form) for column in forms if column in targets for form in forms[column])
        event = Event(kind, _meant(named, kind, self.shape), present, self.plan, line, routes, others)
        self.reconciler.put(digest, event, Origin(kind, self.plan, self.shape.tally))


@dataclass(frozen=True, slots=True)
class KeylessLedgerWriter:
    """Takes the rows of a stream without a key: each identity is its own row."""

    shape: StreamShape
    plans: Mapping[str, Plan]
    """Column → the plan for its identities."""
    targets: Targets
    digest: Callable[[str, bytes], bytes]
    """Type of identity, identity → the digest of the row that they are."""
    reconciler: Reconciler
    readings: Sequence[Reading]

    def write(self, row: Row) -> None:
        """See `RowWriter.write`."""
        _count_rows(self.readings, not row.deleted)
        self._put(row.kind, row.named, row.forms, self.targets(row.list_name), row.line)

    def write_block(self, rows: RowBlock) -> None:
        """See `RowWriter.write_block`."""
        _count_rows(self.readings, len(rows))
        for place, line in enumerate(rows.lines):
            identities = {column: each[place] for column, each in rows.named.items()}
            self._put(rows.kind, identities, rows.forms_of(place), self.targets(rows.list_name(place)), line)

    def row_digest(self, record: Mapping[str, Any]) -> None:
        """See `RowWriter.row_digest`: a bad value is no row of its own."""

    def _put(
        self,
        kind: Kind,
        identities: Mapping[str, bytes | None],
        forms: Mapping[str, Sequence[bytes]],
        targets: Mapping[str, tuple[int, int]],
        line: int,
    ) -> None:
        for column, identity in identities.items():
            if identity is None:
                continue
            plan = self.plans[column]
            (slot,) = plan.slots
            named = (Named(*targets[column], identity),) if column in targets else ()
            others = tuple(Named(*targets[column], form) for form in forms.get(column, ()) if column in targets)
            event = Event(kind, _meant(named, kind, self.shape), plan.slots, plan, line, forms=others)
            origin, kind_of_row = Origin(kind, plan, self.shape.tally), plan.columns[slot].type
            self.reconciler.put(self.digest(kind_of_row, identity), event, origin)
            if kind is Kind.DELETED:
                # The row may have been read when another algorithm was set.
                for form in forms.get(column, ()):
                    self.reconciler.put(self.digest(kind_of_row, form), event._replace(named=()), origin)


def _count_rows(readings: Sequence[Reading], rows: int) -> None:
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
