"""Brings the session of a PostgreSQL ledger back after its connection was lost, if this process may go on."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import psycopg

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.postgres.claims import END_FORMER, TAKE_AGAIN, WRITER, commits_of, read_holder
from target_pinterest_audience.ledger.postgres.connection import begin
from target_pinterest_audience.system.waits import Wait

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.server_session import ServerSession

_POLL_SECONDS: Final = 0.5
"""How often to check whether the server is back."""

_logger: Final = logging.getLogger("target-pinterest-audience")


class Restoration:
    """Restores a session: with a new connection, if the ledger is as this process left it.

    That is so if the process still has all its locks, so that nobody else has written to its lists, and if the ledger
    has all that was committed. A standby that takes over may lack the newest transactions.
    """

    def __init__(self, session: ServerSession, wait_seconds: float) -> None:
        """Create it; nothing is lost yet.

        Args:
            session: the session.
            wait_seconds: how long to wait for the server.
        """
        self._session = session
        self._wait_seconds = wait_seconds
        self._given_up: LedgerError | None = None
        """Why the session cannot be restored: nobody waits for that again."""

    def restore(self, *, in_doubt: bool = False) -> None:
        """Restore the session. The caller has its turn.

        Args:
            in_doubt: whether one more transaction may have been committed than is known.

        Raises:
            LedgerError: another process took a lock, a commit is missing, or the server did not come back in time.
        """
        if self._given_up is not None:
            raise self._given_up
        session = self._session
        try:
            self._wait(in_doubt=in_doubt)
        except BaseException as error:
            self._given_up = error if isinstance(error, LedgerError) else session.failed(session.lost_because)
            # It may lead to a session without the locks.
            session.connection.close()
            raise
        _logger.warning("The connection to %s is restored. This process continues.", session.database)
        session.lost_because = ""

    def _wait(self, *, in_doubt: bool) -> None:
        session = self._session
        deadline = time.monotonic() + self._wait_seconds
        wait = Wait(
            f"the connection to {session.database} was lost", self._wait_seconds, setting="lock_wait_seconds"
        )  # fmt: skip
        while True:
            wait.log()
            if self._try_once(deadline, in_doubt=in_doubt):
                return
            remaining = deadline - time.monotonic()
            if remaining <= 0 or session.interrupted:
                msg = (
                    f"{session.where}: the connection to the server was lost {session.lost_because} This process "
                    f"waited for it (`lock_wait_seconds`: {self._wait_seconds:.0f}). Nothing more is sent or written. "
                    "The ledger keeps what was being sent, and the next run sends it."
                )
                raise LedgerError(msg)
            time.sleep(min(_POLL_SECONDS, remaining))

    def _try_once(self, deadline: float, *, in_doubt: bool) -> bool:
        """Return whether the session is restored. Raises as `restore` does."""
        session = self._session
        try:
            session.connection.close()
            session.connection = session.database.connect()
            session.set_up()
            return not session.claims.has_number or self._resume(deadline, in_doubt=in_doubt)
        except psycopg.Error as error:
            session.lost_because = session.database.explain(error)
            return False

    def _resume(self, deadline: float, *, in_doubt: bool) -> bool:
        """Take the advisory lock of the process again; return whether its former session has let go of it."""
        session = self._session
        run = session.connection.execute
        if run(TAKE_AGAIN, (session.number,)).fetchone() != (True,):
            run(END_FORMER, (session.number,))
            return False
        # A process that takes over a lock finds that its holder ended, and writes its own number, in one transaction.
        # It may be between the two.
        begin(session.connection)
        milliseconds = max(1, int(1000 * (deadline - time.monotonic())))
        run("SELECT set_config('lock_timeout', %s, true)", (str(milliseconds),))
        run("SELECT pg_advisory_xact_lock(%s)", (WRITER,))
        ((same, standing, newer),) = run(session.check()).fetchall()
        holder = read_holder(run(commits_of(session.schema, session.number)).fetchall())
        run("ROLLBACK")
        session.refuse_loss(same=same, standing=standing, newer=newer, was_away=True)
        commits = holder.commits if holder is not None else 0
        if commits - session.commits not in ((0, 1) if in_doubt else (0,)):
            msg = (
                f"{session.where} lacks what this process has committed: the server is back without its newest "
                "transactions, as after a failover to a standby that lagged behind. Nothing more is sent or written. "
                "STATE may cover rows that the ledger does not know, so run the tap once with a full refresh."
            )
            raise LedgerError(msg)
        session.commits = commits
        return True
