"""What a window of events changes: looked up in the ledger together, written together, within one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

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
    count_says,
    decide,
    decode_says,
    encode_says,
    member_key,
    statements,
)
from target_pinterest_audience.pinterest import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.tally import StreamTally
    from target_pinterest_audience.window import Window

_REMOVING: Final = frozenset({Kind.DELETED, Kind.EXCLUDED})
_ONE: Final = Count(1, 0)


class Removal(NamedTuple):
    """Why an identity is removed."""

    cause: Cause
    line: int
    """The first line of the stream that it follows from."""


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


def absorb(
    ledger: Ledger,
    run: int,
    shorten: Callable[[bytes], bytes],
    window: Window,
    overwriting: Collection[int] = (),
    *,
    expect_new: bool = False,
) -> Absorbed:
    """Write what events change, within a transaction of the caller, and return what has to be sent for that.

    Args:
        ledger: the ledger.
        run: the number of the run that sees the rows.
        shorten: the keyed digest of an identity.
        window: the events.
        overwriting: the sources whose unchanged rows are marked as seen, too.
        expect_new: whether it is worth trying to write rows before they are looked up.
    """
    changes = _Changes(window, shorten)
    if expect_new and _insert_new(ledger, run, window):
        for index in range(len(window)):
            changes.note_row(b"", (index,))
        return Absorbed(changes.write(ledger, expect_new=True), all_new=True)
    all_new = _compare(ledger, run, window, changes, overwriting)
    return Absorbed(changes.write(ledger), all_new)


def _insert_new(ledger: Ledger, run: int, window: Window) -> bool:
    """Write the rows of a window if all are new; return whether they were."""
    says = window.new_rows()
    return says is not None and ledger.insert_rows(window.origins[0].plan.source, run, says)


def _compare(ledger: Ledger, run: int, window: Window, changes: _Changes, overwriting: Collection[int]) -> bool:
    """Write what rows say now where it differs from before; return whether no row was known."""
    before = ledger.read_rows(set(window.rows))
    said_now: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    seen: list[bytes] = []

    def note(row: bytes, said: bytes, says: bytes, source: int) -> None:
        if says != said:
            said_now[source][row] = says
        elif source in overwriting:
            seen.append(row)

    repeated = window.repeated()
    for index, (row, whole, origin) in enumerate(zip(window.rows, window.wholes, window.origins, strict=True)):
        if row in repeated:
            continue
        said = before.get(row, b"")
        if whole == said:
            # The usual case of a run, so it is quick.
            origin.tally.unchanged += count_says(said)
            if overwriting:
                note(row, said, said, origin.plan.source)
        else:
            note(row, said, changes.note_row(said, (index,)), origin.plan.source)
    for row, indices in repeated.items():
        said = before.get(row, b"")
        note(row, said, changes.note_row(said, indices), window.origins[indices[-1]].plan.source)
    for source, says_of_rows in said_now.items():
        ledger.write_rows(source, run, says_of_rows)
    ledger.mark_seen(run, seen)
    return not before


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

    def note_row(self, said: bytes, indices: Sequence[int]) -> bytes:
        """Note what the events of a row change.

        Args:
            said: what the row said before, encoded.
            indices: of its events.

        Returns:
            What it says now, encoded.
        """
        whole = self._window.wholes[indices[0]]
        if whole is None or said or len(indices) > 1:
            return self._follow(said, indices)
        for statement in statements(whole):
            self._arrive(statement.list_number, statement.identity, indices[0])
        return whole

    def _arrive(self, number: int, identity: bytes, index: int) -> None:
        arrivals = self._arrivals[number]
        if identity not in arrivals and identity not in self._touched[number]:
            arrivals[identity] = index
            return
        self._touch(number, identity, self._window.lines[index]).contributors += 1
        self._named.append((self._window.origins[index].tally, number, identity))

    def _touch(self, number: int, identity: bytes, line: int) -> _Touched:
        entry = self._touched[number].get(identity)
        if entry is None:
            entry = self._touched[number][identity] = _Touched(line)
            index = self._arrivals[number].pop(identity, None)
            if index is not None:
                entry.contributors = 1
                entry.line = self._window.lines[index]
                self._named.append((self._window.origins[index].tally, number, identity))
        entry.line = min(entry.line, line)
        return entry

    def _follow(self, said: bytes, indices: Sequence[int]) -> bytes:
        """Apply the events of one row in their order, and note which identities they touch."""
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
        tally = self._window.origins[index].tally
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
            keys = {*map(member_key, arrivals), *map(member_key, touched)}
            inserted = expect_new and not touched and ledger.insert_members(number, keys)
            before = {} if inserted else ledger.read_members(number, keys)
            after: dict[bytes, Count] = {}
            decided = decisions[number] = ListDecisions()
            self._decide_arrivals(arrivals, before, after, decided)
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
                    decided.removals[identity] = Removal(entry.cause, entry.line)
            if not inserted:
                ledger.write_members(number, after)
            if members:
                ledger.catalogue.change_members(number, members)
        self._count_named(decisions, refused)
        return decisions

    def _decide_arrivals(
        self, arrivals: dict[bytes, int], before: dict[bytes, Count], after: dict[bytes, Count], decided: ListDecisions
    ) -> None:
        lines, origins, additions = self._window.lines, self._window.origins, decided.additions
        # In the order of the ledger's table, so that what is written is sorted already.
        for identity in sorted(arrivals):
            index, key = arrivals[identity], member_key(identity)
            was = before.get(key)
            tally = origins[index].tally
            if was is None:
                after[key] = _ONE
                additions[identity] = lines[index]
                tally.added += 1
                continue
            after[key] = Count(was.contributors + 1, was.refusers)
            if was.refusers:
                tally.refused += 1
            else:
                tally.unchanged += 1

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
