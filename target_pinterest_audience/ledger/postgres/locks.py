"""The locks of a PostgreSQL ledger: rows with the number of a process whose session has an advisory lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg

from target_pinterest_audience.ledger.fence import lock_key, lost
from target_pinterest_audience.ledger.lock_holder import held_by, wait_for
from target_pinterest_audience.ledger.locks import Locks
from target_pinterest_audience.ledger.postgres.claims import holds, is_upgraded, stands
from target_pinterest_audience.ledger.postgres.connection import SCHEMA
from target_pinterest_audience.ledger.postgres.session import ATTEMPTS

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.ledger.postgres.connection import Connection
    from target_pinterest_audience.ledger.postgres.session import Session
    from target_pinterest_audience.system.waits import Wait

_POLL_SECONDS: Final = 0.2


class PostgresLocks(Locks):
    """The locks of this process."""

    def __init__(self, ledger: Ledger, session: Session, *, dry: bool) -> None:
        """Create it, without locks.

        Args:
            ledger: the ledger, for its transactions.
            session: its session.
            dry: whether nothing is written, so that no lock is needed.
        """
        self._ledger = ledger
        self._session = session
        self._dry = dry
        self._watch: Connection | None = None
        """A second connection, for `ensure`, because a transaction occupies the first."""
        self._watch_turn = threading.Lock()

    def take(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Locks.take`."""
        if self._dry:
            return
        claims = self._session.claims
        deadline = time.monotonic() + wait_seconds
        named = {lock_key(name): name for name in names}
        keys = [key for key in named if key not in claims.held]
        waits: dict[int, Wait] = {}
        if keys:
            self._take_number()
        while keys:
            taken = self._ledger.transact(partial(claims.claim, keys))
            # Last: `ensure` may check at any time.
            claims.held.update(taken)
            keys = keys[len(taken) :]
            while keys and (busy := claims.busy(keys[:1])):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise held_by(claims.holder(busy[keys[0]]), wait_seconds)
                wait = waits.setdefault(keys[0], wait_for(named[keys[0]], wait_seconds))
                wait.log(partial(claims.holder, busy[keys[0]]))
                time.sleep(min(_POLL_SECONDS, remaining))

    def _take_number(self) -> None:
        backend = 0
        while not self._session.claims.take_number(self._session.backend):
            # The number of the session changes if its connection was lost meanwhile.
            if backend == self._session.backend:
                self._session.refuse_loss(same=False)
            backend = self._session.backend

    def ensure(self) -> None:
        """See `Locks.ensure`. If the session ended, this waits until it is restored."""
        if not self._session.claims.held:
            return
        where = self._session.where
        try:
            held, standing, newer = self._look_again()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable) as error:
            raise self._session.failed(self._session.database.explain(error)) from None
        except psycopg.Error as error:
            reason = f"It cannot check whether it still has them {self._session.database.explain(error)}"
            raise lost(where, reason, "Run again when the server is reachable.") from None
        if not held:
            reason = "Its session with the server ended."
            raise lost(where, reason, "Run again; the server's log explains why the session ended.")
        self._session.refuse_loss(same=True, standing=standing, newer=newer)

    def _look_again(self) -> tuple[bool, bool, bool]:
        """Return what `_look` does, after the session was restored if its connection was lost."""
        for _ in range(ATTEMPTS - 1):
            try:
                found = self._look()
                if found[0]:
                    return found
            except psycopg.errors.LockNotAvailable:
                # It has waited long enough.
                raise
            except psycopg.Error:
                pass
            # Restores the session if that is needed.
            self._session.query("SELECT 1")
        return self._look()

    def _look(self) -> tuple[bool, bool, bool]:
        """Return whether the session has the advisory lock of the process, its locks stand, and the tables are newer.

        Raises:
            psycopg.Error: the server does not answer.
        """
        with self._watch_turn:
            if self._watch is not None:
                try:
                    return self._ask(self._watch)
                except psycopg.errors.LockNotAvailable:
                    raise
                except psycopg.OperationalError:
                    # Something on the way may have dropped it while it was idle. The locks are not its own.
                    self._watch.close()
            self._watch = self._session.database.connect()
            return self._ask(self._watch)

    def _ask(self, watch: Connection) -> tuple[bool, bool, bool]:
        number = self._session.number
        question = f"SELECT {holds(self._session.backend, number)}, {stands(SCHEMA, number)}, {is_upgraded(SCHEMA)}"
        ((held, standing, newer),) = watch.execute(question).fetchall()
        # Another thread that restores the session has the advisory lock before it knows whether the process may go on.
        return held and not self._session.lost_because, standing, newer

    def close(self) -> None:
        """Close the second connection, unless a thread that cannot be stopped uses it."""
        if self._watch_turn.acquire(blocking=False):
            if self._watch is not None:
                self._watch.close()
                self._watch = None
            self._watch_turn.release()
