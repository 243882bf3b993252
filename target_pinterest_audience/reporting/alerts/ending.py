"""Sends the alerts that the end of a run, or of a command such as `prune`, gives rise to."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from target_pinterest_audience.errors import ConfigurationError, LedgerError, bug_message, outcome
from target_pinterest_audience.reporting.alerts.board import opened_board, send, state_of
from target_pinterest_audience.reporting.alerts.fed_lists import chosen_lists
from target_pinterest_audience.reporting.alerts.notifier import Notifier, make_notifier
from target_pinterest_audience.reporting.alerts.rules import RunResult, Thresholds, find_alerts
from target_pinterest_audience.reporting.alerts.standing import update_standing
from target_pinterest_audience.text.redaction import redact

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import ListReport
    from target_pinterest_audience.settings import Settings


@contextlib.contextmanager
def alerting(settings: Settings, command: str, logger: logging.Logger) -> Iterator[list[ListReport]]:
    """Send alerts, if there are any, when the command in the block ends.

    Args:
        settings: the settings.
        command: the command, such as `prune`.
        logger: logs which addresses accepted the message.

    Yields:
        An empty list, which the block fills with what was sent to each customer list.

    Raises:
        ConfigurationError: apprise is not installed, or does not support an address of `notify_urls`.
    """
    notifier = make_notifier(settings.notify_urls)
    began = time.time()
    lists: list[ListReport] = []

    def end(exit_code: int, error: str | None) -> None:
        if notifier is not None:
            result = RunResult(command, exit_code, error, received=0, rejected=0, sign_in_seconds=None)
            send_alerts(notifier, settings, result, lists, began, logger=logger)

    # A signal or Ctrl-C leaves no time to send anything; and it is no success either.
    try:
        yield lists
    except Exception as error:
        end(*outcome(error, f"pinterest-audience {command}"))
        raise
    else:
        end(0, None)


def send_alerts(
    notifier: Notifier,
    settings: Settings,
    result: RunResult,
    reports: Collection[ListReport],
    began: float,
    *,
    logger: logging.Logger,
    now: Callable[[], float] = time.time,
) -> None:
    """Send the alerts of a run or command that has ended; a dry run sends none.

    It takes a few seconds at most. If anything goes wrong, it logs a warning.

    Args:
        notifier: sends the message.
        settings: the settings.
        result: how the run ended.
        reports: what was sent to each list.
        began: Unix time when the run began.
        logger: logs which addresses accepted the message; of an address, it gets nothing but the scheme.
        now: returns the Unix time.
    """
    if settings.dry_run:
        return
    if result.error is not None:
        result = replace(result, error=redact(result.error))
    thresholds = Thresholds.of(settings)
    lists = chosen_lists(settings, reports)
    try:
        try:
            with opened_board(settings, create=True) as board:
                alerts = find_alerts(result, board.states(reports, began), thresholds)
                # A success ends a `stale` alert. Before the first success, the alert about the failure is enough.
                if not result.succeeded and board.last_success(now()) is not None:
                    alerts += board.stale(now())
                succeeded = result.command if result.succeeded else None
                standing = update_standing(board.read(), alerts, now(), succeeded=succeeded)
                board.post(standing, notifier, logger, now, lists)
        # A ConfigurationError means that no ledger can be created here.
        except (LedgerError, ConfigurationError) as error:
            logger.warning("The ledger cannot be read for earlier alerts, so alerts may repeat. %s", error)
            alerts = find_alerts(result, map(state_of, reports), thresholds)
            send([each for each in alerts if not each.waits_seconds], notifier, settings, logger, lists)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here, it must not change how the run ended
        logger.warning(
            "%s No alert was sent.", bug_message("target-pinterest-audience", type(error), error.__traceback__)
        )
