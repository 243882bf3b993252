"""The command `pinterest-audience alerts`: sends alerts about runs that never start."""

from __future__ import annotations

import time
from typing import NamedTuple

import click

from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show_json, show_rows, show_table, when
from target_pinterest_audience.companion.session import logger, read_settings
from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.reporting.alerts.board import opened_board
from target_pinterest_audience.reporting.alerts.fed_lists import chosen_lists
from target_pinterest_audience.reporting.alerts.notifier import Notifier, SendResult, make_notifier
from target_pinterest_audience.reporting.alerts.standing import StandingAlert
from target_pinterest_audience.system.signals import obey_signals

_TEST_TITLE = "Pinterest audience: a test"
_TEST_TEXT = "`pinterest-audience alerts --test` sent this message. Alerts of target-pinterest-audience arrive here."


class AlertRow(NamedTuple):
    """A current alert, as it is printed."""

    command: str
    kind: str
    title: str
    text: str
    since: str | None
    sent: str | None
    """When the alert was last sent."""
    state: str
    """`due`, or `sent` if the alert was sent within the last day."""


@click.command("alerts")
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Show the open alerts; send nothing and record nothing.")
@click.option("--test", is_flag=True, help="Send a test message to each address, and show which accepted it.")
def alerts(config: tuple[str, ...], *, as_json: bool, dry_run: bool, test: bool) -> None:
    """Send an alert if no run has succeeded for too long, and the alerts that runs could not deliver.

    Let a scheduler call it every hour with the settings of the runs. It detects runs that never start or are killed.
    It repeats an alert once a day while the problem lasts. The exit code is 1 if alerts were due, but none could be
    delivered.

    Example: pinterest-audience alerts --config target.json --dry-run
    """
    settings = read_settings(config)
    notifier = make_notifier(settings.notify_urls)
    if notifier is None:
        msg = "There is no address for alerts. Set `notify_urls`."
        raise ConfigurationError(msg)
    if test and dry_run:
        msg = "--test sends a message, but --dry-run forbids it. Give only one of them."
        raise click.UsageError(msg)
    obey_signals()
    if test:
        _test(notifier, as_json=as_json)
        return
    dry = dry_run or settings.dry_run
    now = time.time()
    with opened_board(settings, create=not dry) as board:
        standing = board.current(now)
        delivered = dry or board.post(standing, notifier, logger, time.time, chosen_lists(settings, []))
        if not dry:
            standing = board.current(now)
    rows = [_row(each, now) for each in standing if not each.waits(now)]
    if as_json:
        show_json([each._asdict() for each in rows])
    else:
        show_table(AlertRow._fields, rows, empty="There are no alerts.", spare=("sent", "title"))
    if not delivered:
        msg = "Alerts were due, but none could be delivered. Test each address with `pinterest-audience alerts --test`."
        raise OutputError(msg)


def _row(standing: StandingAlert, now: float) -> AlertRow:
    alert, state = standing.alert, "due" if standing.is_due(now) else "sent"
    since, sent = when(standing.since), when(standing.notified)
    return AlertRow(alert.command, alert.kind.value, alert.title, alert.text, since, sent, state)


def _test(notifier: Notifier, *, as_json: bool) -> None:
    receipts = notifier.send(_TEST_TITLE, _TEST_TEXT)
    rows = [each._replace(seconds=round(each.seconds, 1)) for each in receipts]
    show_rows(SendResult, rows, as_json=as_json, empty="")
    if not all(each.taken for each in receipts):
        msg = "Not every address accepted the test message. Check the others, and whether this machine can reach them."
        raise OutputError(msg)
