"""Deletion marks and consent: whether a row is deleted, and whether its person consents. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import UNSET

from target_pinterest_audience.records.arrow_column import FileColumn
from target_pinterest_audience.records.paths import MISPLACED

_NOT_DELETED: Final = frozenset(
    {"", "false", "f", "no", "n", "off", "null", "none", "nan", "undefined", r"\n"},
)
"""Texts that systems write in rows that are not deleted, in lower case."""
# Zeros in any form, such as 0.0 and 00/00/0000, and the first day of the calendar: MySQL, .NET and Go write them.
_zeros: Final = re.compile(r"[+-]?0[0+\-./:\stz]*|0000-00-00.*|0001-01-01.*", re.DOTALL).fullmatch


def is_set(value: object) -> bool:
    """Return whether the value of a removal column marks its row as deleted. A value that cannot be read does not."""
    text = _text(value)
    if text is not None:
        # Some taps write MySQL's bits as text: then a bit that is not set is a NUL.
        text = text.strip("\0")
        return text not in _NOT_DELETED and not (text[0] in "+-0" and _zeros(text))
    if value is None or value is UNSET or value is MISPLACED:
        return False
    if isinstance(value, float):
        return value == value and value != 0  # noqa: PLR0124 - only NaN differs from itself
    if isinstance(value, Decimal):
        return not value.is_nan() and value != 0
    # Columns of files may hold dates.
    return bool(value) and getattr(value, "year", None) != 1


def is_granted(value: object, words: Collection[str]) -> bool:
    """Return whether the value of a consent column means yes: true, 1 or one of some words. Anything else means no.

    Args:
        value: the value.
        words: the texts that mean yes, in lower case and without blanks around them.
    """
    text = _text(value)
    if text is not None:
        return text in words
    return not (isinstance(value, Decimal) and value.is_snan()) and value == 1


def _text(value: object) -> str | None:
    """Return a text in the form that is compared; None for a value that is not text."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.strip().lower() if isinstance(value, str) else None


def indices_where(predicate: Callable[[Any], bool], values: Sequence[Any]) -> list[int]:
    """Return the indices of the values for which a predicate is true; it is called once for equal values.

    A column of marks or consent holds few different values, and most often only nulls.
    """
    if isinstance(values, FileColumn) and values.gaps == len(values):
        return list(range(len(values))) if predicate(None) else []
    try:
        found = {value for value in set(values) if predicate(value)}
    except TypeError:
        # Objects and arrays are not hashable.
        return [index for index, value in enumerate(values) if predicate(value)]
    return [index for index, value in enumerate(values) if value in found] if found else []


def mark_columns(columns: Collection[str], removal_column: str | None) -> tuple[str, ...]:
    """Return the columns that mark rows as deleted: the one that the settings name, and `_sdc_deleted_at`.

    Args:
        columns: the columns of the stream. `_sdc_deleted_at` counts even if the SCHEMA does not declare it, also in
            capitals, as Snowflake writes it.
        removal_column: the column that the settings name; None if they name none.
    """
    named = named_in_any_case(removal_column, columns) if removal_column is not None else []
    by_taps = [column for column in columns if is_mark_of_taps(column)]
    return tuple(dict.fromkeys([*named, *by_taps, DEFAULT_REMOVAL_COLUMN, DEFAULT_REMOVAL_COLUMN.upper()]))


def is_mark_of_taps(column: str) -> bool:
    """Return whether a column is `_sdc_deleted_at`, in any case."""
    return column.lower() == DEFAULT_REMOVAL_COLUMN


def named_in_any_case(name: str, columns: Collection[str]) -> list[str]:
    """Return the column of a name; if there is none, the columns whose names differ in case only."""
    if name in columns:
        return [name]
    return [column for column in columns if column.lower() == name.lower()]


def look_like_marks(columns: Iterable[str]) -> list[str]:
    """Return the columns whose names suggest that they mark deleted rows."""
    return [column for column in columns if "deleted" in column.lower()]


DEFAULT_REMOVAL_COLUMN: Final = "_sdc_deleted_at"
