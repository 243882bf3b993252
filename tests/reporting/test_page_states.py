"""What needs attention according to the page: the state of each list, and failures; and a prune as part of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from target_pinterest_audience.ledger.history import FORGET, PRUNE, RUN
from target_pinterest_audience.reporting.alerts.rules import Thresholds
from target_pinterest_audience.reporting.history import HistoryView, ListView, RunView, Step
from target_pinterest_audience.reporting.page.document import render
from target_pinterest_audience.reporting.page.failures import Failure, message, standing_failures
from target_pinterest_audience.reporting.page.runs import merge_prunes
from target_pinterest_audience.reporting.page.states import Change, Level, ListState, list_states

LIMITS = Thresholds(rejected_percent=5, size_change_percent=30, stale_hours=26, match_drop_percent=20)
HOUR = 3_600.0
DAY = 24 * HOUR
NOW = 100 * DAY
BOTH = frozenset({1, 2})


def step(members: int = 4_000, matched: int | None = 3_000, rows: int = 4_000, **rejected: int) -> Step:
    return Step("a", "11", members, matched, 0, 0, {}, 0, rejected, rows)


def a_list(
    number: int = 1, *, success: float | None = NOW - HOUR, steps: Sequence[tuple[float, Step]] = ()
) -> ListView:
    """A list with so many identities and matched people at times before now; without steps, a large old one."""
    known = list(steps) or [(NOW - 90 * DAY, step()), (NOW - HOUR, step())]
    last = known[-1][1]
    return ListView(
        "ab"[number - 1], str(11 * number), last.members or 0, known, last.contributing_rows, number, success
    )


def run(number: int, code: int | None = 0, kind: str = RUN, fed: frozenset[int] = BOTH, **more: object) -> RunView:
    """A run that began so many hours after another time, and took a minute."""
    started = NOW - DAY + number * HOUR
    error = f"Failure {number}. Do this." if code else None
    made = RunView(
        number, kind, started, None if code is None else started + 60, code, 1, 0.0, [], error=error, fed=fed
    )
    return replace(made, **more)  # type: ignore[arg-type] # whatever a test changes


def standing(runs: Sequence[RunView], *lists: ListView) -> list[tuple[int, int, list[str]]]:
    """The number of the newest run of each failure, how many there are, and the lists."""
    found = standing_failures(HistoryView("", runs, lists or (a_list(1), a_list(2)), []))
    return [(each.run.number, each.times, [some.name for some in each.lists]) for each in found]


def state(view: ListView, *failures: Failure, runs: Sequence[RunView] = ()) -> ListState:
    (found,) = list_states(HistoryView("", runs, [view], []), failures, NOW, LIMITS)
    return found


class TestFailures:
    def test_runs_that_failed_in_a_row_are_one_failure_of_all_lists_that_they_feed(self) -> None:
        old = [a_list(1, success=NOW - 9 * DAY), a_list(2, success=NOW - 9 * DAY)]
        assert standing([run(1), run(2, 4), run(3, 3), run(4, 3)], *old) == [(4, 3, ["a", "b"])]

    def test_a_later_success_repairs_it(self) -> None:
        assert standing([run(1, 4), run(2)]) == []

    def test_a_failure_before_the_last_success_does_not_count_again(self) -> None:
        assert standing([run(1, 4), run(2), run(3, 4)], a_list(1, success=NOW - 22 * HOUR)) == [(3, 1, ["a"])]

    def test_a_success_of_corrected_settings_repairs_it_if_it_fed_the_same_lists(self) -> None:
        corrected = [run(1, 2), run(2, fed=frozenset({1}))]
        assert standing(corrected, a_list(1), a_list(2, success=NOW - 9 * DAY)) == [(1, 1, ["a", "b"])]
        assert standing(corrected, a_list(1), a_list(2)) == []

    def test_a_prune_that_was_stopped_is_repaired_by_a_prune_alone(self) -> None:
        stopped = [run(1), run(2, 6, PRUNE), run(3)]
        assert standing(stopped) == [(2, 1, ["a", "b"])]
        assert standing([*stopped, run(4, kind=PRUNE)]) == []

    def test_a_command_of_which_no_list_is_known_is_repaired_by_the_same_command(self) -> None:
        failed = [run(1, 4, FORGET, frozenset()), run(2)]
        assert standing(failed) == [(1, 1, [])]
        assert standing([*failed, run(3, kind=FORGET, fed=frozenset())]) == []

    def test_a_run_without_an_end_was_killed_unless_it_is_the_newest(self) -> None:
        assert standing([run(1, None)], a_list(1, success=None)) == []
        assert standing([run(1, None), run(2, kind=FORGET)], a_list(1, success=None)) == [(1, 1, ["a"])]

    def test_a_run_without_rows_is_a_failure(self) -> None:
        assert standing([run(1, 0, empty=True)], a_list(1, success=None)) == [(1, 1, ["a"])]

    def test_the_page_names_lists_with_their_identities_and_the_next_step_once(self) -> None:
        old = [a_list(1, success=NOW - 9 * DAY), a_list(2, success=NOW - 9 * DAY)]
        page = render(HistoryView("", [run(1), run(2, 4)], old, []), "1", NOW, LIMITS)
        assert page.count("Failure 2. Do this.") == 1
        assert "Lists: a (4,000 identities), b (4,000 identities)." in page
        # A failure of one list is in the row of that list.
        page = render(HistoryView("", [run(1), run(2, 4)], old[:1], []), "1", NOW, LIMITS)
        assert page.count("Failure 2. Do this.") == 1
        assert "What to do about failures" not in page

    @pytest.mark.parametrize(
        ("failed", "words"),
        [
            (run(1, 4), "Failure 1. Do this."),
            (run(1, 4, error=None), "Failed: Pinterest unavailable. The last line of its log says what to do."),
            (run(1, 0, empty=True), "The tap sent neither a row nor a STATE. Read its log, and run it again."),
            (run(1, None), "It was killed, or its machine stopped."),
        ],
    )
    def test_each_failure_has_a_next_step(self, failed: RunView, words: str) -> None:
        assert message(failed).startswith(words)


class TestStates:
    @pytest.mark.parametrize(
        ("view", "level", "title"),
        [
            (a_list(), Level.GOOD, "Up to date"),
            (a_list(success=NOW - 26 * HOUR), Level.GOOD, "Up to date"),
            (a_list(success=NOW - 27 * HOUR), Level.DANGER, "Out of date"),
            (a_list(success=None), Level.DANGER, "Out of date"),
            (a_list(steps=[(NOW - 90 * DAY, step(99, None))]), Level.DANGER, "Too small to target"),
            (a_list(steps=[(NOW - 90 * DAY, step(4_000, 99))]), Level.DANGER, "Too small to target"),
            (a_list(steps=[(NOW - 90 * DAY, step(4_000, 0))]), Level.DANGER, "Nobody recognised"),
            (a_list(steps=[(NOW - 2 * DAY, step(4_000, 0))]), Level.NOTE, "Being matched"),
            (a_list(steps=[(NOW - 2 * DAY, step(4_000, None))]), Level.NOTE, "Being matched"),
            (
                a_list(steps=[(NOW - 90 * DAY, step()), (NOW - HOUR, step(matched=2_000))]),
                Level.WARNING,
                "Match rate fell",
            ),
            (a_list(success=None, steps=[(NOW, step(0, None, 0))]), Level.NOTE, "Empty"),
        ],
    )
    def test_each_list_has_a_state(self, view: ListView, level: Level, title: str) -> None:
        found = state(view)
        assert (found.level, found.findings[0].title) == (level, title)
        assert (level is Level.GOOD) == (not found.findings[0].advice)

    @pytest.mark.parametrize("failing", [False, True])
    def test_a_list_that_is_out_of_date_says_what_that_means_for_campaigns(self, *, failing: bool) -> None:
        old, never = a_list(success=NOW - 9 * DAY), a_list(success=None)
        failures = [Failure(run(1, 3), [old, never], 1, NOW)] if failing else []
        advice = state(old, *failures).findings[0].advice
        assert "since 02 Apr 1970, 00:00 may still be on the list" in advice
        # A list that no run has filled has nobody who could have left.
        assert "may still be" not in state(never, *failures).findings[0].advice

    def test_the_page_says_who_gets_the_message_of_a_failed_run(self) -> None:
        words = "send its message to whoever operates the pipeline"
        assert words not in render(HistoryView("", [run(1)], [a_list()], []), "1", NOW, LIMITS)
        failed = HistoryView("", [run(1), run(2, 4)], [a_list(success=NOW - 23 * HOUR)], [])
        assert words in render(failed, "1", NOW, LIMITS)

    def test_a_failure_is_a_state_of_its_lists(self) -> None:
        view = a_list()
        found = state(view, Failure(run(3, 6, PRUNE), [view], 1, NOW), Failure(run(2, 4), [view], 1, NOW))
        assert [(each.level, each.title) for each in found.findings] == [
            (Level.WARNING, "Last prune failed"), (Level.WARNING, "Last run failed"),
        ]  # fmt: skip

    def test_lists_that_need_attention_come_first(self) -> None:
        good, stale = a_list(1), a_list(2, success=NOW - 9 * DAY)
        found = list_states(HistoryView("", [], [good, stale], []), [], NOW, LIMITS)
        assert [each.view.name for each in found] == ["b", "a"]

    @pytest.mark.parametrize(
        ("days_ago", "change"),
        [
            ((40, 35, 2), Change(-1_500, NOW - 30 * DAY, whole=True)),
            ((20, 10, 2), Change(-2_000, NOW - 20 * DAY, whole=False)),
        ],
    )
    def test_the_change_is_that_of_30_days_if_the_history_is_so_long(
        self, days_ago: tuple[int, ...], change: Change
    ) -> None:
        sizes = zip(days_ago, (6_000, 5_500, 4_000), strict=True)
        assert state(a_list(steps=[(NOW - days * DAY, step(size)) for days, size in sizes])).change == change

    def test_bad_values_are_those_of_the_newest_successful_run(self) -> None:
        runs = [run(1), run(2), run(3, 4)]
        steps = [(run_.ended or 0.0, step(bad=count)) for run_, count in zip(runs, (9, 4, 1), strict=True)]
        bad = state(a_list(steps=steps), runs=runs).bad
        assert (bad.reasons, [count for _, count in bad.counts]) == ({"bad": 4}, [9, 4])
        # A run that rejected too much has delivered everything else.
        rejecting = [*runs[:2], replace(runs[2], exit_code=5)]
        assert state(a_list(steps=steps), runs=rejecting).bad.reasons == {"bad": 1}
        # A run that changed nothing, and had no bad value, leaves no figures.
        bad = state(a_list(steps=steps[:1]), runs=runs[:2]).bad
        assert (bad.reasons, [count for _, count in bad.counts]) == ({}, [9, 0])


class TestMerging:
    def test_a_prune_is_part_of_its_run(self) -> None:
        first = run(1, lists=[Step("a", "11", 60, 50, 9, 1, {"delete": 1}, 0, {"bad": 2}, 60)])
        pruned = run(3, kind=PRUNE, acted_on=1, lists=[Step("a", "11", 40, None, 0, 20, {"prune": 20}, 0, {}, 40)])
        merged, other = merge_prunes([first, run(2), pruned])
        assert (merged.kind, merged.started, merged.ended, merged.calls) == (
            "run, prune",
            first.started,
            pruned.ended,
            2,
        )
        assert list(merged.lists) == [Step("a", "11", 40, 50, 9, 21, {"delete": 1, "prune": 20}, 0, {"bad": 2}, 40)]
        assert other == run(2)

    def test_the_last_prune_of_a_run_counts(self) -> None:
        stopped, allowed = run(2, 6, PRUNE, acted_on=1), run(3, kind=PRUNE, acted_on=1)
        assert [each.exit_code for each in merge_prunes([run(1), stopped])] == [6]
        (merged,) = merge_prunes([run(1), stopped, allowed])
        assert (merged.kind, merged.exit_code) == ("run, prune", 0)

    def test_a_prune_of_a_run_that_is_not_shown_stands_alone(self) -> None:
        (alone,) = merge_prunes([run(3, kind=PRUNE, acted_on=1)])
        assert alone.kind == PRUNE
