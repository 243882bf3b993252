"""Loaders: the settings that feed lists from a source, and which lists of a source belong to other settings."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.ledger.catalogue.loaders import Kinship, Loader
from target_pinterest_audience.reconcile.locks import reference_to
from target_pinterest_audience.routing.plan import FormerLists

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.sources.source_run import SourceRun
    from target_pinterest_audience.routing.plan import ListReference


class Relations(NamedTuple):
    """The lists of a source that other settings feed, or fed.

    Attributes:
        family: the digests of the settings in use and of all settings that share a list with them or with each other.
        foreign: the lists whose loaders have run since the first run of the family, so that both are in use; and those
            whose rows are deleted by other settings.
        idle: the foreign lists whose loaders have not run since the last run of the family.
        unclear: the other lists.
        other_refusals: the lists whose rows refuse by other settings.
    """

    family: set[str]
    foreign: set[int]
    idle: set[int]
    unclear: set[int]
    other_refusals: set[int]


def relations(
    source: int,
    configuration: str,
    run: int,
    lists: Collection[int],
    loaders: Collection[Loader],
    row_rules: AbstractSet[str] = frozenset(),
) -> Relations:
    """Find the lists of a source that belong to other loaders than the settings in use.

    Loaders that share a list belong together, whatever they read.

    Args:
        source: the source.
        configuration: the digest of the settings in use.
        run: the number of the run.
        lists: the lists known so far that the settings feed in this run.
        loaders: all loaders of the ad account before the run.
        row_rules: the settings by which the rows refuse and are deleted, as `name:digest`; none if not known.
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
    foreign = {
        each.list_number for each in others if each.last_run > began or _differ("deletion", row_rules, each.row_rules)
    }
    other_refusals = {each.list_number for each in others if _differ("refusal", row_rules, each.row_rules)}
    in_use = {each.list_number for each in others if each.last_run > last > 0}
    unclear = {each.list_number for each in others} - foreign
    return Relations(family, foreign, foreign - in_use, unclear, other_refusals)


def _differ(name: str, one: AbstractSet[str], other: AbstractSet[str]) -> bool:
    """Return whether two sets of settings are known to have nothing in common for one name."""
    ours, theirs = ({each for each in rules if each.startswith(f"{name}:")} for rules in (one, other))
    return bool(ours and theirs) and ours.isdisjoint(theirs)


def fed_together(lists: Collection[int], loaders: Iterable[Loader]) -> dict[int, set[int]]:
    """Return each of some lists with all of them that the same settings fed, or settings that share a list with them.

    Args:
        lists: the lists.
        loaders: the loaders.
    """
    found = {number: {number} for number in lists}
    of_settings: dict[str, int] = {}
    for each in loaders:
        if each.list_number in found:
            first = of_settings.setdefault(each.configuration, each.list_number)
            small, large = sorted((found[first], found[each.list_number]), key=len)
            if small is not large:
                large |= small
                found.update(dict.fromkeys(small, large))
    return found


class OtherLoaders:
    """Keeps each source of a run away from the lists of other loaders, and warns about them."""

    def __init__(self, ledger: Ledger, configuration: str, run: int, logger: logging.Logger) -> None:
        """Begin without sources.

        Args:
            ledger: the ledger.
            configuration: the digest of the settings that choose which rows go to which lists.
            run: the number of the run.
            logger: logs warnings.
        """
        self._ledger = ledger
        self._configuration = configuration
        self._run = run
        self._logger = logger
        self._loaders: list[Loader] | None = None
        """All loaders of the ad account before the run."""
        self._loaded: set[int] = set()
        """The lists of these loaders."""
        self._related: dict[int, set[int]] = {}
        """Source → the lists of this run that were compared with those of other loaders."""
        self._own: dict[int, set[int]] = {}
        """Source → the lists that belong to these settings and to settings that share a list with them."""
        self._rules: dict[int, frozenset[str]] = {}
        """Source → the rules of its rows by which they were compared."""
        self._warned: set[tuple[int, str]] = set()

    def relate(self, source: SourceRun, numbers: Collection[int]) -> None:
        """Find the lists of a source that other loaders feed, or fed, now that it feeds some more lists.

        Args:
            source: the source.
            numbers: the lists.
        """
        if self._loaders is None:
            self._loaders = self._ledger.catalogue.loaders.all()
            self._loaded = {each.list_number for each in self._loaders}
        own, rules = self._own.get(source.source), frozenset(source.row_rules)
        if own is not None and self._loaded.isdisjoint({*numbers} - own) and self._rules[source.source] == rules:
            # Rows can name thousands of lists; a list that no other loader has fed before changes nothing.
            return
        lists = self._related.setdefault(source.source, set())
        lists.update(numbers)
        found = relations(source.source, self._configuration, self._run, lists, self._loaders, source.row_rules)
        source.foreign_lists.clear()
        source.foreign_lists.update(found.foreign)
        source.lists_of_other_refusals.clear()
        source.lists_of_other_refusals.update(found.other_refusals)
        source.unclear_lists.clear()
        for number in found.unclear:
            source.unclear_lists[number] = self._kinship(source.source, number, found.family)
        source.fed_together = fed_together(found.unclear, self._loaders)
        source.judge_all(found.unclear)
        self._warn(source, found)
        # Last: if the transaction of the caller is cut before, all of this is done again.
        self._rules[source.source] = rules
        self._own[source.source] = {
            *lists,
            *(each.list_number for each in self._loaders if each.configuration in found.family),
        }

    def _kinship(self, source: int, number: int, family: Collection[str]) -> Kinship:
        """Return what is known about the rows behind a list; the settings of the family may have learned it."""
        known = [self._ledger.catalogue.loaders.kinship(source, number, each) for each in family]
        return max(known, key=sum, default=Kinship(0, 0))

    def _warn(self, source: SourceRun, found: Relations) -> None:
        """Warn of lists that other settings fed and may not feed any more, before anything is removed from them."""
        informed = {number for number, kinship in source.unclear_lists.items() if any(kinship)}
        unknown = [number for number in found.unclear if source.fed_together[number].isdisjoint(informed)]
        self._warn_once(
            source.source,
            unknown,
            "If this is the same table, a deleted row leaves these lists too. If it is another table with the same "
            "name, give it a `source_name` of its own.",
        )
        self._warn_once(
            source.source,
            found.idle,
            "This run does not change them, and the people of deleted rows stay on them. If those settings are not "
            "used any more, `clear` these lists.",
        )

    def _warn_once(self, source: int, numbers: Collection[int], words: str) -> None:
        """Warn of lists that other settings fed, once in a run."""
        catalogue = self._ledger.catalogue
        names = ", ".join(str(reference_to(catalogue.lists.entry(each))) for each in sorted(numbers))
        if names and (source, words) not in self._warned:
            name = catalogue.sources.name(source)
            self._warned.add((source, words))
            self._logger.warning("Source %s fed other lists under other settings: %s. %s", name, names, words)


def former_lists(ledger: Ledger, source: str, references: Collection[ListReference], configuration: str) -> FormerLists:
    """Return the lists that a source has fed.

    Args:
        ledger: the ledger.
        source: the source's name.
        references: the lists that the settings in use can choose for it.
        configuration: the digest of the settings in use.
    """
    catalogue = ledger.catalogue
    former = FormerLists([], [])
    number = catalogue.sources.find(source)
    if number is None:
        return former
    chosen = {entry.number for entry in map(catalogue.lists.pinned, map(str, references)) if entry is not None}
    loaders = catalogue.loaders.all()
    family = relations(number, configuration, 0, chosen, loaders).family
    ours = {each.list_number for each in loaders if each.source == number and each.configuration in family}
    theirs = {each.list_number for each in loaders if each.source == number} - ours
    for entry in catalogue.lists.of_source(number):
        (former.others if entry.number in theirs else former.own).append(str(reference_to(entry)))
    return former
