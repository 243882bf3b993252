"""The dispatcher: the loop that sends orders to delivery, collects receipts, and releases STATE.

Delivery and the journal do not know each other. Everything between them passes through here, on the main thread, one
thing at a time: `settle` collects receipts, and nothing that it calls sends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from target_pinterest_audience.errors import TargetError

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery, Taken
    from target_pinterest_audience.routing.orders import AcceptedRemoval, MixedOrder, Order, Receipt
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.run.refusals import Refusals
    from target_pinterest_audience.run.states import StateGate

_MOMENT_SECONDS: Final = 0.5
"""How long a wait for receipts lasts at a time, so that a signal ends it on every platform."""


class Journal(Protocol):
    """Records what Pinterest accepted."""

    def removed(self, reference: ListReference, removal: AcceptedRemoval) -> None:
        """Record a request that removed identities."""
        ...

    def settle(self, receipt: Receipt) -> None:
        """Record an accepted batch."""
        ...

    def references_to(self, reference: ListReference) -> set[ListReference]:
        """Return all references of the run that lead to the same list as one of them."""
        ...


class Dispatcher:
    """Sends orders, and settles them when Pinterest has accepted them.

    Attributes:
        delivery: sends to the lists.
    """

    def __init__(
        self,
        delivery: Delivery,
        journal: Journal | None = None,
        states: StateGate | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        """Begin without orders.

        Args:
            delivery: sends to the lists.
            journal: records what was accepted; None if nothing is recorded.
            states: holds STATE back; None if there is no STATE.
            refusals: finds the streams of refused identities; None if no identities come from streams.
        """
        self.delivery = delivery
        self._journal = journal
        self._states = states
        self._refusals = refusals

    def remember_in(self, journal: Journal) -> None:
        """Record in a journal from now on: a run opens the ledger when the first stream needs it."""
        self._journal = journal

    def send_all(self, orders: Iterable[Order]) -> None:
        """Send orders, one after the other. Raises as `send` does."""
        for order in orders:
            self.send(order)

    def send(self, order: Order) -> int:
        """Hand an order to delivery, and wait until there is room for it.

        Returns:
            How many of its identities were waiting already, and so are duplicates.

        Raises:
            TargetError: a batch could not be delivered, or the journal could not be written.
        """
        return sum(self._send(partial(self.delivery.put, each), len(each.identities)) for each in order.by_wire())

    def send_mixed(self, order: MixedOrder) -> int:
        """Hand an order for many lists to delivery, with the same effect as one order for each. See `send`."""
        return self._send(partial(self.delivery.put_mixed, order), len(order.identities))

    def _send(self, put: Callable[[int], Taken], identities: int) -> int:
        """Hand over so many identities.

        Args:
            put: hands over those from an index on, as far as there is room.
            identities: their number.
        """
        duplicates = sent = 0
        while True:
            taken = put(sent)
            sent += taken.identities
            duplicates += taken.duplicates
            if sent == identities:
                return duplicates
            self.settle(_MOMENT_SECONDS)

    def flush(self, before_line: int | None = None) -> None:
        """Send what waits, in full batches or not.

        Args:
            before_line: send only to lists that wait for something from before this line, and do not wait for answers.
                None: send to all lists, and wait until everything is accepted.

        Raises:
            TargetError: a batch could not be delivered, or the journal could not be written.
        """
        while not self.delivery.flush(before_line):
            self.settle(_MOMENT_SECONDS)
        while before_line is None and not self.delivery.is_idle:
            self.settle(_MOMENT_SECONDS)
        self.settle()

    def settle(self, seconds: float = 0.0) -> None:
        """Settle what was accepted, and release STATE.

        Args:
            seconds: how long to wait for the first receipt, if a batch is under way.

        Raises:
            TargetError: a batch could not be delivered, or the journal could not be written.
        """
        for receipt in self.delivery.receipts(seconds):
            self._settle(receipt)
        self._release()

    def stop(self) -> None:
        """Send nothing more; settle what is accepted within a moment, and release the STATE that is covered."""
        for receipt in self.delivery.stop():
            # A run that stops early has its own error; a ledger that cannot be written adds nothing to it.
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
        references = self._journal.references_to(receipt.list) if self._journal is not None else set()
        if receipt.refused and self._refusals is not None:
            self._refusals.note(receipt, {receipt.list, *references})
        if self._journal is not None:
            self._journal.settle(receipt)
        # Last: the next run sends again what is not recorded as accepted, so no STATE may cover it. Without a journal,
        # nothing but the stream can bring back identities whose wire format Pinterest refuses.
        if references or not receipt.wire_refused:
            receipt.batch.hold.release()

    def _release(self) -> None:
        """Release the newest STATE that is covered."""
        floor = self.delivery.watermark.floor()
        if self._states is not None:
            self._states.release(floor)
        if floor is not None and self._refusals is not None:
            self._refusals.forget_before(floor)
