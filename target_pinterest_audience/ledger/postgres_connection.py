"""The way to a ledger in PostgreSQL, and what goes wrong on it, told without a value or a password."""

from __future__ import annotations

import os
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from target_pinterest_audience.errors import ConfigurationError

SCHEMA: Final = "target_pinterest_audience"
"""The PostgreSQL schema that holds all of our tables, and nothing else."""

Connection = psycopg.Connection[tuple[Any, ...]]

_PROGRAM: Final = "target-pinterest-audience"
_CONNECT_SECONDS: Final = 10
_SET_UP: Final = 0x7069_6E5F_7365_7475
"""The advisory lock of those who make the schema: the bytes "pin_setu"."""

_KNOWS_IDLE_SESSIONS: Final = 140_000
"""The first version of PostgreSQL that has `idle_session_timeout`."""

_TELLING: Final = frozenset({"08", "25", "28", "3D", "3F", "42", "40", "53", "54", "55", "57", "58"})
"""The classes of errors whose messages name things and never quote values."""

_REACH: Final = "Make sure that the server runs and that this machine reaches it."
_ADVICE: Final = {
    None: _REACH,
    "08": _REACH,
    "25": "Its address must be that of a server that can be written to, not of a standby.",
    "28": "Correct the user or the password in `ledger_url`.",
    "3D": "Create the database, or correct `ledger_url`.",
    "40": "Another run wrote the same at the same time. Run it again.",
    "42501": (
        "Its user lacks a right: grant it CREATE on the database (or let an administrator create the schema "
        f"{SCHEMA} with this user as its owner), or TEMPORARY on the database for a dry run before the first run."
    ),
    "42P01": (
        "Its tables were there when it was opened: give `ledger_url` a direct connection, not one through a "
        "transaction-pooling PgBouncer."
    ),
    "53": "Give the server the room that it lacks.",
    "55": "Another run is writing to it. Run it again when that one has ended.",
    "57": _REACH,
}
_OTHER_ADVICE: Final = "The server's log says more."


class Place:
    """A database that a ledger is in."""

    def __init__(self, url: str) -> None:
        """Take apart the address.

        Args:
            url: `postgresql://…`, as in the setting `ledger_url`.

        Raises:
            ConfigurationError: it is not an address, or a character in its password makes it a different one.
        """
        authority, _, rest = url.partition("://")[2].partition("/")
        # Here part of the password would pass for a host or a database, and be shown.
        if authority.count("@") > 1 or "@" in rest.partition("?")[0]:
            msg = "`ledger_url` has an @ or / in its user or password. Write them as %40 and %2F."
            raise ConfigurationError(msg)
        try:
            parts = conninfo_to_dict(url)
        except psycopg.Error:
            msg = (
                "`ledger_url` must have the form postgresql://user:password@host:port/database; special characters in "
                "the password are percent-encoded."
            )
            raise ConfigurationError(msg) from None
        self._url = url
        self._secrets = [str(parts[name]) for name in ("password", "sslpassword") if parts.get(name)]
        self._defaults: dict[str, Any] = {
            "client_encoding": "UTF8",
            "fallback_application_name": _PROGRAM,
        }
        if "connect_timeout" not in parts and "PGCONNECT_TIMEOUT" not in os.environ:
            self._defaults["connect_timeout"] = _CONNECT_SECONDS
        host = parts.get("host") or parts.get("hostaddr") or os.environ.get("PGHOST", "localhost")
        port = parts.get("port") or os.environ.get("PGPORT", "5432")
        self._database = parts.get("dbname") or os.environ.get("PGDATABASE", "of the user's name")
        self._server = f"{host}:{port}"

    def __str__(self) -> str:
        """Name host, port and database."""
        return f"the PostgreSQL database {self._database} on {self._server}"

    def connect(self) -> Connection:
        """Connect; each statement is a transaction of its own unless one is begun.

        Raises:
            psycopg.Error: it cannot be reached, or turns us away.
        """
        return psycopg.connect(self._url, autocommit=True, **self._defaults)

    def explain(self, error: psycopg.Error) -> str:
        """Return why the database cannot be used and what to do, for the middle of a message."""
        state = error.sqlstate
        if isinstance(error, psycopg.DataError) or (state is None and not isinstance(error, psycopg.OperationalError)):
            return f"({_code(error)}). {_OTHER_ADVICE}"
        advice = _ADVICE.get(state) or _ADVICE.get(state and state[:2]) or _OTHER_ADVICE
        return f"({self._reason(error)}). {advice}"

    def _reason(self, error: psycopg.Error) -> str:
        if error.sqlstate is None:
            # The client's own words, on one line; the server's follow "FATAL:" in them if it turned us away.
            text = " ".join(next(iter(str(error).splitlines()), "").split())
            return type(error).__name__ if any(secret in text for secret in self._secrets) else text
        if error.sqlstate[:2] in _TELLING:
            return f"{error.diag.message_primary}, {_code(error)}"
        return _code(error)


def _code(error: psycopg.Error) -> str:
    return f"SQLSTATE {error.sqlstate}" if error.sqlstate else type(error).__name__


def begin(connection: Connection) -> None:
    """Begin a transaction each of whose statements sees what others committed before it, whatever the default is."""
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")


def keep_idle(connection: Connection) -> None:
    """Keep the server from ending a session because its tap is slow: the locks would end with it."""
    if connection.info.server_version >= _KNOWS_IDLE_SESSIONS:
        connection.execute("SELECT set_config('idle_session_timeout', '0', false)")


def table_exists(connection: Connection, name: str) -> bool:
    """Tell whether our schema has a table; asking needs no right on the schema."""
    found = connection.execute(
        "SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = %s AND relname = %s",
        (SCHEMA, name),
    )
    return found.rowcount > 0


def make_schema(connection: Connection) -> None:
    """Create our schema unless it exists, and keep others from creating things in it until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SET_UP,))
    # CREATE SCHEMA IF NOT EXISTS would need the right to create one even where it exists.
    if not connection.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", (SCHEMA,)).rowcount:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
