"""The section of the page about one list: its size, additions and removals, and the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.reporting.history import ListView, RunView, Step
from target_pinterest_audience.reporting.matching import percent_words
from target_pinterest_audience.reporting.page.charts import Bar, Line, bars_chart, line_chart, shares
from target_pinterest_audience.reporting.page.elements import el
from target_pinterest_audience.reporting.page.formats import day
from target_pinterest_audience.reporting.page.matches import match_chart, match_rate, untargetable_notice
from target_pinterest_audience.reporting.page.periods import Periods, add_up
from target_pinterest_audience.reporting.page.tables import details, table
from target_pinterest_audience.reporting.words import cause_words
from target_pinterest_audience.routing.orders import match_percent
from target_pinterest_audience.text.counts import several


class _Change(NamedTuple):
    """How a list changed in one period.

    Attributes:
        title: the period, in words.
        added: how many identities were added.
        removed: how many identities were removed.
        causes: cause → how many identities were removed because of it.
        members: identities on the list at the end of the period; None if that is not known.
        rows: rows that contributed to it then; None if that is not known.
        matched: people whom Pinterest recognised by then; None if it had not said.
    """

    title: str
    added: int
    removed: int
    causes: Mapping[str, int]
    members: int | None
    rows: int | None
    matched: int | None

    @property
    def sentence(self) -> str:
        """The change as a sentence."""
        reasons = f" ({_causes(self.causes)})" if self.causes else ""
        return f"{self.title}: {self.added:,} added, {self.removed:,} removed{reasons}"


def list_section(view: ListView, periods: Periods, runs: Sequence[RunView], anchor: str) -> Element:
    """Return the section of one list that changed at least once.

    Args:
        view: the list.
        periods: the runs, grouped into periods.
        runs: all runs.
        anchor: the id that links point to.
    """
    causes = add_up(view.steps, lambda each: each[1].removals)
    changes = _changes(view, periods, runs)
    known = f"Customer list {view.id}." if view.id is not None else "Not created yet."
    charts: list[Element] = []
    # One run is a single point, which needs no chart.
    if len(runs) > 1:
        charts = [*_size(view, runs), *match_chart(view, runs), *_additions_and_removals(view, periods, changes)]
    return el(
        "section",
        el("h2", view.name, id=f"{anchor}-name"),
        el("p", known, class_="quiet"),
        untargetable_notice(view),
        el("p", _summary(view, causes), class_="lead"),
        match_rate(view),
        *charts,
        *_reasons_for_removal(causes),
        *_rejected(view),
        details("Show as a table", _table(view, periods, changes)),
        id=anchor,
        aria_labelledby=f"{anchor}-name",
    )


def _summary(view: ListView, causes: Mapping[str, int]) -> str:
    """Return the size of the list, how it got there, and the main reason for removals."""
    added, removed = (sum(count(step) for _, step in view.steps) for count in (_added, _removed))
    words = f"{several(view.members, 'member', 'members')} now"
    sized = [(at, step.members) for at, step in view.steps if step.members is not None]
    if len(sized) > 1:
        since, before = sized[0]
        if view.members != before:
            change = "more" if view.members > before else "fewer"
            words += f", {abs(view.members - before):,} {change} than on {day(since)}"
        else:
            words += f", the same as on {day(since)}"
    words += f". In this period, {added:,} were added and {removed:,} removed."
    return f"{words} {_main_reason(causes)}" if causes else words


def _main_reason(causes: Mapping[str, int]) -> str:
    """Return the most frequent reason for removal as a sentence."""
    cause, count = max(causes.items(), key=lambda each: each[1])
    total = sum(causes.values())
    because = cause_words(cause).because or f"of `{cause}`"
    if total == 1:
        return f"The reason for the removal: {because}."
    subject = f"All {total:,}" if count == total else f"{count:,} of the {total:,}"
    return f"{subject} {'was' if count == 1 else 'were'} removed because {because}."


def _size(view: ListView, runs: Sequence[RunView]) -> list[Element]:
    """Return the chart of the list's size."""
    start, end = runs[0].started, max(run.ended or run.started for run in runs)
    members = [(at, float(step.members)) for at, step in view.steps if step.members is not None]
    name = f"{view.name}: members over time, {view.members:,} now"
    chart = line_chart([Line([*members, (end, float(view.members))], "members")], (start, end), name)
    return [el("h3", "Members of the list"), chart]


def _additions_and_removals(view: ListView, periods: Periods, changes: Sequence[_Change]) -> list[Element]:
    """Return the chart of additions and removals."""
    bars = [Bar(each.added, each.removed, each.sentence) for each in changes]
    name = f"{view.name}: added (upwards) and removed (downwards); one bar per {periods.each}"
    key = el("ul", el("li", "Added", class_="added"), el("li", "Removed", class_="removed"), class_="key")
    return [el("h3", f"Added and removed per {periods.each}"), bars_chart(bars, periods.ends, name), key]


def _changes(view: ListView, periods: Periods, runs: Sequence[RunView]) -> list[_Change]:
    """Return how the list changed in each period."""
    steps = [next((each for each in run.lists if each.customer_list_id == view.id), None) for run in runs]
    # A list that is not created yet has no id, so the name identifies it.
    if view.id is None:
        steps = [next((each for each in run.lists if each.customer_list == view.name), None) for run in runs]
    changes: list[_Change] = []
    members = rows = matched = None
    for period in periods.periods:
        some = [step for index in period.runs if (step := steps[index]) is not None]
        members = next((step.members for step in reversed(some) if step.members is not None), members)
        rows = next((step.contributing_rows for step in reversed(some) if step.contributing_rows is not None), rows)
        matched = next((step.matched for step in reversed(some) if step.matched is not None), matched)
        causes = add_up(some, lambda step: step.removals)
        added, removed = sum(map(_added, some)), sum(map(_removed, some))
        changes.append(_Change(period.title, added, removed, causes, members, rows, matched))
    return changes


def _reasons_for_removal(causes: Mapping[str, int]) -> list[Element]:
    """Return why people were removed, and how many for each reason."""
    heading = el("h3", "Why people were removed")
    if not causes:
        return [heading, el("p", "No one was removed in this period.")]
    rows: list[tuple[Sequence[Element | str], int]] = []
    for cause, count in Counter(causes).most_common():
        words = cause_words(cause)
        rows.append(([el("strong", words.title), ". ", el("span", words.sentence, class_="quiet")], count))
    return [heading, shares(rows, "removed")]


def _rejected(view: ListView) -> list[Element]:
    """Return why values were rejected."""
    heading = el("h3", "Rejected values")
    reasons = add_up([step for _, step in view.steps], _reasons)
    if not reasons:
        return [heading, el("p", "No value was rejected.")]
    return [heading, *rejected_values(reasons)]


def rejected_values(reasons: Mapping[str, int]) -> list[Element]:
    """Return why values were rejected, and how many for each reason."""
    words = (
        "A value that is rejected in every run is counted in every run. Rejected values do not affect other people; "
        "correct them in your data."
    )
    rows = [([reason[:1].upper() + reason[1:]], count) for reason, count in Counter(reasons).most_common()]
    return [el("p", words, class_="quiet"), shares(rows, "rejected")]


def _reasons(step: Step) -> Mapping[str, int]:
    """Return why values were rejected, including those that Pinterest refused."""
    return {**step.rejected, Remark.REFUSED_BY_PINTEREST.value: step.refused} if step.refused else step.rejected


def _table(view: ListView, periods: Periods, changes: Sequence[_Change]) -> Element:
    rows = [
        (
            each.title, each.members, each.rows, each.matched, percent_words(match_percent(each.matched, each.rows)),
            each.added, each.removed, _causes(each.causes) or None,
        )
        for each in reversed(changes)
        if each.added or each.removed or each.members is not None
    ]  # fmt: skip
    columns = (periods.each, "members", "rows", "recognised", "match rate", "added", "removed", "reasons")
    return table(columns, rows, f"{view.name}, per {periods.each}, newest first")


def _causes(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {cause_words(cause).title.lower()}" for cause, count in Counter(causes).most_common())


def _added(step: Step) -> int:
    return step.added


def _removed(step: Step) -> int:
    return step.removed
