"""The table `meta`: the secret of a ledger, how its rows are placed, and the newest number of a run or command."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

_SECRET_BYTES: Final = 32
_PLACED: Final = b"placed"


def secret_of(query: Query) -> bytes:
    """Return the secret of the ledger's keyed digests, creating it in a new ledger.

    Args:
        query: runs statements; called within a transaction.
    """
    found = query("SELECT value FROM meta WHERE name = 'secret'")
    if found:
        return bytes(found[0][0])
    secret = secrets.token_bytes(_SECRET_BYTES)
    query("INSERT INTO meta (name, value) VALUES ('secret', ?)", secret)
    query("INSERT INTO meta (name, value) VALUES ('rows', ?)", _PLACED)
    return secret


def places_rows(query: Query) -> bool:
    """Return whether rows with neighbouring keys lie side by side. In ledgers of older versions they are scattered."""
    return [bytes(value) for (value,) in query("SELECT value FROM meta WHERE name = 'rows'")] == [_PLACED]


def next_number(query: Query) -> int:
    """Return the number of the run or command that begins now.

    Runs and the entries of the history share one numbering. The newest number is stored, because `ledger expire` may
    delete the row that had it: a run that got it again would be shown with the removals of the deleted one.

    Args:
        query: runs statements; called within a transaction.
    """
    stored = query("SELECT value FROM meta WHERE name = 'newest_number'")
    newest = int(bytes(stored[0][0])) if stored else _newest_removal(query)
    ((top,),) = query(
        "SELECT COALESCE(MAX(top), 0) FROM "
        "(SELECT MAX(run) AS top FROM runs UNION ALL SELECT MAX(entry) FROM history) AS tops"
    )
    number = max(newest, int(top)) + 1
    query(
        "INSERT INTO meta (name, value) VALUES ('newest_number', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        str(number).encode(),
    )
    return number


def _newest_removal(query: Query) -> int:
    """Return the newest number in the removals, which may outlive its entry in the history."""
    ((top,),) = query("SELECT COALESCE(MAX(entry), 0) FROM removals")
    return int(top)
