"""Malformed SCHEMA messages are refused without a word of what they hold."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.singer.errors import RecordBeforeSchemaError
from target_pinterest_audience.singer.messages import SchemaMessage, known_stream

SCHEMA: dict[str, Any] = {"properties": {"email": {"type": "string"}}}


def test_a_schema_message_is_parsed() -> None:
    raw = {"stream": "customers", "schema": SCHEMA, "key_properties": ["id"], "bookmark_properties": ["updated"]}
    message = SchemaMessage.parse(raw, 1, flattens=False)
    assert (message.stream, message.key_properties, message.has_bookmark) == ("customers", ["id"], True)
    assert list(message.schema["properties"]) == ["email", "id"]
    assert message.written == {}


def test_names_with_a_byte_order_mark_are_also_read_as_written() -> None:
    raw = {"stream": "customers", "schema": {"properties": {"\ufeffemail": {}}}, "key_properties": ["\ufeffid"]}
    message = SchemaMessage.parse(raw, 1, flattens=False)
    assert message.key_properties == ["id"]
    assert message.written == {"email": ["\ufeffemail"], "id": ["\ufeffid"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stream": None}, "message on line 7 does not name its stream"),
        ({"key_properties": "person"}, "`key_properties` that are not a list of names"),
        ({"key_properties": ["id", 1]}, "`key_properties` that are not a list of names"),
        ({"schema": ["person"]}, "has no JSON schema"),
        ({"schema": {"properties": {"email": "person"}}}, "has no JSON schema"),
    ],
)
def test_a_malformed_schema_message_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StreamError, match=words) as refused:
        SchemaMessage.parse({"stream": "customers", "schema": SCHEMA, **changes}, 7, flattens=False)
    assert "person" not in str(refused.value)


def test_a_record_needs_the_schema_of_its_stream() -> None:
    message = {"type": "RECORD", "stream": "customers"}
    assert known_stream(message, Place(1), {"customers"}) == "customers"
    with pytest.raises(RecordBeforeSchemaError, match="A RECORD of stream customers"):
        known_stream(message, Place(1), {"orders"})
