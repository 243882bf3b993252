"""Stores refresh tokens in the database of a PostgreSQL ledger, over connections of their own.

A token must be stored even while the ledger is in a transaction that may be rolled back, because Pinterest has revoked
the previous one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

import psycopg

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.postgres.connection import (
    DIRECT,
    SCHEMA,
    Connection,
    Database,
    backend_of,
    begin,
    make_schema,
    table_exists,
)
from target_pinterest_audience.system.token_store import Keep, digest_of
from target_pinterest_audience.system.waits import Wait

_TABLE: Final = f"{SCHEMA}.credentials"
_KEY: Final = f"hashtext('{_TABLE}')"
"""The advisory lock of a process that exchanges a token."""
_LOCK_SECONDS: Final = 300.0
_KEEP_SECONDS: Final = 600.0
"""How long to try to store a token that Pinterest issued. No setting shortens it, because the sign-in depends on it."""
_POLL_SECONDS: Final = 0.2


class LedgerCredentials:
    """Stores the newest refresh tokens. Configurations still hold the ones that Pinterest has replaced."""

    def __init__(self, url: str, lock_seconds: float = _LOCK_SECONDS, keep_seconds: float = _KEEP_SECONDS) -> None:
        """Name the database. Its table is created with the first token.

        Args:
            url: `postgresql://…`.
            lock_seconds: how long to wait for another process that exchanges a token.
            keep_seconds: how long to wait for the server if it goes away while a token is exchanged.

        Raises:
            ConfigurationError: the URL is malformed.
        """
        self._database = Database(url, lock_seconds)
        self._lock_seconds = lock_seconds
        self._keep_seconds = keep_seconds

    def __str__(self) -> str:
        """Name the database."""
        return str(self._database)

    def newest(self, origin: str) -> str | None:
        """Return the newest refresh token of a sign-in; None if none was stored.

        Raises:
            ConfigurationError: the database cannot be read.
        """
        with self._connection("read") as connection:
            if not table_exists(connection, "credentials"):
                return None
            found = connection.execute(
                f"SELECT refresh_token FROM {_TABLE} WHERE origin = %s",  # noqa: S608 - our own name
                (digest_of(origin),),
            ).fetchone()
            return str(found[0]) if found else None

    def keep(self, refresh_token: str, origin: str) -> None:
        """Store the newest refresh token of a sign-in.

        Raises:
            ConfigurationError: the database cannot be written.
        """
        with self._connection("written") as connection:
            _store(connection, refresh_token, origin)

    def ensure_writable(self) -> None:
        """Check that a token can be stored, before one is requested: Pinterest revokes the old one at once.

        Raises:
            ConfigurationError: the database cannot be written.
        """
        with self._connection("written") as connection:
            _write(connection, "", "")
            connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def room(self) -> Iterator[Keep]:
        """Check that a token can be stored, as `ensure_writable` does, and yield the function that stores it.

        Raises:
            ConfigurationError: the database cannot be written.
        """
        self.ensure_writable()
        yield self._keep_issued

    def _keep_issued(self, refresh_token: str, origin: str) -> None:
        """Store a token that Pinterest issued since the check; wait for the server if it has gone away since.

        To store a token again does no harm, so it does not matter whether a commit without an answer took place.

        Raises:
            ConfigurationError: the server did not come back in time, and the token is lost.
        """
        deadline = time.monotonic() + self._keep_seconds
        wait: Wait | None = None
        while True:
            try:
                with contextlib.closing(self._database.connect()) as connection:
                    _store(connection, refresh_token, origin)
            except psycopg.Error as error:
                reason = self._database.explain(error)
            else:
                return
            if time.monotonic() >= deadline:
                msg = (
                    f"Pinterest has replaced the refresh token, and the new one could not be stored in "
                    f"{self._database} {reason} A test had succeeded just before. When the database can be written "
                    "again, run `pinterest-audience login`."
                )
                raise ConfigurationError(msg)
            wait = wait or Wait(
                f"the new refresh token cannot be stored in {self._database} {reason.removesuffix('.')}",
                self._keep_seconds,
            )
            wait.log()
            time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let no other process exchange a token while the block runs.

        The lock belongs to the session, so that no transaction is open during the request to Pinterest.

        Raises:
            ConfigurationError: the database cannot be reached, or another process has the lock for minutes.
        """
        with self._connection("locked") as connection:
            if self._database.shares_sessions(connection, backend_of(connection)):
                msg = (
                    f"The credentials in {self._database} cannot be locked: a connection pooler lets other programs "
                    f"have its session. {DIRECT}"
                )
                raise ConfigurationError(msg)
            deadline = time.monotonic() + self._lock_seconds
            wait = Wait(f"another process renews the sign-in in {self._database}", self._lock_seconds, after_seconds=2)
            while connection.execute(f"SELECT pg_try_advisory_lock({_KEY})").fetchone() != (True,):
                if time.monotonic() >= deadline:
                    msg = (
                        f"The credentials in {self._database} cannot be locked: another process has been exchanging a "
                        f"token for {self._lock_seconds:.0f} s. Let it finish; if it hangs, end it. Then run again."
                    )
                    raise ConfigurationError(msg)
                wait.log()
                time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                # If the session ended, so did the lock; the token is stored even so.
                with contextlib.suppress(psycopg.Error):
                    connection.execute(f"SELECT pg_advisory_unlock({_KEY})")

    @contextlib.contextmanager
    def _connection(self, verb: str) -> Iterator[Connection]:
        try:
            with contextlib.closing(self._database.connect()) as connection:
                yield connection
        except psycopg.Error as error:
            msg = (
                f"The credentials in {self._database} cannot be {verb} {self._database.explain(error)} Without them, "
                "the next run cannot sign in. To store them in a file instead, set `credentials_file`."
            )
            raise ConfigurationError(msg) from None


def _store(connection: Connection, refresh_token: str, origin: str) -> None:
    """Store a token, and commit that."""
    _write(connection, digest_of(origin), refresh_token)
    connection.execute("COMMIT")


def _write(connection: Connection, digest: str, refresh_token: str) -> None:
    """Write a token in a transaction that stays open. The table is created and committed before."""
    if not table_exists(connection, "credentials"):
        begin(connection)
        make_schema(connection)
        if not table_exists(connection, "credentials"):
            connection.execute(f"CREATE TABLE {_TABLE} (origin TEXT PRIMARY KEY, refresh_token TEXT NOT NULL)")
        connection.execute("COMMIT")
    begin(connection)
    # Pinterest returns a token only once, so it must survive a power cut.
    connection.execute("SET LOCAL synchronous_commit TO on")
    connection.execute(
        f"INSERT INTO {_TABLE} (origin, refresh_token) VALUES (%s, %s) "  # noqa: S608 - our own name
        "ON CONFLICT (origin) DO UPDATE SET refresh_token = excluded.refresh_token",
        (digest, refresh_token),
    )
