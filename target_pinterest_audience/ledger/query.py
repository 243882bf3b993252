"""How code that is the same for both databases runs SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

Query = Callable[..., list[tuple[Any, ...]]]
"""Runs one statement, with `?` for its parameters, and returns the rows of its result."""

_IN_A_STATEMENT: Final = 100
"""How many rows go into one statement: older versions of SQLite take no more than 999 parameters."""


class AccountTables:
    """Some tables of a ledger, for one ad account."""

    def __init__(self, query: Query, realm: int) -> None:
        """Bind to an ad account.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
        """
        self._query = query
        self._realm = realm


def parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Divide rows into parts that fit into one statement."""
    return (rows[start : start + _IN_A_STATEMENT] for start in range(0, len(rows), _IN_A_STATEMENT))


def marks(values: Sequence[object]) -> str:
    """Return a mark for each of some parameters, for the list after IN."""
    return ", ".join("?" for _ in values)


def number_of(query: Query, table: str, column: str, key: Mapping[str, Any]) -> int:
    """Return the number of a row, inserting the row if it is missing.

    Args:
        query: runs statements.
        table: the table.
        column: its column with the numbers.
        key: the columns that identify the row, and their values.
    """
    where = " AND ".join(f"{name} = ?" for name in key)
    found = query(f"SELECT {column} FROM {table} WHERE {where}", *key.values())  # noqa: S608 - our own names
    if found:
        return int(found[0][0])
    ((top,),) = query(f"SELECT COALESCE(MAX({column}), 0) FROM {table}")  # noqa: S608 - our own names
    names, marks = ", ".join([column, *key]), ", ".join("?" for _ in range(len(key) + 1))
    query(f"INSERT INTO {table} ({names}) VALUES ({marks})", top + 1, *key.values())  # noqa: S608 - our own names
    return int(top) + 1
