"""The second phase of `overwrite`: removes people who are missing from a run that ended cleanly."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.errors import ConfigurationError, RemovalCeilingError
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.catalogue.runs import CLEAN, EMPTY
from target_pinterest_audience.ledger.history import PRUNE
from target_pinterest_audience.membership.events import Event, Kind, Plan
from target_pinterest_audience.reconcile.ceiling import Ceilings, Movement, movements
from target_pinterest_audience.reconcile.sources.lost_columns import lost_slots, slots_of
from target_pinterest_audience.reconcile.windows.absorb import absorb
from target_pinterest_audience.reconcile.windows.window import Origin, Window
from target_pinterest_audience.reconcile.withdrawal import pages
from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.runs import RunFeed, RunRecord
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.books import Books
    from target_pinterest_audience.reconcile.windows.decisions import Decisions
    from target_pinterest_audience.run.dispatcher import Dispatcher

_CLOCK_SLACK_SECONDS: Final = 120.0

PAGE_ROWS: Final = 50_000
"""How many rows are processed together."""


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """The limits of a prune.

    Attributes:
        max_age_minutes: the maximum age of the run: rows may have come back since.
        missing_runs: the number of consecutive clean runs in which a row must be missing.
        full_table: whether sources count as complete although they show signs of an incremental sync.
        max_removal_percent: the share of a list's members that may be removed.
    """

    max_age_minutes: int
    missing_runs: int
    full_table: bool
    max_removal_percent: int


@dataclass(frozen=True, slots=True)
class MissingRows:
    """The rows of one source to remove from one list.

    Attributes:
        list_number: the list.
        source: the source.
        before: rows are missing if their mark is less than this.
        reader: the reader whose marks count for the list.
        lost_slots: the identity columns that the source no longer has: what rows contribute by them is removed.
    """

    list_number: int
    source: int
    before: int
    reader: int
    lost_slots: frozenset[int]

    def pages(self, ledger: Ledger) -> Iterator[Window]:
        """Yield the missing rows, then the rows with a lost column, each with its event.

        The changes of a page may be written before the next page is read.
        """
        plan = Plan(self.source, frozenset({self.list_number}), {}, frozenset())
        after = b""
        while found := ledger.rows.unseen(self.source, self.before, after, PAGE_ROWS, self.reader):
            yield _page([row for row, _ in found], Event(Kind.ABSENT, (), frozenset(), plan, line=0))
            after = found[-1][0]
        if self.lost_slots:
            event = Event(Kind.ABSENT, (), self.lost_slots, plan, line=0)
            for page in pages(ledger, self.source):
                rows = [row for row, said in page if slots_of(said, {self.list_number}) & self.lost_slots]
                if rows:
                    yield _page(rows, event)


def _page(rows: Iterable[bytes], event: Event) -> Window:
    origin = Origin(event.kind, event.plan, StreamTally(""))
    page = Window()
    for row in rows:
        page.put(row, event, origin)
    return page


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
    books.recorder.begin_command(PRUNE)
    with ledger.transaction():
        _note(ledger, books, chosen, percent, now)
    for number in sorted({each.list_number for each in chosen}):
        dispatcher.send_all(books.outbox.leftovers(number))
    dispatcher.flush()
    if chosen:
        with ledger.transaction():
            ledger.catalogue.runs.mark_pruned(run.number)


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
        for decisions in _absorbed(ledger, books, pruning.chosen):
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
    for decisions in _absorbed(ledger, books, chosen):
        books.outbox.note(decisions)
        leaving.update({number: moved.derived for number, moved in movements(decisions).items()})
    ceilings.count(ledger.catalogue, {number: Movement(0, count, 0, 0) for number, count in leaving.items()})


def _ceilings(ledger: Ledger, books: Books, chosen: list[MissingRows], percent: int, now: float) -> Ceilings:
    """Return the ceilings of the lists, from before anything is removed."""
    ceilings = Ceilings(percent, books.recorder.explain, lambda: now, advice="allow it with `--allow-removal-percent`")
    for number in dict.fromkeys(each.list_number for each in chosen):
        ceilings.resume(ledger.catalogue, number)
    return ceilings


def _absorbed(ledger: Ledger, books: Books, chosen: list[MissingRows]) -> Iterator[Decisions]:
    """Write what the missing rows say from now on, page by page, and yield what to send for each page."""
    for each in chosen:
        for page in each.pages(ledger):
            # Rows that stay on another list must not be marked as seen by this.
            yield absorb(ledger, {}, books.digester.shorten, page).decisions


def newest_clean_run(ledger: Ledger, configuration: str, options: PruneOptions, now: float) -> RunRecord:
    """Return the run to act on.

    Args:
        ledger: the ledger.
        configuration: the digest of the settings that choose which rows go to which lists.
        options: the limits.
        now: Unix time in seconds.

    Raises:
        ConfigurationError: there is none. The message gives the reason and the ledger.
    """
    run = ledger.catalogue.runs.newest(configuration)
    if run is None:
        reason = (
            "has no run with these settings. Prune with the configuration of the run: the same `ledger_url`, ad "
            "account, `api_url`, and settings that choose the lists"
        )
    elif run.outcome == EMPTY:
        reason = (
            "shows that the newest run was empty: it read neither a row nor a STATE, as from a tap that failed before "
            "its first row. Check the tap's log, run it again, and then prune"
        )
    elif run.outcome != CLEAN or run.ended is None:
        reason = (
            "shows that the newest run did not end cleanly: it was interrupted, stopped by a signal, failed, or is "
            "still going on. Run it again, and then prune"
        )
    elif run.ended > now + _CLOCK_SLACK_SECONDS:
        reason = "shows that the newest run ended in the future. Correct the clock, and run it again"
    elif run.pruned:
        reason = "shows that the newest run was pruned already. Prune after the next run"
    elif now - run.ended > options.max_age_minutes * 60:
        reason = (
            f"shows that the newest run ended more than {options.max_age_minutes} minutes ago (`--max-age-minutes`). "
            "Prune right after a run"
        )
    else:
        return run
    msg = f"No one was removed: {_lower_first(ledger.where)} {reason}."
    raise ConfigurationError(msg)


def missing_rows(
    ledger: Ledger, run: RunRecord, options: PruneOptions, warn: Callable[[str], None]
) -> list[MissingRows]:
    """Return the rows to remove from lists.

    Args:
        ledger: the ledger.
        run: the run to act on.
        options: the limits.
        warn: logs a sentence for each source that is skipped.

    Raises:
        ConfigurationError: every source is skipped, for reasons that further runs like this one would not change.
    """
    chosen = []
    reasons: dict[str, None] = {}
    waiting = False
    for feed in ledger.catalogue.runs.feeds(run.number):
        clean = ledger.catalogue.runs.clean_marks(
            run.number, feed.list_number, feed.source, options.missing_runs, incremental=options.full_table
        )
        reason = _reason_to_skip(feed, options)
        if reason is None and len(clean) < options.missing_runs:
            waiting = True
            so_far = several(len(clean), "clean run", "clean runs")
            reason = f"it has had {so_far} so far, and `--missing-runs` requires {options.missing_runs}."
        if reason is None:
            reader = ledger.catalogue.feeds.readers_of_lists(feed.source).get(feed.list_number, 0)
            lost = lost_slots(ledger.catalogue.slots.of_streams(feed.source, reader), min(clean))
            chosen.append(MissingRows(feed.list_number, feed.source, min(clean), reader, lost))
        else:
            # One reason for a source, however many lists it feeds.
            reasons[f"source {ledger.catalogue.sources.name(feed.source)}: {reason}"] = None
    if not chosen and not waiting:
        why = " ".join(reasons) or "it read no rows."
        msg = f"No one was removed after the newest run in {_lower_first(ledger.where)}: {why}"
        raise ConfigurationError(msg)
    for reason in reasons:
        warn(f"Skipped: {reason}")
    return chosen


def _reason_to_skip(feed: RunFeed, options: PruneOptions) -> str | None:
    if not feed.overwrites:
        return "it was not read with `load_method: overwrite`, or has a stream with `operation: remove`."
    if not feed.rows:
        return "it was empty; the table may be empty, or the tap may have failed to read it."
    if feed.incremental and not options.full_table:
        return (
            "it shows an incremental sync (`bookmark_properties`, or a position in its STATE), which leaves out rows "
            "that did not change. If it was read in full, pass `--full-table`."
        )
    return None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
