"""Stream schemas: the JSON schema of a SCHEMA message, in a form in which its columns can be looked up. Pure.

JSON Schema allows more than the SDK takes: no `properties` at all, true or false in place of a schema, columns behind a
reference. Such a stream is not broken. What nobody here looks at stays as the tap sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from target_pinterest_audience.records.column_names import plain_columns, plain_names

Schema = dict[str, Any]

_DEEPEST: Final = 100
"""How deep a schema may be; the SDK copies schemas by recursion, and what lies deeper is no column."""

_KINDS_OF_SCALARS: Final = ("null", "boolean", "integer", "number", "string")
_KINDS_THAT_FLATTENING_TAKES: Final = frozenset({"string", "array", "object"})


def read_schema(schema: object, key_properties: Sequence[str], *, flattens: bool = False) -> Schema | None:
    """Return a schema whose `properties` are an object of objects; None if the tap sent no JSON schema.

    Args:
        schema: what the tap sent.
        key_properties: the key, whose columns every record has, declared or not.
        flattens: whether the SDK is to flatten it, which it does not manage for every column without a type.
    """
    whole = _as_object(schema)
    if whole is None or not _are_columns(whole.get("properties", {})):
        return None
    whole = _cut(whole, _DEEPEST)
    columns = {name: _column(each) for name, each in _columns(whole, whole, _DEEPEST)}
    columns = plain_columns(columns)
    if not flattens or not columns:
        # Flattening makes columns of its own, of which a key may be one.
        columns = {**columns, **{name: {} for name in key_properties if name not in columns}}
    if flattens:
        columns = {name: _flattenable(each) for name, each in columns.items()}
    required = whole.get("required")
    return {
        "type": "object",
        **whole,
        "properties": columns,
        **({"required": plain_names(map(str, required))} if isinstance(required, list) else {}),
    }


def written_names(schema: object) -> list[str]:
    """Return the columns of a schema by the names that the tap gives them."""
    whole = _as_object(schema)
    return [name for name, _ in _columns(whole, whole, _DEEPEST)] if whole is not None else []


def without_bare_types(schema: Schema) -> Schema:
    """Return a schema that is one again, after a stream map of the SDK has written types among schemas."""
    columns = {name: dict(each) for name, each in schema["properties"].items()}
    for column in columns.values():
        if isinstance(column.get("anyOf"), list):
            column["anyOf"] = [{"type": each} if isinstance(each, str) else each for each in column["anyOf"]]
    return {**schema, "properties": columns}


def _as_object(schema: object) -> Schema | None:
    """Return a schema as an object: true allows everything, and false nothing. None if it is no schema."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return schema if isinstance(schema, dict) else None


def _are_columns(properties: object) -> bool:
    return isinstance(properties, dict) and all(isinstance(each, (dict, bool)) for each in properties.values())


def _cut(value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value without what lies deeper."""
    if isinstance(value, dict):
        return {name: _cut(each, depth - 1) for name, each in value.items()} if depth else {}
    if isinstance(value, list):
        return [_cut(each, depth - 1) for each in value] if depth else []
    return value


def _columns(schema: Schema, whole: Schema, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the columns that a schema declares, itself or by the schemas that it refers to."""
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
            # A record need not fit each of them.
            yield from ((name, {}) for name, _ in _columns(each, whole, depth - 1))


def _listed(schema: Schema, keyword: str) -> list[Schema]:
    parts = schema.get(keyword)
    return [each for each in parts if isinstance(each, dict)] if isinstance(parts, list) else []


def _referred(reference: object, whole: Schema) -> Schema | None:
    """Return the schema that a reference leads to; None if that is not within the same document."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = whole
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else None


def _column(schema: object) -> Schema:
    """Return the schema of a column without what nobody could read in it."""
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
    """Return the schema of a column in a form that the SDK can flatten, which without a type it mostly cannot."""
    if "type" in column:
        if isinstance(column.get("properties"), dict):
            return {**column, "properties": {name: _flattenable(each) for name, each in column["properties"].items()}}
        return column
    first = next(iter(column.values()), None)
    if not isinstance(first, list) or not first or not first[0]:
        return column
    if isinstance(first[0], dict) and first[0].get("type") in list(_KINDS_THAT_FLATTENING_TAKES):
        return column
    kinds = {kind for part in _parts(column) for kind in _kinds(part)}
    return {**column, "type": sorted(kinds or _KINDS_OF_SCALARS)}


def _parts(schema: Schema) -> Iterator[Schema]:
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in _listed(schema, keyword):
            yield each
            yield from _parts(each)


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type")
    return [each for each in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(each, str)]
