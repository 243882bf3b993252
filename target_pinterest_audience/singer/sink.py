"""The sink of one stream under one schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import RecordSink

from target_pinterest_audience.identities.extract import IdentityExtractor
from target_pinterest_audience.identities.marks import mark_columns
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.records.null_parents import expected_columns, find_null_parents
from target_pinterest_audience.records.paths import find_paths, with_paths
from target_pinterest_audience.records.unseen_paths import PathWatch, WatchedPath, is_described
from target_pinterest_audience.reporting.held_rows import HeldRows
from target_pinterest_audience.reporting.key_values import KeyValues
from target_pinterest_audience.routing.holdout import HoldOut
from target_pinterest_audience.routing.plan import find_columns
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.settings import BadRecords, LoadMethod, Mode
from target_pinterest_audience.singer.checks.config_check import MELTANO_TEST_STREAM
from target_pinterest_audience.singer.checks.stream_columns import StreamColumns
from target_pinterest_audience.singer.checks.warnings import StreamWarnings
from target_pinterest_audience.singer.rejections import KeyedRejections, Rejections
from target_pinterest_audience.singer.row_intake import RowIntake
from target_pinterest_audience.singer.stream_lists import StreamLists

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock
    from target_pinterest_audience.records.paths import Path
    from target_pinterest_audience.singer.configuration import ConfiguredTarget


class CustomerListSink(RecordSink):
    """Checks the columns of one stream under one schema, and takes in its rows. A changed schema gets a new sink.

    A sink holds no rows. They wait in the run, so that additions and removals keep their order when the schema changes.

    Attributes:
        columns: identity column, or the text of a path into one → its type.
        paths: the text of each path that the settings name, and the path.
        holders: the columns that hold identities, themselves or inside.
        expected: the columns that settings name, themselves or in paths, though the schema may not declare them.
        mapped: the columns that the settings name, and the identity columns.
        parents: which columns are null in a record that lacks them.
        raw_columns: the columns of the tap's rows.
        intake: takes in the rows.
    """

    def __init__(
        self,
        target: ConfiguredTarget,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        *,
        raw_stream: str,
        raw_columns: Collection[str],
        passed_columns: Collection[str],
    ) -> None:
        """Find the stream's identity columns, and open the lists that they feed.

        Args:
            target: the target.
            stream_name: the stream's name after stream maps.
            schema: its JSON schema.
            key_properties: the columns of its key.
            raw_stream: the stream's name in the tap's messages.
            raw_columns: the columns of the tap's rows.
            passed_columns: those of them that no stream map reads.

        Raises:
            ConfigurationError: the settings do not fit the stream.
            TargetError: the ledger, a lock or a list is not available.
        """
        super().__init__(target, stream_name, schema, key_properties)
        settings, run_log, run = target.settings, target.run_log, target.current_run
        stream = settings.for_stream(stream_name)
        others = {
            "consent_column": stream.consent_column,
            "list_name_column": stream.list_name_column,
            "removal_column": stream.removal_column,
            "phone_country_column": stream.phone_country_column,
        }
        named = (*stream.identity_columns, *filter(None, others.values()))
        expected = expected_columns(named, schema["properties"])
        properties: dict[str, Any] = {**schema["properties"], **{name: {} for name in expected}}
        # The SDK removes columns such as `_sdc_deleted_at` from the schema that it is given.
        declared = [*self.original_schema["properties"], *expected]
        self.raw_columns = set(raw_columns)
        is_test = stream_name == MELTANO_TEST_STREAM
        # Some taps declare no column at all, and send whole documents.
        is_open = schema.get("additionalProperties") is True and properties.keys() <= set(self.key_properties)
        self.columns = {} if is_test else find_columns(properties, stream_name, stream, is_open=is_open)
        self.paths = {
            **find_paths(self.columns, properties, is_open=is_open),
            **find_paths(others.values(), properties, is_open=is_open, are_single=True),
        }
        self.mapped = {*self.columns, *named}
        self.expected = {*expected, *(path.column for path in self.paths.values())}
        lackable = sorted({*properties, *self.expected}.difference(self.key_properties))
        self.parents = find_null_parents(lackable, properties, self.mapped)
        self.holders = {self.paths[name].column if name in self.paths else name for name in self.columns}
        tally = run_log.tallies.setdefault(stream_name, StreamTally(stream_name))
        tally.consent_column = stream.consent_column if stream.operation is Mode.ADD else None
        _watch_paths(tally, self.paths, properties, {text: setting for setting, text in others.items() if text})
        warnings = StreamWarnings(stream_name, tally, self.logger)
        checks = StreamColumns(stream_name, stream, properties, self.paths, self.columns, warnings)
        if self.columns:
            target.stream_names.admit(raw_stream, stream_name)
            checks.check_named()
            checks.check_marks(declared, self.raw_columns, passed_columns, self.key_properties)
        elif not is_test:
            checks.check_skipped(run, target.stream_names)
        countries = checks.phone_countries(settings.hashing)
        lists = StreamLists(stream_name, self.columns, stream)
        holdout = HoldOut(*stream.holdout) if stream.holdout is not None else None
        held_rows = None
        if holdout is not None and self.columns:
            rules = settings.hashing, settings.hash_algorithm, countries
            keys = KeyValues(self.key_properties, self.columns, self.paths, *rules)
            held_rows = HeldRows(holdout, tally, self.columns, keys, run_log.held_out)
            held_rows.check(warnings.warn)
        shape = StreamShape(
            raw_stream=raw_stream,
            properties=tuple(properties),
            source=stream.source_name or stream_name,
            key_properties=tuple(self.key_properties),
            key_schemas={name: properties.get(name) for name in self.key_properties},
            columns=self.columns,
            plan=lists.plan,
            routed=stream.list_name_column is not None,
            removes=stream.operation is Mode.REMOVE,
            overwrites=stream.load_method is LoadMethod.OVERWRITE and stream.operation is Mode.ADD,
            tally=tally,
            holdout=holdout,
            row_rules=stream.row_rules,
        )
        writer = None
        if self.columns:
            appends = stream.load_method is LoadMethod.APPEND_ONLY
            writer = run.append(shape) if appends else run.upsert(shape)
        fails = settings.bad_records is BadRecords.FAIL
        rejections = Rejections(stream_name, lists, tally, run_log.rejects, run, fails=fails)
        rows = IdentityExtractor(
            columns=self.columns,
            key_properties=self.key_properties,
            # A stream map may drop the column whose field marks deleted rows.
            removal_columns=mark_columns({*declared, *self.paths, *self.raw_columns}, stream.removal_column),
            consent_words=stream.consent_values,
            hashing=settings.hashing,
            algorithm=settings.hash_algorithm,
            tally=tally,
            rejected=KeyedRejections(rejections, writer, self.key_properties) if rejections.are_reported else None,
            countries=countries,
        )
        self.intake = RowIntake(
            rows,
            stream,
            is_valid=self._is_valid if self._validator is not None else None,
            writer=writer,
            rejections=rejections,
            warnings=warnings,
            held_rows=held_rows,
        )
        needed = self.intake.needed_columns
        self._watch = PathWatch(tally.watched[text] for text in needed if text in tally.watched)

    def reads(self, schema: Mapping[str, Any], key_properties: Sequence[str], raw_columns: Collection[str]) -> bool:
        """Return whether the sink was made for this schema and key, and for rows with these columns."""
        same_rows = self.original_schema == schema and self.raw_columns == set(raw_columns)
        return same_rows and list(self.key_properties) == list(key_properties)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Take in one row.

        Args:
            record: the row after stream maps.
            context: `place`, the row's position, and `deleted`, whether it was marked as deleted before stream maps.

        Raises:
            TargetError: the row lacks its key, or a batch that it filled could not be delivered.
        """
        if self.paths:
            record = with_paths(record, self.paths)
            self._watch.note_record(record)
        self.intake.take_record(record, context["place"], deleted=context["deleted"])
        self.record_counter_metric.increment()

    def process_block(self, block: RecordBlock) -> None:
        """Take in a block of rows, with the same effect as `process_record` for each of them.

        Raises:
            TargetError: a row lacks its key, or a batch that the rows filled could not be delivered.
        """
        self._watch.note_block(block)
        self.intake.take_block(block)
        self.record_counter_metric.increment(len(block))

    def _is_valid(self, record: dict[str, Any]) -> bool:
        if self._validator is None:
            return True
        nulls = self.parents.null(record)
        if self.paths or nulls:
            # The schema has no columns of these names; and the tap did not send columns whose parent is null.
            unsent = {*self.paths, *(name for name in nulls if record.get(name) is None)}
            record = {name: value for name, value in record.items() if name not in unsent}
        if not self.include_sdc_metadata_properties:
            # The SDK has removed these columns from the schema.
            record = dict(record)
            self._remove_sdc_metadata_from_record(record)
        try:
            self._validator.validate(record)
        except Exception:  # noqa: BLE001 - besides InvalidRecord, unusual schemas raise errors in the validator itself
            return False
        return True


def _watch_paths(
    tally: StreamTally, paths: Mapping[str, Path], properties: Mapping[str, Any], settings_of: Mapping[str, str]
) -> None:
    """Let the end of the run tell of paths that the SCHEMA does not describe, if no record has them.

    Args:
        tally: counts the records of the stream.
        paths: the text of each path, and the path.
        properties: the columns of the stream.
        settings_of: the text of a path → the setting that names it, if that is not `identity_columns`.
    """
    for text, path in paths.items():
        if not is_described(path, properties):
            names = (path.column, *(name for name, _ in path.fields))
            setting = settings_of.get(text, "identity_columns")
            tally.watched.setdefault(text, WatchedPath(text, setting, names, path.column in properties))
