"""The settings: declared in one place, read from files and the environment, checked, and turned into values."""

from __future__ import annotations

from target_pinterest_audience.settings.declaration import config_jsonschema
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
from target_pinterest_audience.settings.sources import read_config_files, read_environment, unread_variables

__all__ = [
    "BadRecords",
    "EmptyStream",
    "LoadMethod",
    "MissingLedger",
    "Mode",
    "Settings",
    "StreamSettings",
    "UnmappedStreams",
    "config_jsonschema",
    "read_config_files",
    "read_environment",
    "resolve",
    "unread_variables",
]
