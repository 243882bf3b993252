"""The server's session for one process: its connection, how that is set up, and whether it is the same as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.fence import lost, new_number, upgraded
from target_pinterest_audience.ledger.postgres.bulk import (
    ByteaArray,
    ByteaArrayDumper,
    IntegerArray,
    IntegerArrayDumper,
)
from target_pinterest_audience.ledger.postgres.claims import holds, is_upgraded, stands
from target_pinterest_audience.ledger.postgres.connection import (
    DIRECT,
    FULL_REFRESH,
    SCHEMA,
    backend_of,
    is_loss,
)

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.claims import Claims
    from target_pinterest_audience.ledger.postgres.connection import Connection, Database

_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
"""The encodings of databases that can hold every text."""
_OWNER: Final = "target_pinterest_audience.process"
"""A setting of the session, by which it differs from one that a pooler gave to another process."""


class ServerSession:
    """A session with the server, which belongs to this process alone. Another connection can take its place.

    Attributes:
        connection: the connection.
        where: the ledger, as the beginning of a sentence.
        database: the database.
        schema: the schema of the tables: the ledger's own, or that of a copy.
        number: the fencing number of this process.
        backend: the server's process for this session.
        claims: the locks that the session has.
        interrupted: whether waits should end; see `Ledger.interrupt`.
        lost_because: why the connection was lost, for the middle of a message; empty while it is not.
        commits: how many transactions were committed since the first lock was taken.
    """

    claims: Claims

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
        self.interrupted = False
        self.lost_because = ""
        self.commits = 0
        try:
            self.connection: Connection = database.connect()
        except psycopg.Error as error:
            raise self.failed(database.explain(error)) from None

    def set_up(self) -> None:
        """Prepare the connection; on another connection, once more. The caller has its turn.

        Raises:
            LedgerError: the database cannot hold every name, or the session is not for this process alone.
            psycopg.Error: the server does not answer.
        """
        self._refuse_encoding()
        self.connection.adapters.register_dumper(ByteaArray, ByteaArrayDumper)
        self.connection.adapters.register_dumper(IntegerArray, IntegerArrayDumper)
        self.backend = backend_of(self.connection)
        if self.database.shares_sessions(self.connection, self.backend):
            msg = f"{self.where} cannot be used: a connection pooler lets other programs have its session. {DIRECT}"
            raise LedgerError(msg)
        self.connection.execute(
            "SELECT set_config('search_path', %s, false), set_config(%s, %s, false), set_config('synchronous_commit', "
            # A STATE must not outlive the commit that it follows, not even in a power cut.
            "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
            "ELSE current_setting('synchronous_commit') END, false)",
            (self.schema, _OWNER, str(self.number)),
        )

    def use_schema(self, schema: str) -> None:
        """Use the tables of a schema from now on."""
        self.schema = schema
        self.connection.execute("SELECT set_config('search_path', %s, false)", (schema,))

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

    def failed(self, reason: str) -> LedgerError:
        """Return the error of a database that cannot be used for a reason."""
        return LedgerError(f"{self.where} cannot be used {reason} No state was emitted that the ledger does not cover.")

    def check(self) -> str:
        """Return a query with what `refuse_loss` takes."""
        same = (
            f"pg_backend_pid() = {self.backend:d} AND current_setting('search_path') = '{self.schema}' "
            f"AND current_setting('{_OWNER}', true) = '{self.number:d}'"
        )
        held = holds(self.backend, self.number) if self.claims.has_number else "true"
        standing = stands(self.schema, self.number) if self.claims.held else "true"
        newer = is_upgraded(self.schema) if self.claims.held else "false"
        return f"SELECT {same} AND {held}, {standing}, {newer}"

    @property
    def can_be_restored(self) -> bool:
        """Whether the tables are there in another session, too."""
        return self.schema == SCHEMA

    def note_loss(self, error: psycopg.Error) -> bool:
        """Return whether the connection is lost."""
        if not (self.connection.closed or is_loss(error)):
            return False
        # Later errors only report that the connection is closed.
        self.lost_because = self.lost_because or self.database.explain(error)
        self.connection.close()
        return True

    def refuse_loss(self, *, same: bool, standing: bool = True, newer: bool = False, was_away: bool = False) -> None:
        """Raise unless this process still has its locks.

        Args:
            same: whether the session is still the one that took them, and has them.
            standing: whether their rows are still those of this process.
            newer: whether the tables are of a newer version by now.
            was_away: whether this process had no session for a while, so that another one could take them over.

        Raises:
            LedgerError: this process lost its locks.
        """
        if not same:
            reason = "Its connection leads to another session than before, or the session was reset."
            raise lost(self.where, reason, DIRECT)
        if not standing and was_away:
            reason = "Its session with the server ended, and another process took them."
            raise lost(self.where, reason, f"Run again; the server's log may explain why. {FULL_REFRESH}")
        if not standing:
            msg = (
                f"{self.where} was replaced while this process was at work: somebody has restored its tables or "
                f"deleted rows, and the locks of this run with them. Nothing more is sent or written. {FULL_REFRESH}"
            )
            raise LedgerError(msg)
        if newer:
            raise upgraded(self.where)
