"""The history in the ledger, prepared for display: lists by name, reasons in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.history import FORGET, SEVERAL_LISTS, HistoryEntry, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.reporting.words import outcome_words
from target_pinterest_audience.routing.orders import match_percent

_MOST_REMOVALS: Final = 1_000_000
_REASONS: Final = {remark.name: remark.value for remark in Remark}
_NOT_ENDED: Final = (None, None, None, None, False, 0, None)


class Step(NamedTuple):
    """What one run did to one list.

    Attributes:
        customer_list: the list's name, or its id if it has none; None for values that cannot be assigned to one list.
        customer_list_id: the list's id; None if the list is not created yet.
        members: identities on the list at the end, by the ledger; None if the run did not record it.
        matched: people whom Pinterest had matched by then; None if the run did not find out.
        added: identities that were added.
        removed: identities that were removed.
        removals: cause → how many identities were removed because of it.
        refused: identities that Pinterest refused one by one.
        rejected: reason, as a sentence → how many values were rejected because of it.
        contributing_rows: rows that contributed to the list at the end; None if the run did not record it.
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
    contributing_rows: int | None = None

    @property
    def match_percent(self) -> float | None:
        """Matched people as a share of the rows, in percent; None if the run did not find out."""
        return match_percent(self.matched, self.contributing_rows)

    @property
    def unusable(self) -> int:
        """How many values were rejected by the target or refused by Pinterest."""
        return self.refused + sum(self.rejected.values())


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, or a command that removes people.

    Attributes:
        number: its number in the history.
        kind: `run`, `prune`, or the name of another command.
        started: Unix time when it began.
        ended: Unix time when it ended; None if it is still running or was killed, as for the next three.
        exit_code: the exit code of the process.
        calls: requests to Pinterest; each attempt counts.
        limited_seconds: how long requests waited for Pinterest's rate limits.
        lists: what it did to each list; lists that did not change are left out.
        empty: whether the tap sent neither a row nor a STATE, so that the run is no success.
        held_out: rows that the run held out.
        error: the error message; None if it succeeded, was killed, or an earlier version recorded it.
        acted_on: the number of the run that a prune followed.
        fed: the numbers of the lists that its settings feed; none for a command other than `prune`.
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
    held_out: int = 0
    error: str | None = None
    acted_on: int | None = None
    fed: frozenset[int] = frozenset()

    @property
    def succeeded(self) -> bool:
        """Whether it counts as a success. A run without rows does not: a tap that fails at once leaves one."""
        return self.exit_code == 0 and not self.empty

    @property
    def outcome(self) -> str:
        """How it ended, in words."""
        return outcome_words(self.exit_code, empty=self.empty)


class Removal(NamedTuple):
    """A request that removed identities.

    Attributes:
        run: the number in the history of the run or command that sent it.
        accepted: Unix time when Pinterest accepted it.
        customer_list: the list's name, or its id if it has none.
        customer_list_id: the list's id.
        identities: how many identities it removed.
        causes: cause → how many identities were removed because of it.
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
        members: identities on it now, by the ledger.
        steps: Unix time of each change, and what changed; oldest first.
        contributing_rows: rows that contribute to it now, by the ledger.
        number: the ledger's number of the list.
        last_success: Unix time when the newest run ended that read its rows, and ended cleanly; None if none did.
    """

    name: str
    id: str | None
    members: int
    steps: list[tuple[float, Step]] = field(default_factory=list)
    contributing_rows: int | None = None
    number: int = 0
    last_success: float | None = None

    @property
    def matched(self) -> int | None:
        """How many people Pinterest had matched when a run last found out; None if none did."""
        return next((step.matched for _, step in reversed(self.steps) if step.matched is not None), None)

    @property
    def match_percent(self) -> float | None:
        """The match rate that a run last found, in percent; None if none did."""
        return next((each for _, step in reversed(self.steps) if (each := step.match_percent) is not None), None)


@dataclass(frozen=True, slots=True)
class HistoryView:
    """The history, or the last part of it.

    Attributes:
        ledger: where the ledger is.
        runs: the runs, oldest first.
        lists: the lists.
        removals: the requests that removed identities in these runs, oldest first.
    """

    ledger: str
    runs: Sequence[RunView]
    lists: Sequence[ListView]
    removals: Sequence[Removal]


def read_history(ledger: Ledger, last: int, which: str | None = None) -> HistoryView:
    """Return the newest part of a ledger's history.

    Args:
        ledger: the ledger.
        last: how many runs to read at most.
        which: id or name of the only list to include; runs that neither feed nor change it are left out.

    Raises:
        LookupError: the ledger has no such list.
    """
    entries = {entry.number: entry for entry in ledger.catalogue.lists.all()}
    if which is not None:
        entries = {n: each for n, each in entries.items() if which in {each.customer_list_id, each.name}}
        if not entries:
            raise LookupError(which)
    # `last` counts all runs, also those that did not change the list in question.
    history = ledger.history.entries(last)[::-1]
    since = history[0].started if history else 0.0
    removals = ledger.history.removals(since, _MOST_REMOVALS)[::-1]
    successes = ledger.catalogue.runs.last_successes()
    lists = {
        n: ListView(
            _name(each), each.customer_list_id, each.members, contributing_rows=each.contributing_rows, number=n,
            last_success=successes.get(n),
        )
        for n, each in entries.items()
    }  # fmt: skip
    return _view(ledger.where, history, removals, lists, _fed(ledger, history), everything=which is None)


def _fed(ledger: Ledger, history: Sequence[HistoryEntry]) -> dict[int, frozenset[int]]:
    """Return entry → the lists that its settings feed, for runs and prunes."""
    runs = {each.number: each.acted_on or each.number for each in history}
    configurations = ledger.catalogue.runs.configurations(min(runs.values(), default=0))
    lists: dict[str, set[int]] = {}
    for loader in ledger.catalogue.loaders.all():
        lists.setdefault(loader.configuration, set()).add(loader.list_number)
    # One object for each configuration: thousands of runs may feed thousands of lists.
    shared = {configuration: frozenset(numbers) for configuration, numbers in lists.items()}
    return {entry: shared.get(configurations.get(run, ""), frozenset()) for entry, run in runs.items()}


def _view(
    where: str,
    history: Iterable[HistoryEntry],
    removals: Sequence[RemovalEntry],
    lists: Mapping[int, ListView],
    fed: Mapping[int, frozenset[int]],
    *,
    everything: bool,
) -> HistoryView:
    causes: dict[tuple[int, int], Counter[str]] = {}
    for removal in removals:
        causes.setdefault((removal.entry, removal.list_number), Counter()).update(removal.causes)
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
                each.contributing_rows,
            )
            steps.append(step)
            if known is not None and entry.ending is not None:
                known.steps.append((entry.ending.at, step))
        if everything or steps or not lists.keys().isdisjoint(fed[entry.number]):
            ended, code, calls, limited, empty, held_out, error = entry.ending or _NOT_ENDED
            runs.append(
                RunView(
                    entry.number, entry.kind, entry.started, ended, code, calls, limited, steps, empty, held_out, error,
                    entry.acted_on, fed[entry.number],
                )
            )  # fmt: skip
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
    """Return counts by sentence; a reason that another version recorded keeps its name."""
    return {_REASONS.get(name, name): count for name, count in Counter(reasons).most_common()}
