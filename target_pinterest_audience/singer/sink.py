"""One stream's rows on their way to the lists that they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from singer_sdk.sinks import RecordSink

from target_pinterest_audience.errors import ConfigurationError, MissingKeyError, RejectedError
from target_pinterest_audience.identities.extract import RowReader
from target_pinterest_audience.identities.list_names import NO_LIST, list_name, named_list
from target_pinterest_audience.identities.marks import (
    DEFAULT_REMOVAL_COLUMN,
    in_other_capitals,
    look_like_marks,
    mark_columns,
    named_in_any_case,
)
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import Remark
from target_pinterest_audience.membership.events import Kind
from target_pinterest_audience.membership.row import Row, RowBlock, RowWriter
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.reporting.rejects_file import Reject
from target_pinterest_audience.routing.near_names import nearest_column, told_columns
from target_pinterest_audience.routing.plan import FormerLists, find_columns, plan_lists, possible_lists
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.settings import BadRecords, LoadMethod, Mode, StreamSettings
from target_pinterest_audience.singer.arrivals import MELTANO_TEST_STREAM, Arrivals, some_names
from target_pinterest_audience.singer.errors import MissingKeyPropertyError
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from singer_sdk import Target

    from target_pinterest_audience.records.blocks import RecordBlock
    from target_pinterest_audience.reporting.run_log import RunLog
    from target_pinterest_audience.routing.plan import ListPlan, ListReference
    from target_pinterest_audience.run.run import Run
    from target_pinterest_audience.settings import Settings

_PLAIN_ROWS_FOR_AN_ODD_ONE: Final = 8
"""How many rows there must be for each odd one, for reading the others together to be worth it."""


class SinkOwner(Protocol):
    """What a sink needs of its target."""

    settings: Settings
    current_run: Run
    arrivals: Arrivals
    run_log: RunLog


class CustomerListSink(RecordSink):
    """Reads the rows of one stream under one schema; a changed schema makes a new sink.

    It holds no rows: they wait in the run's one window and in the waiting rooms of their lists, so that the order of
    additions and removals outlives a change of schema.
    """

    def __init__(
        self,
        target: SinkOwner,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        *,
        raw_stream: str,
        raw_columns: Collection[str],
        passed_columns: Collection[str],
    ) -> None:
        """Find the stream's identity columns and open the lists that they go to.

        Args:
            target: the target.
            stream_name: the stream, after stream maps.
            schema: its JSON schema.
            key_properties: the columns that tell its rows apart.
            raw_stream: the stream's name as the tap gives it.
            raw_columns: the columns of its rows as the tap sends them.
            passed_columns: those of them that no stream map reads.

        Raises:
            ConfigurationError: the settings do not fit the stream.
            TargetError: the ledger, a lock or a list cannot be had.
        """
        super().__init__(cast("Target", target), stream_name, schema, key_properties)
        settings = target.settings
        stream = settings.for_stream(stream_name)
        properties = schema["properties"]
        self._mode = stream.operation
        self._consent_column = stream.consent_column if stream.operation is Mode.ADD else None
        self.columns = find_columns(properties, stream_name, stream) if stream_name != MELTANO_TEST_STREAM else {}
        self._tally = target.run_log.tallies.setdefault(stream_name, StreamTally(stream_name))
        self._tally.consent_column = self._consent_column
        self.raw_columns = set(raw_columns)
        if self.columns:
            target.arrivals.admit(raw_stream, stream_name)
        elif stream_name != MELTANO_TEST_STREAM:
            self._pass_over(target, stream)
        self._introduce(stream)
        self._run = target.current_run
        self._rejects = target.run_log.rejects
        self._fails = settings.bad_records is BadRecords.FAIL
        self._rows = RowReader(
            columns=self.columns,
            key_properties=self.key_properties,
            removal_columns=self._marks(stream, passed_columns),
            consent_words=stream.consent_values,
            hashing=settings.hashing,
            algorithm=settings.hash_algorithm,
            tally=self._tally,
            rejected=self._reject if self._fails or self._rejects is not None else None,
        )
        self._settings = stream
        self._columns_of: dict[ListReference, list[str]] = {}
        """List → the columns whose identities go there."""
        shape = StreamShape(
            raw_stream=raw_stream,
            properties=tuple(properties),
            source=stream.source_name or stream_name,
            key_properties=tuple(self.key_properties),
            key_schemas={name: properties.get(name) for name in self.key_properties},
            columns=self.columns,
            plan=self._plan,
            routed=stream.list_name_column is not None,
            removes=stream.operation is Mode.REMOVE,
            overwrites=stream.load_method is LoadMethod.OVERWRITE and stream.operation is Mode.ADD,
            tally=self._tally,
        )
        appends = stream.load_method is LoadMethod.APPEND_ONLY
        self._writer: RowWriter | None = None
        if self.columns:
            self._writer = target.current_run.append(shape) if appends else target.current_run.upsert(shape)

    def reads(self, schema: Mapping[str, Any], key_properties: Sequence[str], raw_columns: Collection[str]) -> bool:
        """Return whether it was made for a schema and key, and for rows with such columns."""
        same_rows = self.original_schema == schema and self.raw_columns == set(raw_columns)
        return same_rows and list(self.key_properties) == list(key_properties)

    def retire(self) -> None:
        """Let go of what reads rows. It is still told of rows of its own that Pinterest refuses."""
        self.clean_up()
        self._writer = None
        self._validator = None
        self.schema = self.original_schema = {}
        self.raw_columns = set()
        self._config = {}

    def _plan(self, list_name: str | None) -> dict[str, ListPlan]:
        """See `StreamShape.plan`."""
        plans = plan_lists(self.columns, self.stream_name, self._settings, list_name)
        for column, kind in self.columns.items():
            self._columns_of.setdefault(plans[kind].reference, []).append(column)
        return {column: plans[kind] for column, kind in self.columns.items()}

    def _pass_over(self, target: SinkOwner, stream: StreamSettings) -> None:
        """Warn that the stream has no identities, unless it had some under these settings.

        Raises:
            ConfigurationError: it had: its people would stay on their lists for ever.
        """
        source = stream.source_name or self.stream_name
        is_its_own = stream.source_name is None or "source_name" in stream.own
        former = FormerLists([], [])
        if is_its_own and stream.load_method is not LoadMethod.APPEND_ONLY:
            former = target.current_run.former_lists(source, possible_lists(self.stream_name, stream))
        if former.own:
            msg = (
                f"Stream {self.stream_name} has no identity column any more, but former runs put people from it on "
                "lists, who would stay there whatever becomes of their rows. "
                f"{told_columns(self.schema['properties'])} Name the right one in `identity_columns`, or deselect the "
                "stream in the tap."
            )
            raise ConfigurationError(msg)
        words = target.arrivals.pass_over(self.stream_name, self.schema["properties"])
        if words is not None:
            self._warn_once(words)
            if former.others:
                self._warn_once(
                    "other settings put people from a source of this name on other lists: "
                    f"{some_names(former.others)}. If it is the same table, those people stay there: map their "
                    "column with `identity_columns`. If it is another table, nothing has to be done."
                )

    def _introduce(self, stream: StreamSettings) -> None:
        """Warn of what the settings do not do for the stream.

        Raises:
            ConfigurationError: the stream lacks its consent column.
        """
        properties = self.schema["properties"]
        if not self.columns:
            return
        if self._consent_column is not None and self._consent_column not in properties:
            msg = (
                f"Stream {self.stream_name} has no column {self._consent_column}, which `consent_column` names, so "
                "that nobody's consent is known. Correct the name, or select the column in the tap."
            )
            msg += in_other_capitals(self._consent_column, properties)
            raise ConfigurationError(msg)
        if stream.list_name_column is not None and stream.list_name_column not in properties:
            msg = (
                f"Stream {self.stream_name} has no column {stream.list_name_column}, which `list_name_column` names, "
                "so that nobody's list is known. Correct the name, or select the column in the tap."
            )
            msg += in_other_capitals(stream.list_name_column, properties)
            raise ConfigurationError(msg)
        if stream.list_name_column in self.columns:
            msg = (
                f"Column {stream.list_name_column} of stream {self.stream_name} holds identities, and "
                "`list_name_column` would make names of them. Name the column that says which audience a row is of."
            )
            raise ConfigurationError(msg)
        self._suggest_address(stream)

    def _marks(self, stream: StreamSettings, passed_columns: Collection[str]) -> tuple[str, ...]:
        """Return the columns that mark deleted rows, and warn of those that look like it and are not used.

        Raises:
            ConfigurationError: the stream has identities and lacks the column that `removal_column` names.
        """
        # The SDK takes columns such as `_sdc_deleted_at` out of the schema that it was given.
        columns = self.original_schema["properties"].keys()
        marks = mark_columns(columns, stream.removal_column)
        if not self.columns:
            return marks
        setting = stream.removal_column
        if setting is not None and not named_in_any_case(setting, {*columns, *self.raw_columns}):
            msg = (
                f"Stream {self.stream_name} has no column {setting}, which `removal_column` names, so that its deleted "
                "rows would stay on the list. Correct the name, or select the column in the tap. If the stream has no "
                f"such column, set `streams.{self.stream_name}.removal_column` to `{DEFAULT_REMOVAL_COLUMN}`: at the "
                "top level, `removal_column` is for every stream."
            )
            raise ConfigurationError(msg)
        used = {*marks, *mark_columns(self.raw_columns, setting), *self.columns, *self.key_properties}
        used |= {str(stream.consent_column), str(stream.list_name_column)}
        unused = sorted({*look_like_marks(columns), *look_like_marks(passed_columns)} - used)
        if unused:
            self._warn_once(
                f"column {' and column '.join(unused)} may mark deleted rows, and is not used. If it does, name it in "
                "`removal_column`: deleted people would stay on the list."
            )
        for name in stream.identity_columns.keys() - self.columns:
            near = named_in_any_case(name, columns)
            if near:
                self._warn_once(
                    f"it has no column {name}, which `identity_columns` names, and it has {near[0]}. The names of "
                    "columns are compared exactly: correct the setting."
                )
        return marks

    def _suggest_address(self, stream: StreamSettings) -> None:
        """Warn that columns were found by name, but none of addresses, while another looks like one."""
        if stream.identity_columns or "EMAIL" in {kind.name for kind in self.columns.values()}:
            return
        others = (self._consent_column, stream.list_name_column, stream.removal_column)
        candidate = nearest_column(self.schema["properties"], others, addresses_only=True)
        if candidate is not None:
            self._warn_once(
                f"only {', '.join(self.columns)} {'is' if len(self.columns) == 1 else 'are'} read. Column "
                f"`{candidate.column}` looks like e-mail addresses: if it is, set `identity_columns` for "
                f"the stream, {candidate.setting(self.stream_name, self.columns)}."
            )

    def _warn_once(self, words: str) -> None:
        """Warn of the stream, unless that was said before: a tap may repeat its SCHEMA a thousand times."""
        if words not in self._tally.warnings:
            self._tally.warnings.add(words)
            self.logger.warning("Stream %s: %s", self.stream_name, words)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Take in one row.

        Args:
            record: the row after stream maps.
            context: `place`, where the row stands; and `deleted`, whether it was marked as deleted before stream maps.

        Raises:
            TargetError: the stream is broken, or a batch that this row filled could not be delivered.
        """
        rows, place = self._rows, context["place"]
        self._run.refusals.note_rows(place.line, 1, self)
        rows.tally.rows += 1
        deleted = context["deleted"] or rows.is_deleted(record)
        rows.tally.deleted_rows += deleted
        try:
            has_key = rows.check_key(record, place)
        except MissingKeyError as error:
            raise MissingKeyPropertyError(str(error)) from None
        if not has_key:
            if deleted and self.columns:
                self._warn_once(
                    "a deleted row has no value in a key property, so nobody knows which row was deleted. If its "
                    "people are on the list, they stay there. Look at the key of the table, and of its stream map."
                )
            rows.reject_row(record, Remark.KEY_IS_NULL, place)
            return
        if self._writer is None:
            return
        kind, reason = self._read(record, deleted=deleted)
        name, no_list = named_list(record, self._settings.list_name_column)
        if no_list is not None and not deleted and reason is None and kind is not Kind.REFUSED:
            # Who refuses leaves, whatever else is wrong with the row.
            kind, reason = Kind.SEEN, no_list
        present = [column for column in self.columns if column in record]
        if reason is not None:
            named = rows.reject_row(record, reason, place)
        else:
            named = rows.identities(record, place, are_meant=name != NO_LIST)
        # Whoever refuses stays out in every form; a deleted row without a key is found in every form.
        needs_forms = kind in {Kind.REFUSED, Kind.EXCLUDED} or (deleted and not self.key_properties)
        forms = rows.forms(record, named) if needs_forms and reason is None else {}
        self._writer.write(Row(kind, record, named, present, place.line, deleted, name, forms))

    @property
    def known_by(self) -> Sequence[str]:
        """The columns that tell which row it is: the key, or the identities where there is no key."""
        return self.key_properties or list(self.columns)

    @property
    def needed_columns(self) -> list[str]:
        """All columns of a record that anything depends on."""
        others = [self._consent_column, self._settings.list_name_column]
        columns = [*self.key_properties, *self.columns, *self._rows.removal_columns]
        return list(dict.fromkeys([*columns, *(name for name in others if name is not None)]))

    @property
    def reads_row_by_row(self) -> bool:
        """Whether records have to come one by one: to be held against their schema, or to end the run at a bad one."""
        return self._validator is not None or self._fails

    def process_block(self, block: RecordBlock) -> None:
        """Take in rows that follow each other, to the same effect as `process_record` for each.

        Args:
            block: the rows as the tap sent them.

        Raises:
            TargetError: as `process_record`.
        """
        lines = block.lines
        self._run.refusals.note_rows(lines[0], lines[-1] + 1 - lines[0], self)
        odd = self._rows.odd_rows(block, self._consent_column, self._settings.list_name_column)
        if len(odd) * _PLAIN_ROWS_FOR_AN_ODD_ONE > len(block):
            odd = list(range(len(block)))
        start = 0
        for at in odd:
            self._process_plain(block.part(start, at))
            record = block.record(at)
            self.process_record(record, {"deleted": False, "place": block.place(at)})
            start = at + 1
        self._process_plain(block.part(start, len(block)) if start else block)
        self.record_counter_metric.increment(len(block))

    def _process_plain(self, block: RecordBlock) -> None:
        """Take in rows that are there, have their key, and consent if they are asked."""
        if not len(block):
            return
        self._tally.rows += len(block)
        if self._writer is None:
            return
        present = Kind.GRANTED if self._consent_column is not None else Kind.ARRIVED
        kind = Kind.EXCLUDED if self._mode is Mode.REMOVE else present
        if self._consent_column is not None:
            self._tally.count_answers(len(block), len(block))
        named = {column: self._rows.identity_column(column, block) for column in self.columns}
        name_column = self._settings.list_name_column
        names = [list_name(name)[0] for name in block.column(name_column)] if name_column is not None else None
        forms = {}
        if kind is Kind.EXCLUDED:
            forms = {column: self._rows.form_columns(column, block, named[column]) for column in self.columns}
        self._writer.write_block(RowBlock(kind, block, named, names, forms))

    def _reject(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        """Tell of a rejected value; see `rows.Rejected`.

        Raises:
            RejectedError: `bad_records` says that one is enough.
        """
        row = None
        if self._writer is not None and all(record.get(name) is not None for name in self.key_properties):
            row = self._writer.row_digest(record)
        kind = self.columns[column].name
        self._write_reject(column, kind, reason, place, row.hex() if row is not None else None)
        if self._fails:
            raise self._failure(column, reason, place)

    def note_refused(self, references: Collection[ListReference], operation: Operation, line: int) -> bool:
        """See `RowOwner.note_refused`."""
        feeding = {column for each in references for column in self._columns_of.get(each, ())}
        columns = [column for column in self.columns if column in feeding]
        if not columns:
            return False
        column = " or ".join(columns)
        types = " or ".join(dict.fromkeys(self.columns[each].name for each in columns))
        self._tally.reject_late(column, line, was_added=operation is Operation.ADD)
        self._write_reject(column, types, Remark.REFUSED_BY_PINTEREST, Place(line), row=None)
        if self._fails:
            self._run.fail_later(self._failure(column, Remark.REFUSED_BY_PINTEREST, Place(line)))
        return True

    def _write_reject(self, column: str, types: str, reason: Remark, place: Place, row: str | None) -> None:
        if self._rejects is not None:
            self._rejects.write(Reject(self.stream_name, *place, column, types, reason.value, row))

    def _failure(self, column: str, reason: Remark, place: Place) -> RejectedError:
        return RejectedError(
            f"Bad record on {place}, stream {self.stream_name}, column {column}: {reason.value}. `bad_records: "
            "fail` ends the run here; what came before is delivered. Correct the row at its source."
        )

    def _read(self, record: dict[str, Any], *, deleted: bool) -> tuple[Kind, Remark | None]:
        """Return what a record says of its row, and why it is bad if it is."""
        consent = record.get(self._consent_column) if self._consent_column is not None else None
        if deleted:
            # A delete that carries only the key fills the other columns with nulls, which is no refusal.
            refuses = consent is not None and not self._rows.is_granted(consent)
            return (Kind.REFUSED if refuses else Kind.DELETED), None
        if not self._is_valid(record):
            return Kind.SEEN, Remark.BREAKS_SCHEMA
        if self._consent_column is None:
            return (Kind.EXCLUDED if self._mode is Mode.REMOVE else Kind.ARRIVED), None
        if self._consent_column not in record:
            return Kind.SEEN, Remark.CONSENT_IS_MISSING
        granted = self._rows.is_granted(consent)
        self._tally.count_answers(1, int(granted), nulls=int(consent is None))
        return (Kind.GRANTED if granted else Kind.REFUSED), None

    def _is_valid(self, record: dict[str, Any]) -> bool:
        if self._validator is None:
            return True
        if not self.include_sdc_metadata_properties:
            # The SDK has taken these columns out of the schema.
            record = dict(record)
            self._remove_sdc_metadata_from_record(record)
        try:
            self._validator.validate(record)
        except Exception:  # noqa: BLE001 - beside InvalidRecord, odd schemas make the validator itself stumble
            return False
        return True
