"""The state of one source during one run: how its rows are marked, and which lists it must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.catalogue.loaders import Kinship

if TYPE_CHECKING:
    from target_pinterest_audience.membership.events import Event
    from target_pinterest_audience.membership.statements import Statements


@dataclass(slots=True)
class SourceRun:
    """A source in one run.

    Attributes:
        source: the ledger's number for it.
        configuration: the digest of the settings that choose which rows go to which lists.
        mark: the mark of the rows that the run reads; 0 if they are not marked.
        readers: the readers whose marks the rows get. Loaders that share no list mark rows separately, so that each
            prunes its own.
        overwrites: whether unchanged rows are marked too, for `prune`.
        row_rules: the settings by which its rows refuse and are deleted, as `name:digest`.
        foreign_lists: the lists of other loaders. What rows with the same keys say about them is not changed.
        lists_of_other_refusals: the lists that other settings fed whose rows refuse by other settings.
        unclear_lists: the lists that other settings fed before, and what their rows have in common with the rows of
            this run: either the settings changed, or two tables have one name.
        fed_together: unclear list → all unclear lists that the same settings fed. They belong to one table.
    """

    source: int
    configuration: str = ""
    mark: int = 0
    readers: set[int] = field(default_factory=lambda: {0})
    overwrites: bool = False
    row_rules: set[str] = field(default_factory=set)
    foreign_lists: set[int] = field(default_factory=set)
    lists_of_other_refusals: set[int] = field(default_factory=set)
    unclear_lists: dict[int, Kinship] = field(default_factory=dict)
    fed_together: dict[int, set[int]] = field(default_factory=dict)

    @property
    def is_first(self) -> bool:
        """Whether no run has read the source before."""
        return self.mark == 1

    def checkpoint(self) -> Callable[[], None]:
        """Return a function that forgets what `compare` learns from now on."""
        foreign, unclear = set(self.foreign_lists), dict(self.unclear_lists)

        def undo() -> None:
            # In place: plans share these.
            self.foreign_lists.clear()
            self.foreign_lists.update(foreign)
            self.unclear_lists.clear()
            self.unclear_lists.update(unclear)

        return undo

    def compare(self, events: Iterable[Event], says: Statements) -> set[int]:
        """Compare what a row says about the unclear lists with the identities in a record of the same key.

        Rows that these settings have read before are skipped: their identities may have changed since.

        Args:
            events: the events of the row.
            says: its statements before.

        Returns:
            The lists that more is known about now: `judge_all` decides about them.
        """
        compared = {s.list_number for s in says} & self.unclear_lists.keys()
        if not compared or {s.list_number for s in says} - self.unclear_lists.keys() - self.foreign_lists:
            return set()
        event = next((event for event in events if event.named), None)
        if event is None:
            return set()
        named = {each.identity for each in event.named}
        columns = event.plan.columns
        # Under another hash algorithm, or in a column of another type, the same person looks different.
        forms = {(columns[each.slot].type, len(each.identity)) for each in event.named}
        learned = set()
        for number in compared:
            said = [s for s in says if s.list_number == number]
            is_same = any(s.identity in named for s in said)
            if is_same or any((columns[s.slot].type, len(s.identity)) in forms for s in said):
                same, differing = self.unclear_lists[number]
                self.unclear_lists[number] = Kinship(same + is_same, differing + (not is_same))
                learned.add(number)
        return learned

    def judge_all(self, numbers: Iterable[int]) -> None:
        """Decide about unclear lists, after something was learned about them; see `judge`."""
        judged: set[int] = set()
        for number in numbers:
            if number not in judged:
                self.judge(number)
                judged |= self.fed_together[number]

    def judge(self, number: int) -> None:
        """Decide whether an unclear list, and those that were fed together with it, belong to another table."""
        known = [self.unclear_lists[each] for each in self.fed_together[number]]
        is_foreign = Kinship(sum(each.same for each in known), sum(each.differing for each in known)).is_stranger
        (self.foreign_lists.update if is_foreign else self.foreign_lists.difference_update)(self.fed_together[number])
