"""Readings: what a run read from each source for each list, which `prune` judges after the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.catalogue.runs import RunFeed

if TYPE_CHECKING:
    from target_pinterest_audience.reconcile.sources.source_run import SourceRun
    from target_pinterest_audience.routing.stream import StreamShape


@dataclass(slots=True)
class Reading:
    """What was read from one source for one list.

    Attributes:
        mark: the mark of the rows.
        overwrites: whether all streams of the source overwrite. A stream that does not leaves rows unmarked, which
            would then look absent.
        rows: the number of rows.
        raw_streams: the streams that they came from, by their raw names.
    """

    mark: int
    overwrites: bool = True
    rows: int = 0
    raw_streams: set[str] = field(default_factory=set)


class Readings:
    """All readings of a run."""

    def __init__(self) -> None:
        """Begin without readings."""
        self._of_lists: dict[tuple[int, int], Reading] = {}
        """List and source → the reading."""
        self._routed: dict[int, Reading] = {}
        """Source whose rows name their lists → one reading, which counts for all of these lists."""

    def begin(self, shape: StreamShape, source: SourceRun, lists: Collection[int] | None) -> list[Reading]:
        """Return the readings that count the rows of a stream.

        Args:
            shape: the stream.
            source: its source.
            lists: the lists that its identities go to; None if its rows name their lists.
        """
        if lists is None:
            readings = [self._routed.setdefault(source.source, Reading(source.mark))]
        else:
            readings = [self._of_lists.setdefault((number, source.source), Reading(source.mark)) for number in lists]
        for each in readings:
            each.raw_streams.add(shape.raw_stream)
            each.overwrites = each.overwrites and shape.overwrites
        return readings

    def feeds(self, incremental: set[str], lists_of: Callable[[int], Iterable[int]]) -> list[RunFeed]:
        """Return the readings as the ledger stores them.

        Args:
            incremental: the streams, by their raw names, that showed signs of an incremental read.
            lists_of: returns the lists that a source marks rows for.
        """
        readings = dict(self._of_lists)
        for source, reading in self._routed.items():
            for number in lists_of(source):
                readings.setdefault((number, source), reading)
        return [
            RunFeed(number, source, each.rows, bool(each.raw_streams & incremental), each.overwrites, each.mark)
            for (number, source), each in readings.items()
        ]
