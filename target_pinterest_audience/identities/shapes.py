"""Describes rejected values for people by their type and shape, never by a value. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final

from target_pinterest_audience.records.paths import Misplaced

_EXAMINED: Final = 4096
"""How many characters of a text are examined."""

JSON_TEXT: Final = "text that holds JSON"
ARRAYS: Final = "arrays"

_FORMS: Final = (
    (JSON_TEXT, re.compile(r"\s*[\[{].*", re.DOTALL)),
    ("text with an @", re.compile(r".*@.*", re.DOTALL)),
    ("UUIDs", re.compile(r"\s*\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?\s*")),
    ("text of digits", re.compile(r"[\s\d]*\d[\s\d]*")),
    ("text of hex digits", re.compile(r"\s*(?:0x)?[0-9a-fA-F]+\s*")),
)


def shape_of(value: object) -> str:
    """Return a description of a value, in the plural and without an article."""
    if isinstance(value, str):
        text = value[:_EXAMINED]
        return next((name for name, pattern in _FORMS if pattern.fullmatch(text)), "text without an @")
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float, Decimal)):
        return "numbers"
    if isinstance(value, dict):
        return "objects"
    if isinstance(value, Misplaced):
        return "values where objects are expected"
    if isinstance(value, (bytes, bytearray)):
        return "bytes that are not text in UTF-8"
    if isinstance(value, Collection):
        return ARRAYS
    if isinstance(value, (date, time, timedelta)):
        return "dates or times"
    return "values of another type"
