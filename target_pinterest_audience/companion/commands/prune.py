"""The command `pinterest-audience prune`."""

from __future__ import annotations

import time
from contextlib import closing

import click

from target_pinterest_audience.companion.operations.prune import PruneOptions
from target_pinterest_audience.companion.operations.prune import prune as remove_missing
from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import logger, raise_if_refused, read_settings, removal_session
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.find import find_ledger, no_ledger
from target_pinterest_audience.ledger.history import PRUNE
from target_pinterest_audience.reporting.alerts.ending import alerting
from target_pinterest_audience.reporting.list_summary import list_sentences


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
    help="The maximum age of the run.",
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
def prune(
    config: tuple[str, ...],
    allow_removal_percent: int | None,
    max_age_minutes: int,
    missing_runs: int,
    *,
    full_table: bool,
    as_json: bool,
) -> None:
    """Remove people who are missing from the last run.

    The run must have `load_method: overwrite`. Run the command right after the target, and only if the tap succeeded as
    well: `meltano run tap target pinterest-audience:prune`, or in a shell, after `set -o pipefail`, `tap |
    target-pinterest-audience --config FILE && pinterest-audience prune --config FILE`.

    It acts on the newest run of the same configuration, once, and only if that run ended cleanly. Above the ceiling it
    removes no one and exits 6. With `dry_run` it shows how many people it would remove.

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
        ledger = find_ledger(settings, create=False)
        if ledger is None:
            why = str(no_ledger(settings))
            msg = f"No one was removed: {why[0].lower()}{why[1:]}"
            raise ConfigurationError(msg)
        with closing(ledger), removal_session(ledger, settings) as (books, dispatcher):
            remove_missing(ledger, books, dispatcher, options, now=time.time(), warn=logger.warning)
            lists.extend(dispatcher.delivery.lists(books.sizes()))
            if as_json:
                show_json({"dry_run": settings.dry_run, "lists": lists})
            else:
                for line in list_sentences(lists, dry=settings.dry_run) or ["There was no one to remove."]:
                    show(line)
            raise_if_refused(lists)
