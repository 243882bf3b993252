"""Applies stream maps and flattening to rows, so that a deleted row passes and an empty parent reaches its children.

The SDK's own maps do the work. What is different: a row that is marked as deleted passes filters, and what cannot be
computed from it is left out, since the delete of a row often holds only its key. Where an object is null or empty, the
columns that flattening would make of it are null, not missing. And expressions can read every column that the SCHEMA
declares: one that a record lacks is null to them. That does not make it null for anybody else, since a person whose
address is not in a record keeps the address that is known.
"""

from __future__ import annotations

import ast
import copy
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
    StreamMap,
)

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.marks import is_set, mark_columns
from target_pinterest_audience.records.position import Place

_OPTIONS: Final = frozenset(
    {
        MAPPER_ALIAS_OPTION,
        MAPPER_ELSE_OPTION,
        MAPPER_FILTER_OPTION,
        MAPPER_KEY_PROPERTIES_OPTION,
        MAPPER_SOURCE_OPTION,
    }
)
"""What a stream map may hold besides columns."""

_DROPPED: Final = (None, NULL_STRING)

_DEEPEST: Final = 100
"""How many levels of objects expressions can read of."""

_ANYTHING: Final = "\0anything"
"""Takes the place of a value that is not known, to see whether something depends on it."""

Path = tuple[str, ...]
"""The names that lead to a value inside a record."""

Tree = Mapping[str, "Tree | None"]
"""The columns of an object that flattening takes apart, each with its own; None for one that stays whole."""


def definitions(stream_maps: Mapping[str, Any], stream: str) -> list[Any]:
    """Return what the setting `stream_maps` says of a stream, in the order of the SDK's maps for it.

    The first is for the stream itself; None if nothing is said of that. The others are for streams that are made of it.
    """
    own, others = None, []
    for name, definition in stream_maps.items():
        made_of = definition.get(MAPPER_SOURCE_OPTION) if isinstance(definition, dict) else None
        if made_of is not None and fnmatch.fnmatch(stream, made_of):
            others.append(definition)
        elif made_of is None and fnmatch.fnmatch(stream, name):
            own = definition
    return [own, *others]


class RowMap:
    """Applies one stream map to the rows of one stream.

    Attributes:
        stream_map: the SDK's map.
        raw_columns: the columns of the rows as the tap sends them, flattened if that is asked for.
    """

    def __init__(
        self, mapper: PluginMapper, stream: str, stream_map: StreamMap, definition: object, schema: Mapping[str, Any]
    ) -> None:
        """Prepare for a SCHEMA.

        Args:
            mapper: the SDK's mapper, which knows the stream.
            stream: the stream's name as the tap gives it.
            stream_map: the map to apply.
            definition: what the settings say of it; see `definitions`.
            schema: the stream's JSON schema as the tap gives it.
        """
        self.stream_map = stream_map
        self._mapper = mapper
        self._stream = stream
        self._schema = dict(schema)
        rules = dict(definition) if isinstance(definition, dict) else {}
        self._keeps_others = MAPPER_ELSE_OPTION not in rules
        self._changes: dict[str, str | None] = {name: each for name, each in rules.items() if name not in _OPTIONS}
        self._computes: dict[str, CustomStreamMap] = {}
        objects = _objects(schema, _DEEPEST)
        self._shallow: Tree = dict.fromkeys(schema["properties"])
        """What expressions can read."""
        self._deep: Tree = {**self._shallow, **objects} if objects else {}
        """The same with the columns of objects; empty if there are none."""
        self._reads = {
            name: _columns_in(str(each), name, self._shallow)
            for name, each in self._changes.items()
            if each not in _DROPPED
        }
        self._renames = {name for name in self._reads if _is_reference(str(self._changes[name]))}
        """The columns that are only other names of columns."""
        self._whole = stream_map
        options = stream_map.flattening_options
        depth = options.max_level if options is not None and stream_map.flattening_enabled else 0
        if depth and isinstance(stream_map, CustomStreamMap):
            self._whole = self._map(rules)
        mapped = self._whole.transformed_schema if isinstance(stream_map, CustomStreamMap) else schema
        self._objects = _objects(mapped, depth)
        self.raw_columns: dict[str, Path] = stream_map.flatten_record(_paths(schema, depth))
        self._marks: list[Path] = []
        self._computed_marks: list[str] = []

    @property
    def passed_columns(self) -> list[str]:
        """The columns of rows as the tap sends them that no expression of the map reads."""
        computed = " ".join(each for each in self._changes.values() if each is not None)
        return [name for name, path in self.raw_columns.items() if path[-1] not in computed]

    def fits(self, stream_map: StreamMap, schema: Mapping[str, Any]) -> bool:
        """Return whether it can stay as it is when a SCHEMA comes again."""
        before = self.stream_map.raw_key_properties
        return self._schema == schema and before == stream_map.raw_key_properties

    def watch(self, removal_column: str | None) -> None:
        """Let rows pass that are marked as deleted.

        Args:
            removal_column: the column that the settings name; None if they name none.
        """
        computed = [name for name, each in self._changes.items() if each not in _DROPPED]
        names = mark_columns(self.raw_columns, removal_column)
        # A map that computes a mark says what it means.
        self._marks = [self.raw_columns.get(name, (name,)) for name in names if name not in computed]
        mapped = mark_columns(self.stream_map.transformed_schema["properties"], removal_column)
        self._computed_marks = [name for name in mapped if name in computed]

    def apply(
        self, raw: Mapping[str, Any], place: Place, known_by: Collection[str], identities: Collection[str] = ()
    ) -> tuple[dict[str, Any], bool] | None:
        """Return a row as the stream map makes it, and whether the tap has marked it; None if the map leaves it out.

        Args:
            raw: the row as the tap sends it.
            place: where it stands.
            known_by: the columns without which nobody knows which row it is.
            identities: the columns that hold identities.

        Raises:
            ConfigurationError: an expression fails for the row; or it is deleted, and a column that tells which row it
                is cannot be computed.
        """
        if isinstance(self.stream_map, RemoveRecordTransform):
            return None
        if any(is_set(_value_at(raw, path)) for path in self._marks):
            return self._deleted(raw, place, known_by), True
        try:
            record = self._transform(raw, identities)
        except Exception as error:  # noqa: BLE001 - an expression can raise anything, and its message holds values
            if self._computes_a_mark(raw):
                return self._deleted(raw, place, known_by), True
            msg = (
                f"`stream_maps` fails for the record of stream {self.stream_map.stream_alias} on {place} "
                f"({type(error).__name__}). Make the expression work for every row, nulls included."
            )
            raise ConfigurationError(msg) from None
        if record is not None:
            return self._flat(record), False
        return (self._deleted(raw, place, known_by), True) if self._computes_a_mark(raw) else None

    def _transform(self, raw: Mapping[str, Any], identities: Collection[str]) -> dict[str, Any] | None:
        """Return what the map makes of a row; None if it leaves it out. Raises whatever an expression does."""
        if not isinstance(self._whole, CustomStreamMap):
            return dict(raw)
        try:
            return self._transform_completed(raw, self._shallow, identities)
        except Exception:
            if not self._deep:
                raise
            # An expression sees objects as the tap sent them, unless it needs what they lack.
            return self._transform_completed(raw, self._deep, identities)

    def _transform_completed(
        self, raw: Mapping[str, Any], declared: Tree, identities: Collection[str]
    ) -> dict[str, Any] | None:
        completed = _completed(raw, declared)
        record = self._whole.transform(dict(completed))
        if record is None or completed is raw:
            return record
        return self._known(record, raw, completed, declared, identities)

    def _known(
        self,
        record: Mapping[str, Any],
        raw: Mapping[str, Any],
        completed: Mapping[str, Any],
        declared: Tree,
        identities: Collection[str],
    ) -> dict[str, Any]:
        """Return a row without what was only made of columns that are not in the record.

        Args:
            record: what the SDK's map made of the completed row.
            raw: the row as the tap sends it.
            completed: the same with null for each column that it lacks.
            declared: the columns that it was completed by.
            identities: the columns that hold identities. They are left out, too, if nothing came of a column that is
                not there: that the stream does not say something removes nobody.
        """
        absent = completed.keys() - raw.keys()
        as_sent = {id(completed[name]): raw[name] for name in raw if completed[name] is not raw[name]}
        incomplete = absent.union(name for name in raw if completed[name] is not raw[name])
        keys = self.stream_map.transformed_key_properties or ()
        found = {}
        for name, value in record.items():
            reads = self._reads.get(name)
            if reads is None:
                if name in raw:
                    found[name] = raw[name]
            elif reads.isdisjoint(incomplete):
                found[name] = value
            elif name in keys:
                found[name] = None if self._depends(name, value, raw, declared) else value
            elif id(value) in as_sent:
                found[name] = as_sent[id(value)]
            elif (name not in self._renames and name not in identities) or self._is_known(
                name, value, raw, declared, absent
            ):
                found[name] = value
        return found

    def _is_known(
        self, name: str, value: object, raw: Mapping[str, Any], declared: Tree, absent: Collection[str]
    ) -> bool:
        """Return whether a computed value comes from a row, and not from what the row lacks."""
        depends, reads = self._depends(name, value, raw, declared), self._reads[name]
        if name in self._renames:
            return not depends
        if depends and reads.issubset(absent):
            return False
        return not _is_nothing(value) or (not depends and reads.isdisjoint(absent))

    def _depends(self, name: str, value: object, raw: Mapping[str, Any], declared: Tree) -> bool:
        """Return whether an expression would make something else of a row if the columns that it lacks had a value."""
        try:
            return self._computed(name, _completed(raw, declared, _ANYTHING)) != value
        except Exception:  # noqa: BLE001 - an expression can raise anything
            return True

    def _computes_a_mark(self, raw: Mapping[str, Any]) -> bool:
        """Return whether a mark that the map computes is set, by itself."""
        completed = _completed(raw, self._shallow)
        for name in self._computed_marks:
            try:
                value = self._computed(name, completed)
            except Exception:  # noqa: BLE001 - an expression can raise anything
                value = raw.get(name)
            if is_set(value):
                return True
        return False

    def _deleted(self, raw: Mapping[str, Any], place: Place, known_by: Collection[str]) -> dict[str, Any]:
        """Return a deleted row with all that the map can compute for it.

        Raises:
            ConfigurationError: the map cannot compute which row it is.
        """
        keys = self.stream_map.transformed_key_properties or []
        record = {name: value for name, value in raw.items() if self._keeps_others or name in keys}
        failed: dict[str, str] = {}
        for name, expression in self._changes.items():
            record.pop(name, None)
            if expression not in _DROPPED:
                try:
                    record[name] = self._computed(name, raw)
                except Exception as error:  # noqa: BLE001 - an expression can raise anything
                    failed[name] = type(error).__name__
        record = self._flat(record)
        for name in known_by:
            if name in failed:
                raise self._unknown(name, place, f" ({failed[name]})")
            if name in keys and record.get(name) is None and self._lacks(name, raw, is_there=name in record):
                raise self._unknown(name, place, "")
        return record

    def _lacks(self, key: str, raw: Mapping[str, Any], *, is_there: bool) -> bool:
        """Return whether it is for want of other columns that a key has no value; else the row has none by itself."""
        if key not in self._changes and (is_there or key in (self.stream_map.raw_key_properties or ())):
            return False
        return not raw.keys() >= self._schema["properties"].keys()

    def _unknown(self, name: str, place: Place, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"`stream_maps` cannot compute {name} of stream {self.stream_map.stream_alias} for the deleted row on "
            f"{place}{why}, so nobody knows which row was deleted. The delete of a row may hold only the key that the "
            f"tap sends: compute {name} from that key alone."
        )

    def _computed(self, name: str, raw: Mapping[str, Any]) -> object:
        """Return what the map's expression for one column makes of a row. Raises whatever the expression does."""
        alone = self._computes.get(name)
        if alone is None:
            rules: dict[str, Any] = {
                name: self._changes[name],
                MAPPER_ELSE_OPTION: None,
                MAPPER_KEY_PROPERTIES_OPTION: [],
            }
            alone = self._computes[name] = self._map(rules)
        return (alone.transform(dict(raw)) or {})[name]

    def _map(self, rules: Mapping[str, Any]) -> CustomStreamMap:
        """Return a stream map with some rules, and without flattening."""
        others = {MAPPER_ALIAS_OPTION, MAPPER_SOURCE_OPTION}
        return CustomStreamMap(
            stream_alias=self.stream_map.stream_alias,
            map_config=self._mapper.map_config,
            faker_config=self._mapper.faker_config,
            raw_schema=self._schema,
            key_properties=self.stream_map.raw_key_properties,
            map_transform={name: rule for name, rule in rules.items() if name not in others},
            flattening_options=None,
            stream_name=self._stream,
        )

    def _flat(self, record: dict[str, Any]) -> dict[str, Any]:
        return self.stream_map.flatten_record(_filled(record, self._objects))


def row_maps(mapper: PluginMapper, stream: str, schema: Mapping[str, Any], known: Sequence[RowMap]) -> Sequence[RowMap]:
    """Return what applies each of the SDK's maps for a stream.

    Args:
        mapper: the SDK's mapper, which knows the stream.
        stream: the stream's name as the tap gives it.
        schema: its JSON schema as the tap gives it.
        known: what applied them before; returned as it is if the SCHEMA only came again.
    """
    maps = mapper.stream_maps[stream]
    if len(known) == len(maps) and all(each.fits(it, schema) for each, it in zip(known, maps, strict=True)):
        return known
    schema = copy.deepcopy(dict(schema))
    pairs = zip(maps, definitions(mapper.stream_maps_dict, stream), strict=True)
    return [RowMap(mapper, stream, stream_map, definition, schema) for stream_map, definition in pairs]


def _columns_in(expression: str, name: str, columns: Collection[str]) -> frozenset[str]:
    """Return the columns that an expression reads.

    Args:
        expression: the expression.
        name: the column that it computes, which it calls `self`.
        columns: all columns.
    """
    nodes = list(ast.walk(ast.parse(expression.strip())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    found = {name if each == "self" else each for each in names}
    if not names.isdisjoint({"_", "record"}):
        # By subscript, by `get` or as an attribute.
        found |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return frozenset(found.intersection(columns))


def _is_reference(expression: str) -> bool:
    """Return whether an expression does nothing but name a column."""
    body = ast.parse(expression.strip()).body
    tree = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    if isinstance(tree, ast.Call):
        return isinstance(tree.func, ast.Attribute) and tree.func.attr == "get" and len(tree.args) == 1
    return isinstance(tree, (ast.Name, ast.Attribute, ast.Subscript))


def _is_nothing(value: object) -> bool:
    """Return whether a value is what is made of null."""
    return value is None or str(value).strip().lower() in {"", "none", "null"}


def _completed(record: Mapping[str, Any], declared: Tree, filling: str | None = None) -> Mapping[str, Any]:
    """Return a record with a value for each column that it lacks, inside its objects too; itself if it lacks none."""
    changed: dict[str, Any] = {
        name: filling if inner is None else _completed({}, inner, filling)
        for name, inner in declared.items()
        if name not in record
    }
    for name, inner in declared.items():
        value = record.get(name) if inner is not None else None
        if inner is not None and isinstance(value, dict):
            whole = _completed(value, inner, filling)
            if whole is not value:
                changed[name] = whole
    return {**record, **changed} if changed else record


def _objects(schema: Mapping[str, Any], depth: int) -> Tree:
    """Return the columns of a schema that flattening takes apart, so many levels deep, by the SDK's rules."""
    found: dict[str, Tree | None] = {}
    if depth:
        for name, each in schema.get("properties", {}).items():
            if "object" in (each.get("type") or ()) and "properties" in each:
                inner: dict[str, Tree | None] = dict.fromkeys(each["properties"])
                found[name] = {**inner, **_objects(each, depth - 1)}
    return found


def _paths(schema: Mapping[str, Any], depth: int, above: Path = ()) -> dict[str, Any]:
    """Return a record of a schema in which each value is the path to it, as far as flattening goes."""
    objects = _objects(schema, depth)
    return {
        name: _paths(each, depth - 1, (*above, name)) if name in objects else (*above, name)
        for name, each in schema["properties"].items()
    }


def _filled(record: dict[str, Any], objects: Tree) -> dict[str, Any]:
    """Return a record in which each object that is null or empty holds nulls; others stay as they are."""
    changed: dict[str, Any] = {}
    for name, inner in objects.items():
        if inner is None or name not in record:
            continue
        value = record[name]
        if _is_empty(value):
            changed[name] = _nulls(inner)
        elif isinstance(value, dict):
            changed[name] = _filled(value, inner)
    return {**record, **changed} if changed else record


def _is_empty(value: object) -> bool:
    """Return whether a value stands for an object that is not there: some systems write an empty list or text."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, (dict, list)) and not value)


def _nulls(objects: Tree) -> dict[str, Any]:
    return {name: None if inner is None else _nulls(inner) for name, inner in objects.items()}


def _value_at(record: Mapping[str, Any], path: Sequence[str]) -> object:
    value: object = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
