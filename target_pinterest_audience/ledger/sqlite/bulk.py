"""Many rows in one SQLite statement: each column goes in as a BLOB of equally long pieces, and comes out as one text.

A statement with a parameter for each value takes half as long again. A statement that returns many rows takes the
interpreter's lock for each of them; this way other threads run while SQLite works.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

_COUNTED: Final = (
    "WITH RECURSIVE {table} (place) AS (SELECT 0 WHERE :count > 0 "
    "UNION ALL SELECT place + 1 FROM {table} WHERE place + 1 < :count) "
)
_KEY: Final = "substr(:keys, place * :key_size + 1, :key_size)"
_VALUE: Final = "substr(:values, place * :value_size + 1, :value_size)"

_MOST_ARGUMENTS: Final = 100
"""SQLite's limit for a function is 127 in many builds."""

# Without a limit, SQLite may ignore the order.
_IN_ORDER: Final = ", places (place, key) AS (SELECT place, {key} FROM given ORDER BY 2 LIMIT -1) "


def for_all_places(statement: str, *, in_order: bool = True) -> str:
    """Return a statement that can use the table `places`, with a row for each `place` in a group.

    Args:
        statement: SQL with `{key}` and `{value}` for the key and the value at a place.
        in_order: whether to go through the places as they are. Otherwise SQLite sorts them by their keys: that takes
            longer than sorting a group in Python, but other threads run meanwhile.
    """
    if in_order:
        return _COUNTED.format(table="places") + statement.format(key=_KEY, value=_VALUE)
    given = _COUNTED.format(table="given") + _IN_ORDER.format(key=_KEY)
    return given + statement.format(key="key", value=_VALUE)


def first_of(values: Sequence[str]) -> str:
    """Return the SQL of the first of some values that is not NULL. Those behind it are not computed."""
    if len(values) == 1:
        return values[0]
    parts = [values[start : start + _MOST_ARGUMENTS] for start in range(0, len(values), _MOST_ARGUMENTS)]
    return first_of([f"COALESCE({', '.join([*part, 'NULL'])})" for part in parts])


class Group(NamedTuple):
    """Rows with equally long keys and equally long values.

    Attributes:
        keys: the keys of the rows, by their places.
        parameters: the parameters of a statement from `for_all_places`.
    """

    keys: list[bytes]
    parameters: dict[str, object]


def groups(keys: Sequence[bytes], values: Sequence[bytes] | None = None, *, in_order: bool = True) -> Iterator[Group]:
    """Divide rows into as few groups as their sizes allow.

    Args:
        keys: the keys of the rows, without duplicates.
        values: the values of the rows, in the same order; None if the statement needs none.
        in_order: whether to sort the rows by their keys, so that each page of the table is read once.
    """
    for places in _of_equal_size(keys, values):
        if in_order and values is not None:
            places.sort(key=keys.__getitem__)
        of_group = [keys[place] for place in places]
        if in_order and values is None:
            of_group.sort()
        parameters: dict[str, object] = {
            "count": len(places), "keys": b"".join(of_group), "key_size": len(of_group[0]),
        }  # fmt: skip
        if values is not None:
            parameters["values"] = b"".join([values[place] for place in places])
            parameters["value_size"] = len(values[places[0]])
        yield Group(of_group, parameters)


def _of_equal_size(keys: Sequence[bytes], values: Sequence[bytes] | None) -> Collection[list[int]]:
    if not keys:
        return []
    if len(set(map(len, keys))) == 1 and (values is None or len(set(map(len, values))) == 1):
        return [list(range(len(keys)))]
    of_sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        of_sizes[len(key), len(values[place]) if values is not None else 0].append(place)
    return of_sizes.values()
