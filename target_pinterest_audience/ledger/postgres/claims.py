"""Which process has which lock of a PostgreSQL ledger.

The server has room for a few thousand advisory locks for all its users, and a run can work on more customer lists than
that. So a process takes one advisory lock only, on its fencing number. The server releases it when the session ends.
Each lock of the ledger is a row with the number of its holder: it stands as long as that advisory lock does.

A process also writes a row with its number as both name and number. A process that takes over a lock from one whose
session ended deletes that row, so that one look-up shows a process whether it still has all its locks.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from target_pinterest_audience.ledger.lock_holder import Holder
from target_pinterest_audience.ledger.schema import VERSION

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

_SESSIONS: Final = """
    SELECT ((classid::bigint << 32) | objid::bigint) AS number, pid
    FROM pg_catalog.pg_locks JOIN pg_catalog.pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()
"""
"""Each advisory lock in this database, and the server's process that has it."""

# If the connection leads to another session, that session must not get a lock that nothing would release.
_TAKE: Final = "SELECT CASE WHEN pg_backend_pid() = ? THEN pg_try_advisory_lock(?) END"
_BUSY: Final = f"""
    SELECT name_digest, number FROM fences
    WHERE name_digest = ANY(?::bigint[]) AND number <> ? AND number IN (SELECT number FROM ({_SESSIONS}) AS sessions)
"""  # noqa: S608 - our own words
_OWN_FENCE: Final = "INSERT INTO fences (name_digest, number) VALUES (?, ?)"
_OWN_HOLDER: Final = "INSERT INTO lock_holders (name_digest, holder) VALUES (?, decode(?, 'hex'))"
_FORMER: Final = "SELECT number FROM fences WHERE name_digest = ANY(?::bigint[]) AND number <> ?"
_END_HOLDERS: Final = f"DELETE FROM lock_holders WHERE name_digest IN ({_FORMER})"  # noqa: S608 - our own words
_END_FENCES: Final = f"DELETE FROM fences WHERE name_digest IN ({_FORMER})"  # noqa: S608 - our own words
_CLAIM: Final = """
    INSERT INTO fences (name_digest, number) SELECT name_digest, ?::bigint FROM unnest(?::bigint[]) AS name_digest
    ON CONFLICT (name_digest) DO UPDATE SET number = excluded.number
"""
_HOLDER: Final = "SELECT holder FROM lock_holders WHERE name_digest = ?"
TAKE_AGAIN: Final = "SELECT pg_try_advisory_lock(%s)"
"""Takes the advisory lock of a process for a new session."""
END_FORMER: Final = f"""
    SELECT pg_terminate_backend(pid) FROM ({_SESSIONS}) AS sessions WHERE number = %s AND pid <> pg_backend_pid()
"""  # noqa: S608 - our own words
"""Ends the former session of a process, which the server may keep for minutes after the connection broke."""
WRITER: Final = 0x7069_6E5F_7772_6974
"""The advisory lock of the process that writes: the bytes "pin_writ"."""
_HOLDER_OF: Final = f"""
    SELECT holder FROM lock_holders WHERE name_digest IN (
        SELECT own.number FROM ({_SESSIONS}) AS own JOIN ({_SESSIONS}) AS other USING (pid) WHERE other.number = ?
    )
"""  # noqa: S608 - our own words


def holds(backend: int, number: int) -> str:
    """Return a condition in SQL: whether a session has the advisory lock of a process.

    Args:
        backend: the server's process for the session.
        number: the fencing number.
    """
    return f"EXISTS (SELECT FROM ({_SESSIONS}) AS sessions WHERE pid = {backend:d} AND number = {number:d})"


def stands(schema: str, number: int) -> str:
    """Return a condition in SQL: whether no other process took over a lock of a process.

    Args:
        schema: the schema of the tables.
        number: the fencing number.
    """
    return f"EXISTS (SELECT FROM {schema}.fences WHERE name_digest = {number:d} AND number = {number:d})"


def is_upgraded(schema: str) -> str:
    """Return a condition in SQL: whether a newer version upgraded the tables.

    Args:
        schema: the schema of the tables.
    """
    return f"EXISTS (SELECT FROM {schema}.schema_version WHERE version > {VERSION:d})"


def count_commit(schema: str, number: int, commits: int) -> str:
    """Return a statement: it writes how many transactions a process has committed, if it has a lock.

    Args:
        schema: the schema of the tables.
        number: the fencing number of the process.
        commits: how many, with the one that the statement is part of.
    """
    holder = Holder.this_process(commits).encode().hex()
    return (
        f"UPDATE {schema}.lock_holders SET holder = decode('{holder}', 'hex') "  # noqa: S608 - our own words
        f"WHERE name_digest = {number:d}"
    )


def commits_of(schema: str, number: int) -> str:
    """Return a query for the row of a process that `count_commit` writes; see there."""
    return f"SELECT holder FROM {schema}.lock_holders WHERE name_digest = {number:d}"  # noqa: S608 - our own words


class Claims:
    """The locks of one process."""

    def __init__(self, query: Query, number: int) -> None:
        """Create it, without locks.

        Args:
            query: runs statements.
            number: the fencing number of the process.
        """
        self._query = query
        self._number = number
        self.held: set[int] = set()
        """The keys of the locks."""
        self.has_number = False
        """Whether the process has its advisory lock."""

    def take_number(self, backend: int) -> bool:
        """Take the advisory lock of the process, unless it has it.

        Args:
            backend: the server's process for the session that should take it.

        Returns:
            Whether the process has it now; false if the connection leads to another session.
        """
        if not self.has_number:
            self.has_number = bool(self._query(_TAKE, backend, self._number)[0][0])
        return self.has_number

    def claim(self, keys: Collection[int]) -> list[int]:
        """Write this process into locks, up to the first that another process has, and return their keys.

        Called after `take_number`, and within a transaction, so that processes take turns.
        """
        busy = self.busy(keys)
        free = list(takewhile(lambda key: key not in busy, keys))
        if free:
            if not self.held:
                self._query(_OWN_FENCE, self._number, self._number)
                self._query(_OWN_HOLDER, self._number, Holder.this_process().encode().hex())
            self._query(_END_HOLDERS, free, self._number)
            self._query(_END_FENCES, free, self._number)
            self._query(_CLAIM, self._number, free)
        return free

    def busy(self, keys: Collection[int]) -> dict[int, int]:
        """Return lock → fencing number, for the locks that other processes have."""
        return dict(self._query(_BUSY, list(keys), self._number))

    def holder(self, number: int) -> Holder | None:
        """Return the process with a fencing number; None if it is not known."""
        return read_holder(self._query(_HOLDER, number))

    def holder_of(self, advisory_lock: int) -> Holder | None:
        """Return the process whose session has an advisory lock; None if it is not known."""
        return read_holder(self._query(_HOLDER_OF, advisory_lock))


def read_holder(found: list[tuple[Any, ...]]) -> Holder | None:
    """Return the holder that a query found; None if it found none."""
    return Holder.read(bytes(found[0][0])) if found else None
