"""Where identities wait: for one list, what is to be added and what is to be removed, cut to the size of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from target_pinterest_audience.membership import Cause
from target_pinterest_audience.packed import size_in_records
from target_pinterest_audience.pinterest import Operation

ENVELOPE_BYTES: Final = 200
"""Room for everything in a request body but the records and a list's name."""

_OTHER = {Operation.ADD: Operation.REMOVE, Operation.REMOVE: Operation.ADD}


@dataclass(frozen=True, slots=True)
class Batch:
    """The identities of one request.

    Attributes:
        operation: what is done with them.
        identities: packed, each once, in the order in which they came.
        lines: the line of the stream that asks for each.
        first_line: the line of the stream from which no STATE may go out before this batch was accepted.
        causes: why each is removed; empty if they are added.
        unanswered: whether Pinterest has accepted it, and may still carry out an earlier request with it.
    """

    operation: Operation
    identities: tuple[bytes, ...]
    lines: tuple[int, ...]
    first_line: int
    causes: tuple[Cause, ...] = ()
    unanswered: bool = False

    def part(self, start: int, stop: int) -> Batch:
        """Return some of it."""
        return replace(
            self,
            identities=self.identities[start:stop],
            lines=self.lines[start:stop],
            causes=self.causes[start:stop],
        )

    def count_causes(self, without: Collection[int] = ()) -> Counter[Cause]:
        """Count why identities are removed.

        Args:
            without: the places of those that do not count.
        """
        return Counter(self.causes) - Counter(self.causes[place] for place in without if self.causes)


@dataclass(slots=True)
class _Waiting:
    identities: dict[bytes, int] = field(default_factory=dict)
    """Each once, in the order in which they came, and the line of the stream that asks for it."""
    size: int = 0
    """The bytes that they take in a request body, a separator after each included."""
    first_line: int | None = None
    causes: dict[bytes, Cause] = field(default_factory=dict)
    """Why each is removed; empty if they are added."""

    def note_cause(self, operation: Operation, identities: Collection[bytes], cause: Cause) -> None:
        """Note why identities are removed, if they are; before they are taken in."""
        if operation is Operation.REMOVE:
            self.causes.update(dict.fromkeys(identities, cause))


class PendingIdentities:
    """The identities of one list that wait for a request.

    An identity waits under one operation only, the last one asked for: so a removal never overtakes a later addition,
    nor the other way round.
    """

    def __init__(self, max_identities: int, max_bytes: int) -> None:
        """Set the limits of one request: identities, and bytes of the `records` in its body."""
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self._heaps = {operation: _Waiting() for operation in Operation}
        self.in_flight: list[int] = []
        """The first lines of the batches that were taken out, until whoever took them removes them."""

    def __len__(self) -> int:
        """Return how many identities wait."""
        return sum(len(heap.identities) for heap in self._heaps.values())

    def put(self, operation: Operation, identity: bytes, line: int, cause: Cause = Cause.UNFINISHED) -> bool:
        """Let an identity wait.

        Args:
            operation: what is to be done with it.
            identity: packed.
            line: the line of the stream that asks for it.
            cause: why it is removed, if it is.

        Returns:
            Whether it replaces something that waited for the same identity, so that one of the two is a duplicate.
        """
        heap, other = self._heaps[operation], self._heaps[_OTHER[operation]]
        if identity in heap.identities:
            return True
        replaces = identity in other.identities
        # The STATE that covers a replaced line also waits for the line that replaces it.
        first = line if not replaces or other.first_line is None else min(line, other.first_line)
        # Lines first and removals last: a signal may end the run between any two of these.
        heap.first_line = first if heap.first_line is None else min(heap.first_line, first)
        heap.note_cause(operation, (identity,), cause)
        heap.identities[identity] = line
        heap.size += size_in_records((identity,))
        if replaces:
            del other.identities[identity]
            other.causes.pop(identity, None)
            other.size -= size_in_records((identity,))
            if not other.identities:
                other.first_line = None
        return replaces

    def put_many(
        self,
        operation: Operation,
        identities: Sequence[bytes],
        lines: Sequence[int],
        cause: Cause = Cause.UNFINISHED,
    ) -> tuple[int, int]:
        """Let identities wait, to the same effect as `put` for each, until a batch is full.

        Args:
            operation: what is to be done with them.
            identities: packed; at least one.
            lines: the line of the stream that asks for each.
            cause: why they are removed, if they are.

        Returns:
            How many were taken in, and how many of those waited already.
        """
        heap, other = self._heaps[operation], self._heaps[_OTHER[operation]]
        waiting = heap.identities
        some = identities[: max(1, self._max_identities - len(waiting))]
        size = heap.size + size_in_records(some)
        if (
            size < self._max_bytes
            # Looks for the new ones among those that wait, not the other way round.
            and waiting.keys().isdisjoint(some)
            and (not other.identities or other.identities.keys().isdisjoint(some))
        ):
            before = len(waiting)
            heap.first_line = lines[0] if heap.first_line is None else min(heap.first_line, lines[0])
            heap.note_cause(operation, some, cause)
            heap.size = size
            waiting.update(zip(some, lines, strict=False))
            again = before + len(some) - len(waiting)
            if again:
                # Of several lines the first counts, and each takes room once.
                waiting.update(zip(reversed(some), reversed(lines[: len(some)]), strict=True))
                heap.size = size_in_records(tuple(waiting))
            return len(some), again
        again = 0
        for place, identity in enumerate(some):
            again += self.put(operation, identity, lines[place], cause)
            if self._is_full(heap):
                return place + 1, again
        return len(some), again

    def _is_full(self, heap: _Waiting) -> bool:
        return len(heap.identities) >= self._max_identities or heap.size >= self._max_bytes

    def take_full(self) -> Batch | None:
        """Remove and return a batch that has reached a limit; None if there is none."""
        for operation, heap in self._heaps.items():
            if self._is_full(heap):
                return self._take(operation)
        return None

    def take_any(self) -> Batch | None:
        """Remove and return whatever waits, removals first; None if nothing does."""
        for operation in (Operation.REMOVE, Operation.ADD):
            if self._heaps[operation].identities:
                return self._take(operation)
        return None

    @property
    def first_lines(self) -> list[int]:
        """The earliest line of the stream that waits in each batch to come; empty if nothing waits."""
        return [heap.first_line for heap in self._heaps.values() if heap.first_line is not None]

    def _take(self, operation: Operation) -> Batch:
        """Cut one request's worth; what would pass the byte limit stays."""
        heap = self._heaps[operation]
        line = heap.first_line
        assert line is not None  # noqa: S101 - a heap with identities has a first line
        kept: list[tuple[bytes, int]] = []
        while len(heap.identities) > 1 and heap.size > self._max_bytes:
            kept.append(heap.identities.popitem())
            heap.size -= size_in_records(kept[-1][:1])
        rest = _Waiting(dict(reversed(kept)))
        if kept:
            rest.size = size_in_records(tuple(rest.identities))
            rest.first_line = line
            rest.causes = {identity: heap.causes[identity] for identity in rest.identities if heap.causes}
        causes = tuple(map(heap.causes.__getitem__, heap.identities)) if heap.causes else ()
        batch = Batch(operation, tuple(heap.identities), tuple(heap.identities.values()), line, causes)
        # Before it leaves the heap: a signal may end the run in between.
        self.in_flight.append(line)
        self._heaps[operation] = rest
        return batch


class Written(NamedTuple):
    """What came of a batch that Pinterest accepted.

    Attributes:
        refused: the places of the identities that it refuses one by one; the others are accepted.
        unanswered: whether an attempt before the accepted one got no answer, so that it may still be carried out.
    """

    refused: list[int]
    unanswered: bool = False


def cut(operation: Operation, identities: Sequence[bytes], max_identities: int, max_bytes: int) -> Iterator[Batch]:
    """Yield identities that come from no stream as batches.

    Args:
        operation: what is to be done with them.
        identities: packed.
        max_identities: the most of one request.
        max_bytes: the most bytes of the `records` in its body.
    """
    pending = PendingIdentities(max_identities, max_bytes)
    taken = 0
    while taken < len(identities):
        rest = identities[taken:]
        some, _ = pending.put_many(operation, rest, [1] * len(rest))
        taken += some
        batch = pending.take_full()
        if batch is not None:
            yield batch
    while (batch := pending.take_any()) is not None:
        yield batch
