"""Sends the batches of one customer list."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from target_pinterest_audience.delivery.creation import Attempts
from target_pinterest_audience.delivery.halving import Halving, Trial, WireRefusedError
from target_pinterest_audience.delivery.list_finder import ListFinder
from target_pinterest_audience.delivery.refused_phones import RefusedPhones
from target_pinterest_audience.delivery.tally import ListTally
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.packed import as_records
from target_pinterest_audience.pinterest.client import PinterestClient, raise_exceptions
from target_pinterest_audience.pinterest.errors import NotFoundError, PinterestError, RefusedError, RestrictedError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, Written, tell_removal
from target_pinterest_audience.routing.plan import IfMissing
from target_pinterest_audience.vocabulary import Operation, WireFormat


class ListWriter:
    """Writes to one list, one request at a time: Pinterest answers 429 to parallel writes.

    Attributes:
        tally: counts what was sent.
    """

    def __init__(self, finder: ListFinder, client: PinterestClient, logger: logging.Logger, *, dry: bool) -> None:
        """Create it; nothing is sent before the first batch.

        Args:
            finder: has found the list, or creates it with the first batch.
            client: the ad account.
            logger: logs removals and limits.
            dry: whether to count what would be sent, and to send nothing.
        """
        self.tally = ListTally()
        self._finder = finder
        self._client = client
        self._logger = logger
        self._dry = dry
        self._phone_trial = Trial()
        self._refused_before: set[bytes] = set()
        self._halving = {
            WireFormat.RECORDS: Halving(self._send, refused_before=self._refused_before),
            # Whether Pinterest accepts rows from everybody and for every list is not known (API description 5.28).
            WireFormat.PHONES: Halving(self._send, trial=self._phone_trial, refused_before=self._refused_before),
        }
        self._restriction = ""
        """Why no more phone numbers are sent; empty as long as Pinterest may accept some."""
        self._new_phones = 0
        """How many phone numbers of the stream Pinterest refused before it accepted one."""
        self._resent_phones = 0
        """The same for those that an earlier run left."""
        self._phone_removals = 0
        """How many of both were to be removed."""
        self._attempts = Attempts()
        """The requests of the batch that is being written."""
        self._removals: deque[AcceptedRemoval] = deque()

    def note_refused_before(self, identities: Iterable[bytes]) -> None:
        """Note identities that Pinterest refused one by one in earlier runs, before they are sent again."""
        self._refused_before.update(identities)

    def take_removals(self) -> list[AcceptedRemoval]:
        """Return the requests that removed people since the last call. May be called from another thread."""
        return [self._removals.popleft() for _ in range(len(self._removals))]

    def write(self, batch: Batch) -> Written:
        """Send a batch, and return the result.

        Raises:
            PinterestError: Pinterest did not accept the batch.
            ConfigurationError: the list does not exist, and the plan does not allow that.
        """
        self._finder.refuse_if_missing()
        adds = batch.operation is Operation.ADD
        if self._finder.customer_list is None and not (adds and self._finder.plan.if_missing is IfMissing.CREATE):
            # Nobody is on a list that does not exist.
            self.tally.needless += len(batch.identities)
            return Written([])
        self._attempts = Attempts()
        refused, wire_refused = self._deliver_if_accepted(batch)
        self.tally.refused += len(refused)
        if adds:
            self.tally.added += len(batch.identities) - len(refused)
        else:
            self.tally.removed += len(batch.identities) - len(refused)
            self.tally.causes += batch.count_causes(refused)
        return Written(refused, self._attempts.unanswered, wire_refused)

    @property
    def refused_phones(self) -> RefusedPhones | None:
        """The phone numbers that Pinterest refused, if it has accepted none for the list; None otherwise."""
        trial = self._phone_trial
        if trial.accepted or not (trial.suspects or self._restriction):
            return None
        return RefusedPhones(
            self._restriction or trial.answer, self._new_phones, self._resent_phones, self._phone_removals
        )

    def _deliver_if_accepted(self, batch: Batch) -> tuple[list[int], bool]:
        """Deliver a batch, unless Pinterest has refused its wire format.

        Returns:
            The indices of the identities that Pinterest refuses; and whether it seems to refuse the wire format.
        """
        halving = self._halving[batch.wire]
        refused = list(range(len(batch.identities)))
        if batch.wire is WireFormat.RECORDS or not self._restriction:
            try:
                refused = self._deliver(batch)
            except WireRefusedError as error:
                self._restriction = str(error)
        telling = [index for index in refused if batch.identities[index] not in self._refused_before]
        if not (telling and halving.is_in_doubt):
            return refused, False
        resent = sum(batch.lines[index] <= 0 for index in telling)
        self._resent_phones += resent
        self._new_phones += len(telling) - resent
        if batch.operation is Operation.REMOVE:
            self._phone_removals += len(telling)
        return refused, True

    def _deliver(self, batch: Batch) -> list[int]:
        halving = self._halving[batch.wire]
        reference, limit = self._finder.plan.reference, halving.fits
        try:
            return halving.deliver(batch)
        except RefusedError as refused:
            if self._finder.customer_list is None:
                advice = (
                    f"Pinterest did not create {reference}. Check its name, the type of its identities, and whether "
                    "the ad account may have one more list."
                )
            else:
                advice = (
                    f"Pinterest refuses so many single identities of one batch for {reference} that bad rows cannot "
                    "be the cause. Check whether the list is of the right type and still in use."
                )
            msg = f"{refused} {advice} No part of the batch counts as delivered."
            raise RefusedError(msg, status=refused.status, code=refused.code) from None
        finally:
            if halving.fits != limit:
                self._logger.warning(
                    "%s: Pinterest refuses requests of more than about %s identities. The run continues with "
                    "requests of that size. Set `batch_size_rows` to it.", reference, f"{halving.fits:,}",
                )  # fmt: skip

    def _send(self, batch: Batch) -> None:
        if self._dry:
            self.tally.requests += 1
            return
        try:
            if self._finder.customer_list is not None:
                self._update(self._finder.customer_list, batch)
            else:
                self._create_with(batch)
        except PinterestError as error:
            # A part of the batch may be sent again.
            self._attempts.note(unanswered=error.unanswered)
            if isinstance(error, (RefusedError, RestrictedError)):
                self.tally.requests += 1
            raise

    def _update(self, customer_list: CustomerList, batch: Batch) -> None:
        records = as_records(batch.identities)
        try:
            answer = self._finder.retry_while_new(
                lambda: self._client.update_customer_list(customer_list.id, batch.operation, records), self._attempts
            )
        except NotFoundError as missing:
            msg = (
                f"Pinterest no longer has {self._finder.plan.reference} (id {customer_list.id}). Choose another list, "
                "or another name. Nobody can be removed from this one."
            )
            raise ConfigurationError(msg) from missing
        self._attempts.note(unanswered=answer.unanswered)
        self.tally.requests += 1
        if batch.operation is Operation.REMOVE:
            removal = AcceptedRemoval(answer.received, batch.count_causes(), answer.request_id)
            self._logger.info("%s", tell_removal(removal, customer_list.name, customer_list.id))
            self._removals.append(removal)

    def _create_with(self, batch: Batch) -> None:
        customer_list, is_created = self._finder.create(as_records(batch.identities), self._attempts)
        if is_created:
            # The list exists; its first identities may not be on it.
            raise_exceptions(customer_list)
            self.tally.requests += 1
        else:
            # The list may be another process's, so it may lack this batch. Adding people twice changes nothing.
            self._update(customer_list, batch)
