"""The second phase of `overwrite`: removes people who are missing from a run that ended cleanly."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.companion.operations.missing_rows import (
    MissingRows,
    PruneOptions,
    missing_rows,
    newest_clean_run,
)
from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.ledger.history import PRUNE
from target_pinterest_audience.ledger.marks.settling import settle
from target_pinterest_audience.reconcile.ceiling import Ceilings
from target_pinterest_audience.reconcile.windows.absorb import absorb
from target_pinterest_audience.reconcile.windows.decisions import Movement, movements

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.runs import RunRecord
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.books import Books
    from target_pinterest_audience.reconcile.windows.decisions import Decisions
    from target_pinterest_audience.run.dispatcher import Dispatcher


class Pruning(NamedTuple):
    """A prune that may begin.

    Attributes:
        run: the run that it acts on.
        chosen: the rows to remove from lists.
    """

    run: RunRecord
    chosen: list[MissingRows]


def prune(
    ledger: Ledger,
    books: Books,
    dispatcher: Dispatcher,
    options: PruneOptions,
    *,
    now: float,
    warn: Callable[[str], None],
) -> None:
    """Choose the people who are missing from the newest run, and remove them; see `choose` and `carry_out`."""
    pruning = choose(ledger, books, options, now=now, warn=warn)
    carry_out(ledger, books, dispatcher, pruning, options.max_removal_percent, now=now)


def choose(ledger: Ledger, books: Books, options: PruneOptions, *, now: float, warn: Callable[[str], None]) -> Pruning:
    """Lock the sources of the newest run, and return the people who are missing from it.

    Args:
        ledger: the ledger.
        books: the records of this command in the ledger.
        options: the limits.
        now: Unix time in seconds.
        warn: logs a sentence for each source that is skipped.

    Raises:
        ConfigurationError: there is no run to act on.
        LedgerError: the ledger or a lock is not available.
    """
    run = newest_clean_run(ledger, books.recorder.configuration, options, now)
    for source in sorted({feed.source for feed in ledger.catalogue.runs.feeds(run.number)}):
        books.locks.take_source(ledger.catalogue.sources.name(source))
    # Another process may have held the locks, and changed the runs.
    run = newest_clean_run(ledger, books.recorder.configuration, options, now)
    before = ledger.catalogue.runs.newest(books.recorder.configuration, before=run.number, clean=True)
    if before is not None:
        books.recorder.note_changed_settings(before.settings, run.settings)
    return Pruning(run, missing_rows(ledger, run, options, warn))


def carry_out(
    ledger: Ledger, books: Books, dispatcher: Dispatcher, pruning: Pruning, percent: int, *, now: float
) -> None:
    """Remove people who are missing from a run.

    One transaction notes all removals in the ledger before the first request is sent. The next run, or the next prune,
    sends what could not be sent.

    Args:
        ledger: the ledger.
        books: the records of this command in the ledger.
        dispatcher: sends the removals.
        pruning: what `choose` returned.
        percent: the share of a list's members that may be removed.
        now: Unix time in seconds.

    Raises:
        RemovalCeilingError: too many people would be removed; none were.
        TargetError: the ledger, a lock or Pinterest is not available.
    """
    run, chosen = pruning
    books.recorder.begin_command(PRUNE, acted_on=run.number)
    ledger.transact(lambda: _note(ledger, books, chosen, percent, now))
    for source in sorted({each.source for each in chosen}):
        # Folds the keys of rows that are gone now.
        settle(ledger, source)
    for number in sorted({each.list_number for each in chosen}):
        dispatcher.send_all(books.outbox.leftovers(number))
    dispatcher.flush()
    if chosen:
        ledger.transact(lambda: ledger.catalogue.runs.mark_pruned(run.number))


class _TriedError(Exception):
    """Rolls a transaction back that only tried something."""


def lists_above(
    ledger: Ledger, books: Books, pruning: Pruning, percent: int, *, allowed_percent: int, now: float
) -> list[int]:
    """Return the lists from which a prune removes more than a share of the members; the ledger stays as it is.

    If more would leave any list than is allowed, the prune removes no one, so there are no such lists.

    Args:
        ledger: the ledger.
        books: the records of this command in the ledger.
        pruning: what `choose` returned.
        percent: the share.
        allowed_percent: the share that is allowed.
        now: Unix time in seconds.
    """
    above: list[int] = []
    with contextlib.suppress(_TriedError), ledger.transaction():
        both = [_ceilings(ledger, books, pruning.chosen, each, now) for each in (percent, allowed_percent)]
        leaving: Counter[int] = Counter()
        for decisions in _absorbed(ledger, pruning.chosen):
            leaving.update({number: moved.derived for number, moved in movements(decisions).items()})
        lower, upper = (
            [number for number in leaving if _exceeds(each, ledger, number, leaving[number])] for each in both
        )
        above = [] if upper else lower
        raise _TriedError
    return above


def _exceeds(ceilings: Ceilings, ledger: Ledger, number: int, count: int) -> bool:
    """Return whether so many people are too many to be removed from a list."""
    try:
        ceilings.count(ledger.catalogue, {number: Movement(0, count, 0, 0)})
    except RemovalCeilingError:
        return True
    return False


def _note(ledger: Ledger, books: Books, chosen: list[MissingRows], percent: int, now: float) -> None:
    """Write the removals to the ledger.

    Raises:
        RemovalCeilingError: they are too many, so the caller must roll the transaction back.
    """
    ceilings = _ceilings(ledger, books, chosen, percent, now)
    leaving: Counter[int] = Counter()
    for decisions in _absorbed(ledger, chosen):
        books.outbox.note(decisions)
        leaving.update({number: moved.derived for number, moved in movements(decisions).items()})
    ceilings.count(ledger.catalogue, {number: Movement(0, count, 0, 0) for number, count in leaving.items()})


def _ceilings(ledger: Ledger, books: Books, chosen: list[MissingRows], percent: int, now: float) -> Ceilings:
    """Return the ceilings of the lists, from before anything is removed."""
    ceilings = Ceilings(percent, books.recorder.explain, lambda: now, advice="allow it with `--allow-removal-percent`")
    for number in dict.fromkeys(each.list_number for each in chosen):
        ceilings.resume(ledger.catalogue, number)
    return ceilings


def _absorbed(ledger: Ledger, chosen: list[MissingRows]) -> Iterator[Decisions]:
    """Write what the missing rows say from now on, page by page, and yield what to send for each page."""
    for each in chosen:
        for page in each.pages(ledger):
            # Rows that stay on another list must not be marked as seen by this.
            yield absorb(ledger, {}, ledger.digester.shorten, page).decisions
