"""Parses the Singer messages that name a stream."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from typing import Any, NamedTuple

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.records.column_names import marked_names, plain_names
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.singer.errors import AT_FAULT, RecordBeforeSchemaError
from target_pinterest_audience.singer.stream_schemas import Schema, read_schema, written_names


def stream_of(message: Mapping[str, Any], line: int) -> str:
    """Return the stream that a message names.

    Raises:
        StreamError: the name is not a text.
    """
    stream = message["stream"]
    if not isinstance(stream, str):
        msg = f"The message on line {line:,} does not name its stream. {AT_FAULT}"
        raise StreamError(msg)
    return stream


def known_stream(message: Mapping[str, Any], place: Place, known: Container[str]) -> str:
    """Return the stream that a RECORD or BATCH message names.

    Args:
        message: the message.
        place: its position.
        known: the streams whose SCHEMA has arrived.

    Raises:
        StreamError: the name is not a text, or the stream's SCHEMA has not arrived.
    """
    stream = stream_of(message, place.line)
    if stream not in known:
        msg = f"A {message['type']} of stream {stream} ({place}) came before its SCHEMA. {AT_FAULT}"
        raise RecordBeforeSchemaError(msg)
    return stream


class SchemaMessage(NamedTuple):
    """A SCHEMA message.

    Attributes:
        stream: the stream's name.
        key_properties: the columns of its key, without byte order marks.
        schema: its JSON schema, in a form that the SDK accepts.
        written: column → other names that the message gives it, with byte order marks.
        has_bookmark: whether the message names a column for incremental syncs.
    """

    stream: str
    key_properties: list[str]
    schema: Schema
    written: Mapping[str, Collection[str]]
    has_bookmark: bool

    @classmethod
    def parse(cls, message: Mapping[str, Any], line: int, *, flattens: bool) -> SchemaMessage:
        """Parse a SCHEMA message.

        Args:
            message: the message.
            line: its line in the stream.
            flattens: whether the SDK will flatten the schema.

        Raises:
            StreamError: the message is malformed.
        """
        stream, keys = stream_of(message, line), message.get("key_properties") or []
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            msg = f"The SCHEMA of stream {stream} has `key_properties` that are not a list of names. {AT_FAULT}"
            raise StreamError(msg)
        key_properties = plain_names(keys)
        schema = read_schema(message["schema"], key_properties, flattens=flattens)
        if schema is None:
            msg = (
                f"The SCHEMA of stream {stream} has no JSON schema, or declares a column with something other than a "
                f"schema. {AT_FAULT}"
            )
            raise StreamError(msg)
        written = marked_names([*written_names(message["schema"]), *keys])
        return cls(stream, key_properties, schema, written, bool(message.get("bookmark_properties")))
