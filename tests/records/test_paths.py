"""Paths into the objects and arrays of a column, in records of JSON and in Parquet files."""

from __future__ import annotations

import io
import json
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from target_pinterest_audience.records.block import RecordBlock
from target_pinterest_audience.records.decoder import RecordDecoder
from target_pinterest_audience.records.parquet.reader import read_tables
from target_pinterest_audience.records.paths import MISPLACED, Path, find_paths, resolve, with_paths
from target_pinterest_audience.records.position import Place

TEXT: dict[str, Any] = {"type": ["null", "string"]}
OPEN: dict[str, Any] = {"type": ["null", "object"]}


def objects(**properties: Any) -> dict[str, Any]:
    return {"type": ["null", "object"], "properties": properties}


def arrays(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["null", "array"], "items": items}


COLUMNS: dict[str, Any] = {
    "customer": objects(email=TEXT, address=objects(phone=TEXT), **{"e.mail": TEXT}),
    "emails": arrays(objects(value=TEXT, kind=TEXT)),
    "names": arrays(TEXT),
    "document": OPEN,
    "anything": {},
    "maybe": {"anyOf": [{"type": "null"}, objects(email=TEXT)]},
    "plus": {**objects(a=TEXT), "additionalProperties": True},
    "user.email": TEXT,
    "user": objects(email=TEXT, name=TEXT),
    "deep[]": TEXT,
    "city": TEXT,
}


def path(column: str, *fields: str) -> tuple[str, list[str]]:
    return column, list(fields)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("city", path("city")),
        ("customer.email", path("customer", "email")),
        ("customer.address.phone", path("customer", "address", "phone")),
        ("customer.e.mail", path("customer", "e.mail")),
        ("customer.phone", None),
        ("customer.email.x", None),
        ("Customer.email", None),
        ("emails", path("emails")),
        ("emails[]", path("emails")),
        ("emails[].value", path("emails", "value")),
        ("emails.value", path("emails", "value")),
        ("emails[].valeu", None),
        ("names[]", path("names")),
        ("names[].value", None),
        ("document.a.b[].c", path("document", "a", "b", "c")),
        ("anything.email", path("anything", "email")),
        ("maybe.email", path("maybe", "email")),
        ("maybe.mail", None),
        ("plus.a", path("plus", "a")),
        ("plus.other", path("plus", "other")),
        ("user.email", path("user.email")),
        ("user.name", path("user", "name")),
        ("deep[]", path("deep[]")),
        ("city.email", None),
        ("missing.email", None),
        ("document.", None),
    ],
)
def test_a_name_is_a_column_or_else_a_path(name: str, found: tuple[str, list[str]] | None) -> None:
    resolved = resolve(name, COLUMNS)
    assert (resolved and (resolved.column, [field.name for field in resolved.fields])) == found


def test_a_schema_that_declares_nothing_allows_every_path() -> None:
    assert resolve("customer.email", {}) is None
    assert resolve("customer.emails[].value", {}, is_open=True) == resolve("customer.emails.value", {"customer": {}})


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"email": "a"}, "a"),
        ({"email": None}, None),
        ({"other": "a"}, None),
        ({}, None),
        (None, None),
        ([], None),
        ("", None),
        (" ", None),
        ("a", MISPLACED),
        (7, MISPLACED),
        (False, MISPLACED),
        ({"email": ["a", "b"]}, ["a", "b"]),
        ([{"email": "a"}, None, {}], ["a", None, None]),
        ([{"email": ["b", None]}, 7, [{"email": "c"}]], ["b", None, MISPLACED, MISPLACED]),
        ({"email": {"email": "a"}}, {"email": "a"}),
    ],
)  # fmt: skip
def test_what_lies_at_the_end_of_a_path(value: object, found: object) -> None:
    paths = find_paths(["customer.email"], {"customer": {}})
    assert with_paths({"id": 1, "customer": value}, paths) == {"id": 1, "customer": value, "customer.email": found}
    assert column_in([value], paths) == [found]


def test_a_path_whose_column_is_not_in_the_record_is_missing() -> None:
    paths = find_paths(["customer.email"], {"customer": {}})
    assert with_paths({"id": 1}, paths) == {"id": 1}
    block = block_of([{"id": 1}, {"id": 2, "customer": {"email": "a"}}], paths)
    assert [block.record(index) for index in range(2)] == [{"id": 1}, {"id": 2, "customer.email": "a"}]


def block_of(records: list[dict[str, Any]], paths: dict[str, Path]) -> RecordBlock:
    decoder, blocks = RecordDecoder(), list[RecordBlock]()
    decoder.need("s", ["id", *paths], blocks.append, {}, paths)
    text = b"".join(json.dumps({"type": "RECORD", "stream": "s", "record": each}).encode() + b"\n" for each in records)
    for take, block in cast("Any", decoder.runs(text, Place(1))):
        take(block)
    (block,) = blocks
    return block


def column_in(values: list[Any], paths: dict[str, Path], name: str = "customer.email") -> list[Any]:
    return list(block_of([{"id": n, "customer": value} for n, value in enumerate(values)], paths).column(name))


leaves = st.sampled_from(["a", "b", "", None, 7, True])
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["email", "more", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = find_paths(["customer.email", "customer.more.email", "customer.more.x[].email"], {"customer": {}})


@given(st.lists(values, min_size=1, max_size=5))
def test_a_block_is_read_like_its_records(several: list[Any]) -> None:
    block = block_of([{"id": n, "customer": value} for n, value in enumerate(several)], PATHS)
    for index, value in enumerate(several):
        whole = with_paths({"customer": value}, PATHS)
        expected = {name: whole[name] for name in PATHS}
        assert {name: block.column(name)[index] for name in PATHS} == expected
        assert block.record(index) == {"id": index, **expected}


def test_a_column_that_another_stream_needs_as_a_whole_is_read_as_a_whole() -> None:
    decoder, taken = RecordDecoder(), list[list[Any]]()
    paths = find_paths(["customer.email"], {"customer": {}})
    decoder.need("a", ["customer.email"], lambda block: taken.append(list(block.column("customer.email"))), {}, paths)
    decoder.need("b", ["customer"], lambda block: taken.append(list(block.column("customer"))))
    text = "".join(
        json.dumps({"type": "RECORD", "stream": stream, "record": {"customer": {"email": "a"}}}) + "\n"
        for stream in "ab"
    )
    for take, block in cast("Any", decoder.runs(text.encode(), Place(1))):
        take(block)
    assert taken == [["a"], [{"email": "a"}]]


def in_parquet(columns: dict[str, Any], needed: list[str], schema: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return what is read of the needed columns and paths of a file."""
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, **options)
    file.seek(0)
    ((found, size),) = list(read_tables(file, needed, find_paths(needed, schema)))
    assert size == len(next(iter(columns.values())))
    return {name: list(each) for name, each in found.items()}


CUSTOMERS = [{"email": "a", "city": {"name": "x"}}, None, {"email": None, "city": None}, {"email": "d", "city": {}}]


@pytest.mark.parametrize("compliant", [True, False])
def test_paths_into_a_parquet_file(*, compliant: bool) -> None:
    emails = [[{"value": "a", "kind": "w"}, {"value": "b", "kind": None}], None, [], [None]]
    columns = {
        "id": pa.array(range(4)),
        "customer": pa.array(CUSTOMERS),
        "emails": pa.array(emails),
        "names": pa.array([["a", "b"], None, [], [None]], pa.list_(pa.string())),
        "city": pa.array(["x"] * 4),
        "user.email": pa.array(["u"] * 4),
        "user": pa.array([{"email": "v", "name": "n"}] * 4),
    }
    needed = [
        "id", "customer.email", "customer.city.name", "customer.phone", "emails[].value", "names[]", "user.email",
        "user.name", "city.email", "lost.email",
    ]  # fmt: skip
    schema: dict[str, Any] = {**{name: {} for name in columns}, "lost": {}}
    found = in_parquet(columns, needed, schema, use_compliant_nested_type=compliant)
    assert found == {
        "id": [0, 1, 2, 3],
        "customer.email": ["a", None, None, "d"],
        "customer.city.name": ["x", None, None, None],
        "customer.phone": [None] * 4,
        "emails[].value": [["a", "b"], None, None, [None]],
        "names[]": [["a", "b"], None, [], [None]],
        "user.email": ["u"] * 4,
        "user.name": ["n"] * 4,
        "city.email": [MISPLACED] * 4,
    }


def test_a_file_that_has_nothing_of_a_path_gives_nulls() -> None:
    schema: dict[str, Any] = {"customer": {}}
    assert in_parquet({"customer": CUSTOMERS}, ["customer.phone"], schema) == {"customer.phone": [None] * 4}
    assert in_parquet({"id": [1, 2]}, ["id", "customer.phone"], schema) == {"id": [1, 2]}


def test_a_column_and_a_path_into_it_are_both_read() -> None:
    found = in_parquet({"customer": CUSTOMERS}, ["customer", "customer.email"], {"customer": {}})
    assert [each and each["email"] for each in found["customer"]] == found["customer.email"] == ["a", None, None, "d"]
