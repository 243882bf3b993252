"""Counts the rows that contribute to each list, as part of the migration of a ledger that did not keep these counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.membership.statements import contributed_lists, sole_contributions, statements

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

_PAGE_ROWS: Final = 50_000


def count_contributing_rows(query: Query) -> None:
    """Count the rows that contribute to each list, and write the counts. It reads every row of the ledger once.

    Args:
        query: runs statements; called within the transaction of the migration, when the tables are of this version.
    """
    rows: Counter[int] = Counter()
    after = b""
    while page := query(
        "SELECT row_key, says FROM row_says WHERE row_key > ? ORDER BY row_key LIMIT ?", after, _PAGE_ROWS
    ):
        encoded = [bytes(said) for _, said in page]
        alike = sole_contributions(encoded)
        if alike is not None:
            rows[alike.list_number] += len(encoded)
        else:
            for said in encoded:
                rows.update(contributed_lists(statements(said)))
        after = bytes(page[-1][0])
    for number, count in rows.items():
        query("UPDATE lists SET contributing_rows = ? WHERE list = ?", count, number)
