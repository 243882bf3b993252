"""The command `pinterest-audience prune`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing

import click
import msgspec

from target_pinterest_audience.companion.audit_trail import audited
from target_pinterest_audience.companion.in_use import refuse_in_use, show_usage
from target_pinterest_audience.companion.operations.missing_rows import PruneOptions
from target_pinterest_audience.companion.operations.prune import carry_out, choose, lists_above
from target_pinterest_audience.companion.options import config_option, in_use_option, json_option
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import (
    found_ledger,
    logger,
    name_entry,
    raise_if_refused,
    read_settings,
    removal_session,
)
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.find import no_ledger
from target_pinterest_audience.ledger.history import PRUNE
from target_pinterest_audience.pinterest.usage import usage_of_list
from target_pinterest_audience.reporting.alerts.ending import alerting
from target_pinterest_audience.reporting.list_summary import list_sentences
from target_pinterest_audience.routing.orders import ListReport


@click.command("prune")
@config_option
@json_option
@click.option(
    "--allow-removal-percent",
    type=click.IntRange(0, 100),
    help="The share of a list's members that may be removed. Overrides the setting `max_removal_percent`.",
)
@click.option(
    "--max-age-minutes",
    type=click.IntRange(1, 1_000_000),
    default=60,
    show_default=True,
    help="The maximum age of the run, in minutes.",
)
@click.option(
    "--missing-runs",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="How many consecutive clean runs a person must be missing from.",
)
@click.option(
    "--full-table",
    is_flag=True,
    help="Confirm that the tables were read in full, although the stream shows signs of an incremental sync.",
)
@in_use_option
def prune(
    config: tuple[str, ...],
    allow_removal_percent: int | None,
    max_age_minutes: int,
    missing_runs: int,
    *,
    full_table: bool,
    as_json: bool,
    in_use: bool,
) -> None:
    """Remove people who are missing from the last run.

    The run must have used `load_method: overwrite`. Run the command right after the target, and only if the tap
    succeeded as well: `meltano run tap target pinterest-audience:prune`, or in a shell, after `set -o pipefail`, `tap |
    target-pinterest-audience --config FILE && pinterest-audience prune --config FILE`.

    It acts on the newest run of the same configuration, once, and only if that run ended cleanly. Above the ceiling it
    removes no one and exits 6. With `dry_run` it shows how many people it would remove.

    If --allow-removal-percent lets more people go than `max_removal_percent` would, the command first shows which ad
    groups, campaigns and customer segments use the list. If an active one excludes it, these people would then see the
    ads, so the command needs --in-use.

    Example: pinterest-audience prune --config target.json --allow-removal-percent 40
    """
    settings = read_settings(config)
    options = PruneOptions(
        max_age_minutes=max_age_minutes,
        missing_runs=missing_runs,
        full_table=full_table,
        max_removal_percent=settings.max_removal_percent if allow_removal_percent is None else allow_removal_percent,
    )
    with alerting(settings, PRUNE, logger) as lists:
        ledger = found_ledger(settings)
        if ledger is None:
            why = str(no_ledger(settings))
            msg = f"No one was removed: {why[0].lower()}{why[1:]}"
            raise ConfigurationError(msg)
        with closing(ledger), removal_session(ledger, settings) as (books, dispatcher):
            now = time.time()
            pruning = choose(ledger, books, options, now=now, warn=logger.warning)
            if options.max_removal_percent > settings.max_removal_percent:
                allowed, usual = options.max_removal_percent, settings.max_removal_percent
                for number in lists_above(ledger, books, pruning, usual, allowed_percent=allowed, now=now):
                    entry = ledger.catalogue.lists.entry(number)
                    if entry.customer_list_id is not None:
                        named = name_entry(entry)
                        usage = usage_of_list(dispatcher.delivery.client, entry.customer_list_id)
                        show_usage(usage, named)
                        refuse_in_use(usage, named, in_use=in_use, dry_run=settings.dry_run)
            with audited(ledger, PRUNE) as counted:
                carry_out(ledger, books, dispatcher, pruning, options.max_removal_percent, now=now)
                lists.extend(dispatcher.delivery.lists(books.sizes()))
                counted["removed"] = sum(each.removed for each in lists)
            if as_json:
                show_json({"dry_run": settings.dry_run, "lists": [_as_json(each) for each in lists]})
            else:
                for line in list_sentences(lists, dry=settings.dry_run) or ["There was no one to remove."]:
                    show(line)
            raise_if_refused(lists)


def _as_json(report: ListReport) -> Mapping[str, object]:
    """Return what was sent to a list in the form that `--json` prints."""
    fields = msgspec.structs.asdict(report)
    return {"customer_list": fields.pop("name"), "causes": fields.pop("removals"), **fields}
