"""The page as a whole: what needs attention, each list, requests, and a table of all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final
from xml.etree.ElementTree import Element

from target_pinterest_audience.ledger.history import RUN
from target_pinterest_audience.reporting.alerts.rules import Thresholds
from target_pinterest_audience.reporting.history import HistoryView, RunView, Step
from target_pinterest_audience.reporting.page.elements import el, serialise
from target_pinterest_audience.reporting.page.failures import standing_failures
from target_pinterest_audience.reporting.page.formats import day, minute
from target_pinterest_audience.reporting.page.lists import bad_values, list_section
from target_pinterest_audience.reporting.page.overview import cards, failures_section, overview
from target_pinterest_audience.reporting.page.periods import add_up, group_runs
from target_pinterest_audience.reporting.page.runs import merge_prunes, runs_section, traffic_section
from target_pinterest_audience.reporting.page.states import ListState, list_states
from target_pinterest_audience.text.counts import several

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser must not load anything from the network, whatever the page contains."""

_MOST_LISTS: Final = 25


def render(view: HistoryView, account: str, now: float, limits: Thresholds) -> str:
    """Return the history as an HTML page that loads nothing from elsewhere.

    Args:
        view: the history.
        account: the id of the ad account.
        now: Unix time.
        limits: the limits of the settings, which say what needs attention.
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
    main = el("main", el("h1", "Your Pinterest audiences"), *_content(view, account, now, limits))
    return serialise(el("html", head, el("body", main), lang="en"))


def _content(view: HistoryView, account: str, now: float, limits: Thresholds) -> list[Element]:
    made = f"Ad account {account}. Created on {minute(now)}. All times are in UTC."
    if not view.runs:
        words = (
            "There is nothing to show yet: the ledger has no run in its history. Run the target, then create this page "
            "again."
        )
        return [el("p", made, class_="quiet"), el("section", el("p", words))]
    failures = standing_failures(view)
    states = list_states(view, failures, now, limits)
    runs = merge_prunes(view.runs)
    periods = group_runs([run.started for run in runs])
    shown = _with_section(states)
    links = {each.view.number: f"list-{index}" for index, each in enumerate(shown)}
    unassigned = _bad_values_of_several_lists(view.runs)
    first, last = day(runs[0].started), day(runs[-1].started)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    content = [
        el("p", f"{made} It covers {several(len(runs), 'run', 'runs')}, {when}.", class_="quiet"),
        cards(states, failures, sum(unassigned.values())),
        overview(states, links, now, limits.stale_hours),
        *failures_section(failures),
    ]
    if len(states) > len(shown):
        rest = (
            f"Details follow for {several(len(shown), 'list', 'lists')}: those that need attention, and those that "
            "changed most often. Use `report --list` for the others."
        )
        content.append(el("p", rest, class_="quiet"))
    content += [list_section(each, runs, links[each.view.number]) for each in shown]
    if unassigned:
        heading = el("h2", "Bad values now in columns that feed several lists")
        content.append(el("section", heading, bad_values(unassigned)))
    return [*content, traffic_section(runs, periods), runs_section(runs)]


def _with_section(states: Sequence[ListState]) -> list[ListState]:
    """Return the lists with a section of their own: those that need attention, and those that changed most often."""
    order = sorted(states, key=lambda each: (not each.needs_attention, -len(each.view.steps)))
    chosen = {each.view.number for each in order[:_MOST_LISTS]}
    return [each for each in states if each.view.number in chosen]


def _bad_values_of_several_lists(runs: Sequence[RunView]) -> Mapping[str, int]:
    """Return the bad values of the newest run that cannot be assigned to one list."""
    newest = next((run for run in reversed(runs) if run.kind == RUN and run.succeeded), None)
    return add_up(newest.lists if newest is not None else (), _unassigned)


def _unassigned(step: Step) -> Mapping[str, int]:
    return step.rejected if step.customer_list is None else {}
