"""The command `pinterest-audience status`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.lookup import audiences_by_list
from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show, show_alarm, show_json, show_table, shown_time, text, when
from target_pinterest_audience.companion.session import ad_account, logger, opened_ledger, read_settings
from target_pinterest_audience.errors import TargetError
from target_pinterest_audience.ledger.history import RUN, HistoryEntry, MatchFigures
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.pinterest.models import Audience
from target_pinterest_audience.reporting.list_problems import ListFacts, next_problem
from target_pinterest_audience.reporting.matching import percent_words
from target_pinterest_audience.reporting.words import outcome_words
from target_pinterest_audience.routing.orders import match_percent
from target_pinterest_audience.settings import Settings

_RUNS: Final = 1_000
"""In how many of the newest runs and commands the last success is looked for."""

_SPARE: Final = ("id",)
"""The columns that a narrow terminal may leave out: every command takes the name of a list, too."""

_HEADINGS: Final = ("id", "name", "members", "matched", "status", "last_rows", "problem")

_EXAMPLES = """
\b
Examples:
  pinterest-audience status --config target.json
  pinterest-audience status --offline --json
"""


class ListStatus(NamedTuple):
    """How a list is."""

    id: str | None
    """None: the list is not created yet."""
    name: str | None
    audience_status: str | None
    """Pinterest's status of its audience; None if Pinterest was not asked, or if there is no audience."""
    members: int
    contributing_rows: int
    matched: int | None
    match_percent: float | None
    last_rows: str | None
    """When a run last began to read rows for it."""
    problem: str | None
    """What needs doing first."""


class NewestRun(NamedTuple):
    """The newest run in the ledger."""

    run: int
    started: str | None
    ended: str | None
    exit_code: int | None
    outcome: str
    error: str | None
    """The error message of a run that failed, as the log has it."""


@click.command("status", epilog=_EXAMPLES)
@click.option("--offline", is_flag=True, help="Ask nothing of Pinterest: show what the ledger knows.")
@config_option
@json_option
def status(config: tuple[str, ...], *, offline: bool, as_json: bool) -> None:
    """Show how each list is, and what needs doing.

    The table has the lists that the ledger knows: how many identities belong on each, how many people Pinterest
    recognises (in brackets: the match rate), Pinterest's status of its audience, when a run last read rows for it, and
    the first thing that needs doing.

    Only the audiences are asked of Pinterest. With --offline, or if Pinterest cannot be asked, the figures are those
    that the last run recorded, and there is no status.
    """
    settings = read_settings(config, needs_sign_in=False)
    with opened_ledger(settings, read_only=True) as ledger:
        is_asked = not offline and any(each.customer_list_id for each in ledger.catalogue.lists.all())
        audiences = _audiences(settings) if is_asked else None
        # What needs doing comes first.
        rows = sorted(_rows(ledger, audiences, settings, time.time()), key=lambda each: each.problem is None)
        runs, where = [each for each in ledger.history.entries(_RUNS) if each.kind == RUN], ledger.where
    newest, success = _newest(runs), _last_success(runs)
    if as_json:
        show_json(
            {
                "ledger": where,
                "asked_pinterest": audiences is not None,
                "newest_run": newest._asdict() if newest is not None else None,
                "last_success": success,
                "lists": [each._asdict() for each in rows],
            }
        )
        return
    _show_runs(newest, success)
    click.echo()
    cells = [
        (each.id, each.name, each.members, _matched_words(each), each.audience_status, each.last_rows, each.problem)
        for each in rows
    ]
    show_table(_HEADINGS, cells, empty="The ledger knows no lists of this ad account.", spare=_SPARE)


def _audiences(settings: Settings) -> Mapping[str, Audience] | None:
    """Return customer list id → its audience; None, with a warning, if Pinterest cannot be asked."""
    if not settings.can_sign_in:
        logger.warning(
            "The settings have no way to sign in, so the figures are those of the last run. --offline leaves out this "
            "warning."
        )
        return None
    try:
        with ad_account(settings) as account:
            return audiences_by_list(account.audiences())
    except TargetError as error:
        logger.warning("Pinterest cannot be asked, so the figures are those of the last run. %s", error)
        return None


def _rows(
    ledger: Ledger, audiences: Mapping[str, Audience] | None, settings: Settings, now: float
) -> Iterator[ListStatus]:
    catalogue = ledger.catalogue
    last_read = {each.number: each.last_read for each in catalogue.sources.all()}
    recorded = ledger.history.matches_before(float("inf"))
    for entry in catalogue.lists.all():
        audience = audiences.get(entry.customer_list_id or "") if audiences is not None else None
        if audiences is not None:
            figures = MatchFigures(entry.contributing_rows, audience.matched if audience is not None else None)
        else:
            figures = recorded.get(entry.number, MatchFigures(entry.contributing_rows, None))
        times = [at for source in catalogue.feeds.sources(entry.number) if (at := last_read.get(source)) is not None]
        newest = max(times, default=None)
        facts = ListFacts(
            is_created=entry.customer_list_id is not None,
            has_audience=audience is not None if audiences is not None else None,
            status=text(audience.status) if audience is not None else None,
            members=entry.members,
            matched=figures.matched,
            pending=ledger.notes.count_unsettled(entry.number),
            silent_seconds=now - newest if newest is not None else None,
            contributing_rows=entry.contributing_rows,
        )
        yield ListStatus(
            entry.customer_list_id,
            entry.name,
            facts.status,
            entry.members,
            entry.contributing_rows,
            figures.matched,
            match_percent(figures.matched, figures.contributing_rows),
            when(newest),
            next_problem(facts, settings.notify_stale_hours),
        )


def _newest(runs: Sequence[HistoryEntry]) -> NewestRun | None:
    """Return the newest run; None if there is none."""
    if not runs:
        return None
    started, ending = when(runs[0].started), runs[0].ending
    if ending is None:
        return NewestRun(runs[0].number, started, None, None, outcome_words(None), None)
    outcome = outcome_words(ending.exit_code, empty=ending.empty)
    return NewestRun(runs[0].number, started, when(ending.at), ending.exit_code, outcome, ending.error)


def _last_success(runs: Sequence[HistoryEntry]) -> str | None:
    """Return when a run last succeeded. One that received nothing does not count."""
    endings = [each.ending for each in runs if each.ending is not None]
    return next((when(each.at) for each in endings if each.exit_code == 0 and not each.empty), None)


def _show_runs(newest: NewestRun | None, success: str | None) -> None:
    if newest is None:
        show("The ledger knows no runs yet.")
        return
    line = f"Newest run: {shown_time(newest.started)}, {newest.outcome}."
    if newest.outcome == outcome_words(0):
        show(line)
    else:
        show_alarm(f"{line} Last success: {shown_time(success) if success is not None else 'none'}.")
        if newest.error is not None:
            show(newest.error)


def _matched_words(row: ListStatus) -> str | None:
    """Return how many people are matched, with the match rate."""
    if row.matched is None:
        return None
    percent = percent_words(row.match_percent)
    return f"{row.matched:,} ({percent})" if percent is not None else f"{row.matched:,}"
