"""Times as people say them."""

from __future__ import annotations

import pytest

from target_pinterest_audience.text.ages import age

HOUR = 3600
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (59, "just now"),
        (-59, "just now"),
        (60, "1 minute ago"),
        (HOUR - 1, "59 minutes ago"),
        (HOUR, "1 hour ago"),
        (3.9 * HOUR, "3 hours ago"),
        (2 * DAY - 1, "47 hours ago"),
        (2 * DAY, "2 days ago"),
        (60 * DAY - 1, "59 days ago"),
        (61 * DAY, "2 months ago"),
        (800 * DAY, "2 years ago"),
        (-3 * HOUR, "in 3 hours"),
    ],
)
def test_ages_are_in_the_largest_unit_that_says_enough(seconds: float, shown: str) -> None:
    assert age(seconds) == shown
