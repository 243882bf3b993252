"""How code that is the same for both databases runs SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Query = Callable[..., list[tuple[Any, ...]]]
"""Runs one statement, with `?` for its parameters, and returns the rows of its result."""


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
