"""The Singer target: messages come in, rows go to their sinks, and STATE leaves when Pinterest has what it covers."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk.exceptions import InvalidJSONSchema
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.singerlib.json import serialize_json

from target_pinterest_audience.errors import (
    ConfigurationError,
    LedgerError,
    RejectedError,
    StreamError,
    TargetError,
    Terminated,
)
from target_pinterest_audience.records.batch_files import BatchFiles
from target_pinterest_audience.records.column_names import (
    has_marks,
    marked_names,
    plain_columns,
    plain_names,
)
from target_pinterest_audience.reporting.alerts.notifier import make_notifier
from target_pinterest_audience.reporting.progress import Progress, Snapshot, on_terminal, share_of_file
from target_pinterest_audience.reporting.run_log import RunLog
from target_pinterest_audience.run.wiring import connect
from target_pinterest_audience.settings import (
    Settings,
    config_jsonschema,
)
from target_pinterest_audience.settings.load import CAPABILITIES, read_config, resolve_settings
from target_pinterest_audience.singer.arrivals import MELTANO_TEST_STREAM, Arrivals
from target_pinterest_audience.singer.errors import RecordBeforeSchemaError
from target_pinterest_audience.singer.output import write_line
from target_pinterest_audience.singer.reader import MessageReader
from target_pinterest_audience.singer.row_maps import RowMap, row_maps
from target_pinterest_audience.singer.sink import CustomerListSink
from target_pinterest_audience.singer.stream_schemas import read_schema, without_bare_types, written_names
from target_pinterest_audience.system.signals import Termination
from target_pinterest_audience.system.version import program_version, user_agent

if TYPE_CHECKING:
    from types import FrameType

    import click

    from target_pinterest_audience.reconcile.refused_members import RefusedMembers
    from target_pinterest_audience.reporting.alerts.notifier import Notifier
    from target_pinterest_audience.routing.orders import ListReport

_HELP = """Send the people in a Singer stream, hashed, to a Pinterest customer list.

Example: tap-postgres --config tap.json | target-pinterest-audience --config target.json

`--about --format markdown` shows all settings. Exit codes: 0 done, 1 output that nobody takes, a full disk, or a bug,
2 configuration, 3 authorisation, 4 Pinterest unavailable, 5 too many rejected rows, or a batch refused, 6 more removals
than allowed, 7 the ledger, 8 a broken stream, 128 + n signal n.
"""

_MOST_FORMER_SINKS = 8
"""How many schemas of a stream are kept in mind besides the one in use."""


class TargetPinterestAudience(Target):
    """Keeps Pinterest customer lists in step with the rows of a Singer stream."""

    name = "target-pinterest-audience"
    package_name = "target-pinterest-audience"
    config_jsonschema: ClassVar[dict[str, Any]] = config_jsonschema()
    capabilities: ClassVar[list[Any]] = CAPABILITIES
    default_sink_class = CustomerListSink
    message_reader: MessageReader

    def __init__(
        self,
        *,
        config: dict[str, Any] | PurePath | str | list[PurePath | str] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        setup_mapper: bool = True,
        message_reader: MessageReader | None = None,
    ) -> None:
        """Check the configuration and prepare; nothing is asked of Pinterest yet.

        Args:
            config: the settings.
            parse_env_config: whether to read settings from the environment too.
            validate_config: taken for the SDK's sake; the configuration is always checked.
            setup_mapper: whether to prepare stream maps.
            message_reader: where messages come from, if not from standard input.

        Raises:
            ConfigurationError: a setting breaks a rule.
        """
        self.settings: Settings
        self._termination = Termination()
        super().__init__(
            config=config,
            parse_env_config=parse_env_config,
            validate_config=validate_config,
            setup_mapper=setup_mapper,
            message_reader=message_reader or MessageReader(self._tick),
        )
        # drain_all would otherwise start threads; it finds no sinks, since ours are not the SDK's.
        self.max_parallelism = 1
        self.arrivals = Arrivals(self.settings, self.config.get("stream_maps") or {})
        self.run_log = RunLog(self.settings, self.name, self.plugin_version, self.logger, time.time)
        self._notifier: Notifier | None = None
        self._stream_sinks: dict[tuple[str, str], CustomerListSink] = {}
        self._former_sinks: dict[tuple[str, str], list[CustomerListSink]] = {}
        """The sinks of other schemas that a stream had lately, which may come again."""
        self._row_maps: dict[str, Sequence[RowMap]] = {}
        """Stream, as the tap calls it → what makes each of its outputs."""
        self._declared: dict[str, AbstractSet[str]] = {}
        """Stream → the columns that its SCHEMA declares."""
        self._written: dict[str, Mapping[str, Collection[str]]] = {}
        """Stream → column → the other names that its SCHEMA gives it."""
        self._progress: Progress | None = None
        shield = self._termination.shield
        self.current_run = connect(self.settings, user_agent(), self.logger, self._write_state_message, shield)

    @classmethod
    def get_plugin_version(cls) -> str:
        """Return the version of this target."""
        return program_version()

    # Configuration

    def setup_mapper(self) -> None:
        """Prepare the stream maps.

        Raises:
            ConfigurationError: the SDK does not take them. Its own message is not repeated: it shows expressions.
        """
        try:
            super().setup_mapper()
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever its parsers raise
            msg = (
                f"`stream_maps` or the flattening settings cannot be used ({type(error).__name__}). Hold them against "
                "the Singer SDK's documentation; flattening needs `flattening_max_depth`."
            )
            raise ConfigurationError(msg) from None

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:  # noqa: ARG002 - the SDK's signature
        """Check the configuration by our own rules: the SDK's messages show values and its exit code is 1."""
        self.settings, self._config = resolve_settings(self._config)
        return []

    @classmethod
    def cb_config(  # type: ignore[override]
        cls,
        ctx: object,  # noqa: ARG003 - the SDK's signature
        param: object,  # noqa: ARG003 - likewise
        value: tuple[str, ...],
    ) -> dict[str, Any]:
        """Read the configuration that `--config` names. Raises as `read_config` does."""
        return read_config(value)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command line, with a help text for people."""
        command = super().get_singer_command()
        command.help = _HELP
        return command

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: dict[str, Any] | None = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Run the target, as the command line asks.

        Raises:
            TargetError: the run failed; what could be delivered was, and its STATE is written.
        """
        if about:
            cls.print_about(about_format)
            return
        if not config:
            msg = "No settings were given: use `--config FILE` or, for the environment and `.env`, `--config ENV`."
            raise ConfigurationError(msg)
        target = cls(config=config)
        ended_by: BaseException | None = None
        try:
            target.run(file_input)
        except BaseException as error:
            ended_by = error
            raise
        finally:
            target.close(ended_by)

    def run(self, file_input: IO[str] | None = None) -> None:
        """Read a stream to its end, and deliver it.

        Raises:
            TargetError: as `invoke`.
        """
        self._notifier = make_notifier(self.settings.notify_urls)
        self.run_log.begin()
        if file_input is None and sys.stdin is not None and sys.stdin.isatty():
            self.logger.warning(
                "Standard input is a terminal: waiting for Singer messages. Pipe a tap into the target, or name a file "
                "with `--input`. Ctrl-D ends the input."
            )
        self._show_progress(file_input)
        try:
            self.listen(file_input)
            found = {column for sink in self._stream_sinks.values() for column in sink.columns}
            self.run_log.warn_of_unused(self.message_reader.line, found, self.arrivals.unused())
        except (StreamError, RejectedError) as broken:
            # What came before the broken line, or the bad row, is whole.
            try:
                self.current_run.flush()
            except TargetError:
                self.logger.error("%s", broken)  # noqa: TRY400 - two things went wrong; the other is told by who raises
                raise
            raise

    def _show_progress(self, file_input: IO[str] | None) -> None:
        """Show how far the run is, if standard error is a terminal."""

        def look() -> Snapshot:
            rows = sum(tally.rows for tally in list(self.run_log.tallies.values()))
            return self.current_run.progress(rows, share_of_file(file_input or sys.stdin))

        self._progress = on_terminal(look, self.logger)
        if self._progress is not None:
            self._progress.start()

    def close(self, ended_by: BaseException | None) -> None:
        """Send nothing more, and tell what happened.

        Args:
            ended_by: what ended the run before its end.
        """
        lists: list[ListReport] = []
        refused: list[RefusedMembers] = []
        with contextlib.ExitStack() as last:
            # Each of these is done, the last first, also if a second signal ends another.
            last.callback(lambda: self._send_alerts(ended_by, lists, refused))
            last.callback(self.current_run.close)
            last.callback(lambda: self._end_history(ended_by))
            last.callback(
                lambda: self.run_log.end_report(ended_by, self.current_run.lists(), self.current_run.delivery.traffic)
            )
            last.callback(lambda: lists.extend(self.current_run.lists()))
            last.callback(self.run_log.close_rejects)
            last.callback(
                lambda: self.run_log.tell_summary(self.current_run.lists(), self.current_run.delivery.traffic)
            )
            last.callback(lambda: self.run_log.warn_of_refused(refused))
            last.callback(lambda: refused.extend(self.current_run.mass_refusals()))
            if self._progress is not None:
                last.callback(self._progress.stop)
            self.current_run.stop()

    def _send_alerts(
        self, ended_by: BaseException | None, lists: list[ListReport], refused: list[RefusedMembers]
    ) -> None:
        """Tell people what is worth an alert; nothing after a signal, when there is no time for it."""
        if self._notifier is None or isinstance(ended_by, Terminated):
            return
        # Only for who is to be told.
        from target_pinterest_audience.ledger.history import RUN  # noqa: PLC0415
        from target_pinterest_audience.reporting.alerts.board import send_alerts  # noqa: PLC0415
        from target_pinterest_audience.reporting.alerts.rules import Ended  # noqa: PLC0415

        code, error = self.run_log.outcome(ended_by)
        tallies = self.run_log.tallies.values()
        ended = Ended(
            RUN,
            code,
            error,
            received=sum(tally.received for tally in tallies),
            rejected=sum(tally.rejected for tally in tallies),
            sign_in_seconds=self.current_run.delivery.sign_in_seconds,
            nobody_consents=tuple(each for tally in tallies if (each := tally.nobody_consents) is not None),
            empty=self.run_log.empty,
            refused=tuple(refused),
        )
        send_alerts(self._notifier, self.settings, ended, lists, self.run_log.began, logger=self.logger)

    def _end_history(self, ended_by: BaseException | None) -> None:
        """Note the run in the ledger for people; that it cannot be noted is a warning."""
        code, _ = self.run_log.outcome(ended_by)
        try:
            self.current_run.end_history(code, self.run_log.tallies.values(), empty=self.run_log.empty)
        except LedgerError as error:
            if not isinstance(ended_by, LedgerError):
                self.logger.warning("The history of runs does not tell how this run ended. %s", error)

    # Messages

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Make the sinks of a stream ready for a schema."""
        self._assert_line_requires(message_dict, requires={"stream", "schema"})
        stream, keys = self._stream_of(message_dict), message_dict.get("key_properties") or []
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            msg = f"The SCHEMA of stream {stream} has `key_properties` that are no list of names. The tap is at fault."
            raise StreamError(msg)
        message_keys, keys = keys, plain_names(keys)
        options = self.mapper.flattening_options
        schema = read_schema(message_dict["schema"], keys, flattens=options.enabled and options.max_level > 0)
        if schema is None:
            msg = (
                f"The SCHEMA of stream {stream} holds no JSON schema, or declares a column by something else than a "
                "schema. The tap is at fault: check its log."
            )
            raise StreamError(msg)
        try:
            self.mapper.register_raw_stream_schema(stream, schema, keys)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever an expression does, with its text
            msg = (
                f"`stream_maps` cannot be used for stream {stream} ({type(error).__name__}). Look for an expression "
                "that is not Python, a column that is not there, or a key that is dropped."
            )
            raise ConfigurationError(msg) from None
        self.current_run.note_stream(stream, incremental=bool(message_dict.get("bookmark_properties")))
        if stream == MELTANO_TEST_STREAM:
            self._check_readiness()
        self._row_maps[stream] = row_maps(self.mapper, stream, schema, self._row_maps.get(stream, ()))
        self._declared[stream] = schema["properties"].keys()
        self._written[stream] = marked_names([*written_names(message_dict["schema"]), *message_keys])
        outputs = [each for each in self._row_maps[stream] if not isinstance(each.stream_map, RemoveRecordTransform)]
        self.arrivals.arrive(stream, [each.stream_map.stream_alias for each in outputs])
        for row_map in outputs:
            self._open_sink(stream, row_map)
        self._choose_way(stream)

    def _check_readiness(self) -> None:
        """Do for `meltano config test` what `pinterest-audience check` does.

        Raises:
            TargetError: something is not in order.
        """
        from target_pinterest_audience.run import readiness  # noqa: PLC0415 - only for who asks

        account = readiness.connect(self.settings, user_agent(), self.logger, self._termination.shield)
        with contextlib.closing(account):
            for result in readiness.run_checks(self.settings, account):
                if result.error is not None:
                    raise result.error
                level = logging.WARNING if result.warning else logging.INFO
                self.logger.log(level, "%s: %s", result.check, result.detail)

    def _choose_way(self, stream: str) -> None:
        """Let a stream's records be decoded in blocks, unless something looks at them whole or changes them."""
        records, maps = self.message_reader.records, self.mapper.stream_maps[stream]
        sink = self._stream_sinks.get((stream, maps[0].stream_alias))
        unchanged = len(maps) == 1 and isinstance(maps[0], SameRecordTransform) and not maps[0].flattening_enabled
        if sink is not None and unchanged and not sink.reads_row_by_row:
            records.need(stream, sink.needed_columns, sink.process_block, self._written[stream])
        else:
            records.forget(stream)

    def _open_sink(self, stream: str, row_map: RowMap) -> None:
        """Make a sink, unless there is one for just this schema and key, or was a moment ago.

        The SDK keeps one sink for each alias, so that of two streams mapped to one the rows of the first would be read
        by the columns of the second. Here each stream has its own under each alias; they hold no rows.
        """
        stream_map = row_map.stream_map
        # A copy: the SDK's sinks take columns out of the schema that they are given.
        alias, schema = stream_map.stream_alias, without_bare_types(copy.deepcopy(stream_map.transformed_schema))
        row_map.watch(self.settings.for_stream(alias).removal_column)
        key_properties = stream_map.transformed_key_properties or []
        known = self._stream_sinks.get((stream, alias))
        if known is not None and known.reads(schema, key_properties, row_map.raw_columns):
            return
        # Some taps alternate between SCHEMAs, once for each record.
        former = self._former_sinks.setdefault((stream, alias), [])
        again = next((each for each in former if each.reads(schema, key_properties, row_map.raw_columns)), None)
        if known is not None:
            former.append(known)
        if again is not None:
            former.remove(again)
            self._stream_sinks[stream, alias] = again
            return
        while len(former) > _MOST_FORMER_SINKS:
            former.pop(0).retire()
        try:
            self._stream_sinks[stream, alias] = CustomerListSink(
                self, alias, schema, key_properties,
                raw_stream=stream, raw_columns=row_map.raw_columns, passed_columns=row_map.passed_columns,
            )  # fmt: skip
        except InvalidJSONSchema:
            msg = f"The SCHEMA of stream {stream} is not a JSON schema, so `validate_records` cannot be obeyed."
            raise StreamError(msg) from None

    def _stream_of(self, message_dict: dict[str, Any]) -> str:
        stream = message_dict["stream"]
        if not isinstance(stream, str):
            msg = f"The message on line {self.message_reader.line} does not name its stream. The tap is at fault."
            raise StreamError(msg)
        return stream

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Hand a row to its sinks.

        Unlike the SDK's own method this keeps the `_sdc_` columns, which say that a row is deleted; does not parse
        dates, where a bad one in any column would end the run; and never drains by age.
        """
        self._assert_line_requires(message_dict, requires={"stream", "record"})
        stream, raw = self._stream_of(message_dict), message_dict["record"]
        place = self.message_reader.place
        if stream not in self.mapper.stream_maps:
            msg = f"A record of stream {stream} ({place}) came before its SCHEMA. The tap is at fault."
            raise RecordBeforeSchemaError(msg)
        if not isinstance(raw, dict):
            msg = f"The record on {place} is not an object. The tap is at fault."
            raise StreamError(msg)
        if self._written[stream] or not self._declared[stream] <= raw.keys():
            raw = plain_columns(raw) if has_marks(raw) else raw
        for row_map in self._row_maps[stream]:
            sink = self._stream_sinks.get((stream, row_map.stream_map.stream_alias))
            mapped = row_map.apply(raw, place, sink.known_by, sink.columns) if sink is not None else None
            if sink is None or mapped is None:
                continue
            record, deleted = mapped
            sink.process_record(record, {"deleted": deleted, "place": place})
            sink.record_counter_metric.increment()

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Let a STATE wait for what it covers; the SDK's `_latest_state` stays empty, or it would write it early."""
        self._assert_line_requires(message_dict, requires={"value"})
        self.current_run.hold_state(message_dict["value"], self.message_reader.line)

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Pass over: it comes at the start, at the end, at both or never, and proves nothing about the stream."""

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Read the files of a BATCH message, before the next message is read."""
        self._assert_line_requires(message_dict, requires={"stream", "encoding", "manifest"})
        stream, place = self._stream_of(message_dict), self.message_reader.place
        if stream not in self.mapper.stream_maps:
            msg = f"A BATCH of stream {stream} ({place}) came before its SCHEMA. The tap is at fault."
            raise RecordBeforeSchemaError(msg)
        files = BatchFiles.of(message_dict, place.line)
        if any(sink.columns for (raw_stream, _), sink in self._stream_sinks.items() if raw_stream == stream):
            self.message_reader.read_files(stream, files)
        else:
            self.message_reader.skip_files()

    def process_endofpipe(self) -> None:
        """Deliver what waits and see to the audiences; then let the sinks log their counts.

        Raises:
            TargetError: something could not be delivered, or no stream had anything to deliver.
            StreamError: neither a row nor a STATE came, and `empty_stream` is `fail`.
        """
        self.arrivals.refuse_unmapped()
        self.current_run.deliver()
        self.run_log.refuse_too_many_rejects()
        if self.message_reader.nothing_came:
            self.run_log.note_empty()
        self.current_run.finish(empty=self.run_log.empty)
        self.run_log.check_balance()
        for sink in [*self._stream_sinks.values(), *itertools.chain.from_iterable(self._former_sinks.values())]:
            sink.clean_up()
        super().process_endofpipe()

    # The process's edges

    def _tick(self) -> None:
        self.current_run.tick()

    def _write_state_message(self, state: dict[str, Any]) -> None:
        """Write a STATE to standard output."""
        aside: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if self._progress is not None and sys.stdout.isatty():
            aside = self._progress.aside()
        with self._termination.shield(), aside:
            write_line(serialize_json(state))

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the SDK's
        """Leave at once, in place of the SDK's handler, which writes a STATE for rows that were not delivered."""
        self._termination.arrived(signum)
