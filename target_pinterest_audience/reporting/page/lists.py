"""What the page says of one list: how big it is, who came and went, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.reporting.history import ListView, RunView, Step
from target_pinterest_audience.reporting.page.charts import Bar, bars_chart, line_chart, shares
from target_pinterest_audience.reporting.page.elements import el
from target_pinterest_audience.reporting.page.periods import Periods, add_up
from target_pinterest_audience.reporting.page.tables import details, table
from target_pinterest_audience.reporting.page.words import CAUSES, cause_name, day
from target_pinterest_audience.text.counts import several

_REFUSED = Remark.REFUSED_BY_PINTEREST.value


class _Movement(NamedTuple):
    """Who came and went in a period.

    Attributes:
        title: the period, in words.
        added: how many came.
        removed: how many went.
        causes: why they went.
        members: how many there were at its end; None if nothing is known of it.
    """

    title: str
    added: int
    removed: int
    causes: Mapping[str, int]
    members: int | None

    def told(self) -> str:
        """Tell it as a sentence."""
        why = f" ({_causes(self.causes)})" if self.causes else ""
        return f"{self.title}: {self.added:,} added, {self.removed:,} removed{why}"


def list_section(view: ListView, periods: Periods, runs: Sequence[RunView], anchor: str) -> Element:
    """Return the section of one list, which changed at least once.

    Args:
        view: the list.
        periods: how runs are put together.
        runs: all runs.
        anchor: what links lead to it by.
    """
    causes = add_up(view.steps, lambda each: each[1].removals)
    movements = _movements(view, periods, runs)
    known = f"Customer list {view.id}." if view.id is not None else "Not created yet."
    charts: list[Element] = []
    # One run makes no curve.
    if len(runs) > 1:
        charts = [*_size(view, runs), *_coming_and_going(view, periods, movements)]
    return el(
        "section",
        el("h2", view.name, id=f"{anchor}-name"),
        el("p", known, class_="quiet"),
        el("p", _in_short(view, causes), class_="lead"),
        *charts,
        *_why(causes),
        *_unusable(view),
        details("The figures as a table", _table(view, periods, movements)),
        id=anchor,
        aria_labelledby=f"{anchor}-name",
    )


def _in_short(view: ListView, causes: Mapping[str, int]) -> str:
    """Answer the question why the list is as big as it is."""
    added, removed = (sum(count(step) for _, step in view.steps) for count in (_added, _removed))
    words = f"{several(view.members, 'member', 'members')} now"
    sized = [(at, step.members) for at, step in view.steps if step.members is not None]
    if len(sized) > 1:
        since, before = sized[0]
        if view.members != before:
            change = "more" if view.members > before else "fewer"
            words += f", {abs(view.members - before):,} {change} than on {day(since)}"
        else:
            words += f", as many as on {day(since)}"
    words += f". {added:,} were added and {removed:,} removed in this time."
    if causes:
        (cause, count), *_ = sorted(causes.items(), key=lambda each: -each[1])
        meaning = CAUSES[cause][1] if cause in CAUSES else ""
        share = "all of them" if count == sum(causes.values()) else f"{count:,} of them"
        words += f" The most frequent reason for removal, with {share}: {cause_name(cause).lower()}. {meaning}"
    return words.strip()


def _size(view: ListView, runs: Sequence[RunView]) -> list[Element]:
    """Return the charts of the list's size."""
    start, end = runs[0].started, max(run.ended or run.started for run in runs)
    members = [(at, float(step.members)) for at, step in view.steps if step.members is not None]
    name = f"{view.name}: members over time, {view.members:,} now"
    chart = line_chart([*members, (end, float(view.members))], (start, end), name, "members")
    parts = [el("h3", "Members of the list"), chart]
    matched = [(at, float(step.matched)) for at, step in view.steps if step.matched is not None]
    if matched:
        last = matched[-1][1]
        name = f"{view.name}: people whom Pinterest recognised over time, {last:,.0f} at last"
        chart = line_chart([*matched, (end, last)], (start, end), name, "matched")
        parts += [el("h3", "People whom Pinterest recognised"), chart]
    return parts


def _coming_and_going(view: ListView, periods: Periods, movements: Sequence[_Movement]) -> list[Element]:
    """Return the chart of who came and went."""
    bars = [Bar(each.added, each.removed, each.told()) for each in movements]
    name = f"{view.name}: added (upwards) and removed (downwards), each bar a {periods.each}"
    key = el("ul", el("li", "Added", class_="added"), el("li", "Removed", class_="removed"), class_="key")
    return [el("h3", f"Added and removed per {periods.each}"), bars_chart(bars, periods.ends, name), key]


def _movements(view: ListView, periods: Periods, runs: Sequence[RunView]) -> list[_Movement]:
    steps = [next((each for each in run.lists if each.customer_list_id == view.id), None) for run in runs]
    # Lists that are not created yet have no id; there the name tells.
    if view.id is None:
        steps = [next((each for each in run.lists if each.customer_list == view.name), None) for run in runs]
    movements, members = [], None
    for period in periods.periods:
        some = [step for place in period.runs if (step := steps[place]) is not None]
        members = next((step.members for step in reversed(some) if step.members is not None), members)
        causes = add_up(some, lambda step: step.removals)
        movements.append(_Movement(period.title, sum(map(_added, some)), sum(map(_removed, some)), causes, members))
    return movements


def _why(causes: Mapping[str, int]) -> list[Element]:
    """Return why people were removed."""
    heading = el("h3", "Why people were removed")
    if not causes:
        return [heading, el("p", "Nobody was removed in this time.")]
    rows: list[tuple[Sequence[Element | str], int]] = []
    for cause, count in Counter(causes).most_common():
        meaning = CAUSES[cause][1] if cause in CAUSES else ""
        rows.append(([el("strong", cause_name(cause)), ". ", el("span", meaning, class_="quiet")], count))
    return [heading, shares(rows, "removed")]


def _unusable(view: ListView) -> list[Element]:
    """Return why values could not be used."""
    heading = el("h3", "Values that could not be used")
    reasons = add_up([step for _, step in view.steps], _reasons)
    if not reasons:
        return [heading, el("p", "All values could be used.")]
    return [heading, *unusable_values(reasons)]


def unusable_values(reasons: Mapping[str, int]) -> list[Element]:
    """Return why values could not be used, and how many for each reason."""
    words = (
        "A value that comes in every run is counted in each. It costs nobody else their place; correct it in your data."
    )
    rows = [([reason[:1].upper() + reason[1:]], count) for reason, count in Counter(reasons).most_common()]
    return [el("p", words, class_="quiet"), shares(rows, "rejected")]


def _reasons(step: Step) -> Mapping[str, int]:
    return {**step.rejected, _REFUSED: step.refused} if step.refused else step.rejected


def _table(view: ListView, periods: Periods, movements: Sequence[_Movement]) -> Element:
    rows = [
        (each.title, each.members, each.added, each.removed, _causes(each.causes) or None)
        for each in reversed(movements)
        if each.added or each.removed or each.members is not None
    ]
    columns = (periods.each, "members", "added", "removed", "why")
    return table(columns, rows, f"{view.name}, per {periods.each}, the newest first")


def _causes(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {cause_name(cause).lower()}" for cause, count in Counter(causes).most_common())


def _added(step: Step) -> int:
    return step.added


def _removed(step: Step) -> int:
    return step.removed
