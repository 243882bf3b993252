"""Converts the JSON schema of a SCHEMA message into a form that the SDK accepts. Pure.

JSON Schema allows more than the SDK: no `properties`, true or false in place of a schema, and columns behind a
reference. Such a schema is valid. Parts that neither the SDK nor the target reads stay as the tap sent them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from target_pinterest_audience.records.column_names import plain_columns, plain_names
from target_pinterest_audience.records.paths import types_of

Schema = dict[str, Any]

_DEEPEST: Final = 100
"""The largest depth of a schema. The SDK copies schemas recursively, and no column lies deeper."""

_KINDS_OF_SCALARS: Final = ("null", "boolean", "integer", "number", "string")
_KINDS_THAT_FLATTENING_TAKES: Final = frozenset({"string", "array", "object"})


def read_schema(schema: object, key_properties: Sequence[str], *, flattens: bool = False) -> Schema | None:
    """Return a schema whose `properties` map each column to an object; None if the tap did not send a JSON schema.

    Args:
        schema: the schema as the tap sent it.
        key_properties: the columns of the key, which every record has even if the schema does not declare them.
        flattens: whether the SDK will flatten the schema, which it cannot do for some columns without a type.
    """
    whole = _as_object(schema)
    if whole is None or not _are_columns(whole.get("properties", {})):
        return None
    whole = _cut(whole, _DEEPEST)
    columns = {name: _column(each) for name, each in _columns(whole, whole, _DEEPEST)}
    columns = plain_columns(columns)
    declared = bool(columns)
    if not flattens or not columns:
        # With flattening, a key may be a column that flattening makes.
        columns = {**columns, **{name: {} for name in key_properties if name not in columns}}
    if flattens:
        columns = {name: _flattenable(each) for name, each in columns.items()}
    required = whole.get("required")
    return {
        "type": "object",
        **({} if declared else {"additionalProperties": True}),
        **whole,
        "properties": columns,
        **({"required": plain_names(map(str, required))} if isinstance(required, list) else {}),
    }


def written_names(schema: object) -> list[str]:
    """Return the columns of a schema by the names in the tap's message."""
    whole = _as_object(schema)
    return [name for name, _ in _columns(whole, whole, _DEEPEST)] if whole is not None else []


def without_bare_types(schema: Schema) -> Schema:
    """Return a valid schema, after a stream map of the SDK wrote bare types among the schemas of `anyOf`."""
    columns = {name: dict(each) for name, each in schema["properties"].items()}
    for column in columns.values():
        if isinstance(column.get("anyOf"), list):
            column["anyOf"] = [{"type": each} if isinstance(each, str) else each for each in column["anyOf"]]
    return {**schema, "properties": columns}


def _as_object(schema: object) -> Schema | None:
    """Return a schema as an object; None if it is not a schema. The schema true allows every value, and false none."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return schema if isinstance(schema, dict) else None


def _are_columns(properties: object) -> bool:
    return isinstance(properties, dict) and all(isinstance(each, (dict, bool)) for each in properties.values())


def _cut(value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value without the parts below a depth."""
    if isinstance(value, dict):
        return {name: _cut(each, depth - 1) for name, each in value.items()} if depth else {}
    if isinstance(value, list):
        return [_cut(each, depth - 1) for each in value] if depth else []
    return value


def _columns(schema: Schema, whole: Schema, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the columns that a schema declares, directly or through the schemas that it refers to."""
    properties = schema.get("properties")
    if _are_columns(properties):
        yield from properties.items()  # type: ignore[union-attr]
    if not depth:
        return
    for each in _listed(schema, "allOf"):
        yield from _columns(each, whole, depth - 1)
    target = _referred(schema.get("$ref"), whole)
    if target is not None:
        yield from _columns(target, whole, depth - 1)
    for keyword in ("anyOf", "oneOf"):
        for each in _listed(schema, keyword):
            # A record need not match each of these schemas, so their types may not apply.
            yield from ((name, {}) for name, _ in _columns(each, whole, depth - 1))


def _listed(schema: Schema, keyword: str) -> list[Schema]:
    parts = schema.get(keyword)
    return [each for each in parts if isinstance(each, dict)] if isinstance(parts, list) else []


def _referred(reference: object, whole: Schema) -> Schema | None:
    """Return the schema to which a reference points; None if it is not in the same document."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = whole
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else None


def _column(schema: object) -> Schema:
    """Return the schema of a column without malformed keywords."""
    column = dict(_as_object(schema) or {})
    if not isinstance(column.get("type", ""), (str, list)):
        del column["type"]
    if not isinstance(column.get("format", ""), str):
        del column["format"]
    inner = column.get("properties")
    if isinstance(inner, dict):
        column["properties"] = {name: _column(each) for name, each in inner.items()}
    elif "properties" in column:
        del column["properties"]
    return column


def _flattenable(column: Schema) -> Schema:
    """Return the schema of a column with a type, without which the SDK mostly cannot flatten it."""
    if "type" in column:
        if isinstance(column.get("properties"), dict):
            return {**column, "properties": {name: _flattenable(each) for name, each in column["properties"].items()}}
        return column
    first = next(iter(column.values()), None)
    if not isinstance(first, list) or not first or not first[0]:
        return column
    if isinstance(first[0], dict) and first[0].get("type") in list(_KINDS_THAT_FLATTENING_TAKES):
        return column
    kinds = {kind for part in _parts(column) for kind in types_of(part)}
    return {**column, "type": sorted(kinds or _KINDS_OF_SCALARS)}


def _parts(schema: Schema) -> Iterator[Schema]:
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in _listed(schema, keyword):
            yield each
            yield from _parts(each)
