"""Whatever JSON Schema allows, a stream is read by it."""

from __future__ import annotations

import copy
import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from singer_sdk.mapper import PluginMapper
from singer_sdk.sinks.core import JSONSchemaValidator

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.records.decoder import RecordDecoder
from target_pinterest_audience.routing.near_names import nearest_column
from target_pinterest_audience.singer.sink import CustomerListSink
from target_pinterest_audience.singer.stream_maps.row_map import row_maps
from target_pinterest_audience.singer.stream_schemas import read_schema, without_bare_types
from target_pinterest_audience.singer.target import TargetPinterestAudience
from tests.support.account import members
from tests.support.messages import address, digests, people, record, schema, state
from tests.support.processes import Target

TEXT = {"type": ["null", "string"]}
COLUMNS: list[Any] = [
    True, False, {}, TEXT, {"enum": ["a"]}, {"enum": [1, None]}, {"const": 1}, {"not": {}}, {"examples": ["a"]},
    {"anyOf": [TEXT, {"type": "null"}]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}, {"anyOf": [True, {}]},
    {"oneOf": [{"type": "integer"}, {"type": "null"}]}, {"allOf": [{"$ref": "#/definitions/x"}]}, {"$ref": "#"},
    {"type": "object"}, {"type": "object", "additionalProperties": True}, {"properties": {"z": True}},
    {"type": ["null", "object"], "properties": {"a": True, "b": {"enum": ["x"]}, "c": {"properties": {"d": False}}}},
    {"type": "array", "items": True}, {"if": True, "then": False}, {"dependentRequired": {"a": ["b"]}}, {"type": []},
]  # fmt: skip
WHOLE: dict[str, Any] = {"type": "object", "properties": {"id": True, "x": {"$ref": "#/definitions/x"}}}


def wholes(column: Any) -> Iterator[Any]:
    """Schemas with a column x."""
    properties = {"id": {"type": "integer"}, "x": column}
    yield {"properties": properties}
    yield {"allOf": [True, {"properties": properties}]}
    yield {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"properties": properties}}}
    yield {"anyOf": [{"properties": properties}, {"properties": {"id": True}}]}


@pytest.mark.parametrize("column", COLUMNS, ids=str)
@pytest.mark.parametrize(
    "maps",
    [
        {}, {"s": None}, {"s": {"x": "str(x)"}}, {"s": {"y": "x"}}, {"s": {"y": "record"}}, {"s": {"x": None}},
        {"s": {"id": "id", "x": "x", "__else__": None}}, {"s": {"__filter__": "x"}},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("flattening", [{}, {"flattening_enabled": True, "flattening_max_depth": 3}], ids=str)
def test_the_sdk_can_map_and_flatten_every_valid_schema(column: Any, maps: Any, flattening: Any) -> None:
    for whole in wholes(column):
        read = read_schema(whole, ["id"], flattens=bool(flattening))
        assert read is not None
        assert list(read["properties"]) == ["id", "x"]
        mapper = PluginMapper({"stream_maps": copy.deepcopy(maps), **flattening}, logging.getLogger("test"))
        mapper.register_raw_stream_schema("s", read, ["id"])
        for row_map in row_maps(mapper, "s", read, ()):
            mapped = without_bare_types(copy.deepcopy(row_map.stream_map.transformed_schema))
            nearest_column(mapped["properties"])
            if column != {"type": []}:
                JSONSchemaValidator(mapped)


@pytest.mark.parametrize(
    "column", [TEXT, {"anyOf": [{"type": "null"}, {"type": "string"}]}, {"oneOf": [TEXT]}], ids=str
)
def test_flattening_keeps_a_column_whose_type_is_a_choice(column: Any) -> None:
    read = read_schema({"properties": {"email": column}}, [], flattens=True)
    assert read is not None
    config: dict[str, Any] = {"flattening_enabled": True, "flattening_max_depth": 1}
    mapper = PluginMapper({"stream_maps": {}, **config}, logging.getLogger("test"))
    mapper.register_raw_stream_schema("s", read, None)
    (flat,) = mapper.stream_maps["s"]
    assert list(flat.transformed_schema["properties"]) == ["email"]


@pytest.mark.parametrize(
    "whole",
    [None, 1, "object", [], {"properties": []}, {"properties": {"email": None}}, {"properties": {"a": "string"}}],
)
def test_an_invalid_schema_is_refused(whole: Any) -> None:
    assert read_schema(whole, ["id"]) is None


@pytest.mark.parametrize(
    "whole", [True, {}, {"type": "object"}, {"properties": {}}, {"additionalProperties": True}, {"$ref": "#"}]
)
def test_a_key_is_declared_if_the_schema_lacks_it(whole: Any) -> None:
    read = read_schema(whole, ["_id"])
    assert read is not None
    assert read["properties"] == {"_id": {}}


def test_flattening_can_create_the_key() -> None:
    whole = {"properties": {"contact": {"type": "object", "properties": {"id": {"type": "integer"}}}}}
    read = read_schema(whole, ["contact__id"], flattens=True)
    assert read is not None
    assert list(read["properties"]) == ["contact"]
    unflattened = read_schema(whole, ["contact__id"])
    assert unflattened is not None
    assert list(unflattened["properties"]) == ["contact", "contact__id"]


def test_a_schema_that_the_sdk_understands_stays_unchanged() -> None:
    whole = {**schema("email")["schema"], "required": ["id"], "definitions": {"x": TEXT}, "title": "Customers"}
    assert read_schema(whole, ["id"], flattens=True) == whole


def test_a_very_deep_schema_is_truncated() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"type": "object", "properties": {"x": deep}}
    read = read_schema({"properties": {"email": TEXT, "deep": deep}}, [])
    copy.deepcopy(read)
    assert read is not None
    assert list(read["properties"]) == ["email", "deep"]


WITHOUT_COLUMNS: list[Any] = [
    {"type": "object"}, {}, True, {"type": "object", "properties": {}}, {"additionalProperties": True},
    {"properties": {"x": True, "extra": True, "name": {}}}, {"$ref": "#/definitions/e", "definitions": {"e": True}},
]  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"stream_maps": {"events": None}}, {"stream_maps": {"customers": {}, "__else__": None}},
        {"stream_maps": {"events": {"__filter__": "record.get('x') == 1"}}}, {"validate_records": True},
        {"flattening_enabled": True, "flattening_max_depth": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_stream_without_usable_columns_is_skipped(
    emulator: Emulator, run_target: Target, settings: dict[str, Any]
) -> None:
    stream: list[dict[str, Any]] = [schema("email")]
    for number, whole in enumerate(WITHOUT_COLUMNS):
        events = {"type": "SCHEMA", "stream": "events", "key_properties": ["_id"], "schema": whole}
        stream += [events, record("events", _id=number, x=number, extra={"y": [1]}), *people([number])]
    run = run_target([*stream, state(1)], **settings)
    assert run.code == 0, run.stderr
    assert len(run.states) == 1
    assert members(emulator) == digests(range(len(WITHOUT_COLUMNS)))


def test_a_schema_that_declares_no_columns_is_reported(run_target: Target) -> None:
    events = {"type": "SCHEMA", "stream": "events", "schema": {"type": "object"}}
    run = run_target([events, record("events", email=address(1))])
    assert run.code == 2
    assert "Stream events: it is skipped, because its SCHEMA declares no columns." in run.stderr


@pytest.mark.parametrize(
    "email", [True, {}, {"$ref": "#/definitions/text"}, {"oneOf": [{"type": "null"}, TEXT]}], ids=str
)
@pytest.mark.parametrize("settings", [{}, {"flattening_enabled": True, "flattening_max_depth": 2}], ids=str)
def test_a_column_counts_whatever_its_schema_is(
    emulator: Emulator, run_target: Target, email: Any, settings: dict[str, Any]
) -> None:
    whole = {"properties": {"id": True, "email": email}, "definitions": {"text": TEXT}}
    message = {"type": "SCHEMA", "stream": "customers", "key_properties": ["id"], "schema": whole}
    assert run_target([message, *people([1])], **settings).code == 0
    assert members(emulator) == digests([1])


def test_a_stream_map_over_a_choice_of_types_can_be_validated(emulator: Emulator, run_target: Target) -> None:
    message = schema("email")
    message["schema"]["properties"]["email"] = {"anyOf": [TEXT, {"type": "null"}]}
    maps = {"customers": {"email": "email"}}
    assert run_target([message, *people([1])], stream_maps=maps, validate_records=True).code == 0
    assert members(emulator) == digests([1])


def test_alternating_schemas_take_no_memory(emulator: Emulator, config: dict[str, Any]) -> None:
    target = TargetPinterestAudience(config={**config, "load_method": "upsert"})
    schemas = [schema("email", f"column{number}") for number in range(3)]
    alive: list[int] = []

    def stream() -> Iterator[str]:
        for number in range(300):
            yield "".join(json.dumps(each) + "\n" for each in (schemas[number % 3], *people([number % 5])))
        gc.collect()
        alive.append(sum(isinstance(each, CustomerListSink) for each in gc.get_objects()))

    logging.disable(logging.CRITICAL)
    try:
        target.listen(stream())  # type: ignore[arg-type]
    finally:
        logging.disable(logging.NOTSET)
        target.current_run.close()
    assert alive[0] <= 3
    assert members(emulator) == digests(range(5))


def test_schemas_that_are_not_used_again_are_released(run_target: Target, emulator: Emulator) -> None:
    stream = [each for n in range(30) for each in (schema("email", f"column{n}"), *people([n % 5]))]
    assert run_target(stream, load_method="upsert").code == 0
    assert members(emulator) == digests(range(5))


def test_decoders_are_made_once_for_each_need(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    make = msgspec.defstruct

    def noted(*arguments: Any, **more: Any) -> Any:
        made.append(arguments)
        return make(*arguments, **more)

    monkeypatch.setattr(msgspec, "defstruct", noted)
    records = RecordDecoder()
    for number in range(50):
        records.need("customers", ["id", "email"] if number % 2 else ["id", "mail"], lambda _: None)
        records.need("orders", ["id"], lambda _: None)
    assert len(made) <= 8
