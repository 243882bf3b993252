"""Watches the paths of which the SCHEMA says nothing: whether any record has a field at their end. Pure.

Nothing else finds a misspelt one: what an object lacks counts as null.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from target_pinterest_audience.records.paths import Path, fields_of, several

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock

_MOST_EXAMINED: Final = 100
"""How many records of a stream are decoded as a whole, to see what they have in place of a missing field."""
_MOST_NAMES: Final = 200
_LIKENESS: Final = 0.75
"""How much of a misspelt name must be right, from 0 to 1."""
_is_name: Final = re.compile(r"[^\W\d][\w -]{0,63}").fullmatch
"""Some objects have data for names, such as addresses. Those must not be told."""


@dataclass(slots=True)
class WatchedPath:
    """A path of which the SCHEMA says nothing.

    Attributes:
        text: the path as the settings name it.
        setting: the setting.
        names: the column and the fields.
        has_column: whether the SCHEMA declares the column, so that a record without it says nothing.
        is_seen: whether a record had the field at its end.
        rows: how many records without it were examined.
    """

    text: str
    setting: str
    names: tuple[str, ...]
    has_column: bool
    is_seen: bool = False
    rows: int = 0
    _depth: int = 0
    """How many names of the path were found together at most."""
    _others: set[str] = field(default_factory=set)
    """The names that objects have in place of the next."""

    @property
    def missing(self) -> str:
        """The first name of the path that no record has."""
        return self.names[self._depth]

    def nearest(self, others: Iterable[WatchedPath]) -> str | None:
        """Return the name that is most like the missing one; None if none is like it, or other paths have it."""
        used = {each.names[self._depth] for each in others if len(each.names) > self._depth}
        near = difflib.get_close_matches(self.missing, sorted(self._others - used), 1, _LIKENESS)
        return near[0] if near else None

    def examine(self, record: Mapping[str, Any]) -> None:
        """Look for the path in a whole record."""
        found: list[Any] = [record]
        for depth, name in enumerate(self.names):
            objects = [each for value in found for each in several(value) if isinstance(each, Mapping)]
            if not objects:
                # It is null, or no object: whether the path is right stays open.
                return
            found = [each[name] for each in objects if name in each]
            if not found and depth == 0 and self.has_column:
                return
            if not found:
                self._note_missing(depth, objects)
                return
        self.is_seen = True

    def _note_missing(self, depth: int, objects: Iterable[Mapping[str, Any]]) -> None:
        self.rows += 1
        if depth > self._depth:
            self._depth, self._others = depth, set()
        if depth == self._depth and len(self._others) < _MOST_NAMES:
            self._others.update(name for each in objects for name in each if _is_name(name))


def is_described(path: Path, properties: Mapping[str, Any]) -> bool:
    """Return whether the SCHEMA declares each name of a path.

    Args:
        path: the path.
        properties: column → its JSON schema.
    """
    names = [path.column, *(name for name, _ in path.fields)]
    for name in names:
        if name not in properties:
            return False
        inner = fields_of(properties[name])
        properties = inner.properties if inner is not None else {}
    return True


class PathWatch:
    """Looks for paths in the records of a stream, until each was seen.

    It costs nothing once a path was seen, which the first record mostly shows.
    """

    def __init__(self, paths: Iterable[WatchedPath]) -> None:
        """Begin with some paths."""
        self._unseen = list(paths)
        self._examined = 0

    def note_record(self, record: Mapping[str, Any]) -> None:
        """Look into a record, which has the values at the paths as columns."""
        if self._unseen:
            self._note([record], {each.text: [record.get(each.text)] for each in self._unseen})

    def note_block(self, block: RecordBlock) -> None:
        """Look into the records of a block."""
        if self._unseen:
            whole = (block.whole_record(index) for index in range(len(block)))
            self._note(whole, {each.text: block.column(each.text) for each in self._unseen})

    def _note(self, records: Iterable[Mapping[str, Any] | None], values: Mapping[str, Sequence[Any]]) -> None:
        for each in self._unseen:
            each.is_seen = each.is_seen or _has_any(values[each.text])
        self._unseen = [each for each in self._unseen if not each.is_seen]
        left = iter(records)
        while self._unseen and self._examined < _MOST_EXAMINED and (record := next(left, UNSET)) is not UNSET:
            self._examined += 1
            for each in self._unseen:
                if record is None:
                    each.rows += 1
                else:
                    each.examine(record)
            self._unseen = [each for each in self._unseen if not each.is_seen]


def _has_any(values: Sequence[Any]) -> bool:
    # Columns count their nulls several times faster than the loop does.
    if values.count(None) == len(values):
        return False
    return any(element is not None for value in _given(values) for element in several(value))


def _given(values: Sequence[Any]) -> Iterator[Any]:
    return (value for value in values if value is not None and value is not UNSET)
