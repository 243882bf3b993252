"""The target as a command: a command line comes in, and an exit code and a line that say how it ended come out."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from pathlib import Path
from typing import Final

import click

from target_pinterest_audience.errors import ConfigurationError, Terminated, outcome
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.text.redaction import redact_handlers

_USAGE = 2

_LOG_CONFIG: Final = "SINGER_SDK_LOG_CONFIG"
"""The variable that names the SDK's log configuration."""

_LEVELS: Final = ("TARGET_PINTEREST_AUDIENCE_LOGLEVEL", "LOGLEVEL")
"""The variables for the log level; the first that is set counts."""


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
        ConfigurationError: the log level is none, or the file with the log configuration cannot be used.
    """
    _check_level()
    if _LOG_CONFIG in os.environ and not Path(os.environ[_LOG_CONFIG]).is_file():
        # The SDK would go on, with logs that are missing where somebody looks for them.
        msg = f"{_LOG_CONFIG} names a file that does not exist. Correct the variable, or unset it."
        raise _without_logs(msg)
    try:
        command: click.Command = TargetPinterestAudience.cli
    except Exception as error:
        if _LOG_CONFIG not in os.environ:
            raise
        reason = getattr(error, "strerror", None) or type(error).__name__
        msg = (
            f"The log configuration that {_LOG_CONFIG} names cannot be used ({reason}). It must be YAML or JSON as "
            "Python's `logging.config.dictConfig` takes it. Correct the file, or unset the variable."
        )
        raise _without_logs(msg) from None
    # A configuration that does not name a logger disables it, unless it says otherwise: errors would go nowhere.
    TargetPinterestAudience.logger.disabled = False
    # The SDK says this whatever `--config` says, since it is not the one that reads the environment.
    TargetPinterestAudience.logger.addFilter(lambda record: not record.getMessage().startswith("Skipping parse of env"))
    # At DEBUG the SDK's mapper logs what filters evaluate to, which can be a person; at INFO their expressions.
    logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)
    return command


def _without_logs(message: str) -> ConfigurationError:
    """Return an error about logging, which by then may be set up by half: it is to be seen all the same."""
    logging.basicConfig(level=logging.INFO, force=True)
    TargetPinterestAudience.logger.disabled = False
    return ConfigurationError(message)


def _check_level() -> None:
    """Make sure that the log level is one, wherever the SDK will take it from.

    Raises:
        ConfigurationError: it is none.
    """
    for name in _LEVELS:
        level = os.environ.get(name)
        if level == "":
            # To the SDK that is a level, and not one that exists.
            del os.environ[name]
        elif level is not None:
            if not isinstance(logging.getLevelName(level.upper()), int):
                msg = f"{name} must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
                raise _without_logs(msg)
            return


def _log_traceback(logger: logging.Logger, error: BaseException) -> None:
    """Log where an error came from, without its message or any variable: either could hold a value."""
    for frame in traceback.extract_tb(error.__traceback__):
        logger.debug("  %s, line %s, in %s", frame.filename, frame.lineno, frame.name)
