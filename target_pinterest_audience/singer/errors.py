"""Errors that are also errors of the SDK, so that code built on the SDK can catch them."""

from __future__ import annotations

from typing import Final

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from target_pinterest_audience.errors import MissingKeyError, StreamError

AT_FAULT: Final = "The tap, or something between the tap and this target, is at fault. Check the tap's log."
"""Ends the message about a malformed line."""


class RecordBeforeSchemaError(StreamError, RecordsWithoutSchemaException):
    """A record arrived before the SCHEMA of its stream."""


class MissingKeyPropertyError(MissingKeyError, MissingKeyPropertiesError):
    """A record lacks a key property of its SCHEMA."""
