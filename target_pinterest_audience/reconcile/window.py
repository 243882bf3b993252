"""Events that wait to be looked up together, in the leanest form that says all that they say."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.membership.statements import Event, Kind, Named, Plan, decode_says


@dataclass(frozen=True, slots=True)
class Origin:
    """What events of one kind from one stream have in common.

    Attributes:
        kind: what happened to their rows.
        plan: the stream's.
        tally: counts what becomes of the stream's values.
    """

    kind: Kind
    plan: Plan
    tally: StreamTally


class Stretch(NamedTuple):
    """Events that follow each other and come from one origin.

    Attributes:
        origin: where they come from.
        tally: counts what becomes of their values, until the window is worked off.
        start: the index of the first.
        stop: the index after the last.
    """

    origin: Origin
    tally: StreamTally
    start: int
    stop: int


@dataclass(slots=True)
class Window:
    """Events in the order in which they came: lists of equal length, since there are many.

    Attributes:
        rows: the digest of each event's row.
        wholes: all that the row says after the event, encoded; None if that depends on what it said before.
        lines: the line of each event in the stream.
        values: how many identities the events could name.
    """

    rows: list[bytes] = field(default_factory=list)
    wholes: list[bytes | None] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))
    values: int = 0
    _origins: list[Origin] = field(default_factory=list)
    """Where events come from, each until the next one begins."""
    _starts: list[int] = field(default_factory=list)
    _tallies: dict[int, tuple[StreamTally, StreamTally]] = field(default_factory=dict)
    """What counts for a stream, and what counts for it in this window; by the identity of the first."""
    _events: dict[int, Event] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.rows)

    def put(self, row: bytes, event: Event, origin: Origin) -> None:
        """Take in an event of a row."""
        self._note_origin(origin)
        whole = event.whole()
        if whole is None:
            self._events[len(self.rows)] = event
        self.rows.append(row)
        self.wholes.append(whole)
        self.lines.append(event.line)
        self.values += max(1, len(event.named))

    def put_wholes(self, rows: Sequence[bytes], wholes: Sequence[bytes], lines: Sequence[int], origin: Origin) -> None:
        """Take in events that are each all that their row says.

        Args:
            rows: the digests of their rows.
            wholes: what the rows say, encoded.
            lines: the lines of the events in the stream.
            origin: where they come from; its kind is one that contributes.
        """
        self._note_origin(origin)
        self.rows += rows
        self.wholes += wholes
        self.lines.extend(lines)
        self.values += len(rows) * len(origin.plan.slots)

    def _note_origin(self, origin: Origin) -> None:
        last = self._origins[-1] if self._origins else None
        if last is None or not (last.kind is origin.kind and last.plan is origin.plan and last.tally is origin.tally):
            self._origins.append(origin)
            self._starts.append(len(self))
            self._tallies.setdefault(id(origin.tally), (origin.tally, StreamTally(origin.tally.stream)))

    def stretches(self) -> Iterator[Stretch]:
        """Yield the events by where they come from, in their order."""
        for origin, start, stop in zip(self._origins, self._starts, [*self._starts[1:], len(self)], strict=True):
            yield Stretch(origin, self._tally(origin), start, stop)

    def origin(self, index: int) -> Origin:
        """Return where the event at an index comes from."""
        return self._origins[bisect_right(self._starts, index) - 1]

    def tally(self, index: int) -> StreamTally:
        """Return what counts what becomes of the values of the event at an index, until the window is worked off."""
        return self._tally(self.origin(index))

    def _tally(self, origin: Origin) -> StreamTally:
        return self._tallies[id(origin.tally)][1]

    def count_tallies(self, indices: Collection[int]) -> Iterator[tuple[StreamTally, int]]:
        """Yield what counts the values of events, and how many of the events it counts."""
        if len(self._tallies) == 1:
            yield self._tally(self._origins[0]), len(indices)
            return
        for index in indices:
            yield self.tally(index), 1

    def count(self) -> None:
        """Count for good what became of the values, once the window is worked off."""
        for total, of_window in self._tallies.values():
            total.add_outcomes(of_window)

    def event(self, index: int) -> Event:
        """Return the event at an index."""
        event = self._events.get(index)
        if event is not None:
            return event
        origin = self.origin(index)
        named = tuple(Named(s.list_number, s.slot, s.identity) for s in decode_says(self.wholes[index] or b""))
        routes = {slot: number for number, slot, _ in named} if origin.plan.lists is None else None
        return Event(origin.kind, named, origin.plan.slots, origin.plan, self.lines[index], routes)

    @property
    def sources(self) -> set[int]:
        """The sources that its rows belong to."""
        return {origin.plan.source for origin in self._origins}

    @property
    def has_keyless_rows(self) -> bool:
        """Whether some of its rows have no key, so that each identity is one."""
        return any(not origin.plan.keyed for origin in self._origins)

    def all_whole(self) -> dict[bytes, bytes] | None:
        """Return what the rows say, in the order of their digests, if that is all that there is to the events.

        None if rows have several events, say nothing, depend on what they said before, or are of several sources.
        """
        if self._events or len(self.sources) > 1 or not all(self.wholes):
            return None
        says = dict(sorted(zip(self.rows, cast("list[bytes]", self.wholes), strict=True)))
        return says if len(says) == len(self) else None

    def split(self) -> tuple[dict[bytes, bytes], dict[bytes, list[int]]]:
        """Divide the rows.

        Returns:
            Row → what it says after its only event, whatever it said before; and, for all other rows, the indices of
            their events.
        """
        says = dict(zip(self.rows, self.wholes, strict=True))
        if len(says) == len(self) and not self._events:
            return cast("dict[bytes, bytes]", says), {}
        several: dict[bytes, list[int]] = {}
        for index, row in enumerate(self.rows):
            several.setdefault(row, []).append(index)
        others = {row: indices for row, indices in several.items() if len(indices) > 1 or indices[0] in self._events}
        return {row: whole for row, whole in says.items() if whole is not None and row not in others}, others
