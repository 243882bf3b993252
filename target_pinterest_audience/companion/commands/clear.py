"""The command `pinterest-audience clear`."""

from __future__ import annotations

import click

from target_pinterest_audience.companion.operations.clear import clear as remove_all
from target_pinterest_audience.companion.options import config_option, confirm, dry_run_option, json_option, yes_option
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import (
    known_list,
    opened_ledger,
    raise_if_refused,
    read_settings,
    removal_session,
)
from target_pinterest_audience.reporting.list_summary import list_sentences
from target_pinterest_audience.text.counts import identities

_EXAMPLES = """
\b
Examples:
  pinterest-audience clear --config target.json --dry-run
  pinterest-audience clear --list "Newsletter readers" --config target.json --yes
"""


@click.command("clear", epilog=_EXAMPLES)
@click.option("--list", "which", metavar="ID_OR_NAME", help="The list. By default, the one that the settings choose.")
@dry_run_option
@config_option
@json_option
@yes_option
def clear(which: str | None, config: tuple[str, ...], *, dry_run: bool, as_json: bool, yes: bool) -> None:
    """Remove everyone whom this target sent to a customer list.

    These are the people whom the ledger knows to be on the list, and those who may be on it after an interrupted run.
    People whom others put on the list stay, and refusals stay in the ledger. No ceiling applies. A later run adds the
    rows again that it reads: stop its schedule first if the list must stay empty. If the command is interrupted, run it
    again.
    """
    settings = read_settings(config, dry_run=dry_run)
    with opened_ledger(settings) as ledger:
        entry = known_list(ledger, settings, which)
        named = f'customer list "{entry.name or ""}" (id {entry.customer_list_id or "none yet"})'
        if not settings.dry_run:
            confirm(f"Remove everything that was sent to {named} ({identities(entry.members)})?", yes=yes)
        with removal_session(ledger, settings) as (books, dispatcher):
            remove_all(ledger, books, dispatcher, entry.number)
            reports = dispatcher.delivery.lists(books.sizes())
            if as_json:
                show_json(
                    {
                        "customer_list_id": entry.customer_list_id,
                        "name": entry.name,
                        "removed": sum(each.removed for each in reports),
                        "refused": sum(each.refused for each in reports),
                        "requests": sum(each.requests for each in reports),
                        "dry_run": settings.dry_run,
                    }
                )
            else:
                lines = list_sentences(reports, dry=settings.dry_run)
                for line in lines or [f"There is no one to remove from {named}."]:
                    show(line)
            raise_if_refused(reports)
