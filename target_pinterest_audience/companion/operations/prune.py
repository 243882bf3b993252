"""The second phase of `overwrite`: removes those whom a run that ended cleanly did not name any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.catalogue import CLEAN, EMPTY
from target_pinterest_audience.ledger.history import PRUNE
from target_pinterest_audience.membership.events import Event, Kind, Plan
from target_pinterest_audience.reconcile.ceiling import Ceilings, Movement, movements
from target_pinterest_audience.reconcile.sources.lost_columns import lost_slots, slots_of
from target_pinterest_audience.reconcile.windows.absorb import absorb
from target_pinterest_audience.reconcile.windows.window import Origin, Window
from target_pinterest_audience.reconcile.withdrawal import pages

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue import Feed, RunRecord
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.books import Books
    from target_pinterest_audience.run.dispatcher import Dispatcher

_CLOCK_SLACK_SECONDS: Final = 120.0

PAGE_ROWS: Final = 50_000
"""How many rows are worked off together."""


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What the person who prunes allows.

    Attributes:
        max_age_minutes: how old the run may be: what it did not name is only gone as of then.
        missing_runs: from how many clean runs in a row a row must be absent.
        full_table: whether a source is taken for complete although it shows signs of an incremental read.
        max_removal_percent: the share of a list's members that may leave.
    """

    max_age_minutes: int
    missing_runs: int
    full_table: bool
    max_removal_percent: int


@dataclass(frozen=True, slots=True)
class Absentees:
    """The rows of one source that are to leave one list.

    Attributes:
        list_number: the list.
        source: the source.
        before: rows leave that were not marked with this or more.
        reader: who marks the rows that are read for the list.
        lost_slots: the identity columns that the source does not have any more: what rows contribute by them leaves.
    """

    list_number: int
    source: int
    before: int
    reader: int
    lost_slots: frozenset[int]

    def pages(self, ledger: Ledger) -> Iterator[Window]:
        """Yield the rows that leave as a whole, then those that leave by a lost column, each with its event.

        What a page changes may be written before the next is asked for.
        """
        plan = Plan(self.source, frozenset({self.list_number}), {}, frozenset())
        after = b""
        while found := ledger.unseen_rows(self.source, self.before, after, PAGE_ROWS, self.reader):
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


def prune(
    ledger: Ledger,
    books: Books,
    dispatcher: Dispatcher,
    options: PruneOptions,
    *,
    now: float,
    tell: Callable[[str], None],
) -> None:
    """Remove whom the newest run did not name any more.

    All is noted in the ledger at one stroke before the first request leaves; what could not be sent then is sent by
    the next run or the next prune.

    Args:
        ledger: the ledger.
        books: the books of this command.
        dispatcher: sends removals.
        options: what is allowed.
        now: seconds since 1970.
        tell: told of each source that is left alone, and why.

    Raises:
        ConfigurationError: there is no run to act on.
        RemovalCeilingError: too many would be removed, so that nobody is.
        TargetError: the ledger, a lock or Pinterest cannot be had.
    """
    run = newest_clean_run(ledger, books.recorder.configuration, options, now)
    for source in sorted({feed.source for feed in ledger.catalogue.feeds_of_run(run.number)}):
        books.locks.take_source(ledger.catalogue.source_name(source))
    # Another process may have had the lock.
    run = newest_clean_run(ledger, books.recorder.configuration, options, now)
    before = ledger.catalogue.newest_run(books.recorder.configuration, before=run.number, clean=True)
    if before is not None:
        books.recorder.note_changed_settings(before.settings, run.settings)
    chosen = absentees(ledger, run, options, tell)
    books.recorder.begin_command(PRUNE)
    with ledger.transaction():
        _note(ledger, books, chosen, options.max_removal_percent, now)
    for number in sorted({each.list_number for each in chosen}):
        dispatcher.send_all(books.outbox.leftovers(number))
    dispatcher.flush()
    if chosen:
        with ledger.transaction():
            ledger.catalogue.mark_pruned(run.number)


def _note(ledger: Ledger, books: Books, chosen: list[Absentees], percent: int, now: float) -> None:
    """Write who leaves.

    Raises:
        RemovalCeilingError: they are too many, so that the transaction must be rolled back.
    """
    ceilings = Ceilings(percent, books.recorder.explain, lambda: now, advice="allow it with `--allow-removal-percent`")
    leaving = dict.fromkeys((each.list_number for each in chosen), 0)
    for number in leaving:
        ceilings.resume(ledger.catalogue, number)
    for each in chosen:
        for page in each.pages(ledger):
            # Rows that stay for the sake of another list have not been seen by this.
            decisions, _ = absorb(ledger, {}, books.digester.shorten, page)
            books.outbox.note(decisions)
            for number, moved in movements(decisions).items():
                leaving[number] += moved.derived
    ceilings.count(ledger.catalogue, {number: Movement(0, count, 0, 0) for number, count in leaving.items()})


def newest_clean_run(ledger: Ledger, configuration: str, options: PruneOptions, now: float) -> RunRecord:
    """Return the run to act on.

    Args:
        ledger: the ledger.
        configuration: the digest of the settings that say which rows go to which lists.
        options: what is allowed.
        now: seconds since 1970.

    Raises:
        ConfigurationError: there is none. The message says why, and which ledger was asked.
    """
    run = ledger.catalogue.newest_run(configuration)
    if run is None:
        reason = (
            "knows no run with these settings. Prune with the configuration of the run itself: the same `ledger_url`, "
            "ad account, `api_url`, and settings that choose the lists"
        )
    elif run.outcome == EMPTY:
        reason = (
            "says of the newest run that it was empty: neither a row nor a STATE came, as from a tap that died before "
            "its first row. Check the tap's log, run it again, and prune after that"
        )
    elif run.outcome != CLEAN or run.ended is None:
        reason = (
            "says that the newest run did not end cleanly: it was cut short, stopped by a signal, failed, or is not "
            "done yet. Run it again, and prune after that"
        )
    elif run.ended > now + _CLOCK_SLACK_SECONDS:
        reason = "says that the newest run ended in the future. Set the clock right, and run it again"
    elif run.pruned:
        reason = "says that the newest run was pruned after already. Prune after the next one"
    elif now - run.ended > options.max_age_minutes * 60:
        reason = (
            f"says that the newest run ended more than {options.max_age_minutes} minutes ago (`--max-age-minutes`). "
            "Prune right after a run"
        )
    else:
        return run
    msg = f"Nobody is removed: {_lower_first(ledger.where)} {reason}."
    raise ConfigurationError(msg)


def absentees(ledger: Ledger, run: RunRecord, options: PruneOptions, tell: Callable[[str], None]) -> list[Absentees]:
    """Return whose rows are to leave which lists.

    Args:
        ledger: the ledger.
        run: the run to act on.
        options: what is allowed.
        tell: told of each source that is left alone, and why.

    Raises:
        ConfigurationError: there is nothing to act on, and more runs like this one would not change that.
    """
    chosen = []
    reasons: dict[str, None] = {}
    waiting = False
    for feed in ledger.catalogue.feeds_of_run(run.number):
        clean = ledger.catalogue.clean_overwrites(
            run.number, feed.list_number, feed.source, options.missing_runs, incremental=options.full_table
        )
        reason = _leave_alone(feed, options)
        if reason is None and len(clean) < options.missing_runs:
            waiting = True
            reason = f"it had {len(clean)} clean runs so far, and `--missing-runs` wants {options.missing_runs}."
        if reason is None:
            reader = ledger.catalogue.readers_of_lists(feed.source).get(feed.list_number, 0)
            lost = lost_slots(ledger.catalogue.stream_slots(feed.source, reader), min(clean))
            chosen.append(Absentees(feed.list_number, feed.source, min(clean), reader, lost))
        else:
            # Once for a source, however many lists it feeds.
            reasons[f"source {ledger.catalogue.source_name(feed.source)}: {reason}"] = None
    if not chosen and not waiting:
        said = " ".join(reasons) or "it read no rows."
        msg = f"Nobody is removed after the newest run in {_lower_first(ledger.where)}: {said}"
        raise ConfigurationError(msg)
    for reason in reasons:
        tell(f"Left alone: {reason}")
    return chosen


def _leave_alone(feed: Feed, options: PruneOptions) -> str | None:
    if not feed.overwrites:
        return "it was not read with `load_method: overwrite`, or has a stream with `operation: remove`."
    if not feed.rows:
        return "it was empty, and an empty table cannot be told from a tap that found nothing."
    if feed.incremental and not options.full_table:
        return (
            "it shows an incremental read (`bookmark_properties`, or a position in its STATE), which does not name "
            "those who stay. If it was read in full, say so with `--full-table`."
        )
    return None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
