"""What a window of events changes: looked up in the ledger together, written together, within one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from target_pinterest_audience.identities.packed import member_key, member_keys
from target_pinterest_audience.identities.types import IDENTITY_TYPES, HashRule
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.statements import (
    NOBODY,
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
from target_pinterest_audience.reconcile.source_run import SourceRun
from target_pinterest_audience.vocabulary import Cause, Operation

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.reconcile.window import Window

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

    def write(self, ledger: Ledger, sources: Mapping[int, SourceRun]) -> Decisions | None:
        """Write it, within a transaction of the caller.

        Args:
            ledger: the ledger.
            sources: see `absorb`.

        Returns:
            What has to be sent for it; None if a row is known, so that nothing is written.
        """
        (number,) = self._window.sources
        source = sources[number]
        if not ledger.rows.insert(number, source.mark if 0 in source.readers else 0, self._says):
            return None
        _mark(ledger, source, self._says)
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
    ledger: Ledger, sources: Mapping[int, SourceRun], shorten: Callable[[bytes], bytes], window: Window
) -> Absorbed:
    """Write what events change, within a transaction of the caller, and return what has to be sent for that.

    Args:
        ledger: the ledger.
        sources: the sources of the run that sees the rows, by their numbers; rows of others are not marked as seen.
        shorten: the keyed digest of an identity.
        window: the events.
    """
    changes = _Changes(window, shorten, {number for number, source in sources.items() if source.is_first})
    says, others = window.split()
    differing = ledger.rows.differing(says)
    before = differing | ledger.rows.read(others)
    events = others | {row: [index] for index, row in enumerate(window.rows) if row in differing}
    _count_unchanged(window, {index for indices in events.values() for index in indices})
    new = [indices[0] for row, indices in events.items() if row not in others and not before[row]]
    changes.note_new(new)
    now = {window.rows[index]: says[window.rows[index]] for index in new}
    rest = {row: indices for row, indices in events.items() if row not in now}
    changes.compare(rest, before, sources)
    refused = _refused_in_this_run(ledger, window, rest, before, sources)
    for row, indices in rest.items():
        now[row] = changes.follow(before.get(row, b""), indices, refused=row in refused)
    changed = {row: said for row, said in now.items() if said != before.get(row, b"")}
    _write_rows(ledger, sources, window, changed)
    return Absorbed(changes.write(ledger), all_new=len(new) == len(window))


def _refused_in_this_run(
    ledger: Ledger,
    window: Window,
    events: Mapping[bytes, list[int]],
    before: Mapping[bytes, bytes],
    sources: Mapping[int, SourceRun],
) -> set[bytes]:
    """Return the rows without a key that a record of this run has refused: no other may lift that in the same run.

    Each of them was marked when it was refused; see `_write_rows`.
    """
    refused: set[bytes] = set()
    for source in sources.values() if window.has_keyless_rows else ():
        rows = [
            row
            for row, indices in events.items()
            for plan in [window.origin(indices[0]).plan]
            if plan.source == source.source
            and not plan.keyed
            and any(each.stance == Stance.REFUSES for each in statements(before.get(row, b"")))
        ]
        if rows:
            # Which readers there are may have changed since it was marked.
            for reader in sorted({0} | source.readers):
                marks = ledger.rows.marks(rows, reader)
                refused.update(row for row, mark in marks.items() if mark == source.mark)
    return refused


def _count_unchanged(window: Window, others: Collection[int]) -> None:
    """Count what rows say again, all but those of some events."""
    for part in window.stretches():
        wholes = window.wholes[part.start : part.stop]
        if others:
            wholes = [whole for index, whole in enumerate(wholes, part.start) if index not in others]
        part.tally.unchanged += count_all_says(cast("list[bytes]", wholes))


def _write_rows(
    ledger: Ledger, sources: Mapping[int, SourceRun], window: Window, changed: Mapping[bytes, bytes]
) -> None:
    """Write what rows say now, and mark the others as seen if their source is overwritten."""
    for number in window.sources:
        source = sources.get(number) or SourceRun(number)
        parts = [part for part in window.stretches() if part.origin.plan.source == number]
        rows = [row for part in parts for row in window.rows[part.start : part.stop]]
        changed_here = {row: changed[row] for row in rows if row in changed}
        ledger.rows.write(number, source.mark if 0 in source.readers else 0, changed_here)
        seen = set(changed_here)
        if source.overwrites:
            seen.update(rows)
        for part in parts:
            if part.origin.kind is Kind.REFUSED and not part.origin.plan.keyed:
                seen.update(window.rows[part.start : part.stop])
        if 0 in source.readers:
            ledger.rows.mark_seen(source.mark, seen - changed_here.keys())
        _mark(ledger, source, seen)


def _mark(ledger: Ledger, source: SourceRun, rows: Collection[bytes]) -> None:
    """Mark rows as seen for those readers whose marks are not kept with what rows say."""
    for reader in sorted(source.readers - {0}):
        ledger.rows.mark_seen(source.mark, rows, reader)


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

    def __init__(
        self, window: Window, shorten: Callable[[bytes], bytes], first_read: Collection[int] = frozenset()
    ) -> None:
        self._window = window
        self._shorten = shorten
        self._first_read = first_read
        """The sources that no run has read before, whose deletes meet no rows."""
        self._arrivals: dict[int, dict[bytes, int]] = defaultdict(dict)
        """List → identity → the index of the one event that touches it, which is all that a new row says."""
        self._touched: dict[int, dict[bytes, _Touched]] = defaultdict(dict)
        """List → identity → what is done to it, if that is anything else."""
        self._partial: set[int] = set()
        """The lists that somebody refuses to be on of whom one digest is known only."""
        self._sources: Mapping[int, SourceRun] = {}
        self._compared: set[tuple[int, int]] = set()
        """The sources and lists of which `compare` has learnt something."""
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

    def compare(
        self, events: Mapping[bytes, list[int]], before: Mapping[bytes, bytes], sources: Mapping[int, SourceRun]
    ) -> None:
        """Learn from rows that the ledger knows whether the lists of former settings are those of another table.

        Args:
            events: row → the indices of its events.
            before: row → what it said before, encoded.
            sources: the sources of the run.
        """
        curious = {number for number, source in sources.items() if source.acquaintances}
        if curious.isdisjoint(self._window.sources):
            return
        for row, indices in events.items():
            source = sources.get(self._window.origin(indices[0]).plan.source)
            if source is not None and source.acquaintances and before.get(row):
                found = source.compare(map(self._window.event, indices), decode_says(before[row]))
                self._compared.update((source.source, number) for number in found)
        self._sources = sources

    def follow(self, said: bytes, indices: Sequence[int], *, refused: bool = False) -> bytes:
        """Apply the events of one row in their order, and note which identities they touch.

        Args:
            said: what the row said before, encoded.
            indices: of its events.
            refused: whether the row has no key, and a record of this run has refused it.

        Returns:
            What it says now, encoded.
        """
        says = decode_says(said)
        counted = []
        for index in indices:
            event, tally = self._window.event(index), self._window.tally(index)
            if not event.plan.keyed and event.kind in {Kind.REFUSED, Kind.GRANTED}:
                if refused and event.kind is Kind.GRANTED:
                    # Of two rows without a key that name one person, the one that refuses counts.
                    tally.refused += len(event.named)
                    continue
                refused = True if event.kind is Kind.REFUSED else refused
            if event.kind is Kind.DELETED and not says:
                tally.unmatched_deletes += self._should_have_met(event)
            after = event.apply(says, self._shorten)
            for statement in after ^ says:
                if statement.stance != Stance.ASKED:
                    self._note_statement(event, statement, 1 if statement in after else -1)
            if event.kind is Kind.DELETED:
                self._ask(event, says)
            says = after
            counted.append((index, event))
        for index, event in counted:
            self._note_named(index, event, says if index != counted[-1][0] else None)
        return encode_says(says)

    def _should_have_met(self, event: Event) -> bool:
        """Tell whether a delete is worth counting that met no row."""
        return event.plan.source not in self._first_read and (event.plan.keyed or bool(event.named))

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
            # Nobody asks for what else a refused person may be known as: it only must not be added.
            entry.asked = entry.asked or (refused and statement.identity not in {each.identity for each in event.forms})
        if refused and statement.list_number not in self._partial and self._is_partial(event, statement):
            self._partial.add(statement.list_number)

    def _is_partial(self, event: Event, statement: Statement) -> bool:
        """Tell whether the identity of a refusal is known under one algorithm only."""
        if IDENTITY_TYPES[event.plan.columns[statement.slot].type].hash_rule is not HashRule.HASH:
            return False
        has_forms = any(each.slot == statement.slot for each in event.forms)
        return not has_forms or statement.identity not in {each.identity for each in (*event.named, *event.forms)}

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
            inserted = expect_new and not touched and ledger.members.insert(number, keys)
            before = {} if inserted else ledger.members.read(number, keys)
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
                ledger.members.write(number, after)
            if members:
                ledger.catalogue.lists.change_members(number, members)
        self._count_named(decisions, refused)
        self._note_learnt(ledger)
        return decisions

    def _note_learnt(self, ledger: Ledger) -> None:
        """Write what the window showed of refusals and of the lists of former settings."""
        for number in sorted(self._partial):
            ledger.catalogue.lists.note_partial_refusal(number)
        for source, number in sorted(self._compared):
            run = self._sources[source]
            ledger.catalogue.loaders.set_kinship(source, number, run.configuration, run.acquaintances[number])

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
