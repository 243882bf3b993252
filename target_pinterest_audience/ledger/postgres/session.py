"""The session of a PostgreSQL ledger: one thread at a time uses it, and its errors are LedgerErrors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

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
from target_pinterest_audience.ledger.postgres.claims import Claims, holds, stands
from target_pinterest_audience.ledger.postgres.connection import DIRECT, SCHEMA, backend_of

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.connection import Connection, Database

_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
"""The encodings of databases that can hold every text."""
_OWNER: Final = "target_pinterest_audience.process"
"""A setting of the session, by which it differs from one that a pooler gave to another process."""


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
    """

    def __init__(self, database: Database, where: str, schema: str) -> None:
        """Connect.

        Args:
            database: the database.
            where: the ledger, as the beginning of a sentence.
            schema: the schema of the tables.

        Raises:
            LedgerError: the database cannot be used.
        """
        self.database = database
        self.where = where
        self.schema = schema
        self.number = new_number()
        self.claims = Claims(self.query, self.number)
        self._turn = threading.RLock()
        self._end = ""
        """Why the session ended."""
        try:
            self.connection: Connection = database.connect()
        except psycopg.Error as error:
            raise self._failed(database.explain(error)) from None

    def begin(self) -> None:
        """Prepare the session.

        Raises:
            LedgerError: the database cannot hold every name, or the session is not for this process alone.
        """
        self._refuse_encoding()
        with self.turn():
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
            reason = self.database.explain(error)
            if self.connection.closed:
                # Later errors only report that the connection is closed.
                reason = self._end = self._end or reason
            if self.connection.closed and self.claims.held:
                raise lost(self.where, f"Its session with the server ended {reason}", "Then run again.") from None
            raise self._failed(reason) from None

    def _failed(self, reason: str) -> LedgerError:
        return LedgerError(f"{self.where} cannot be used {reason} No state was emitted that the ledger does not cover.")

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that both databases know; see `Query`."""
        with self.turn():
            cursor = self.connection.execute(statement.replace("?", "%s"), parameters)
            return cursor.fetchall() if cursor.description else []

    def bulk(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement whose arrays are encoded; do nothing if one is empty."""
        if any(isinstance(each, Array) and not each for each in parameters):
            return []
        with self.turn(), self.connection.cursor(binary=True) as cursor:
            # Planned each time, because a plan for arrays of any length may be bad for these.
            cursor.execute(statement, parameters, prepare=False)
            return cursor.fetchall() if cursor.description else []

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
