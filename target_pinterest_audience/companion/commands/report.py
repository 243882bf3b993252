"""The command `pinterest-audience report`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.lookup import did_you_mean
from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show, show_json, show_table, shown_time, when
from target_pinterest_audience.companion.session import opened_ledger, read_settings
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.reporting.alerts.rules import Thresholds
from target_pinterest_audience.reporting.history import HistoryView, RunView, Step, read_history
from target_pinterest_audience.reporting.matching import percent_words
from target_pinterest_audience.reporting.page import render
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.system.private_files import replace
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.vocabulary import describe_causes

_RUNS_IN_TABLES: Final = 20
_RUNS_IN_PAGE: Final = 2_000

_MOST_ERRORS: Final = 5
"""How many error messages follow the tables: a failure that repeats itself each hour needs to be read once."""

_SPARE: Final = ("rows", "matched", "match")
"""The columns that a narrow terminal may leave out."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience report --config target.json
  pinterest-audience report --list "Newsletter" --last 50 --config target.json
  pinterest-audience report --html audiences.html --config target.json
"""


class RunRow(NamedTuple):
    """A run, as a row of the table."""

    started: str | None
    command: str
    """`run`, `prune`, or the name of another command."""
    outcome: str
    seconds: float | None
    """The duration."""
    requests: int | None
    waited: float | None
    """How many seconds requests waited for Pinterest's rate limits."""
    held_out: int | None
    """The number of rows that the run held out, if any."""


class ListRow(NamedTuple):
    """What one run did to one list, as a row of the table."""

    started: str | None
    list: str
    members: int | None
    """The number of identities that belonged on the list after the run."""
    rows: int | None
    """The number of rows that contributed to the list then."""
    matched: int | None
    """The number of people whom Pinterest recognised by then."""
    match: str | None
    """The match rate: these people as a share of the rows."""
    added: int
    removed: int
    reason: str | None
    """Why identities were removed."""
    rejected: int
    """The number of values that the run rejected, or that Pinterest refused."""


class RemovalRow(NamedTuple):
    """A request that removed people, as a row of the table."""

    time: str | None
    list: str
    removed: int
    reason: str
    request: str | None
    """Pinterest's id of the request."""


@click.command("report", epilog=_EXAMPLES)
@click.option("--list", "which", metavar="ID_OR_NAME", help="Show only this customer list.")
@click.option(
    "--last",
    type=click.IntRange(1, 1_000_000),
    help=f"How many of the newest runs to show.  [default: {_RUNS_IN_TABLES}; with --html {_RUNS_IN_PAGE}]",
)
@click.option("--removals", is_flag=True, help="Show the requests that removed people, and the reasons.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page with charts to this file. Any browser can open it, without a network connection.",
)
@config_option
@json_option
def report(
    config: tuple[str, ...],
    which: str | None,
    last: int | None,
    html: Path | None,
    *,
    removals: bool,
    as_json: bool,
) -> None:
    """Show what the last runs did.

    The first table has a row for each run: how it ended, how long it took, and its requests. The second one has a row
    for each list that a run changed: how many people it added and removed and why, how many values it rejected, and
    how many people Pinterest recognised. `match` is their share of the rows that contribute to the list. The error
    messages of failed runs follow. Runs that do not use the ledger are not shown: those with
    `load_method: append-only`, and dry runs.
    """
    if html is not None and (removals or as_json):
        msg = "--html cannot be combined with --removals or --json. The page has everything."
        raise click.UsageError(msg)
    settings = read_settings(config, needs_sign_in=False)
    view = _history(settings, last or (_RUNS_IN_TABLES if html is None else _RUNS_IN_PAGE), which)
    if html is not None:
        _write(html, render(view, settings.ad_account_id, time.time(), Thresholds.of(settings)))
        show(f"Wrote {html}")
    elif as_json:
        show_json(_as_json(view))
    elif removals:
        rows = [
            RemovalRow(
                when(each.accepted),
                each.customer_list,
                each.identities,
                describe_causes(each.causes),
                each.request_id,
            )
            for each in view.removals
        ]
        show_table(RemovalRow._fields, rows, empty="No one was removed in these runs.")
    else:
        shown = None if any(run.held_out for run in view.runs) else -1
        runs = [_run_row(run)[:shown] for run in view.runs]
        show_table(RunRow._fields[:shown], runs, empty="The ledger has no such runs yet.")
        lists = [row for run in view.runs for row in _list_rows(run)]
        click.echo()
        show_table(ListRow._fields, lists, empty="No list changed in these runs.", spare=_SPARE)
        _show_errors(view)


def _history(settings: Settings, last: int, which: str | None) -> HistoryView:
    """Return the history of the last runs.

    Raises:
        ConfigurationError: there is no ledger, or it knows no such list.
    """
    with opened_ledger(settings, read_only=True) as ledger:
        try:
            return read_history(ledger, last, which)
        except LookupError:
            near = did_you_mean(which or "", (each.name for each in ledger.catalogue.lists.all()))
            msg = f"{ledger.where} knows no customer list with that id or name.{near} `ledger show` shows all lists."
            raise ConfigurationError(msg) from None


def _run_row(run: RunView) -> RunRow:
    took = round(run.ended - run.started, 1) if run.ended is not None else None
    waited = round(run.limited_seconds, 1) if run.limited_seconds is not None else None
    return RunRow(when(run.started), run.kind, run.outcome, took, run.calls, waited, run.held_out or None)


def _list_rows(run: RunView) -> Iterator[ListRow]:
    for step in run.lists:
        reason = describe_causes(step.removals) or None
        name = step.customer_list or "(several)"
        rows, rate = step.contributing_rows, percent_words(step.match_percent)
        yield ListRow(
            when(run.started), name, step.members, rows, step.matched, rate, step.added, step.removed, reason,
            step.unusable,
        )  # fmt: skip


def _show_errors(view: HistoryView) -> None:
    """Print the error messages of the runs that failed."""
    errors = [(shown_time(when(run.started)), run.kind, run.error) for run in reversed(view.runs) if run.error]
    if not errors:
        return
    click.echo("\nErrors, newest first:")
    for started, kind, error in errors[:_MOST_ERRORS]:
        show(f"- {started}, {kind}: {error}")
    if len(errors) > _MOST_ERRORS:
        show(f"{several(len(errors) - _MOST_ERRORS, 'older error', 'older errors')}: --json has them.")


def _as_json(view: HistoryView) -> Mapping[str, object]:
    """Return the history in the form that `--json` prints."""
    return {
        "ledger": view.ledger,
        "lists": [
            {
                "id": each.id,
                "name": each.name,
                "members": each.members,
                "contributing_rows": each.contributing_rows,
                "matched": each.matched,
                "match_percent": each.match_percent,
            }
            for each in view.lists
        ],
        "runs": [
            {
                "run": run.number,
                "command": run.kind,
                "started": when(run.started),
                "ended": when(run.ended),
                "exit_code": run.exit_code,
                "outcome": run.outcome,
                "error": run.error,
                "empty": run.empty,
                "held_out": run.held_out,
                "calls": run.calls,
                "limited_seconds": run.limited_seconds,
                "lists": [_step_as_json(step) for step in run.lists],
            }
            for run in view.runs
        ],
        "removals": [{**each._asdict(), "accepted": when(each.accepted)} for each in view.removals],
    }


def _step_as_json(step: Step) -> Mapping[str, object]:
    """Return what a run did to a list in the form that `--json` prints."""
    fields = step._asdict()
    return {"causes": fields.pop("removals"), "match_percent": step.match_percent, **fields}


def _write(path: Path, page: str) -> None:
    """Write the page. Only its owner may read it, because it names lists.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        replace(path, page.encode())
    except OSError as error:
        msg = f"The page cannot be written to {path} ({error.strerror}). Choose another file with --html."
        raise ConfigurationError(msg) from None
