"""Connections to the PostgreSQL database of a ledger, and its errors in words without a value or a password."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from target_pinterest_audience.errors import ConfigurationError

SCHEMA: Final = "target_pinterest_audience"
"""The PostgreSQL schema that holds all tables of the ledger, and nothing else."""

Connection = psycopg.Connection[tuple[Any, ...]]

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Begins a transaction in which each statement sees what others committed before it, whatever the default is."""

_PROGRAM: Final = "target-pinterest-audience"
_CONNECT_SECONDS: Final = 10
_LEAST_LOCK_SECONDS: Final = 5.0
"""How long to wait at least for a lock of another session: the server itself needs a second to end a vacuum that is in
the way."""
_KEEPALIVE: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}
"""Keeps firewalls from dropping the session of a slow tap, and ends a session whose server is gone."""
_IDLE_LIMIT: Final = "5min"
"""How long a process that is cut off or suspended within a transaction keeps the others from writing.

No run waits for anything else within a transaction.
"""
LIMITS: Final = {
    "idle_session_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": _IDLE_LIMIT,
    # The server notices within minutes that a machine is gone, and releases its locks.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "15",
    "tcp_keepalives_count": "4",
}
"""The settings of a session in place of the limits that are meant for other programs."""
_PLANNING: Final = {
    # Compiling a statement takes longer than it saves, since each has simple expressions for many rows.
    "jit": "off",
    # The server overestimates what look-ups in an index cost, and would read the whole table for those of a window.
    "enable_seqscan": "off",
}
"""The settings of a session for statements that look up many rows."""
_SET_UP: Final = 0x7069_6E5F_7365_7475
"""The advisory lock of a process that creates the schema: the bytes "pin_setu"."""

_SAFE_CLASSES: Final = frozenset({"08", "25", "28", "3D", "3F", "42", "40", "53", "54", "55", "57", "58"})
"""The classes of errors whose messages name things and never quote values."""

_REACH: Final = "Make sure that the server runs and that this machine can reach it."
DIRECT: Final = (
    "Give `ledger_url` a direct connection, or one through PgBouncer in session mode; transaction pooling gives each "
    "transaction another session."
)
FULL_REFRESH: Final = (
    "After a restoration, run the tap once with a full refresh, because STATE may cover rows that the ledger does not "
    "know; without a backup, see the guide about a lost ledger before the next run."
)
_REPLACED: Final = (
    "Its tables existed when it was opened: somebody has dropped, renamed or restored them since. "
    f"{FULL_REFRESH} If nobody has, a connection pooler may have changed the session. {DIRECT}"
)
_ADVICE: Final = {
    None: _REACH,
    "08": _REACH,
    "08P01": (
        "A connection pooler refused it. A run needs two connections of a pool in session mode; `ledger_url` can also "
        "name the server directly."
    ),
    "25": "`ledger_url` must name a server that can be written to, not a standby.",
    "25P03": "The run was suspended, or cut off from the server, while it wrote.",
    "25P04": "The server limits the length of transactions. Set `transaction_timeout` to 0 for its user.",
    "26000": DIRECT,
    "28": "Correct the user or the password in `ledger_url`.",
    "3D": "Create the database, or correct `ledger_url`.",
    "3F": _REPLACED,
    "40": "Another run wrote the same at the same time. Run again.",
    "42501": (
        "Its user lacks a right: grant it CREATE on the database (or let an administrator create the schema "
        f"{SCHEMA} with this user as its owner), or TEMPORARY on the database for a dry run."
    ),
    "42P01": _REPLACED,
    "42P05": DIRECT,
    "53": "The server lacks disk space, memory or connections. Give it more.",
    "55P03": (
        "Another session of the server has locked tables or rows of the ledger. Let it finish, or end it, then run "
        "again. While a run waits, `SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity` shows that session."
    ),
    "57": _REACH,
    "57014": "The server or an administrator cancelled a statement. Run again; the server's log may explain why.",
    "57P01": "An administrator, a restart or a failover ended the session.",
    "57P05": "Set `idle_session_timeout` to 0 for its user: ALTER ROLE ... SET idle_session_timeout = 0.",
}
_OTHER_ADVICE: Final = "See the server's log."
_LIMITED: Final = frozenset({"25P03", "25P04", "55P03", "57014", "57P05"})
"""The errors by which a limit ends a session or a statement."""
_LOSSES: Final = frozenset({"25P03", "25P04", "57P01", "57P02", "57P03", "57P05"})
"""The errors with which the server ends a session. Its connection may still seem open when they arrive."""


class Database:
    """The database of a ledger."""

    def __init__(self, url: str, lock_seconds: float = _LEAST_LOCK_SECONDS) -> None:
        """Parse the URL.

        Args:
            url: `postgresql://…`, as in the setting `ledger_url`.
            lock_seconds: how long a statement waits for a lock of another session, but at least 5 s.

        Raises:
            ConfigurationError: the URL is malformed, or a character in its password makes it a different URL.
        """
        authority, _, rest = url.partition("://")[2].partition("/")
        # Part of the password would be taken for a host or a database, and be shown.
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
        self.lock_seconds = max(lock_seconds, _LEAST_LOCK_SECONDS)
        """How long a statement waits for a lock of another session."""
        self._secrets = [str(parts[name]) for name in ("password", "sslpassword") if parts.get(name)]
        self._defaults: dict[str, Any] = {
            "client_encoding": "UTF8",
            "fallback_application_name": _PROGRAM,
        }
        self._defaults |= {name: value for name, value in _KEEPALIVE.items() if name not in parts}
        self._limits_left: list[str] = []
        """The limits that this user may not lift."""
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
        """Connect. Each statement is a transaction of its own unless one is begun.

        The session has no time limits but that for locks, because the tap may be slow and a window long.

        Raises:
            psycopg.Error: the server cannot be reached, or refuses the connection.
        """
        connection = psycopg.connect(self._url, autocommit=True, **self._defaults)
        try:
            self._limits_left = set_limits(connection, self.lock_seconds)
        except BaseException:
            connection.close()
            raise
        return connection

    def shares_sessions(self, connection: Connection, backend: int) -> bool:
        """Return whether a pooler gives the session of a connection to other programs while it is idle.

        Args:
            connection: a connection.
            backend: the server's process that has served it so far.

        Raises:
            psycopg.Error: the server does not answer.
        """
        if backend == connection.info.backend_pid:
            # There is no pooler.
            return False
        # A pooler takes the session that was idle last or, with `server_round_robin`, the one that was idle first.
        if backend_of(connection) != backend:
            return True
        with contextlib.closing(self.connect()) as other:
            return backend_of(other) == backend

    def explain(self, error: psycopg.Error) -> str:
        """Return why the database cannot be used and what to do, for the middle of a message."""
        state = error.sqlstate
        if isinstance(error, psycopg.DataError) or (state is None and not isinstance(error, psycopg.OperationalError)):
            return f"({_code(error)}). {_OTHER_ADVICE}"
        advice = _ADVICE.get(state) or _ADVICE.get(state and state[:2]) or _OTHER_ADVICE
        if state == "55P03":
            advice = f"This process waited {self.lock_seconds:.0f} s. {advice}"
        if state in _LIMITED and self._limits_left:
            limits = " and ".join(f"`{name}`" for name in self._limits_left)
            advice = f"{advice} Its user may not change {limits}: an administrator has to set it for that user."
        return f"({self._reason(error)}). {advice}"

    def _reason(self, error: psycopg.Error) -> str:
        if error.sqlstate is None:
            # The message of the client on one line. If the server refused the connection, its message is part of it.
            text = " ".join(next(iter(str(error).splitlines()), "").split())
            return type(error).__name__ if any(secret in text for secret in self._secrets) else text
        if error.sqlstate[:2] in _SAFE_CLASSES:
            return f"{error.diag.message_primary}, {_code(error)}"
        return _code(error)


def _code(error: psycopg.Error) -> str:
    return f"SQLSTATE {error.sqlstate}" if error.sqlstate else type(error).__name__


def is_loss(error: psycopg.Error) -> bool:
    """Return whether the server ended the session with an error."""
    return error.sqlstate in _LOSSES


def begin(connection: Connection) -> None:
    """Begin a transaction; see `BEGIN`."""
    connection.execute(BEGIN)


def set_limits(connection: Connection, lock_seconds: float) -> list[str]:
    """Lift the limits that would end the session of a slow run, and choose how its statements are planned.

    Args:
        connection: a new connection.
        lock_seconds: how long a statement waits for a lock of another session.

    Returns:
        The limits that remain, because this user may not change them. Older servers do not have all of them.

    Raises:
        psycopg.Error: the server does not answer.
    """
    change = (
        "SELECT set_config(given.name, given.value, false) "
        "FROM unnest(%s::text[], %s::text[]) AS given (name, value) JOIN pg_catalog.pg_settings USING (name)"
    )
    settings = {**LIMITS, **_PLANNING, "lock_timeout": f"{1000 * lock_seconds:.0f}"}
    try:
        connection.execute(change, (list(settings), list(settings.values())))
    except psycopg.errors.InsufficientPrivilege:
        left = []
        for name, value in settings.items():
            try:
                connection.execute(change, ([name], [value]))
            except psycopg.errors.InsufficientPrivilege:  # noqa: PERF203 - rare
                left.append(name)
        return left
    return []


def backend_of(connection: Connection) -> int:
    """Return the server's process for a connection. Behind a pooler, the connection itself has the wrong number."""
    ((backend,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
    return int(backend)


def table_exists(connection: Connection, name: str) -> bool:
    """Return whether the ledger's schema has a table. No right on the schema is needed."""
    found = connection.execute(
        "SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = %s AND relname = %s",
        (SCHEMA, name),
    )
    return found.rowcount > 0


def make_schema(connection: Connection) -> None:
    """Create the ledger's schema unless it exists, and keep others from creating tables until the transaction ends."""
    connection.execute(f"SELECT pg_advisory_xact_lock({_SET_UP:d})")
    # CREATE SCHEMA IF NOT EXISTS would need the right to create one even where it exists.
    if not connection.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", (SCHEMA,)).rowcount:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
