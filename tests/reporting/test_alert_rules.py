"""What is worth an alert, and when it is told: the rules by themselves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from target_pinterest_audience.identities.tally import NobodyConsents
from target_pinterest_audience.ledger.history import MatchFigures
from target_pinterest_audience.reporting.alerts.alert import Alert, Kind, compose_message
from target_pinterest_audience.reporting.alerts.fed_lists import chosen_lists
from target_pinterest_audience.reporting.alerts.match_rules import Matching
from target_pinterest_audience.reporting.alerts.rules import (
    MATCHING_SECONDS,
    ListState,
    RunResult,
    Thresholds,
    find_alerts,
    stale_alert,
)
from target_pinterest_audience.reporting.alerts.standing import REPEAT_SECONDS, StandingAlert, update_standing
from target_pinterest_audience.settings.resolve import resolve
from tests.support.settings import NEEDED

THRESHOLDS = Thresholds(rejected_percent=5, size_change_percent=30, stale_hours=26, match_drop_percent=20)
GOOD = RunResult("run", 0, None, received=100, rejected=0, sign_in_seconds=None)
FAILED = Alert("run", Kind.FAILURE, "3", "failed", "why")
PRUNED = Alert("prune", Kind.REMOVAL_CEILING, "", "too many", "why")


def kinds(before: int | None, after: int | None, status: str | None = "READY") -> list[Kind]:
    return [each.kind for each in find_alerts(GOOD, [ListState("7", "A list", before, after, status)], THRESHOLDS)]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (1_000, 1_300, []),
        (1_000, 1_301, [Kind.SIZE_CHANGED]),
        (1_000, 700, []),
        (1_000, 699, [Kind.SIZE_CHANGED]),
        (20, 30, []),
        (20, 31, [Kind.SIZE_CHANGED]),
        (0, 5_000, []),
        (None, 5_000, []),
        (1_000, None, []),
        (101, 100, []),
        (100, 99, [Kind.TOO_SMALL]),
        (99, 90, []),
        (150, 0, [Kind.SIZE_CHANGED, Kind.TOO_SMALL]),
    ],
)
def test_size_alerts_follow_their_limits(before: int | None, after: int | None, found: list[Kind]) -> None:
    assert kinds(before, after) == found


@pytest.mark.parametrize(("nulls", "words"), [(40, "is null in all 40 rows"), (39, "holds no yes in any of 40 rows")])
def test_nobody_consents_describes_the_column(nulls: int, words: str) -> None:
    ended = replace(GOOD, nobody_consents=(NobodyConsents("readers", "agreed", 40, nulls),))
    (alert,) = find_alerts(ended, [], THRESHOLDS)
    assert (alert.kind, alert.subject, alert.title) == (
        Kind.NOBODY_CONSENTS, "readers", "Nobody consents in stream readers",
    )  # fmt: skip
    assert f"Column agreed (`consent_column`) {words}" in alert.text


def test_the_alert_for_a_list_that_pinterest_finds_too_small_waits_two_days() -> None:
    (alert,) = find_alerts(GOOD, [ListState("7", "A list", None, None, "TOO_SMALL")], THRESHOLDS)
    assert (alert.kind, alert.subject, alert.waits_seconds) == (Kind.TOO_SMALL, "7", MATCHING_SECONDS)
    assert not StandingAlert(alert, since=0.0, notified=None).is_due(MATCHING_SECONDS - 1)
    assert StandingAlert(alert, since=0.0, notified=None).is_due(MATCHING_SECONDS)


def matches(rows: int | None, matched: int | None, *before: tuple[int, int | None]) -> list[Kind]:
    """The alerts about a list with so many rows and matched people, now and three, six days before."""
    matching = Matching(rows, matched, *(MatchFigures(*each) for each in before))
    state = ListState("7", "A list", None, None, "READY", matching)
    return [each.kind for each in find_alerts(GOOD, [state], THRESHOLDS)]


@pytest.mark.parametrize(
    ("rows", "matched", "before", "found"),
    [
        # It is compared with three days before, and 20 % of the rate may be lost.
        (1_000, 480, [(1_000, 600)], []),
        (1_000, 479, [(1_000, 600)], [Kind.MATCH_DROPPED]),
        (1_000, 0, [(1_000, 600)], [Kind.MATCH_DROPPED]),
        (1_000, 479, [], []),
        (1_000, None, [(1_000, 600)], []),
        (1_000, 479, [(1_000, None)], []),
        (None, 479, [(1_000, 600)], []),
        # It grew, and Pinterest has not matched the newcomers yet.
        (9_000, 600, [(1_000, 600)], []),
        # It shrank, and Pinterest had not seen that three days before.
        (500, 300, [(500, 600), (1_000, 600)], []),
        (500, 200, [(500, 600), (1_000, 600)], [Kind.MATCH_DROPPED]),
        # Ten people are too few for an alert.
        (30, 5, [(30, 15)], []),
        (30, 4, [(30, 15)], [Kind.MATCH_DROPPED]),
    ],
)
def test_a_match_rate_that_fell(
    rows: int | None, matched: int | None, before: list[tuple[int, int | None]], found: list[Kind]
) -> None:
    assert matches(rows, matched, *before) == found


@pytest.mark.parametrize(
    ("rows", "matched", "before", "found"),
    [
        (50, 0, [(50, 0)], [Kind.NOBODY_MATCHED]),
        (50, 0, [(50, None)], [Kind.NOBODY_MATCHED]),
        (50, 0, [], []),
        (50, 0, [(0, 0)], []),
        (0, 0, [(50, 0)], []),
        (50, None, [(50, None)], []),
        (50, 1, [(50, 0)], []),
    ],
)
def test_nobody_is_matched_after_three_days(
    rows: int, matched: int | None, before: list[tuple[int, int | None]], found: list[Kind]
) -> None:
    assert matches(rows, matched, *before) == found


def test_a_list_of_which_nobody_is_matched_is_not_called_too_small_as_well() -> None:
    matching = Matching(50, 0, MatchFigures(50, 0))
    (alert,) = find_alerts(GOOD, [ListState("7", "A list", None, 50, "TOO_SMALL", matching)], THRESHOLDS)
    assert (alert.kind, alert.subject) == (Kind.NOBODY_MATCHED, "7")
    for cause in ("digests of something other than", "algorithm other than SHA-256", "device ids only"):
        assert cause in alert.text


def test_an_alert_is_sent_again_after_a_day() -> None:
    assert not StandingAlert(FAILED, since=0.0, notified=1_000.0).is_due(1_000 + REPEAT_SECONDS - 1)
    assert StandingAlert(FAILED, since=0.0, notified=1_000.0).is_due(1_000 + REPEAT_SECONDS)


def test_times_in_the_future_are_ignored() -> None:
    years, now = 2 * 365 * 86_400.0, 9_000.0
    waiting = replace(PRUNED, waits_seconds=100.0)
    told, since = update_standing(
        [StandingAlert(FAILED, 1.0, now + years), StandingAlert(waiting, now + years, None)], [FAILED], now
    )
    assert told.is_due(now)
    assert since.waits(now)
    assert since.is_due(now + 100)
    # The clocks of two machines differ a little.
    assert update_standing([StandingAlert(FAILED, 1.0, now + 60)], [FAILED], now) == [
        StandingAlert(FAILED, 1.0, now + 60)
    ]


@pytest.mark.parametrize(("last", "found"), [(None, True), (0.0, True), (3_600.0, False)])
def test_stale_counts_the_hours_since_the_last_success(last: float | None, *, found: bool) -> None:
    assert (stale_alert(last, now=27 * 3_600.0, hours=26) is not None) == found


def test_a_success_ends_the_alerts_that_its_command_did_not_find_again() -> None:
    known = [StandingAlert(FAILED, 1.0, 2.0), StandingAlert(PRUNED, 1.0, None)]
    assert update_standing(known, [], 9.0) == known
    assert update_standing(known, [], 9.0, succeeded="run") == known[1:]
    assert update_standing(known, [], 9.0, succeeded="prune") == known[:1]


def test_an_alert_that_is_found_again_keeps_its_times_and_gets_the_new_text() -> None:
    again = Alert("run", Kind.FAILURE, "3", "failed", "another reason")
    assert update_standing([StandingAlert(FAILED, 1.0, 2.0)], [again], 9.0, succeeded="run") == [
        StandingAlert(again, 1.0, 2.0)
    ]
    other = Alert("run", Kind.FAILURE, "4", "failed", "why")
    assert update_standing([StandingAlert(FAILED, 1.0, 2.0)], [other], 9.0) == [
        StandingAlert(FAILED, 1.0, 2.0),
        StandingAlert(other, 9.0, None),
    ]


def test_one_message_has_all_alerts() -> None:
    title, text = compose_message([FAILED, PRUNED], "549755885175")
    assert title == "Pinterest audience: failed (and 1 more)"
    assert "failed\nwhy\n\ntoo many\nwhy\n\n" in text
    assert "549755885175" in text


@pytest.mark.parametrize(
    ("lists", "title", "fed"),
    [
        ([], "Pinterest audience: failed", "for ad account 1,"),
        (['customer list "A"'], 'Pinterest customer list "A": failed', 'for customer list "A" of ad account 1,'),
        (["customer list 7", "x\ny"], "Pinterest customer list 7, x\\ny: failed", "for customer list 7, x\\ny of ad"),
        (list("VWXYZ"), "Pinterest V, W, X and 2 more customer lists: failed", "for V, W, X and 2 more customer lists"),
    ],
)
def test_a_message_names_the_lists_that_the_settings_feed(lists: list[str], title: str, fed: str) -> None:
    found, text = compose_message([FAILED], "1", lists)
    assert (found, fed in text) == (title, True)


def test_a_title_about_a_list_names_it_once() -> None:
    alert = Alert("run", Kind.SIZE_CHANGED, "7", 'List "A" grew by 50 %', "why")
    assert compose_message([alert], "1", ['customer list "A"'])[0] == 'Pinterest audience: List "A" grew by 50 %'


@pytest.mark.parametrize(
    ("settings", "lists"),
    [
        ({}, ['customer list "Sent"', "customer list 5"]),
        ({"customer_list_name": "A"}, ['customer list "A"']),
        ({"customer_list_id": "7", "streams": {"x": {"audience_id": "9"}, "y": {}}},
         ["customer list 7", "the customer list of audience 9"]),
        ({"list_name_column": "segment"}, ['customer list "Sent"', "customer list 5"]),
    ],
)  # fmt: skip
def test_the_lists_of_a_run_are_named_if_the_settings_name_none(settings: dict[str, Any], lists: list[str]) -> None:
    reports = [SimpleNamespace(name="Sent", chosen_by="x"), SimpleNamespace(name=None, chosen_by="customer list 5")]
    resolved, _ = resolve({**NEEDED, **settings}, {})
    assert chosen_lists(resolved, cast("Any", reports)) == lists
