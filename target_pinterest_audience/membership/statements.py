"""Who belongs on a list: what each row says, and what follows from all that rows say. Pure.

An identity is on a list if and only if at least one row contributes it and no row refuses it. A row is known by a
digest of its key; what it says is a set of statements. Each event replaces some of a row's statements, by the rules of
`Event.apply`; the differences between before and after, summed over rows, decide what is sent.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, cast

import msgspec

from target_pinterest_audience.identities.packed import LONGEST_DIGEST
from target_pinterest_audience.vocabulary import Cause, Operation


class Stance(IntEnum):
    """What a row says of an identity. The numbers are stored."""

    CONTRIBUTES = 1
    """It is to be on the list, unless a row refuses it."""
    REFUSES = 2
    """Consent was withdrawn; lifted only when the same row, naming that column, grants it again."""
    EXCLUDES = 3
    """A stream of `operation: remove` names it; lifted when the row is deleted."""
    ASKED = 4
    """A deleted row named it, and its removal was asked for; kept as a keyed digest, so that it is asked for once."""


_CONTRIBUTES: Final = int(Stance.CONTRIBUTES)
_SHORT_LIST: Final = 0x9
_ABOUT_ROW: Final = frozenset({Stance.CONTRIBUTES, Stance.REFUSES})
_EXCLUSIONS: Final = frozenset({Stance.EXCLUDES})
REFUSALS: Final = frozenset({Stance.REFUSES, Stance.EXCLUDES})
"""What keeps an identity off a list."""


class Statement(NamedTuple):
    """One thing that a row says."""

    list_number: int
    slot: int
    """The column and type of identity that it comes from, as the ledger numbers them."""
    stance: int
    identity: bytes


Says = frozenset[Statement]
"""All that a row says."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Statement]).decode


def encode_says(says: Collection[Statement]) -> bytes:
    """Return the one form of statements that are all different; empty for a row that says nothing."""
    if len(says) > 1:
        says = sorted(says)
    return _encode(tuple(says)) if says else b""


def encode_contributions(slots: Sequence[tuple[int, int]], columns: Sequence[Sequence[bytes | None]]) -> list[bytes]:
    """Return the encoded statements of rows that do nothing but contribute.

    Args:
        slots: list and slot of each identity column, in their order.
        columns: the packed identities that the rows name in each column, None where they name nobody.

    Returns:
        For each row what `encode_says` returns.
    """

    @functools.cache
    def head(slot: tuple[int, int], size: int) -> bytes:
        return _encode((*slot, _CONTRIBUTES, bytes(size)))[:-size]

    # A list of zeros is as long as its own head and a byte for each.
    heads = [_encode([0] * count)[:-count] if count else b"" for count in range(len(slots) + 1)]
    packed_columns = [
        [packed or b"" for packed in column] if None in column else cast("Sequence[bytes]", column)
        for column in columns
    ]
    if len(slots) == 1 and {LONGEST_DIGEST} == set(map(len, packed_columns[0])):
        before = heads[1] + head(slots[0], LONGEST_DIGEST)
        return list(map(before.__add__, packed_columns[0]))
    said = [
        [head(slot, len(packed)) + packed if packed else b"" for packed in column]
        for slot, column in zip(slots, packed_columns, strict=True)
    ]
    if len(said) == 1:
        return [heads[1] + only if only else b"" for only in said[0]]
    return [heads[sum(map(bool, row))] + b"".join(row) for row in zip(*said, strict=True)]


def statements(encoded: bytes) -> list[Statement]:
    """Return the statements that `encode_says` wrote, in their order."""
    return _decode(encoded) if encoded else []


def decode_says(encoded: bytes) -> Says:
    """Return the statements that `encode_says` wrote, as a set."""
    return frozenset(statements(encoded))


def count_says(encoded: bytes) -> int:
    """Return how many statements `encode_says` wrote."""
    # The first byte of a short list holds its length (MessagePack, "fixarray").
    if encoded and encoded[0] >> 4 == _SHORT_LIST:
        return encoded[0] & 0x0F
    return len(statements(encoded))


def count_all_says(encoded: Sequence[bytes]) -> int:
    """Return how many statements `encode_says` wrote for all of several rows."""
    heads = Counter([says[:1] for says in encoded])
    if all(not head or head[0] >> 4 == _SHORT_LIST for head in heads):
        return sum(count_says(head) * rows for head, rows in heads.items())
    return sum(map(count_says, encoded))


class Contributions(NamedTuple):
    """What rows contribute to a list, each one identity."""

    list_number: int
    identities: list[bytes]


def sole_contributions(encoded: Sequence[bytes]) -> Contributions | None:
    """Return what rows contribute, if that is one long digest each, and all for one list.

    Args:
        encoded: what `encode_says` wrote for each of them.
    """
    # Whatever begins alike and is equally long differs in the end only, which is the identity.
    if len({says[:-LONGEST_DIGEST] for says in encoded}) != 1 or len(set(map(len, encoded))) != 1:
        return None
    said = statements(encoded[0])
    if len(said) != 1 or said[0].stance != _CONTRIBUTES or len(said[0].identity) != LONGEST_DIGEST:
        return None
    return Contributions(said[0].list_number, [says[-LONGEST_DIGEST:] for says in encoded])


class Kind(IntEnum):
    """What happened to a row."""

    ARRIVED = 1
    """It is there, and contributes what it names."""
    GRANTED = 2
    """The same, and its consent column says yes."""
    REFUSED = 3
    """Its consent column says no."""
    DELETED = 4
    """It is deleted."""
    EXCLUDED = 5
    """It is in a stream of `operation: remove`."""
    SEEN = 6
    """It is there, but too bad to be read."""
    ABSENT = 7
    """A complete run did not name it, or lacked some of its columns."""
    WITHDRAWN = 8
    """A person takes back what was sent for it; what it refuses stays."""
    FORGOTTEN = 9
    """A person whom it names is to be forgotten; what it refuses stays."""


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
"""Why identities leave that a row no longer contributes, or names for removal, by what happened to the row."""


class Slot(NamedTuple):
    """An identity column of one type: one that changes its type becomes another slot."""

    column: str
    type: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What the ledger knows a stream's columns and lists by.

    Attributes:
        source: the source that its rows belong to.
        lists: the lists that its identities go to today; None if each row names its own, and leaves all others.
        columns: slot number → the slot, for every slot that the ledger has a number for.
        slots: the slots of today's identity columns.
        keyed: whether a key tells the rows apart; else each identity is its own row.
        strangers: the lists of other loaders: what rows with the same keys say of these is none of this stream's
            business. They are looked at when an event is applied, since they may change during a run.
    """

    source: int
    lists: frozenset[int] | None
    columns: Mapping[int, Slot]
    slots: frozenset[int]
    keyed: bool = True
    strangers: AbstractSet[int] = frozenset()

    def covers(self, list_number: int) -> bool:
        """Tell whether what a row says of a list is for the stream to change."""
        return self.lists is None or list_number in self.lists

    def replaces(self, present: frozenset[int]) -> Callable[[Statement], bool]:
        """Tell which statements of its row a record takes the place of.

        Those of today's lists, or of all lists if rows name theirs: from the columns that it has; and from columns that
        are no longer looked at, if it has another of their type. In whichever list, what a column said while it held
        another type. A column that is not in the record at all leaves what it said before.
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
    """An identity that a record names."""

    list_number: int
    slot: int
    identity: bytes


class Event(NamedTuple):
    """What a record says of its row.

    Attributes:
        kind: what happened to the row.
        named: the identities in the record.
        present: the slots whose columns are in the record, with a good value, a bad one or none.
        plan: the stream's.
        line: the record's line in the stream.
        routes: slot → the list that the record names for it; None if the settings choose the lists.
        forms: what the same people are under the other algorithms, if the record refuses them: they stay out in every
            form.
    """

    kind: Kind
    named: tuple[Named, ...]
    present: frozenset[int]
    plan: Plan
    line: int
    routes: Mapping[int, int] | None = None
    forms: tuple[Named, ...] = ()

    def whole(self) -> bytes | None:
        """Return what the row says if it says nothing but what this record names; None if that cannot be told."""
        # Who names nobody does not tell where what it said before goes along to.
        tells_routes = self.routes is None or bool(self.named)
        if self.kind in CONTRIBUTING and self.present == self.plan.slots and tells_routes:
            return encode_says(
                [Statement(number, slot, _CONTRIBUTES, identity) for number, slot, identity in self.named]
            )
        return None

    def apply(self, says: Says, shorten: Callable[[bytes], bytes]) -> Says:
        """Return what the row says after this.

        Args:
            says: what it said before.
            shorten: the keyed digest of an identity, for what is only remembered as asked for.
        """
        if self.kind is Kind.SEEN:
            return says
        if self.kind is Kind.ABSENT:
            return frozenset(s for s in says if s.stance != Stance.CONTRIBUTES or not self._concerns(s))
        if self.kind is Kind.WITHDRAWN:
            return frozenset(s for s in says if s.stance in REFUSALS or not self.plan.covers(s.list_number))
        if self.kind is Kind.FORGOTTEN:
            return self._without_named(says, shorten)
        of_others = frozenset(s for s in says if s.list_number in self.plan.strangers)
        own = says - of_others
        return of_others | self._kept(own) | self._said(own, shorten)

    def _concerns(self, statement: Statement) -> bool:
        """Tell whether a row's absence ends a statement: in one column, if the columns are named, or in all."""
        return self.plan.covers(statement.list_number) and (not self.present or statement.slot in self.present)

    def _without_named(self, says: Says, shorten: Callable[[bytes], bytes]) -> Says:
        named = {each.identity for each in self.named}
        gone = {Stance.CONTRIBUTES: named, Stance.ASKED: set(map(shorten, named))}
        return frozenset(s for s in says if s.identity not in gone.get(Stance(s.stance), ()))

    def _kept(self, says: Says) -> Says:
        if self.kind in CONTRIBUTING:
            replaced = self.plan.replaces(self.present)
            stays = REFUSALS if self.kind is Kind.ARRIVED else _EXCLUSIONS
            # A grant lifts what it takes the place of: a column that it lacks may hold what was refused.
            kept = frozenset(s for s in says if s.stance in stays or (s.stance in _ABOUT_ROW and not replaced(s)))
            return kept if self.routes is None else frozenset(self._moved(kept, self.routes))
        if self.kind is Kind.DELETED:
            return frozenset(s for s in says if s.stance in {Stance.REFUSES, Stance.ASKED})
        return frozenset(s for s in says if s.stance in REFUSALS)

    def _moved(self, says: Says, routes: Mapping[int, int]) -> Iterator[Statement]:
        """Yield statements so that the row contributes only to the lists that it names.

        What a column contributes that is not in the record goes along, or leaves if there is no list for it.
        """
        columns = self.plan.columns
        of_types = {columns[slot].type: number for slot, number in routes.items()}
        for statement in says:
            number = of_types.get(columns[statement.slot].type)
            if statement.stance != Stance.CONTRIBUTES:
                yield statement
            elif number is not None:
                yield statement._replace(list_number=number)
            elif statement.list_number in of_types.values():
                yield statement

    def _said(self, says: Says, shorten: Callable[[bytes], bytes]) -> set[Statement]:
        if self.kind is Kind.DELETED:
            return {Statement(n.list_number, n.slot, Stance.ASKED, shorten(n.identity)) for n in self.named}
        stance = {Kind.REFUSED: Stance.REFUSES, Kind.EXCLUDED: Stance.EXCLUDES}.get(self.kind, Stance.CONTRIBUTES)
        said = {Statement(n.list_number, n.slot, stance, n.identity) for n in (*self.named, *self.forms)}
        if self.kind is Kind.REFUSED:
            said |= {s._replace(stance=Stance.REFUSES) for s in says if s.stance == Stance.CONTRIBUTES}
        return said

    @property
    def cause(self) -> Cause | None:
        """Why identities leave that the row contributed before; None if it cannot make any leave."""
        return CAUSES.get(self.kind)


class Count(NamedTuple):
    """How many statements contribute an identity to a list, and how many refuse it."""

    contributors: int
    refusers: int

    @property
    def on_list(self) -> bool:
        """Whether the identity belongs on the list."""
        return self.contributors > 0 and not self.refusers


NOBODY: Final = Count(0, 0)


def change_of(statement: Statement) -> Count:
    """Return what a statement adds to the count of its identity."""
    return Count(int(statement.stance == Stance.CONTRIBUTES), int(statement.stance in REFUSALS))


def decide(before: Count, after: Count, *, asked: bool) -> Operation | None:
    """Return what is to be sent for an identity when its count changes; None if nothing is.

    Args:
        before: the count as the ledger has it.
        after: the count after the events of a window.
        asked: whether an event asks for its removal by name. An identity that the ledger never saw is then removed too:
            it may have come to the list in another way.
    """
    if after.on_list:
        return None if before.on_list else Operation.ADD
    if before.on_list or (asked and not before.refusers):
        return Operation.REMOVE
    return None
