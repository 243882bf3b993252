"""The next problem of a list."""

from __future__ import annotations

import pytest

from target_pinterest_audience.reporting.list_problems import ListFacts, next_problem

FINE = ListFacts(
    is_created=True,
    has_audience=True,
    status="READY",
    members=500,
    matched=300,
    pending=0,
    silent_seconds=3_600,
    contributing_rows=400,
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"has_audience": None, "status": None, "matched": None}, None),
        ({"status": "INITIALIZING", "matched": None}, None),
        ({"silent_seconds": None}, None),
        ({"is_created": False, "members": 0}, "Not created yet: run the target."),
        ({"is_created": False, "members": 0, "contributing_rows": 0}, "Not created yet: no row adds anyone."),
        ({"silent_seconds": 27 * 3_600}, "Last rows 27 hours ago: check the schedule and the tap."),
        ({"members": 0, "silent_seconds": 27 * 3_600}, "Empty: no row contributes to it."),
        ({"pending": 1}, "1 identity is pending: run the target again."),
        ({"has_audience": False, "matched": None}, "No audience: create one with `audiences create`."),
        ({"members": 99, "matched": 12}, "Too small: Pinterest needs 100 people. Add rows."),
        ({"matched": 12}, "Too small: 12 of 100 people matched. Wait two days, or add rows."),
        (
            {"matched": None, "status": "TOO_SMALL"},
            "Too small: Pinterest needs 100 people whom it recognises. Wait two days, or add rows.",
        ),
        ({"members": 60, "matched": 120}, None),
    ],
)
def test_the_first_thing_that_needs_doing(change: dict[str, object], problem: str | None) -> None:
    assert next_problem(FINE._replace(**change), stale_hours=26) == problem  # type: ignore[arg-type]
