"""Errors that the SDK has classes for, and that have our exit codes."""

from __future__ import annotations

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from target_pinterest_audience.errors import MissingKeyError, StreamError


class RecordBeforeSchemaError(StreamError, RecordsWithoutSchemaException):
    """A record arrived before the SCHEMA of its stream."""


class MissingKeyPropertyError(MissingKeyError, MissingKeyPropertiesError):
    """A record lacks a property that its SCHEMA names as a key."""
