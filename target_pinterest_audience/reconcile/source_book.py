"""The sources of one run: their keys, columns and lists as the ledger knows them, and who else reads them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.catalogue.loaders import Kinship, Loader
from target_pinterest_audience.ledger.catalogue.slots import StreamSlot
from target_pinterest_audience.membership.key_forms import formats_of
from target_pinterest_audience.membership.key_kinds import PRECISE, ROUNDED, WORDS, clash
from target_pinterest_audience.membership.statements import Plan, Slot
from target_pinterest_audience.reconcile.locks import reference_to
from target_pinterest_audience.reconcile.lost_columns import explain, still_contributing, stranded
from target_pinterest_audience.reconcile.source_run import Relations, SourceRun, relations
from target_pinterest_audience.records.column_names import plain_name, plain_names
from target_pinterest_audience.routing.plan import FormerLists

if TYPE_CHECKING:
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.membership.row_keys import Digester, RowDigester
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.routing.stream import StreamShape


class SourceBook:
    """Enters the sources of a run into the ledger, and refuses one whose rows cannot be told from their former selves.

    Attributes:
        runs: what the run knows of each source that it reads, by the ledger's number.
    """

    def __init__(
        self,
        ledger: Ledger,
        digester: Digester,
        configuration: str,
        run: int,
        logger: logging.Logger,
        now: Callable[[], float],
    ) -> None:
        """Begin without any.

        Args:
            ledger: the ledger.
            digester: makes the digests of its rows.
            configuration: the digest of the settings that say which rows go to which lists.
            run: the number of the run.
            logger: takes warnings.
            now: returns the Unix time.
        """
        self.runs: dict[int, SourceRun] = {}
        self._ledger = ledger
        self._digester = digester
        self._configuration = configuration
        self._run = run
        self._logger = logger
        self._now = now
        # Shared by all plans: a row can be in a column that another stream of its source brought in later.
        self._columns: dict[int, Slot] = {}
        self._former_kinds: dict[int, Mapping[str, frozenset[str]]] = {}
        """Source → the kinds of values that its key properties came as in former runs."""
        self._loaders: list[Loader] | None = None
        """All loaders of the ad account, as they were before the run."""
        self._loaded: set[int] = set()
        """Their lists."""
        self._readers: dict[int, dict[int, int]] = {}
        """Source → list → who marks the rows that are read for it."""
        self._related: dict[int, set[int]] = {}
        """Source → the lists of this run by which it was held against other loaders."""
        self._own: dict[int, set[int]] = {}
        """Source → the lists that are known to belong to these settings, and to those that share a list with them."""
        self._introduced: set[tuple[int, str]] = set()

    def open(
        self,
        shape: StreamShape,
        columns: Mapping[str, IdentityType],
        lists: frozenset[int] | None,
    ) -> tuple[Plan, dict[str, int]]:
        """Enter a source whose lock is held, and return what its events refer to.

        Args:
            shape: the stream that belongs to the source.
            columns: its identity columns and their types, by the names that the ledger knows them by.
            lists: the lists that its identities go to; None if each row names its own.

        Returns:
            The plan, and column → slot.

        Raises:
            ConfigurationError: its rows were known by another key in former runs, or none of the columns is left that
                put people on lists.
        """
        catalogue = self._ledger.catalogue
        with self._ledger.transaction():
            number = catalogue.sources.add(shape.source)
            catalogue.sources.note_read(number, self._now())
            self._check_key(number, shape)
            known_as = {(plain_name(name), kind): name for name, kind in catalogue.slots.all().values()}
            known_as.update(((name, kind), name) for name, kind in catalogue.slots.all().values())
            slots = {
                column: catalogue.slots.add(known_as.get((column, kind.name), column), kind.name)
                for column, kind in columns.items()
            }
            self._columns.update({slot: Slot(*each) for slot, each in catalogue.slots.all().items()})
            source = self.runs.get(number)
            if source is None:
                mark = catalogue.sources.next_mark(number)
                source = self.runs[number] = SourceRun(number, self._configuration, mark, readers=set())
            if lists is None:
                self._join_readers(source)
            self._feed(source, lists or ())
            self._follow_columns(source, shape, set(slots.values()))
        return (
            Plan(
                number, lists, self._columns, frozenset(slots.values()),
                keyed=bool(shape.key_properties), strangers=source.strangers,
            ),
            slots,
        )  # fmt: skip

    def _check_key(self, source: int, shape: StreamShape) -> None:
        """Note the key of a source.

        Raises:
            ConfigurationError: its rows were known by another one in former runs.
        """
        former = self._ledger.catalogue.sources.key_properties(source)
        if former is None:
            self._ledger.catalogue.sources.set_key_properties(source, shape.key_properties)
        elif sorted(plain_names(former)) != sorted(shape.key_properties):
            msg = (
                f"The rows of source {shape.source} were known by the key ({', '.join(former) or 'none'}) and now come "
                f"with ({', '.join(shape.key_properties) or 'none'}), so that a row cannot be told from its former "
                "self. Restore the key; or, to start over, give the source another `source_name`: what its rows "
                "said under the old one stays in force."
            )
            raise ConfigurationError(msg)

    def _follow_columns(self, source: SourceRun, shape: StreamShape, present: set[int]) -> None:
        """Note which identity columns a stream has, and warn if one is gone whose people would stay for good.

        Raises:
            ConfigurationError: none is left of those that put people on lists.
        """
        catalogue, stream = self._ledger.catalogue, shape.tally.stream
        former = {
            each.slot
            for reader in source.readers
            for each in catalogue.slots.of_streams(source.source, reader)
            if each.stream == stream
        }
        gone = stranded(former, present, self._columns)
        contributing = set[int]()
        if gone:
            contributing = still_contributing(self._ledger, source.source, gone, self.lists_marked_for(source))
        for reader in sorted(source.readers):
            for slot in sorted(set(gone) - contributing):
                catalogue.slots.forget_stream(source.source, reader, StreamSlot(stream, slot, source.mark))
            for slot in sorted(present):
                catalogue.slots.note_stream(source.source, reader, StreamSlot(stream, slot, source.mark))
        if not contributing:
            return
        free = [name for name in shape.properties if name not in shape.columns]
        what = explain(stream, [self._columns[slot] for slot in sorted(contributing)], free)
        if contributing == former:
            msg = (
                f"{what} None of the columns is left that it was known by, so nothing is done. To start over with "
                "these columns, give the stream another `source_name`; to remove those people first, `clear` their "
                "lists."
            )
            raise ConfigurationError(msg)
        if what not in shape.tally.warnings:
            shape.tally.warnings.add(what)
            self._logger.warning(
                "%s Those people stay on the lists. To let them go, read the stream in full with `load_method: "
                "overwrite` and call `pinterest-audience prune`.", what,
            )  # fmt: skip

    def _join_readers(self, source: SourceRun) -> None:
        """Mark rows for all lists that the rows of a source were ever on, unless other loaders have them."""
        self._relate(source, ())
        for number, reader in self._readers_of(source).items():
            if number not in source.strangers:
                source.readers.add(reader)
        if not source.readers:
            self._choose_reader(source)

    def _choose_reader(self, source: SourceRun) -> None:
        """Mark rows apart from other settings, if others read them."""
        catalogue = self._ledger.catalogue
        source.readers.add(catalogue.feeds.new_reader() if self._readers_of(source) else 0)

    def digester_of(self, source: int, name: str, schemas: Mapping[str, Any]) -> RowDigester:
        """Return what digests the keys of a source's rows, by the rules that it began with.

        Args:
            source: the source.
            name: its name.
            schemas: key property → its JSON schema.
        """
        catalogue = self._ledger.catalogue
        rules, kinds = catalogue.sources.key_rules(source), catalogue.sources.key_kinds(source)
        self._former_kinds.setdefault(source, kinds)
        # Earlier versions took a byte order mark for a part of the name.
        known_as = {plain_name(each): each for each in catalogue.sources.key_properties(source) or ()}
        return self._digester.rows(name, list(schemas), formats_of(schemas, rules), rules, kinds, known_as)

    def check_kinds(self, source: int, kinds: Mapping[str, Collection[str]]) -> None:
        """Make sure that no key property comes as other rows than before.

        Args:
            source: the source.
            kinds: key property → the kinds of its values that are new.

        Raises:
            ConfigurationError: the values of a key property changed their type since former runs.
        """
        catalogue = self._ledger.catalogue
        rules, known = catalogue.sources.key_rules(source), catalogue.sources.key_kinds(source)
        for name, new in kinds.items():
            former = self._former_kinds[source].get(name, frozenset())
            kind = clash(former and former | known.get(name, frozenset()), new, rules)
            if kind is not None:
                raise _changed_type(name, catalogue.sources.name(source), former, kind)

    def note_kinds(self, source: int, kinds: Mapping[str, Collection[str]]) -> None:
        """Note the kinds of values that key properties of a source come as, before the first row of them is written."""
        catalogue = self._ledger.catalogue
        known = catalogue.sources.key_kinds(source)
        new = {name: set(each) - known.get(name, frozenset()) for name, each in kinds.items()}
        if any(new.values()):
            with self._ledger.transaction():
                catalogue.sources.add_key_kinds(source, new)
        for name in [name for name, each in new.items() if PRECISE in each]:
            self._logger.warning(
                "Source %s: the key property %s has numbers with more digits than a floating-point number holds. "
                "A tap that rounds them, as tap-postgres does in LOG_BASED mode, changes the key: the target cannot "
                "find the rows that it updates or deletes. Read this table with FULL_TABLE only, or cast the column "
                "to text.", catalogue.sources.name(source), name,
            )  # fmt: skip

    def feed(self, source: SourceRun, numbers: Collection[int]) -> None:
        """Note that a source feeds lists."""
        with self._ledger.transaction():
            self._feed(source, numbers)

    def _feed(self, source: SourceRun, numbers: Collection[int]) -> None:
        catalogue = self._ledger.catalogue
        known = self._readers_of(source)
        source.readers.update(known[number] for number in numbers if number in known)
        if not source.readers:
            self._choose_reader(source)
        self._relate(source, numbers)
        for number in numbers:
            known.setdefault(number, min(source.readers))
            catalogue.feeds.add(source.source, number, min(source.readers))
            catalogue.loaders.note(source.source, number, self._configuration, self._run)

    def _readers_of(self, source: SourceRun) -> dict[int, int]:
        """Return the lists that a source has ever fed, and who marks the rows that are read for each."""
        if source.source not in self._readers:
            self._readers[source.source] = self._ledger.catalogue.feeds.readers_of_lists(source.source)
        return self._readers[source.source]

    def _relate(self, source: SourceRun, numbers: Collection[int]) -> None:
        """Find out which lists of a source other loaders feed, or fed."""
        if self._loaders is None:
            self._loaders = self._ledger.catalogue.loaders.all()
            self._loaded = {each.list_number for each in self._loaders}
        if source.source in self._related and self._loaded.isdisjoint({*numbers} - self._own[source.source]):
            # Rows can name thousands of lists; one that no other loader has fed before changes nothing.
            return
        lists = self._related.setdefault(source.source, set())
        lists.update(numbers)
        found = relations(source.source, self._configuration, self._run, lists, self._loaders)
        self._own[source.source] = {
            *lists,
            *(each.list_number for each in self._loaders if each.configuration in found.family),
        }
        source.strangers.clear()
        source.strangers.update(found.strangers)
        source.acquaintances.clear()
        for number in found.acquaintances:
            kinship = self._kinship(source.source, number, found.family)
            source.acquaintances[number] = kinship
            if kinship.is_stranger:
                source.strangers.add(number)
        self._introduce(source, found)

    def _kinship(self, source: int, number: int, family: Collection[str]) -> Kinship:
        """Return what is known of the rows behind a list: settings that changed since have learnt it, perhaps."""
        known = [self._ledger.catalogue.loaders.kinship(source, number, each) for each in family]
        return max(known, key=sum, default=Kinship(0, 0))

    def _introduce(self, source: SourceRun, found: Relations) -> None:
        """Warn, before anything is removed, of lists that other settings fed and that may be nobody's now."""
        unknown = [number for number in found.acquaintances if not any(source.acquaintances[number])]
        self._warn_of(
            source.source,
            unknown,
            "If it is the same table, a deleted row leaves them too. If it is another table of the same name, give it "
            "a `source_name` of its own.",
        )
        self._warn_of(
            source.source,
            found.idle,
            "They are left to those settings, and a deleted row stays on them. If those settings are not used any "
            "more, `clear` these lists.",
        )

    def _warn_of(self, source: int, numbers: Collection[int], words: str) -> None:
        """Warn of lists that other settings fed, once in a run."""
        catalogue = self._ledger.catalogue
        names = ", ".join(str(reference_to(catalogue.lists.entry(each))) for each in sorted(numbers))
        if names and (source, words) not in self._introduced:
            self._introduced.add((source, words))
            name = catalogue.sources.name(source)
            self._logger.warning("Source %s fed other lists under other settings: %s. %s", name, names, words)

    def lists_marked_for(self, source: SourceRun) -> list[int]:
        """Return the lists whose rows a run marks, among those that a source has ever fed."""
        readers = self._readers_of(source)
        return sorted(
            number for number, reader in readers.items() if number not in source.strangers and reader in source.readers
        )

    def knows(self, name: str) -> bool:
        """Tell whether any run has read a source."""
        return self._ledger.catalogue.sources.find(name) is not None

    def lists_of(self, source: int) -> list[int]:
        """Return the numbers of the lists that a source has ever fed."""
        return sorted(entry.number for entry in self._ledger.catalogue.lists.of_source(source))


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


def _changed_type(name: str, source: str, former: Collection[str], kind: str) -> ConfigurationError:
    if kind == ROUNDED:
        # Numbers besides: the change is in their digits.
        former = {PRECISE}
    elif kind == PRECISE:
        former = {ROUNDED}
    before = " and ".join(WORDS[each] for each in sorted(former) if each not in {ROUNDED, PRECISE} or len(former) == 1)
    return ConfigurationError(
        f"The key property {name} of source {source} came as {before} in former runs and now comes as {WORDS[kind]}, "
        "so that a row cannot be told from its former self. Nothing of these rows was sent. Restore the type of the "
        "column, or the way in which the tap reads it; or, to start over, give the source another `source_name`: what "
        "its rows said under the old one stays in force."
    )
