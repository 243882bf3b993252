"""From identities to requests, one waiting room and one writer for each list; STATE leaves after what it covers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from target_pinterest_audience.batches import Batch, PendingIdentities
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities import ListType
from target_pinterest_audience.lists import CustomerListWriter
from target_pinterest_audience.pinterest import Operation, Patience, PinterestClient
from target_pinterest_audience.routing import ListPlan, ListReference
from target_pinterest_audience.state import StateGate

_ENVELOPE_BYTES: Final = 200
"""Room for everything in a request body but the records and a list's name."""

STATE_PATIENCE_SECONDS: Final = 60.0
"""How long a STATE waits for batches to fill before they are sent half-full."""


@dataclass(frozen=True, slots=True)
class _Destination:
    pending: PendingIdentities
    writer: CustomerListWriter
    in_flight: list[int] = field(default_factory=list)
    """The first lines of the batches that were taken out and are not accepted yet; a failed one stays for good."""

    @property
    def first_lines(self) -> list[int]:
        """The lines that the batches begin with that are not accepted yet."""
        return self.in_flight + self.pending.first_lines


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
        gate: StateGate,
    ) -> None:
        """Prepare; nothing is asked of Pinterest before the first batch.

        Args:
            client: the ad account.
            patience: how often and how long to look for a list that may have been created.
            logger: told what happens to lists and audiences.
            max_identities: the most identities in a request.
            max_bytes: the most bytes in the body of a request.
            gate: holds back each STATE until what it covers was accepted.
        """
        self._client = client
        self._patience = patience
        self._logger = logger
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self._gate = gate
        self._destinations: dict[ListReference, _Destination] = {}

    def open(self, plan: ListPlan) -> ListReference:
        """Make ready for a list.

        Returns:
            What to hand to `put`.

        Raises:
            ConfigurationError: another stream feeds the same list and wants another audience for it.
        """
        known = self._destinations.get(plan.reference)
        if known is None:
            name = plan.reference.customer_list_name or ""
            room = self._max_bytes - _ENVELOPE_BYTES - len(msgspec.json.encode(name))
            pending = PendingIdentities(self._max_identities, max(1, room))
            writer = CustomerListWriter(plan, self._client, self._patience, self._logger)
            self._destinations[plan.reference] = _Destination(pending, writer)
        else:
            known.writer.plan = _merge(known.writer.plan, plan)
        return plan.reference

    def put(self, reference: ListReference, operation: Operation, identity: str, line: int) -> None:
        """Take an identity in; send a batch if it is the one that fills it.

        Raises:
            TargetError: a batch could not be delivered.
        """
        destination = self._destinations[reference]
        if destination.pending.put(operation, identity, line):
            destination.writer.tally.duplicates += 1
        batch = destination.pending.take_full()
        if batch is not None:
            self._write(destination, batch)

    def hold_state(self, value: Any, line: int) -> None:  # noqa: ANN401 - any JSON value
        """Take a STATE in; it leaves as soon as everything before it was accepted.

        Raises:
            TargetError: it kept a former one waiting for too long, and a batch could not be delivered.
        """
        waiting = [first for each in self._destinations.values() for first in each.first_lines]
        self._gate.arrived(value, line, max(waiting, default=None))
        self._gate.release(self._oldest_line)
        self.tick()

    def tick(self) -> None:
        """Send half-full batches that have kept a STATE waiting for too long. To be called every second or so.

        Raises:
            TargetError: a batch could not be delivered.
        """
        line = self._gate.overdue(STATE_PATIENCE_SECONDS)
        if line is not None:
            self.flush(before_line=line)

    def flush(self, before_line: int | None = None) -> None:
        """Send what waits, full batch or not.

        Args:
            before_line: only from lists where something from before this line of the stream waits; None: from all.

        Raises:
            TargetError: a batch could not be delivered.
        """
        for destination in self._destinations.values():
            first_lines = destination.pending.first_lines
            if before_line is not None and all(first >= before_line for first in first_lines):
                continue
            while (batch := destination.pending.take_any()) is not None:
                self._write(destination, batch)

    def finish(self) -> None:
        """Send all that waits, then see to the audiences.

        Raises:
            TargetError: a batch could not be delivered, or an audience not be asked for.
        """
        self.flush()
        for destination in self._destinations.values():
            if not destination.writer.plan.may_create:
                destination.writer.resolve()
            destination.writer.ensure_audience()

    @property
    def _oldest_line(self) -> int | None:
        """The earliest line of the stream that is not delivered yet; None if everything is."""
        return min((line for each in self._destinations.values() for line in each.first_lines), default=None)

    def summary(self) -> Iterator[str]:
        """Yield a sentence for each list that was written to or looked up."""
        for destination in self._destinations.values():
            if (told := destination.writer.summary()) is not None:
                yield told

    def _write(self, destination: _Destination, batch: Batch) -> None:
        destination.in_flight.append(batch.first_line)
        self._refuse_second_way(destination)
        destination.writer.write(batch)
        destination.in_flight.remove(batch.first_line)
        self._gate.release(self._oldest_line)

    def _refuse_second_way(self, destination: _Destination) -> None:
        """Refuse a list that another stream reaches by another name or id: its writes would overtake each other.

        Raises:
            ConfigurationError: it is so.
        """
        list_id = destination.writer.resolve()
        for other in self._destinations.values():
            if other is not destination and list_id is not None and other.writer.list_id == list_id:
                msg = (
                    f"{destination.writer.plan.reference} and {other.writer.plan.reference} are one list (id {list_id})"
                    ". Choose it in the same way for all streams that feed it."
                )
                raise ConfigurationError(msg)


def _merge(known: ListPlan, plan: ListPlan) -> ListPlan:
    """Combine what two streams want of one list.

    An audience is made if either wants one. A list with addresses is of type EMAIL, else of the type that came first.
    """
    if known.audience is not None and plan.audience is not None and known.audience != plan.audience:
        msg = (
            f"Two streams feed {plan.reference} and want different audiences for it. "
            "Give them the same `audience_name` and `audience_description`."
        )
        raise ConfigurationError(msg)
    return ListPlan(
        known.reference,
        list_type=ListType.EMAIL if ListType.EMAIL in {known.list_type, plan.list_type} else known.list_type,
        may_create=known.may_create or plan.may_create,
        audience=known.audience or plan.audience,
    )
