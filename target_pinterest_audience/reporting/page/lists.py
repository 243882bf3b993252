"""The section of the page about one list: what to do, its figures now, how they got there, and the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.history import ListView, RunView, Step
from target_pinterest_audience.reporting.matching import percent_words
from target_pinterest_audience.reporting.page.charts import Bar, Line, bars_chart, line_chart, shares
from target_pinterest_audience.reporting.page.elements import Child, el, prose
from target_pinterest_audience.reporting.page.failures import concerned_runs, has_failed
from target_pinterest_audience.reporting.page.formats import capitalised, day
from target_pinterest_audience.reporting.page.overview import badges, figures
from target_pinterest_audience.reporting.page.periods import Periods, add_up, group_runs
from target_pinterest_audience.reporting.page.states import BadValues, ListState
from target_pinterest_audience.reporting.page.tables import details, table
from target_pinterest_audience.reporting.words import cause_words
from target_pinterest_audience.routing.orders import match_percent
from target_pinterest_audience.text.counts import several

_HOW_TO_FIND: Final = (
    "They do not affect other people. Correct them in your data. To get their lines and columns, set `rejects_path`."
)


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
        failed: whether a run that feeds the list failed.
    """

    title: str
    added: int
    removed: int
    causes: Mapping[str, int]
    members: int | None
    rows: int | None
    matched: int | None
    failed: bool

    @property
    def sentence(self) -> str:
        """The change as a sentence."""
        reasons = f" ({_causes(self.causes)})" if self.causes else ""
        failed = "; a run failed" if self.failed else ""
        return f"{self.title}: {self.added:,} added, {self.removed:,} removed{reasons}{failed}"


def list_section(state: ListState, runs: Sequence[RunView], anchor: str) -> Element:
    """Return the section of one list.

    Args:
        state: the list.
        runs: all runs, with the prunes that followed them.
        anchor: the id that links point to.
    """
    view = state.view
    causes = add_up(view.steps, lambda each: each[1].removals)
    own = concerned_runs(runs, view)
    failed = {run.number for run in own if has_failed(run, runs)}
    periods = group_runs([run.started for run in own or runs])
    changes = _changes(view, periods, own, failed)
    known = f"Customer list {view.id}." if view.id is not None else "Not created yet."
    charts: list[Element] = []
    # One run is a single point, which needs no chart.
    if len(own) > 1 and view.steps:
        span = (runs[0].started, max(run.ended or run.started for run in runs))
        marks = [run.started for run in own if run.number in failed]
        charts = [
            _size(view, span, marks),
            *_matches(view, span, marks),
            _additions_and_removals(view, periods, changes),
            *_bad_over_time(state, span, marks),
        ]
    return el(
        "section",
        el("h2", view.name, " ", *badges(state), id=f"{anchor}-name"),
        el("p", known, class_="quiet"),
        figures(state, rows=True),
        el("p", _summary(view, causes)),
        el("div", *charts, class_="charts") if charts else None,
        *_reasons_for_removal(causes),
        *_bad_values(state.bad),
        details("Show as a table", _table(view, periods, changes)),
        id=anchor,
        aria_labelledby=f"{anchor}-name",
    )


def _summary(view: ListView, causes: Mapping[str, int]) -> str:
    """Return what was added and removed, and the main reason for removals."""
    added, removed = (sum(count(step) for _, step in view.steps) for count in (_added, _removed))
    words = f"In this period, {several(added, 'identity was', 'identities were')} added and {removed:,} removed."
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


def _size(view: ListView, span: tuple[float, float], failed: Sequence[float]) -> Element:
    """Return the chart of the list's size."""
    members = [(at, float(step.members)) for at, step in view.steps if step.members is not None]
    name = f"{view.name}: identities over time, {view.members:,} now"
    chart = line_chart([Line([*members, (span[1], float(view.members))], "members")], span, name, failed)
    return el("div", el("h3", "Identities on the list"), chart, _key({"failed": "A run failed"} if failed else {}))


def _matches(view: ListView, span: tuple[float, float], failed: Sequence[float]) -> list[Element]:
    """Return the chart of rows and of matched people; nothing if neither was recorded."""
    rows = [(at, float(step.contributing_rows)) for at, step in view.steps if step.contributing_rows is not None]
    matched = [(at, float(step.matched)) for at, step in view.steps if step.matched is not None]
    if rows and view.contributing_rows is not None:
        rows.append((span[1], float(view.contributing_rows)))
    if matched:
        matched.append((span[1], matched[-1][1]))
    lines = [Line(points, style) for points, style in ((rows, "rows"), (matched, "matched")) if points]
    if not lines:
        return []
    name = f"{view.name}: rows, and people whom Pinterest recognised, over time"
    words = {"rows": "Rows that contribute to the list"} if rows else {}
    words |= {"matched": "People whom Pinterest recognised"} if matched else {}
    chart = line_chart(lines, span, name, failed)
    return [el("div", el("h3", "Rows, and people whom Pinterest recognised"), chart, _key(words))]


def _additions_and_removals(view: ListView, periods: Periods, changes: Sequence[_Change]) -> Element:
    """Return the chart of additions and removals."""
    bars = [Bar(each.added, each.removed, each.sentence, each.failed) for each in changes]
    name = f"{view.name}: added (upwards) and removed (downwards); one bar per {periods.each}"
    words = {"added": "Added", "removed": "Removed"}
    words |= {"failed": "A run failed"} if any(each.failed for each in changes) else {}
    title = f"Identities added and removed per {periods.each}"
    return el("div", el("h3", title), bars_chart(bars, periods.ends, name), _key(words))


def _bad_over_time(state: ListState, span: tuple[float, float], failed: Sequence[float]) -> list[Element]:
    """Return the chart of bad values; nothing if there were never any."""
    counts = [(at, float(count)) for at, count in state.bad.counts]
    if not any(count for _, count in counts):
        return []
    name = f"{state.view.name}: bad values in each run, {counts[-1][1]:,.0f} now"
    return [el("div", el("h3", "Bad values in each run"), line_chart([Line(counts, "rejected")], span, name, failed))]


def _key(words: Mapping[str, str]) -> Element | None:
    """Return what the colours of a chart mean, given CSS class → words."""
    return el("ul", *(el("li", each, class_=style) for style, each in words.items()), class_="key") if words else None


def _changes(view: ListView, periods: Periods, runs: Sequence[RunView], failed_runs: set[int]) -> list[_Change]:
    """Return how the list changed in each period.

    Args:
        view: the list.
        periods: its runs, grouped into periods.
        runs: its runs.
        failed_runs: the numbers of those that failed.
    """
    steps = [next((each for each in run.lists if _is_of(each, view)), None) for run in runs]
    changes: list[_Change] = []
    members = rows = matched = None
    for period in periods.periods:
        some = [step for step in (steps[index] for index in period.runs) if step is not None]
        members = next((step.members for step in reversed(some) if step.members is not None), members)
        rows = next((step.contributing_rows for step in reversed(some) if step.contributing_rows is not None), rows)
        matched = next((step.matched for step in reversed(some) if step.matched is not None), matched)
        causes = add_up(some, lambda step: step.removals)
        added, removed = sum(map(_added, some)), sum(map(_removed, some))
        failed = any(runs[index].number in failed_runs for index in period.runs)
        changes.append(_Change(period.title, added, removed, causes, members, rows, matched, failed))
    return changes


def _is_of(step: Step, view: ListView) -> bool:
    """Return whether a step is one of a list. Before the list is created, only its name identifies it."""
    return step.customer_list_id == view.id and (view.id is not None or step.customer_list == view.name)


def _reasons_for_removal(causes: Mapping[str, int]) -> list[Element]:
    """Return why identities were removed, and how many for each reason."""
    if not causes:
        return []
    rows: list[tuple[Sequence[Child], int]] = []
    for cause, count in Counter(causes).most_common():
        words = cause_words(cause)
        rows.append(([el("strong", words.title), ". ", el("span", *prose(words.sentence), class_="quiet")], count))
    return [el("h3", "Why identities were removed"), shares(rows, "removed")]


def _bad_values(bad: BadValues) -> list[Element]:
    """Return the bad values of the newest run, and how they developed."""
    if not bad.reasons:
        return []
    at, count = bad.counts[-1]
    began, before = bad.counts[0]
    words = f"On {day(at)}: {several(count, 'bad value', 'bad values')}"
    if day(began) != day(at):
        change = "more" if count > before else "fewer"
        than = f"{abs(count - before):,} {change} than" if count != before else "as many as"
        words += f", {than} on {day(began)}"
    return [
        el("h3", "Bad values now"),
        el("p", *prose(f"{words}. {_HOW_TO_FIND}"), class_="quiet"),
        bad_values(bad.reasons),
    ]


def bad_values(reasons: Mapping[str, int]) -> Element:
    """Return why values were rejected, and how many for each reason."""
    rows = [(prose(capitalised(reason)), count) for reason, count in Counter(reasons).most_common()]
    return shares(rows, "rejected")


def _table(view: ListView, periods: Periods, changes: Sequence[_Change]) -> Element:
    rows = [
        (
            each.title, each.members, each.rows, each.matched, percent_words(match_percent(each.matched, each.rows)),
            each.added, each.removed, _causes(each.causes) or None, "failed" if each.failed else None,
        )
        for each in reversed(changes)
        if each.added or each.removed or each.failed or each.members is not None
    ]  # fmt: skip
    columns = (
        periods.each, "identities", "rows", "people recognised", "match rate", "added", "removed", "reasons", "runs",
    )  # fmt: skip
    return table(columns, rows, f"{view.name}, per {periods.each}, newest first")


def _causes(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {cause_words(cause).title.lower()}" for cause, count in Counter(causes).most_common())


def _added(step: Step) -> int:
    return step.added


def _removed(step: Step) -> int:
    return step.removed
