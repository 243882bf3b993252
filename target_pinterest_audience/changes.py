"""What a window of events changes: looked up in the ledger together, written together, within one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from target_pinterest_audience.ledger import Ledger
from target_pinterest_audience.membership import (
    NOBODY,
    Cause,
    Count,
    Event,
    Kind,
    Says,
    Stance,
    Statement,
    change_of,
    count_all_says,
    decide,
    decode_says,
    encode_says,
    sole_contributions,
    statements,
)
from target_pinterest_audience.packed import member_key, member_keys
from target_pinterest_audience.pinterest import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.tally import StreamTally
    from target_pinterest_audience.window import Window

_REMOVING: Final = frozenset({Kind.DELETED, Kind.EXCLUDED, Kind.FORGOTTEN})
_ONE: Final = Count(1, 0)


class Removal(NamedTuple):
    """Why an identity is removed."""

    cause: Cause
    line: int
    """The first line of the stream that it follows from."""
    was_member: bool = True
    """Whether the identity belonged on the list; a deleted row can name one that never did."""


@dataclass(frozen=True, slots=True)
class ListDecisions:
    """What is to be sent to one list.

    Attributes:
        additions: identity → the first line of the stream that its addition follows from.
        removals: identity → why it is removed.
    """

    additions: dict[bytes, int] = field(default_factory=dict)
    removals: dict[bytes, Removal] = field(default_factory=dict)


Decisions = dict[int, ListDecisions]
"""List number → what is to be sent to it."""


class Absorbed(NamedTuple):
    """What came of a window."""

    decisions: Decisions
    all_new: bool
    """Whether the ledger knew none of its rows, so that the same is likely of the next window."""


class NewRows:
    """What a window changes, supposed that all of its rows are new."""

    def __init__(self, window: Window, says: Mapping[bytes, bytes], changes: _Changes) -> None:
        """Take it in; see `suppose_new`."""
        self._window = window
        self._says = says
        self._changes = changes

    def write(self, ledger: Ledger, run: int) -> Decisions | None:
        """Write it, within a transaction of the caller.

        Returns:
            What has to be sent for it; None if a row is known, so that nothing is written.
        """
        (source,) = self._window.sources
        if not ledger.insert_rows(source, run, self._says):
            return None
        return self._changes.write(ledger, expect_new=True)


def suppose_new(window: Window, shorten: Callable[[bytes], bytes]) -> NewRows | None:
    """Prepare to write a window without looking its rows up; None if they cannot all be new.

    Args:
        window: the events.
        shorten: the keyed digest of an identity.
    """
    says = window.all_whole()
    if says is None:
        return None
    changes = _Changes(window, shorten)
    changes.note_new(range(len(window)))
    return NewRows(window, says, changes)


def absorb(
    ledger: Ledger,
    run: int,
    shorten: Callable[[bytes], bytes],
    window: Window,
    overwriting: Collection[int] = (),
) -> Absorbed:
    """Write what events change, within a transaction of the caller, and return what has to be sent for that.

    Args:
        ledger: the ledger.
        run: the number of the run that sees the rows.
        shorten: the keyed digest of an identity.
        window: the events.
        overwriting: the sources whose unchanged rows are marked as seen, too.
    """
    changes = _Changes(window, shorten)
    says, others = window.split()
    differing = ledger.differing_rows(says)
    before = differing | ledger.read_rows(others)
    events = others | {row: [index] for index, row in enumerate(window.rows) if row in differing}
    _count_unchanged(window, {index for indices in events.values() for index in indices})
    new = [indices[0] for row, indices in events.items() if row not in others and not before[row]]
    changes.note_new(new)
    now = {window.rows[index]: says[window.rows[index]] for index in new}
    for row, indices in events.items():
        if row not in now:
            now[row] = changes.follow(before.get(row, b""), indices)
    changed = {row: said for row, said in now.items() if said != before.get(row, b"")}
    _write_rows(ledger, run, window, changed, overwriting)
    return Absorbed(changes.write(ledger), all_new=len(new) == len(window))


def _count_unchanged(window: Window, others: Collection[int]) -> None:
    """Count what rows say again, all but those of some events."""
    for part in window.stretches():
        wholes = window.wholes[part.start : part.stop]
        if others:
            wholes = [whole for index, whole in enumerate(wholes, part.start) if index not in others]
        part.tally.unchanged += count_all_says(cast("list[bytes]", wholes))


def _write_rows(
    ledger: Ledger, run: int, window: Window, changed: Mapping[bytes, bytes], overwriting: Collection[int]
) -> None:
    """Write what rows say now, and mark the others as seen if their source is overwritten."""
    for source in window.sources:
        parts = (part for part in window.stretches() if part.origin.plan.source == source)
        rows = [row for part in parts for row in window.rows[part.start : part.stop]]
        ledger.write_rows(source, run, {row: changed[row] for row in rows if row in changed})
        if source in overwriting:
            ledger.mark_seen(run, {row for row in rows if row not in changed})


@dataclass(slots=True)
class _Touched:
    """What a window does to one identity of one list."""

    line: int
    contributors: int = 0
    refusers: int = 0
    cause: Cause = Cause.PRUNE
    asked: bool = False


class _Changes:
    """What the events of a window do to the identities that they name."""

    def __init__(self, window: Window, shorten: Callable[[bytes], bytes]) -> None:
        self._window = window
        self._shorten = shorten
        self._arrivals: dict[int, dict[bytes, int]] = defaultdict(dict)
        """List → identity → the index of the one event that touches it, which is all that a new row says."""
        self._touched: dict[int, dict[bytes, _Touched]] = defaultdict(dict)
        """List → identity → what is done to it, if that is anything else."""
        self._named: list[tuple[StreamTally, int, bytes]] = []
        """The identities that rows contribute in the end, for the counts; those of arrivals left out."""

    def note_new(self, indices: Sequence[int]) -> None:
        """Note what new rows say, each of which has one event and says something.

        Args:
            indices: of the events.
        """
        wholes = [self._window.wholes[index] or b"" for index in indices]
        alike = sole_contributions(wholes)
        if alike is not None and not self._arrivals[alike.list_number] and not self._touched[alike.list_number]:
            arrivals = dict(zip(alike.identities, indices, strict=True))
            if len(arrivals) == len(indices):
                self._arrivals[alike.list_number] = arrivals
                return
        for index, whole in zip(indices, wholes, strict=True):
            for statement in statements(whole):
                self._arrive(statement.list_number, statement.identity, index)

    def _arrive(self, number: int, identity: bytes, index: int) -> None:
        arrivals = self._arrivals[number]
        if identity not in arrivals and identity not in self._touched[number]:
            arrivals[identity] = index
            return
        self._touch(number, identity, self._window.lines[index]).contributors += 1
        self._named.append((self._window.tally(index), number, identity))

    def _touch(self, number: int, identity: bytes, line: int) -> _Touched:
        entry = self._touched[number].get(identity)
        if entry is None:
            entry = self._touched[number][identity] = _Touched(line)
            index = self._arrivals[number].pop(identity, None)
            if index is not None:
                entry.contributors = 1
                entry.line = self._window.lines[index]
                self._named.append((self._window.tally(index), number, identity))
        entry.line = min(entry.line, line)
        return entry

    def follow(self, said: bytes, indices: Sequence[int]) -> bytes:
        """Apply the events of one row in their order, and note which identities they touch.

        Args:
            said: what the row said before, encoded.
            indices: of its events.

        Returns:
            What it says now, encoded.
        """
        says = decode_says(said)
        events = [self._window.event(index) for index in indices]
        for event in events:
            after = event.apply(says, self._shorten)
            for statement in after ^ says:
                if statement.stance != Stance.ASKED:
                    self._note_statement(event, statement, 1 if statement in after else -1)
            if event.kind is Kind.DELETED:
                self._ask(event, says)
            says = after
        for index, event in zip(indices, events, strict=True):
            self._note_named(index, event, says if index != indices[-1] else None)
        return encode_says(says)

    def _note_statement(self, event: Event, statement: Statement, sign: int) -> None:
        """Note that a statement came (1) or went (-1)."""
        entry = self._touch(statement.list_number, statement.identity, event.line)
        change = change_of(statement)
        entry.contributors += sign * change.contributors
        entry.refusers += sign * change.refusers
        leaves = change.contributors * sign < 0
        refused = change.refusers * sign > 0
        if (leaves or refused) and event.cause is not None:
            entry.cause = max(entry.cause, event.cause)
            entry.asked = entry.asked or refused

    def _ask(self, event: Event, says: Says) -> None:
        """Note what a deleted row names besides what it contributed, unless that was asked before."""
        asked = {(s.list_number, s.identity) for s in says if s.stance == Stance.ASKED}
        for list_number, _, identity in event.named:
            if (list_number, self._shorten(identity)) not in asked:
                entry = self._touch(list_number, identity, event.line)
                entry.asked = True
                entry.cause = max(entry.cause, Cause.DELETE)

    def _note_named(self, index: int, event: Event, superseded_by: Says | None) -> None:
        """Count what an event names, or note it until it is known what becomes of it.

        Args:
            index: of the event.
            event: the event.
            superseded_by: what later events of its row left of it; None if it is the last.
        """
        tally = self._window.tally(index)
        if event.kind in _REMOVING:
            tally.named_for_removal += len(event.named)
            return
        if event.kind is Kind.REFUSED:
            tally.refused += len(event.named)
            return
        for number, slot, identity in event.named:
            said = Statement(number, slot, Stance.CONTRIBUTES, identity)
            if superseded_by is not None and said not in superseded_by:
                tally.duplicates += 1
            else:
                self._named.append((tally, number, identity))

    def write(self, ledger: Ledger, *, expect_new: bool = False) -> Decisions:
        """Write the counts of the identities, and return what is to be sent for them."""
        decisions: Decisions = {}
        refused: set[tuple[int, bytes]] = set()
        for number in sorted(self._arrivals.keys() | self._touched.keys()):
            arrivals, touched = self._arrivals[number], self._touched[number]
            keys = [*member_keys(arrivals), *member_keys(touched)]
            inserted = expect_new and not touched and ledger.insert_members(number, keys)
            before = {} if inserted else ledger.read_members(number, keys)
            decided = decisions[number] = ListDecisions()
            after = self._decide_arrivals(arrivals, before, decided)
            members = len(decided.additions)
            for identity, entry in touched.items():
                key = member_key(identity)
                was = before.get(key, NOBODY)
                now = Count(was.contributors + entry.contributors, was.refusers + entry.refusers)
                if now != was:
                    after[key] = now
                if now.refusers:
                    refused.add((number, identity))
                members += now.on_list - was.on_list
                operation = decide(was, now, asked=entry.asked)
                if operation is Operation.ADD:
                    decided.additions[identity] = entry.line
                elif operation is Operation.REMOVE:
                    decided.removals[identity] = Removal(entry.cause, entry.line, was.on_list)
            if not inserted:
                ledger.write_members(number, after)
            if members:
                ledger.catalogue.change_members(number, members)
        self._count_named(decisions, refused)
        return decisions

    def _decide_arrivals(
        self, arrivals: Mapping[bytes, int], before: Mapping[bytes, Count], decided: ListDecisions
    ) -> dict[bytes, Count]:
        """Decide who of those that new rows name is to be added; return their counts."""
        window = self._window
        new = arrivals
        if before:
            new = {identity: index for identity, index in arrivals.items() if member_key(identity) not in before}
        decided.additions.update(zip(new, map(window.lines.__getitem__, new.values()), strict=True))
        for tally, count in window.count_tallies(new.values()):
            tally.added += count
        after = dict.fromkeys(member_keys(new), _ONE)
        for identity in arrivals.keys() - new.keys() if before else ():
            was = before[member_key(identity)]
            after[member_key(identity)] = Count(was.contributors + 1, was.refusers)
            tally = window.tally(arrivals[identity])
            if was.refusers:
                tally.refused += 1
            else:
                tally.unchanged += 1
        return after

    def _count_named(self, decisions: Decisions, refused: Collection[tuple[int, bytes]]) -> None:
        added: set[tuple[int, bytes]] = set()
        for tally, number, identity in self._named:
            if (number, identity) in added:
                tally.duplicates += 1
            elif (number, identity) in refused:
                tally.refused += 1
            elif number in decisions and identity in decisions[number].additions:
                added.add((number, identity))
                tally.added += 1
            else:
                tally.unchanged += 1
