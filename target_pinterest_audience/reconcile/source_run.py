"""What one run knows of a source while it reads it: how it marks rows, and whose lists it keeps away from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.ledger.catalogue.loaders import Kinship, Loader

if TYPE_CHECKING:
    from target_pinterest_audience.membership.statements import Event, Says


@dataclass(slots=True)
class SourceRun:
    """A source in one run.

    Attributes:
        source: the ledger's number for it.
        configuration: the digest of the settings that say which rows go to which lists.
        mark: what the rows are marked with that the run sees; 0 if they are not marked.
        readers: who marks them. Loaders that share no list mark rows apart, so that each prunes its own.
        overwrites: whether unchanged rows are marked too, for `prune`.
        strangers: the lists of other loaders. What rows with the same keys say of these is left alone.
        acquaintances: the lists that other settings fed before these did, and what the rows behind them have in common
            with the rows of this run: either the settings changed, or there are two tables of one name.
    """

    source: int
    configuration: str = ""
    mark: int = 0
    readers: set[int] = field(default_factory=lambda: {0})
    overwrites: bool = False
    strangers: set[int] = field(default_factory=set)
    acquaintances: dict[int, Kinship] = field(default_factory=dict)

    @property
    def is_first(self) -> bool:
        """Whether no run has read the source before."""
        return self.mark == 1

    def compare(self, events: Iterable[Event], says: Says) -> set[int]:
        """Hold what a row says of acquaintances' lists against what a record of the same key names.

        Rows that these settings have read before are passed over: their people may have changed since.

        Args:
            events: the events of the row.
            says: what it said before.

        Returns:
            The lists of which more is known now.
        """
        there = {s.list_number for s in says} & self.acquaintances.keys()
        if not there or {s.list_number for s in says} - self.acquaintances.keys() - self.strangers:
            return set()
        named = next(({each.identity for each in event.named} for event in events if event.named), None)
        if named is None:
            return set()
        for number in there:
            same, differing = self.acquaintances[number]
            is_same = any(s.list_number == number and s.identity in named for s in says)
            kinship = self.acquaintances[number] = Kinship(same + is_same, differing + (not is_same))
            (self.strangers.add if kinship.is_stranger else self.strangers.discard)(number)
        return there


class Relations(NamedTuple):
    """The lists of a source that other settings feed, or fed.

    Attributes:
        family: the settings that share a list with those in use, and with each other, by their digests.
        strangers: the lists whose loaders have run since the family ran first: they are in use beside it.
        idle: those of the strangers whose loaders have not run since the family ran last.
        acquaintances: the other lists.
    """

    family: set[str]
    strangers: set[int]
    idle: set[int]
    acquaintances: set[int]


def relations(
    source: int, configuration: str, run: int, lists: Collection[int], loaders: Collection[Loader]
) -> Relations:
    """Tell the lists of other loaders of a source from those of the settings in use.

    Loaders that share a list belong together, whatever they read.

    Args:
        source: the source.
        configuration: the digest of the settings in use.
        run: the number of the run.
        lists: the lists that the settings feed in this run, as far as they are known.
        loaders: all loaders of the ad account, as they were before the run.
    """
    own = {*lists, *(each.list_number for each in loaders if each.configuration == configuration)}
    while True:
        family = {configuration, *(each.configuration for each in loaders if each.list_number in own)}
        more = {each.list_number for each in loaders if each.configuration in family} - own
        if not more:
            break
        own |= more
    of_source = [each for each in loaders if each.source == source]
    of_family = [each for each in of_source if each.configuration in family]
    began = min((each.first_run for each in of_family), default=run)
    last = max((each.last_run for each in of_family), default=0)
    others = [each for each in of_source if each.list_number not in own]
    strangers = {each.list_number for each in others if each.last_run > began}
    in_use = {each.list_number for each in others if each.last_run > last}
    return Relations(family, strangers, strangers - in_use, {each.list_number for each in others} - strangers)
