"""Standing alerts, stored between runs so that people are notified of each once, and then once a day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from target_pinterest_audience.ledger.query import AccountTables


class StoredAlert(NamedTuple):
    """A standing alert.

    Attributes:
        name: its name, which is the same from run to run.
        alert: the alert, encoded.
        since: when it was raised; Unix time in seconds.
        notified: when people were last notified of it, as Unix time in seconds; None if they were not yet.
    """

    name: str
    alert: str
    since: float
    notified: float | None


class StandingAlerts(AccountTables):
    """The standing alerts of one ad account."""

    def read(self, configuration: str) -> list[StoredAlert]:
        """Return the alerts that stand for the runs of a configuration, oldest first."""
        found = self._query(
            "SELECT name, alert, since, told FROM alerts WHERE realm = ? AND configuration = ? ORDER BY since, name",
            self._realm, configuration,
        )  # fmt: skip
        return [StoredAlert(*row) for row in found]

    def replace(self, configuration: str, standing: Iterable[StoredAlert]) -> None:
        """Replace the alerts that stand for the runs of a configuration."""
        self._query("DELETE FROM alerts WHERE realm = ? AND configuration = ?", self._realm, configuration)
        for each in standing:
            self._query(
                "INSERT INTO alerts (realm, configuration, name, alert, since, told) VALUES (?, ?, ?, ?, ?, ?)",
                self._realm, configuration, *each,
            )  # fmt: skip
