"""What the events of a window do to identities: who gains or loses contributors and refusers on which list."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.identities.packed import member_key, member_keys
from target_pinterest_audience.identities.types import IDENTITY_TYPES, HashRule
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.counts import NOBODY, Count, change_of, decide
from target_pinterest_audience.membership.events import Event, Kind
from target_pinterest_audience.membership.statements import (
    REFUSALS,
    Stance,
    Statement,
    Statements,
    contributed_lists,
    encode_statements,
    sole_contributions,
    statement_set,
    statements,
)
from target_pinterest_audience.reconcile.windows.decisions import Decisions, ListDecisions, Removal
from target_pinterest_audience.reconcile.windows.outcomes import Outcomes
from target_pinterest_audience.vocabulary import Cause

if TYPE_CHECKING:
    from target_pinterest_audience.reconcile.sources.source_run import SourceRun
    from target_pinterest_audience.reconcile.windows.window import Window

_ONE: Final = Count(1, 0)


@dataclass(slots=True)
class _Touched:
    """What a window does to one identity of one list."""

    line: int
    contributors: int = 0
    refusers: int = 0
    cause: Cause = Cause.PRUNE
    asked: bool = False
    let_in: bool = False
    """Whether a row with `operation: remove` that named it was deleted."""


class IdentityChanges:
    """Collects what the events of a window do to identities, then writes their counts and decides what to send."""

    def __init__(
        self, window: Window, shorten: Callable[[bytes], bytes], first_read: Collection[int] = frozenset()
    ) -> None:
        """Begin without changes.

        Args:
            window: the events.
            shorten: returns the keyed digest of an identity.
            first_read: the sources that no run has read before. The ledger has no rows of them to delete.
        """
        self._window = window
        self._shorten = shorten
        self._first_read = first_read
        self._arrivals: dict[int, dict[bytes, int]] = defaultdict(dict)
        """List → identity → the index of the only event that touches it, whose row is new."""
        self._touched: dict[int, dict[bytes, _Touched]] = defaultdict(dict)
        """List → identity → what is done to it, for all other identities."""
        self._partial: set[int] = set()
        """The lists on which a refusal is known under one hash algorithm only."""
        self._sources: Mapping[int, SourceRun] = {}
        self._compared: set[tuple[int, int]] = set()
        """The sources and lists that `compare` has learned something about."""
        self._rows: Counter[int] = Counter()
        """List → how many more rows contribute to it."""
        self._new: dict[int, list[bytes]] = {}
        """List → the keys of its arrivals, after `prepare`."""
        self._prepared: object = None
        """What the ledger prepared for them."""
        self._outcomes = Outcomes()
        """Of all identities but arrivals."""

    def note_new(self, indices: Sequence[int]) -> None:
        """Note the statements of new rows, each of which has one event and at least one statement.

        Args:
            indices: the indices of the events.
        """
        if self._window.held:
            self._note_held([index for index in indices if index in self._window.held])
            indices = [index for index in indices if index not in self._window.held]
        final_states = [self._window.final_states[index] or b"" for index in indices]
        alike = sole_contributions(final_states)
        if alike is not None and not self._arrivals[alike.list_number] and not self._touched[alike.list_number]:
            arrivals = dict(zip(alike.identities, indices, strict=True))
            if len(arrivals) == len(indices):
                self._arrivals[alike.list_number] = arrivals
                self._rows[alike.list_number] += len(indices)
                return
        for index, final_state in zip(indices, final_states, strict=True):
            said = statements(final_state)
            for number in contributed_lists(said):
                self._rows[number] += 1
            for statement in said:
                self._arrive(statement.list_number, statement.identity, index)

    def _note_held(self, indices: Sequence[int]) -> None:
        """Note the statements of new rows that are held out, given the indices of their events."""
        for index in indices:
            said = statements(self._window.final_states[index] or b"")
            self._outcomes.note_held_out(self._window.tally(index), len(said))
            for statement in said:
                self._hold(self._touch(statement.list_number, statement.identity, self._window.lines[index]))

    @staticmethod
    def _hold(entry: _Touched) -> None:
        entry.refusers += 1
        entry.cause = max(entry.cause, Cause.HOLDOUT)

    def _arrive(self, number: int, identity: bytes, index: int) -> None:
        arrivals = self._arrivals[number]
        if identity not in arrivals and identity not in self._touched[number]:
            arrivals[identity] = index
            return
        self._touch(number, identity, self._window.lines[index]).contributors += 1
        self._outcomes.note_contributed(self._window.tally(index), number, identity)

    def _touch(self, number: int, identity: bytes, line: int) -> _Touched:
        entry = self._touched[number].get(identity)
        if entry is None:
            entry = self._touched[number][identity] = _Touched(line)
            index = self._arrivals[number].pop(identity, None)
            if index is not None:
                entry.contributors = 1
                entry.line = self._window.lines[index]
                self._outcomes.note_contributed(self._window.tally(index), number, identity)
        entry.line = min(entry.line, line)
        return entry

    def compare(
        self, events: Mapping[bytes, list[int]], before: Mapping[bytes, bytes], sources: Mapping[int, SourceRun]
    ) -> None:
        """Learn from known rows whether the lists that other settings fed belong to another table.

        Args:
            events: row → the indices of its events.
            before: row → its statements before, encoded.
            sources: the sources of the run.
        """
        curious = {number for number, source in sources.items() if source.unclear_lists}
        if curious.isdisjoint(self._window.sources):
            return
        for row, indices in events.items():
            source = sources.get(self._window.origin(indices[0]).plan.source)
            if source is not None and source.unclear_lists and before.get(row):
                found = source.compare(map(self._window.event, indices), statement_set(before[row]))
                self._compared.update((source.source, number) for number in found)
        for number in curious:
            sources[number].judge_all([each for source, each in self._compared if source == number])
        self._sources = sources

    def follow(self, said: bytes, indices: Sequence[int], *, lasting: bool = False) -> bytes:
        """Apply the events of one row in their order, and note which identities they touch.

        Args:
            said: the row's statements before, encoded.
            indices: the indices of its events.
            lasting: whether the row has no key, and a record of this run has refused it or held it out.

        Returns:
            Its statements now, encoded.
        """
        says = before = statement_set(said)
        counted = []
        for index in indices:
            event, tally = self._window.event(index), self._window.tally(index)
            if not event.plan.keyed:
                if lasting and self._outcomes.is_overruled(tally, event, says):
                    continue
                lasting = lasting or event.kind is Kind.REFUSED or bool(event.held)
            if event.kind is Kind.DELETED and not says:
                tally.unmatched_deletes += self._should_have_matched(event)
            after = event.apply(says, self._shorten)
            for statement in after ^ says:
                if statement.stance != Stance.ASKED:
                    self._note_statement(event, statement, 1 if statement in after else -1)
            if event.kind is Kind.DELETED:
                self._ask(event, says)
            says = after
            counted.append((index, event))
        lists_before, lists_now = contributed_lists(before), contributed_lists(says)
        if lists_now != lists_before:
            self._rows.update(lists_now - lists_before)
            self._rows.subtract(lists_before - lists_now)
        for index, event in counted:
            self._outcomes.note_event(self._window.tally(index), event, says, is_last=index == counted[-1][0])
        return encode_statements(says)

    def _should_have_matched(self, event: Event) -> bool:
        """Return whether a delete that matched no row is worth counting."""
        return event.plan.source not in self._first_read and (event.plan.keyed or bool(event.named))

    def _note_statement(self, event: Event, statement: Statement, sign: int) -> None:
        """Note a statement that is new (sign 1) or has ended (sign -1)."""
        entry = self._touch(statement.list_number, statement.identity, event.line)
        if statement.stance == Stance.HOLDS_OUT and sign > 0:
            self._hold(entry)
            return
        change = change_of(statement)
        entry.contributors += sign * change.contributors
        entry.refusers += sign * change.refusers
        entry.let_in = entry.let_in or (statement.stance == Stance.EXCLUDES and event.kind is Kind.DELETED)
        leaves = change.contributors * sign < 0
        refused = change.refusers * sign > 0
        if (leaves or refused) and event.cause is not None:
            entry.cause = max(entry.cause, event.cause)
            # The other forms of a refused person must not be added, but no event requests their removal.
            entry.asked = entry.asked or (refused and statement.identity not in {each.identity for each in event.forms})
        if refused and statement.list_number not in self._partial and self._is_partial(event, statement):
            self._partial.add(statement.list_number)

    def _is_partial(self, event: Event, statement: Statement) -> bool:
        """Return whether the identity of a refusal is known under one hash algorithm only."""
        if IDENTITY_TYPES[event.plan.columns[statement.slot].type].hash_rule is not HashRule.HASH:
            return False
        known = {each.identity for each in event.forms} | {each.of for each in event.forms}
        return statement.identity not in known

    def _ask(self, event: Event, says: Statements) -> None:
        """Request the removal of the identities in a deleted row, except those that were requested before."""
        asked = {(s.list_number, s.identity) for s in says if s.stance == Stance.ASKED or s.stance in REFUSALS}
        for list_number, _, identity in event.named:
            if asked.isdisjoint({(list_number, identity), (list_number, self._shorten(identity))}):
                entry = self._touch(list_number, identity, event.line)
                entry.asked = True
                entry.cause = max(entry.cause, Cause.DELETE)

    def prepare(self, ledger: Ledger) -> None:
        """Prepare to insert the identities of new rows without looking them up."""
        self._new = {number: member_keys(arrivals) for number, arrivals in self._arrivals.items() if arrivals}
        self._prepared = ledger.members.prepare(self._new)

    def write(self, ledger: Ledger) -> Decisions:
        """Write the counts of the identities, and return what to send for them.

        Args:
            ledger: the ledger. After `prepare` it inserts the identities of new rows without looking them up.
        """
        decisions: Decisions = {}
        refused: set[tuple[int, bytes]] = set()
        suppressed = functools.cache(ledger.catalogue.suppressions.all)
        numbers = sorted(self._arrivals.keys() | self._touched.keys())
        all_inserted = ledger.members.insert(self._new, self._prepared)
        sizes: dict[int, tuple[int, int]] = {}
        for number in numbers:
            arrivals, touched = self._arrivals.get(number, {}), self._touched.get(number, {})
            inserted = number in all_inserted
            if inserted and not touched:
                decided = decisions[number] = ListDecisions()
                self._decide_new(arrivals, decided)
                sizes[number] = len(decided.additions), self._rows[number]
                continue
            keys = member_keys(touched) if inserted else [*member_keys(arrivals), *member_keys(touched)]
            before = ledger.members.read(number, keys) if keys else {}
            decided = decisions[number] = ListDecisions()
            after = self._decide_arrivals(arrivals, before, decided)
            if inserted:
                after.clear()
            members = len(decided.additions)
            for identity, entry in touched.items():
                key = member_key(identity)
                was = before.get(key, NOBODY)
                now = Count(was.contributors + entry.contributors, was.refusers + entry.refusers)
                if now != was:
                    after[key] = now
                if now.refusers:
                    refused.add((number, identity))
                decided.let_in += entry.let_in and bool(was.refusers) and not now.refusers
                members += now.on_list - was.on_list
                # Whoever was forgotten was removed then. Others may only be held out, and never have been removed.
                asked = entry.asked and not (was.refusers and key in suppressed())
                decided.note(decide(was, now, asked=asked), identity, Removal(entry.cause, entry.line, was.on_list))
            if after:
                ledger.members.write(number, after)
            if members or self._rows[number]:
                sizes[number] = members, self._rows[number]
        ledger.catalogue.lists.change_sizes(sizes)
        self._outcomes.count(decisions, refused)
        self._note_learned(ledger)
        return decisions

    def _note_learned(self, ledger: Ledger) -> None:
        """Write what the window showed about refusals and about the lists that other settings fed."""
        for number in sorted(self._partial):
            ledger.catalogue.lists.note_partial_refusal(number)
        for source, number in sorted(self._compared):
            run = self._sources[source]
            ledger.catalogue.loaders.set_kinship(source, number, run.configuration, run.unclear_lists[number])

    def _decide_new(self, new: Mapping[bytes, int], decided: ListDecisions) -> None:
        """Decide to add the identities of new rows that the ledger did not know."""
        window = self._window
        decided.additions.update(zip(new, map(window.lines.__getitem__, new.values()), strict=True))
        for tally, count in window.count_tallies(new.values()):
            tally.added += count

    def _decide_arrivals(
        self, arrivals: Mapping[bytes, int], before: Mapping[bytes, Count], decided: ListDecisions
    ) -> dict[bytes, Count]:
        """Decide which identities of new rows to add, and return their counts."""
        window = self._window
        new = arrivals
        if before:
            new = {identity: index for identity, index in arrivals.items() if member_key(identity) not in before}
        self._decide_new(new, decided)
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
