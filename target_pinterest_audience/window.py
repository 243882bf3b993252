"""Events that wait to be looked up together, in the leanest form that says all that they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from target_pinterest_audience.membership import Event, Kind, Named, Plan, decode_says

if TYPE_CHECKING:
    from target_pinterest_audience.tally import StreamTally


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


@dataclass(slots=True)
class Window:
    """Events in the order in which they came: lists of equal length, since there are many.

    Attributes:
        rows: the digest of each event's row.
        wholes: all that the row says after the event, encoded; None if that depends on what it said before.
        lines: the line of each event in the stream.
        origins: where each event comes from.
        values: how many identities the events could name.
    """

    rows: list[bytes] = field(default_factory=list)
    wholes: list[bytes | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    values: int = 0
    _events: dict[int, Event] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.rows)

    def put(self, row: bytes, event: Event, origin: Origin) -> None:
        """Take in an event of a row."""
        whole = event.whole()
        if whole is None:
            self._events[len(self.rows)] = event
        self.rows.append(row)
        self.wholes.append(whole)
        self.lines.append(event.line)
        self.origins.append(origin)
        self.values += max(1, len(event.named))

    def put_wholes(self, rows: Sequence[bytes], wholes: Sequence[bytes], lines: Sequence[int], origin: Origin) -> None:
        """Take in events that are each all that their row says.

        Args:
            rows: the digests of their rows.
            wholes: what the rows say, encoded.
            lines: the lines of the events in the stream.
            origin: where they come from; its kind is one that contributes.
        """
        self.rows += rows
        self.wholes += wholes
        self.lines += lines
        self.origins += [origin] * len(rows)
        self.values += len(rows) * len(origin.plan.slots)

    def event(self, index: int) -> Event:
        """Return the event at an index."""
        event = self._events.get(index)
        if event is not None:
            return event
        origin = self.origins[index]
        named = tuple(Named(s.list_number, s.slot, s.identity) for s in decode_says(self.wholes[index] or b""))
        return Event(origin.kind, named, origin.plan.slots, origin.plan, self.lines[index])

    def new_rows(self) -> dict[bytes, bytes] | None:
        """Return what the rows say, supposed that they are new; None if that is not all that there is to them."""
        says = dict(zip(self.rows, self.wholes, strict=True))
        several_sources = any(origin.plan.source != self.origins[0].plan.source for origin in self.origins)
        if len(says) < len(self) or several_sources or not all(self.wholes):
            return None
        return cast("dict[bytes, bytes]", says)

    def repeated(self) -> dict[bytes, list[int]]:
        """Return the rows that have several events, and the indices of those."""
        several: dict[bytes, list[int]] = {}
        if len(set(self.rows)) < len(self):
            for index, row in enumerate(self.rows):
                several.setdefault(row, []).append(index)
        return {row: indices for row, indices in several.items() if len(indices) > 1}
