"""The alerts that stand, as the ledger keeps them between runs, and how they are sent."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from target_pinterest_audience.ledger.alerts import StoredAlert
from target_pinterest_audience.ledger.find import find_ledger, no_ledger
from target_pinterest_audience.reconcile.locks import reference_to
from target_pinterest_audience.reporting.alerts.alert import Alert, Kind, compose_message
from target_pinterest_audience.reporting.alerts.fed_lists import label_of
from target_pinterest_audience.reporting.alerts.match_rules import SETTLING_SECONDS, Matching
from target_pinterest_audience.reporting.alerts.notifier import Notifier, SendResult
from target_pinterest_audience.reporting.alerts.rules import ListState, stale_alert
from target_pinterest_audience.reporting.alerts.standing import CLOCK_SLACK_SECONDS, StandingAlert, update_standing
from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.routing.orders import ListReport
    from target_pinterest_audience.settings import Settings

_LEDGER_SECONDS: Final = 2
"""How long to wait for the ledger while another process writes to it."""


class Board:
    """The standing alerts of one configuration, in its ledger. Every method raises a LedgerError if that fails."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        """Find the configuration in the ledger."""
        self._ledger = ledger
        self._settings = settings
        self._configuration = ledger.digester.configuration(settings)

    def read(self) -> list[StandingAlert]:
        """Return the alerts that stand."""
        return [decoded(each) for each in self._ledger.alerts.read(self._configuration)]

    def last_success(self, now: float) -> float | None:
        """Return the Unix time when the newest successful run ended; None if there is none.

        Args:
            now: Unix time. Runs that ended after it are ignored: a wrong clock recorded them.
        """
        ended_by = now + CLOCK_SLACK_SECONDS
        run = self._ledger.catalogue.runs.newest(self._configuration, clean=True, ended_by=ended_by)
        return run.ended if run is not None else None

    def stale(self, now: float) -> list[Alert]:
        """Return the alert that no run has succeeded for too long, if that is the case.

        Args:
            now: Unix time.
        """
        alert = stale_alert(self.last_success(now), now, self._settings.notify_stale_hours)
        return [alert] if alert is not None else []

    def current(self, now: float) -> list[StandingAlert]:
        """Return the alerts that stand when no run has just ended.

        Args:
            now: Unix time.
        """
        stale = self.stale(now)
        known = [each for each in self.read() if stale or each.alert.kind is not Kind.STALE]
        return update_standing(known, stale, now)

    def states(self, reports: Collection[ListReport], began: float) -> list[ListState]:
        """Return the state of each list, with its size before the run and its match rate days ago.

        Args:
            reports: what was sent to each list.
            began: Unix time when the run began.
        """
        history = self._ledger.history
        before = history.sizes_before(began)
        matches, earlier = (history.matches_before(began - SETTLING_SECONDS * times) for times in (1, 2))
        states = []
        for report in reports:
            state = state_of(report)
            entry = self._ledger.catalogue.lists.by_id(state.list_id)
            if entry is not None:
                number = entry.number
                matching = state.matching._replace(before=matches.get(number), earlier=earlier.get(number))
                state = state._replace(before=before.get(number), matching=matching)
            states.append(state)
        return states

    def fed_lists(self) -> list[str]:
        """Return the lists that the settings have fed, as messages call them."""
        catalogue = self._ledger.catalogue
        loaders = [each for each in catalogue.loaders.all() if each.configuration == self._configuration]
        entries = [catalogue.lists.entry(number) for number in sorted({each.list_number for each in loaders})]
        return [label_of(each.name) or str(reference_to(each)) for each in entries]

    def post(
        self,
        standing: Sequence[StandingAlert],
        notifier: Notifier,
        logger: logging.Logger,
        now: Callable[[], float],
        lists: Sequence[str],
    ) -> bool:
        """Send the alerts that are due, and store all that stand.

        Args:
            standing: the alerts that stand.
            notifier: sends the message.
            logger: logs which addresses accepted it.
            now: returns the Unix time.
            lists: the lists that the message names if the settings have not fed any yet.

        Returns:
            Whether no alert was due, or at least one address accepted the message.
        """
        due = [each for each in standing if each.is_due(now())]
        fed = self.fed_lists() or lists if due else ()
        sent = send([each.alert for each in due], notifier, self._settings, logger, fed)
        if sent:
            standing = [replace(each, notified=now()) if each in due else each for each in standing]
        if standing or self.read():
            self._ledger.transact(partial(self._ledger.alerts.replace, self._configuration, [*map(encoded, standing)]))
        return sent or not due


@contextlib.contextmanager
def opened_board(settings: Settings, *, create: bool) -> Iterator[Board]:
    """Open the ledger for its alerts.

    Args:
        settings: the settings.
        create: whether to create the ledger if it does not exist; if not, it is opened read-only.

    Raises:
        LedgerError: the ledger cannot be opened.
        ConfigurationError: there is no ledger.
    """
    ledger = find_ledger(replace(settings, lock_wait_seconds=_LEDGER_SECONDS), create=create, read_only=not create)
    if ledger is None:
        raise no_ledger(settings)
    with contextlib.closing(ledger):
        yield Board(ledger, settings)


def send(
    alerts: Sequence[Alert], notifier: Notifier, settings: Settings, logger: logging.Logger, lists: Sequence[str]
) -> bool:
    """Send alerts, if there are any, in one message, and log which addresses accepted it.

    Args:
        alerts: the alerts.
        notifier: sends the message.
        settings: the settings.
        logger: logs which addresses accepted it.
        lists: the lists that the message names.

    Returns:
        Whether at least one address accepted the message.
    """
    if not alerts:
        return False
    results = notifier.send(*compose_message(alerts, settings.ad_account_id, lists))
    _log_results(results, logger)
    return any(each.taken for each in results)


def state_of(report: ListReport) -> ListState:
    """Return the state of a list after a run, without how it was before."""
    label = f'List "{report.name}"' if report.name else f"List of {report.chosen_by}"
    matching = Matching(report.contributing_rows, report.matched)
    return ListState(report.customer_list_id or "", label, None, report.members, report.status, matching)


def encoded(standing: StandingAlert) -> StoredAlert:
    """Return an alert as the ledger stores it."""
    alert = standing.alert
    return StoredAlert(alert.name, msgspec.json.encode(alert).decode(), standing.since, standing.notified)


def decoded(stored: StoredAlert) -> StandingAlert:
    """Return an alert that the ledger has stored."""
    return StandingAlert(msgspec.json.decode(stored.alert, type=Alert), stored.since, stored.notified)


def _log_results(results: Sequence[SendResult], logger: logging.Logger) -> None:
    taken = [each.scheme for each in results if each.taken]
    if taken:
        of_all = several(len(results), "address", "addresses")
        logger.info("Alerts were sent to %d of %s (%s).", len(taken), of_all, ", ".join(taken))
    for each in results:
        if not each.taken:
            logger.warning(
                "Alerts could not be sent to address %d of `notify_urls` (%s): the receiver is unreachable, refused "
                "the message, or did not answer in time. To try it, run `pinterest-audience alerts --test`.",
                each.number, each.scheme,
            )  # fmt: skip
