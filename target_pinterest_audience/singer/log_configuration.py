"""Configures logging through the SDK, and checks the variables that it reads."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.singer.target import TargetPinterestAudience

if TYPE_CHECKING:
    import click

_LOG_CONFIG: Final = "SINGER_SDK_LOG_CONFIG"
"""The variable that names the SDK's log configuration."""

_LEVELS: Final = ("TARGET_PINTEREST_AUDIENCE_LOGLEVEL", "LOGLEVEL")
"""The variables for the log level, by precedence."""


def configured_command() -> click.Command:
    """Return the SDK's command. Making it configures logging.

    Raises:
        ConfigurationError: the log level is not valid, or the file with the log configuration cannot be used.
    """
    _check_level()
    if _LOG_CONFIG in os.environ and not Path(os.environ[_LOG_CONFIG]).is_file():
        # The SDK would go on without this configuration, and people would miss the logs.
        msg = f"{_LOG_CONFIG} does not name a file that exists. Correct the variable, or unset it."
        raise _logged_anyway(msg)
    try:
        command: click.Command = TargetPinterestAudience.cli
    except Exception as error:
        if _LOG_CONFIG not in os.environ:
            raise
        reason = getattr(error, "strerror", None) or type(error).__name__
        msg = (
            f"The log configuration that {_LOG_CONFIG} names cannot be used ({reason}). It must be YAML or JSON for "
            "Python's `logging.config.dictConfig`. Correct the file, or unset the variable."
        )
        raise _logged_anyway(msg) from None
    # Without `disable_existing_loggers: false`, a configuration disables the loggers that it does not name.
    TargetPinterestAudience.logger.disabled = False
    # The SDK logs this for every `--config`, since it does not read the environment itself here.
    TargetPinterestAudience.logger.addFilter(lambda record: not record.getMessage().startswith("Skipping parse of env"))
    # The SDK's mapper logs the results of filters at DEBUG, which can be personal data, and expressions at INFO.
    logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)
    return command


def _check_level() -> None:
    """Check the log level that the SDK will use.

    Raises:
        ConfigurationError: it is not the name of a level.
    """
    for name in _LEVELS:
        level = os.environ.get(name)
        if level == "":
            # The SDK would take this for a level, which does not exist.
            del os.environ[name]
        elif level is not None:
            if not isinstance(logging.getLevelName(level.upper()), int):
                msg = f"{name} must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
                raise _logged_anyway(msg)
            return


def _logged_anyway(message: str) -> ConfigurationError:
    """Return an error, and make sure that it can be logged even if logging is only partly configured."""
    logging.basicConfig(level=logging.INFO, force=True)
    TargetPinterestAudience.logger.disabled = False
    return ConfigurationError(message)
