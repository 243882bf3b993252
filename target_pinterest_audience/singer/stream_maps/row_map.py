"""Applies one stream map to the rows of a stream.

The SDK's maps do the work, with three differences:

- A row that is marked as deleted passes every filter. Columns that cannot be computed from it are left out, since a
  delete often holds only the key.
- What an object lacks is null instead of missing, as for paths. That includes everything in an object that is null.
- An expression can read every column that the SCHEMA declares. A column that the record lacks is null to the
  expression. Everywhere else it stays missing, so that a person whose address is not in a record keeps the known one.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from singer_sdk.mapper import CustomStreamMap, PluginMapper, RemoveRecordTransform, StreamMap

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.marks import is_mark_of_taps, is_set, mark_columns
from target_pinterest_audience.records.paths import MISPLACED, find_paths, with_paths
from target_pinterest_audience.records.paths import Path as FieldPath
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.singer.stream_maps.expressions import is_blank
from target_pinterest_audience.singer.stream_maps.nested import (
    Path,
    Tree,
    completed,
    filled,
    object_tree,
    path_record,
    value_at,
)
from target_pinterest_audience.singer.stream_maps.rules import MapRules, definitions

_DEEPEST: Final = 100
"""The number of levels of objects that expressions can read."""


class RowMap:
    """Applies one stream map to the rows of one stream.

    Attributes:
        stream_map: the SDK's map.
        raw_columns: column of the tap's rows, flattened if the settings say so → its path.
        markers: these columns, and the path in `removal_column` if it leads into one.
    """

    def __init__(
        self, mapper: PluginMapper, stream: str, stream_map: StreamMap, definition: object, schema: Mapping[str, Any]
    ) -> None:
        """Prepare for a SCHEMA.

        Args:
            mapper: the SDK's mapper, in which the stream is registered.
            stream: the stream's name in the tap's messages.
            stream_map: the map to apply.
            definition: the map's definition in the settings.
            schema: the stream's JSON schema as the tap gives it.
        """
        self.stream_map = stream_map
        self._schema = dict(schema)
        self._rules = MapRules(mapper, stream, stream_map, definition, self._schema)
        objects = object_tree(schema, _DEEPEST)
        self._shallow: Tree = dict.fromkeys(schema["properties"])
        """The columns that expressions can read."""
        self._deep: Tree = {**self._shallow, **objects} if objects else {}
        """The same, with the columns inside objects; empty if there are no objects."""
        self._unflattened = stream_map
        options = stream_map.flattening_options
        depth = options.max_level if options is not None and stream_map.flattening_enabled else 0
        if depth and isinstance(stream_map, CustomStreamMap):
            self._unflattened = self._rules.unflattened()
        mapped = self._unflattened.transformed_schema if isinstance(stream_map, CustomStreamMap) else schema
        self._objects = object_tree(mapped, depth)
        self.raw_columns: dict[str, Path] = stream_map.flatten_record(path_record(schema, depth))
        self.markers: set[str] = set(self.raw_columns)
        self._marks: list[Path] = []
        self._nested_marks: dict[str, FieldPath] = {}
        """The path in `removal_column`, if it leads into a column."""
        self._computed_marks: list[str] = []

    @property
    def passed_columns(self) -> list[str]:
        """The columns of the tap's rows that no expression reads."""
        expressions = " ".join(self._rules.expressions.values())
        return [name for name, path in self.raw_columns.items() if path[-1] not in expressions]

    def fits(self, stream_map: StreamMap, schema: Mapping[str, Any]) -> bool:
        """Return whether this object also serves a new SCHEMA, because that repeats the former."""
        before = self.stream_map.raw_key_properties
        return self._schema == schema and before == stream_map.raw_key_properties

    def watch(self, removal_column: str | None) -> None:
        """Let rows that are marked as deleted pass.

        Args:
            removal_column: the column that the settings name; None if they name none.
        """
        computed = self._rules.expressions
        names = mark_columns(self.raw_columns, removal_column)
        # If the map computes a mark, only the computed one counts. A tap's own mark always counts, too.
        self._marks = [
            self.raw_columns.get(name, (name,)) for name in names if name not in computed or is_mark_of_taps(name)
        ]
        paths = {}
        if removal_column not in self.raw_columns:
            paths = find_paths([removal_column], self._schema["properties"], are_single=True)
        self._nested_marks = {text: path for text, path in paths.items() if path.column not in computed}
        self.markers = {*self.raw_columns, *paths}
        mapped = mark_columns(self.stream_map.transformed_schema["properties"], removal_column)
        self._computed_marks = [name for name in mapped if name in computed]

    def apply(
        self, raw: Mapping[str, Any], place: Place, known_by: Collection[str], identities: Collection[str] = ()
    ) -> tuple[dict[str, Any], bool] | None:
        """Return the mapped row, and whether it is marked as deleted; None if the map filters it out.

        Args:
            raw: the row as the tap sends it.
            place: the position of the row.
            known_by: the columns that identify the row.
            identities: the columns that hold identities.

        Raises:
            ConfigurationError: an expression fails for the row, or an identifying column of a deleted row cannot be
                computed.
        """
        if isinstance(self.stream_map, RemoveRecordTransform):
            return None
        marks = with_paths(raw, self._nested_marks) if self._nested_marks else {}
        if any(is_set(value_at(raw, path)) for path in self._marks) or any(
            is_set(marks.get(name)) for name in self._nested_marks
        ):
            return self._deleted(raw, place, known_by), True
        try:
            record = self._transform(raw, identities)
        except Exception as error:  # noqa: BLE001 - an expression can raise any error, and its message holds values
            if self._computes_a_mark(raw):
                return self._deleted(raw, place, known_by), True
            msg = (
                f"`stream_maps` fails for the record of stream {self.stream_map.stream_alias} on {place} "
                f"({type(error).__name__}). Make the expression work for every row, including nulls."
            )
            raise ConfigurationError(msg) from None
        if record is not None:
            # The map may drop the column of a mark that cannot be read.
            unread = {name: MISPLACED for name in self._nested_marks if marks.get(name) is MISPLACED}
            return {**self._flat(record), **unread}, False
        return (self._deleted(raw, place, known_by), True) if self._computes_a_mark(raw) else None

    def _transform(self, raw: Mapping[str, Any], identities: Collection[str]) -> dict[str, Any] | None:
        """Return the mapped row; None if the map filters it out. Raises the error of a failing expression."""
        if not isinstance(self._unflattened, CustomStreamMap):
            return dict(raw)
        try:
            return self._transform_completed(raw, self._shallow, identities)
        except Exception:
            if not self._deep:
                raise
            # Expressions see objects as the tap sent them. Objects are completed only if an expression fails.
            return self._transform_completed(raw, self._deep, identities)

    def _transform_completed(
        self, raw: Mapping[str, Any], declared: Tree, identities: Collection[str]
    ) -> dict[str, Any] | None:
        whole = completed(raw, declared)
        record = self._unflattened.transform(dict(whole))
        if record is None or whole is raw:
            return record
        return self._known(record, raw, whole, declared, identities)

    def _known(
        self,
        record: Mapping[str, Any],
        raw: Mapping[str, Any],
        whole: Mapping[str, Any],
        declared: Tree,
        identities: Collection[str],
    ) -> dict[str, Any]:
        """Return the mapped row without values that were computed only from missing columns.

        Args:
            record: the completed row as the SDK's map returns it.
            raw: the row as the tap sends it.
            whole: the completed row: the same, with null for each column that it lacks.
            declared: the columns that the completed row has.
            identities: the columns that hold identities. One that is blank because a column is missing is left out,
                since a missing value must not remove a person.
        """
        absent = whole.keys() - raw.keys()
        as_sent = {id(whole[name]): raw[name] for name in raw if whole[name] is not raw[name]}
        incomplete = absent.union(name for name in raw if whole[name] is not raw[name])
        keys = self.stream_map.transformed_key_properties or ()
        found = {}
        for name, value in record.items():
            reads = self._rules.reads.get(name)
            if reads is None:
                if name in raw:
                    found[name] = raw[name]
            elif reads.isdisjoint(incomplete):
                found[name] = value
            elif name in keys:
                found[name] = None if self._rules.depends(name, value, raw, declared) else value
            elif id(value) in as_sent:
                found[name] = as_sent[id(value)]
            elif (name not in self._rules.renames and name not in identities) or self._is_known(
                name, value, raw, declared, absent
            ):
                found[name] = value
        return found

    def _is_known(
        self, name: str, value: object, raw: Mapping[str, Any], declared: Tree, absent: Collection[str]
    ) -> bool:
        """Return whether a computed value comes from the row rather than from columns that the row lacks."""
        depends, reads = self._rules.depends(name, value, raw, declared), self._rules.reads[name]
        if name in self._rules.renames:
            return not depends
        if depends and reads.issubset(absent):
            return False
        return not is_blank(value) or (not depends and reads.isdisjoint(absent))

    def _computes_a_mark(self, raw: Mapping[str, Any]) -> bool:
        """Return whether a computed mark is set, even if the map fails or filters the row out."""
        whole = completed(raw, self._shallow)
        for name in self._computed_marks:
            try:
                value = self._rules.compute(name, whole)
            except Exception:  # noqa: BLE001 - an expression can raise any error
                value = raw.get(name)
            if is_set(value):
                return True
        return False

    def _deleted(self, raw: Mapping[str, Any], place: Place, known_by: Collection[str]) -> dict[str, Any]:
        """Return a deleted row with every column that the map can compute for it.

        Raises:
            ConfigurationError: the map cannot compute an identifying column.
        """
        keys = self.stream_map.transformed_key_properties or []
        record = {name: value for name, value in raw.items() if self._rules.keeps_others or name in keys}
        failed: dict[str, str] = {}
        for name in self._rules.columns:
            record.pop(name, None)
            if name in self._rules.expressions:
                try:
                    record[name] = self._rules.compute(name, raw)
                except Exception as error:  # noqa: BLE001 - an expression can raise any error
                    failed[name] = type(error).__name__
        record = self._flat(record)
        for name in known_by:
            if name in failed:
                raise self._not_computed(name, place, f" ({failed[name]})")
            if name in keys and record.get(name) is None and self._lacks(name, raw, is_there=name in record):
                raise self._not_computed(name, place, "")
        return record

    def _lacks(self, key: str, raw: Mapping[str, Any], *, is_there: bool) -> bool:
        """Return whether a key is null because other columns are missing, rather than null in the row itself."""
        if key not in self._rules.columns and (is_there or key in (self.stream_map.raw_key_properties or ())):
            return False
        return not raw.keys() >= self._schema["properties"].keys()

    def _not_computed(self, name: str, place: Place, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"`stream_maps` cannot compute {name} of stream {self.stream_map.stream_alias} for the deleted row on "
            f"{place}{why}, so the target cannot find the row to delete. A delete may hold only the tap's key: compute "
            f"{name} from that key alone."
        )

    def _flat(self, record: dict[str, Any]) -> dict[str, Any]:
        return self.stream_map.flatten_record(filled(record, self._objects))


def row_maps(mapper: PluginMapper, stream: str, schema: Mapping[str, Any], known: Sequence[RowMap]) -> Sequence[RowMap]:
    """Return a row map for each of the SDK's maps for a stream.

    Args:
        mapper: the SDK's mapper, in which the stream is registered.
        stream: the stream's name in the tap's messages.
        schema: its JSON schema as the tap gives it.
        known: the stream's row maps so far, which are returned if the SCHEMA is only repeated.
    """
    maps = mapper.stream_maps[stream]
    if len(known) == len(maps) and all(each.fits(it, schema) for each, it in zip(known, maps, strict=True)):
        return known
    schema = copy.deepcopy(dict(schema))
    pairs = zip(maps, definitions(mapper.stream_maps_dict, stream), strict=True)
    return [RowMap(mapper, stream, stream_map, definition, schema) for stream_map, definition in pairs]
