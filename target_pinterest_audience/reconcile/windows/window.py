"""A window: events that wait to be looked up in the ledger together, in columns to save memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, cast

from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.membership.events import Event, Kind, Named, Plan
from target_pinterest_audience.membership.statements import holds_out, statement_set


@dataclass(frozen=True, slots=True)
class Origin:
    """What events of one kind from one stream have in common.

    Attributes:
        kind: what happened to their rows.
        plan: the plan of the stream.
        tally: counts the outcomes of the stream's values.
    """

    kind: Kind
    plan: Plan
    tally: StreamTally


class Stretch(NamedTuple):
    """Consecutive events with one origin.

    Attributes:
        origin: their origin.
        tally: counts the outcomes of their values until the window is processed.
        start: the index of the first.
        stop: the index after the last.
    """

    origin: Origin
    tally: StreamTally
    start: int
    stop: int


@dataclass(slots=True)
class Window:
    """Events in the order in which they came, as lists of equal length.

    Attributes:
        rows: the digest of each event's row.
        final_states: the row's statements after each event, encoded; None if they depend on what the row said before.
        lines: the line of each event in the stream.
        values: how many identities the events could name.
        held: the indices of events with such statements whose row is held out.
    """

    rows: list[bytes] = field(default_factory=list)
    final_states: list[bytes | None] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))
    values: int = 0
    held: set[int] = field(default_factory=set)
    _origins: list[Origin] = field(default_factory=list)
    """The origins of the events; each holds until the next begins."""
    _starts: list[int] = field(default_factory=list)
    _tallies: dict[int, tuple[StreamTally, StreamTally]] = field(default_factory=dict)
    """Identity of a stream's tally → that tally, and the tally of the stream in this window."""
    _events: dict[int, Event] = field(default_factory=dict)
    _routes: dict[int, Mapping[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.rows)

    def put(self, row: bytes, event: Event, origin: Origin) -> None:
        """Add an event of a row."""
        self._note_origin(origin)
        final_state = event.final_state()
        if final_state is None:
            self._events[len(self.rows)] = event
        elif event.plan.holdout is not None and holds_out(final_state):
            self.held.add(len(self.rows))
        self.rows.append(row)
        self.final_states.append(final_state)
        self.lines.append(event.line)
        self.values += max(1, len(event.named))

    def put_final_states(
        self,
        rows: Sequence[bytes],
        final_states: Sequence[bytes],
        lines: Sequence[int],
        origin: Origin,
        values: int,
        held: Collection[int] = (),
        routes: Mapping[int, Mapping[int, int]] = MappingProxyType({}),
    ) -> None:
        """Add events whose rows' statements do not depend on what the rows said before.

        Args:
            rows: the digests of their rows.
            final_states: the rows' statements after the events, encoded.
            lines: the lines of the events in the stream.
            origin: their origin, of a kind that contributes.
            values: how many identities they could name.
            held: the indices of the events among these whose row is held out.
            routes: the index of each event among these whose statements do not name all lists of its row → see `Event`.
        """
        self._note_origin(origin)
        self._routes.update((len(self.rows) + index, of_row) for index, of_row in routes.items())
        self.held.update(len(self.rows) + index for index in held)
        self.rows += rows
        self.final_states += final_states
        self.lines.extend(lines)
        self.values += values

    def _note_origin(self, origin: Origin) -> None:
        last = self._origins[-1] if self._origins else None
        if last is None or not (last.kind is origin.kind and last.plan is origin.plan and last.tally is origin.tally):
            self._origins.append(origin)
            self._starts.append(len(self))
            self._tallies.setdefault(id(origin.tally), (origin.tally, StreamTally(origin.tally.stream)))

    def stretches(self) -> Iterator[Stretch]:
        """Yield the events by origin, in their order."""
        for origin, start, stop in zip(self._origins, self._starts, [*self._starts[1:], len(self)], strict=True):
            yield Stretch(origin, self._tally(origin), start, stop)

    def origin(self, index: int) -> Origin:
        """Return the origin of the event at an index."""
        return self._origins[bisect_right(self._starts, index) - 1]

    def tally(self, index: int) -> StreamTally:
        """Return the tally of this window that counts the values of the event at an index."""
        return self._tally(self.origin(index))

    def _tally(self, origin: Origin) -> StreamTally:
        return self._tallies[id(origin.tally)][1]

    def count_tallies(self, indices: Collection[int]) -> Iterator[tuple[StreamTally, int]]:
        """Yield the tallies of this window for the events at some indices, each with a number of these events."""
        if len(self._tallies) == 1:
            yield self._tally(self._origins[0]), len(indices)
            return
        for index in indices:
            yield self.tally(index), 1

    def reset_tallies(self) -> None:
        """Forget what was counted for the events, because they are processed once more."""
        self._tallies = {key: (total, StreamTally(total.stream)) for key, (total, _) in self._tallies.items()}

    def count(self) -> None:
        """Add the counts of this window to the tallies of the streams, once the window is processed."""
        for total, of_window in self._tallies.values():
            total.add_outcomes(of_window)

    def event(self, index: int) -> Event:
        """Return the event at an index."""
        event = self._events.get(index)
        if event is not None:
            return event
        origin = self.origin(index)
        named = tuple(Named(s.list_number, s.slot, s.identity) for s in statement_set(self.final_states[index] or b""))
        routes = None
        if origin.plan.lists is None:
            routes = self._routes.get(index, {slot: number for number, slot, _ in named})
        # What a keyless row says is one identity of a record that may have several.
        held = None if origin.plan.keyed else index in self.held
        return Event(origin.kind, named, origin.plan.slots, origin.plan, self.lines[index], routes, held=held)

    @property
    def names_lists(self) -> bool:
        """Whether the newest row names its list."""
        return bool(self._origins) and self._origins[-1].plan.lists is None

    @property
    def sources(self) -> set[int]:
        """The sources of the rows."""
        return {origin.plan.source for origin in self._origins}

    @property
    def has_keyless_rows(self) -> bool:
        """Whether some rows have no key, so that each identity is a row."""
        return any(not origin.plan.keyed for origin in self._origins)

    def only_final_states(self) -> dict[bytes, bytes] | None:
        """Return row → its statements, encoded, if the events hold nothing else.

        None if a row has several events, says nothing, or depends on what it said before; or if the rows have several
        sources.
        """
        if self._events or len(self.sources) > 1 or not all(self.final_states):
            return None
        says = dict(zip(self.rows, cast("list[bytes]", self.final_states), strict=True))
        return says if len(says) == len(self) else None

    def split(self) -> tuple[dict[bytes, bytes], dict[bytes, list[int]]]:
        """Split the rows by whether their statements depend on what they said before.

        Returns:
            Row → its statements after its only event, encoded, for rows that do not depend on it; and row → the indices
            of its events, for all others.
        """
        says = dict(zip(self.rows, self.final_states, strict=True))
        if len(says) == len(self) and not self._events:
            return cast("dict[bytes, bytes]", says), {}
        several: dict[bytes, list[int]] = {}
        for index, row in enumerate(self.rows):
            several.setdefault(row, []).append(index)
        others = {row: indices for row, indices in several.items() if len(indices) > 1 or indices[0] in self._events}
        return {row: state for row, state in says.items() if state is not None and row not in others}, others
