"""The Singer target: the messages that it takes from the SDK."""

from __future__ import annotations

import time
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any

from target_pinterest_audience.errors import ConfigurationError, StreamError
from target_pinterest_audience.records.batch_files import BatchFiles
from target_pinterest_audience.reporting.run_log import RunLog
from target_pinterest_audience.run.wiring import connect
from target_pinterest_audience.singer.checks.config_check import MELTANO_TEST_STREAM, check_readiness
from target_pinterest_audience.singer.checks.stream_names import StreamNames
from target_pinterest_audience.singer.configuration import ConfiguredTarget
from target_pinterest_audience.singer.errors import AT_FAULT
from target_pinterest_audience.singer.lifecycle import Lifecycle
from target_pinterest_audience.singer.messages import SchemaMessage, known_stream
from target_pinterest_audience.singer.output import Output
from target_pinterest_audience.singer.reader import MessageReader
from target_pinterest_audience.singer.sink import CustomerListSink
from target_pinterest_audience.singer.streams import Streams
from target_pinterest_audience.system.signals import Termination
from target_pinterest_audience.system.version import user_agent

if TYPE_CHECKING:
    from types import FrameType


class TargetPinterestAudience(ConfiguredTarget):
    """Keeps Pinterest customer lists in step with the rows of a Singer stream."""

    # `--about` and the plugin definition show the text above as the description of the target.

    default_sink_class = CustomerListSink

    def __init__(
        self,
        *,
        config: dict[str, Any] | PurePath | str | list[PurePath | str] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        setup_mapper: bool = True,
        message_reader: MessageReader | None = None,
    ) -> None:
        """Check the configuration and prepare. This sends no request.

        Args:
            config: the settings.
            parse_env_config: whether to read settings from the environment, too.
            validate_config: ignored; the configuration is always checked.
            setup_mapper: whether to prepare stream maps.
            message_reader: reads the messages; by default, from standard input.

        Raises:
            ConfigurationError: the configuration is not valid.
        """
        self._termination = Termination()
        super().__init__(
            config=config,
            parse_env_config=parse_env_config,
            validate_config=validate_config,
            setup_mapper=setup_mapper,
            message_reader=message_reader or MessageReader(self._tick),
        )
        # The SDK would start threads to drain its own sinks, of which there are none: `streams` has ours.
        self.max_parallelism = 1
        self.run_log = RunLog(self.settings, self.name, self.plugin_version, self.logger, time.time)
        self.stream_names = StreamNames(self.settings, self.config.get("stream_maps") or {})
        self.streams = Streams(self)
        """The streams of the run."""
        shield = self._termination.shield
        self.output = Output(self.logger, shield)
        self.current_run = connect(self.settings, user_agent(), self.logger, self.output.write_state, shield)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: dict[str, Any] | None = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Run the target with the options of the command line.

        Raises:
            TargetError: the run failed. Rows before a malformed line or a rejected value are delivered.
        """
        if about:
            cls.print_about(about_format)
            return
        if not config:
            msg = "There are no settings. Pass `--config FILE`, or `--config ENV` for the environment and `.env`."
            raise ConfigurationError(msg)
        Lifecycle(cls(config=config)).run(file_input)

    # Messages

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Open the sinks of a stream."""
        self._assert_line_requires(message_dict, requires={"stream", "schema"})
        options = self.mapper.flattening_options
        flattens = options.enabled and options.max_level > 0
        message = SchemaMessage.parse(message_dict, self.message_reader.line, flattens=flattens)
        self.current_run.note_stream(message.stream, incremental=message.has_bookmark)
        if message.stream == MELTANO_TEST_STREAM:
            check_readiness(self.settings, self.logger, self._termination.shield)
        self.streams.take_schema(message)

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Pass a row to the sinks of its stream.

        Unlike the SDK's own method, this keeps the `_sdc_` columns, which mark deleted rows. It does not parse dates,
        since a bad one in any column would end the run. And it never drains sinks by age.
        """
        self._assert_line_requires(message_dict, requires={"stream", "record"})
        place, raw = self.message_reader.place, message_dict["record"]
        stream = known_stream(message_dict, place, self.mapper.stream_maps)
        if not isinstance(raw, dict):
            msg = f"The record on {place} is not a JSON object. {AT_FAULT}"
            raise StreamError(msg)
        self.streams.take_record(stream, raw, place)

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Hold a STATE until its rows are accepted.

        The SDK's `_latest_state` stays empty, or the SDK would write it too early.
        """
        self._assert_line_requires(message_dict, requires={"value"})
        self.current_run.hold_state(message_dict["value"], self.message_reader.line)

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Ignore it: taps send it at the start, at the end, at both or never, so it proves nothing about the stream."""

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Read the files of a BATCH message, before the next message is read."""
        self._assert_line_requires(message_dict, requires={"stream", "encoding", "manifest"})
        place = self.message_reader.place
        stream = known_stream(message_dict, place, self.mapper.stream_maps)
        files = BatchFiles.of(message_dict, place.line)
        if self.streams.has_identities(stream):
            self.message_reader.read_files(stream, files)
        else:
            self.message_reader.skip_files()

    def process_endofpipe(self) -> None:
        """Deliver the remaining rows and create audiences, at the end of the input.

        Raises:
            TargetError: rows could not be delivered, or no stream had identities.
            StreamError: the input had neither a row nor a STATE, and `empty_stream` is `fail`.
        """
        self.stream_names.check_mapped()
        self.current_run.deliver()
        self.run_log.check_rejected_share()
        if self.message_reader.nothing_came:
            self.run_log.warn_of_empty_stream()
        self.current_run.finish(empty=self.run_log.empty)
        self.run_log.check_balance()
        for sink in self.streams.sinks():
            # The SDK's sinks log their counts here.
            sink.clean_up()
        super().process_endofpipe()
        names = self.stream_names
        for name in names.dropped():
            self.logger.warning("`streams` has settings for %s, but `stream_maps` drops that stream.", name)
        self.run_log.warn_of_unused_settings(self.message_reader.line, self.streams.identity_columns, names.unused())

    # Time and signals

    def _tick(self) -> None:
        self.current_run.tick()

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the SDK's signature
        """End the run at once. The SDK's own handler would write a STATE for rows that were not delivered."""
        self._termination.handle(signum)
