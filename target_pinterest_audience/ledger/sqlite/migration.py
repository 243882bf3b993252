"""Checks the tables of a SQLite ledger, and brings them up to date."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue.contributing_rows import count_contributing_rows
from target_pinterest_audience.ledger.rekey import rekey
from target_pinterest_audience.ledger.schema import (
    MIGRATIONS,
    VERSION,
    Steps,
    missing_steps,
    needs_rekeying,
    needs_row_counts,
)
from target_pinterest_audience.ledger.sqlite.big_tables import MEMBERS, ROWS

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.connection import Connection
    from target_pinterest_audience.ledger.sqlite.errors import Errors

_TYPES: Final = {"blob": "BLOB", "clustered": "WITHOUT ROWID"}
_OURS: Final = frozenset({"realms", "sources", "lists", "row_says", "members"})
"""If a database has one of these tables, it is a ledger, or what is left of one."""
_NO_VERSION: Final = "damaged: the number of its version is missing"
_NO_TABLE: Final = "damaged: a table is missing"
_NO_KEY: Final = "damaged: the secret of its digests is missing"
_CREATES: Final = re.compile(r"CREATE TABLE (\w+)")


def steps_to_do(connection: sqlite3.Connection, where: str, errors: Errors) -> Steps:
    """Return the migrations that a ledger lacks.

    Args:
        connection: leads to it.
        where: the ledger, as the beginning of a sentence.
        errors: makes the error of a damaged file.

    Raises:
        LedgerError: the database is damaged, belongs to another program, or comes from a newer version.
    """
    # One statement, so that no other process creates the tables in between.
    version, names = connection.execute(
        "SELECT user_version, (SELECT group_concat(name) FROM sqlite_master WHERE type = 'table') "
        "FROM pragma_user_version"
    ).fetchone()
    tables = frozenset((names or "").split(","))
    if names and _OURS.isdisjoint(tables):
        msg = f"{where} is a database of something else. Correct `ledger_url`."
        raise LedgerError(msg)
    if names and not version:
        raise errors.damaged(_NO_VERSION)
    steps = missing_steps(version, where)
    if not _tables_of(version) <= tables:
        raise errors.damaged(_NO_TABLE)
    return steps


def _tables_of(version: int) -> set[str]:
    """Return the tables of a ledger of some version."""
    statements = [statement for step in MIGRATIONS[:version] for statement in step]
    return {found[1] for each in statements if (found := _CREATES.match(each))}


def migrate(connection: Connection, steps: Steps) -> None:
    """Carry out migrations, within a transaction."""
    for step in steps:
        for statement in step:
            connection.raw.execute(statement.format(**_TYPES))
    if needs_rekeying(steps):
        rekey(connection.query)
    if needs_row_counts(steps):
        count_contributing_rows(connection.query)
    if steps:
        connection.raw.execute(f"PRAGMA user_version = {VERSION}")


def is_complete(connection: sqlite3.Connection, api_url: str, ad_account_id: str) -> bool:
    """Return whether a ledger of this version has a secret and knows an ad account, so that it can just be read."""
    ((complete,),) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'secret') "
        "AND EXISTS (SELECT 1 FROM realms WHERE api_url = ? AND ad_account_id = ?)",
        (api_url, ad_account_id),
    ).fetchall()
    return bool(complete)


def ensure_layers(connection: Connection, errors: Errors) -> None:
    """Check that the table of each layer is there.

    Raises:
        LedgerError: one is missing.
    """
    tables = {name for (name,) in connection.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in (ROWS, MEMBERS):
        layers = connection.query("SELECT layer FROM layers WHERE table_name = ?", table.name)
        if not {table.of_layer(number) for (number,) in layers} <= tables:
            raise errors.damaged(_NO_TABLE)


def ensure_secret(connection: Connection, errors: Errors) -> None:
    """Check that a ledger with rows has its secret: with a new one, none of its rows would ever be found again.

    Raises:
        LedgerError: the secret is missing.
    """
    (found,) = connection.query(
        "SELECT (EXISTS (SELECT 1 FROM row_says) OR EXISTS (SELECT 1 FROM layers)) "
        "AND NOT EXISTS (SELECT 1 FROM meta WHERE name = 'secret')"
    )
    if found == (1,):
        raise errors.damaged(_NO_KEY)
