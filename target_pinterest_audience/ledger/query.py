"""How the small tables of a ledger reach whichever database they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Query = Callable[..., list[tuple[Any, ...]]]
"""Runs one statement, with `?` for its parameters, and returns the rows of its result."""


def next_number(query: Query) -> int:
    """Return the number of the run or command that begins now: one numbering for runs and for their history."""
    found = query(
        "SELECT COALESCE(MAX(top), 0) FROM "
        "(SELECT MAX(run) AS top FROM runs UNION ALL SELECT MAX(entry) FROM history) AS tops"
    )
    return int(found[0][0]) + 1
