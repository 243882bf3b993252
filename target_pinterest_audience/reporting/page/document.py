"""The page as a whole: what happened, list by list, and what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Final
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.history import HistoryView, RunView
from target_pinterest_audience.reporting.page.charts import Bar, bars_chart
from target_pinterest_audience.reporting.page.elements import el, serialise
from target_pinterest_audience.reporting.page.lists import list_section, unusable_values
from target_pinterest_audience.reporting.page.periods import Periods, add_up, put_together
from target_pinterest_audience.reporting.page.tables import details, table
from target_pinterest_audience.reporting.page.words import day, minute, seconds
from target_pinterest_audience.text.counts import several

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser is to ask nobody for anything, whatever the page may come to hold."""

_MOST_LISTS: Final = 25
_MOST_RUNS: Final = 200
_MOST_FAILURES: Final = 5


def render(view: HistoryView, account: str, now: float) -> str:
    """Return the history as one page of HTML that needs nothing else.

    Args:
        view: the history.
        account: the id of the ad account.
        now: seconds since 1970.
    """
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"Pinterest audiences of ad account {account}"),
        # Without this, browsers ask the server of the page for an icon.
        el("link", rel="icon", href="data:,"),
        el("style", style),
    )
    main = el("main", el("h1", "Your Pinterest audiences"), *_content(view, account, now))
    return serialise(el("html", head, el("body", main), lang="en"))


def _content(view: HistoryView, account: str, now: float) -> list[Element]:
    made = f"Ad account {account}. Made on {minute(now)}. All times are UTC."
    if not view.runs:
        words = (
            "There is nothing to show yet: the ledger knows of no run since it began to keep a history. Run the target "
            "and make this page again."
        )
        return [el("p", made, class_="quiet"), el("section", el("p", words))]
    periods = put_together([run.started for run in view.runs])
    changed = sorted((each for each in view.lists if each.steps), key=lambda each: -len(each.steps))
    shown = sorted(changed[:_MOST_LISTS], key=lambda each: each.name.casefold())
    first, last = day(view.runs[0].started), day(view.runs[-1].started)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    content = [
        el("p", made, class_="quiet"),
        el("p", f"{several(len(view.runs), 'run', 'runs')}, {when}."),
        _facts(view.runs),
        *_failures(view.runs),
        _how_to_read(),
    ]
    if len(shown) > 1:
        links = [el("li", el("a", each.name, href=f"#list-{place}")) for place, each in enumerate(shown)]
        content.append(el("nav", el("ul", *links), aria_label="Lists"))
    if len(changed) > len(shown):
        rest = f"The {len(shown)} lists with the most changes are shown; the others with `report --list`."
        content.append(el("p", rest, class_="quiet"))
    content += [list_section(each, periods, view.runs, f"list-{place}") for place, each in enumerate(shown)]
    if not shown:
        content.append(el("section", el("p", "No list changed in this time.")))
    return [*content, *_unplaced(view.runs), _traffic(view.runs, periods), _all_runs(view.runs)]


def _facts(runs: Sequence[RunView]) -> Element:
    counts = add_up(runs, _counts)
    facts = [
        ("Added", f"{counts['added']:,}"),
        ("Removed", f"{counts['removed']:,}"),
        ("Not usable", f"{counts['unusable']:,}"),
        ("Last run", runs[-1].outcome.partition(":")[0]),
    ]
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in facts), class_="facts")


def _counts(run: RunView) -> Counter[str]:
    counts: Counter[str] = Counter()
    for step in run.lists:
        counts.update(added=step.added, removed=step.removed, unusable=step.unusable)
    return counts


def _failures(runs: Sequence[RunView]) -> list[Element]:
    """Return what to say of runs that did not end well, if any did not."""
    failed = [run for run in runs if run.exit_code]
    lost = [run for run in runs[:-1] if run.exit_code is None]
    if not failed and not lost:
        return []
    newest = sorted([*failed, *lost], key=lambda run: -run.started)
    items = [el("li", f"{minute(run.started)}: {run.kind} {run.outcome}") for run in newest[:_MOST_FAILURES]]
    words = (
        f"{several(len(newest), 'run', 'runs')} did not end well. Nobody is lost by that: the next run goes on where "
        "Pinterest stopped. But a list that is not brought up to date does not change either."
    )
    more = f"and {len(newest) - len(items):,} before" if len(newest) > len(items) else None
    return [el("div", el("p", words), el("ul", *items, el("li", more) if more else None), class_="alarm")]


def _how_to_read() -> Element:
    return el(
        "p",
        "A member is one address or one device id: somebody with both counts twice. Pinterest shows fewer, the people "
        "it recognises, and takes a day or two to find them.",
        class_="quiet",
    )


def _unplaced(runs: Sequence[RunView]) -> list[Element]:
    """Return what to say of values that cannot be told to have been for one list."""
    steps = [step for run in runs for step in run.lists if step.customer_list is None]
    reasons = add_up(steps, lambda step: step.rejected)
    if not reasons:
        return []
    heading = el("h2", "Values that could not be used, of columns that feed several lists")
    return [el("section", heading, *unusable_values(reasons))]


def _traffic(runs: Sequence[RunView], periods: Periods) -> Element:
    ended = [run for run in runs if run.calls is not None]
    calls = sum(run.calls or 0 for run in ended)
    waits = sum(run.limited_seconds or 0.0 for run in ended)
    words = f"{several(calls, 'request', 'requests')} to Pinterest. "
    words += (
        f"They waited for {seconds(waits)} altogether, because Pinterest limits how many it takes in a minute. Waiting "
        "is normal for a first load; if it grows, let fewer programs use the same account at a time."
        if waits
        else "None had to wait: Pinterest limits how many it takes in a minute, and that was never reached."
    )
    parts = [el("h2", "Requests and waits"), el("p", words)]
    kinds = [("Requests", "calls", [run.calls or 0 for run in runs])]
    if waits:
        kinds.append(("Seconds of waiting", "waits", [round(run.limited_seconds or 0) for run in runs]))
    for name, style, values in kinds if len(runs) > 1 else ():
        sums = [sum(values[place] for place in period.runs) for period in periods.periods]
        bars = [
            Bar(total, 0, f"{period.title}: {total:,} {name.lower()}")
            for period, total in zip(periods.periods, sums, strict=True)
        ]
        chart = bars_chart(bars, periods.ends, f"{name}, each bar a {periods.each}")
        chart.set("class", f"chart {style}")
        parts += [el("h3", f"{name} per {periods.each}"), chart]
    return el("section", *parts)


def _all_runs(runs: Sequence[RunView]) -> Element:
    """Return the runs as a table, which says to everybody what the charts show."""
    rows = []
    for run in reversed(runs[-_MOST_RUNS:]):
        counts = _counts(run)
        took = seconds(run.ended - run.started) if run.ended is not None else None
        waited = seconds(run.limited_seconds) if run.limited_seconds else None
        figures = (counts["added"], counts["removed"], counts["unusable"], run.calls)
        rows.append((minute(run.started), run.kind, run.outcome, took, *figures, waited))
    columns = ("started", "what", "how it ended", "took", "added", "removed", "not usable", "requests", "waited")
    older = f" The newest {_MOST_RUNS}; `report --json` has them all." if len(runs) > _MOST_RUNS else ""
    caption = f"Runs and commands, the newest first.{older}"
    return el("section", el("h2", "All runs"), details("Show them as a table", table(columns, rows, caption)))
