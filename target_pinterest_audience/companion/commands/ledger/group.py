"""The command group `pinterest-audience ledger`, and its command `show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.commands.ledger.audit import audit
from target_pinterest_audience.companion.commands.ledger.backup import backup
from target_pinterest_audience.companion.commands.ledger.find import find
from target_pinterest_audience.companion.commands.ledger.retention import expire, reset
from target_pinterest_audience.companion.groups import CommandGroup
from target_pinterest_audience.companion.options import config_option, early_config_option, json_option
from target_pinterest_audience.companion.output import show_json, show_table, when
from target_pinterest_audience.companion.session import opened_ledger, read_settings
from target_pinterest_audience.ledger.catalogue.runs import OPEN
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.text.counts import several

_RUNS: Final = 5
_UNFINISHED: Final = "unfinished"
"""How a run is shown that failed, was stopped, or goes on: the ledger marks only those that reached their end."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience ledger show --config target.json
  pinterest-audience ledger find --source customers --key id=17
  pinterest-audience ledger audit --config target.json
"""


class KnownList(NamedTuple):
    """A list in the ledger."""

    id: str | None
    """None: the list is not created yet."""
    name: str | None
    members: int
    """The number of identities that belong on the list."""
    pending: int
    """The number of identities that a run has noted and Pinterest has not accepted yet."""
    sources: Sequence[str]


class KnownRun(NamedTuple):
    """A run in the ledger."""

    run: int
    started: str | None
    ended: str | None
    outcome: str
    rows: int
    """The rows that the run read from all sources."""
    pruned: bool


@click.group("ledger", cls=CommandGroup, epilog=_EXAMPLES)
@early_config_option
def ledger() -> None:
    """Show or delete what the ledger knows: lists, runs and rows."""


ledger.add_command(audit)
ledger.add_command(backup)
ledger.add_command(find)
ledger.add_command(reset)
ledger.add_command(expire)


@ledger.command("show", epilog=_EXAMPLES)
@config_option
@json_option
def show(config: tuple[str, ...], *, as_json: bool) -> None:
    """Show the lists that the ledger knows, and the last runs."""
    with opened_ledger(read_settings(config, needs_sign_in=False), read_only=True) as opened:
        where, lists, runs = opened.where, list(_lists(opened)), list(_runs(opened))
        suppressed = len(opened.catalogue.suppressions)
    if as_json:
        show_json(
            {
                "ledger": where,
                "lists": [each._asdict() for each in lists],
                "runs": [each._asdict() for each in runs],
                "suppressions": suppressed,
            }
        )
        return
    click.echo(f"{where}\n")
    cells = [each._replace(sources=", ".join(each.sources)) for each in lists]
    show_table(KnownList._fields, cells, empty="The ledger knows no lists of this ad account.")
    click.echo()
    show_table(KnownRun._fields, runs, empty="The ledger knows no runs of this ad account.")
    if suppressed:
        what = several(suppressed, "digest or id is", "digests and ids are")
        click.echo(f"\n{what} suppressed by `forget`: no run adds them to any list.")


def _lists(opened: Ledger) -> Iterator[KnownList]:
    for entry in opened.catalogue.lists.all():
        pending = opened.notes.count_unsettled(entry.number)
        sources = opened.catalogue.feeds.source_names(entry.number)
        yield KnownList(entry.customer_list_id, entry.name, entry.members, pending, sources)


def _runs(opened: Ledger) -> Iterator[KnownRun]:
    for run in opened.catalogue.runs.recent(_RUNS):
        # A source may feed many lists with the same rows: they count once.
        rows: Counter[int] = Counter()
        for feed in opened.catalogue.runs.feeds(run.number):
            rows[feed.source] = max(rows[feed.source], feed.rows)
        outcome = _UNFINISHED if run.outcome == OPEN else run.outcome
        yield KnownRun(run.number, when(run.started), when(run.ended), outcome, rows.total(), run.pruned)
