"""Nested columns: the objects inside records that flattening takes apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Path = tuple[str, ...]
"""The names that lead to a value inside a record."""

Tree = Mapping[str, "Tree | None"]
"""The columns of an object: each object that is taken apart with its own columns, every other column with None."""


def object_tree(schema: Mapping[str, Any], depth: int) -> Tree:
    """Return the columns that the SDK would flatten, down to a number of levels."""
    found: dict[str, Tree | None] = {}
    if depth:
        for name, each in schema.get("properties", {}).items():
            if "object" in (each.get("type") or ()) and "properties" in each:
                inner: dict[str, Tree | None] = dict.fromkeys(each["properties"])
                found[name] = {**inner, **object_tree(each, depth - 1)}
    return found


def path_record(schema: Mapping[str, Any], depth: int, above: Path = ()) -> dict[str, Any]:
    """Return a record of a schema in which each value is its own path, down to the depth of flattening."""
    objects = object_tree(schema, depth)
    return {
        name: path_record(each, depth - 1, (*above, name)) if name in objects else (*above, name)
        for name, each in schema["properties"].items()
    }


def completed(record: Mapping[str, Any], declared: Tree, filling: str | None = None) -> Mapping[str, Any]:
    """Return a record with a value for each column that it lacks, also inside objects; the same record if complete."""
    changed: dict[str, Any] = {
        name: filling if inner is None else completed({}, inner, filling)
        for name, inner in declared.items()
        if name not in record
    }
    for name, inner in declared.items():
        value = record.get(name) if inner is not None else None
        if inner is not None and isinstance(value, dict):
            whole = completed(value, inner, filling)
            if whole is not value:
                changed[name] = whole
    return {**record, **changed} if changed else record


def filled(record: dict[str, Any], objects: Tree) -> dict[str, Any]:
    """Return a record whose objects have all their columns: what an object lacks is null, as a whole object can be."""
    changed: dict[str, Any] = {}
    for name, inner in objects.items():
        if inner is None or name not in record:
            continue
        value = record[name]
        if _is_empty(value):
            changed[name] = _nulls(inner)
        elif isinstance(value, dict):
            changed[name] = {**_nulls(inner), **filled(value, inner)}
    return {**record, **changed} if changed else record


def _is_empty(value: object) -> bool:
    """Return whether a value stands for a missing object. Some systems write an empty list or text for one."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, (dict, list)) and not value)


def _nulls(objects: Tree) -> dict[str, Any]:
    return {name: None if inner is None else _nulls(inner) for name, inner in objects.items()}


def value_at(record: Mapping[str, Any], path: Sequence[str]) -> object:
    """Return the value at a path; None if the record does not have it."""
    value: object = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
