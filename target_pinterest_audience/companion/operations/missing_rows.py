"""The choice of a prune: the run to act on, and the rows that are missing from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.catalogue.runs import CLEAN, EMPTY
from target_pinterest_audience.membership.events import Event, Kind, Plan
from target_pinterest_audience.reconcile.sources.lost_columns import lost_slots, slots_of
from target_pinterest_audience.reconcile.windows.window import Origin, Window
from target_pinterest_audience.reconcile.withdrawal import pages
from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.runs import RunFeed, RunRecord
    from target_pinterest_audience.ledger.ledger import Ledger

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
        before: rows are missing if their mark is less than this; 0 if none are.
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
        for rows in ledger.rows.unseen(self.source, self.before, PAGE_ROWS, self.reader):
            yield _page(rows, Event(Kind.ABSENT, (), frozenset(), plan, line=0))
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
            "still running. Run it again, and then prune"
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
    chosen: list[MissingRows] = []
    reasons: dict[str, None] = {}
    waiting = False
    feeds = ledger.catalogue.runs.feeds(run.number)
    for feed in feeds:
        clean = ledger.catalogue.runs.clean_marks(
            run.number, feed.list_number, feed.source, options.missing_runs, incremental=options.full_table
        )
        reason = _reason_to_skip(feed, options)
        if reason is None and len(clean) < options.missing_runs:
            waiting = True
            so_far = several(len(clean), "clean run", "clean runs")
            reason = f"it has had {so_far} so far, and `--missing-runs` requires {options.missing_runs}."
        if reason is None:
            chosen += _of_feed(ledger, feed, min(clean), {each.list_number for each in feeds})
        else:
            # One reason for a source, however many lists it feeds.
            reasons[f"source {ledger.catalogue.sources.name(feed.source)}: {reason}"] = None
    if not chosen and not waiting:
        why = " ".join(reasons) or "it read no rows. Check the tap's log, and run it again."
        msg = f"No one was removed after the newest run in {_lower_first(ledger.where)}: {why}"
        raise ConfigurationError(msg)
    for reason in reasons:
        warn(f"Skipped: {reason}")
    return chosen


def _of_feed(ledger: Ledger, feed: RunFeed, before: int, fed: Collection[int]) -> Iterator[MissingRows]:
    """Yield the rows to remove from a list, and from lists that only lost columns of the same streams fed.

    Args:
        ledger: the ledger.
        feed: what the run read for the list.
        before: rows are missing if their mark is less than this.
        fed: the lists that the run fed.
    """
    readers = ledger.catalogue.feeds.readers_of_lists(feed.source)
    reader = readers.get(feed.list_number, 0)
    known = ledger.catalogue.slots.of_streams(feed.source, reader)
    yield MissingRows(feed.list_number, feed.source, before, reader, lost_slots(known, before))
    # A stream that the run did not read still has its columns.
    read = {each.stream for each in known if each.mark >= before}
    unread = {each.slot for each in known if each.stream not in read}
    lost = lost_slots(known, before) - unread
    for number in sorted(readers.keys() - set(fed)) if lost else ():
        if readers[number] == reader:
            yield MissingRows(number, feed.source, 0, reader, lost)


def _reason_to_skip(feed: RunFeed, options: PruneOptions) -> str | None:
    if not feed.overwrites:
        return (
            "it was not read with `load_method: overwrite`, or has a stream with `operation: remove`. To prune it, set "
            "`load_method: overwrite`, and run the target again."
        )
    if not feed.rows:
        return (
            "it was empty; the table may be empty, or the tap may have failed to read it. Check the tap's log, and run "
            "it again."
        )
    if feed.incremental and not options.full_table:
        return (
            "it shows an incremental sync (`bookmark_properties`, or a position in its STATE), which leaves out rows "
            "that did not change. If it was read in full, pass `--full-table`."
        )
    return None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
