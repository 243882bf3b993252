"""The command `pinterest-audience clear`."""

from __future__ import annotations

import click

from target_pinterest_audience.companion.commands.common import (
    config_option,
    confirm,
    dry_run_option,
    json_option,
    known_list,
    opened_ledger,
    read_settings,
    refuse_half,
    removing,
    show,
    show_json,
    yes_option,
)
from target_pinterest_audience.companion.operations.clear import clear as remove_everybody
from target_pinterest_audience.reporting.tally import tell_lists
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
    """Remove everybody from a customer list whom this connector sent to it.

    That is who the ledger knows to be on it, or may be after a run that was cut short. Whom others put there stays, as
    do refusals. There is no ceiling. The rows then contribute nothing to the list, and a later run adds those again
    that it reads: stop its schedule first if the list is to stay empty. After an interruption call it again.
    """
    settings = read_settings(config, dry_run=dry_run)
    with opened_ledger(settings) as ledger:
        entry = known_list(ledger, settings, which)
        named = f'customer list "{entry.name or ""}" (id {entry.customer_list_id or "none yet"})'
        if not settings.dry_run:
            confirm(f"Remove all that was sent to {named} ({identities(entry.members)})?", yes=yes)
        with removing(ledger, settings) as (books, dispatcher):
            remove_everybody(ledger, books, dispatcher, entry.number)
            reports = dispatcher.delivery.lists(books.members())
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
                lines = tell_lists(reports, dry=settings.dry_run)
                for line in lines or [f"Nobody has to be removed from {named}."]:
                    show(line)
            refuse_half(reports)
