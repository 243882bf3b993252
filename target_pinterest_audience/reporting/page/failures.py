"""Failures that no later run has repaired. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from target_pinterest_audience.ledger.history import RUN
from target_pinterest_audience.reporting.history import HistoryView, ListView, RunView
from target_pinterest_audience.reporting.page.formats import capitalised


@dataclass(frozen=True, slots=True)
class Failure:
    """Runs that failed, one after the other, and have not been repaired.

    Attributes:
        run: the newest of them.
        lists: the lists that they concern; empty if that is not known.
        times: how many there are.
        since: Unix time when the oldest of them began.
    """

    run: RunView
    lists: Sequence[ListView]
    times: int
    since: float


def standing_failures(view: HistoryView) -> list[Failure]:
    """Return the failures that no later run or command has repaired, newest first.

    A later success of the same command repairs a failure if its settings feed the same lists. So does a success of
    other settings that brought each of these lists up to date, for example after the settings were corrected.

    Args:
        view: the history.
    """
    succeeded: set[tuple[str, frozenset[int]]] = set()
    found: dict[tuple[str, frozenset[int]], Failure] = {}
    for run in reversed(view.runs):
        same = (run.kind, run.fed)
        if run.succeeded:
            succeeded.add(same)
        elif has_failed(run, view.runs) and not _is_repaired(run, succeeded, view.lists):
            lists = [each for each in view.lists if concerned_runs([run], each)]
            newer = found.get(same, Failure(run, lists, 0, run.started))
            found[same] = replace(newer, times=newer.times + 1, since=run.started)
    return list(found.values())


def has_failed(run: RunView, runs: Sequence[RunView]) -> bool:
    """Return whether a run failed or was killed. The newest of all runs may still be active."""
    return not run.succeeded and (run.exit_code is not None or run is not runs[-1])


def concerned_runs(runs: Sequence[RunView], view: ListView) -> list[RunView]:
    """Return the runs whose settings feed a list, and those that changed it."""
    changes = {at for at, _ in view.steps}
    return [run for run in runs if view.number in run.fed or run.ended in changes]


def message(run: RunView) -> str:
    """Return what happened in a run that failed, and what to do: its error message, unless there is none."""
    if run.error is not None:
        return run.error
    if run.empty:
        return "The tap sent neither a row nor a STATE. Read its log, and run it again."
    if run.exit_code is None:
        return (
            "It was killed, or its machine stopped. Check the limits of time and memory, and run it again: it "
            "continues where it stopped."
        )
    return f"{capitalised(run.outcome)}. The last line of its log says what to do."


def _is_repaired(run: RunView, succeeded: set[tuple[str, frozenset[int]]], lists: Iterable[ListView]) -> bool:
    if any(kind == run.kind and fed >= run.fed for kind, fed in succeeded):
        return True
    ended = run.ended or run.started
    fed = [each.last_success for each in lists if each.number in run.fed]
    return run.kind == RUN and bool(fed) and all(each is not None and each > ended for each in fed)
