"""Events: what a record says about its row, and which statements of the row it replaces. Pure.

The ledger identifies a row by a digest of its key. Each event replaces some of the row's statements, by the rules of
`Event.apply`. The differences between before and after, summed over all rows, decide what to send; see `counts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.membership.statements import (
    CLAIMS,
    REFUSALS,
    Stance,
    Statement,
    Statements,
    encode_statements,
)
from target_pinterest_audience.routing.holdout import deciding_rank
from target_pinterest_audience.vocabulary import Cause

if TYPE_CHECKING:
    from target_pinterest_audience.routing.holdout import HoldOut

_ABOUT_ROW: Final = CLAIMS | {Stance.REFUSES}
_EXCLUSIONS: Final = frozenset({Stance.EXCLUDES})


class Kind(IntEnum):
    """What happened to a row."""

    ARRIVED = 1
    """The row exists and contributes the identities in it."""
    GRANTED = 2
    """The same, and its consent column says yes."""
    REFUSED = 3
    """Its consent column says no."""
    DELETED = 4
    """The row was deleted."""
    EXCLUDED = 5
    """The row is in a stream with `operation: remove`."""
    SEEN = 6
    """The row exists, but its record could not be read."""
    ABSENT = 7
    """A complete run did not contain the row, or lacked some of its columns."""
    WITHDRAWN = 8
    """A person withdrew what was sent for the row. Its refusals stay."""
    FORGOTTEN = 9
    """A person in the row is to be forgotten. The row's refusals stay."""


CONTRIBUTING: Final = frozenset({Kind.ARRIVED, Kind.GRANTED})

CAUSES: Final = {
    Kind.ARRIVED: Cause.CHANGE,
    Kind.GRANTED: Cause.CHANGE,
    Kind.REFUSED: Cause.REFUSAL,
    Kind.DELETED: Cause.DELETE,
    Kind.EXCLUDED: Cause.REFUSAL,
    Kind.ABSENT: Cause.PRUNE,
    Kind.WITHDRAWN: Cause.CLEAR,
    Kind.FORGOTTEN: Cause.FORGET,
}
"""Kind of event → the cause of the removals that follow from it."""


class Slot(NamedTuple):
    """An identity column and its type. A column whose type changes becomes another slot."""

    column: str
    type: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The ledger's numbers for the columns and lists of a stream.

    Attributes:
        source: the source of its rows.
        lists: the lists that its identities go to today; None if each row names its own list, and so leaves all others.
        columns: slot number → the slot, for every slot in the ledger.
        slots: the slots of today's identity columns.
        keyed: whether a key tells the rows apart; otherwise each identity is a row of its own.
        foreign_lists: the lists of other loaders. This stream does not change what rows with the same keys say about
            them. Read when an event is applied, since the set may change during a run.
        unclear_lists: the lists that other settings fed before, which may be former settings or another loader's. A
            person who is deleted, or refuses, leaves them; nothing else changes what the rows say about them.
        lists_of_other_refusals: the lists whose rows refuse by other settings. A refusal does not change them.
        holdout: the share of people who are kept off the lists; None if there is none.
    """

    source: int
    lists: frozenset[int] | None
    columns: Mapping[int, Slot]
    slots: frozenset[int]
    keyed: bool = True
    foreign_lists: AbstractSet[int] = frozenset()
    unclear_lists: AbstractSet[int] = frozenset()
    lists_of_other_refusals: AbstractSet[int] = frozenset()
    holdout: HoldOut | None = None

    def holds_out(self, says: Statements) -> bool:
        """Return whether the person of a row is held out: its first identity decides.

        Args:
            says: what the row says.
        """
        if self.holdout is None:
            return False
        ranked = [(self._rank(each.slot), each.identity) for each in says if each.stance in CLAIMS]
        return bool(ranked) and self.holdout.chooses(min(ranked)[1])

    def _rank(self, slot: int) -> tuple[int, str]:
        column, kind = self.columns[slot]
        return deciding_rank(kind, column)

    def covers(self, list_number: int) -> bool:
        """Return whether the stream may change what a row says about a list."""
        return self.lists is None or list_number in self.lists

    def replaces(self, present: frozenset[int]) -> Callable[[Statement], bool]:
        """Return a function that decides whether a record replaces a statement of its row.

        On today's lists (on all lists, if rows name their own) a record replaces what its columns said before, and what
        columns said that are identity columns no more, if it has another column of their type. On any list, it replaces
        what a column said while it had another type. What a column said that is not in the record stays.

        Args:
            present: the slots whose columns are in the record.
        """
        present_types = {self.columns[slot].type for slot in present}
        present_columns = {self.columns[slot].column for slot in present}

        def replaced(statement: Statement) -> bool:
            slot = statement.slot
            if slot in self.slots:
                return slot in present and self.covers(statement.list_number)
            column, kind = self.columns[slot]
            return column in present_columns or (kind in present_types and self.covers(statement.list_number))

        return replaced


class Named(NamedTuple):
    """An identity in a record, with the list and slot that it is for."""

    list_number: int
    slot: int
    identity: bytes


class Form(NamedTuple):
    """An identity in a record under another hash algorithm.

    Attributes:
        list_number: the list that it is for.
        slot: the slot that it is for.
        identity: the other form.
        of: the identity in the record.
    """

    list_number: int
    slot: int
    identity: bytes
    of: bytes


class Event(NamedTuple):
    """What a record says about its row.

    Attributes:
        kind: what happened to the row.
        named: the identities in the record.
        present: the slots whose columns are in the record, whether their values are valid, invalid or null.
        plan: the plan of the stream.
        line: the record's line in the stream.
        routes: slot → the list that the record names for it; None if the settings choose the lists.
        forms: the same people under the other hash algorithms, if the record refuses them: they stay out in every form.
        held: whether the record's person is held out, if its row is only one of several identities of the person; None
            if what the row says decides.
    """

    kind: Kind
    named: tuple[Named, ...]
    present: frozenset[int]
    plan: Plan
    line: int
    routes: Mapping[int, int] | None = None
    forms: tuple[Form, ...] = ()
    held: bool | None = None

    def final_state(self) -> bytes | None:
        """Return the row's statements after the event, encoded; None if they depend on what the row said before."""
        # Former statements stay on the lists that the record names, which it must show even where it has no identity.
        shows_routes = self.routes is None or set(self.routes.values()) == {each.list_number for each in self.named}
        if self.kind in CONTRIBUTING and self.present == self.plan.slots and shows_routes:
            says = frozenset(self._claims())
            return encode_statements(self._decided(says) if self.plan.holdout is not None else says)
        return None

    def apply(self, says: Statements, shorten: Callable[[bytes], bytes]) -> Statements:
        """Return the row's statements after the event.

        Args:
            says: its statements before.
            shorten: returns the keyed digest of an identity, for identities that are remembered only as requested.
        """
        if self.kind is Kind.SEEN:
            return says
        if self.kind is Kind.ABSENT:
            return frozenset(s for s in says if s.stance not in CLAIMS or not self._concerns(s))
        if self.kind is Kind.WITHDRAWN:
            return frozenset(s for s in says if s.stance in REFUSALS or not self.plan.covers(s.list_number))
        if self.kind is Kind.FORGOTTEN:
            return self._without_named(says, shorten)
        others = self.plan.foreign_lists
        if self.kind is not Kind.DELETED:
            others = others | self.plan.lists_of_other_refusals
        if self.kind not in {Kind.DELETED, Kind.REFUSED}:
            others = others | self.plan.unclear_lists
        foreign = frozenset(s for s in says if s.list_number in others)
        own = says - foreign
        after = self._kept(own) | self._added(own, shorten)
        return foreign | (self._decided(after) if self.kind in CONTRIBUTING else after)

    def _claims(self, stance: Stance = Stance.CONTRIBUTES) -> Iterator[Statement]:
        for named in self.named:
            yield Statement(named.list_number, named.slot, stance, named.identity)
        for form in self.forms:
            yield Statement(form.list_number, form.slot, stance, form.identity)

    def _decided(self, says: Statements) -> Statements:
        """Return the statements of a row so that it contributes all of its identities or, if it is held out, none."""
        is_held = self.plan.holds_out(says) if self.held is None else self.held
        stance = Stance.HOLDS_OUT if is_held else Stance.CONTRIBUTES
        others = CLAIMS - {stance}
        return frozenset(each._replace(stance=stance) if each.stance in others else each for each in says)

    def _concerns(self, statement: Statement) -> bool:
        """Return whether the row's absence ends a statement: in the present slots, or in all if there are none."""
        return self.plan.covers(statement.list_number) and (not self.present or statement.slot in self.present)

    def _without_named(self, says: Statements, shorten: Callable[[bytes], bytes]) -> Statements:
        named = {each.identity for each in self.named}
        gone = {**dict.fromkeys(CLAIMS, named), Stance.ASKED: set(map(shorten, named))}
        return frozenset(s for s in says if s.identity not in gone.get(Stance(s.stance), ()))

    def _kept(self, says: Statements) -> Statements:
        if self.kind in CONTRIBUTING:
            replaced = self.plan.replaces(self.present)
            stays = REFUSALS if self.kind is Kind.ARRIVED else _EXCLUSIONS
            # A grant lifts only refusals that it replaces: a column that it lacks may hold a refused identity.
            kept = frozenset(s for s in says if s.stance in stays or (s.stance in _ABOUT_ROW and not replaced(s)))
            return kept if self.routes is None else frozenset(self._routed(kept, says, self.routes))
        if self.kind is Kind.DELETED:
            return frozenset(s for s in says if s.stance in {Stance.REFUSES, Stance.ASKED})
        return frozenset(s for s in says if s.stance in REFUSALS)

    def _routed(self, kept: Statements, says: Statements, routes: Mapping[int, int]) -> Iterator[Statement]:
        """Yield statements, changed so that the row contributes only to the lists that it names.

        The contribution of a column that is not in the record moves to the new list. If there is none for it, because
        the column is no identity column any more, the contribution ends if the row moves.

        Args:
            kept: the statements that the record does not replace.
            says: all statements of the row before.
            routes: see `Event`.
        """
        of_types = {self.plan.columns[slot].type: number for slot, number in routes.items()}

        def goal(claim: Statement) -> int | None:
            return of_types.get(self.plan.columns[claim.slot].type)

        claims = [each for each in says if each.stance in CLAIMS]
        moves = not routes or any(goal(each) not in {None, each.list_number} for each in claims)
        for each in kept:
            number = goal(each)
            if each.stance not in CLAIMS:
                yield each
            elif number is not None:
                yield each._replace(list_number=number)
            elif not moves or each.list_number in of_types.values():
                yield each

    def _added(self, says: Statements, shorten: Callable[[bytes], bytes]) -> set[Statement]:
        if self.kind is Kind.DELETED:
            return {Statement(n.list_number, n.slot, Stance.ASKED, shorten(n.identity)) for n in self.named}
        stance = {Kind.REFUSED: Stance.REFUSES, Kind.EXCLUDED: Stance.EXCLUDES}.get(self.kind, Stance.CONTRIBUTES)
        added = set(self._claims(stance))
        if self.kind is Kind.REFUSED:
            added |= {s._replace(stance=Stance.REFUSES) for s in says if s.stance in CLAIMS}
        return added

    @property
    def cause(self) -> Cause | None:
        """The cause of removals that follow from the event; None if it cannot lead to any."""
        return CAUSES.get(self.kind)
