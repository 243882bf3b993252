"""What a window of events changes: looked up in the ledger together, written together, within one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

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
    decide,
    decode_says,
    encode_says,
)
from target_pinterest_audience.pinterest import Operation
from target_pinterest_audience.tally import StreamTally

_REMOVING: Final = frozenset({Kind.DELETED, Kind.EXCLUDED})


class Waiting(NamedTuple):
    """An event in the window."""

    row: bytes
    event: Event
    tally: StreamTally


@dataclass(slots=True)
class _Touched:
    """What a window does to one identity of one list."""

    line: int
    contributors: int = 0
    refusers: int = 0
    cause: Cause = Cause.PRUNE
    asked: bool = False


class Decision(NamedTuple):
    """What is to be sent for an identity."""

    operation: Operation
    cause: Cause | None
    """Why it is removed; None for an addition."""
    line: int
    """The first line of the stream that the decision follows from."""


Decisions = dict[int, dict[bytes, Decision]]
"""List number → identity → what is to be sent for it."""


def absorb(
    ledger: Ledger,
    run: int,
    shorten: Callable[[bytes], bytes],
    window: list[Waiting],
    overwriting: Collection[int] = (),
) -> Decisions:
    """Write what events change, and what has to be sent for that, within a transaction of the caller.

    Args:
        ledger: the ledger.
        run: the number of the run that sees the rows.
        shorten: the keyed digest of an identity.
        window: the events, in the order in which they came.
        overwriting: the sources whose unchanged rows are marked as seen, too.

    Returns:
        What has to be sent, which is noted as unsettled already.
    """
    by_row: dict[bytes, list[Waiting]] = {}
    for waiting in window:
        by_row.setdefault(waiting.row, []).append(waiting)
    known = ledger.read_rows(by_row.keys())
    touched: dict[int, dict[bytes, _Touched]] = defaultdict(dict)
    changed: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    seen: list[bytes] = []
    told: list[tuple[Waiting, Says | None]] = []
    # In the order of the ledger's tables, so that the ledger need not sort again.
    for row in sorted(by_row):
        events = by_row[row]
        before = known.get(row, b"")
        event = events[-1].event
        whole = event.whole() if len(events) == 1 else None
        if whole == before:
            after = before
            events[-1].tally.unchanged += len(event.named)
        elif whole is not None and not before:
            after = whole
            for number, _, identity in event.named:
                _touch(touched, number, identity, event.line).contributors += 1
            told.append((events[-1], None))
        else:
            says = _follow(before, events, touched, shorten)
            after = encode_says(says)
            told += ((waiting, says) for waiting in events[:-1])
            told.append((events[-1], None))
        if after != before:
            changed[event.plan.source][row] = after
        elif event.plan.source in overwriting:
            seen.append(row)
    for source, says_of_rows in changed.items():
        ledger.write_rows(source, run, says_of_rows)
    ledger.mark_seen(run, seen)
    decisions, counts = _decide(ledger, touched)
    _count_outcomes(told, decisions, counts)
    return decisions


def _follow(
    before: bytes,
    events: list[Waiting],
    touched: Mapping[int, dict[bytes, _Touched]],
    shorten: Callable[[bytes], bytes],
) -> Says:
    """Apply the events of one row in their order, and note which identities they touch."""
    says = decode_says(before)
    for _, event, _ in events:
        after = event.apply(says, shorten)
        for statement in after ^ says:
            if statement.stance == Stance.ASKED:
                continue
            entry = _touch(touched, statement.list_number, statement.identity, event.line)
            sign = 1 if statement in after else -1
            change = change_of(statement)
            entry.contributors += sign * change.contributors
            entry.refusers += sign * change.refusers
            leaves = change.contributors * sign < 0
            refused = change.refusers * sign > 0
            if (leaves or refused) and event.cause is not None:
                entry.cause = max(entry.cause, event.cause)
                entry.asked = entry.asked or refused
        if event.kind is Kind.DELETED:
            _ask(event, says, touched, shorten)
        says = after
    return says


def _ask(
    event: Event, says: Says, touched: Mapping[int, dict[bytes, _Touched]], shorten: Callable[[bytes], bytes]
) -> None:
    """Note what a deleted row names besides what it contributed, unless that was asked before."""
    asked = {(s.list_number, s.identity) for s in says if s.stance == Stance.ASKED}
    for list_number, _, identity in event.named:
        if (list_number, shorten(identity)) not in asked:
            entry = _touch(touched, list_number, identity, event.line)
            entry.asked = True
            entry.cause = max(entry.cause, Cause.DELETE)


def _decide(
    ledger: Ledger, touched: Mapping[int, dict[bytes, _Touched]]
) -> tuple[Decisions, dict[int, dict[bytes, Count]]]:
    decisions: Decisions = {}
    counts: dict[int, dict[bytes, Count]] = {}
    for number, of_list in touched.items():
        before = ledger.read_members(number, of_list.keys())
        after = counts[number] = {}
        decided = decisions[number] = {}
        difference = 0
        for identity in sorted(of_list):
            entry = of_list[identity]
            was = before.get(identity, NOBODY)
            now = after[identity] = Count(was.contributors + entry.contributors, was.refusers + entry.refusers)
            difference += now.on_list - was.on_list
            operation = decide(was, now, asked=entry.asked)
            if operation is not None:
                cause = entry.cause if operation is Operation.REMOVE else None
                decided[identity] = Decision(operation, cause, entry.line)
        ledger.write_members(number, {i: now for i, now in after.items() if now != before.get(i, NOBODY)})
        ledger.write_unsettled(number, {i: decision.operation for i, decision in decided.items()})
        if difference:
            ledger.catalogue.change_members(number, difference)
    return decisions, counts


def _touch(touched: Mapping[int, dict[bytes, _Touched]], number: int, identity: bytes, line: int) -> _Touched:
    entry = touched[number].get(identity)
    if entry is None:
        entry = touched[number][identity] = _Touched(line)
    entry.line = min(entry.line, line)
    return entry


def _count_outcomes(
    told: list[tuple[Waiting, Says | None]], decisions: Decisions, counts: Mapping[int, Mapping[bytes, Count]]
) -> None:
    """Count what became of each identity that a record named.

    Args:
        told: each event, and what its row says in the end; None for a row's last event, which has the last word.
        decisions: what is sent.
        counts: list number → identity → its count in the end, where it was touched.
    """
    added: set[tuple[int, bytes]] = set()
    for (_, event, tally), says in told:
        if event.kind in _REMOVING:
            tally.named_for_removal += len(event.named)
            continue
        if event.kind is Kind.REFUSED:
            tally.refused += len(event.named)
            continue
        for number, slot, identity in event.named:
            superseded = says is not None and Statement(number, slot, Stance.CONTRIBUTES, identity) not in says
            if superseded or (number, identity) in added:
                tally.duplicates += 1
            elif number in counts and counts[number].get(identity, NOBODY).refusers:
                tally.refused += 1
            elif _is_added(decisions, number, identity):
                added.add((number, identity))
                tally.added += 1
            else:
                tally.unchanged += 1


def _is_added(decisions: Decisions, number: int, identity: bytes) -> bool:
    decision = decisions[number].get(identity) if number in decisions else None
    return decision is not None and decision.operation is Operation.ADD
