"""The section of the page about one list."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from target_pinterest_audience.reporting.alerts.rules import Thresholds
from target_pinterest_audience.reporting.history import HistoryView, ListView, RunView, Step
from target_pinterest_audience.reporting.page.lists import list_section
from target_pinterest_audience.reporting.page.overview import overview
from target_pinterest_audience.reporting.page.states import list_states

LIMITS = Thresholds(rejected_percent=5, size_change_percent=30, stale_hours=26, match_drop_percent=20)
DAY = 86_400.0


def section(removals: Mapping[str, int]) -> str:
    step = Step("Newsletter", "17", 9, None, 0, sum(removals.values()), removals, 0, {})
    run = RunView(1, "run", 0.0, 9.0, 0, 1, 0.0, [step])
    view = ListView("Newsletter", "17", 9, [(9.0, step)])
    (state,) = list_states(HistoryView("", [run], [view], []), [], 9.0, LIMITS)
    return " ".join("".join(list_section(state, [run], "list-0").itertext()).split())


@pytest.mark.parametrize(
    ("removals", "words"),
    [
        ({"delete": 1}, "The reason for the removal: their row was deleted in your data."),
        ({"delete": 5}, "All 5 were removed because their row was deleted in your data."),
        ({"delete": 2, "clear": 1}, "2 of the 3 were removed because their row was deleted in your data."),
        ({"delete": 1, "clear": 1}, "1 of the 2 was removed because their row was deleted in your data."),
        ({"expired": 3}, "All 3 were removed because of `expired`."),
    ],
)
def test_the_main_reason_for_removals_is_a_sentence(removals: dict[str, int], words: str) -> None:
    assert words in section(removals)


def test_without_removals_no_reason_is_shown() -> None:
    assert "Why identities were removed" not in section({})


def text_of(*sizes: tuple[int | None, int | None], members: int = 400, rows: int | None = 400) -> str:
    """The overview and the section of a list with so many rows and matched people after each daily run."""
    steps = [Step("Newsletter", "17", members, matched, 1, 0, {}, 0, {}, rows) for rows, matched in sizes]
    runs = [RunView(n, "run", n * DAY, n * DAY + 9, 0, 1, 0.0, [step]) for n, step in enumerate(steps)]
    view = ListView("Newsletter", "17", members, [(n * DAY + 9, step) for n, step in enumerate(steps)], rows)
    now = len(steps) * DAY
    (state,) = list_states(HistoryView("", runs, [view], []), [], now, LIMITS)
    made = [overview([state], {}, now, 26), list_section(state, runs, "list-0")]
    return " ".join(" ".join(word for each in made for word in each.itertext()).split())


def test_the_match_rate_is_one_percentage_and_one_chart_with_two_lines() -> None:
    text = text_of((400, None), (400, 270))
    assert "Rows 400 People recognised 270 Match rate 67.5 %" in text
    assert "Rows that contribute to the list People whom Pinterest recognised" in text
    assert "400 270 67.5 %" in text
    assert "cannot be targeted" not in text


def test_bars_that_do_not_fill_the_chart_have_their_dates_in_one_caption() -> None:
    # The last of a few bars is not at the right edge, so a date there would be beside nothing.
    assert "01 Jan 1970 to 09 Jan 1970" in text_of(*[(400, 270)] * 9)
    assert "01 Jan 1970 to" not in text_of(*[(400, 270)] * 20)


def rejecting(*days: float) -> str:
    """The section of a list of which two values were rejected in runs on these days."""
    steps = [Step("Newsletter", "17", 9, None, 0, 0, {}, 0, {"NOT_AN_EMAIL": 2}) for _ in days]
    runs = [RunView(n, "run", at * DAY, at * DAY + 9, 0, 1, 0.0, [steps[n]]) for n, at in enumerate(days)]
    view = ListView("Newsletter", "17", 9, [(at * DAY + 9, step) for at, step in zip(days, steps, strict=True)])
    (state,) = list_states(HistoryView("", runs, [view], []), [], DAY, LIMITS)
    return " ".join("".join(list_section(state, runs, "list-0").itertext()).split())


def test_bad_values_are_compared_with_those_of_another_day() -> None:
    assert "On 03 Jan 1970: 2 bad values, as many as on 01 Jan 1970." in rejecting(0, 1, 2)
    assert "On 01 Jan 1970: 2 bad values. " in rejecting(0, 0.5)


def test_until_pinterest_tells_a_size_there_is_no_percentage() -> None:
    text = text_of((400, None), (400, None))
    assert "Being matched" in text
    assert "%" not in text


def test_history_of_a_version_that_did_not_count_rows_has_no_percentage() -> None:
    assert "%" not in text_of((None, 270), (None, 270), rows=None)


@pytest.mark.parametrize(
    ("members", "matched", "words"),
    [
        (400, 26, "It cannot be targeted: Pinterest recognises 26 people on it so far."),
        (400, 99, "cannot be targeted"),
        (400, 100, None),
        (400, None, None),
        (26, None, "It cannot be targeted: at most 26 people are on it. Pinterest needs 100 people"),
        (26, 150, None),
        (0, None, None),
    ],
)
def test_a_list_with_too_few_people_says_so_at_once(members: int, matched: int | None, words: str | None) -> None:
    text = text_of(*[(400, matched)] * 4, members=members)
    assert ("cannot be targeted" in text) == ("Too small to target" in text) == (words is not None)
    assert (words or "") in text
