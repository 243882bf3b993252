"""The command `pinterest-audience report`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.commands.common import (
    config_option,
    json_option,
    opened_ledger,
    read_settings,
    show_json,
    show_table,
    when,
)
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.reporting.history import HistoryView, RunView, read_history
from target_pinterest_audience.reporting.page import render
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.system.private_files import replace
from target_pinterest_audience.vocabulary import describe_causes

_ROWS: Final = 20
_RUNS_OF_A_PAGE: Final = 2_000

_EXAMPLES = """
\b
Examples:
  pinterest-audience report --config target.json
  pinterest-audience report --list "Newsletter" --last 50 --config target.json
  pinterest-audience report --html audiences.html --config target.json
"""


class RunRow(NamedTuple):
    """A run as it is shown."""

    started: str
    what: str
    """`run`, `prune`, or the name of another command."""
    outcome: str
    seconds: float | None
    """How long it took."""
    requests: int | None
    waited: float | None
    """Seconds that requests waited for Pinterest's rate limits."""


class ListRow(NamedTuple):
    """What one run did to one list, as it is shown."""

    started: str
    list: str
    members: int | None
    """Identities that belong on it, as of then."""
    added: int
    removed: int
    why: str | None
    """Why identities were removed."""
    unusable: int
    """Values that were rejected, or that Pinterest refused."""


class RemovalRow(NamedTuple):
    """A request that removed somebody, as it is shown."""

    time: str
    list: str
    removed: int
    why: str
    request: str | None
    """Pinterest's id of the request."""


@click.command("report", epilog=_EXAMPLES)
@click.option("--list", "which", metavar="ID_OR_NAME", help="Only what happened to this customer list.")
@click.option(
    "--last",
    type=click.IntRange(1, 1_000_000),
    help=f"How many runs to look at, the newest.  [default: {_ROWS}; for --html {_RUNS_OF_A_PAGE}]",
)
@click.option("--removals", is_flag=True, help="Show the requests that removed somebody, and why.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page with charts to a file that any browser opens, without a network.",
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
    """Show what the last runs did: how they ended, who was added and removed and why, what could not be used.

    The first table has a line for each run, the second one for each list that a run changed. Times are in UTC. Runs
    that leave the ledger alone are not told: those with `load_method: append-only`, and dry ones.
    """
    if html is not None and (removals or as_json):
        msg = "--html writes a page, which has neither --removals nor --json."
        raise click.UsageError(msg)
    settings = read_settings(config)
    view = _look(settings, last or (_ROWS if html is None else _RUNS_OF_A_PAGE), which)
    if html is not None:
        _write(html, render(view, settings.ad_account_id, time.time()))
        click.echo(f"Written: {html}")
    elif as_json:
        show_json(_for_machines(view))
    elif removals:
        rows = [
            RemovalRow(
                _shown(each.accepted),
                each.customer_list,
                each.identities,
                describe_causes(each.causes),
                each.request_id,
            )
            for each in view.removals
        ]
        show_table(RemovalRow._fields, rows, empty="Nobody was removed in these runs.")
    else:
        show_table(RunRow._fields, list(map(_run, view.runs)), empty="The ledger knows of no such runs yet.")
        lists = [row for run in view.runs for row in _lists(run)]
        click.echo()
        show_table(ListRow._fields, lists, empty="No list changed in these runs.")


def _look(settings: Settings, last: int, which: str | None) -> HistoryView:
    """Return the history.

    Raises:
        ConfigurationError: there is no ledger, or it knows no such list.
    """
    with opened_ledger(settings, read_only=True) as ledger:
        try:
            return read_history(ledger, last, which)
        except LookupError:
            msg = f"{ledger.where} knows no customer list with that id or name. `ledger show` names them all."
            raise ConfigurationError(msg) from None


def _run(run: RunView) -> RunRow:
    took = round(run.ended - run.started, 1) if run.ended is not None else None
    waited = round(run.limited_seconds, 1) if run.limited_seconds is not None else None
    return RunRow(_shown(run.started), run.kind, run.outcome, took, run.calls, waited)


def _lists(run: RunView) -> Iterator[ListRow]:
    for step in run.lists:
        why = describe_causes(step.removals) or None
        name = step.customer_list or "(several)"
        yield ListRow(_shown(run.started), name, step.members, step.added, step.removed, why, step.unusable)


def _shown(moment: float) -> str:
    """Return a moment, given in seconds since 1970, to the minute, in UTC."""
    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M}"


def _for_machines(view: HistoryView) -> Mapping[str, object]:
    """Return the history in the form that `--json` prints, with moments as text."""
    return {
        "ledger": view.ledger,
        "lists": [{"id": each.id, "name": each.name, "members": each.members} for each in view.lists],
        "runs": [
            {
                "run": run.number,
                "kind": run.kind,
                "started": when(run.started),
                "ended": when(run.ended),
                "exit_code": run.exit_code,
                "outcome": run.outcome,
                "empty": run.empty,
                "calls": run.calls,
                "limited_seconds": run.limited_seconds,
                "lists": [step._asdict() for step in run.lists],
            }
            for run in view.runs
        ],
        "removals": [{**each._asdict(), "accepted": when(each.accepted)} for each in view.removals],
    }


def _write(path: Path, page: str) -> None:
    """Write the page, readable by its owner only: it names lists.

    Raises:
        ConfigurationError: it cannot be written there.
    """
    try:
        replace(path, page.encode())
    except OSError as error:
        msg = f"The page cannot be written to {path} ({error.strerror})."
        raise ConfigurationError(msg) from None
