"""The fence of a SQLite ledger: the locks at which this process wrote its fencing number, and whether they stand."""

from __future__ import annotations

import sqlite3
from typing import Final

from target_pinterest_audience.ledger.fence import lost, new_number, upgraded
from target_pinterest_audience.ledger.schema import VERSION

_COUNT: Final = "SELECT count(*) FROM fences WHERE number = ?"


class Fence:
    """The fencing number of this process, and its locks.

    Attributes:
        number: the number.
        locks: the keys of the locks at which it was written.
    """

    def __init__(self) -> None:
        """Create it, without locks."""
        self.number = new_number()
        self.locks: set[int] = set()


class FenceCheck:
    """Checks over one connection that no other process took a lock of this one, or upgraded the tables.

    The fences are counted only if another connection has committed since the last count, because only then can they
    have changed: counting those of ten thousand lists takes half a millisecond, and asking whether anybody committed a
    hundredth of that. Transactions of this connection change no fence that stands, but for adding its own.
    """

    def __init__(self, fence: Fence, where: str) -> None:
        """Create it.

        Args:
            fence: the fence.
            where: the ledger, as the beginning of a sentence.
        """
        self._fence = fence
        self._where = where
        self._version: int | None = None
        """The version of the data, as this connection numbers them, at the last count."""

    def ensure(self, connection: sqlite3.Connection) -> None:
        """Check the locks.

        Args:
            connection: the same connection each time.

        Raises:
            LedgerError: another process took one, or the ledger is of a newer version by now.
        """
        # Before the version and the count: another thread may take a lock meanwhile.
        held = len(self._fence.locks)
        if not held:
            return
        ((version,),) = connection.execute("PRAGMA data_version").fetchall()
        if version == self._version:
            return
        ((standing,),) = connection.execute(_COUNT, (self._fence.number,)).fetchall()
        if standing < held:
            reason = "Another process took them: an older version of this target, or the ledger was overwritten."
            raise lost(self._where, reason, "Let all runs use one version, and run again.")
        ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
        if schema > VERSION:
            raise upgraded(self._where)
        self._version = version
