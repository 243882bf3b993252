"""The command line and the configuration of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk import Target
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities

from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.settings import Settings, config_jsonschema
from target_pinterest_audience.settings.load import read_config, resolve_settings
from target_pinterest_audience.system.version import program_version

if TYPE_CHECKING:
    import click

    from target_pinterest_audience.reporting.run_log import RunLog
    from target_pinterest_audience.run.run import Run
    from target_pinterest_audience.singer.checks.stream_names import StreamNames
    from target_pinterest_audience.singer.output import Output
    from target_pinterest_audience.singer.reader import MessageReader

_HELP: Final = """Keep Pinterest customer lists in step with a Singer stream. Plain values are hashed before sending.

Example: tap-postgres --config tap.json | target-pinterest-audience --config target.json

`--about --format markdown` shows all settings. Exit codes: 0 success, 1 standard output closed, disk full or a bug, 2
configuration, 3 authorisation, 4 Pinterest unavailable, 5 too many rejected values or a refused batch, 6 more removals
than allowed, 7 ledger, 8 malformed stream, 128 + n signal n.
"""


class ConfiguredTarget(Target):
    """A target with our settings and our command line, in place of the SDK's.

    The sinks, the streams and the lifecycle know the target by this class, and use the parts that it has for them.

    Attributes:
        settings: the settings.
        message_reader: reads the messages.
        run_log: the counts and reports of the run.
        stream_names: matches the streams with the settings.
        output: writes STATE.
        current_run: the run.
    """

    name = "target-pinterest-audience"
    package_name = "target-pinterest-audience"
    config_jsonschema: ClassVar[dict[str, Any]] = config_jsonschema()
    capabilities: ClassVar[list[Any]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]
    settings: Settings
    message_reader: MessageReader
    run_log: RunLog
    stream_names: StreamNames
    output: Output
    current_run: Run

    @classmethod
    def get_plugin_version(cls) -> str:
        """Return the version of this target."""
        return program_version()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command line with our own help text."""
        command = super().get_singer_command()
        command.help = _HELP
        return command

    @classmethod
    def print_about(cls, output_format: str | None = None) -> None:
        """Print the settings, in the format that `--format` names.

        Raises:
            OutputError: standard output is closed or full.
        """
        try:
            super().print_about(output_format)
        except OSError as error:
            msg = f"The settings cannot be printed: standard output is closed or full ({error.strerror})."
            raise OutputError(msg) from None

    @classmethod
    def cb_config(  # type: ignore[override]
        cls,
        ctx: object,  # noqa: ARG003 - the SDK's signature
        param: object,  # noqa: ARG003 - the SDK's signature
        value: tuple[str, ...],
    ) -> dict[str, Any]:
        """Read the configuration that `--config` names. Raises the errors of `read_config`."""
        return read_config(value)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:  # noqa: ARG002 - the SDK's signature
        """Check the configuration by our own rules: the SDK's messages show values, and its exit code is 1."""
        self.settings, self._config = resolve_settings(self._config)
        return []

    def setup_mapper(self) -> None:
        """Prepare the stream maps.

        Raises:
            ConfigurationError: the SDK rejects the settings. Its own message, which shows expressions, is not repeated.
        """
        try:
            super().setup_mapper()
        except Exception as error:  # noqa: BLE001 - the SDK raises the errors of its parsers
            msg = (
                f"`stream_maps` or the flattening settings cannot be used ({type(error).__name__}). Compare them with "
                "the Singer SDK's documentation. Flattening needs `flattening_max_depth`."
            )
            raise ConfigurationError(msg) from None
