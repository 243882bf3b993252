"""Alerts that hold, between runs: so that each is told once, and once a day as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


class StoredAlert(NamedTuple):
    """An alert that stands.

    Attributes:
        name: what it is known by from run to run.
        alert: the alert, encoded.
        since: Unix time when it was found first.
        told: Unix time when somebody was notified last; None if nobody was yet.
    """

    name: str
    alert: str
    since: float
    told: float | None


class StandingAlerts:
    """The alerts of one ad account."""

    def __init__(self, query: Query, realm: int) -> None:
        """Bind it to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
        """
        self._query = query
        self._realm = realm

    def read(self, configuration: str) -> list[StoredAlert]:
        """Return what stands for the runs of a configuration, the oldest first."""
        found = self._query(
            "SELECT name, alert, since, told FROM alerts WHERE realm = ? AND configuration = ? ORDER BY since, name",
            self._realm, configuration,
        )  # fmt: skip
        return [StoredAlert(*row) for row in found]

    def replace(self, configuration: str, standing: Iterable[StoredAlert]) -> None:
        """Let these stand for the runs of a configuration, and no others."""
        self._query("DELETE FROM alerts WHERE realm = ? AND configuration = ?", self._realm, configuration)
        for each in standing:
            self._query(
                "INSERT INTO alerts (realm, configuration, name, alert, since, told) VALUES (?, ?, ?, ?, ?, ?)",
                self._realm, configuration, *each,
            )  # fmt: skip
