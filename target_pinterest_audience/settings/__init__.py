"""The settings: declared in one place, read from files and the environment, checked, and turned into values."""

from __future__ import annotations

from target_pinterest_audience.settings.declaration import config_jsonschema
from target_pinterest_audience.settings.origins import Source, described, merged, refuse_to_leak
from target_pinterest_audience.settings.resolve import (
    BadRecords,
    EmptyStream,
    LoadMethod,
    MissingLedger,
    Mode,
    Settings,
    StreamSettings,
    UnmappedStreams,
    resolve,
)
from target_pinterest_audience.settings.sources import (
    environment_sources,
    read_config_files,
    read_environment,
    unread_variables,
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
