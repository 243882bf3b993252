"""Ceilings: how many people may leave a list before a person has to confirm that this is intended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.ledger.catalogue.removal_counts import ListStart
from target_pinterest_audience.settings.target_settings import DEFAULT_REMOVAL_PERCENT

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.catalogue import Catalogue
    from target_pinterest_audience.reconcile.windows.decisions import Movement


ALWAYS_ALLOWED: Final = 10
"""How many people may leave a list whatever the settings are; see `may_always_be_removed`."""

ONE_PERSON: Final = 3
"""How many members one person may account for: an address and two device ids, for example."""

_ALWAYS_LET_IN: Final = 30
"""How many refused identities may be let in again whatever the settings are: ten people's, by three algorithms."""

_EVERYBODY: Final = 100
_DAY_SECONDS: Final = 86_400.0
_CHECK_THE_MARK: Final = (
    "Check whether the removal column still means the same: an inverted mark deletes everyone. If the deletes are "
    "intended, raise the setting for one run; 100 switches this ceiling off."
)
_REFUSED_PERCENT: Final = 50
"""Refusals have no ceiling, but if more of the members refuse in one run, the target warns."""


class MassRefusal(NamedTuple):
    """A list that so many members left by refusals that a person should look at it.

    Attributes:
        number: the ledger's number of the list.
        members: how many members it had when the run began.
        refused: how many of them left by refusals.
    """

    number: int
    members: int
    refused: int


def may_always_be_removed(members: int, remaining: int) -> int:
    """Return how many members the ledger may derive the removal of, whatever the settings are.

    Ten may leave as long as half of the members remain or others take their place, so that a prune cannot empty a
    small list. One person may always leave: the only one on a list can go.

    Args:
        members: how many members there were.
        remaining: how many there are now.
    """
    return ALWAYS_ALLOWED if 2 * remaining >= members else max(ONE_PERSON, min(ALWAYS_ALLOWED, members // 2))


def may_always_be_deleted(_members: int, _remaining: int) -> int:
    """Return how many members may be removed because their rows are marked as deleted, whatever the settings are.

    A source marks rows on purpose, so ten may leave a list of any size.
    """
    return ALWAYS_ALLOWED


@dataclass(slots=True)
class _Span:
    """How many members a list had at the start of a span of time, and how many have been removed in it."""

    members: int
    removed: int = 0


class _Use(NamedTuple):
    """How many members one run removed, and the percentage that it was allowed."""

    removed: int
    percent: int


@dataclass(slots=True)
class _Ceiling:
    """One ceiling of one list.

    Attributes:
        percent: the share of the members that may be removed.
        always: returns how many may be removed in any case, given how many members there were and how many remain.
        run: the members at the start of this run, and how many have been removed since.
        day: the most members at any start in the last 24 hours, and how many have been removed in that time.
    """

    percent: int
    always: Callable[[int, int], int]
    run: _Span
    day: _Span = field(default_factory=lambda: _Span(0))

    def look_back(self, members: int, use: _Use) -> None:
        """Add a run of the last 24 hours; called for each, the oldest first.

        If a person had allowed a run more than today's percentage, and the run used it, the count starts over after
        that run. Otherwise no one else could be removed for a day.

        Args:
            members: how many members the list had at its start.
            use: what it removed and was allowed to.
        """
        self.day.members = max(self.day.members, members)
        self.day.removed += use.removed
        if use.removed and use.percent > self.percent and self.is_exceeded(self.day, 0):
            self.day = _Span(0)

    def add(self, removed: int, remaining: int) -> str | None:
        """Count removals.

        Args:
            removed: how many more members are removed.
            remaining: how many members the list has after that.

        Returns:
            None, or if the ceiling is exceeded: how many of how many members have been removed, and since when.
        """
        for span, when in ((self.run, ""), (self.day, "Over the last 24 hours, ")):
            span.removed += removed
            # People who joined in this run can leave again, so more can leave than there were at the start.
            if removed and self.run.members and self.percent < _EVERYBODY and self.is_exceeded(span, remaining):
                return f"{when}{span.removed:,} of the {span.members:,} members"
        return None

    def copy(self) -> _Ceiling:
        """Return a copy that changes on its own."""
        return replace(self, run=replace(self.run), day=replace(self.day))

    def is_exceeded(self, span: _Span, remaining: int) -> bool:
        """Return whether more members were removed in a span of time than the ceiling allows."""
        share = span.members * self.percent // 100
        return span.removed > max(share, self.always(span.members, remaining))


@dataclass(slots=True)
class _ListCount:
    """The counts of one list.

    Attributes:
        members: how many members it had when this run began.
        derived: the ceiling for removals that the ledger derives.
        deleted: the ceiling for rows that are marked as deleted.
        remaining: how many members it has now.
        began: when this count began, as Unix time.
        refused: how many members have left by refusals in this run.
        let_in: how many identities no row refuses any more, by rows of this run that are marked as deleted.
        kept_off: how many were refused before, in all forms; None if that was not counted.
    """

    members: int
    derived: _Ceiling
    deleted: _Ceiling
    remaining: int
    began: float
    refused: int = 0
    let_in: int = 0
    kept_off: int | None = None

    def copy(self) -> _ListCount:
        """Return a copy that changes on its own."""
        return replace(self, derived=self.derived.copy(), deleted=self.deleted.copy())


@dataclass(slots=True)
class Ceilings:
    """The ceilings of all lists of a run.

    Each is a share of the members at the start of the run, and of the most members at any start in the last 24 hours,
    so that many small runs do not empty a list. A list that had no members has no ceiling: people who leave it joined
    in the same run.

    Attributes:
        percent: the share of a list's members whose removal the ledger may derive. Removals of a run that did not end
            cleanly count in the next one.
        explain: returns the name of a list and a sentence about the likely reason, for the message.
        now: returns the Unix time.
        deleted_percent: the share whose rows may be marked as deleted.
        advice: what to do if the derived removals are intended, for the message.
    """

    percent: int
    explain: Callable[[int], tuple[str, str]]
    now: Callable[[], float]
    deleted_percent: int = _EVERYBODY
    advice: str = "raise the setting for one run"
    _lists: dict[int, _ListCount] = field(default_factory=dict)
    _before: dict[int, _ListCount | None] = field(default_factory=dict)
    """The counts that changed since `checkpoint`, as they were; None for a list that was not counted yet."""

    def checkpoint(self) -> Callable[[], None]:
        """Return a function that takes back what is counted from now on, if the ledger does not commit it."""
        self._before = {}
        return self._undo

    def _undo(self) -> None:
        for number, counts in self._before.items():
            if counts is None:
                self._lists.pop(number, None)
            else:
                self._lists[number] = counts
        self._before = {}

    def _keep(self, number: int) -> None:
        """Keep the counts of a list, before they change, for `_undo`."""
        if number not in self._before:
            counts = self._lists.get(number)
            self._before[number] = counts.copy() if counts is not None else None

    def begin(self, catalogue: Catalogue, number: int, members: int | None = None) -> None:
        """Begin to count the removals from a list, unless this run does already. Called within a transaction.

        Args:
            catalogue: the ledger's catalogue.
            number: the list.
            members: how many members it had at the start, if that has changed since.
        """
        if number not in self._lists:
            self._keep(number)
            catalogue.removal_counts.begin(number, members)
            self.resume(catalogue, number, members)

    def resume(self, catalogue: Catalogue, number: int, members: int | None = None) -> None:
        """Continue the count of the last run. Called within a transaction; the arguments are those of `begin`."""
        entry = catalogue.lists.entry(number)
        if members is not None:
            entry = entry._replace(members=members)
        now = self.now()
        start = ListStart(entry.members, self.percent, self.deleted_percent)
        catalogue.removal_counts.add_start(number, start, now, now - _DAY_SECONDS)
        derived = _Ceiling(self.percent, may_always_be_removed, _Span(entry.at_stake, entry.derived))
        deleted = _Ceiling(self.deleted_percent, may_always_be_deleted, _Span(entry.members))
        for each in catalogue.removal_counts.starts(number):
            derived.look_back(each.members, _Use(each.derived, each.removal_percent))
            deleted.look_back(each.members, _Use(each.deleted, each.deleted_percent))
        self._lists[number] = _ListCount(entry.members, derived, deleted, entry.members, now)

    def count(self, catalogue: Catalogue, moved: Mapping[int, Movement]) -> None:
        """Count removals, and write the counts to the ledger. Called within the transaction that writes the decisions.

        Args:
            catalogue: the ledger's catalogue.
            moved: list number → how many join and leave.

        Raises:
            RemovalCeilingError: more people would leave a list than the settings allow. The caller rolls the
                transaction back.
        """
        for number, movement in moved.items():
            added, derived, deleted, refused, let_in = movement
            joined = added - derived - deleted - refused
            self._keep(number)
            if number not in self._lists:
                # No stream of this run feeds the list: its rows go elsewhere today. Its members have changed by now.
                self.begin(catalogue, number, catalogue.lists.entry(number).members - joined)
            counts = self._lists[number]
            if self.now() - counts.began >= _DAY_SECONDS:
                # A run that lasts for weeks removes more than a single day may.
                catalogue.removal_counts.begin_again(number, counts.remaining)
                self.resume(catalogue, number, counts.remaining)
                counts = self._lists[number] = replace(
                    self._lists[number], refused=counts.refused, let_in=counts.let_in, kept_off=counts.kept_off
                )
            counts.remaining += joined
            exceeded = counts.derived.add(derived, counts.remaining)
            if exceeded is not None:
                raise RemovalCeilingError(self._too_many_derived(number, exceeded), _id_of(catalogue, number))
            exceeded = counts.deleted.add(deleted, counts.remaining)
            if exceeded is not None:
                raise RemovalCeilingError(self._too_many_deleted(number, exceeded), _id_of(catalogue, number))
            self._count_let_in(catalogue, number, let_in)
            counts.refused += refused
            if derived or deleted:
                catalogue.removal_counts.add(number, derived, deleted, self.now())

    def _count_let_in(self, catalogue: Catalogue, number: int, let_in: int) -> None:
        """Count identities that no row refuses any more. Raises as `count` does."""
        counts = self._lists[number]
        counts.let_in += let_in
        if not let_in or counts.let_in <= _ALWAYS_LET_IN or self.deleted_percent >= _EVERYBODY:
            return
        if counts.kept_off is None:
            counts.kept_off = catalogue.count_refused(number) + counts.let_in
        if counts.let_in > counts.kept_off * self.deleted_percent // 100:
            percent = counts.let_in * 100 // counts.kept_off
            raise RemovalCeilingError(self._too_many_let_in(number, percent), _id_of(catalogue, number))

    def mass_refusals(self) -> list[MassRefusal]:
        """Return the lists that more than half of the members, and more than ten, left by refusals in this run."""
        return [
            MassRefusal(number, counts.members, counts.refused)
            for number, counts in list(self._lists.items())
            if counts.members and counts.refused > max(ALWAYS_ALLOWED, counts.members * _REFUSED_PERCENT // 100)
        ]

    def large_removals(self) -> dict[int, str]:
        """Return list number → how many of how many members left, where the usual ceiling would have ended the run."""
        found = {}
        for number, counts in list(self._lists.items()):
            span = counts.derived.run
            usual = _Ceiling(DEFAULT_REMOVAL_PERCENT, counts.derived.always, span)
            if self.percent > DEFAULT_REMOVAL_PERCENT and span.members and usual.is_exceeded(span, counts.remaining):
                found[number] = f"{span.removed:,} of the {span.members:,} members"
        return found

    def _too_many_derived(self, number: int, how_many: str) -> str:
        name, suspicion = self.explain(number)
        return (
            f"{how_many} of {name} would be removed because their rows changed or are missing from the stream: more "
            f"than {self.percent} % (`max_removal_percent`). {suspicion}If this is intended, {self.advice}."
        )

    def _too_many_deleted(self, number: int, how_many: str) -> str:
        name, suspicion = self.explain(number)
        return (
            f"{how_many} of {name} would be removed because their rows are marked as deleted: more than "
            f"{self.deleted_percent} % (`max_deleted_percent`). The target removes no one else. "
            f"{suspicion}{_CHECK_THE_MARK}"
        )

    def _too_many_let_in(self, number: int, percent: int) -> str:
        name, suspicion = self.explain(number)
        return (
            f"{percent} % of the people who must not be on {name} could be added to it again, because their rows in a "
            "stream with `operation: remove` are marked as deleted: more than "
            f"{self.deleted_percent} % (`max_deleted_percent`). The target adds no one else. "
            f"{suspicion}{_CHECK_THE_MARK}"
        )


def _id_of(catalogue: Catalogue, number: int) -> str | None:
    return catalogue.lists.entry(number).customer_list_id
