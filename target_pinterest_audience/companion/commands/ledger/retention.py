"""The commands `pinterest-audience ledger reset` and `ledger expire`: they delete from the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.audit_trail import audited
from target_pinterest_audience.companion.operations.retention import expire as forget_old
from target_pinterest_audience.companion.operations.retention import reset as forget_sent
from target_pinterest_audience.companion.operations.retention import stale_sources
from target_pinterest_audience.companion.options import (
    config_option,
    confirm,
    dry_run_option,
    json_option,
    reference_option,
    yes_option,
)
from target_pinterest_audience.companion.output import show_json, show_table, when
from target_pinterest_audience.companion.session import known_list, opened_ledger, read_settings
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.text.counts import several

_DAY_SECONDS: Final = 86_400

_RESET_EXAMPLES = """
\b
Examples:
  pinterest-audience ledger reset --config target.json --dry-run
  pinterest-audience ledger reset --list "Newsletter" --yes
"""

_EXPIRE_EXAMPLES = """
\b
Examples:
  pinterest-audience ledger expire --older-than 400 --dry-run
  pinterest-audience ledger expire --older-than 400 --config target.json --yes
"""


class ForgottenMembers(NamedTuple):
    """How many members of a list were deleted from the ledger."""

    id: str | None
    name: str | None
    deleted: int


class StaleSource(NamedTuple):
    """A source that no run has read for a long time."""

    source: str
    last_read: str | None
    customer_lists: Sequence[str]
    """Their names, or their ids if they have none."""


@click.command("reset", epilog=_RESET_EXAMPLES)
@click.option("--list", "which", metavar="ID_OR_NAME", help="Only this list. By default all lists in the ledger.")
@reference_option
@dry_run_option
@config_option
@json_option
@yes_option
def reset(
    which: str | None, reference: str | None, config: tuple[str, ...], *, dry_run: bool, as_json: bool, yes: bool
) -> None:
    """Delete the record of what was sent, so that it is sent again.

    The command removes no one at Pinterest. People who are on a list and are missing from later runs stay there:
    neither a delete of their row nor `prune` can remove them any more. To empty a list, `clear` it first. Refusals,
    people whom `forget` erased, and removals that are still pending stay in the ledger.

    If the tap reads incrementally, start its next run with a full refresh.
    """
    settings = read_settings(config, dry_run=dry_run, needs_sign_in=False)
    with opened_ledger(settings) as ledger:
        entries = ledger.catalogue.lists.all() if which is None else [known_list(ledger, settings, which)]
        if not settings.dry_run:
            members = sum(entry.members for entry in entries)
            sent = several(members, "identity was", "identities were")
            confirm(f"Delete the record that {sent} sent to {several(len(entries), 'list', 'lists')}?", yes=yes)
        number = entries[0].number if len(entries) == 1 else None
        with audited(ledger, "ledger reset", reference=reference, list_number=number) as counted:
            forgotten = forget_sent(ledger, Locks(ledger, settings), ledger.digester.shorten, entries)
            counted["deleted"] = sum(forgotten.values())
        rows = _rows(ledger, forgotten)
        where = ledger.where
    if as_json:
        show_json({"ledger": where, "lists": [each._asdict() for each in rows], "dry_run": settings.dry_run})
        return
    show_table(ForgottenMembers._fields, rows, empty="The ledger knows no lists of this ad account.")
    if settings.dry_run:
        click.echo("\nDry run: nothing was deleted.")


@click.command("expire", epilog=_EXPIRE_EXAMPLES)
@click.option(
    "--older-than",
    "days",
    required=True,
    type=click.IntRange(1, 100_000),
    metavar="DAYS",
    help="The age of the data to delete, in days.",
)
@reference_option
@dry_run_option
@config_option
@json_option
@yes_option
def expire(
    days: int, reference: str | None, config: tuple[str, ...], *, dry_run: bool, as_json: bool, yes: bool
) -> None:
    """Delete old data, to limit how long the ledger keeps personal data.

    The command deletes runs that began more than DAYS days ago, except the newest one of each configuration; and, for
    each source that no run has read since, the digests that its rows contributed. Refusals and people whom `forget`
    erased stay in the ledger for good. Rows of a source that is still read stay, however old: they show who is on a
    list now.

    The command removes no one at Pinterest. People whom only a deleted source had put on a list stay there, and nothing
    can remove them any more: to remove them, `clear` the list first. That is why the command asks for confirmation.
    """
    settings = read_settings(config, dry_run=dry_run, needs_sign_in=False)
    now = time.time()
    before = now - days * _DAY_SECONDS
    with opened_ledger(settings) as ledger:
        sources = stale_sources(ledger, before)
        shown = [
            StaleSource(
                each.name,
                when(each.last_read),
                [entry.name or str(entry.customer_list_id) for entry in lists],
            )
            for each in sources
            for lists in [ledger.catalogue.lists.of_source(each.number)]
        ]
        if sources and not settings.dry_run:
            names = ", ".join(each.source for each in shown)
            confirm(
                f"Delete what the ledger knows about the people whom the sources {names} put on lists? They stay on "
                "the lists, and can no longer be removed.",
                yes=yes,
            )
        with audited(ledger, "ledger expire", reference=reference) as counted:
            expired = forget_old(ledger, Locks(ledger, settings), ledger.digester.shorten, sources, before, now)
            counted |= {"deleted": sum(expired.members.values()), "deleted_runs": expired.runs}
        rows = _rows(ledger, expired.members)
    if as_json:
        show_json(
            {
                "deleted_runs": expired.runs,
                "stale_sources": [each._asdict() for each in shown],
                "lists": [each._asdict() for each in rows],
                "dry_run": settings.dry_run,
            }
        )
        return
    show_table(
        ("source", "last_read", "lists"),
        [each._replace(customer_lists=", ".join(each.customer_lists)) for each in shown],
        empty=f"Every source was read in the last {several(days, 'day', 'days')}.",
    )
    click.echo()
    show_table(ForgottenMembers._fields, rows, empty="All members of lists stay in the ledger.")
    verb = "would be deleted" if settings.dry_run else "deleted"
    click.echo(f"\nRuns {verb}: {expired.runs:,}.")


def _rows(ledger: Ledger, forgotten: dict[int, int]) -> list[ForgottenMembers]:
    entries = map(ledger.catalogue.lists.entry, sorted(forgotten))
    return [ForgottenMembers(each.customer_list_id, each.name, forgotten[each.number]) for each in entries]
