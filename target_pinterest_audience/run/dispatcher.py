"""The loop between the stages: orders go to delivery, receipts come back, and STATE leaves.

Delivery and the journal do not know each other. Everything that passes between them passes here, in one place and on
the main thread, and never while something else passes: `settle` collects receipts, and nothing that it calls sends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

from target_pinterest_audience.errors import TargetError

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.routing.orders import AcceptedRemoval, Order, Receipt
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.run.refusals import Refusals
    from target_pinterest_audience.run.states import StateGate

_MOMENT_SECONDS: Final = 0.5
"""How long a wait for receipts lasts at a time, so that a signal ends it on every platform."""


class Journal(Protocol):
    """Remembers what is about to be sent, and what was accepted."""

    def removed(self, reference: ListReference, removal: AcceptedRemoval) -> None:
        """Remember a request that removed somebody."""
        ...

    def settle(self, receipt: Receipt) -> None:
        """Remember what came of a batch."""
        ...

    def references_to(self, reference: ListReference) -> set[ListReference]:
        """Return all references of the run that lead to the list of one of them."""
        ...


class Dispatcher:
    """Hands orders over to delivery, and passes what comes of them on.

    Attributes:
        delivery: where orders go.
    """

    def __init__(
        self,
        delivery: Delivery,
        journal: Journal | None = None,
        states: StateGate | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        """Begin with nothing on its way.

        Args:
            delivery: where orders go.
            journal: remembers them, if they have to be remembered.
            states: holds STATE back, if there is any.
            refusals: notes whose identities Pinterest refuses one by one, if they come from a stream.
        """
        self.delivery = delivery
        self._journal = journal
        self._states = states
        self._refusals = refusals

    def remember_in(self, journal: Journal) -> None:
        """Let a journal remember the orders from now on: a run opens the ledger when the first stream needs it."""
        self._journal = journal

    def send_all(self, orders: Iterable[Order]) -> None:
        """Hand orders over, one after the other. Raises as `send` does."""
        for order in orders:
            self.send(order)

    def send(self, order: Order) -> int:
        """Hand an order over; wait for room as long as it takes.

        Returns:
            How many of its identities waited already, so that one of the two is a duplicate.

        Raises:
            TargetError: a batch could not be delivered, or the journal not be written.
        """
        duplicates = sent = 0
        while True:
            taken = self.delivery.put(order, sent)
            sent += taken.identities
            duplicates += taken.duplicates
            if sent == len(order.identities):
                return duplicates
            self.settle(_MOMENT_SECONDS)

    def flush(self, before_line: int | None = None) -> None:
        """Send what waits, full batch or not.

        Args:
            before_line: only from lists where something from before this line of the stream waits, and without waiting
                for the answers; None: from all, and until everything is accepted.

        Raises:
            TargetError: a batch could not be delivered, or the journal not be written.
        """
        while not self.delivery.flush(before_line):
            self.settle(_MOMENT_SECONDS)
        while before_line is None and not self.delivery.is_idle:
            self.settle(_MOMENT_SECONDS)
        self.settle()

    def settle(self, seconds: float = 0.0) -> None:
        """Pass on what was accepted, and let STATE leave.

        Args:
            seconds: how long to wait for the first receipt, if a batch is under way.

        Raises:
            TargetError: a batch could not be delivered, or the journal not be written.
        """
        for receipt in self.delivery.receipts(seconds):
            self._settle(receipt)
        self._release()

    def stop(self) -> None:
        """Send nothing more; pass on what is accepted within a moment, and let the STATE leave that is covered."""
        for receipt in self.delivery.stop():
            # Whoever stops early knows why; that the ledger cannot be written either is no news then.
            with contextlib.suppress(TargetError):
                self._settle(receipt)
        for reference, removal in self.delivery.removals_of_failures():
            if self._journal is not None:
                self._journal.removed(reference, removal)
        self.delivery.close()
        self._release()

    def _settle(self, receipt: Receipt) -> None:
        if self._journal is not None:
            for removal in receipt.removals:
                self._journal.removed(receipt.list, removal)
        if receipt.refused and self._refusals is not None:
            references = self._journal.references_to(receipt.list) if self._journal is not None else set()
            self._refusals.note(receipt, {receipt.list, *references})
        if self._journal is not None:
            self._journal.settle(receipt)
        # Last: what is not noted as accepted is sent again by the next run, so no STATE may cover it.
        receipt.batch.hold.release()

    def _release(self) -> None:
        """Let the newest STATE go that is covered."""
        floor = self.delivery.watermark.floor()
        if self._states is not None:
            self._states.release(floor)
        if floor is not None and self._refusals is not None:
            self._refusals.forget_before(floor)
