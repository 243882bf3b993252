"""Alerts whose problem lasts: which ones stand after a run, and when one is sent again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from target_pinterest_audience.reporting.alerts.alert import Alert

REPEAT_SECONDS: Final = 23 * 3_600.0
"""When to send a standing alert again: a little less than a day later, so that a daily run sends it daily."""

CLOCK_SLACK_SECONDS: Final = 120.0
"""How much the clocks of two machines may differ. A time further in the future comes from a wrong clock."""


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """An alert whose problem lasts, as far as is known.

    Attributes:
        alert: the alert.
        since: Unix time when the problem was found first.
        notified: Unix time when the alert was sent last; None if it was not sent yet.
    """

    alert: Alert
    since: float
    notified: float | None

    def is_due(self, now: float) -> bool:
        """Return whether to send it now.

        Args:
            now: Unix time.
        """
        return not self.waits(now) and (self.notified is None or now - self.notified >= REPEAT_SECONDS)

    def waits(self, now: float) -> bool:
        """Return whether the problem has not lasted long enough yet.

        Args:
            now: Unix time.
        """
        return now - self.since < self.alert.waits_seconds


def update_standing(
    known: Iterable[StandingAlert], found: Iterable[Alert], now: float, *, succeeded: str | None = None
) -> list[StandingAlert]:
    """Return the alerts that stand now.

    Args:
        known: the alerts that stood before.
        found: the alerts that were found now; each replaces a known one of the same name, and keeps its times.
        now: Unix time.
        succeeded: the command that has just succeeded, if any. Its alerts that were not found again are over. A failed
            command ends none, because it may not have checked everything.
    """
    known = [_without_future_times(each, now) for each in known]
    standing = {each.alert.name: each for each in known if each.alert.command != succeeded}
    before = {each.alert.name: each for each in known}
    for alert in found:
        earlier = before.get(alert.name)
        since, notified = (now, None) if earlier is None else (earlier.since, earlier.notified)
        standing[alert.name] = StandingAlert(alert, since, notified)
    return list(standing.values())


def _without_future_times(standing: StandingAlert, now: float) -> StandingAlert:
    """Drop times in the future: an alert from a clock that was years ahead would stay silent for years."""
    notified = standing.notified
    if notified is not None and notified > now + CLOCK_SLACK_SECONDS:
        notified = None
    return replace(standing, since=min(standing.since, now), notified=notified)
