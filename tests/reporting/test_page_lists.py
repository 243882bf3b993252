"""The section of the page about one list."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from target_pinterest_audience.reporting.history import ListView, RunView, Step
from target_pinterest_audience.reporting.page.lists import list_section
from target_pinterest_audience.reporting.page.periods import group_runs


def section(removals: Mapping[str, int]) -> str:
    step = Step("Newsletter", "17", 9, None, 0, sum(removals.values()), removals, 0, {})
    run = RunView(1, "run", 0.0, 9.0, 0, 1, 0.0, [step])
    view = ListView("Newsletter", "17", 9, [(9.0, step)])
    return " ".join("".join(list_section(view, group_runs([0.0]), [run], "list-0").itertext()).split())


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
    assert "No one was removed in this period." in section({})
