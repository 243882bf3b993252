"""What the ledger need not know any more; nobody is removed at Pinterest, and no refusal is lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_pinterest_audience.reconcile.withdrawal import has_sent, withdraw_silently

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.lists import ListEntry
    from target_pinterest_audience.ledger.catalogue.sources import SourceEntry
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.locks import Locks
    from target_pinterest_audience.reconcile.withdrawal import Shorten


@dataclass(frozen=True, slots=True)
class Expired:
    """What the ledger does not know any more.

    Attributes:
        runs: how many runs are forgotten.
        members: list → how many of its members are.
    """

    runs: int
    members: dict[int, int]


def reset(ledger: Ledger, locks: Locks, shorten: Shorten, entries: Sequence[ListEntry]) -> dict[int, int]:
    """Forget what was sent to lists, so that the next run sends it all again.

    Args:
        ledger: the ledger.
        locks: taken for the lists.
        shorten: the keyed digest of an identity.
        entries: the lists.

    Returns:
        List → how many of its members are forgotten.

    Raises:
        LedgerError: the ledger cannot be written, or another process is at work.
    """
    catalogue = ledger.catalogue
    # So nobody reads the sources that feed them either: who does has all lists that a source feeds.
    locks.take_lists(entries)
    lists = {entry.number for entry in entries}
    sources = {source for number in lists for source in catalogue.feeds.sources(number)}
    with ledger.transaction():
        return _withdraw(ledger, sources, lists, shorten)


def stale_sources(ledger: Ledger, before: float) -> list[SourceEntry]:
    """Return the sources that no run has read since a moment and whose rows do more than refuse.

    Args:
        ledger: the ledger.
        before: the moment, in seconds since 1970.
    """
    return [
        each
        for each in ledger.catalogue.sources.all()
        if each.last_read is not None and each.last_read < before and has_sent(ledger, each.number)
    ]


def expire(
    ledger: Ledger, locks: Locks, shorten: Shorten, sources: Sequence[SourceEntry], before: float, now: float
) -> Expired:
    """Forget old runs, their history, and what the rows of some sources contribute.

    Args:
        ledger: the ledger.
        locks: taken for the sources.
        shorten: the keyed digest of an identity.
        sources: those that `stale_sources` returned.
        before: the moment, in seconds since 1970, before which runs and readings are old.
        now: Unix time. What is noted as later counts as of now.

    Raises:
        LedgerError: the ledger cannot be written, or another process is at work.
    """
    for source in sources:
        locks.take_source(source.name)
    with ledger.transaction():
        ledger.catalogue.correct_times(now)
        # A run may have read one of them until the lock was free.
        still = {each.number for each in stale_sources(ledger, before)}
        numbers = {source.number for source in sources} & still
        lists = {entry.number for number in numbers for entry in ledger.catalogue.lists.of_source(number)}
        members = _withdraw(ledger, numbers, lists, shorten)
        ledger.history.expire(before)
        return Expired(ledger.catalogue.runs.expire(before), members)


def _withdraw(ledger: Ledger, sources: Collection[int], lists: Collection[int], shorten: Shorten) -> dict[int, int]:
    forgotten = withdraw_silently(ledger, sorted(sources), sorted(lists), shorten)
    for number in forgotten:
        ledger.catalogue.removal_counts.reset(number)
    return forgotten
