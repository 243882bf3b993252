"""The command `target-pinterest-audience`: runs the target, and turns its errors into log lines and exit codes."""

from __future__ import annotations

import logging
import signal
import traceback
from typing import Final

import click

from target_pinterest_audience.errors import Terminated, outcome
from target_pinterest_audience.singer.log_configuration import configured_command
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.text.redaction import redact_handlers

_USAGE: Final = 2


def run(arguments: list[str]) -> int:
    """Run the target.

    Args:
        arguments: the command line, without the program's name.

    Returns:
        The exit code: 0 for success, 128 + n after signal n, otherwise the error's exit code.
    """
    logger: logging.Logger = TargetPinterestAudience.logger
    try:
        command = configured_command()
        redact_handlers()
        result = command.main(arguments, prog_name=TargetPinterestAudience.name, standalone_mode=False)
    except click.ClickException as error:
        logger.error("%s", error.format_message(), extra={"exit_code": _USAGE})  # noqa: TRY400 - a traceback is no help
        return _USAGE
    except Terminated as terminated:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        code, message = outcome(terminated, TargetPinterestAudience.name)
        logger.warning("%s", message, extra={"exit_code": code})
        return code
    except Exception as error:  # noqa: BLE001 - the last resort: no error may show a value
        code, message = outcome(error, TargetPinterestAudience.name)
        logger.error("%s", message, extra={"exit_code": code})  # noqa: TRY400 - the traceback is logged at DEBUG
        _log_traceback(logger, error)
        return code
    return result if isinstance(result, int) else 0


def _log_traceback(logger: logging.Logger, error: BaseException) -> None:
    """Log the traceback of an error without its message and variables, which could hold a value of a record."""
    for frame in traceback.extract_tb(error.__traceback__):
        logger.debug("  %s, line %s, in %s", frame.filename, frame.lineno, frame.name)
