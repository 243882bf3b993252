"""Takes orders, sends them to Pinterest in batches, and returns receipts."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from target_pinterest_audience.delivery.creation import Creation
from target_pinterest_audience.delivery.destination import Destination
from target_pinterest_audience.delivery.destinations import Destinations
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.lanes import Lanes
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.pinterest.request import Traffic
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.orders import (
    AcceptedRemoval,
    Batch,
    ListReport,
    ListSize,
    MixedOrder,
    Order,
    Receipt,
    Written,
)
from target_pinterest_audience.routing.plan import ListPlan, ListReference
from target_pinterest_audience.vocabulary import Operation
from target_pinterest_audience.watermark import Watermark

_GRACE_SECONDS: Final = 2.0
"""How long requests under way may take when the run ends before them."""


class Room(NamedTuple):
    """How many identities may wait.

    Attributes:
        ahead: for each list, while one of its requests is under way.
        waiting: for all lists together, some 90 MB; beyond that, half-full batches are sent.
    """

    ahead: int = 0
    waiting: int = 400_000

    @property
    def after_search(self) -> int:
        """How many wait after half-full batches were sent, so that the fullest lists are not searched again soon."""
        return self.waiting * 3 // 4


_ROOM: Final = Room()


class Taken(NamedTuple):
    """How much of an order was taken.

    Attributes:
        identities: how many, from the first one on. The others find no room before receipts are collected.
        duplicates: how many of them waited already.
    """

    identities: int
    duplicates: int


class Delivery:
    """Delivers identities to their lists. It does not know who gives the orders or takes the receipts.

    Attributes:
        watermark: the watermark of the stream; held for what is not accepted yet.
        client: the ad account.
    """

    def __init__(
        self,
        client: PinterestClient,
        policy: RetryPolicy,
        logger: logging.Logger,
        *,
        max_identities: int,
        max_bytes: int,
        room: Room = _ROOM,
        dry: bool = False,
    ) -> None:
        """Create it; nothing is asked of Pinterest before `open`.

        Args:
            client: the ad account.
            policy: limits the lookups of a list that may have been created.
            logger: logs what happens to lists and audiences.
            max_identities: the most identities in a request.
            max_bytes: the most bytes in the body of a request.
            room: how many identities may wait.
            dry: whether to count what would be sent, and to send nothing.
        """
        self.watermark = Watermark()
        self.client = client
        self._lanes: Lanes[ListReference] = Lanes(room.ahead)
        self._receipts: deque[Receipt] = deque()
        """Receipts of batches that were sent on the main thread."""
        self._failure: BaseException | None = None
        self._destinations = Destinations(
            Directory(client, time.monotonic),
            Creation(policy, logger),
            self.watermark,
            logger,
            max_identities=max_identities,
            max_bytes=max_bytes,
            dry=dry,
        )
        self._room = room
        self._waiting = 0  # How many identities wait for all lists together, in no batch yet.

    def open(self, plan: ListPlan, pinned_id: str | None = None, *, may_be_new: bool = False) -> CustomerList | None:
        """Prepare for a list, and look it up.

        Args:
            plan: which list, and what may be done with it. Orders name its reference.
            pinned_id: the id that the list had in earlier runs; it decides between lists of one name.
            may_be_new: whether an interrupted run may just have created it.

        Returns:
            The list; None if it does not exist yet.

        Raises:
            ConfigurationError: the list is ambiguous; or another stream uses another name or id for it, or wants
                another audience or kind of list.
            PinterestError: Pinterest cannot be asked.
        """
        return self._destinations.open(plan, pinned_id, may_be_new=may_be_new)

    def was_never_created(self, reference: ListReference) -> bool:
        """Return whether a list is missing, and no request may still create it."""
        return self._destinations[reference].finder.was_never_created

    def put(self, order: Order, start: int = 0) -> Taken:
        """Take identities, as long as there is room, and send the batches that they fill.

        Args:
            order: the identities, all of one wire format, and the operation.
            start: the index of the first identity that was not taken yet.

        Raises:
            TargetError: a batch could not be delivered.
        """
        destination = self._destinations[order.list]
        if order.refused_before:
            destination.writer.note_refused_before(order.identities)
        if self._waiting > self._room.waiting:
            self._make_room()
        if self._waiting > self._room.waiting:
            return Taken(0, 0)
        before, duplicates, taken = len(destination.pending), 0, start
        while taken < len(order.identities) and self._lanes.has_room(order.list):
            some, again = destination.pending.put_many(
                order.operation, order.identities[taken:], order.lines[taken:], order.cause
            )
            taken += some
            duplicates += again
            batch = destination.pending.take_full()
            if batch is not None:
                self._send(destination, batch)
        self._waiting += len(destination.pending) - before
        return Taken(taken - start, duplicates)

    def put_mixed(self, order: MixedOrder, start: int = 0) -> Taken:
        """Take identities of many lists, with the same effect as `put` for each.

        Args:
            order: the identities, the list of each, and the operation.
            start: the index of the first identity that was not taken yet.

        Raises:
            TargetError: a batch could not be delivered.
        """
        if self._waiting > self._room.waiting:
            self._make_room()
        if self._waiting > self._room.waiting:
            return Taken(0, 0)
        operation, cause, pending_of = order.operation, order.cause, self._destinations.pending
        adds, duplicates = operation is Operation.ADD, 0
        waiting = islice(zip(order.lists, order.identities, order.lines, strict=True), start, None)
        for taken, (reference, identity, line) in enumerate(waiting):
            pending = pending_of[reference]
            if pending.is_full and not self._send_full(self._destinations[reference]):
                return Taken(taken, duplicates)
            is_new = (adds and pending.add_digest(identity, line)) or not pending.put(operation, identity, line, cause)
            self._waiting += is_new
            duplicates += not is_new
            if pending.is_full:
                self._send_full(self._destinations[reference])
        return Taken(len(order.identities) - start, duplicates)

    def _send_full(self, destination: Destination) -> bool:
        """Send the full batches of a list, as long as there is room; return whether there was room for all."""
        pending = destination.pending
        while pending.is_full and self._lanes.has_room(destination.reference):
            batch = pending.take_full()
            if batch is not None:
                self._waiting -= len(batch.identities)
                self._send(destination, batch)
        return not pending.is_full

    def _make_room(self) -> None:
        """Send half-full batches, those of the fullest lists first."""
        fullest = sorted(self._destinations.waiting(), key=lambda each: len(each.pending), reverse=True)
        enough = self._room.after_search
        for destination in fullest:
            lane = destination.reference
            while len(destination.pending) and self._waiting > enough and self._lanes.has_room(lane):
                self._send_any(destination)

    def flush(self, before_line: int | None = None) -> bool:
        """Send what waits, full batch or not, as long as there is room.

        Args:
            before_line: only from lists where something from before this line of the stream waits; None: from all.

        Returns:
            Whether there was room for all of it.

        Raises:
            TargetError: a batch could not be delivered.
        """
        done = True
        for destination in self._destinations.waiting(before_line):
            if self._lanes.is_full:
                return False
            while len(destination.pending) and self._lanes.has_room(destination.reference):
                self._send_any(destination)
            done = done and not len(destination.pending)
        return done

    def _send_any(self, destination: Destination) -> None:
        """Send what waits for a list, as much as one request holds."""
        before = len(destination.pending)
        batch = destination.pending.take_any()
        self._waiting -= before - len(destination.pending)
        if batch is not None:
            self._send(destination, batch)

    def receipts(self, seconds: float = 0.0) -> Iterator[Receipt]:
        """Yield the receipts of the batches that Pinterest accepted, in the order of each list.

        Args:
            seconds: how long to wait for the first one, if a batch is under way.

        Raises:
            BaseException: a batch was not accepted; every later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        while self._receipts:
            yield self._receipts.popleft()
            seconds = 0.0
        for result in self._lanes.results(seconds):
            if isinstance(result.outcome, BaseException):
                self._failure = result.outcome
                raise self._failure
            yield self._receipt(result.lane, result.batch, result.outcome)

    @property
    def is_idle(self) -> bool:
        """Whether no batch is under way, and every receipt was collected."""
        return not self._receipts and not self._lanes.under_way

    def stop(self) -> Iterator[Receipt]:
        """Send nothing more, and yield the receipts that arrive within the grace period."""
        self.client.stop()
        self._lanes.stop(_GRACE_SECONDS)
        # The caller stops early because of an error; further errors add nothing.
        yield from self._receipts
        self._receipts.clear()
        for result in self._lanes.results():
            if not isinstance(result.outcome, BaseException):
                yield self._receipt(result.lane, result.batch, result.outcome)

    def removals_of_failures(self) -> Iterator[tuple[ListReference, AcceptedRemoval]]:
        """Yield the accepted removals that no receipt names, since their batches failed later; after `stop`."""
        for reference, destination in self._destinations.items():
            yield from ((reference, removal) for removal in destination.writer.take_removals())

    def close(self) -> None:
        """Release the connection, after `stop`."""
        self.client.close()

    def finish(self) -> None:
        """Create missing audiences, and find out how many people Pinterest matched, when everything is accepted.

        Raises:
            RefusedError: Pinterest accepts no phone numbers for some lists; it accepted everything else.
            TargetError: a list is missing, or Pinterest cannot be asked for an audience that is wanted.
        """
        self._destinations.finish()

    @property
    def traffic(self) -> Traffic:
        """The requests so far."""
        return self.client.traffic

    @property
    def sign_in_seconds(self) -> float | None:
        """For how long the sign-in was valid when it returned a token; None if that is not known."""
        return self.client.sign_in_seconds

    @property
    def under_way(self) -> int:
        """How many identities are being sent. May be called from any thread."""
        return self._lanes.under_way

    @property
    def accepted_so_far(self) -> tuple[int, int]:
        """How many requests and how many identities Pinterest accepted. May be called from any thread."""
        tallies = [each.writer.tally for each in list(self._destinations.values())]
        return sum(each.requests for each in tallies), sum(each.added + each.removed for each in tallies)

    def lists(self, sizes: Mapping[ListReference, ListSize] = MappingProxyType({})) -> list[ListReport]:
        """Return what was sent to each list.

        Args:
            sizes: how big each is by the ledger, where that is known.
        """
        return [each.report(sizes.get(reference)) for reference, each in self._destinations.items()]

    def report(self, reference: ListReference) -> ListReport:
        """Return what was sent to one list."""
        return self._destinations[reference].report()

    def _send(self, destination: Destination, batch: Batch) -> None:
        if destination.finder.customer_list is not None:
            self._lanes.submit(destination.reference, batch, destination.writer.write)
            return
        # On the main thread: what comes next depends on whether the list exists then.
        written = destination.writer.write(batch)
        self._destinations.refuse_second_reference(destination)
        self._receipts.append(self._receipt(destination.reference, batch, written))

    def _receipt(self, reference: ListReference, batch: Batch, written: Written) -> Receipt:
        if written.unanswered:
            batch = replace(batch, unanswered=True)
        destination = self._destinations[reference]
        removals = destination.writer.take_removals()
        return Receipt(reference, destination.finder.list_id, batch, written.refused, removals, written.wire_refused)
