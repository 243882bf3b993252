"""The session of a PostgreSQL ledger: one thread at a time uses it, and its errors are LedgerErrors.

If the server restarts, or the connection breaks, `Restoration` brings the session back. Statements outside a
transaction are run again, and a transaction begins on the new connection. The server rolls back a transaction that was
under way, so whoever wrote it has to begin it again: `CutTransactionError`. If the connection broke during a COMMIT,
the number of commits, which is a part of each of them, tells whether that one took place.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.postgres.bulk import Array
from target_pinterest_audience.ledger.postgres.claims import Claims, count_commit
from target_pinterest_audience.ledger.postgres.restoration import Restoration
from target_pinterest_audience.ledger.postgres.server_session import ServerSession

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.connection import Database

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often to run a statement or a transaction that loses the connection each time: perhaps it is what ends the
server."""

_CANCEL_SECONDS: Final = 1.0
"""How long to wait until the server has ended a statement that is cancelled."""
_COPYING: Final = frozenset({ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH})
_INTERRUPTED: Final = (
    "(this process did not wait any longer). The server was slow, or another session has locked tables or rows."
)

_MOST_WAITING: Final = 20
"""How many statements wait at most to be sent together."""


class CutTransactionError(LedgerError):
    """The connection broke during a transaction, which the server rolled back. It can be begun again."""


class Session(ServerSession):
    """The session that all threads of this process share.

    Attributes:
        in_transaction: whether a transaction is open, so that a lost connection cannot just be replaced.
    """

    def __init__(self, database: Database, where: str, schema: str, wait_seconds: float) -> None:
        """Connect.

        Args:
            database: the database.
            where: the ledger, as the beginning of a sentence.
            schema: the schema of the tables.
            wait_seconds: how long to wait for the server if the connection is lost.

        Raises:
            LedgerError: the database cannot be used.
        """
        super().__init__(database, where, schema)
        self.claims = Claims(self.query, self.number)
        self.in_transaction = False
        self._waiting: list[str] = []
        """The statements of the open transaction that go to the server together with the next one."""
        self._restoration = Restoration(self, wait_seconds)
        self._turn = threading.RLock()

    def begin(self) -> None:
        """Prepare the session.

        Raises:
            LedgerError: as for `set_up`.
        """
        with self.turn():
            self.set_up()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread uses the session, and raise errors in the block as LedgerErrors."""
        try:
            with self._turn:
                try:
                    yield
                except BaseException:
                    self._end_statement()
                    raise
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.QueryCanceled) and self.interrupted:
                raise self.failed(_INTERRUPTED) from None
            if not self.note_loss(error):
                raise self.failed(self.database.explain(error)) from None
            if self.in_transaction and self.can_be_restored:
                raise self._cut(self.lost_because) from None
            raise self.failed(self.lost_because) from None

    def _end_statement(self) -> None:
        """Cancel a statement that a signal left running, since the connection takes no other one meanwhile.

        If the server does not answer within a moment, close the connection: libpq would wait without a limit, and
        nothing else could run in this process.
        """
        connection = self.connection
        if connection.info.transaction_status != TransactionStatus.ACTIVE:
            return
        with contextlib.suppress(psycopg.Error):
            if psycopg.capabilities.has_cancel_safe() and self._drain():
                return
        connection.close()

    def _drain(self) -> bool:
        """Cancel the statement under way, and return whether the server ended it within a moment."""
        deadline, server = time.monotonic() + _CANCEL_SECONDS, self.connection.pgconn
        self.connection.cancel_safe(timeout=_CANCEL_SECONDS)
        while (remaining := deadline - time.monotonic()) > 0:
            select.select([server.socket], [], [], remaining)
            server.consume_input()
            while not server.is_busy():
                result = server.get_result()
                if result is None or result.status in _COPYING:
                    return True
        return False

    def _cut(self, reason: str) -> CutTransactionError:
        return CutTransactionError(
            f"{self.where}: the connection to the server broke during a transaction {reason} The server rolled it "
            "back, so nothing of it was written or sent. Run again."
        )

    def run(self, statements: Callable[[], T]) -> T:
        """Run statements that change nothing. If the connection is lost, restore it, and run them again.

        Raises:
            LedgerError: they failed, or the connection cannot be restored.
        """
        with self.turn():
            for _ in range(ATTEMPTS):
                try:
                    return statements()
                except psycopg.Error as error:
                    if self.in_transaction or not self.note_loss(error) or not self.can_be_restored:
                        raise
                self._restoration.restore()
            return statements()

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that both databases know; see `Query`.

        One that only writes, within a transaction, waits for the next one that has an answer, or for the COMMIT: if the
        server is distant, each round trip takes longer than the statement. They are sent as one text, because a
        pipeline of libpq would report a session that the server ended without the server's reason.
        """
        text = statement.replace("?", "%s")
        with self.turn():
            writes = _only_writes(statement) and len(self._waiting) < _MOST_WAITING
            if not self.in_transaction or not (writes or self._waiting) or not _may_be_logged(parameters):
                return self.run(lambda: self._rows_of(self._execute(self.connection.cursor(), text, parameters)))
            self._waiting.append(psycopg.ClientCursor(self.connection).mogrify(text, parameters))
            return [] if writes else self._rows_of(self._send_waiting())

    def bulk(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement whose arrays are encoded; do nothing if one is empty."""
        if any(isinstance(each, Array) and not each for each in parameters):
            return []

        def run() -> list[tuple[Any, ...]]:
            with self.connection.cursor(binary=True) as cursor:
                # Planned each time, because a plan for arrays of any length may be bad for these.
                return self._rows_of(self._execute(cursor, statement, parameters, prepare=False))

        return self.run(run)

    def insert_new(self, columns: str, rows: Iterable[bytes]) -> bool:
        """Insert rows if none of their keys is in the table, within a transaction.

        Args:
            columns: the table and its columns.
            rows: the rows; see `bulk.copied`.

        Returns:
            Whether they were inserted.
        """
        with self.turn(), self.connection.cursor() as cursor:
            # It ends with the transaction. To release it would be one more round trip.
            self._waiting.append("SAVEPOINT new_rows")
            self._send_waiting()
            try:
                with cursor.copy(f"COPY {columns} FROM STDIN (FORMAT BINARY)") as copy:
                    for some in rows:
                        copy.write(some)
            except psycopg.errors.UniqueViolation:
                cursor.execute("ROLLBACK TO SAVEPOINT new_rows")
                return False
        return True

    def _execute(
        self, cursor: psycopg.Cursor[Any], statement: str, parameters: Sequence[object], *, prepare: bool | None = None
    ) -> psycopg.Cursor[Any]:
        """Run a statement, after those that wait."""
        if self._waiting and self.in_transaction:
            self._send_waiting()
        return cursor.execute(statement, parameters, prepare=prepare)

    def _send_waiting(self, to: int | None = None) -> psycopg.Cursor[Any]:
        """Run the statements that wait, and return the result of one of them, by its index; of the last one if None."""
        statements, self._waiting = self._waiting, []
        cursor = self.connection.execute("; ".join(statements), prepare=False)
        for _ in statements[1:] if to is None else statements[:to]:
            cursor.nextset()
        return cursor

    @staticmethod
    def _rows_of(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
        return cursor.fetchall() if cursor.description else []

    def leave_transaction(self) -> None:
        """Note that no transaction is open. The statements that wait ended with it."""
        self.in_transaction = False
        self._waiting.clear()

    def commit(self) -> None:
        """Commit the transaction, and find out whether it was committed if the connection breaks meanwhile.

        Raises:
            CutTransactionError: it was not committed.
            LedgerError: nobody knows, because the process had no lock yet.
            psycopg.Error: it was not committed.
        """
        counts = self.claims.has_number
        if self._waiting and not counts:
            # If they were lost with the COMMIT, nobody could find out whether it took place.
            with self.turn():
                self._send_waiting()
        before_count = len(self._waiting)
        # Nothing is counted before the process has its first lock.
        if counts:
            self._waiting.append(count_commit(self.schema, self.number, self.commits + 1))
        self._waiting.append("COMMIT")
        try:
            cursor = self._send_waiting(to=before_count)
        except psycopg.Error as error:
            if not self.note_loss(error) or not self.can_be_restored:
                raise
        else:
            self.commits += cursor.rowcount if counts else 0
            return
        before, reason = self.commits, self.lost_because
        if not counts:
            raise self.failed(reason)
        self._restoration.restore(in_doubt=True)
        if self.commits == before:
            raise self._cut(reason)

    def close(self) -> None:
        """Close the connection, unless a thread that cannot be stopped uses it: then it ends with the process."""
        if self._turn.acquire(blocking=False):
            self.connection.close()
            self._turn.release()


def _only_writes(statement: str) -> bool:
    """Return whether a statement writes, and returns no rows."""
    return statement.lstrip().startswith(("DELETE ", "INSERT ", "UPDATE ")) and " RETURNING " not in statement


def _may_be_logged(parameters: Sequence[object]) -> bool:
    """Return whether no parameter is a secret or names a person: a server logs the text of a statement that fails.

    Whatever names a person is a digest, and digests are bytes, as the secret is.
    """
    return not any(isinstance(each, bytes) for each in parameters)
