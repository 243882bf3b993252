"""What every ledger remembers of alerts, and of the sizes that lists had, whichever database it is in."""

from __future__ import annotations

from target_pinterest_audience.ledger.history import ListFigures
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.reporting.alerts.alert import Alert, Kind
from target_pinterest_audience.reporting.alerts.board import decoded, encoded
from target_pinterest_audience.reporting.alerts.standing import StandingAlert
from tests.support.ledger_histories import note
from tests.support.ledgers import Opened

FAILURE = encoded(StandingAlert(Alert("run", Kind.FAILURE, "3", "failed", "why"), since=10.5, notified=None))
SMALL = encoded(
    StandingAlert(Alert("run", Kind.TOO_SMALL, "7", "small", "so", waits_seconds=5.0), since=9.5, notified=11.25)
)


def test_standing_alerts_are_read_oldest_first(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.alerts.replace("one", [FAILURE, SMALL])
    assert ledger.alerts.read("one") == [SMALL, FAILURE]
    assert decoded(SMALL).alert.kind is Kind.TOO_SMALL


def test_standing_alerts_replace_the_former_ones(ledger: Ledger) -> None:
    for standing in ([FAILURE, SMALL], [SMALL]):
        with ledger.transaction():
            ledger.alerts.replace("one", standing)
    assert ledger.alerts.read("one") == [SMALL]


def test_other_settings_and_accounts_have_their_own_alerts(opened: Opened) -> None:
    ledger, other = opened(), opened(account="549755885176")
    for each, configuration in ((ledger, "one"), (ledger, "two"), (other, "one")):
        assert each.alerts.read(configuration) == []
        with each.transaction():
            each.alerts.replace(configuration, [FAILURE])
    with ledger.transaction():
        ledger.alerts.replace("one", [])
    assert ledger.alerts.read("two") == other.alerts.read("one") == [FAILURE]


def test_the_size_before_is_the_newest_one_recorded_before_a_time(opened: Opened) -> None:
    ledger, other = opened(), opened(account="549755885176")
    sizes = [(1, 100, 10.0), (2, 50, 20.0), (1, 200, 30.0), (1, None, 40.0), (2, 60, 50.0)]
    for number, members, started in sizes:
        note(ledger, ListFigures(number, members, None, 1, 0, 0, {}), started=started)
    assert ledger.history.sizes_before(5.0) == {}
    assert ledger.history.sizes_before(30.0) == {1: 100, 2: 50}
    assert ledger.history.sizes_before(50.0) == {1: 200, 2: 50}
    assert ledger.history.sizes_before(60.0) == {1: 200, 2: 60}
    assert other.history.sizes_before(60.0) == {}
