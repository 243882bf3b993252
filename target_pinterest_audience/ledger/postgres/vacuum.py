"""How the server cleans up the big tables of a ledger."""

from __future__ import annotations

import contextlib
from typing import Final

import psycopg

from target_pinterest_audience.ledger.postgres.connection import SCHEMA, Connection

_TABLES: Final = ("members", "row_says", "sightings")
"""The tables with a row for each person or row of a source."""

_SHARE: Final = 0.05
"""The share of dead rows from which the server vacuums a table. By default it waits for a fifth, which is space for ten
million rows of fifty."""

_UNSET: Final = """
    SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %s AND relname = ANY(%s) AND reloptions IS NULL AND pg_has_role(relowner, 'USAGE') ORDER BY relname
"""
_LOCK: Final = f"LOCK TABLE {SCHEMA}.{{}} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT"
"""Takes the lock that `_SET` needs, which a vacuum has, too."""
_SET: Final = f"ALTER TABLE {SCHEMA}.{{}} SET (autovacuum_vacuum_scale_factor = {_SHARE})"

TEND_NEW: Final = "; ".join(map(_SET.format, _TABLES))
"""The statements that do what `tend` does, for the transaction that creates the tables."""


def tend(connection: Connection) -> None:
    """Let the server vacuum the big tables in time, within a transaction of the caller.

    What somebody has set for a table stays. A table that is just being vacuumed is left to the next process.

    Raises:
        psycopg.Error: the server does not answer.
    """
    for (name,) in connection.execute(_UNSET, (SCHEMA, list(_TABLES))).fetchall():
        with contextlib.suppress(psycopg.errors.LockNotAvailable), connection.transaction():
            connection.execute(_LOCK.format(name))
            connection.execute(_SET.format(name))
