"""The check that a request is sent only while this process holds its locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger


class Tenure:
    """The right of this process to write to customer lists.

    Requests are prepared long before they are sent: identities wait in half-full batches, for a thread, or for the next
    attempt. If the locks are lost meanwhile, another run may have removed these people, and sending them would bring
    them back. So the locks are checked before each request that writes.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        """Create it.

        Args:
            ledger: the ledger with the locks; None if it is opened later, or if this process uses none.
        """
        self._ledger = ledger

    def begin(self, ledger: Ledger) -> None:
        """Check the locks of a ledger from now on."""
        self._ledger = ledger

    def ensure(self) -> None:
        """Check that this process still holds all locks that it took. May be called from any thread.

        Raises:
            LedgerError: a lock was lost, or the locks cannot be checked.
        """
        if self._ledger is not None:
            self._ledger.locks.ensure()
