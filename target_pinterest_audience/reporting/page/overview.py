"""The beginning of the page: what is true now, and what to do about each list and each failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from target_pinterest_audience.ledger.history import RUN
from target_pinterest_audience.reporting.history import ListView
from target_pinterest_audience.reporting.matching import USABLE_PEOPLE, percent_words
from target_pinterest_audience.reporting.page.charts import sparkline
from target_pinterest_audience.reporting.page.elements import Child, el, prose
from target_pinterest_audience.reporting.page.failures import Failure, message
from target_pinterest_audience.reporting.page.formats import capitalised, minute, short_day
from target_pinterest_audience.reporting.page.states import (
    MONTH_SECONDS,
    NOBODY_RECOGNISED,
    OUT_OF_DATE,
    TOO_SMALL,
    Finding,
    Level,
    ListState,
)
from target_pinterest_audience.text.counts import several

_MOST_LISTS: Final = 200
_MOST_NAMES: Final = 5
_WHO_REPAIRS: Final = "If a run failed and you cannot repair it, send its message to whoever operates the pipeline."


def cards(states: Sequence[ListState], failures: Sequence[Failure], unassigned: int) -> Element:
    """Return how many lists, failures and bad values need attention now.

    Args:
        states: the lists.
        failures: the failures that no later run has repaired.
        unassigned: how many bad values cannot be assigned to one list.
    """
    dangers = [each for each in states if each.level is Level.DANGER]
    facts = [
        ("Need attention", sum(each.needs_attention for each in states), bool(dangers)),
        ("Out of date", sum(each.has(OUT_OF_DATE) for each in states), True),
        ("Cannot be targeted", sum(each.has(TOO_SMALL, NOBODY_RECOGNISED) for each in states), True),
        ("Failures to repair", len(failures), False),
    ]
    made: list[Element] = []
    for name, count, danger in facts:
        style = ("danger" if danger else "warning") if count else "good"
        lists = el("small", f" of {several(len(states), 'list', 'lists')}") if not made else None
        made.append(el("div", el("dt", name), el("dd", f"{count:,}", lists), class_=style))
    bad = unassigned + sum(sum(each.bad.reasons.values()) for each in states)
    made.append(el("div", el("dt", "Bad values now"), el("dd", f"{bad:,}")))
    return el("dl", *made, class_="cards")


def overview(states: Sequence[ListState], links: Mapping[int, str], now: float, stale_hours: int) -> Element:
    """Return a row for each list, first those that need attention.

    Args:
        states: the lists.
        links: number of a list → the id of its section.
        now: Unix time.
        stale_hours: the age of the last success above which a list is out of date.
    """
    rows = [_row(each, links.get(each.view.number), now) for each in states[:_MOST_LISTS]]
    more = len(states) - len(rows)
    words = (
        f"A list is out of date if no run has succeeded for more than {several(stale_hours, 'hour', 'hours')} "
        f"(`notify_stale_hours`), and too small if Pinterest recognises fewer than {USABLE_PEOPLE} people on it. An "
        "identity is one e-mail address, phone number or device id, so a person with two of them counts twice. The "
        "match rate is the share of the rows in your data whose people Pinterest recognises. Matching them takes it a "
        "day or two."
    )
    return el(
        "div",
        el("h2", "Your lists"),
        el("p", _WHO_REPAIRS) if any(some.failure for each in states for some in each.findings) else None,
        el("ol", *rows, class_="overview") if rows else el("p", "The ledger knows no list yet."),
        el("p", f"{several(more, 'more list is', 'more lists are')} not shown here.", class_="quiet") if more else None,
        el("p", *prose(words), class_="quiet"),
    )


def _row(state: ListState, anchor: str | None, now: float) -> Element:
    view = state.view
    name = el("a", view.name, href=f"#{anchor}") if anchor is not None else el("span", view.name)
    return el(
        "li",
        el("h3", name, " ", *badges(state)),
        figures(state),
        _spark(view, now),
        *_advice(state),
        class_=_style(state.level),
    )


def badges(state: ListState) -> list[Element]:
    """Return what is true of a list, in two or three words each."""
    return [el("span", each.title, class_=f"badge {_style(each.level)}") for each in state.findings]


def _advice(state: ListState) -> list[Element]:
    """Return what a person should do about a list."""
    return [
        el("p", el("strong", f"{each.title}."), " ", *_words(each), class_=f"advice {_style(each.level)}")
        for each in state.findings
        if each.advice
    ]


def _words(finding: Finding) -> list[Child]:
    failure = finding.failure
    if failure is None:
        return prose(finding.advice)
    if _is_of_one(failure):
        return prose(f"{finding.advice} {message(failure.run)}")
    # It is explained once for all of its lists.
    words = f"{finding.advice} {capitalised(failure.run.outcome)}. "
    return [words, el("a", "What to do", href="#failures")]


def _is_of_one(failure: Failure) -> bool:
    """Return whether a failure concerns a single list, whose row explains it."""
    return len(failure.lists) == 1


def figures(state: ListState, *, rows: bool = False) -> Element:
    """Return the figures of a list now.

    Args:
        state: the list.
        rows: whether to include the number of rows that contribute to it.
    """
    view, change = state.view, state.change
    when = "30-day change" if change is None or change.whole else f"Since {short_day(change.since)}"
    facts = [
        ("Identities", f"{view.members:,}"),
        ("Rows", _count(view.contributing_rows)) if rows else None,
        ("People recognised", _count(view.matched)),
        ("Match rate", percent_words(view.match_percent) or "\N{EN DASH}"),
        (when, f"{change.difference:+,}".replace("+0", "0") if change is not None else "\N{EN DASH}"),
        ("Bad values", f"{sum(state.bad.reasons.values()):,}") if rows else None,
        ("Last success", minute(view.last_success) if view.last_success is not None else "never"),
    ]
    made = [el("div", el("dt", name), el("dd", value)) for name, value in filter(None, facts)]
    return el("dl", *made, class_="figures")


def _count(number: int | None) -> str:
    return f"{number:,}" if number is not None else "\N{EN DASH}"


def _spark(view: ListView, now: float) -> Element | None:
    """Return how many identities were on a list in the last 30 days; None if its size was recorded only once."""
    begin = now - MONTH_SECONDS
    sized = [(at, float(step.members)) for at, step in view.steps if step.members is not None]
    if len(sized) < 2:  # noqa: PLR2004 - a single size is no curve
        return None
    before = [(begin, members) for at, members in sized if at <= begin][-1:]
    points = [*before, *(each for each in sized if each[0] > begin), (now, float(view.members))]
    return sparkline(points, f"{view.name}: identities over 30 days")


def failures_section(failures: Sequence[Failure]) -> list[Element]:
    """Return the failures that no row of the overview explains: what they concern, and what to do."""
    items = [el("li", *_failure(each)) for each in failures if not _is_of_one(each)]
    if not items:
        return []
    return [
        el(
            "section",
            el("h2", "What to do about failures"),
            el("ul", *items, class_="failures"),
            id="failures",
        )
    ]


def _failure(failure: Failure) -> list[Element]:
    run = failure.run
    often = f", {failure.times:,} times since {minute(failure.since)}" if failure.times > 1 else ""
    command = "Run" if run.kind == RUN else run.kind.capitalize()
    shown = [f"{each.name} ({several(each.members, 'identity', 'identities')})" for each in failure.lists[:_MOST_NAMES]]
    rest = len(failure.lists) - len(shown)
    if rest:
        shown.append(several(rest, "more list", "more lists"))
    lists = f"Lists: {', '.join(shown)}." if shown else None
    return [
        el("p", el("strong", f"{command} of {minute(run.started)}"), f"{often}: {run.outcome}."),
        *([el("p", lists)] if lists is not None else []),
        el("p", *prose(message(run))),
    ]


def _style(level: Level) -> str:
    return level.name.lower()
