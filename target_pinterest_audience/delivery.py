"""From identities to requests: one waiting room and one writer for each list."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.batches import Batch, PendingIdentities
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.lists import CustomerListWriter
from target_pinterest_audience.pinterest import Operation, Patience, PinterestClient
from target_pinterest_audience.routing import ListPlan, ListReference

_ENVELOPE_BYTES: Final = 200
"""Room for everything in a request body but the records and a list's name."""


@dataclass(frozen=True, slots=True)
class _Destination:
    pending: PendingIdentities
    writer: CustomerListWriter


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
        accepted: Callable[[], None],
    ) -> None:
        """Prepare; nothing is asked of Pinterest before the first batch.

        Args:
            client: the ad account.
            patience: how often and how long to look for a list that may have been created.
            logger: told what happens to lists and audiences.
            max_identities: the most identities in a request.
            max_bytes: the most bytes in the body of a request.
            accepted: called after each batch that Pinterest has accepted.
        """
        self._client = client
        self._patience = patience
        self._logger = logger
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self._accepted = accepted
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
            room = self._max_bytes - _ENVELOPE_BYTES - len(name.encode())
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

    def flush(self, before_line: int | None = None) -> None:
        """Send what waits, full batch or not.

        Args:
            before_line: only from lists where something from before this line of the stream waits; None: from all.

        Raises:
            TargetError: a batch could not be delivered.
        """
        for destination in self._destinations.values():
            first = destination.pending.first_line
            if first is None or (before_line is not None and first >= before_line):
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
            destination.writer.ensure_audience()

    @property
    def oldest_line(self) -> int | None:
        """The earliest line of the stream that is not delivered yet; None if everything is."""
        waiting = (destination.pending.first_line for destination in self._destinations.values())
        return min((line for line in waiting if line is not None), default=None)

    @property
    def writers(self) -> list[CustomerListWriter]:
        """The writers of all lists, in the order in which the lists first came up."""
        return [destination.writer for destination in self._destinations.values()]

    def _write(self, destination: _Destination, batch: Batch) -> None:
        destination.writer.write(batch)
        self._accepted()


def _merge(known: ListPlan, plan: ListPlan) -> ListPlan:
    """Combine what two streams want of one list."""
    if known.audience is not None and plan.audience is not None and known.audience != plan.audience:
        msg = (
            f"Two streams feed {plan.reference} and want different audiences for it. "
            "Give them the same `audience_name` and `audience_description`."
        )
        raise ConfigurationError(msg)
    return ListPlan(
        known.reference, known.list_type, known.may_create or plan.may_create, known.audience or plan.audience
    )
