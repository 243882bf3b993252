"""The part of the page about matched people: the match rate of a list, and lists that cannot be targeted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.history import ListView, RunView
from target_pinterest_audience.reporting.matching import percent_words, why_untargetable
from target_pinterest_audience.reporting.page.charts import Line, line_chart
from target_pinterest_audience.reporting.page.elements import el
from target_pinterest_audience.text.counts import several

_MOST_NAMES: Final = 5


def untargetable_notice(view: ListView) -> Element | None:
    """Return a notice that a list has too few people to be targeted; None if it has enough, or may have."""
    why = why_untargetable(view.members, view.matched)
    return el("p", el("strong", why), class_="danger") if why is not None else None


def untargetable_lists(views: Sequence[ListView]) -> list[Element]:
    """Return a notice that names the lists that have people, but too few to be targeted."""
    names = [each.name for each in views if each.members and why_untargetable(each.members, each.matched) is not None]
    if not names:
        return []
    rest = len(names) - _MOST_NAMES
    more = f" and {several(rest, 'more list', 'more lists')}" if rest > 0 else ""
    words = f"{several(len(names), 'list', 'lists')} cannot be targeted: {', '.join(names[:_MOST_NAMES])}{more}."
    return [el("div", el("p", el("strong", words)), class_="alarm danger")]


def match_rate(view: ListView) -> Element | None:
    """Return the match rate of a list in words; None if the ledger does not know its rows."""
    rows = view.contributing_rows
    if rows is None:
        return None
    percent = percent_words(view.match_percent)
    if percent is None:
        words = "Pinterest has not reported yet how many people it recognises. Matching takes it a day or two."
        return el("p", words, class_="quiet") if rows else None
    people = several(view.matched or 0, "person", "people")
    words = f" match rate: Pinterest recognised {people} when it was last asked. Now {several(rows, 'row', 'rows')} "
    words += f"{'contributes' if rows == 1 else 'contribute'} to the list."
    return el("p", el("strong", percent), words, class_="rate")


def match_chart(view: ListView, runs: Sequence[RunView]) -> list[Element]:
    """Return the chart of rows and of matched people; nothing if neither was recorded."""
    start, end = runs[0].started, max(run.ended or run.started for run in runs)
    rows = [(at, float(step.contributing_rows)) for at, step in view.steps if step.contributing_rows is not None]
    matched = [(at, float(step.matched)) for at, step in view.steps if step.matched is not None]
    if rows and view.contributing_rows is not None:
        rows.append((end, float(view.contributing_rows)))
    if matched:
        matched.append((end, matched[-1][1]))
    lines = [Line(points, style) for points, style in ((rows, "rows"), (matched, "matched")) if points]
    if not lines:
        return []
    name = f"{view.name}: rows, and people whom Pinterest recognised, over time"
    key = el(
        "ul",
        el("li", "Rows that contribute to the list", class_="rows") if rows else None,
        el("li", "People whom Pinterest recognised", class_="matched") if matched else None,
        class_="key",
    )
    return [el("h3", "Rows, and people whom Pinterest recognised"), line_chart(lines, (start, end), name), key]
