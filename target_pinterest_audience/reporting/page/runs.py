"""The parts of the page about runs: a prune as part of its run, requests and waits, and a table of all runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.history import RunView, Step
from target_pinterest_audience.reporting.page.charts import Bar, bars_chart
from target_pinterest_audience.reporting.page.elements import el
from target_pinterest_audience.reporting.page.formats import duration, minute
from target_pinterest_audience.reporting.page.periods import Periods
from target_pinterest_audience.reporting.page.tables import details, table
from target_pinterest_audience.text.counts import several

_MOST_RUNS: Final = 200


def merge_prunes(runs: Sequence[RunView]) -> list[RunView]:
    """Return the runs, each together with the prunes that followed it: for a person both are one update.

    Args:
        runs: the runs and commands, oldest first.
    """
    merged: dict[int, RunView] = {}
    for run in runs:
        before = merged.get(run.acted_on or 0)
        if before is None:
            merged[run.number] = run
        else:
            merged[before.number] = replace(
                before,
                kind=f"{before.kind.partition(',')[0]}, {run.kind}",
                ended=run.ended,
                # A prune follows a run only if that succeeded; and the last prune is the one that counts.
                exit_code=run.exit_code,
                calls=(before.calls or 0) + (run.calls or 0),
                limited_seconds=(before.limited_seconds or 0.0) + (run.limited_seconds or 0.0),
                lists=_merge_steps(before.lists, run.lists),
            )
    return list(merged.values())


def _merge_steps(before: Sequence[Step], after: Sequence[Step]) -> list[Step]:
    merged = {(each.customer_list_id, each.customer_list): each for each in before}
    for step in after:
        name = (step.customer_list_id, step.customer_list)
        former = merged.get(name)
        if former is not None:
            step = step._replace(  # noqa: PLW2901 - the same step, with what came before
                matched=former.matched if step.matched is None else step.matched,
                added=former.added + step.added,
                removed=former.removed + step.removed,
                removals=Counter(former.removals) + Counter(step.removals),
                refused=former.refused + step.refused,
                rejected=Counter(former.rejected) + Counter(step.rejected),
            )
        merged[name] = step
    return list(merged.values())


def traffic_section(runs: Sequence[RunView], periods: Periods) -> Element:
    """Return the section about requests and waits."""
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
    kinds = [("Requests", "calls", [run.calls or 0 for run in runs])]
    if waits:
        kinds.append(("Seconds waited", "waits", [round(run.limited_seconds or 0) for run in runs]))
    charts = []
    for name, style, values in kinds if len(runs) > 1 else ():
        sums = [sum(values[index] for index in period.runs) for period in periods.periods]
        bars = [
            Bar(total, 0, f"{period.title}: {total:,} {name.lower()}")
            for period, total in zip(periods.periods, sums, strict=True)
        ]
        chart = bars_chart(bars, periods.ends, f"{name}; one bar per {periods.each}")
        chart.set("class", f"chart {style}")
        charts.append(el("div", el("h3", f"{name} per {periods.each}"), chart))
    return el("section", el("h2", "Requests and waits"), el("p", words), el("div", *charts, class_="charts"))


def runs_section(runs: Sequence[RunView]) -> Element:
    """Return the runs as a table, for readers who cannot see the charts."""
    rows = []
    for run in reversed(runs[-_MOST_RUNS:]):
        counts: Counter[str] = Counter()
        for step in run.lists:
            counts.update(added=step.added, removed=step.removed, bad=step.unusable)
        took = duration(run.ended - run.started) if run.ended is not None else None
        waited = duration(run.limited_seconds) if run.limited_seconds else None
        figures = (counts["added"], counts["removed"], counts["bad"], run.calls)
        rows.append((minute(run.started), run.kind, run.outcome, took, *figures, waited))
    columns = (
        "started", "command", "outcome", "duration", "identities added", "removed", "bad values", "requests", "waited",
    )  # fmt: skip
    older = f" Only the newest {_MOST_RUNS} are shown; `report --json` lists all." if len(runs) > _MOST_RUNS else ""
    caption = f"Runs and commands, newest first.{older}"
    return el("section", el("h2", "All runs"), details("Show as a table", table(columns, rows, caption)))
