"""The command `pinterest-audience alerts`: tells people what a run that does not happen cannot tell."""

from __future__ import annotations

import time
from typing import NamedTuple

import click

from target_pinterest_audience.companion.commands.common import (
    config_option,
    json_option,
    logger,
    read_settings,
    show_rows,
    when,
)
from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.reporting.alerts.board import opened_board
from target_pinterest_audience.reporting.alerts.notifier import Notifier, SendResult, make_notifier
from target_pinterest_audience.reporting.alerts.standing import StandingAlert
from target_pinterest_audience.system.signals import obey_signals

_TEST_TITLE = "Pinterest audience: a test"
_TEST_TEXT = "`pinterest-audience alerts --test` sent this. Alerts of target-pinterest-audience arrive here."


class Row(NamedTuple):
    """An alert that stands, for people and for scripts."""

    command: str
    kind: str
    title: str
    text: str
    since: str | None
    told: str | None
    state: str
    """`due`, or `told` if somebody was told within a day."""


@click.command("alerts")
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Show what stands; send nothing, and note nothing.")
@click.option("--test", is_flag=True, help="Send a test message to each address, and tell which took it.")
def alerts(config: tuple[str, ...], *, as_json: bool, dry_run: bool, test: bool) -> None:
    """Send an alert if no run has succeeded for too long, and what runs could not send.

    Let a scheduler call it every hour, beside the runs and with their settings: it notices runs that never start, or
    are killed. What lasts is told again once a day. The exit code is 1 if alerts were due and no address took them.

    Example: pinterest-audience alerts --config target.json --dry-run
    """
    settings = read_settings(config)
    notifier = make_notifier(settings.notify_urls)
    if notifier is None:
        msg = "There is nobody to tell: set `notify_urls`."
        raise ConfigurationError(msg)
    if test and dry_run:
        msg = "--test sends a message, and --dry-run says to send none."
        raise click.UsageError(msg)
    obey_signals()
    if test:
        _test(notifier, as_json=as_json)
        return
    dry = dry_run or settings.dry_run
    now = time.time()
    with opened_board(settings, create=not dry) as board:
        standing = board.current(now)
        told = dry or board.post(standing, notifier, logger, time.time)
        if not dry:
            standing = board.current(now)
    rows = [_row(each, now) for each in standing if not each.waits(now)]
    show_rows(Row, rows, as_json=as_json, empty="Nothing is worth an alert.")
    if not told:
        msg = "Alerts were due, and no address took them. `pinterest-audience alerts --test` tries each."
        raise OutputError(msg)


def _row(standing: StandingAlert, now: float) -> Row:
    alert, state = standing.alert, "due" if standing.is_due(now) else "told"
    told = when(standing.notified)
    return Row(alert.command, alert.kind.value, alert.title, alert.text, when(standing.since), told, state)


def _test(notifier: Notifier, *, as_json: bool) -> None:
    receipts = notifier.send(_TEST_TITLE, _TEST_TEXT)
    rows = [each._replace(seconds=round(each.seconds, 1)) for each in receipts]
    show_rows(SendResult, rows, as_json=as_json, empty="")
    if not all(each.taken for each in receipts):
        msg = (
            "Not every address took the test message. Check those that did not, and whether this machine reaches them."
        )
        raise OutputError(msg)
