"""The command `pinterest-audience clear`."""

from __future__ import annotations

import click

from target_pinterest_audience.companion.audit_trail import audited
from target_pinterest_audience.companion.in_use import refuse_in_use, show_usage
from target_pinterest_audience.companion.operations.clear import clear as remove_all
from target_pinterest_audience.companion.options import (
    config_option,
    confirm,
    dry_run_option,
    in_use_option,
    json_option,
    reference_option,
    yes_option,
)
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import (
    known_list,
    name_entry,
    opened_ledger,
    raise_if_refused,
    read_settings,
    removal_session,
)
from target_pinterest_audience.pinterest.usage import usage_of_list
from target_pinterest_audience.reporting.list_summary import list_sentences
from target_pinterest_audience.text.counts import identities

_EXAMPLES = """
\b
Examples:
  pinterest-audience clear --config target.json --dry-run
  pinterest-audience clear --list "Newsletter" --config target.json --yes
"""


@click.command("clear", epilog=_EXAMPLES)
@click.option("--list", "which", metavar="ID_OR_NAME", help="The list. By default, the one that the settings choose.")
@reference_option
@dry_run_option
@config_option
@json_option
@yes_option
@in_use_option
def clear(
    which: str | None,
    reference: str | None,
    config: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    in_use: bool,
) -> None:
    """Remove everyone whom this target sent to a customer list.

    These are the people whom the ledger knows to be on the list, and those who may be on it after an interrupted run.
    People who were put on the list in another way stay, and refusals stay in the ledger. No ceiling applies. The next
    run adds everyone whose row it reads: to keep the list empty, stop its schedule first. If the command is
    interrupted, run it again.

    First it shows which ad groups, campaigns and customer segments use the list. If an active one excludes it,
    everyone on the list would then see the ads, so the command needs --in-use.
    """
    settings = read_settings(config, dry_run=dry_run)
    with opened_ledger(settings) as ledger:
        entry = known_list(ledger, settings, which)
        named = name_entry(entry)
        with removal_session(ledger, settings) as (books, dispatcher):
            if entry.customer_list_id is not None:
                usage = usage_of_list(dispatcher.delivery.client, entry.customer_list_id)
                show_usage(usage, named)
                refuse_in_use(usage, named, in_use=in_use, dry_run=settings.dry_run)
            if not settings.dry_run:
                confirm(f"Remove everyone who was sent to {named} ({identities(entry.members)})?", yes=yes)
            with audited(ledger, "clear", reference=reference, list_number=entry.number) as counted:
                remove_all(ledger, books, dispatcher, entry.number)
                reports = dispatcher.delivery.lists(books.sizes())
                counted["removed"] = sum(each.removed for each in reports)
            if as_json:
                show_json(
                    {
                        "customer_list_id": entry.customer_list_id,
                        "customer_list": entry.name,
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
