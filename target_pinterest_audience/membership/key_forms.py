"""Key forms: one canonical form for each key value, however a tap encodes it. Pure."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from target_pinterest_audience.records.arrow_column import UuidBytes

if sys.version_info < (3, 11):
    from backports.datetime_fromisoformat import datetime_fromisoformat, time_fromisoformat
else:
    datetime_fromisoformat, time_fromisoformat = datetime.fromisoformat, time.fromisoformat

FIRST_RULES: Final = 1
NEWEST_RULES: Final = 2
"""The rules for the keys of new sources.

A ledger stores only keyed digests of keys, so it cannot convert them to another form. Each source keeps the rules that
it began with. Released rules never change:

1. Text never equals a number. Text is a moment only if its schema has a `format` at the top level.
2. Text that is an integer equals that integer. Text of any other number equals the number if the schema declares a
   number. A UUID equals its text in upper or lower case. A `format` counts in `anyOf`, `oneOf` and `allOf`, too.
"""

NUMBER_FORMAT: Final = "number"
"""The format of a key whose text is a number."""

_MOST_DIGITS: Final = 4300
"""The longest integer that Python converts to text."""

_UUID_LENGTH: Final = 36

_FINER_THAN_MICROSECONDS: Final = re.compile(r"[.,]\d{6}0*[1-9]").search
"""Finds moments that would lose precision and so could equal the moment of another row."""

_READERS: Final[Mapping[str, Callable[[str], datetime | time]]] = {
    "date-time": datetime_fromisoformat,
    "date": datetime_fromisoformat,
    "time": time_fromisoformat,
}

is_integer_text = re.compile(rb"0|-?[1-9]\d{0,%d}" % (_MOST_DIGITS - 1)).fullmatch
"""Matches text that is an integer, written as JSON writes it."""

is_number_text = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|-?Infinity|NaN").fullmatch
"""Matches text that is a number in any notation."""

_is_uuid_text = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch


def canonical(value: object, text_format: str | None = None, rules: int = NEWEST_RULES) -> bytes:
    """Return the canonical form of a key value.

    Equal numbers have equal forms (`1` in a RECORD, `1.0` as a decimal, `1` in a Parquet file), and so have equal
    moments, whether they come as text or not.

    Args:
        value: the value in the record: any JSON value, or a value of a Parquet file.
        text_format: the format of the column's text; see `formats_of`.
        rules: the rules of the source; see `NEWEST_RULES`.
    """
    if type(value) is int:
        return b"n%d" % value
    if isinstance(value, str):
        moment = _moment(value, text_format)
        if moment is not None:
            return b"t" + moment.encode()
        return _canonical_text(value.encode("utf-8", "surrogatepass"), text_format, rules)
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, (Decimal, float)):
        return _canonical_number(value if isinstance(value, Decimal) else Decimal(repr(value)))
    if isinstance(value, (date, time)):
        return b"t" + _utc(value).encode()
    if isinstance(value, UuidBytes) and rules > FIRST_RULES:
        value = UUID(bytes=value)
    if isinstance(value, bytes):
        return _canonical_text(value, text_format, rules)
    if isinstance(value, UUID) and rules > FIRST_RULES:
        return b"s" + str(value).encode()
    return b"j" + json.dumps(value, sort_keys=True, default=str).encode()


def lower_uuid(text: bytes) -> bytes:
    """Return text, converted to lower case if it is a UUID."""
    return text.lower() if is_uuid_text(text) else text


def is_uuid_text(text: bytes) -> bool:
    """Return whether text is a UUID in its usual notation."""
    return len(text) == _UUID_LENGTH and _is_uuid_text(text) is not None


def formats_of(schemas: Mapping[str, Any], rules: int = NEWEST_RULES) -> dict[str, str]:
    """Return the format that schemas declare for the text of columns: `date-time`, `date`, `time` or `number`.

    Args:
        schemas: column → its JSON schema.
        rules: the rules of the source.

    Returns:
        Column → format, without columns of plain text.
    """
    found = {}
    for name, schema in schemas.items():
        text_format = _format_at_top(schema) if rules == FIRST_RULES else _format_anywhere(schema)
        if text_format is not None:
            found[name] = text_format
    return found


def _format_at_top(schema: Any) -> str | None:  # noqa: ANN401 - a tap may send anything
    text_format = schema.get("format") if isinstance(schema, dict) else None
    return text_format if isinstance(text_format, str) and text_format in _READERS else None


def _format_anywhere(schema: Any) -> str | None:  # noqa: ANN401 - a tap may send anything
    parts = list(_parts(schema))
    formats = {each["format"] for each in parts if isinstance(each.get("format"), str)}
    for text_format in _READERS:
        if text_format in formats:
            return text_format
    types: set[object] = set()
    for each in parts:
        kind = each.get("type")
        types.update(name for name in (kind if isinstance(kind, list) else [kind]) if isinstance(name, str))
    is_number = not types.isdisjoint({"number", "integer"}) and "string" not in types
    return NUMBER_FORMAT if is_number or "singer.decimal" in formats else None


def _parts(schema: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - a tap may send anything
    """Yield a schema and the schemas that it is combined from."""
    if isinstance(schema, dict):
        yield schema
        for keyword in ("anyOf", "oneOf", "allOf"):
            parts = schema.get(keyword)
            for part in parts if isinstance(parts, list) else ():
                yield from _parts(part)


def _canonical_text(text: bytes, text_format: str | None, rules: int) -> bytes:
    if rules > FIRST_RULES:
        if is_integer_text(text):
            return b"n" + text
        if text_format == NUMBER_FORMAT and is_number_text(text):
            # Text may have an exponent that is too large for a decimal.
            with contextlib.suppress(ArithmeticError):
                return _canonical_number(Decimal(text.decode()))
        text = lower_uuid(text)
    return b"s" + text


def _canonical_number(value: Decimal) -> bytes:
    if not value.is_finite():
        return b"n" + str(value).encode()
    if not value:
        return b"n0"
    if abs(value.adjusted()) < _MOST_DIGITS and value == value.to_integral_value():
        return b"n%d" % int(value)
    # Not `normalize`, which rounds: two long keys could become equal.
    sign, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    return b"n" + f"{'-' * sign}{significant}e{int(exponent) + len(digits) - len(significant)}".encode()


def _moment(text: str, text_format: str | None) -> str | None:
    reader = _READERS.get(text_format or "")
    if reader is None or _FINER_THAN_MICROSECONDS(text):
        return None
    try:
        return _utc(reader(text))
    except ValueError:
        return None


def _utc(value: date | time) -> str:
    if isinstance(value, time):
        return value.isoformat()
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    # The first and last day of the calendar do not exist in every time zone.
    with contextlib.suppress(OverflowError):
        value = value.astimezone(timezone.utc)
    return value.isoformat()
