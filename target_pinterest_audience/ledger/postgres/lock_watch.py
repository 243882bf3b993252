"""Logs that the session of a ledger waits for a lock of another session, which is not one of a run as a rule."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.pq import TransactionStatus

from target_pinterest_audience.system.waits import Wait

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.server_session import ServerSession

_EVERY_SECONDS: Final = 1.0
"""How often to check whether a statement is under way, which asks nothing of the server."""
_ACTIVE_CHECKS: Final = 5
"""How many checks in a row have to find one before the server is asked what it waits for."""

_BLOCKERS: Final = """
    SELECT blocker, usename, application_name
    FROM unnest(pg_blocking_pids(%s)) AS blocker LEFT JOIN pg_catalog.pg_stat_activity ON pid = blocker
    ORDER BY blocker
"""


class LockWatch:
    """Watches the statements of a session from a thread of its own, and asks over a connection of its own."""

    def __init__(self, session: ServerSession) -> None:
        """Create it; `start` begins the watch."""
        self._session = session
        self._done = threading.Event()

    def start(self) -> None:
        """Watch until `stop` is called."""
        threading.Thread(target=self._watch, name="locks of other sessions", daemon=True).start()

    def stop(self) -> None:
        """End the watch."""
        self._done.set()

    def _watch(self) -> None:
        active = 0
        wait: Wait | None = None
        while not self._done.wait(_EVERY_SECONDS):
            if self._session.connection.info.transaction_status != TransactionStatus.ACTIVE:
                active, wait = 0, None
                continue
            active += 1
            blockers = self._blockers() if active % _ACTIVE_CHECKS == 0 else ""
            if blockers:
                database = self._session.database
                wait = wait or Wait(
                    f"another session has locked tables or rows of the ledger in {database}", database.lock_seconds,
                    setting="lock_wait_seconds",
                )  # fmt: skip
                wait.log(lambda blockers=blockers: blockers)  # type: ignore[misc]

    def _blockers(self) -> str:
        """Return the sessions whose locks are waited for; an empty text if there are none, or the server is away."""
        session = self._session
        with contextlib.suppress(psycopg.Error), contextlib.closing(session.database.connect()) as connection:
            found = connection.execute(_BLOCKERS, (session.backend,)).fetchall()
            return ", ".join(f"server process {pid} (user {user}, {name or 'unnamed'})" for pid, user, name in found)
        return ""
