"""Column names without the byte order mark that stands before the first of them in many CSV files. Pure.

A tap that reads such a file without regard to the mark takes it for a part of the name. Where the header is in quotes,
they become a part of the name, too; and where the file is read as Latin-1, the mark is three letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

T = TypeVar("T")

_MARKS: Final = ("\ufeff", "\xef\xbb\xbf")
_MARKS_IN_EXPRESSIONS: Final = (*_MARKS, r"\ufeff", r"\uFEFF")
_DROPPED: Final = "__NULL__"
"""What the SDK takes for null in a stream map."""


def plain_name(name: str) -> str:
    """Return a name without a byte order mark."""
    rest = name
    while rest.startswith(_MARKS):
        rest = rest.removeprefix(_MARKS[0]).removeprefix(_MARKS[1])
    if rest == name or not rest.strip('"'):
        return name
    return rest.strip('"')


def plain_names(names: Iterable[str]) -> list[str]:
    """Return names without byte order marks; of those that become equal, one."""
    names = list(names)
    return list(dict.fromkeys(map(plain_name, names))) if has_marks(names) else names


def plain_columns(columns: Mapping[str, T]) -> dict[str, T]:
    """Return columns by their names without byte order marks.

    Of two that become equal, one that has a value is taken: a tap that reads several files may fill both.
    """
    found: dict[str, T] = {}
    for name, value in columns.items():
        plain = plain_name(name)
        if found.get(plain) is None:
            found[plain] = value
    return found


def marked_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return plain name → the names that are it behind a byte order mark."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        plain = plain_name(name)
        if plain != name:
            found.setdefault(plain, []).append(name)
    return found


def has_marks(names: Iterable[str]) -> bool:
    """Return whether a name begins with a byte order mark."""
    return any(name.startswith(_MARKS) for name in names)


def plain_expressions(stream_maps: Mapping[str, Any]) -> dict[str, Any]:
    """Return stream maps in which neither columns nor expressions have byte order marks."""
    return {
        stream: plain_columns({name: _plain_rule(rule) for name, rule in rules.items()})
        if isinstance(rules, Mapping) and _mentions_marks(rules)
        else rules
        for stream, rules in stream_maps.items()
    }


def _mentions_marks(rules: Mapping[str, Any]) -> bool:
    texts = [*rules, *(rule for rule in rules.values() if isinstance(rule, str))]
    return any(mark in text for text in texts for mark in _MARKS_IN_EXPRESSIONS)


def _plain_rule(rule: Any) -> Any:  # noqa: ANN401 - whatever a stream map holds
    if rule == _DROPPED:
        # So that a rule that computes the column takes precedence over one that drops it under its other name.
        return None
    if isinstance(rule, list):
        return [plain_name(each) if isinstance(each, str) else each for each in rule]
    if isinstance(rule, str):
        for mark in _MARKS_IN_EXPRESSIONS:
            rule = rule.replace(mark, "")
    return rule
