"""The rules of a stream map: which columns it computes, and each computed column by itself."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
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
    StreamMap,
)

from target_pinterest_audience.singer.stream_maps.expressions import columns_in, is_reference
from target_pinterest_audience.singer.stream_maps.nested import Tree, completed

_OPTIONS: Final = frozenset(
    {
        MAPPER_ALIAS_OPTION,
        MAPPER_ELSE_OPTION,
        MAPPER_FILTER_OPTION,
        MAPPER_KEY_PROPERTIES_OPTION,
        MAPPER_SOURCE_OPTION,
    }
)
"""What a stream map may hold in addition to columns."""

_DROPPED: Final = (None, NULL_STRING)

_ANYTHING: Final = "\0anything"
"""Stands for an unknown value, to find out whether an expression depends on it."""


def definitions(stream_maps: Mapping[str, Any], stream: str) -> list[Any]:
    """Return the definitions in `stream_maps` that apply to a stream, in the order of the SDK's maps for it.

    The first is the stream's own definition, or None. The others define streams that are made from it.
    """
    own, others = None, []
    for name, definition in stream_maps.items():
        made_of = definition.get(MAPPER_SOURCE_OPTION) if isinstance(definition, dict) else None
        if made_of is not None and fnmatch.fnmatch(stream, made_of):
            others.append(definition)
        elif made_of is None and fnmatch.fnmatch(stream, name):
            own = definition
    return [own, *others]


class MapRules:
    """The rules of one stream map for one SCHEMA.

    Attributes:
        keeps_others: whether the map keeps columns that have no rule.
        columns: the columns that have a rule.
        expressions: computed column → its expression.
        reads: computed column → the columns that its expression reads.
        renames: the computed columns that only rename another column.
    """

    def __init__(
        self, mapper: PluginMapper, stream: str, stream_map: StreamMap, definition: object, schema: dict[str, Any]
    ) -> None:
        """Read a definition.

        Args:
            mapper: the SDK's mapper.
            stream: the stream's name in the tap's messages.
            stream_map: the SDK's map.
            definition: the map's definition in the settings.
            schema: the stream's JSON schema as the tap gives it.
        """
        self._mapper = mapper
        self._stream = stream
        self._stream_map = stream_map
        self._schema = schema
        self._all = dict(definition) if isinstance(definition, dict) else {}
        self.keeps_others = MAPPER_ELSE_OPTION not in self._all
        self.columns = [name for name in self._all if name not in _OPTIONS]
        self.expressions = {name: str(self._all[name]) for name in self.columns if self._all[name] not in _DROPPED}
        declared = schema["properties"].keys()
        self.reads = {name: columns_in(each, name, declared) for name, each in self.expressions.items()}
        self.renames = {name for name, each in self.expressions.items() if is_reference(each)}
        self._single: dict[str, CustomStreamMap] = {}
        """Computed column → a map that computes only this column."""

    def compute(self, name: str, raw: Mapping[str, Any]) -> object:
        """Return one computed column of a row. Raises the error of a failing expression."""
        single = self._single.get(name)
        if single is None:
            rules = {name: self._all[name], MAPPER_ELSE_OPTION: None, MAPPER_KEY_PROPERTIES_OPTION: []}
            single = self._single[name] = self._map(rules)
        return (single.transform(dict(raw)) or {})[name]

    def depends(self, name: str, value: object, raw: Mapping[str, Any], declared: Tree) -> bool:
        """Return whether a computed value would change if the columns that the row lacks had a value."""
        try:
            return self.compute(name, completed(raw, declared, _ANYTHING)) != value
        except Exception:  # noqa: BLE001 - an expression can raise any error
            return True

    def unflattened(self) -> CustomStreamMap:
        """Return the SDK's map with all rules, but without flattening."""
        return self._map(self._all)

    def _map(self, rules: Mapping[str, Any]) -> CustomStreamMap:
        others = {MAPPER_ALIAS_OPTION, MAPPER_SOURCE_OPTION}
        return CustomStreamMap(
            stream_alias=self._stream_map.stream_alias,
            map_config=self._mapper.map_config,
            faker_config=self._mapper.faker_config,
            raw_schema=self._schema,
            key_properties=self._stream_map.raw_key_properties,
            map_transform={name: rule for name, rule in rules.items() if name not in others},
            flattening_options=None,
            stream_name=self._stream,
        )
