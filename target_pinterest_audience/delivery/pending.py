"""Where identities wait: for one list, what is to be added and what is to be removed, cut to the size of requests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from target_pinterest_audience.identities.packed import size_in_records
from target_pinterest_audience.routing.orders import Batch
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.vocabulary import Cause, Operation
from target_pinterest_audience.watermark import Hold, Watermark

ENVELOPE_BYTES: Final = 200
"""Room for everything in a request body but the records and a list's name."""

_OTHER = {Operation.ADD: Operation.REMOVE, Operation.REMOVE: Operation.ADD}


@dataclass(slots=True)
class _Queue:
    identities: dict[bytes, int] = field(default_factory=dict)
    """Each once, in the order in which they came, and the line of the stream that asks for it."""
    size: int = 0
    """The bytes that they take in a request body, a separator after each included."""
    hold: Hold | None = None
    """Holds the earliest line that asks for one of them."""
    causes: dict[bytes, Cause] = field(default_factory=dict)
    """Why each is removed; empty if they are added."""

    def note_cause(self, operation: Operation, identities: Collection[bytes], cause: Cause) -> None:
        """Note why identities are removed, if they are; before they are taken in."""
        if operation is Operation.REMOVE:
            self.causes.update(dict.fromkeys(identities, cause))


class PendingIdentities:
    """The identities of one list that wait for a request.

    The watermark of the stream is held for each of them, from the line that asks for it, until its batch is accepted.
    An identity waits under one operation only, the last one asked for: so a removal never overtakes a later addition,
    nor the other way round.
    """

    def __init__(
        self, max_identities: int, max_bytes: int, watermark: Watermark, reference: ListReference | None = None
    ) -> None:
        """Begin with none.

        Args:
            max_identities: the most of one request.
            max_bytes: the most bytes of the `records` in its body.
            watermark: the watermark of the stream.
            reference: the list, for whose floor in the watermark they count.
        """
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self._watermark = watermark
        self._reference = reference
        self._queues = {operation: _Queue() for operation in Operation}

    def __len__(self) -> int:
        """Return how many identities wait."""
        return sum(len(queue.identities) for queue in self._queues.values())

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
        queue, other = self._queues[operation], self._queues[_OTHER[operation]]
        if identity in queue.identities:
            return True
        replaces = identity in other.identities
        # The STATE that covers a replaced line also waits for the line that replaces it.
        held = other.hold.line if replaces and other.hold is not None else None
        # Holds first and removals last: a signal may end the run between any two of these.
        self._hold(queue, line if held is None else min(line, held))
        queue.note_cause(operation, (identity,), cause)
        queue.identities[identity] = line
        queue.size += size_in_records((identity,))
        if replaces:
            del other.identities[identity]
            other.causes.pop(identity, None)
            other.size -= size_in_records((identity,))
            if not other.identities:
                self._let_go(other)
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
        queue, other = self._queues[operation], self._queues[_OTHER[operation]]
        waiting = queue.identities
        some = identities[: max(1, self._max_identities - len(waiting))]
        size = queue.size + size_in_records(some)
        if (
            size < self._max_bytes
            # Looks for the new ones among those that wait, not the other way round.
            and waiting.keys().isdisjoint(some)
            and (not other.identities or other.identities.keys().isdisjoint(some))
        ):
            before = len(waiting)
            self._hold(queue, lines[0])
            queue.note_cause(operation, some, cause)
            queue.size = size
            waiting.update(zip(some, lines, strict=False))
            again = before + len(some) - len(waiting)
            if again:
                # Of several lines the first counts, and each takes room once.
                waiting.update(zip(reversed(some), reversed(lines[: len(some)]), strict=True))
                queue.size = size_in_records(tuple(waiting))
            return len(some), again
        again = 0
        for place, identity in enumerate(some):
            again += self.put(operation, identity, lines[place], cause)
            if self._is_full(queue):
                return place + 1, again
        return len(some), again

    def _hold(self, queue: _Queue, line: int) -> None:
        """Hold the watermark at a line, unless it is held below that already."""
        if queue.hold is None:
            queue.hold = self._watermark.hold(line, self._reference)
        elif queue.hold.line is not None and line < queue.hold.line:
            queue.hold.move(line)

    @staticmethod
    def _let_go(queue: _Queue) -> None:
        """Stop holding the watermark for a queue that is empty."""
        if queue.hold is not None:
            queue.hold.release()
            queue.hold = None

    def _is_full(self, queue: _Queue) -> bool:
        return len(queue.identities) >= self._max_identities or queue.size >= self._max_bytes

    def take_full(self) -> Batch | None:
        """Remove and return a batch that has reached a limit; None if there is none."""
        for operation, queue in self._queues.items():
            if self._is_full(queue):
                return self._take(operation)
        return None

    def take_any(self) -> Batch | None:
        """Remove and return whatever waits, removals first; None if nothing does."""
        for operation in (Operation.REMOVE, Operation.ADD):
            if self._queues[operation].identities:
                return self._take(operation)
        return None

    @property
    def first_line(self) -> int | None:
        """The earliest line of the stream that something waits for; None if nothing waits."""
        lines = [queue.hold.line for queue in self._queues.values() if queue.hold is not None]
        return min((line for line in lines if line is not None), default=None)

    def _take(self, operation: Operation) -> Batch:
        """Cut one request's worth; what would pass the byte limit stays."""
        queue = self._queues[operation]
        hold = queue.hold
        assert hold is not None  # noqa: S101 - a queue with identities has one
        kept: list[tuple[bytes, int]] = []
        while len(queue.identities) > 1 and queue.size > self._max_bytes:
            kept.append(queue.identities.popitem())
            queue.size -= size_in_records(kept[-1][:1])
        rest = _Queue(dict(reversed(kept)))
        if kept:
            rest.size = size_in_records(tuple(rest.identities))
            rest.hold = self._watermark.hold(hold.line or 0, self._reference)
            rest.causes = {identity: queue.causes[identity] for identity in rest.identities if queue.causes}
        causes = tuple(map(queue.causes.__getitem__, queue.identities)) if queue.causes else ()
        batch = Batch(operation, tuple(queue.identities), tuple(queue.identities.values()), hold, causes)
        self._queues[operation] = rest
        return batch


def cut(operation: Operation, identities: Sequence[bytes], max_identities: int, max_bytes: int) -> Iterator[Batch]:
    """Yield identities that come from no stream as batches.

    Args:
        operation: what is to be done with them.
        identities: packed.
        max_identities: the most of one request.
        max_bytes: the most bytes of the `records` in its body.
    """
    pending = PendingIdentities(max_identities, max_bytes, Watermark())
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
