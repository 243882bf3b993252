"""The command `target-pinterest-audience`: runs the target, and ends with an exit code and a line that say why."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback

import click

from target_pinterest_audience.errors import TargetError, Terminated
from target_pinterest_audience.target import TargetPinterestAudience

_BUG = 1
_USAGE = 2


def main() -> None:
    """Run the target with the process's arguments, and exit."""
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the target.

    Args:
        arguments: the command line, without the program's name.

    Returns:
        The exit code: 0 for success, 128 + n after signal n, else that of the error's class.
    """
    logger: logging.Logger = TargetPinterestAudience.logger
    try:
        command: click.Command = TargetPinterestAudience.cli
        result = command.main(arguments, prog_name=TargetPinterestAudience.name, standalone_mode=False)
    except TargetError as error:
        logger.error("%s", error)  # noqa: TRY400 - the traceback is for DEBUG
        _log_traceback(logger, error)
        return error.exit_code
    except Terminated as terminated:
        name = signal.Signals(terminated.signum).name
        logger.warning("%s: stopped. What Pinterest had accepted stays; the rest comes with the next run.", name)
        return 128 + terminated.signum
    except click.ClickException as error:
        logger.error("%s", error.format_message())  # noqa: TRY400 - a traceback would not help
        return _USAGE
    except BrokenPipeError:
        # Nobody reads our STATE any more; standard output must not be flushed again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        logger.error("Standard output was closed, so no STATE can be handed over. Look at what runs the target.")  # noqa: TRY400
        return _BUG
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, no value may be shown
        where = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(  # noqa: TRY400 - a traceback's last line could hold a value
            "This is a bug in target-pinterest-audience (%s in %s, line %s). Please report it with these words; run "
            "with LOGLEVEL=DEBUG for the place.",
            type(error).__name__, where.name, where.lineno,
        )  # fmt: skip
        _log_traceback(logger, error)
        return _BUG
    return result if isinstance(result, int) else 0


def _log_traceback(logger: logging.Logger, error: BaseException) -> None:
    """Log where an error came from, without its message or any variable: either could hold a value."""
    for frame in traceback.extract_tb(error.__traceback__):
        logger.debug("  %s, line %s, in %s", frame.filename, frame.lineno, frame.name)
