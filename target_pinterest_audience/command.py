"""The target as a command: a command line comes in, and an exit code and a line that say how it ended come out."""

from __future__ import annotations

import logging
import signal
import traceback

import click

from target_pinterest_audience.errors import ConfigurationError, Terminated, outcome
from target_pinterest_audience.redaction import redact_handlers
from target_pinterest_audience.target import TargetPinterestAudience

_USAGE = 2


def run(arguments: list[str]) -> int:
    """Run the target.

    Args:
        arguments: the command line, without the program's name.

    Returns:
        The exit code: 0 for success, 128 + n after signal n, else that of the error's class.
    """
    logger: logging.Logger = TargetPinterestAudience.logger
    try:
        command = _command()
        redact_handlers()
        result = command.main(arguments, prog_name=TargetPinterestAudience.name, standalone_mode=False)
    except click.ClickException as error:
        logger.error("%s", error.format_message())  # noqa: TRY400 - a traceback would not help
        return _USAGE
    except Terminated as terminated:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        code, words = outcome(terminated, TargetPinterestAudience.name)
        logger.warning("%s", words)
        return code
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, no value may be shown
        code, words = outcome(error, TargetPinterestAudience.name)
        logger.error("%s", words)  # noqa: TRY400 - the traceback is for DEBUG
        _log_traceback(logger, error)
        return code
    return result if isinstance(result, int) else 0


def _command() -> click.Command:
    """Set logging up and return the command.

    Raises:
        ConfigurationError: the log level is none.
    """
    try:
        command: click.Command = TargetPinterestAudience.cli
    except ValueError:
        logging.basicConfig(level=logging.INFO)
        msg = "LOGLEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
        raise ConfigurationError(msg) from None
    # The SDK says this whatever `--config` says, since it is not the one that reads the environment.
    TargetPinterestAudience.logger.addFilter(lambda record: not record.getMessage().startswith("Skipping parse of env"))
    # At DEBUG the SDK's mapper logs what filters evaluate to, which can be a person; at INFO their expressions.
    logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)
    return command


def _log_traceback(logger: logging.Logger, error: BaseException) -> None:
    """Log where an error came from, without its message or any variable: either could hold a value."""
    for frame in traceback.extract_tb(error.__traceback__):
        logger.debug("  %s, line %s, in %s", frame.filename, frame.lineno, frame.name)
