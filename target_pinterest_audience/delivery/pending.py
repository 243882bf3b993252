"""The identities of one list that wait to be added or removed, cut into batches of the size of a request."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from target_pinterest_audience.identities.packed import (
    DIGEST_IN_RECORDS,
    LONGEST_DIGEST,
    size_in_records,
    split_by_wire,
    wire_of,
)
from target_pinterest_audience.routing.orders import Batch
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.vocabulary import Cause, Operation, WireFormat
from target_pinterest_audience.watermark import Hold, Watermark

_ENVELOPE_BYTES: Final = 200
"""Room for everything in a request body but the records and a list's name."""

_REMOVALS_FIRST: Final = (Operation.REMOVE, Operation.ADD)
_OTHER = {Operation.ADD: Operation.REMOVE, Operation.REMOVE: Operation.ADD}


def records_room(max_bytes: int, list_name: str | None) -> int:
    """Return how many bytes of a request's body the identities may take.

    Args:
        max_bytes: the most bytes in the body.
        list_name: the name of the list, which the request that creates it has.
    """
    return max(1, max_bytes - _ENVELOPE_BYTES - len(msgspec.json.encode(list_name or "")))


@dataclass(slots=True)
class _Queue:
    identities: dict[bytes, int] = field(default_factory=dict)
    """Identity → the line of the stream that asks for it, in the order of arrival."""
    size: int = 0
    """Their size in a request body, in bytes, with a separator after each."""
    hold: Hold | None = None
    """Holds the earliest of the lines."""
    causes: dict[bytes, Cause] = field(default_factory=dict)
    """Identity → why it is removed; empty in the queue of additions."""

    def note_cause(self, operation: Operation, identities: Collection[bytes], cause: Cause) -> None:
        """Record why identities are removed, if they are, before they are queued."""
        if operation is Operation.REMOVE:
            self.causes.update(dict.fromkeys(identities, cause))


class PendingIdentities:
    """The identities of one list that wait for a request, in a queue for each operation and wire format.

    The watermark of the stream is held at the line of each of them until its batch is accepted. An identity waits for
    one operation only, the latest: so a removal never overtakes a later addition, and vice versa.
    """

    __slots__ = (
        "_additions", "_lists_waiting", "_max_bytes", "_max_identities", "_queues", "_reference", "_removals",
        "_watermark", "is_full",
    )  # fmt: skip

    def __init__(
        self,
        max_identities: int,
        max_bytes: int,
        watermark: Watermark,
        reference: ListReference | None = None,
        lists_waiting: dict[ListReference, None] | None = None,
    ) -> None:
        """Create it without identities.

        Args:
            max_identities: the most identities in a request.
            max_bytes: the most bytes of the identities in its body.
            watermark: the watermark of the stream.
            reference: the list, which has a floor of its own in the watermark.
            lists_waiting: gets the list as a key when something begins to wait for it.
        """
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self._watermark = watermark
        self._reference = reference
        self._lists_waiting = {} if lists_waiting is None else lists_waiting
        self.is_full = False
        """Whether `take_full` would return a batch."""
        # In the order in which half-full batches are sent.
        self._queues = {(operation, wire): _Queue() for operation in _REMOVALS_FIRST for wire in WireFormat}
        self._additions = self._queues[Operation.ADD, WireFormat.RECORDS]
        self._removals = self._queues[Operation.REMOVE, WireFormat.RECORDS]

    def __len__(self) -> int:
        """Return how many identities wait."""
        waiting = 0
        for queue in self._queues.values():
            waiting += len(queue.identities)
        return waiting

    def put(self, operation: Operation, identity: bytes, line: int, cause: Cause = Cause.UNFINISHED) -> bool:
        """Queue an identity.

        Args:
            operation: whether to add or remove it.
            identity: the identity, packed.
            line: the line of the stream that asks for it.
            cause: why it is removed, if it is.

        Returns:
            Whether the identity waited already, so that one of the two is a duplicate.
        """
        if operation is Operation.ADD and self.add_digest(identity, line):
            return False
        queue, other = self._queues_of(operation, identity)
        if identity in queue.identities:
            return True
        replaces = identity in other.identities
        # The STATE that covers the replaced line must also wait for the line that replaces it.
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
        self._note_full()
        return replaces

    def add_digest(self, identity: bytes, line: int) -> bool:
        """Queue a digest for addition, in the usual case: no other case takes so little time.

        It reads little: with thousands of lists, hardly any of it is in the caches of the processor.

        Returns:
            Whether it is queued. False, and nothing is done, if it or anything else makes the case unusual.
        """
        queue = self._additions
        hold, identities = queue.hold, queue.identities
        if hold is None or len(identity) != LONGEST_DIGEST or identity in identities:
            return False
        if hold.line is None or line < hold.line or self._removals.identities:
            return False
        identities[identity] = line
        queue.size += DIGEST_IN_RECORDS
        if len(identities) >= self._max_identities or queue.size >= self._max_bytes:
            self.is_full = True
        return True

    def put_many(
        self,
        operation: Operation,
        identities: Sequence[bytes],
        lines: Sequence[int],
        cause: Cause = Cause.UNFINISHED,
    ) -> tuple[int, int]:
        """Queue identities, with the same effect as `put` for each, until a batch is full.

        Args:
            operation: whether to add or remove them.
            identities: the identities, packed; at least one, and all of one wire format.
            lines: the line of the stream that asks for each.
            cause: why they are removed, if they are.

        Returns:
            How many were queued, and how many of those waited already.
        """
        queue, other = self._queues_of(operation, identities[0])
        waiting = queue.identities
        some = identities[: max(1, self._max_identities - len(waiting))]
        size = queue.size + size_in_records(some)
        if (
            size < self._max_bytes
            # In this order: the new ones are looked up among those that wait, of which there may be many more.
            and waiting.keys().isdisjoint(some)
            and (not other.identities or other.identities.keys().isdisjoint(some))
        ):
            before = len(waiting)
            self._hold(queue, lines[0])
            queue.note_cause(operation, some, cause)
            queue.size = size
            waiting.update(zip(some, lines, strict=False))
            again = before + len(some) - len(waiting)
            self.is_full = self.is_full or self._is_over(queue)
            if again:
                # For an identity that comes several times, the first line counts, and the size counts once.
                waiting.update(zip(reversed(some), reversed(lines[: len(some)]), strict=True))
                queue.size = size_in_records(tuple(waiting))
            return len(some), again
        again = 0
        for index, identity in enumerate(some):
            again += self.put(operation, identity, lines[index], cause)
            if self._is_over(queue):
                return index + 1, again
        return len(some), again

    def _queues_of(self, operation: Operation, identity: bytes) -> tuple[_Queue, _Queue]:
        """Return the queue that an identity belongs in, and the one of the opposite operation."""
        wire = wire_of(identity)
        return self._queues[operation, wire], self._queues[_OTHER[operation], wire]

    def _hold(self, queue: _Queue, line: int) -> None:
        """Hold the watermark at a line, unless the queue holds an earlier one."""
        if queue.hold is None:
            queue.hold = self._watermark.hold(line, self._reference)
            if self._reference is not None:
                self._lists_waiting[self._reference] = None
        elif queue.hold.line is not None and line < queue.hold.line:
            queue.hold.move(line)

    @staticmethod
    def _let_go(queue: _Queue) -> None:
        """Release the hold of an empty queue."""
        if queue.hold is not None:
            queue.hold.release()
            queue.hold = None

    def _note_full(self) -> None:
        self.is_full = any(map(self._is_over, self._queues.values()))

    def _is_over(self, queue: _Queue) -> bool:
        return len(queue.identities) >= self._max_identities or queue.size >= self._max_bytes

    def take_full(self) -> Batch | None:
        """Remove and return a full batch; None if there is none."""
        if self.is_full:
            for key, queue in self._queues.items():
                if self._is_over(queue):
                    return self._take(*key)
        return None

    def take_any(self) -> Batch | None:
        """Remove and return a batch, full or not, removals first; None if nothing waits."""
        for key, queue in self._queues.items():
            if queue.identities:
                return self._take(*key)
        return None

    @property
    def first_line(self) -> int | None:
        """The earliest line of the stream whose identities wait; None if none wait."""
        lines = [queue.hold.line for queue in self._queues.values() if queue.hold is not None]
        return min((line for line in lines if line is not None), default=None)

    def _take(self, operation: Operation, wire: WireFormat) -> Batch:
        """Remove and return one batch; what exceeds the byte limit stays in the queue."""
        queue = self._queues[operation, wire]
        hold = queue.hold
        assert hold is not None  # noqa: S101 - every queue with identities has a hold
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
        self._queues[operation, wire] = rest
        self._additions = self._queues[Operation.ADD, WireFormat.RECORDS]
        self._removals = self._queues[Operation.REMOVE, WireFormat.RECORDS]
        self._note_full()
        return batch


def cut(operation: Operation, identities: Sequence[bytes], max_identities: int, max_bytes: int) -> Iterator[Batch]:
    """Yield identities that come from no stream in batches.

    Args:
        operation: whether to add or remove them.
        identities: the identities, packed.
        max_identities: the most identities in a request.
        max_bytes: the most bytes of the identities in its body.
    """
    pending = PendingIdentities(max_identities, max_bytes, Watermark())
    for indices in split_by_wire(identities).values():
        rest = [identities[index] for index in indices]
        while rest:
            some, _ = pending.put_many(operation, rest, [1] * len(rest))
            del rest[:some]
            batch = pending.take_full()
            if batch is not None:
                yield batch
    while (batch := pending.take_any()) is not None:
        yield batch
