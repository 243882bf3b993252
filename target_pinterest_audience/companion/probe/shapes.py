"""What can be shown of a response: its form, without texts, ids and other values. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,39}").fullmatch
_LARGEST_CODE: Final = 10_000
"""Error codes are smaller, and ids are greater."""

_DEEPEST: Final = 5
_MOST_KEYS: Final = 20
_BUCKET: Final = re.compile(r'[0-9]{1,9}(;w=[0-9]{1,6})?(;name="[a-z_]{1,60}")?').fullmatch


def shape_of(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with its texts and greater numbers replaced by the names of their types.

    Args:
        value: the value.
        depth: how many values it is nested in.
    """
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, dict):
        shown = list(value.items())[:_MOST_KEYS]
        return {(key if _NAME(key) else "<key>"): shape_of(each, depth + 1) for key, each in shown}
    if isinstance(value, list):
        return [shape_of(each, depth + 1) for each in value[:1]]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST_CODE:
        return value
    return "number" if isinstance(value, (int, float)) else "text"


def limit_shape(header: str | None) -> str | None:
    """Return `x-ratelimit-limit` if it has the form that is known from live answers, else a word in its place."""
    if header is None:
        return None
    parts = [part.strip() for part in header.split(",")]
    return ", ".join(part if _BUCKET(part) else "<another form>" for part in parts)
