"""Alerts, from end to end: what was found is held against what stands in the ledger, and whoever is to know is told."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from target_pinterest_audience.errors import ConfigurationError, LedgerError, bug_message, outcome
from target_pinterest_audience.ledger.alerts import StoredAlert
from target_pinterest_audience.ledger.find import find_ledger, no_ledger
from target_pinterest_audience.membership.row_keys import Digester
from target_pinterest_audience.reporting.alerts.notifier import Notifier, Receipt, make_notifier
from target_pinterest_audience.reporting.alerts.rules import (
    CLOCK_SLACK_SECONDS,
    Alert,
    Ended,
    Kind,
    ListState,
    Standing,
    Thresholds,
    follow,
    judge,
    message,
    stale,
)
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.text.redaction import redact

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.routing.orders import ListReport
    from target_pinterest_audience.settings import Settings

_LEDGER_SECONDS: Final = 2
"""How long to wait at the end of a run while another process writes to the ledger."""


@contextlib.contextmanager
def alerting(settings: Settings, command: str, logger: logging.Logger) -> Iterator[list[ListReport]]:
    """Tell people what is worth an alert in how a command ends, in the block that it yields a list for.

    Args:
        settings: the settings.
        command: the command, such as `prune`.
        logger: see `send_alerts`.

    Yields:
        An empty list, for what was sent to each customer list.

    Raises:
        ConfigurationError: see `notify.make_notifier`.
    """
    notifier = make_notifier(settings.notify_urls)
    began = time.time()
    lists: list[ListReport] = []

    def tell_ending(exit_code: int, words: str | None) -> None:
        if notifier is not None:
            ended = Ended(command, exit_code, words, received=0, rejected=0, sign_in_seconds=None)
            send_alerts(notifier, settings, ended, lists, began, logger=logger)

    # After a signal, or Ctrl-C, there is no time to tell anybody; and it is no success either.
    try:
        yield lists
    except Exception as error:
        tell_ending(*outcome(error, f"pinterest-audience {command}"))
        raise
    else:
        tell_ending(0, None)


def send_alerts(
    notifier: Notifier,
    settings: Settings,
    ended: Ended,
    reports: Collection[ListReport],
    began: float,
    *,
    logger: logging.Logger,
    now: Callable[[], float] = time.time,
) -> None:
    """Tell people what is worth an alert in how a run, or a prune, ended; a dry run tells nobody.

    Whatever goes wrong here is a warning. It takes a few seconds at most.

    Args:
        notifier: reaches them.
        settings: the settings.
        ended: how it ended.
        reports: what was sent to each list.
        began: when it began, in seconds since 1970.
        logger: told whether the message was taken, and nothing of where it went but the scheme.
        now: seconds since 1970.
    """
    if settings.dry_run:
        return
    if ended.error is not None:
        ended = replace(ended, error=redact(ended.error))
    try:
        try:
            with opened_board(settings, create=True) as board:
                alerts = [*judge(ended, board.states(reports, began), thresholds_of(settings))]
                if not ended.succeeded:
                    # A success would have ended it, and before the first one the failure says enough.
                    alerts += board.stale(now()) if board.last_success(now()) is not None else []
                succeeded = ended.command if ended.succeeded else None
                board.post(follow(board.read(), alerts, now(), succeeded=succeeded), notifier, logger, now)
        # The second: there is no place for a ledger.
        except (LedgerError, ConfigurationError) as error:
            logger.warning("What was told before cannot be read from the ledger, so alerts may repeat. %s", error)
            alerts = judge(ended, map(_state, reports), thresholds_of(settings))
            tell([each for each in alerts if not each.waits_seconds], notifier, settings, logger)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run ended as it ended
        logger.warning(
            "%s No alert was sent.", bug_message("target-pinterest-audience", type(error), error.__traceback__)
        )


def tell(alerts: Sequence[Alert], notifier: Notifier, settings: Settings, logger: logging.Logger) -> bool:
    """Send alerts in one message, if there are any.

    Returns:
        Whether at least one address took it.
    """
    if not alerts:
        return False
    receipts = notifier.send(*message(alerts, settings.ad_account_id))
    log_receipts(receipts, logger)
    return any(each.taken for each in receipts)


def log_receipts(receipts: Sequence[Receipt], logger: logging.Logger) -> None:
    """Log which addresses took a message."""
    taken = [each.scheme for each in receipts if each.taken]
    if taken:
        of_all = several(len(receipts), "address", "addresses")
        logger.info("Alerts were sent to %d of %s (%s).", len(taken), of_all, ", ".join(taken))
    for each in receipts:
        if not each.taken:
            logger.warning(
                "Alerts could not be sent to address %d of `notify_urls` (%s): the receiver cannot be reached, refused "
                "them, or did not answer in time. `pinterest-audience alerts --test` tries it.",
                each.number, each.scheme,
            )  # fmt: skip


def thresholds_of(settings: Settings) -> Thresholds:
    """Return the thresholds that the settings give."""
    return Thresholds(
        settings.notify_rejected_percent, settings.notify_size_change_percent, settings.notify_stale_hours
    )


def encoded(standing: Standing) -> StoredAlert:
    """Return an alert as a ledger keeps it."""
    alert = standing.alert
    return StoredAlert(alert.name, msgspec.json.encode(alert).decode(), standing.since, standing.told)


def decoded(stored: StoredAlert) -> Standing:
    """Return an alert that a ledger has kept."""
    return Standing(msgspec.json.decode(stored.alert, type=Alert), stored.since, stored.told)


class Board:
    """Where the alerts of one configuration stand, in its ledger. Every method raises a LedgerError if that fails."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        """Find the settings' place in the ledger."""
        self._ledger = ledger
        self._settings = settings
        self._configuration = Digester.of(ledger, settings).configuration(settings)

    def read(self) -> list[Standing]:
        """Return what stands."""
        return [decoded(each) for each in self._ledger.alerts.read(self._configuration)]

    def last_success(self, now: float) -> float | None:
        """Return when the newest run ended that succeeded, in seconds since 1970; None if none ever did.

        Args:
            now: likewise. A run that ended after it, by a clock that was wrong, may have ended at any time.
        """
        ended_by = now + CLOCK_SLACK_SECONDS
        run = self._ledger.catalogue.newest_run(self._configuration, clean=True, ended_by=ended_by)
        return run.ended if run is not None else None

    def stale(self, now: float) -> list[Alert]:
        """Return the alert that no run has succeeded for too long, if it is so.

        Args:
            now: seconds since 1970.
        """
        alert = stale(self.last_success(now), now, self._settings.notify_stale_hours)
        return [alert] if alert is not None else []

    def current(self, now: float) -> list[Standing]:
        """Return what stands now, when no run has just ended.

        Args:
            now: seconds since 1970.
        """
        late = self.stale(now)
        known = [each for each in self.read() if late or each.alert.kind is not Kind.STALE]
        return follow(known, late, now)

    def states(self, reports: Collection[ListReport], began: float) -> list[ListState]:
        """Return lists with the sizes that they had before.

        Args:
            reports: what was sent to each.
            began: when the run began, in seconds since 1970.
        """
        before = self._ledger.history.sizes_before(began)
        states = []
        for report in reports:
            state = _state(report)
            entry = self._ledger.catalogue.list_of_id(state.list_id)
            states.append(state._replace(before=before.get(entry.number)) if entry is not None else state)
        return states

    def post(
        self, standing: Sequence[Standing], notifier: Notifier, logger: logging.Logger, now: Callable[[], float]
    ) -> bool:
        """Tell what is due, and note what stands.

        Returns:
            Whether nothing was due, or at least one address took it.
        """
        due = [each for each in standing if each.is_due(now())]
        told = tell([each.alert for each in due], notifier, self._settings, logger)
        if told:
            standing = [replace(each, told=now()) if each in due else each for each in standing]
        if standing or self.read():
            with self._ledger.transaction():
                self._ledger.alerts.replace(self._configuration, map(encoded, standing))
        return told or not due


@contextlib.contextmanager
def opened_board(settings: Settings, *, create: bool) -> Iterator[Board]:
    """Open the ledger for its alerts.

    Args:
        settings: the settings.
        create: whether the ledger is made if there is none; if not, it is only read.

    Raises:
        LedgerError: it cannot be opened.
        ConfigurationError: there is none.
    """
    ledger = find_ledger(replace(settings, lock_wait_seconds=_LEDGER_SECONDS), create=create, read_only=not create)
    if ledger is None:
        raise no_ledger(settings)
    with contextlib.closing(ledger):
        yield Board(ledger, settings)


def _state(report: ListReport) -> ListState:
    label = f'List "{report.name}"' if report.name else f"List of {report.chosen_by}"
    return ListState(report.customer_list_id or "", label, None, report.members, report.status)
