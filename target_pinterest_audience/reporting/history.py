"""The history of a ledger as people look at it: runs and lists by their names, reasons and causes in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from target_pinterest_audience.identities.types import Remark
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.history import FORGET, SEVERAL_LISTS, HistoryEntry, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger

_MOST_REMOVALS: Final = 1_000_000

_EXIT_CODES: Final[Mapping[int | None, str]] = {
    None: "killed, or still running",
    0: "done",
    1: "failed: nobody took its output, the disk was full, or a bug",
    2: "failed: settings",
    3: "failed: Pinterest does not permit it",
    4: "failed: Pinterest not available",
    5: "failed: too many bad rows, or a batch refused",
    6: "stopped: too many would have been removed",
    7: "failed: ledger",
    8: "failed: broken stream",
}
_SIGNALS: Final = 128


class Step(NamedTuple):
    """What one run did to one list.

    Attributes:
        customer_list: the list's name, or its id if it has none; None for what cannot be told to be about one list.
        customer_list_id: the list's id; None if it is not created yet.
        members: identities that belonged on it at the end; None if that was not noted.
        matched: people whom Pinterest had found among them, if the run came to know.
        added: identities that were added.
        removed: identities that were removed.
        removals: why, and how many for each cause.
        refused: identities that Pinterest refused one by one.
        rejected: why values were rejected, as a sentence, and how many for each reason.
    """

    customer_list: str | None
    customer_list_id: str | None
    members: int | None
    matched: int | None
    added: int
    removed: int
    removals: Mapping[str, int]
    refused: int
    rejected: Mapping[str, int]

    @property
    def unusable(self) -> int:
        """How many values were rejected, or refused by Pinterest."""
        return self.refused + sum(self.rejected.values())


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, or a command that removes people.

    Attributes:
        number: its number in the history.
        kind: what it is: `run`, `prune`, or the name of another command.
        started: when, in seconds since 1970.
        ended: when, likewise; None if it goes on, or was killed.
        exit_code: the process's; None likewise.
        calls: requests to Pinterest, each attempt counted; None likewise.
        limited_seconds: how long requests waited for Pinterest's rate limits; None likewise.
        lists: what it did to lists; those of which nothing was new are left out.
        empty: whether neither a row nor a STATE came to a run, so that it is no success.
    """

    number: int
    kind: str
    started: float
    ended: float | None
    exit_code: int | None
    calls: int | None
    limited_seconds: float | None
    lists: Sequence[Step]
    empty: bool = False

    @property
    def outcome(self) -> str:
        """How it ended, in words."""
        return outcome_in_words(self.exit_code, empty=self.empty)


class Removal(NamedTuple):
    """A request that removed somebody.

    Attributes:
        run: the number in the history of what removed them.
        accepted: when Pinterest accepted it, in seconds since 1970.
        customer_list: the list's name, or its id if it has none.
        customer_list_id: the list's id.
        identities: how many were removed.
        causes: why, and how many for each cause.
        request_id: Pinterest's id of the request.
    """

    run: int
    accepted: float
    customer_list: str
    customer_list_id: str | None
    identities: int
    causes: Mapping[str, int]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class ListView:
    """A list.

    Attributes:
        name: its name, or its id if it has none.
        id: its id; None if it is not created yet.
        members: identities that belong on it now.
        steps: when it changed, in seconds since 1970, and what happened; the oldest first.
    """

    name: str
    id: str | None
    members: int
    steps: list[tuple[float, Step]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HistoryView:
    """The history, or the last part of it.

    Attributes:
        ledger: where the ledger is.
        runs: the runs, the oldest first.
        lists: the lists.
        removals: the requests that removed somebody in these runs, the oldest first.
    """

    ledger: str
    runs: Sequence[RunView]
    lists: Sequence[ListView]
    removals: Sequence[Removal]


def outcome_in_words(exit_code: int | None, *, empty: bool = False) -> str:
    """Return how something ended.

    Args:
        exit_code: the process's; None if it has not ended.
        empty: whether neither a row nor a STATE came.
    """
    if exit_code == 0 and empty:
        return "no rows: the tap sent neither a row nor a STATE"
    if exit_code is not None and exit_code > _SIGNALS:
        return f"stopped from outside: signal {exit_code - _SIGNALS}"
    return _EXIT_CODES.get(exit_code, f"failed: exit code {exit_code}")


def look_at(ledger: Ledger, last: int, which: str | None = None) -> HistoryView:
    """Return the history of a ledger.

    Args:
        ledger: the ledger.
        last: how many runs at most, the newest.
        which: the id or the name of the list that alone matters; runs that did nothing to it are left out.

    Raises:
        LookupError: the ledger knows no such list.
    """
    entries = {entry.number: entry for entry in ledger.catalogue.lists.all()}
    if which is not None:
        entries = {n: each for n, each in entries.items() if which in {each.customer_list_id, each.name}}
        if not entries:
            raise LookupError(which)
    # A run that did nothing to a list still counts as one of the last.
    history = ledger.history.entries(last)[::-1]
    since = history[0].started if history else 0.0
    removals = ledger.history.removals(since, _MOST_REMOVALS)[::-1]
    return _view(ledger.where, history, removals, entries, everything=which is None)


def _view(
    where: str,
    history: Iterable[HistoryEntry],
    removals: Sequence[RemovalEntry],
    entries: Mapping[int, ListEntry],
    *,
    everything: bool,
) -> HistoryView:
    causes: dict[tuple[int, int], Counter[str]] = {}
    for removal in removals:
        causes.setdefault((removal.entry, removal.list_number), Counter()).update(removal.causes)
    lists = {n: ListView(_name(each), each.customer_list_id, each.members) for n, each in entries.items()}
    runs = []
    for entry in history:
        steps = []
        for each in entry.lists:
            known = lists.get(each.list_number)
            if known is None and not (everything and each.list_number == SEVERAL_LISTS):
                continue
            why = causes.get((entry.number, each.list_number), Counter())
            if entry.kind == FORGET:
                # Requests name each person under several digests; the figures say how many were members.
                why = Counter({FORGET: each.removed})
            step = Step(
                known.name if known is not None else None,
                known.id if known is not None else None,
                *each[1:5],
                dict(why.most_common()),
                each.refused,
                _in_words(each.rejected),
            )
            steps.append(step)
            if known is not None and entry.ending is not None:
                known.steps.append((entry.ending.at, step))
        if everything or steps:
            ended, code, calls, limited, empty = entry.ending or (None, None, None, None, False)
            runs.append(RunView(entry.number, entry.kind, entry.started, ended, code, calls, limited, steps, empty))
    shown = [
        Removal(
            each.entry,
            each.accepted,
            lists[each.list_number].name,
            lists[each.list_number].id,
            sum(each.causes.values()),
            dict(Counter(each.causes).most_common()),
            each.request_id,
        )
        for each in removals
        if each.list_number in lists
    ]
    return HistoryView(where, runs, list(lists.values()), shown)


def _name(entry: ListEntry) -> str:
    return entry.name or entry.customer_list_id or f"list {entry.number}"


def _in_words(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return counts by sentences; a reason of another version of this program stays as it is named."""
    words = {remark.name: remark.value for remark in Remark}
    return {words.get(name, name): count for name, count in Counter(reasons).most_common()}
