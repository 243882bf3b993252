"""Removes byte order marks from column names. Pure.

Many CSV files begin with a byte order mark. A tap that does not expect it makes it a part of the first column's name.
If the header is quoted, the quotes become a part of the name, too. If the tap reads Latin-1, the mark is three letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

T = TypeVar("T")

_MARKS: Final = ("\ufeff", "\xef\xbb\xbf")
_MARKS_IN_EXPRESSIONS: Final = (*_MARKS, r"\ufeff", r"\uFEFF")
_DROPPED: Final = "__NULL__"
"""How a stream map of the SDK drops a column."""


def plain_name(name: str) -> str:
    """Return a name without a byte order mark and the quotes behind it."""
    rest = name
    while rest.startswith(_MARKS):
        rest = rest.removeprefix(_MARKS[0]).removeprefix(_MARKS[1])
    if rest == name or not rest.strip('"'):
        return name
    return rest.strip('"')


def plain_names(names: Iterable[str]) -> list[str]:
    """Return names without byte order marks, and without the duplicates that this makes."""
    names = list(names)
    return list(dict.fromkeys(map(plain_name, names))) if has_marks(names) else names


def plain_columns(columns: Mapping[str, T]) -> dict[str, T]:
    """Return columns by their names without byte order marks.

    If two names become equal, a column that is not null takes precedence: a tap that reads several files may send both.
    """
    found: dict[str, T] = {}
    for name, value in columns.items():
        plain = plain_name(name)
        if found.get(plain) is None:
            found[plain] = value
    return found


def marked_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return plain name → the names that have a byte order mark before it."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        plain = plain_name(name)
        if plain != name:
            found.setdefault(plain, []).append(name)
    return found


def has_marks(names: Iterable[str]) -> bool:
    """Return whether any name begins with a byte order mark."""
    return any(name.startswith(_MARKS) for name in names)


def plain_expressions(stream_maps: Mapping[str, Any]) -> dict[str, Any]:
    """Return stream maps without byte order marks in column names and expressions."""
    return {
        stream: plain_columns({name: _plain_rule(rule) for name, rule in rules.items()})
        if isinstance(rules, Mapping) and _mentions_marks(rules)
        else rules
        for stream, rules in stream_maps.items()
    }


def _mentions_marks(rules: Mapping[str, Any]) -> bool:
    texts = [*rules, *(rule for rule in rules.values() if isinstance(rule, str))]
    return any(mark in text for text in texts for mark in _MARKS_IN_EXPRESSIONS)


def _plain_rule(rule: Any) -> Any:  # noqa: ANN401 - a stream map may hold any JSON value
    if rule == _DROPPED:
        # A rule that computes the column takes precedence over a rule that drops it under its other name.
        return None
    if isinstance(rule, list):
        return [plain_name(each) if isinstance(each, str) else each for each in rule]
    if isinstance(rule, str):
        for mark in _MARKS_IN_EXPRESSIONS:
            rule = rule.replace(mark, "")
    return rule
