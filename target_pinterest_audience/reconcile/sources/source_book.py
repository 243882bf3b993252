"""The source book: enters the sources of a run into the ledger, with their columns, lists and readers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.catalogue.slots import StreamSlot
from target_pinterest_audience.membership.events import Plan, Slot
from target_pinterest_audience.membership.statements import CLAIMS, REFUSALS
from target_pinterest_audience.reconcile.sources.loaders import OtherLoaders
from target_pinterest_audience.reconcile.sources.lost_columns import explain, still_used, stranded
from target_pinterest_audience.reconcile.sources.source_keys import SourceKeys
from target_pinterest_audience.reconcile.sources.source_run import SourceRun
from target_pinterest_audience.records.column_names import plain_name

if TYPE_CHECKING:
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.routing.stream import StreamShape


_STAY_ON: Final = (
    "Those people stay on the lists. To remove them, read the stream in full with `load_method: overwrite` and run "
    "`pinterest-audience prune`."
)
_STAY_OFF: Final = "Those people stay off the lists, but the target reads no one else from these columns."


class SourceBook:
    """Enters the sources of a run into the ledger.

    Attributes:
        runs: the ledger's number for a source → its state in this run.
        keys: the keys of the sources.
    """

    def __init__(
        self,
        ledger: Ledger,
        configuration: str,
        run: int,
        logger: logging.Logger,
        now: Callable[[], float],
    ) -> None:
        """Begin without sources.

        Args:
            ledger: the ledger.
            configuration: the digest of the settings that choose which rows go to which lists.
            run: the number of the run.
            logger: logs warnings.
            now: returns the Unix time.
        """
        self.runs: dict[int, SourceRun] = {}
        self.keys = SourceKeys(ledger, logger)
        self._ledger = ledger
        self._configuration = configuration
        self._run = run
        self._logger = logger
        self._now = now
        self._others = OtherLoaders(ledger, configuration, run, logger)
        # Shared by all plans: a row can be in a column that another stream of its source adds later.
        self._columns: dict[int, Slot] = {}
        self._readers: dict[int, dict[int, int]] = {}
        """Source → list → the reader that marks the rows read for it."""

    def open(
        self,
        shape: StreamShape,
        columns: Mapping[str, IdentityType],
        lists: frozenset[int] | None,
    ) -> tuple[Plan, dict[str, int]]:
        """Enter the source of a stream, whose lock is held.

        Args:
            shape: the stream.
            columns: the identity columns and their types, by their names in the ledger.
            lists: the lists that the identities go to; None if each row names its own.

        Returns:
            The plan of the stream, and column → slot.

        Raises:
            ConfigurationError: the rows had another key in former runs; or none of the columns is left that put people
                on lists.
        """
        marked: list[SourceRun] = []

        def forget_marks() -> None:
            for each in marked:
                each.mark = 0

        source, slots = self._ledger.transact(lambda: self._enter(shape, columns, lists, marked), forget_marks)
        return (
            Plan(
                source.source, lists, self._columns, frozenset(slots.values()),
                keyed=bool(shape.key_properties), foreign_lists=source.foreign_lists,
                unclear_lists=source.unclear_lists.keys(), lists_of_other_refusals=source.lists_of_other_refusals,
                holdout=shape.holdout,
            ),
            slots,
        )  # fmt: skip

    def _enter(
        self,
        shape: StreamShape,
        columns: Mapping[str, IdentityType],
        lists: frozenset[int] | None,
        marked: list[SourceRun],
    ) -> tuple[SourceRun, dict[str, int]]:
        """Do what `open` does, within a transaction; add the source to `marked` if it gets its mark in it."""
        catalogue = self._ledger.catalogue
        number = catalogue.sources.add(shape.source)
        catalogue.sources.note_read(number, self._now())
        self.keys.note_key(number, shape)
        known_as = {(plain_name(name), kind): name for name, kind in catalogue.slots.all().values()}
        known_as.update(((name, kind), name) for name, kind in catalogue.slots.all().values())
        slots = {
            column: catalogue.slots.add(known_as.get((column, kind.name), column), kind.name)
            for column, kind in columns.items()
        }
        self._columns.update({slot: Slot(*each) for slot, each in catalogue.slots.all().items()})
        source = self.runs.setdefault(number, SourceRun(number, self._configuration, readers=set()))
        setting = self._ledger.digester.setting
        source.row_rules.update(f"{name}:{setting(name, rule)}" for name, rule in shape.row_rules.items())
        if not source.mark:
            source.mark = catalogue.sources.next_mark(number)
            marked.append(source)
        if lists is None:
            self._join_readers(source)
        self._feed(source, lists or ())
        self._follow_columns(source, shape, set(slots.values()))
        return source, slots

    def _follow_columns(self, source: SourceRun, shape: StreamShape, present: set[int]) -> None:
        """Note the identity columns of a stream, and warn if a column is gone whose people would stay on their lists.

        Raises:
            ConfigurationError: none of the columns is left that put people on lists.
        """
        catalogue, stream = self._ledger.catalogue, shape.tally.stream
        former = {
            each.slot
            for reader in source.readers
            for each in catalogue.slots.of_streams(source.source, reader)
            if each.stream == stream
        }
        gone = stranded(former, present, self._columns)
        used = set[int]()
        if gone:
            stances = REFUSALS if shape.removes else CLAIMS
            used = still_used(self._ledger, source.source, gone, self.lists_marked_for(source.source), stances)
        for reader in sorted(source.readers):
            for slot in sorted(set(gone) - used):
                catalogue.slots.forget_stream(source.source, reader, StreamSlot(stream, slot, source.mark))
            for slot in sorted(present):
                catalogue.slots.note_stream(source.source, reader, StreamSlot(stream, slot, source.mark))
        if not used:
            return
        free = [name for name in shape.properties if name not in {*shape.columns, *shape.key_properties}]
        what = explain(stream, [self._columns[slot] for slot in sorted(used)], free, removes=shape.removes)
        if used == former:
            msg = (
                f"{what} None of the stream's former identity columns is left, so the target did nothing. To start "
                "over with the new columns, give the stream another `source_name`. To remove those people first, "
                "`clear` their lists."
            )
            raise ConfigurationError(msg)
        if what not in shape.tally.warnings:
            shape.tally.warnings.add(what)
            self._logger.warning("%s %s", what, _STAY_OFF if shape.removes else _STAY_ON)

    def _join_readers(self, source: SourceRun) -> None:
        """Mark rows for all lists that the source's rows were ever on, except those of other loaders."""
        self._others.relate(source, ())
        for number, reader in self._readers_of(source.source).items():
            if number not in source.foreign_lists:
                source.readers.add(reader)
        if not source.readers:
            self._choose_reader(source)

    def _choose_reader(self, source: SourceRun) -> None:
        """Mark rows by a reader of their own if other settings mark them, too."""
        catalogue = self._ledger.catalogue
        source.readers.add(catalogue.feeds.new_reader() if self._readers_of(source.source) else 0)

    def feed(self, number: int, lists: Collection[int]) -> None:
        """Note that a source feeds lists.

        Args:
            number: the source.
            lists: the lists.
        """
        self._ledger.transact(lambda: self._feed(self.runs[number], lists))

    def _feed(self, source: SourceRun, lists: Collection[int]) -> None:
        catalogue = self._ledger.catalogue
        known = self._readers_of(source.source)
        source.readers.update(known[number] for number in lists if number in known)
        if not source.readers:
            self._choose_reader(source)
        self._others.relate(source, lists)
        for number in lists:
            known.setdefault(number, min(source.readers))
            catalogue.feeds.add(source.source, number, min(source.readers))
            catalogue.loaders.note(source.source, number, self._configuration, self._run, source.row_rules)

    def _readers_of(self, number: int) -> dict[int, int]:
        """Return the lists that a source has ever fed, each with the reader that marks the rows read for it."""
        if number not in self._readers:
            self._readers[number] = self._ledger.catalogue.feeds.readers_of_lists(number)
        return self._readers[number]

    def lists_marked_for(self, number: int) -> list[int]:
        """Return those lists a source has ever fed for which this run marks its rows."""
        source, readers = self.runs[number], self._readers_of(number)
        # Whether a list belongs to this table must be known before anybody counts as missing from it.
        kin = {each for each, kinship in source.unclear_lists.items() if kinship.same}
        unknown = {each for each in source.unclear_lists if source.fed_together[each].isdisjoint(kin)}
        others = source.foreign_lists | unknown
        return sorted(each for each, reader in readers.items() if each not in others and reader in source.readers)
