"""The page as a whole: figures, failed runs, each list, requests, and a table of all runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Final
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.history import HistoryView, RunView
from target_pinterest_audience.reporting.page.charts import Bar, bars_chart
from target_pinterest_audience.reporting.page.elements import el, serialise
from target_pinterest_audience.reporting.page.formats import day, duration, minute
from target_pinterest_audience.reporting.page.lists import list_section, rejected_values
from target_pinterest_audience.reporting.page.matches import untargetable_lists
from target_pinterest_audience.reporting.page.periods import Periods, add_up, group_runs
from target_pinterest_audience.reporting.page.tables import details, table
from target_pinterest_audience.text.counts import several

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser must not load anything from the network, whatever the page contains."""

_MOST_LISTS: Final = 25
_MOST_RUNS: Final = 200
_MOST_FAILURES: Final = 5


def render(view: HistoryView, account: str, now: float) -> str:
    """Return the history as an HTML page that loads nothing from elsewhere.

    Args:
        view: the history.
        account: the id of the ad account.
        now: Unix time.
    """
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"Pinterest audiences of ad account {account}"),
        # Without this line, browsers request an icon from the page's server.
        el("link", rel="icon", href="data:,"),
        el("style", style),
    )
    main = el("main", el("h1", "Your Pinterest audiences"), *_content(view, account, now))
    return serialise(el("html", head, el("body", main), lang="en"))


def _content(view: HistoryView, account: str, now: float) -> list[Element]:
    made = f"Ad account {account}. Created on {minute(now)}. All times are in UTC."
    if not view.runs:
        words = (
            "There is nothing to show yet: the ledger has no run in its history. Run the target, then create this page "
            "again."
        )
        return [el("p", made, class_="quiet"), el("section", el("p", words))]
    periods = group_runs([run.started for run in view.runs])
    changed = sorted((each for each in view.lists if each.steps), key=lambda each: -len(each.steps))
    shown = sorted(changed[:_MOST_LISTS], key=lambda each: each.name.casefold())
    first, last = day(view.runs[0].started), day(view.runs[-1].started)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    content = [
        el("p", made, class_="quiet"),
        el("p", f"{several(len(view.runs), 'run', 'runs')}, {when}."),
        _facts(view.runs),
        *_failures(view.runs),
        *untargetable_lists(changed),
        _how_to_read(),
    ]
    if len(shown) > 1:
        links = [el("li", el("a", each.name, href=f"#list-{index}")) for index, each in enumerate(shown)]
        content.append(el("nav", el("ul", *links), aria_label="Lists"))
    if len(changed) > len(shown):
        rest = f"The {len(shown)} lists with the most changes are shown. Use `report --list` for the others."
        content.append(el("p", rest, class_="quiet"))
    content += [list_section(each, periods, view.runs, f"list-{index}") for index, each in enumerate(shown)]
    if not shown:
        content.append(el("section", el("p", "No list changed in this period.")))
    return [*content, *_rejected_for_several_lists(view.runs), _traffic(view.runs, periods), _all_runs(view.runs)]


def _facts(runs: Sequence[RunView]) -> Element:
    counts = add_up(runs, _counts)
    facts = [
        ("Added", f"{counts['added']:,}"),
        ("Removed", f"{counts['removed']:,}"),
        ("Rejected", f"{counts['rejected']:,}"),
        ("Last run", runs[-1].outcome.partition(":")[0]),
    ]
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in facts), class_="facts")


def _counts(run: RunView) -> Counter[str]:
    counts: Counter[str] = Counter()
    for step in run.lists:
        counts.update(added=step.added, removed=step.removed, rejected=step.unusable)
    return counts


def _failures(runs: Sequence[RunView]) -> list[Element]:
    """Return a notice of runs that failed or were killed; nothing if there are none."""
    failed = [run for run in runs if run.exit_code]
    lost = [run for run in runs[:-1] if run.exit_code is None]
    if not failed and not lost:
        return []
    newest = sorted([*failed, *lost], key=lambda run: -run.started)
    items = [el("li", f"{minute(run.started)}: {run.kind} {run.outcome}") for run in newest[:_MOST_FAILURES]]
    words = (
        f"{several(len(newest), 'run', 'runs')} failed. No data was lost: the next run picks up where they stopped. "
        "Lists are out of date until a run succeeds."
    )
    rest = len(newest) - len(items)
    more = f"and {several(rest, 'earlier run', 'earlier runs')}" if rest else None
    return [el("div", el("p", words), el("ul", *items, el("li", more) if more else None), class_="alarm")]


def _how_to_read() -> Element:
    return el(
        "p",
        "A member is one e-mail address, phone number or device id, so a person with two of them counts twice. "
        "Pinterest shows a smaller number: the people whom it recognises. Matching them takes it a day or two. The "
        "match rate is their share of the rows in your data that contribute to the list.",
        class_="quiet",
    )


def _rejected_for_several_lists(runs: Sequence[RunView]) -> list[Element]:
    """Return the rejected values that cannot be assigned to one list."""
    steps = [step for run in runs for step in run.lists if step.customer_list is None]
    reasons = add_up(steps, lambda step: step.rejected)
    if not reasons:
        return []
    heading = el("h2", "Rejected values in columns that feed several lists")
    return [el("section", heading, *rejected_values(reasons))]


def _traffic(runs: Sequence[RunView], periods: Periods) -> Element:
    ended = [run for run in runs if run.calls is not None]
    calls = sum(run.calls or 0 for run in ended)
    waits = sum(run.limited_seconds or 0.0 for run in ended)
    words = f"{several(calls, 'request', 'requests')} to Pinterest. "
    words += (
        f"They waited {duration(waits)} in total for Pinterest's rate limit. Waiting is normal during a first load. If "
        "it grows, run fewer programs on the same account at a time."
        if waits
        else "None had to wait: they never reached Pinterest's rate limit."
    )
    parts = [el("h2", "Requests and waits"), el("p", words)]
    kinds = [("Requests", "calls", [run.calls or 0 for run in runs])]
    if waits:
        kinds.append(("Seconds waited", "waits", [round(run.limited_seconds or 0) for run in runs]))
    for name, style, values in kinds if len(runs) > 1 else ():
        sums = [sum(values[index] for index in period.runs) for period in periods.periods]
        bars = [
            Bar(total, 0, f"{period.title}: {total:,} {name.lower()}")
            for period, total in zip(periods.periods, sums, strict=True)
        ]
        chart = bars_chart(bars, periods.ends, f"{name}; one bar per {periods.each}")
        chart.set("class", f"chart {style}")
        parts += [el("h3", f"{name} per {periods.each}"), chart]
    return el("section", *parts)


def _all_runs(runs: Sequence[RunView]) -> Element:
    """Return the runs as a table, for readers who cannot see the charts."""
    rows = []
    for run in reversed(runs[-_MOST_RUNS:]):
        counts = _counts(run)
        took = duration(run.ended - run.started) if run.ended is not None else None
        waited = duration(run.limited_seconds) if run.limited_seconds else None
        figures = (counts["added"], counts["removed"], counts["rejected"], run.calls)
        rows.append((minute(run.started), run.kind, run.outcome, took, *figures, waited))
    columns = ("started", "command", "outcome", "duration", "added", "removed", "rejected", "requests", "waited")
    older = f" Only the newest {_MOST_RUNS} are shown; `report --json` lists all." if len(runs) > _MOST_RUNS else ""
    caption = f"Runs and commands, newest first.{older}"
    return el("section", el("h2", "All runs"), details("Show as a table", table(columns, rows, caption)))
