"""Whether a run could use a PostgreSQL ledger: its session, and the rights of its user. Writes nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.postgres.connection import BEGIN, SCHEMA, Database, table_exists
from target_pinterest_audience.ledger.postgres.session import Session

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.connection import Connection

_WRITTEN: Final = ("members", "row_says", "unsettled", "fences", "lock_holders", "runs")
"""Tables in which every run may insert, change and delete rows."""
_SCHEMA_RIGHTS: Final = """
    SELECT has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE')
    FROM pg_catalog.pg_namespace WHERE nspname = %s
"""
_DATABASE_RIGHT: Final = "SELECT has_database_privilege(current_database(), %s)"
_LACKING: Final = """
    SELECT privilege FROM unnest(%s::text[]) WITH ORDINALITY AS asked (privilege, position)
    WHERE EXISTS (
        SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = %s AND relname = ANY(%s) AND NOT has_table_privilege(pg_class.oid, privilege)
    )
    ORDER BY position
"""


def check_usable(url: str, *, wait_seconds: float, dry: bool) -> None:
    """Open a session as a run does, and check that its user has the rights that a run needs.

    Args:
        url: `postgresql://…`.
        wait_seconds: how long to wait for locks.
        dry: whether the run would be a dry one, which works on a copy.

    Raises:
        LedgerError: a run could not use the database.
        ConfigurationError: the URL is malformed.
    """
    database = Database(url, wait_seconds)
    where = f"The ledger in {database}"
    with closing(Session(database, where, SCHEMA, wait_seconds)) as session:
        session.begin()
        with session.turn():
            # A standby refuses the first of these.
            session.connection.execute(f"{BEGIN}; ROLLBACK")
            lack = _lack_of_dry_run(session.connection) if dry else _lack(session.connection)
    if lack:
        msg = f"{where} cannot be used by a run: {lack}"
        raise LedgerError(msg)


def _lack_of_dry_run(connection: Connection) -> str:
    """Return what a dry run lacks, as sentences; an empty text if it lacks nothing."""
    if connection.execute(_DATABASE_RIGHT, ("TEMPORARY",)).fetchone() == (True,):
        return ""
    return "a dry run works on a temporary copy, and its user lacks the right TEMPORARY on the database. Grant it."


def _lack(connection: Connection) -> str:
    """Return what a run lacks, as sentences; an empty text if it lacks nothing."""
    rights = connection.execute(_SCHEMA_RIGHTS, (SCHEMA,)).fetchone()
    if rights is None:
        if connection.execute(_DATABASE_RIGHT, ("CREATE",)).fetchone() == (True,):
            return ""
        return (
            f"the first run creates the schema {SCHEMA}, and its user lacks the right CREATE on the database. Grant "
            "it, or let an administrator create the schema with this user as its owner."
        )
    may_use, may_create = rights
    is_there = table_exists(connection, "schema_version")
    if not may_use or not (is_there or may_create):
        lacking = "USAGE" if not may_use else "CREATE"
        return f"its user lacks the right {lacking} on the schema {SCHEMA}. Make this user the owner of the schema."
    asked = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    lacks = [right for (right,) in connection.execute(_LACKING, (asked, SCHEMA, list(_WRITTEN)))]
    if not is_there or not lacks:
        return ""
    return (
        f"its user lacks the right {', '.join(lacks)} on tables in the schema {SCHEMA}. Reports and dry runs only read "
        "them, but a run writes. Use the user that created the tables, or grant the right."
    )
