"""Loads the settings of a command line from the files and the environment that `--config` names."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.records.column_names import plain_expressions
from target_pinterest_audience.settings.origins import Source, merged, refuse_to_leak
from target_pinterest_audience.settings.resolve import resolve
from target_pinterest_audience.settings.sdk_settings import with_sdk_settings
from target_pinterest_audience.settings.sources import environment_sources, read_config_files, unread_variables
from target_pinterest_audience.settings.target_settings import Settings, config_jsonschema
from target_pinterest_audience.text.redaction import hide

PREFIX: Final = "TARGET_PINTEREST_AUDIENCE_"
"""The prefix of environment variables."""

_logger: Final = logging.getLogger("target-pinterest-audience")


def resolve_settings(raw: Mapping[str, Any], *, needs_sign_in: bool = True) -> tuple[Settings, dict[str, Any]]:
    """Check a configuration, and return the settings and the whole configuration in plain form.

    Args:
        raw: the configuration as it was read.
        needs_sign_in: see `resolve`.

    Raises:
        ConfigurationError: a setting breaks a rule.
    """
    settings, config = resolve(raw, os.environ, needs_sign_in=needs_sign_in)
    hide(settings.secrets)
    if config.get("stream_maps"):
        config["stream_maps"] = plain_expressions(config["stream_maps"])
    return settings, config


def read_config(names: tuple[str, ...]) -> dict[str, Any]:
    """Read a configuration from files, and from the environment for the word ENV.

    Raises:
        ConfigurationError: a file or a variable cannot be read, or a token would be sent to an address that only a
            found `.env` names.
    """
    return merged(read_sources(names))


def read_sources(names: tuple[str, ...]) -> list[Source]:
    """Read a configuration as `read_config` does, but keep its sources apart."""
    sources = [Source(path, read_config_files((path,))) for path in names if path != "ENV"]
    schema = with_sdk_settings(config_jsonschema())
    folder = _working_directory()
    if "ENV" in names:
        sources += environment_sources(schema, PREFIX, folder)
        refuse_to_leak(sources)
        return sources
    config = merged(sources)
    unread = unread_variables(config, schema, PREFIX, folder, os.environ) if names else []
    if unread:
        _logger.warning(
            "These variables are set, but `--config` names only files, so they are not read: %s. Add `--config ENV` to "
            "read them.", ", ".join(unread),
        )  # fmt: skip
    return sources


def _working_directory() -> Path:
    """Return the working directory.

    Raises:
        ConfigurationError: it was deleted, or a folder above it cannot be read.
    """
    try:
        return Path.cwd()
    except OSError as error:
        msg = f"The working directory cannot be read ({error.strerror}). Start the program in one that exists."
        raise ConfigurationError(msg) from None
