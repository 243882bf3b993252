"""Nested names: the columns of a stream and the paths into them, for suggestions. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from target_pinterest_audience.records.paths import ELEMENTS, fields_of, listed, types_of

_MOST_NAMES: Final = 5000
_DEEPEST: Final = 5
"""How many names a suggested path has at most."""


class Name(NamedTuple):
    """A column, or a path into one.

    Attributes:
        text: as the settings name it.
        leaf: the last name of the path.
        above: the name before it; empty for a column.
        schema: the JSON schema of the value.
        depth: the number of names before the last.
    """

    text: str
    leaf: str
    above: str
    schema: Mapping[str, Any]
    depth: int


def nested_names(properties: Mapping[str, Any]) -> Iterator[Name]:
    """Yield the columns of a stream, then the paths into them, the shorter ones first.

    Args:
        properties: column → its JSON schema.
    """
    waiting: deque[tuple[str, str, str, Any, int]] = deque(
        (name, name, "", schema, 0) for name, schema in properties.items()
    )
    for _ in range(_MOST_NAMES):
        if not waiting:
            return
        text, leaf, above, schema, depth = waiting.popleft()
        if not isinstance(schema, Mapping):
            # The schema true allows every value.
            schema = {}
        elements = _elements(schema)
        if elements is not None:
            # An array gives its elements.
            text, schema = f"{text}{ELEMENTS}", elements
        yield Name(text, leaf, above, schema, depth)
        inner = fields_of(schema) if depth < _DEEPEST - 1 else None
        if inner is not None:
            waiting.extend((f"{text}.{name}", name, leaf, each, depth + 1) for name, each in inner.properties.items())


def _elements(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of the elements if values are arrays; None if they are not."""
    options = [each for key in ("anyOf", "oneOf") for each in listed(schema, key)]
    for each in (schema, *options):
        kinds = each.get("type")
        is_array = kinds == "array" or (isinstance(kinds, list) and "array" in kinds and "string" not in kinds)
        if is_array or (kinds is None and "items" in each):
            items = each.get("items")
            return items if isinstance(items, dict) else {}
    return None


def told_type(schema: Mapping[str, Any]) -> str:
    """Return the types that a JSON schema allows besides null, for messages."""
    parts = [schema, *(each for key in ("anyOf", "oneOf") for each in listed(schema, key))]
    kinds = [kind for each in parts for kind in types_of(each) if kind != "null"]
    form = next((each["format"] for each in parts if isinstance(each.get("format"), str)), None)
    names = ["text" if kind == "string" else kind for kind in dict.fromkeys(kinds)]
    return f"{' or '.join(names) or 'any type'}{f' ({form})' if form else ''}"


def undescribed_objects(properties: Mapping[str, Any]) -> list[Name]:
    """Return the columns and paths that may hold objects of whose fields the SCHEMA says nothing.

    Those that hold only objects come first. A column without a type is none of them: it may hold anything.
    """
    found = [each for each in nested_names(properties) if _is_undescribed(each.schema)]
    return sorted(found, key=lambda each: not {*types_of(each.schema)} <= {"object", "null"})


def _is_undescribed(schema: Mapping[str, Any]) -> bool:
    inner = fields_of(schema)
    if inner is None or inner.properties or not inner.is_open:
        return False
    parts = [schema, *(each for key in ("anyOf", "oneOf") for each in listed(schema, key))]
    return any("object" in types_of(each) or not {"$ref", "additionalProperties"}.isdisjoint(each) for each in parts)
