"""How many people may leave a list because the ledger says so, before a person has to say that it is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import RemovalCeilingError

if TYPE_CHECKING:
    from target_pinterest_audience.changes import Decisions
    from target_pinterest_audience.ledger.catalogue import ListEntry

ALWAYS_ALLOWED: Final = 10
"""How many people may leave any list, however small it is."""

_EVERYBODY: Final = 100


@dataclass(slots=True)
class Ceilings:
    """The ceilings of all lists of a run.

    Attributes:
        percent: the share of a list's members that may leave.
        explain: names a list and tells what could be at fault, for the message.
        members: list number → its members when the run began, or the first run since one ended cleanly. A list that
            had none has no ceiling: all that could leave it came since then.
        derived: list number → how many have left since then because the ledger derived it, as against those whose rows
            were deleted or who were refused.
    """

    percent: int
    explain: Callable[[int], tuple[str, str]]
    members: dict[int, int] = field(default_factory=dict)
    derived: Counter[int] = field(default_factory=Counter)
    advice: str = "raise the setting for one run"
    """What to do if the removals are meant."""

    def open(self, entry: ListEntry) -> None:
        """Take in a list as the ledger knows it."""
        self.members[entry.number] = entry.at_stake
        self.derived[entry.number] = entry.derived

    def check(self, decisions: Decisions) -> Mapping[int, int]:
        """Count the removals among decisions.

        Returns:
            List number → how many of them the ledger derived, where there are any.

        Raises:
            RemovalCeilingError: they are too many for their list.
        """
        derived = count_derived(decisions)
        for number, leaving in derived.items():
            self.count(number, leaving)
        return derived

    def count(self, number: int, leaving: int) -> None:
        """Count removals from one list. Raises as `check` does."""
        total = self.derived[number] + leaving
        members = self.members.get(number, 0)
        # Who came in this very run can leave too, so that even all of those at the start can be exceeded.
        limited = members and self.percent < _EVERYBODY
        if limited and total > max(ALWAYS_ALLOWED, members * self.percent // 100):
            name, suspicion = self.explain(number)
            msg = (
                f"{total:,} of the {members:,} members of {name} would be removed, since their rows changed or were "
                f"not named any more: more than {self.percent} % (`max_removal_percent`). {suspicion}If it is meant, "
                f"{self.advice}."
            )
            raise RemovalCeilingError(msg)
        self.derived[number] = total


def count_derived(decisions: Decisions) -> Mapping[int, int]:
    """Return, for each list, how many removals the ledger derived."""
    derived: Counter[int] = Counter()
    for number, decided in decisions.items():
        derived[number] = sum(not removal.cause.explicit for removal in decided.removals.values())
    return +derived
