"""What is true of each list now, and what a person should do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from target_pinterest_audience.errors import RejectedError
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.ledger.history import RUN, MatchFigures
from target_pinterest_audience.reporting.alerts.alert import Alert
from target_pinterest_audience.reporting.alerts.match_rules import (
    SETTLING_SECONDS,
    Matching,
    match_dropped,
    nobody_matched,
)
from target_pinterest_audience.reporting.alerts.rules import Thresholds, stale_alert
from target_pinterest_audience.reporting.history import HistoryView, ListView, RunView, Step
from target_pinterest_audience.reporting.matching import USABLE_PEOPLE, why_untargetable
from target_pinterest_audience.reporting.page.failures import Failure, concerned_runs
from target_pinterest_audience.reporting.page.formats import day, minute
from target_pinterest_audience.text.counts import several

MONTH_SECONDS: Final = 30 * 86_400.0
OUT_OF_DATE: Final = "Out of date"
TOO_SMALL: Final = "Too small to target"
NOBODY_RECOGNISED: Final = "Nobody recognised"


class Level(IntEnum):
    """How urgent a finding is, the most urgent first. The names are CSS classes, in lower case."""

    DANGER = 0
    WARNING = 1
    NOTE = 2
    GOOD = 3


class Finding(NamedTuple):
    """Something that is true of a list now.

    Attributes:
        level: how urgent it is.
        title: two or three words.
        advice: what happened, and what to do; empty if there is nothing to do.
        failure: the failure that it is about, whose message says what to do.
    """

    level: Level
    title: str
    advice: str = ""
    failure: Failure | None = None


class Change(NamedTuple):
    """How the number of members changed.

    Attributes:
        difference: the change.
        since: Unix time of the earlier number.
        whole: whether that is 30 days ago; if not, the history is shorter.
    """

    difference: int
    since: float
    whole: bool


class BadValues(NamedTuple):
    """The bad values of a list.

    Attributes:
        reasons: reason → how many values the newest run that read all rows rejected, or Pinterest refused.
        counts: Unix time and number of each such run, oldest first; empty if there is none.
    """

    reasons: Mapping[str, int]
    counts: Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class ListState:
    """A list as it is now.

    Attributes:
        view: the list.
        findings: what is true of it, the most urgent first; at least one.
        change: how it changed in the last 30 days; None if that is not known.
        bad: its bad values.
    """

    view: ListView
    findings: Sequence[Finding]
    change: Change | None
    bad: BadValues

    @property
    def level(self) -> Level:
        """How urgent its most urgent finding is."""
        return self.findings[0].level

    @property
    def needs_attention(self) -> bool:
        """Whether a person should do something about it."""
        return self.level <= Level.WARNING

    def has(self, *titles: str) -> bool:
        """Return whether it has a finding with one of these titles."""
        return any(each.title in titles for each in self.findings)


def list_states(view: HistoryView, failures: Sequence[Failure], now: float, limits: Thresholds) -> list[ListState]:
    """Return all lists, first those that need attention.

    Args:
        view: the history.
        failures: the failures that no later run has repaired.
        now: Unix time.
        limits: the limits of the settings.
    """
    states = [
        ListState(
            each,
            _findings(each, [some for some in failures if each in some.lists], now, limits),
            _change(each, now),
            _bad_values(each, view.runs),
        )
        for each in view.lists
    ]
    return sorted(states, key=lambda each: (each.level, each.view.name.casefold()))


def _findings(view: ListView, failures: Sequence[Failure], now: float, limits: Thresholds) -> list[Finding]:
    if not view.members and view.last_success is None and not failures:
        return [Finding(Level.NOTE, "Empty", "No run has sent anything to it yet.")]
    found = [
        _staleness(view, now, limits.stale_hours, failing=bool(failures)),
        *map(_failing, failures),
        _people(view, now, limits),
    ]
    return sorted((each for each in found if each is not None), key=lambda each: each.level) or [
        Finding(Level.GOOD, "Up to date")
    ]


def _staleness(view: ListView, now: float, hours: int, *, failing: bool) -> Finding | None:
    alert = stale_alert(view.last_success, now, hours)
    if alert is None:
        return None
    words = [f"{alert.title}."]
    if view.last_success is not None:
        words.append(
            f"People who left or withdrew consent since {minute(view.last_success)} may still be on the list, and new "
            "people may be missing."
        )
    if not failing:
        # A failure has advice of its own.
        words.append(alert.text)
    return Finding(Level.DANGER, OUT_OF_DATE, " ".join(words))


def _failing(failure: Failure) -> Finding:
    what = "Last run failed" if failure.run.kind == RUN else f"Last {failure.run.kind} failed"
    before = several(failure.times - 1, "time", "times")
    often = f" and {before} before, since {day(failure.since)}" if failure.times > 1 else ""
    return Finding(Level.WARNING, what, f"On {minute(failure.run.started)}{often}.", failure)


def _people(view: ListView, now: float, limits: Thresholds) -> Finding | None:
    """Return what is wrong with the number of people whom Pinterest recognises."""
    matching = Matching(view.contributing_rows, view.matched, *(_matches(view, now, times) for times in (1, 2)))
    nobody = nobody_matched(RUN, "", view.name, matching)
    if nobody is not None:
        return _finding(Level.DANGER, NOBODY_RECOGNISED, nobody)
    why = why_untargetable(view.members, view.matched)
    filled = next((at for at, step in view.steps if step.members), None)
    settling = filled is not None and now - filled < SETTLING_SECONDS
    if settling and view.members >= USABLE_PEOPLE and (why is not None or view.matched is None):
        words = "Pinterest takes up to three days to match the people on a new list."
        return Finding(Level.NOTE, "Being matched", words)
    if why is not None:
        return Finding(Level.DANGER, TOO_SMALL, f"{why} Add people to it, or use a larger list.")
    dropped = match_dropped(RUN, "", view.name, matching, limits.match_drop_percent)
    return _finding(Level.WARNING, "Match rate fell", dropped) if dropped is not None else None


def _finding(level: Level, title: str, alert: Alert) -> Finding:
    return Finding(level, title, f"{alert.title}. {alert.text}")


def _matches(view: ListView, now: float, times: int) -> MatchFigures | None:
    """Return the rows and matched people that were known some settling times ago."""
    steps = [step for at, step in view.steps if at <= now - times * SETTLING_SECONDS]
    rows = next((each.contributing_rows for each in reversed(steps) if each.contributing_rows is not None), None)
    matched = next((each.matched for each in reversed(steps) if each.matched is not None), None)
    return MatchFigures(rows, matched) if rows is not None else None


def _change(view: ListView, now: float) -> Change | None:
    sized = [(at, step.members) for at, step in view.steps if step.members is not None]
    if not sized:
        return None
    month_ago = now - MONTH_SECONDS
    older = [members for at, members in sized if at <= month_ago]
    since, members = (month_ago, older[-1]) if older else sized[0]
    return Change(view.members - members, since, bool(older))


def _bad_values(view: ListView, runs: Sequence[RunView]) -> BadValues:
    reasons: Mapping[str, int] = {}
    counts = []
    steps: Mapping[float | None, Step] = dict(view.steps)
    for run in concerned_runs(runs, view):
        # A run that rejects too much has delivered the rest, and its bad values are those to look at.
        if run.kind == RUN and (run.succeeded or run.exit_code == RejectedError.exit_code):
            step = steps.get(run.ended)
            # A run leaves no step of a list that it did not change, and that has no bad values.
            reasons = bad_reasons(step) if step is not None else {}
            counts.append((run.ended or run.started, sum(reasons.values())))
    return BadValues(reasons, counts)


def bad_reasons(step: Step) -> Mapping[str, int]:
    """Return why values were rejected, including those that Pinterest refused, and how many for each reason."""
    return {**step.rejected, Remark.REFUSED_BY_PINTEREST.value: step.refused} if step.refused else step.rejected
