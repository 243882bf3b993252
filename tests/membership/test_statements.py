"""Statements: how many of them encoded rows hold."""

from __future__ import annotations

import pytest

from target_pinterest_audience.membership.statements import (
    Stance,
    Statement,
    count_all_statements,
    count_statements,
    encode_statements,
)


def encoded(count: int) -> bytes:
    """Return a row with so many statements."""
    return encode_statements([Statement(1, 1, Stance.CONTRIBUTES, bytes([number]) * 32) for number in range(count)])


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [1, 1, 1],
        [1, 2, 15],
        [0, 0],  # rows that say nothing
        [1, 0, 3],
        [16, 1],  # a list of more than 15 is encoded in another way
        [0, 17, 1],
    ],
)
def test_the_statements_of_rows_are_counted_however_many_a_row_has(counts: list[int]) -> None:
    rows = [encoded(count) for count in counts]
    assert [count_statements(row) for row in rows] == counts
    assert count_all_statements(rows) == sum(counts)
