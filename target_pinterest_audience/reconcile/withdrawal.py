"""Withdrawal: `clear`, `ledger reset` and `ledger expire` end what rows contribute, without a run.

Refusals stay in force, and forgotten people stay forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.marks.settling import forget_deleted
from target_pinterest_audience.ledger.notes import Note
from target_pinterest_audience.membership.counts import NOBODY
from target_pinterest_audience.membership.events import Event, Kind, Named, Plan
from target_pinterest_audience.membership.statements import REFUSALS, statements
from target_pinterest_audience.reconcile.windows.absorb import absorb
from target_pinterest_audience.reconcile.windows.decisions import Decisions
from target_pinterest_audience.reconcile.windows.window import Origin, Window

PAGE_ROWS: Final = 50_000
"""How many rows are changed together."""

Shorten = Callable[[bytes], bytes]
"""Returns the keyed digest of an identity."""


def apply_to_rows(ledger: Ledger, rows: Iterable[bytes], event: Event, shorten: Shorten) -> Decisions:
    """Apply one event to each of some rows, within a transaction of the caller.

    Args:
        ledger: the ledger.
        rows: the digests of the rows.
        event: the event.
        shorten: returns the keyed digest of an identity.

    Returns:
        What to send.
    """
    origin = Origin(event.kind, event.plan, StreamTally(""))
    window = Window()
    for row in rows:
        window.put(row, event, origin)
    return absorb(ledger, {}, shorten, window).decisions if window else {}


def event_of(kind: Kind, source: int, lists: Iterable[int] = (), named: tuple[Named, ...] = ()) -> Event:
    """Return an event without a record.

    Args:
        kind: what happens.
        source: the source whose rows it happens to.
        lists: the lists that it concerns, if that matters.
        named: the identities that it names.
    """
    return Event(kind, named, frozenset(), Plan(source, frozenset(lists), {}, frozenset()), line=0)


def pages(ledger: Ledger, source: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield a source's rows and their encoded statements; a page may be changed before the next is requested."""
    after = b""
    while found := ledger.rows.of_source(source, after, PAGE_ROWS):
        yield found
        after = found[-1][0]


def has_sent(ledger: Ledger, source: int) -> bool:
    """Return whether the rows of a source have statements to withdraw."""
    said = (each for page in pages(ledger, source) for _, encoded in page for each in statements(encoded))
    return any(each.stance not in REFUSALS for each in said)


def withdraw(ledger: Ledger, sources: Iterable[int], lists: Collection[int], shorten: Shorten) -> Iterator[Decisions]:
    """Withdraw what the rows of sources contribute to lists, within a transaction of the caller.

    Args:
        ledger: the ledger.
        sources: the sources.
        lists: the lists.
        shorten: returns the keyed digest of an identity.

    Yields:
        The removals that follow, page by page.
    """
    for source in sources:
        event = event_of(Kind.WITHDRAWN, source, lists)
        for page in pages(ledger, source):
            yield apply_to_rows(ledger, [row for row, _ in page], event, shorten)
        forget_deleted(ledger, source)


def withdraw_silently(
    ledger: Ledger, sources: Iterable[int], lists: Collection[int], shorten: Shorten
) -> dict[int, int]:
    """Withdraw as `withdraw` does, but so that no removal follows, neither now nor in a later run.

    A removal that was due before stays due. The next run adds people whom only withdrawn rows held out.

    Returns:
        List → how many of its members the ledger has forgotten.
    """
    noted = [note for number in lists for note in _notes(ledger, number)]
    gone: Counter[int] = Counter(dict.fromkeys(lists, 0))
    freed: dict[int, list[bytes]] = {}
    for decisions in withdraw(ledger, sources, lists, shorten):
        for number, decided in decisions.items():
            gone[number] += len(decided.removals)
            freed.setdefault(number, []).extend(decided.additions)
    for number, identities in freed.items():
        joined = _members(ledger, number, identities)
        # The others were members only until the rows that contributed them were withdrawn, too.
        gone[number] -= len(identities) - len(joined)
        if joined:
            ledger.notes.add(number, sorted(joined), b"")
    for number, note, members in noted:
        still = _members(ledger, number, note.identities)
        kept = [index for index, each in enumerate(note.identities) if each in still or each not in members]
        if len(kept) < len(note.identities):
            ledger.notes.settle(number, [note.number])
            if kept:
                identities = [note.identities[index] for index in kept]
                causes = bytes(note.causes[index] for index in kept if note.causes)
                ledger.notes.add(number, identities, causes, due=note.due, sent=note.sent)
    return dict(gone)


class _Noted(NamedTuple):
    """A note of a list."""

    list_number: int
    note: Note
    members: set[bytes]
    """The identities in the note that belong on the list."""


def _notes(ledger: Ledger, number: int) -> list[_Noted]:
    return [_Noted(number, note, _members(ledger, number, note.identities)) for note in ledger.notes.of_list(number)]


def _members(ledger: Ledger, number: int, identities: Collection[bytes]) -> set[bytes]:
    counts = ledger.members.read(number, list(map(member_key, identities)))
    return {each for each in identities if counts.get(member_key(each), NOBODY).on_list}
