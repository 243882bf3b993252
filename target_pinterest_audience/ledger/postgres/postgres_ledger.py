"""A ledger in a PostgreSQL database, which the processes of several machines share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar

import psycopg

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue.contributing_rows import count_contributing_rows
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.lock_holder import written_by
from target_pinterest_audience.ledger.postgres.claims import WRITER
from target_pinterest_audience.ledger.postgres.connection import BEGIN, SCHEMA, Database, make_schema, table_exists
from target_pinterest_audience.ledger.postgres.copy import TEMPORARY, copy_tables
from target_pinterest_audience.ledger.postgres.lock_watch import LockWatch
from target_pinterest_audience.ledger.postgres.locks import PostgresLocks
from target_pinterest_audience.ledger.postgres.members import PostgresMembers
from target_pinterest_audience.ledger.postgres.rows import PostgresRows
from target_pinterest_audience.ledger.postgres.session import ATTEMPTS, CutTransactionError, Session
from target_pinterest_audience.ledger.postgres.vacuum import TEND_NEW, tend
from target_pinterest_audience.ledger.rekey import rekey
from target_pinterest_audience.ledger.schema import VERSION, missing_steps, needs_rekeying, needs_row_counts
from target_pinterest_audience.system.waits import Wait

T = TypeVar("T")

_LOG_AFTER_SECONDS: Final = 5.0
"""How long to wait for another process's transaction before the wait is logged."""
_TURN_SECONDS: Final = 0.025
"""How often to check whether another process has ended its transaction."""
_TYPES: Final = {"blob": "BYTEA", "clustered": ""}
_FIRST_TABLES: Final = """
    CREATE TABLE schema_version (version INTEGER NOT NULL);
    INSERT INTO schema_version VALUES (0);
    CREATE TABLE lock_holders (name_digest BIGINT PRIMARY KEY, holder BYTEA NOT NULL)
"""


class PostgresLedger(Ledger):
    """One process at a time writes, each for the length of a window, as with a SQLite file.

    No transaction is open while this process waits for the tap, Pinterest, or another process.

    Attributes:
        session: the session that all threads of this process share.
    """

    locks: PostgresLocks

    def __init__(
        self,
        url: str,
        api_url: str,
        ad_account_id: str,
        *,
        wait_seconds: float,
        dry: bool = False,
        read_only: bool = False,
    ) -> None:
        """Open a ledger, and create it unless it exists.

        Args:
            url: `postgresql://…`.
            api_url: the API of its lists.
            ad_account_id: the ad account of its lists.
            wait_seconds: how long to wait while another process writes.
            dry: whether to work on a copy that only this session sees, and that ends with it.
            read_only: whether to write nothing at all; a copy is made only if the tables lack something.

        Raises:
            LedgerError: the database cannot be used, or its tables come from a newer version.
            ConfigurationError: the URL is malformed.
        """
        database = Database(url, wait_seconds)
        self.where = f"The ledger in {database}"
        self._dry = dry or read_only
        self._reads = False
        """Whether the tables themselves are only read."""
        self._wait_seconds = wait_seconds
        self.session = Session(database, self.where, TEMPORARY if self._dry else SCHEMA, wait_seconds)
        connection = self.session.connection
        self._lock_watch = LockWatch(self.session)
        try:
            self.session.begin()
            self._lock_watch.start()
            with self.session.turn():
                is_there = table_exists(connection, "schema_version")
                if read_only and is_there and self._is_complete(api_url, ad_account_id):
                    self._reads = True
                    self.session.use_schema(SCHEMA)
                elif self._dry and is_there:
                    copy_tables(connection, api_url, ad_account_id)
            with self.transaction():
                if not self._reads:
                    self._set_up(is_new=not is_there)
                self.members = PostgresMembers(self.session)
                self._open_tables(self.session.query, api_url, ad_account_id)
        except BaseException:
            self._lock_watch.stop()
            connection.close()
            raise
        self.locks = PostgresLocks(self, self.session, dry=self._dry)
        self.rows = PostgresRows(self.session, self.catalogue.feeds)

    @staticmethod
    def exists(url: str) -> bool:
        """Return whether a database holds a ledger, without creating anything in it.

        Raises:
            LedgerError: the database cannot be used.
            ConfigurationError: the URL is malformed.
        """
        database = Database(url)
        try:
            with contextlib.closing(database.connect()) as connection:
                return table_exists(connection, "schema_version")
        except psycopg.Error as error:
            msg = f"The ledger in {database} cannot be used {database.explain(error)}"
            raise LedgerError(msg) from None

    def _is_complete(self, api_url: str, ad_account_id: str) -> bool:
        """Return whether the ledger can just be read: it is of this version, has a secret and knows the ad account."""
        run = self.session.connection.execute
        ((version,),) = run(f"SELECT version FROM {SCHEMA}.schema_version")  # noqa: S608 - our own name
        question = (
            f"SELECT EXISTS (SELECT FROM {SCHEMA}.meta WHERE name = 'secret') "  # noqa: S608 - our own name
            f"AND EXISTS (SELECT FROM {SCHEMA}.realms WHERE api_url = %s AND ad_account_id = %s)"
        )
        return not missing_steps(version, self.where) and run(question, (api_url, ad_account_id)).fetchone() == (True,)

    def _set_up(self, *, is_new: bool) -> None:
        """Bring the tables up to date.

        Args:
            is_new: whether there were none when the session began.
        """
        connection = self.session.connection
        run = connection.execute
        # Another process may have created them since.
        if is_new and (self._dry or not table_exists(connection, "schema_version")):
            if not self._dry:
                make_schema(connection)
            run(_FIRST_TABLES, prepare=False)
        # The search path skips a schema that this user may not use; with the full name, the error names the right.
        ((version,),) = run(f"SELECT version FROM {self.session.schema}.schema_version")  # noqa: S608 - our own name
        steps = missing_steps(version, self.where)
        statements = [statement.format(**_TYPES) for step in steps for statement in step]
        if statements:
            if version == 0 and not self._dry:
                statements.append(TEND_NEW)
            # Sent together: there are dozens, and a distant server would add a round trip for each.
            run("; ".join(statements), prepare=False)
        if needs_rekeying(steps):
            rekey(self.session.query)
        if needs_row_counts(steps):
            count_contributing_rows(self.session.query)
        if version != VERSION:
            run("UPDATE schema_version SET version = %s", (VERSION,))
        if version and not self._dry:
            tend(connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Ledger.transaction`."""
        session = self.session
        with session.turn():
            try:
                # A signal may have come in the middle of the same words at the end of the last one.
                session.leave_transaction()
                session.run(self._begin)
                session.in_transaction = True
                yield
                session.commit()
            except BaseException:
                # If the connection is lost, so is the transaction, and the first error is the one to report.
                with contextlib.suppress(psycopg.Error):
                    session.connection.execute("ROLLBACK")
                raise
            finally:
                session.leave_transaction()

    def transact(self, work: Callable[[], T], undo: Callable[[], object] = bool) -> T:
        """See `Ledger.transact`."""
        for _ in range(ATTEMPTS - 1):
            try:
                return super().transact(work)
            except CutTransactionError:  # noqa: PERF203 - a transaction takes much longer
                undo()
        return super().transact(work)

    def _begin(self) -> None:
        """Begin a transaction as soon as no other process is in one, and check the session and its locks.

        Raises:
            LedgerError: another process writes for too long, or this one lost its locks.
        """
        self.session.interrupted = False
        run = self.session.connection.execute
        if self._reads:
            run("BEGIN READ ONLY")
            return
        claims = self.session.claims
        deadline = time.monotonic() + self._wait_seconds
        wait = Wait(
            f"another process writes to {self.session.database}", self._wait_seconds,
            setting="lock_wait_seconds", after_seconds=_LOG_AFTER_SECONDS,
        )  # fmt: skip
        while not self._try_begin():
            run("ROLLBACK")
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self.session.interrupted:
                raise written_by(self.where, claims.holder_of(WRITER), self._wait_seconds)
            wait.log(partial(claims.holder_of, WRITER))
            time.sleep(min(_TURN_SECONDS, remaining))

    def _try_begin(self) -> bool:
        """Begin a transaction, and return whether no other process is in one."""
        turn = "true" if self._dry else f"pg_try_advisory_xact_lock({WRITER})"
        # Sent together; even so, each statement sees what was committed before it.
        cursor = self.session.connection.execute(f"{BEGIN}; SELECT {turn}; {self.session.check()}", prepare=False)
        cursor.nextset()
        ((is_our_turn,),) = cursor.fetchall()
        if is_our_turn:
            cursor.nextset()
            ((same, standing, newer),) = cursor.fetchall()
            self.session.refuse_loss(same=same, standing=standing, newer=newer)
        return bool(is_our_turn)

    def interrupt(self) -> None:
        """See `Ledger.interrupt`."""
        self.session.interrupted = True
        # Between transactions it would only hit the next statement.
        if self.session.in_transaction:
            with contextlib.suppress(psycopg.Error):
                self.session.connection.cancel()

    def close(self) -> None:
        """See `Ledger.close`."""
        self._lock_watch.stop()
        self.session.close()
        self.locks.close()
