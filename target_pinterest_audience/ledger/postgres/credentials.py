"""Refresh tokens kept inside a PostgreSQL ledger, over connections of their own.

A token must be kept even while the ledger is in a transaction that may be rolled back: Pinterest has revoked the one
before it.
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
    Place,
    backend_of,
    begin,
    make_schema,
    table_exists,
)
from target_pinterest_audience.system.token_store import Keep, digest_of
from target_pinterest_audience.system.waits import Wait

_TABLE: Final = f"{SCHEMA}.credentials"
_KEY: Final = f"hashtext('{_TABLE}')"
"""The advisory lock of who exchanges a token."""
_LOCK_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.2


class LedgerCredentials:
    """Keeps the newest refresh tokens: configurations still hold the ones that Pinterest has replaced."""

    def __init__(self, url: str) -> None:
        """Name the database; its table is created when there is something to keep.

        Args:
            url: `postgresql://…`.

        Raises:
            ConfigurationError: it is not an address.
        """
        self._place = Place(url)

    def __str__(self) -> str:
        """Name the database."""
        return str(self._place)

    def newest(self, origin: str) -> str | None:
        """Return the newest refresh token of a sign-in; None if none was kept.

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
        """Write the newest refresh token of a sign-in.

        Raises:
            ConfigurationError: the database cannot be written.
        """
        with self._connection("written") as connection:
            _write(connection, digest_of(origin), refresh_token)
            connection.execute("COMMIT")

    def ensure_writable(self) -> None:
        """Make sure that a token can be kept, before one is asked for: Pinterest revokes the old one at once.

        Raises:
            ConfigurationError: the database cannot be written.
        """
        with self._connection("written") as connection:
            _write(connection, "", "")
            connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def room(self) -> Iterator[Keep]:
        """Make sure that a token can be kept, as `ensure_writable` does, and yield what keeps it."""
        self.ensure_writable()
        yield self.keep

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let other processes that want to exchange a token wait while the block runs.

        The lock belongs to the session and not to a transaction: nothing is open while Pinterest is waited for.

        Raises:
            ConfigurationError: the database cannot be reached, or somebody has it for minutes.
        """
        with self._connection("locked") as connection:
            if self._place.shares_sessions(connection, backend_of(connection)):
                msg = (
                    f"The credentials in {self._place} cannot be locked: a connection pooler lets other programs have "
                    f"its session. {DIRECT}"
                )
                raise ConfigurationError(msg)
            deadline = time.monotonic() + _LOCK_SECONDS
            wait = Wait(f"another process renews the sign-in in {self._place}", _LOCK_SECONDS, after_seconds=2)
            while connection.execute(f"SELECT pg_try_advisory_lock({_KEY})").fetchone() != (True,):
                if time.monotonic() >= deadline:
                    msg = (
                        f"The credentials in {self._place} cannot be locked: another process has been exchanging a "
                        f"token for {_LOCK_SECONDS:.0f} s. Let it finish; if it hangs, end it. Then run again."
                    )
                    raise ConfigurationError(msg)
                wait.log()
                time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                # If the session ended, so did the lock; the token is kept all the same.
                with contextlib.suppress(psycopg.Error):
                    connection.execute(f"SELECT pg_advisory_unlock({_KEY})")

    @contextlib.contextmanager
    def _connection(self, verb: str) -> Iterator[Connection]:
        try:
            with contextlib.closing(self._place.connect()) as connection:
                yield connection
        except psycopg.Error as error:
            msg = (
                f"The credentials in {self._place} cannot be {verb} {self._place.explain(error)} Without them the next "
                "run could not sign in; `credentials_file` can name a file to keep them in instead."
            )
            raise ConfigurationError(msg) from None


def _write(connection: Connection, digest: str, refresh_token: str) -> None:
    """Write a token in a transaction that is left open; the table is made first, for good."""
    if not table_exists(connection, "credentials"):
        begin(connection)
        make_schema(connection)
        if not table_exists(connection, "credentials"):
            connection.execute(f"CREATE TABLE {_TABLE} (origin TEXT PRIMARY KEY, refresh_token TEXT NOT NULL)")
        connection.execute("COMMIT")
    begin(connection)
    # What Pinterest gives only once must outlive a power cut.
    connection.execute("SET LOCAL synchronous_commit TO on")
    connection.execute(
        f"INSERT INTO {_TABLE} (origin, refresh_token) VALUES (%s, %s) "  # noqa: S608 - our own name
        "ON CONFLICT (origin) DO UPDATE SET refresh_token = excluded.refresh_token",
        (digest, refresh_token),
    )
