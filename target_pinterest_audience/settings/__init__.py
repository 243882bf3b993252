"""The settings: declared, read from files and the environment, and checked."""

from __future__ import annotations

from target_pinterest_audience.settings.origins import Source, described, merged, refuse_to_leak
from target_pinterest_audience.settings.resolve import resolve
from target_pinterest_audience.settings.sources import (
    environment_sources,
    read_config_files,
    read_environment,
    unread_variables,
)
from target_pinterest_audience.settings.stream_settings import LoadMethod, Mode, StreamSettings
from target_pinterest_audience.settings.target_settings import (
    BadRecords,
    EmptyStream,
    MissingLedger,
    Settings,
    UnmappedStreams,
    config_jsonschema,
)

__all__ = [
    "BadRecords",
    "EmptyStream",
    "LoadMethod",
    "MissingLedger",
    "Mode",
    "Settings",
    "Source",
    "StreamSettings",
    "UnmappedStreams",
    "config_jsonschema",
    "described",
    "environment_sources",
    "merged",
    "read_config_files",
    "read_environment",
    "refuse_to_leak",
    "resolve",
    "unread_variables",
]
