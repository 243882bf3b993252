"""The session of a PostgreSQL ledger: one thread at a time uses it, and its errors are LedgerErrors.

If the server restarts, or the connection breaks, `Restoration` brings the session back. Statements outside a
transaction are run again, and a transaction begins on the new connection. The server rolls back a transaction that was
under way, so whoever wrote it has to begin it again: `CutTransactionError`. If the connection broke during a COMMIT,
the number of commits, which is a part of each of them, tells whether that one took place.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.fence import lost, new_number
from target_pinterest_audience.ledger.postgres.bulk import (
    Array,
    ByteaArray,
    ByteaArrayDumper,
    IntegerArray,
    IntegerArrayDumper,
)
from target_pinterest_audience.ledger.postgres.claims import (
    Claims,
    count_commit,
    holds,
    stands,
)
from target_pinterest_audience.ledger.postgres.connection import DIRECT, SCHEMA, backend_of, is_loss
from target_pinterest_audience.ledger.postgres.restoration import Restoration

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.connection import Connection, Database

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often to run a statement or a transaction that loses the connection each time: perhaps it is what ends the
server."""
_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
"""The encodings of databases that can hold every text."""
_OWNER: Final = "target_pinterest_audience.process"
"""A setting of the session, by which it differs from one that a pooler gave to another process."""


class CutTransactionError(LedgerError):
    """The connection broke during a transaction, which the server rolled back. It can be begun again."""


class Session:
    """The session that all threads of this process share.

    Attributes:
        connection: the connection.
        where: the ledger, as the beginning of a sentence.
        database: the database.
        schema: the schema of the tables: the ledger's own, or that of a copy.
        number: the fencing number of this process.
        backend: the server's process for this session.
        claims: the locks that the session has.
        in_transaction: whether a transaction is open, so that a lost connection cannot just be replaced.
        interrupted: whether waits should end; see `Ledger.interrupt`.
        lost_because: why the connection was lost, for the middle of a message; empty while it is not.
        commits: how many transactions were committed since the first lock was taken.
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
        self.database = database
        self.where = where
        self.schema = schema
        self.number = new_number()
        self.claims = Claims(self.query, self.number)
        self.in_transaction = False
        self.interrupted = False
        self.lost_because = ""
        self.commits = 0
        self._restoration = Restoration(self, wait_seconds)
        self._turn = threading.RLock()
        try:
            self.connection: Connection = database.connect()
        except psycopg.Error as error:
            raise self.failed(database.explain(error)) from None

    def begin(self) -> None:
        """Prepare the session.

        Raises:
            LedgerError: the database cannot hold every name, or the session is not for this process alone.
        """
        with self.turn():
            self.set_up()

    def set_up(self) -> None:
        """Do what `begin` does, for a caller that has the turn.

        Raises:
            LedgerError: as for `begin`.
            psycopg.Error: the server does not answer.
        """
        self._refuse_encoding()
        self.connection.adapters.register_dumper(ByteaArray, ByteaArrayDumper)
        self.connection.adapters.register_dumper(IntegerArray, IntegerArrayDumper)
        self.backend = backend_of(self.connection)
        if self.database.shares_sessions(self.connection, self.backend):
            msg = f"{self.where} cannot be used: a connection pooler lets other programs have its session. {DIRECT}"
            raise LedgerError(msg)
        self.use_schema(self.schema)
        self._set(_OWNER, str(self.number))
        # A STATE must not outlive the commit that it follows, not even in a power cut.
        if self.connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
            self._set("synchronous_commit", "on")

    def use_schema(self, schema: str) -> None:
        """Use the tables of a schema from now on."""
        self.schema = schema
        self._set("search_path", schema)

    def _set(self, name: str, value: str) -> None:
        self.connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    def _refuse_encoding(self) -> None:
        """Raise a LedgerError if the database cannot hold every name."""
        encoding = self.connection.info.parameter_status("server_encoding")
        if encoding not in _ENCODINGS:
            msg = (
                f"{self.where} cannot be used: the database has the encoding {encoding}, which cannot hold every name. "
                "Create one with `CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`, move the schema "
                f"{SCHEMA} to it with pg_dump if there is one, and name it in `ledger_url`."
            )
            raise LedgerError(msg)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread uses the session, and raise errors in the block as LedgerErrors."""
        try:
            with self._turn:
                yield
        except psycopg.Error as error:
            if not self._note_loss(error):
                raise self.failed(self.database.explain(error)) from None
            if self.in_transaction and self._can_be_restored:
                raise self._cut(self.lost_because) from None
            raise self.failed(self.lost_because) from None

    def failed(self, reason: str) -> LedgerError:
        """Return the error of a database that cannot be used for a reason."""
        return LedgerError(f"{self.where} cannot be used {reason} No state was emitted that the ledger does not cover.")

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
                    if self.in_transaction or not self._note_loss(error) or not self._can_be_restored:
                        raise
                self._restoration.restore()
            return statements()

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that both databases know; see `Query`."""

        def run() -> list[tuple[Any, ...]]:
            cursor = self.connection.execute(statement.replace("?", "%s"), parameters)
            return cursor.fetchall() if cursor.description else []

        return self.run(run)

    def bulk(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement whose arrays are encoded; do nothing if one is empty."""
        if any(isinstance(each, Array) and not each for each in parameters):
            return []

        def run() -> list[tuple[Any, ...]]:
            with self.connection.cursor(binary=True) as cursor:
                # Planned each time, because a plan for arrays of any length may be bad for these.
                cursor.execute(statement, parameters, prepare=False)
                return cursor.fetchall() if cursor.description else []

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
            cursor.execute("SAVEPOINT new_rows")
            try:
                with cursor.copy(f"COPY {columns} FROM STDIN (FORMAT BINARY)") as copy:
                    for some in rows:
                        copy.write(some)
            except psycopg.errors.UniqueViolation:
                cursor.execute("ROLLBACK TO SAVEPOINT new_rows")
                return False
        return True

    def check(self) -> str:
        """Return a query with two columns: whether this session has its settings and its lock, and its locks stand."""
        same = (
            f"pg_backend_pid() = {self.backend:d} AND current_setting('search_path') = '{self.schema}' "
            f"AND current_setting('{_OWNER}', true) = '{self.number:d}'"
        )
        held = holds(self.backend, self.number) if self.claims.has_number else "true"
        standing = stands(self.schema, self.number) if self.claims.held else "true"
        return f"SELECT {same} AND {held}, {standing}"

    def commit(self) -> None:
        """Commit the transaction, and find out whether it was committed if the connection breaks meanwhile.

        Raises:
            CutTransactionError: it was not committed.
            LedgerError: nobody knows, because the process had no lock yet.
            psycopg.Error: it was not committed.
        """
        counts = self.claims.has_number
        count = f"{count_commit(self.schema, self.number, self.commits + 1)}; " if counts else ""
        try:
            # Sent together.
            cursor = self.connection.execute(f"{count}COMMIT", prepare=False)
        except psycopg.Error as error:
            if not self._note_loss(error) or not self._can_be_restored:
                raise
        else:
            # Nothing is counted before the process has its first lock.
            self.commits += cursor.rowcount if counts else 0
            return
        before, reason = self.commits, self.lost_because
        if not counts:
            raise self.failed(reason)
        self._restoration.restore(in_doubt=True)
        if self.commits == before:
            raise self._cut(reason)

    @property
    def _can_be_restored(self) -> bool:
        """Whether the tables are there in another session, too."""
        return self.schema == SCHEMA

    def _note_loss(self, error: psycopg.Error) -> bool:
        """Return whether the connection is lost."""
        if not (self.connection.closed or is_loss(error)):
            return False
        # Later errors only report that the connection is closed.
        self.lost_because = self.lost_because or self.database.explain(error)
        self.connection.close()
        return True

    def refuse_loss(self, *, same: bool, standing: bool) -> None:
        """Raise unless this process still has its locks.

        Args:
            same: whether the session is still the one that took them, and has them.
            standing: whether no other process took one over.

        Raises:
            LedgerError: this process lost its locks.
        """
        if not same:
            reason = "Its connection leads to another session than before, or the session was reset."
            raise lost(self.where, reason, DIRECT)
        if not standing:
            reason = "Its session with the server ended or released them, and another process took them."
            raise lost(self.where, reason, "Run again; the server's log may explain why.")

    def close(self) -> None:
        """Close the connection, unless a thread that cannot be stopped uses it: then it ends with the process."""
        if self._turn.acquire(blocking=False):
            self.connection.close()
            self._turn.release()
