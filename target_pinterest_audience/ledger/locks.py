"""The locks on customer lists and sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable


class Locks(ABC):
    """The locks of one process. They last until the ledger is closed, or the process ends."""

    @abstractmethod
    def take(self, names: Iterable[str], wait_seconds: float) -> None:
        """Take locks. Locks that this ledger has already are skipped.

        Args:
            names: the names of the locks, in the order in which they are taken.
            wait_seconds: how long to wait for all of them.

        Raises:
            LedgerError: another process has one of them. The message names its host, process and start.
        """

    @abstractmethod
    def ensure(self) -> None:
        """Check that this process still holds all locks that it took; this costs nothing if it took none.

        May be called from any thread, and does not wait for a transaction of another thread.

        Raises:
            LedgerError: a lock was lost, or the locks cannot be checked.
        """
