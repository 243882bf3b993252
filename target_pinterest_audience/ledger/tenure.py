"""The link between requests and the locks under which they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger


class Tenure:
    """Tells whether this process may still write to customer lists.

    Requests are prepared long before they leave: identities wait in half-full batches, for a thread, or for the next
    attempt. If the locks are lost meanwhile, another run may have removed these people, and sending them would bring
    them back. So each request that writes is preceded by a look at the locks.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        """Begin.

        Args:
            ledger: whose locks count; None if it is opened later, or never: who uses none needs no lock.
        """
        self._ledger = ledger

    def begin(self, ledger: Ledger) -> None:
        """Let the locks of a ledger count from now on."""
        self._ledger = ledger

    def ensure(self) -> None:
        """Make sure that all locks that were taken are still held. May be called from any thread.

        Raises:
            LedgerError: one was lost, or that cannot be checked.
        """
        if self._ledger is not None:
            self._ledger.ensure_locks()
