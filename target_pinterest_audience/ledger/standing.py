"""Alerts that hold, between runs: so that each is told once, and once a day as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from target_pinterest_audience.alerts import Alert, Standing

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


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

    def read(self, configuration: str) -> list[Standing]:
        """Return what stands for the runs of a configuration, the oldest first."""
        found = self._query(
            "SELECT alert, since, told FROM alerts WHERE realm = ? AND configuration = ? ORDER BY since, name",
            self._realm, configuration,
        )  # fmt: skip
        return [Standing(msgspec.json.decode(alert, type=Alert), since, told) for alert, since, told in found]

    def replace(self, configuration: str, standing: Iterable[Standing]) -> None:
        """Let these stand for the runs of a configuration, and no others."""
        self._query("DELETE FROM alerts WHERE realm = ? AND configuration = ?", self._realm, configuration)
        for alert, since, told in ((each.alert, each.since, each.told) for each in standing):
            self._query(
                "INSERT INTO alerts (realm, configuration, name, alert, since, told) VALUES (?, ?, ?, ?, ?, ?)",
                self._realm, configuration, alert.name, msgspec.json.encode(alert).decode(), since, told,
            )  # fmt: skip
