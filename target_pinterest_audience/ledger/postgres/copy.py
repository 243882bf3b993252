"""A copy of a PostgreSQL ledger in temporary tables, which a dry run can change while other runs go on.

Only the session sees the tables, and they are dropped when it ends.
"""

from __future__ import annotations

from typing import Final

from target_pinterest_audience.ledger.postgres.connection import SCHEMA, Connection

TEMPORARY: Final = "pg_temp"
"""PostgreSQL's name for the schema of a session's temporary tables."""

_LEFT_OUT: Final = frozenset({"credentials", "fences", "lock_holders"})
"""The tables that a dry run does not need, because it takes no lock."""

_TABLES: Final = (
    "SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE nspname = %s AND relkind = 'r' ORDER BY relname"
)
_REALM: Final = f"SELECT realm FROM {SCHEMA}.realms WHERE api_url = %s AND ad_account_id = %s"  # noqa: S608 - our own name
_SOURCES: Final = f"SELECT source FROM {SCHEMA}.sources WHERE realm = ({_REALM})"  # noqa: S608 - our own name
_LISTS: Final = f"SELECT list FROM {SCHEMA}.lists WHERE realm = ({_REALM})"  # noqa: S608 - our own name
_PARTS: Final = {
    "row_says": f"source IN ({_SOURCES})",
    "members": f"list IN ({_LISTS})",
    "unsettled": f"list IN ({_LISTS})",
    "seen_keys": f"source IN ({_SOURCES})",
    "sightings": f"reader IN (SELECT reader FROM {SCHEMA}.feeds WHERE source IN ({_SOURCES}))",  # noqa: S608 - our own name
}
"""The big tables, and which part of them belongs to the ad account."""


def copy_tables(connection: Connection, api_url: str, ad_account_id: str) -> None:
    """Copy the tables as they are at one moment; of the big ones, only the part that belongs to an ad account.

    Args:
        connection: the session of the dry run.
        api_url: the API.
        ad_account_id: the ad account.

    Raises:
        psycopg.Error: a right is missing, or there is no space for the copy.
    """
    run = connection.execute
    with connection.transaction():
        # At one moment, because what rows say and the counts of members must agree.
        run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ WRITE")
        tables = [name for (name,) in run(_TABLES, (SCHEMA,)) if name not in _LEFT_OUT]
        for name in tables:
            run(f"CREATE TEMPORARY TABLE {name} (LIKE {SCHEMA}.{name} INCLUDING ALL)")
            part = _PARTS.get(name, "true")
            realm = (api_url, ad_account_id) if name in _PARTS else ()
            run(f"INSERT INTO {TEMPORARY}.{name} SELECT * FROM {SCHEMA}.{name} WHERE {part}", realm)  # noqa: S608 - our own names
        # The server does not analyze temporary tables by itself, and plans queries by their statistics.
        for name in tables:
            run(f"ANALYZE {TEMPORARY}.{name}")
