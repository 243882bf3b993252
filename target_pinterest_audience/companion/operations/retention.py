"""Deletes from the ledger what it no longer needs. Removes no one at Pinterest, and keeps all refusals."""

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
    """What was deleted from the ledger.

    Attributes:
        runs: the number of runs.
        members: list → the number of its members.
    """

    runs: int
    members: dict[int, int]


def reset(ledger: Ledger, locks: Locks, shorten: Shorten, entries: Sequence[ListEntry]) -> dict[int, int]:
    """Delete what was sent to lists, so that the next run sends it again.

    Args:
        ledger: the ledger.
        locks: takes the locks of the lists.
        shorten: returns the keyed digest of an identity.
        entries: the lists.

    Returns:
        List → how many of its members were deleted.

    Raises:
        LedgerError: the ledger cannot be written, or another process holds a lock.
    """
    catalogue = ledger.catalogue
    # No run can read the sources that feed the lists meanwhile: it would hold the locks of all their lists.
    locks.take_lists(entries)
    lists = {entry.number for entry in entries}
    sources = {source for number in lists for source in catalogue.feeds.sources(number)}
    return ledger.transact(lambda: _withdraw(ledger, sources, lists, shorten))


def stale_sources(ledger: Ledger, before: float) -> list[SourceEntry]:
    """Return the sources that no run has read since a point in time, unless their rows only refuse.

    Args:
        ledger: the ledger.
        before: a Unix time in seconds.
    """
    return [
        each
        for each in ledger.catalogue.sources.all()
        if each.last_read is not None and each.last_read < before and has_sent(ledger, each.number)
    ]


def expire(
    ledger: Ledger, locks: Locks, shorten: Shorten, sources: Sequence[SourceEntry], before: float, now: float
) -> Expired:
    """Delete old runs, their history, and what the rows of stale sources contribute.

    Args:
        ledger: the ledger.
        locks: takes the locks of the sources.
        shorten: returns the keyed digest of an identity.
        sources: the sources that `stale_sources` returned.
        before: a Unix time in seconds; earlier runs and reads are old.
        now: Unix time in seconds. Times in the ledger that are later are set to it.

    Raises:
        LedgerError: the ledger cannot be written, or another process holds a lock.
    """
    for source in sources:
        locks.take_source(source.name)

    def delete() -> Expired:
        ledger.catalogue.correct_times(now)
        # A run may have read one of them before the lock was free.
        still = {each.number for each in stale_sources(ledger, before)}
        numbers = {source.number for source in sources} & still
        lists = {entry.number for number in numbers for entry in ledger.catalogue.lists.of_source(number)}
        members = _withdraw(ledger, numbers, lists, shorten)
        ledger.history.expire(before)
        return Expired(ledger.catalogue.runs.expire(before), members)

    return ledger.transact(delete)


def _withdraw(ledger: Ledger, sources: Collection[int], lists: Collection[int], shorten: Shorten) -> dict[int, int]:
    forgotten = withdraw_silently(ledger, sorted(sources), sorted(lists), shorten)
    for number in forgotten:
        ledger.catalogue.removal_counts.reset(number)
    return forgotten
