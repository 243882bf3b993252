"""Row writers of the ledger: they turn the rows of a stream into events and put these into the window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from target_pinterest_audience.membership.events import CONTRIBUTING, Event, Form, Kind, Named, Plan
from target_pinterest_audience.membership.row import Row, RowBlock
from target_pinterest_audience.membership.statements import (
    ContributionEncoder,
    Stance,
    encode_contributions,
    statements,
)
from target_pinterest_audience.reconcile.windows.window import Origin
from target_pinterest_audience.routing.stream import StreamShape

if TYPE_CHECKING:
    from target_pinterest_audience.membership.row_keys import RowDigester
    from target_pinterest_audience.reconcile.reconciler import Reconciler
    from target_pinterest_audience.reconcile.sources.readings import Reading
    from target_pinterest_audience.reconcile.windows.list_slots import ListSlots


class _NamedList(NamedTuple):
    """What rows with one list name have in common.

    Attributes:
        encoder: encodes the statements of such a row.
        encoder_of_held: the same for a row that is held out.
        routes: slot → list.
        lists: the lists that the identities in such a row go to.
    """

    encoder: ContributionEncoder
    encoder_of_held: ContributionEncoder
    routes: Mapping[int, int]
    lists: frozenset[int]

    @classmethod
    def of(cls, list_slots: Mapping[str, tuple[int, int]]) -> _NamedList:
        """Return it, given identity column → list and slot."""
        routes = {slot: number for number, slot in list_slots.values()}
        encoders = ContributionEncoder(list_slots), ContributionEncoder(list_slots, Stance.HOLDS_OUT)
        return cls(*encoders, routes, frozenset(routes.values()))

    def is_shown_by(self, final_state: bytes) -> bool:
        """Return whether a row's statements, encoded, name all of the lists."""
        if len(self.lists) == 1:
            return bool(final_state)
        return {each.list_number for each in statements(final_state)} == self.lists


@dataclass(frozen=True, slots=True)
class KeyedRowWriter:
    """Takes the rows of a stream that has a key."""

    shape: StreamShape
    plan: Plan
    slots: Mapping[str, int]
    """Identity column → slot."""
    list_slots: ListSlots
    """The list name in a row → identity column → list and slot."""
    digest: RowDigester
    admit: Callable[[Mapping[str, Collection[str]]], None]
    """Notes new kinds of key values; raises a ConfigurationError if they would make each row a second row."""
    reconciler: Reconciler
    readings: Sequence[Reading]
    _named_lists: dict[str, _NamedList] = field(default_factory=dict)
    """The list name in a row → what such rows have in common."""

    def write(self, row: Row) -> None:
        """Take a row. Raises as `RowWriter.write` does."""
        digest = self.digest(row.record)
        self._admit_kinds()
        has_all = len(row.present) == len(self.slots)
        present = self.plan.slots if has_all else frozenset(self.slots[column] for column in row.present)
        list_slots = self.list_slots(row.list_name)
        self._put(digest, row.kind, row.named, row.forms, list_slots, present, row.line)
        _count_rows(self.readings, not row.deleted)

    def write_block(self, rows: RowBlock) -> None:
        """Take a block of rows. Raises as `RowWriter.write` does."""
        digests = self.digest.many(rows.records.column)
        self._admit_kinds()
        _count_rows(self.readings, len(rows))
        if rows.kind in CONTRIBUTING:
            origin = Origin(rows.kind, self.plan, self.shape.tally)
            values = len(rows) * sum(map(len, rows.named.values()))
            final_states, routes = self._final_states(rows)
            self.reconciler.put_final_states(digests, final_states, rows.lines, origin, values, rows.held, routes)
            return
        self.list_slots.prepare(rows.list_names or ())
        for index, digest in enumerate(digests):
            list_slots, forms = self.list_slots(rows.list_name(index)), rows.forms_of(index)
            named, line = rows.named_in(index), rows.lines[index]
            self._put(digest, rows.kind, named, forms, list_slots, self.plan.slots, line)

    def row_digest(self, record: Mapping[str, Any]) -> bytes:
        """Return the digest by which the ledger identifies a record's row."""
        return self.digest(record)

    def _admit_kinds(self) -> None:
        kinds = self.digest.take_new_kinds()
        if kinds:
            self.admit(kinds)

    def _final_states(self, rows: RowBlock) -> tuple[list[bytes], dict[int, Mapping[int, int]]]:
        """Return the encoded statements of rows that only contribute or are held out.

        Returns:
            The statements, and the index of each row whose statements do not name all lists of the row → its routes.
        """
        if rows.list_names is None:
            return self._final_states_of_settings(rows), {}
        self.list_slots.prepare(rows.list_names)
        for name in dict.fromkeys(rows.list_names):
            if name not in self._named_lists:
                self._named_lists[name] = _NamedList.of(self.list_slots(name))
        of_rows = [self._named_lists[name] for name in rows.list_names]
        final_states = [each.encoder.encode(rows.named, index) for index, each in enumerate(of_rows)]
        for index in rows.held:
            final_states[index] = of_rows[index].encoder_of_held.encode(rows.named, index)
        unshown = {
            index: each.routes
            for index, (each, said) in enumerate(zip(of_rows, final_states, strict=True))
            if not each.is_shown_by(said)
        }
        return final_states, unshown

    def _final_states_of_settings(self, rows: RowBlock) -> list[bytes]:
        """Return the same for rows whose lists the settings choose."""
        list_slots = self.list_slots(None)
        columns = sorted(list_slots, key=list_slots.__getitem__)
        slots = [list_slots[column] for column in columns for _ in rows.named[column]]
        layers = [layer for column in columns for layer in rows.named[column]]
        final_states = encode_contributions(slots, layers)
        if rows.held:
            some = [[layer[index] for index in rows.held] for layer in layers]
            for index, said in zip(rows.held, encode_contributions(slots, some, Stance.HOLDS_OUT), strict=True):
                final_states[index] = said
        return final_states

    def _put(
        self,
        digest: bytes,
        kind: Kind,
        identities: Mapping[str, Sequence[bytes]],
        forms: Mapping[bytes, Sequence[bytes]],
        list_slots: Mapping[str, tuple[int, int]],
        present: frozenset[int],
        line: int,
    ) -> None:
        named = tuple(
            Named(*list_slots[column], each)
            for column in identities
            if column in list_slots
            for each in identities[column]
        )
        routes = {slot: number for number, slot in list_slots.values()} if self.shape.routed else None
        others = tuple(Form(number, slot, form, of) for number, slot, of in named for form in forms.get(of, ()))
        event = Event(kind, _effective(named, kind, self.shape), present, self.plan, line, routes, others)
        self.reconciler.put(digest, event, Origin(kind, self.plan, self.shape.tally))


@dataclass(frozen=True, slots=True)
class KeylessRowWriter:
    """Takes the rows of a stream without a key: each identity is a row of its own."""

    shape: StreamShape
    plans: Mapping[str, Plan]
    """Column → the plan for its identities."""
    list_slots: ListSlots
    digest: Callable[[str, bytes], bytes]
    """Type of identity, identity → the digest of the row that it is."""
    reconciler: Reconciler
    readings: Sequence[Reading]

    def write(self, row: Row) -> None:
        """Take a row. Raises as `RowWriter.write` does."""
        _count_rows(self.readings, not row.deleted)
        self._put(row.kind, row.named, row.forms, self.list_slots(row.list_name), row.line, held=row.held)

    def write_block(self, rows: RowBlock) -> None:
        """Take a block of rows. Raises as `RowWriter.write` does."""
        _count_rows(self.readings, len(rows))
        held = set(rows.held)
        self.list_slots.prepare(rows.list_names or ())
        for index, line in enumerate(rows.lines):
            list_slots = self.list_slots(rows.list_name(index))
            self._put(rows.kind, rows.named_in(index), rows.forms_of(index), list_slots, line, held=index in held)

    def row_digest(self, record: Mapping[str, Any]) -> None:
        """Return None: a record without a key has no digest of its own."""

    def _put(
        self,
        kind: Kind,
        identities: Mapping[str, Sequence[bytes]],
        forms: Mapping[bytes, Sequence[bytes]],
        list_slots: Mapping[str, tuple[int, int]],
        line: int,
        *,
        held: bool,
    ) -> None:
        for column, several in identities.items():
            for identity in several:
                self._put_one(kind, column, identity, forms.get(identity, ()), list_slots.get(column), line, held=held)

    def _put_one(
        self,
        kind: Kind,
        column: str,
        identity: bytes,
        forms: Sequence[bytes],
        list_slot: tuple[int, int] | None,
        line: int,
        *,
        held: bool,
    ) -> None:
        plan = self.plans[column]
        (slot,) = plan.slots
        named = (Named(*list_slot, identity),) if list_slot is not None else ()
        others = tuple(Form(*list_slot, form, identity) for form in forms) if list_slot is not None else ()
        event = Event(kind, _effective(named, kind, self.shape), plan.slots, plan, line, forms=others, held=held)
        origin, kind_of_row = Origin(kind, plan, self.shape.tally), plan.columns[slot].type
        self.reconciler.put(self.digest(kind_of_row, identity), event, origin)
        if kind is Kind.DELETED:
            # The row may have been read while another hash algorithm was set.
            for form in forms:
                self.reconciler.put(self.digest(kind_of_row, form), event._replace(named=()), origin)


def _count_rows(readings: Sequence[Reading], rows: int) -> None:
    for reading in readings:
        reading.rows += rows


def _effective(named: tuple[Named, ...], kind: Kind, shape: StreamShape) -> tuple[Named, ...]:
    """Return the identities that an event of this kind applies to.

    A record that could not be read names nobody, and its values are counted as rejected. A deleted row of a stream that
    removes lifts its refusals and requests nothing.
    """
    if kind is Kind.SEEN:
        return ()
    if kind is Kind.DELETED and shape.removes:
        shape.tally.unchanged += len(named)
        return ()
    return named
