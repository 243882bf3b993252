"""Paths: where a value lies inside the objects and arrays of a column. Pure.

`customer.email` is the field `email` of the column `customer`; `emails[].value` is the field `value` of each element of
the column `emails`. A path is known by its text, as if it were the name of a column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec import UNSET, Struct

ELEMENTS: Final = "[]"
"""Stands behind a name whose value is an array. A value that is an array is taken apart with or without it."""

Schema = Mapping[str, Any]


class Misplaced:
    """Stands for a value that is no object, or no single one, although a path leads through it."""

    __slots__ = ()


MISPLACED: Final = Misplaced()


class Field(NamedTuple):
    """A field of an object.

    Attributes:
        name: its name.
        attribute: the attribute that holds it if the object was decoded into a struct.
    """

    name: str
    attribute: str = ""


class Path(NamedTuple):
    """A column, and the fields that lead from its value to the values that are meant.

    Attributes:
        column: the column.
        fields: the fields, from the outside in; none if the column's own value is meant.
        is_single: whether the path means one value, which is about the whole row, so that it does not go on into the
            elements of an array.
    """

    column: str
    fields: tuple[Field, ...] = ()
    is_single: bool = False


def find_paths(
    names: Collection[str | None], properties: Mapping[str, Any], *, is_open: bool = False, are_single: bool = False
) -> dict[str, Path]:
    """Return those names that are no columns but paths into columns, with the paths.

    Args:
        names: names in settings; None is ignored.
        properties: column → its JSON schema.
        is_open: whether there can be other columns, too.
        are_single: whether each path means one value, which is about the whole row.
    """
    found = {
        name: resolve(name, properties, is_open=is_open)
        for name in names
        if name is not None and name not in properties
    }
    return {name: path._replace(is_single=are_single) for name, path in found.items() if path is not None}


def resolve(name: str, properties: Mapping[str, Any], *, is_open: bool = False) -> Path | None:
    """Return what a name in the settings means for a stream; None if the stream cannot have it.

    A column whose own name contains dots comes before a path with the same text, also inside objects.

    Args:
        name: the name of a column, or a path.
        properties: column → its JSON schema.
        is_open: whether there can be other columns, too.
    """
    steps = _steps(name.split("."), properties, is_open=is_open)
    return Path(steps[0], tuple(map(Field, steps[1:]))) if steps else None


def _steps(parts: Sequence[str], properties: Mapping[str, Any], *, is_open: bool) -> list[str] | None:
    for size in range(len(parts), 0, -1):
        written = ".".join(parts[:size])
        for name in dict.fromkeys([written, written.removesuffix(ELEMENTS)]):
            if name not in properties:
                continue
            if size == len(parts):
                return [name]
            inner = fields_of(properties[name])
            rest = _steps(parts[size:], inner.properties, is_open=inner.is_open) if inner is not None else None
            if rest is not None:
                return [name, *rest]
    return [part.removesuffix(ELEMENTS) for part in parts] if is_open and all(parts) else None


class Fields(NamedTuple):
    """The fields of an object, or of the objects in an array.

    Attributes:
        properties: field → its JSON schema.
        is_open: whether the object can have other fields, too.
        in_array: whether the objects are only within arrays.
    """

    properties: Mapping[str, Any]
    is_open: bool
    in_array: bool


def fields_of(schema: object) -> Fields | None:
    """Return the fields that a JSON schema allows; None if it allows neither an object nor an array of objects.

    JSON schema lets every object have more fields than it declares. Here, one that declares some has others only if
    `additionalProperties` says so: a misspelt path must be found.
    """
    properties: dict[str, Any] = {}
    is_open = possible = False
    in_array = True
    for each, within_array in _objects(schema, within_array=False):
        declared = each.get("properties")
        possible, in_array = True, in_array and within_array
        if isinstance(declared, Mapping):
            properties = {**declared, **properties}
        is_open = is_open or not declared or bool(each.get("additionalProperties") or each.get("patternProperties"))
    return Fields(properties, is_open, in_array) if possible else None


def _objects(schema: object, *, within_array: bool) -> Iterator[tuple[Schema, bool]]:
    """Yield the parts of a schema that allow an object, each with whether the object lies within an array."""
    if schema is True:
        schema = {}
    if not isinstance(schema, Mapping):
        return
    options = [each for key in ("anyOf", "oneOf", "allOf") for each in listed(schema, key)]
    for option in options:
        yield from _objects(option, within_array=within_array)
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds is None and options and not schema.get("properties"):
        return
    if kinds is None or "object" in kinds:
        yield schema, within_array
    if isinstance(schema.get("items"), (Mapping, bool)):
        yield from _objects(schema["items"], within_array=True)
    elif kinds is not None and "array" in kinds:
        yield {}, True


def listed(schema: Schema, keyword: str) -> list[Schema]:
    """Return the schemas in the list that a keyword such as `anyOf` holds; none if there is no such list."""
    parts = schema.get(keyword)
    return [each for each in parts if isinstance(each, Mapping)] if isinstance(parts, list) else []


def types_of(schema: Schema) -> list[str]:
    """Return the types that a JSON schema names itself, not in parts such as `anyOf`; none if it names none."""
    kinds = schema.get("type")
    return [each for each in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(each, str)]


def with_paths(record: Mapping[str, Any], paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return a record with the values at some paths as columns. A path whose column is not in the record is left out.

    Args:
        record: the record.
        paths: the text of each path, and the path.
    """
    found = dict(record)
    for name, path in paths.items():
        if path.column in record:
            found[name] = value_in(record[path.column], path.fields, is_single=path.is_single)
    return found


def value_in(value: Any, fields: Sequence[Field], *, is_single: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at the end of a path.

    What an object lacks is null, and so is every field of an object that is null or empty.

    Args:
        value: the value of the column, with structs or dictionaries for its objects.
        fields: the fields of the path.
        is_single: whether the path means one value.

    Returns:
        The value; the list of all values if there is an array on the path; `MISPLACED` in place of values inside
        something that is no object, and for a single value inside an array.
    """
    for index, (name, attribute) in enumerate(fields):
        if type(value) is dict:
            value = value.get(name)
        elif isinstance(value, Struct):
            value = getattr(value, attribute, None)
        elif type(value) is list:
            found = MISPLACED if is_single else _values_in(value, fields[index:])
            return found if value else None
        elif value is None or (isinstance(value, str) and not value.strip()):
            # Some systems write an empty text or an empty list for an object that is missing.
            return None
        else:
            return MISPLACED
    return value


def _values_in(elements: list[Any], fields: Sequence[Field]) -> list[Any]:
    found: list[Any] = []
    for element in elements:
        value = value_in(element, fields) if type(element) is not list else MISPLACED
        if type(value) is list:
            found += value
        else:
            found.append(value)
    return found


def values_in(values: Sequence[Any], fields: Sequence[Field], *, is_single: bool = False) -> Sequence[Any]:
    """Return the value at the end of a path, as `value_in` does, for each value of a column; `UNSET` stays.

    Structs, as they usually are, are read several times faster than `value_in` reads them.
    """
    for index, field in enumerate(fields):
        kinds = set(map(type, values))
        structs = {kind for kind in kinds if issubclass(kind, Struct)}
        others = kinds - structs
        are_arrays = list in kinds and kinds <= {list, *_NOTHING} and not is_single
        in_arrays = _in_arrays(values, fields[index:]) if are_arrays else None
        if in_arrays is not None:
            return in_arrays
        if len(structs) != 1 or not others <= _NOTHING or not hasattr(structs.pop(), field.attribute):
            rest = fields[index:]
            return [value if value is UNSET else value_in(value, rest, is_single=is_single) for value in values]
        get = attrgetter(field.attribute)
        values = [get(value) if value else value for value in values] if others else list(map(get, values))
    return values


def _in_arrays(values: Sequence[Any], fields: Sequence[Field]) -> list[Any] | None:
    """Return what `values_in` does for arrays of objects; None if something else is in them."""
    elements = list(chain.from_iterable(value for value in values if value))
    if list in set(map(type, elements)):
        return None
    found = values_in(elements, fields)
    return regrouped(found, values) if list not in set(map(type, found)) else None


def regrouped(elements: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    """Return arrays with other elements, and None for empty ones.

    Args:
        elements: the elements of all arrays, in order.
        arrays: what has the lengths of the arrays; null and missing ones stay as they are.
    """
    if len(elements) == len(arrays) and all(arrays) and set(map(len, arrays)) == {1}:
        return [[element] for element in elements]
    rest = iter(elements)
    return [list(islice(rest, len(each))) if each else None if each is not UNSET else UNSET for each in arrays]


_NOTHING: Final = frozenset({type(None), type(UNSET)})


def several(value: object) -> list[Any]:
    """Return the elements of an array, or the value itself as the only one."""
    return value if type(value) is list else [value]
