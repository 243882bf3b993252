"""From identities to requests: one waiting room and one writer for each list."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from target_pinterest_audience.audit import AcceptedRemoval
from target_pinterest_audience.batches import ENVELOPE_BYTES, Batch, PendingIdentities, Written
from target_pinterest_audience.courier import Courier, Crew
from target_pinterest_audience.directory import Directory
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.lists import CustomerListWriter
from target_pinterest_audience.membership import Cause
from target_pinterest_audience.pinterest import CustomerList, Operation, Patience, PinterestClient, Traffic
from target_pinterest_audience.report import ListReport
from target_pinterest_audience.routing import ListPlan, ListReference, merge
from target_pinterest_audience.watermark import Watermark

_GRACE_SECONDS: Final = 2.0
"""How long requests under way have to end when the run ends before them."""

_MOST_WAITING: Final = 400_000
"""How many identities wait for all lists together at most, some 90 MB; beyond that half-full requests leave."""
_FEWER_WAITING: Final = 300_000
"""How many wait after that at most, so that the fullest lists need not be looked for again soon."""


class Accepted(Protocol):
    """Told of every batch that Pinterest accepted."""

    def __call__(self, reference: ListReference, customer_list_id: str | None, batch: Batch) -> None:
        """Take note; the id is None if there is no list, so that nothing had to be sent."""
        ...


class Refused(Protocol):
    """Told of identities that Pinterest refused one by one."""

    def __call__(self, reference: ListReference, batch: Batch, places: Sequence[int]) -> None:
        """Take note of them by their places in a batch, the others of which were accepted."""
        ...


class Removed(Protocol):
    """Told of every request that removed somebody."""

    def __call__(self, reference: ListReference, removal: AcceptedRemoval) -> None:
        """Take note."""
        ...


@dataclass(slots=True)
class _Destination:
    number: int
    pending: PendingIdentities
    writer: CustomerListWriter
    courier: Courier | None = None

    @property
    def first_lines(self) -> list[int]:
        """The lines that the batches begin with that are not accepted yet; a failed one stays for good."""
        return self.pending.in_flight + self.pending.first_lines


class Delivery:
    """Delivers identities to the lists that they belong to, whichever streams they come from."""

    def __init__(
        self,
        client: PinterestClient,
        patience: Patience,
        logger: logging.Logger,
        *,
        max_identities: int,
        max_bytes: int,
        ahead: int = 0,
        dry: bool = False,
    ) -> None:
        """Prepare; nothing is asked of Pinterest before the first batch.

        Args:
            client: the ad account.
            patience: how often and how long to look for a list that may have been created.
            logger: told what happens to lists and audiences.
            max_identities: the most identities in a request.
            max_bytes: the most bytes in the body of a request.
            ahead: how many identities may wait for each list while a request is under way; 0 sends each batch before
                it returns.
            dry: whether to count what would be sent, and to send nothing.
        """
        self._client = client
        self._directory = Directory(client, time.monotonic)
        self._patience = patience
        self._logger = logger
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self.accepted: Accepted | None = None
        """Told of every batch that was accepted."""
        self.refused: Refused | None = None
        """Told before that of what was refused in it."""
        self.removed: Removed | None = None
        """Told, before that too, of the requests that removed somebody, those of a batch included that failed."""
        self._crew = Crew(ahead)
        self._dry = dry
        self._destinations: dict[ListReference, _Destination] = {}
        self._of_ids: dict[str, _Destination] = {}
        """The id of a list → who writes to it."""
        self._numbered: list[_Destination] = []
        self._watermark = Watermark(lambda number: self._numbered[number].first_lines)
        """Told before something waits, so that a signal at any moment leaves nothing uncovered."""
        self._waiting = 0
        """How many identities wait for all lists together, in no batch yet."""

    def open(self, plan: ListPlan, pinned_id: str | None = None, *, may_be_new: bool = False) -> CustomerList | None:
        """Make ready for a list, and look it up.

        Args:
            plan: which list, and what is to happen to it. Its reference is what `put` takes.
            pinned_id: the id that the list had in former runs; it decides between lists of one name.
            may_be_new: whether a run that was cut short may just have created it.

        Returns:
            The list; None if it does not exist yet.

        Raises:
            ConfigurationError: the list cannot be told; or another stream reaches it by another name or id, or wants
                another audience for it.
            PinterestError: Pinterest cannot be asked.
        """
        known = self._destinations.get(plan.reference)
        if known is None:
            name = plan.reference.customer_list_name or ""
            room = self._max_bytes - ENVELOPE_BYTES - len(msgspec.json.encode(name))
            pending = PendingIdentities(self._max_identities, max(1, room))
            writer = CustomerListWriter(plan, self._directory, self._patience, self._logger, dry=self._dry)
            known = self._destinations[plan.reference] = _Destination(len(self._numbered), pending, writer)
            self._numbered.append(known)
            writer.look_up(pinned_id, may_be_new=may_be_new)
            self._refuse_second_way(known)
        else:
            known.writer.plan = merge(known.writer.plan, plan)
        return known.writer.customer_list

    def put(
        self,
        reference: ListReference,
        operation: Operation,
        identity: bytes,
        line: int,
        cause: Cause = Cause.UNFINISHED,
    ) -> bool:
        """Take an identity in; send a batch if it is the one that fills it.

        Returns:
            Whether the identity, which is packed, waited already, so that one of the two is a duplicate.

        Raises:
            TargetError: a batch could not be delivered.
        """
        return bool(self.put_many(reference, operation, (identity,), (line,), cause))

    def put_many(
        self,
        reference: ListReference,
        operation: Operation,
        identities: Sequence[bytes],
        lines: Sequence[int],
        cause: Cause = Cause.UNFINISHED,
    ) -> int:
        """Take identities in, to the same effect as `put` for each.

        Args:
            reference: the list.
            operation: what is to be done with them.
            identities: packed.
            lines: the line of the stream that asks for each.
            cause: why they are removed, if they are.

        Returns:
            How many waited already.

        Raises:
            TargetError: a batch could not be delivered.
        """
        destination = self._destinations[reference]
        before = len(destination.pending)
        duplicates = taken = 0
        while taken < len(identities):
            self._watermark.note(destination.number, lines[taken])
            some, again = destination.pending.put_many(operation, identities[taken:], lines[taken:], cause)
            taken += some
            duplicates += again
            batch = destination.pending.take_full()
            if batch is not None:
                self._write(destination, batch)
        self._waiting += len(destination.pending) - before
        if self._waiting > _MOST_WAITING:
            self._make_room()
        return duplicates

    def _make_room(self) -> None:
        """Send half-full requests, those to the fullest lists first."""
        for destination in sorted(self._numbered, key=lambda each: len(each.pending), reverse=True):
            while len(destination.pending) and self._waiting > _FEWER_WAITING:
                self._send_any(destination)

    def flush(self, before_line: int | None = None) -> None:
        """Send what waits, full batch or not.

        Args:
            before_line: only from lists where something from before this line of the stream waits, and without waiting
                for the answers; None: from all, and until it is accepted.

        Raises:
            TargetError: a batch could not be delivered.
        """
        for destination in self._destinations.values():
            first_lines = destination.pending.first_lines
            if before_line is not None and all(first >= before_line for first in first_lines):
                continue
            while destination.pending.first_lines:
                self._send_any(destination)
        if before_line is None:
            self._crew.drain()

    def _send_any(self, destination: _Destination) -> None:
        """Send what waits for a list, as much as one request takes."""
        before = len(destination.pending)
        batch = destination.pending.take_any()
        self._waiting -= before - len(destination.pending)
        if batch is not None:
            self._write(destination, batch)

    def hear(self) -> None:
        """Pass on what was accepted meanwhile.

        Raises:
            TargetError: a batch could not be delivered.
        """
        self._crew.hear()

    def close(self) -> None:
        """Send nothing more, and pass on what is accepted within a moment."""
        self._client.stop()
        self._crew.stop(_GRACE_SECONDS)
        for destination in self._destinations.values():
            self._pass_on_removals(destination)
        self._client.close()

    def finish(self) -> None:
        """Send all that waits, then see to the audiences.

        Raises:
            TargetError: a batch could not be delivered, or an audience not be asked for.
        """
        self.flush()
        for destination in self._destinations.values():
            destination.writer.refuse_if_missing()
            destination.writer.ensure_audience()

    @property
    def first_line(self) -> int | None:
        """The earliest line of the stream that a batch begins with that is not accepted yet; None if there is none."""
        return self._watermark.earliest

    @property
    def last_first_line(self) -> int | None:
        """The latest line of the stream that a batch begins with that is not accepted yet; None if there is none."""
        return self._watermark.latest

    def oldest_line(self, reference: ListReference) -> int | None:
        """Return the earliest line of the stream that a list has not accepted something of; None if there is none."""
        return min(self._destinations[reference].first_lines, default=None)

    @property
    def traffic(self) -> Traffic:
        """How much was asked of Pinterest."""
        return self._client.traffic

    @property
    def sign_in_seconds(self) -> float | None:
        """For how long the sign-in held when a token was got by it; None if that is not known."""
        return self._client.sign_in_seconds

    @property
    def under_way(self) -> int:
        """How many identities are on their way. May be called from any thread."""
        return self._crew.under_way

    @property
    def accepted_so_far(self) -> tuple[int, int]:
        """How many requests Pinterest accepted, and how many identities with them. May be called from any thread."""
        tallies = [each.writer.tally for each in list(self._destinations.values())]
        return sum(each.requests for each in tallies), sum(each.added + each.removed for each in tallies)

    def lists(self, members: Mapping[ListReference, int] = MappingProxyType({})) -> list[ListReport]:
        """Return what was sent to each list.

        Args:
            members: how many identities belong on each, where that is known.
        """
        return [each.writer.report(members.get(reference)) for reference, each in self._destinations.items()]

    def report(self, reference: ListReference) -> ListReport:
        """Return what was sent to one list."""
        return self._destinations[reference].writer.report()

    def _write(self, destination: _Destination, batch: Batch) -> None:
        writer = destination.writer
        if writer.customer_list is None:
            # What comes next depends on whether there is a list then.
            written = writer.write(batch)
            self._refuse_second_way(destination)
            self._note_accepted(destination, batch, written)
            return
        if destination.courier is None:
            note = functools.partial(self._note_accepted, destination)
            destination.courier = Courier(self._crew, writer.write, note)
        destination.courier.hand_over(batch)
        if not self._crew.ahead:
            self._crew.drain()

    def _pass_on_removals(self, destination: _Destination) -> None:
        removals = destination.writer.removals
        while removals:
            if self.removed is not None:
                self.removed(destination.writer.plan.reference, removals[0])
            removals.popleft()

    def _note_accepted(self, destination: _Destination, batch: Batch, written: Written) -> None:
        self._pass_on_removals(destination)
        if written.refused and self.refused is not None:
            self.refused(destination.writer.plan.reference, batch, written.refused)
        if written.unanswered:
            batch = replace(batch, unanswered=True)
        destination.pending.in_flight.remove(batch.first_line)
        if self.accepted is not None:
            writer = destination.writer
            try:
                self.accepted(writer.plan.reference, writer.list_id, batch)
            except BaseException:
                # What is not noted as accepted is sent again by the next run, so no STATE may cover it.
                self._watermark.note(destination.number, batch.first_line)
                destination.pending.in_flight.append(batch.first_line)
                raise

    def _refuse_second_way(self, destination: _Destination) -> None:
        """Refuse a list that another stream reaches by another name or id: its writes would overtake each other.

        Raises:
            ConfigurationError: it is so.
        """
        list_id = destination.writer.list_id
        other = self._of_ids.setdefault(list_id, destination) if list_id is not None else destination
        if other is not destination:
            msg = (
                f"{destination.writer.plan.reference} and {other.writer.plan.reference} are one list (id {list_id})"
                ". Choose it in the same way for all streams that feed it."
            )
            raise ConfigurationError(msg)
