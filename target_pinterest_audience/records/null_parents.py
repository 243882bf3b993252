"""Null parents: what a record without some columns says about them by an object that is null. Pure.

Some taps flatten objects themselves: `address: {phone: …}` becomes the column `address_phone`. If the object is null,
such a tap writes `address: null` and leaves `address_phone` out. The column is then null. It is not missing: otherwise,
what the row said before would stay, and so would its people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from target_pinterest_audience.records.paths import listed, types_of

_SEPARATORS: Final = ("_", ".")
"""What stands behind the parent's name in the name of a column. Two underscores begin with one."""

_holds_nothing: Final = re.compile(rb":\s*(?:null|\{\s*\})").search
_NULL_KINDS: Final = frozenset({"null"})
_OBJECT_KINDS: Final = frozenset({"null", "object"})

Search = Callable[[bytes], bool]


@dataclass(frozen=True)
class NullParents:
    """Which columns are null in a record that lacks them, because another column is null.

    Attributes:
        children: possible parent → the columns that its object would be flattened to.
    """

    children: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def may_apply(self, line: bytes) -> bool:
        """Return whether a line of JSON may hold a parent that is null; decoding each line would take longer."""
        return bool(self.children) and _holds_nothing(line) is not None

    def only(self, columns: Collection[str]) -> NullParents:
        """Return the same for some of the columns."""
        kept = {name: tuple(each for each in all_ if each in columns) for name, all_ in self.children.items()}
        return NullParents({name: some for name, some in kept.items() if some})

    def absent(self, record: Mapping[str, Any]) -> list[str]:
        """Return the columns that a record lacks, and that are null."""
        return [each for each in self.null(record) if each not in record]

    def null(self, record: Mapping[str, Any]) -> list[str]:
        """Return the columns whose parents are null in a record, whether the record has them or not."""
        children = self.children
        names = children if len(children) < len(record) else record
        return [
            each
            for name in names
            if name in record and name in children and is_nothing(record[name])
            for each in children[name]
        ]

    def completed(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record with the columns that are null because a parent is; the same record if there are none."""
        absent = self.absent(record)
        return {**record, **dict.fromkeys(absent)} if absent else record


def is_nothing(value: object) -> bool:
    """Return whether a value is null or an empty object."""
    return value is None or value == {}


def find_null_parents(
    columns: Iterable[str], properties: Mapping[str, Any], scalars: Collection[str] = ()
) -> NullParents:
    """Return the null parents of columns.

    A column that the SCHEMA declares as anything but an object is no parent: `email: null` says nothing about
    `email_address`.

    Args:
        columns: the columns that may lack.
        properties: column → its JSON schema.
        scalars: columns that hold values of their own, whatever the schema says.
    """
    found: dict[str, list[str]] = {}
    known: dict[str, bool] = {}
    for column in columns:
        for name in _prefixes(column):
            if name not in known:
                known[name] = name not in scalars and (
                    name not in properties or _kinds(properties[name]) <= _OBJECT_KINDS
                )
            if known[name]:
                found.setdefault(name, []).append(column)
    return NullParents({name: tuple(children) for name, children in found.items()})


def expected_columns(columns: Iterable[str | None], properties: Mapping[str, Any]) -> list[str]:
    """Return those columns that a SCHEMA does not declare only because the object that holds them is always null.

    A tap that finds the columns by reading some records then declares the object as null, and no column beginning with
    its name. If it declares another such column, the one that is not declared is misspelt, or was removed.

    Args:
        columns: names in settings; None is ignored.
        properties: column → its JSON schema.
    """
    return [
        column
        for column in dict.fromkeys(columns)
        if column is not None
        and column not in properties
        and any(
            name in properties
            and _kinds(properties[name]) == _NULL_KINDS
            and not any(other.startswith(tuple(name + each for each in _SEPARATORS)) for other in properties)
            for name in _prefixes(column)
        )
    ]


def _prefixes(column: str) -> list[str]:
    """Return the names that an object would have if the column were a part of it."""
    return [column[:at] for at in range(1, len(column) - 1) if column[at] in _SEPARATORS]


def _kinds(schema: object) -> set[str]:
    """Return the types that a JSON schema allows; `any` stands for all of them."""
    if not isinstance(schema, Mapping):
        return {"any"}
    options = [each for key in ("anyOf", "oneOf") for each in listed(schema, key)]
    if schema.get("type") is None and options:
        return set().union(*map(_kinds, options))
    return set(types_of(schema)) or {"any"}


NO_PARENTS: Final = NullParents()
"""For streams without columns that could come from an object."""
