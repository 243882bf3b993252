"""The streams of a run: the schema, the stream maps and the sinks of each."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from singer_sdk.exceptions import InvalidJSONSchema
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform

from target_pinterest_audience.errors import ConfigurationError, StreamError
from target_pinterest_audience.records.column_names import has_marks, plain_columns
from target_pinterest_audience.records.null_parents import NO_PARENTS, NullParents, find_null_parents
from target_pinterest_audience.settings import LoadMethod
from target_pinterest_audience.singer.checks.stream_names import some_names
from target_pinterest_audience.singer.sink import CustomerListSink
from target_pinterest_audience.singer.stream_maps.row_map import RowMap, row_maps
from target_pinterest_audience.singer.stream_schemas import without_bare_types

if TYPE_CHECKING:
    from target_pinterest_audience.records.position import Place
    from target_pinterest_audience.singer.configuration import ConfiguredTarget
    from target_pinterest_audience.singer.messages import SchemaMessage

_MOST_FORMER_SINKS: Final = 8
"""The largest number of sinks that are kept for former schemas of an output."""


class _Stream(NamedTuple):
    """A stream under its latest SCHEMA.

    Attributes:
        declared: the columns that the SCHEMA declares, and others that records may have.
        written: column → other names that the SCHEMA gives it.
        row_maps: one for each output of the stream.
        parents: which columns are null in a record that lacks them.
    """

    declared: AbstractSet[str]
    written: Mapping[str, Collection[str]]
    row_maps: Sequence[RowMap]
    parents: NullParents = NO_PARENTS


class _OutputSinks:
    """The sinks of one output of a stream: one for each recent schema, since some taps alternate between SCHEMAs."""

    def __init__(self) -> None:
        self.all: list[CustomerListSink] = []
        """The sink in use is the last."""

    @property
    def current(self) -> CustomerListSink:
        return self.all[-1]

    def choose(self, schema: Mapping[str, Any], keys: Sequence[str], raw_columns: Collection[str]) -> bool:
        """Use the sink for a schema; return whether there is one."""
        for sink in reversed(self.all):
            if sink.reads(schema, keys, raw_columns):
                if sink is not self.current:
                    self.all.remove(sink)
                    self.all.append(sink)
                return True
        return False

    def make_room(self) -> None:
        while len(self.all) > _MOST_FORMER_SINKS:
            self.all.pop(0).clean_up()


class Streams:
    """The streams of a run. An *output* is a stream after stream maps; a stream can have several.

    The SDK keeps one sink for each output, so that two streams with the same output would be read by the columns of the
    latest SCHEMA. Here each stream has its own sink for each of its outputs.
    """

    def __init__(self, target: ConfiguredTarget) -> None:
        """Begin without streams."""
        self._target = target
        self._streams: dict[str, _Stream] = {}
        self._sinks: dict[tuple[str, str], _OutputSinks] = {}
        """Stream and output → sinks."""

    @property
    def identity_columns(self) -> set[str]:
        """The identity columns of all streams."""
        return {column for sinks in self._sinks.values() for column in sinks.current.columns}

    def has_identities(self, stream: str) -> bool:
        """Return whether an output of a stream has an identity column."""
        return any(sinks.current.columns for (each, _), sinks in self._sinks.items() if each == stream)

    def sinks(self) -> Iterator[CustomerListSink]:
        """Yield all sinks, including those for former schemas."""
        for sinks in self._sinks.values():
            yield from sinks.all

    def take_schema(self, message: SchemaMessage) -> None:
        """Open the sinks of a stream for its SCHEMA.

        Raises:
            ConfigurationError: the settings do not fit the stream.
            StreamError: the schema cannot be used for `validate_records`.
            TargetError: the ledger, a lock or a list is not available.
        """
        stream, mapper = message.stream, self._target.mapper
        try:
            mapper.register_raw_stream_schema(stream, message.schema, message.key_properties)
        except Exception as error:  # noqa: BLE001 - the SDK raises the error of an expression, which shows its text
            msg = (
                f"`stream_maps` cannot be used for stream {stream} ({type(error).__name__}). Check for an expression "
                "that is not valid Python, a column that does not exist, or a key that is dropped."
            )
            raise ConfigurationError(msg) from None
        known = self._streams.get(stream)
        maps = row_maps(mapper, stream, message.schema, known.row_maps if known is not None else ())
        self._streams[stream] = _Stream(message.schema["properties"].keys(), message.written, maps)
        outputs = [each for each in maps if not isinstance(each.stream_map, RemoveRecordTransform)]
        self._target.stream_names.add(stream, [each.stream_map.stream_alias for each in outputs])
        if not outputs and known is None:
            self._warn_of_dropped(stream)
        for row_map in outputs:
            self._open_sink(stream, row_map)
        self._streams[stream] = self._with_parents(stream, message)
        self._choose_decoding(stream)

    def _warn_of_dropped(self, stream: str) -> None:
        """Warn if stream maps drop a stream that fed lists: its deletes are dropped, too.

        Raises:
            LedgerError: the ledger cannot be opened.
        """
        settings = self._target.settings.for_stream(stream)
        if settings.load_method is LoadMethod.APPEND_ONLY:
            return
        lists = self._target.current_run.former_lists(settings.source_name or stream, ()).own
        if lists:
            self._target.logger.warning(
                "`stream_maps` drops stream %s, from which earlier runs added people to %s. Those people stay there, "
                "even if their rows are deleted. Let the stream pass, or `clear` the list.", stream, some_names(lists),
            )  # fmt: skip

    def _with_parents(self, name: str, message: SchemaMessage) -> _Stream:
        """Return a stream with the columns that are null in a record that lacks them."""
        stream, properties = self._streams[name], message.schema["properties"]
        sinks = [each.current for (own, _), each in self._sinks.items() if own == name]
        declared = {*stream.declared, *(column for sink in sinks for column in sink.expected)}
        mapped = {column for sink in sinks for column in sink.mapped}
        parents = find_null_parents(sorted(declared.difference(message.key_properties)), properties, mapped)
        return stream._replace(declared=declared, parents=parents)

    def _open_sink(self, stream: str, row_map: RowMap) -> None:
        """Make a sink for an output, unless there is one for the same schema and key."""
        stream_map = row_map.stream_map
        # A copy, because the SDK's sinks remove columns from the schema that they are given.
        alias, schema = stream_map.stream_alias, without_bare_types(copy.deepcopy(stream_map.transformed_schema))
        row_map.watch(self._target.settings.for_stream(alias).removal_column)
        keys = stream_map.transformed_key_properties or []
        sinks = self._sinks.get((stream, alias)) or _OutputSinks()
        if sinks.choose(schema, keys, row_map.markers):
            return
        sinks.make_room()
        try:
            sink = CustomerListSink(
                self._target, alias, schema, keys,
                raw_stream=stream, raw_columns=row_map.markers, passed_columns=row_map.passed_columns,
            )  # fmt: skip
        except InvalidJSONSchema:
            msg = (
                f"The SCHEMA of stream {stream} is not a valid JSON schema, so `validate_records` cannot check its "
                "records. Correct the tap, or turn `validate_records` off."
            )
            raise StreamError(msg) from None
        sinks.all.append(sink)
        self._sinks[stream, alias] = sinks

    def _choose_decoding(self, stream: str) -> None:
        """Let a stream's records be decoded in blocks, unless stream maps or checks need each whole record."""
        records, maps = self._target.message_reader.records, self._target.mapper.stream_maps[stream]
        sinks = self._sinks.get((stream, maps[0].stream_alias))
        unchanged = len(maps) == 1 and isinstance(maps[0], SameRecordTransform) and not maps[0].flattening_enabled
        if sinks is not None and unchanged and not sinks.current.intake.reads_row_by_row:
            sink = sinks.current
            written = self._streams[stream].written
            records.need(
                stream,
                sink.intake.needed_columns,
                sink.process_block,
                written,
                sink.paths,
                self._streams[stream].parents,
            )
        else:
            records.forget(stream)

    def take_record(self, name: str, raw: dict[str, Any], place: Place) -> None:
        """Pass a row to the sinks of its stream.

        Args:
            name: the stream's name in the tap's messages.
            raw: the row as the tap sends it.
            place: the position of the row.

        Raises:
            ConfigurationError: an expression of a stream map fails for the row.
            TargetError: the row lacks its key, or a batch that it filled could not be delivered.
        """
        stream = self._streams[name]
        if stream.written or not stream.declared <= raw.keys():
            raw = stream.parents.completed(plain_columns(raw) if has_marks(raw) else raw)
        for row_map in stream.row_maps:
            sinks = self._sinks.get((name, row_map.stream_map.stream_alias))
            if sinks is None:
                continue
            sink = sinks.current
            mapped = row_map.apply(raw, place, sink.key_properties or sink.holders, sink.holders)
            if mapped is not None:
                record, deleted = mapped
                sink.process_record(record, {"deleted": deleted, "place": place})
