"""The locks of a SQLite ledger: rows with the number of a process whose byte in the file is locked."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.fence import lock_key
from target_pinterest_audience.ledger.lock_holder import Holder, held_by, wait_for
from target_pinterest_audience.ledger.locks import Locks
from target_pinterest_audience.ledger.sqlite.claims import POLL_SECONDS, Claim, byte_of
from target_pinterest_audience.ledger.sqlite.connection import LOG_AFTER_SECONDS
from target_pinterest_audience.ledger.sqlite.fence import FenceCheck
from target_pinterest_audience.system.waits import Wait

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.ledger.sqlite.connection import Connection
    from target_pinterest_audience.ledger.sqlite.errors import Errors
    from target_pinterest_audience.ledger.sqlite.fence import Fence
    from target_pinterest_audience.ledger.sqlite.file import OpenFile

_ENTER_SECONDS: Final = 5.0
_HOLDER: Final = "holder "
"""Begins the names in `meta` under which processes that hold locks are recorded; their numbers follow."""


class SqliteLocks(Locks):
    """The locks of this process."""

    def __init__(self, ledger: Ledger, connection: Connection, fence: Fence, file: OpenFile, errors: Errors) -> None:
        """Create it, without locks.

        Args:
            ledger: the ledger, for its transactions.
            connection: its connection.
            fence: the fence.
            file: the file.
            errors: translates the errors of the second connection.
        """
        self._ledger = ledger
        self._connection = connection
        self._fence = fence
        self._file = file
        self._errors = errors
        self._check = FenceCheck(fence, ledger.where)
        self._watch: sqlite3.Connection | None = None
        """A second connection, for `ensure`, because a transaction occupies the first."""
        self._watch_turn = threading.Lock()

    def take(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Locks.take`."""
        claim = self._file.claim
        if claim is None:
            return
        deadline = time.monotonic() + wait_seconds
        named = {lock_key(name): name for name in names}
        wanted = [key for key in named if key not in self._fence.locks]
        waits: dict[int, Wait] = {}
        if wanted and not self._fence.locks:
            self._enter(claim, deadline)
        while wanted:
            holder = self._holder_of(claim, wanted[0])
            if holder is None:
                taken = self._take_free(claim, wanted)
                # Last: `ensure` may check at any time.
                self._fence.locks.update(taken)
                wanted = wanted[len(taken) :]
            elif time.monotonic() >= deadline:
                raise held_by(self._process(holder), wait_seconds)
            else:
                wait = waits.setdefault(wanted[0], wait_for(named[wanted[0]], wait_seconds))
                wait.log(partial(self._process, holder))
                time.sleep(max(0.0, min(POLL_SECONDS, deadline - time.monotonic())))

    def _process(self, number: int) -> Holder | None:
        """Return the process with a fencing number; None if it is not recorded."""
        found = self._connection.query("SELECT value FROM meta WHERE name = ?", f"{_HOLDER}{number}")
        return Holder.read(found[0][0]) if found else None

    def _enter(self, claim: Claim, deadline: float) -> None:
        """Show that this process is alive, and record it.

        Args:
            claim: the claim on the file.
            deadline: how long to wait for processes that are alive but not recorded; monotonic time in seconds.

        Raises:
            LedgerError: there is such a process. Its changes go to a write-ahead log that this process does not read.
        """
        claim.show_life(self._fence.number)
        # Another process may be between showing life and recording itself.
        deadline = max(deadline, time.monotonic() + _ENTER_SECONDS)
        wait = Wait("another process is at work whose changes cannot be seen", None, after_seconds=LOG_AFTER_SECONDS)
        while self._unrecorded(claim):
            if time.monotonic() >= deadline:
                msg = (
                    f"{self._ledger.where} is in use by another process whose changes cannot be seen: "
                    f"{self._file.path.name}-wal was deleted while that process was at work. End that process, and run "
                    "again."
                )
                raise LedgerError(msg)
            wait.log()
            time.sleep(POLL_SECONDS)

    def _unrecorded(self, claim: Claim) -> set[int]:
        """Record this process, delete the records of processes that ended, and return those alive without a record."""
        with self._ledger.transaction():
            self._connection.query(
                "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                f"{_HOLDER}{self._fence.number}", Holder.this_process().encode(),
            )  # fmt: skip
            alive = claim.alive() | {byte_of(self._fence.number)}
            for (name,) in self._connection.query("SELECT name FROM meta WHERE name LIKE ?", f"{_HOLDER}%"):
                byte = byte_of(int(name.removeprefix(_HOLDER)))
                if byte not in alive:
                    self._connection.query("DELETE FROM meta WHERE name = ?", name)
                alive.discard(byte)
        return alive

    def _holder_of(self, claim: Claim, key: int) -> int | None:
        """Return the number of another process that has a lock; None if the lock is free or this process has it."""
        found = self._connection.query("SELECT number FROM fences WHERE name_digest = ?", key)
        number = int(found[0][0]) if found else self._fence.number
        return number if number != self._fence.number and claim.is_alive(number) else None

    def _take_free(self, claim: Claim, wanted: Sequence[int]) -> list[int]:
        """Take locks, up to the first that another process has."""
        taken = []
        with self._ledger.transaction():
            for key in wanted:
                if self._holder_of(claim, key) is not None:
                    break
                self._connection.query(
                    "INSERT INTO fences (name_digest, number) VALUES (?, ?) "
                    "ON CONFLICT (name_digest) DO UPDATE SET number = excluded.number",
                    key, self._fence.number,
                )  # fmt: skip
                taken.append(key)
        return taken

    def ensure(self) -> None:
        """See `Locks.ensure`."""
        with self._errors.translated(), self._watch_turn:
            self._file.ensure_in_place()
            if self._fence.locks:
                if self._watch is None:
                    self._watch = self._file.connect_to_read()
                self._check.ensure(self._watch)

    def close(self) -> bool:
        """Close the second connection, and return whether no thread uses it; otherwise it stays open."""
        if not self._watch_turn.acquire(blocking=False):
            return False
        try:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        finally:
            self._watch_turn.release()
        return True
