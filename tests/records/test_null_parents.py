"""Null parents: a tap that flattens objects itself leaves the columns of a null object out, and they are null."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.records.null_parents import expected_columns, find_null_parents
from tests.support.account import members
from tests.support.batch_files import batch, write
from tests.support.messages import address, digests, record, schema
from tests.support.processes import Target

TEXT = {"type": "string"}
NOTHING = {"type": "null"}
WAYS: dict[str, dict[str, Any]] = {
    "blocks": {},
    "one by one": {"validate_records": True},
    "a stream map": {"stream_maps": {"customers": {"note": "'x'"}}},
}
"""Each way that records take through the target → its settings."""


def described(**columns: dict[str, Any]) -> dict[str, Any]:
    """A SCHEMA as a tap infers it from some records: a column is a text, or only ever null."""
    message = schema()
    message["schema"]["properties"].update(columns)
    return message


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "max_removal_percent": 100}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nothing", [None, {}])
@pytest.mark.parametrize("separator", ["_", "__", "."])
def test_a_null_object_empties_the_columns_that_its_tap_made_of_it(
    emulator: Emulator, run_target: Target, way: str, nothing: Any, separator: str
) -> None:
    column = f"contact{separator}email"
    settings: dict[str, Any] = {"identity_columns": {column: "EMAIL"}, **WAYS[way]}
    message = described(**{column: TEXT})
    run_target([message, *[record(id=n, **{column: address(n)}) for n in range(4)]], **settings)
    assert members(emulator) == digests(range(4))
    done = run_target([message, record(id=1, contact=nothing), record(id=2), record(id=3, contact={"x": 1})],
                      **settings)  # fmt: skip
    assert done.code == 0, done.stderr
    assert "reject" not in done.stderr
    assert members(emulator) == digests([0, 2, 3])


@pytest.mark.parametrize("way", WAYS)
def test_a_null_object_of_consent_is_a_refusal(emulator: Emulator, run_target: Target, way: str) -> None:
    settings: dict[str, Any] = {"consent_column": "marketing_state", "consent_values": ["subscribed"], **WAYS[way]}
    message = described(email=TEXT, marketing_state=TEXT, marketing=NOTHING)
    rows = [record(id=n, email=address(n), marketing_state="subscribed") for n in range(3)]
    assert run_target([message, *rows], **settings).code == 0
    done = run_target([message, record(id=1, email=address(1), marketing=None), record(id=2, email=address(2))],
                      **settings)  # fmt: skip
    assert done.code == 0, done.stderr
    assert members(emulator) == digests([0, 2])


@pytest.mark.parametrize("way", WAYS)
def test_a_null_object_of_the_name_of_the_list_names_none(emulator: Emulator, run_target: Target, way: str) -> None:
    settings: dict[str, Any] = {"list_name_column": "segment_name", **WAYS[way]}
    message = described(email=TEXT, segment_name=TEXT)
    run_target([message, *[record(id=n, email=address(n), segment_name="a") for n in range(3)]], **settings)
    assert run_target([message, record(id=1, email=address(1), segment=None)], **settings).code == 0
    assert members(emulator, "a") == digests([0, 2])


@pytest.mark.parametrize("way", WAYS)
def test_a_null_value_of_its_own_is_no_null_object(emulator: Emulator, run_target: Target, way: str) -> None:
    # Neither a column that the SCHEMA declares as a text, nor one that holds identities, whatever its type.
    for email in ({"type": ["null", "string"]}, NOTHING):
        message = described(email=email, email_address={"type": ["null", "string"]})
        settings: dict[str, Any] = {"identity_columns": {"email": "EMAIL", "email_address": "EMAIL"}, **WAYS[way]}
        run_target([message, record(id=1, email_address=address(1), email=None)], **settings)
        assert run_target([message, record(id=1, email=None)], **settings).code == 0
        assert members(emulator) == digests([1])


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_of_files_say_the_same(emulator: Emulator, run_target: Target, tmp_path: Path, kind: str) -> None:
    settings: dict[str, Any] = {"identity_columns": {"contact_email": "EMAIL", "part.email": "EMAIL"}}
    part = {"type": ["null", "object"], "properties": {"email": TEXT}}
    message = described(contact_email=TEXT, part=part)
    first = write(tmp_path / "1", [{"id": n, "contact_email": address(n)} for n in range(3)], kind)
    run_target([message, batch(kind, first)], **settings)
    rows: list[dict[str, Any]] = [{"id": 1, "contact": None}, {"id": 2, "contact": {"x": "y"}}]
    done = run_target([message, batch(kind, write(tmp_path / "2", rows, kind))], **settings)
    assert done.code == 0, done.stderr
    assert members(emulator) == digests([0, 2])
    done = run_target([message, batch(kind, write(tmp_path / "3", [{"id": 2, "contact": None}], kind))], **settings)
    assert done.code == 0, done.stderr
    assert members(emulator) == digests([0])


@pytest.mark.parametrize("way", WAYS)
def test_a_column_that_the_tap_no_longer_declares_is_null_with_its_object(
    emulator: Emulator, run_target: Target, way: str
) -> None:
    settings: dict[str, Any] = {"identity_columns": {"email": "EMAIL", "contact_email": "EMAIL"}, **WAYS[way]}
    before = described(email=TEXT, contact_email=TEXT)
    run_target([before, record(id=1, email=address(1), contact_email=address(2))], **settings)
    assert members(emulator) == digests([1, 2])
    # The address of nobody is left, so that the tap finds only nulls.
    after = described(email=TEXT, contact=NOTHING)
    assert run_target([after, record(id=1, email=address(1), contact=None)], **settings).code == 0
    assert members(emulator) == digests([1])


def test_the_columns_of_an_object_are_those_behind_its_name_and_a_separator() -> None:
    columns = ["a_b_email", "a.phone", "ab", "c__d", "e_"]
    found = find_null_parents(columns, dict.fromkeys(columns, TEXT))
    assert found.children == {"a": ("a_b_email", "a.phone"), "a_b": ("a_b_email",), "c": ("c__d",), "c_": ("c__d",)}
    assert find_null_parents(["a_b"], {"a": {"type": ["object", "null"]}}).children
    assert find_null_parents(["a_b"], {"a": {"anyOf": [NOTHING, {"type": "object"}]}}).children
    for kind in ({}, TEXT, {"type": ["null", "integer"]}, {"anyOf": [NOTHING, TEXT]}, True):
        assert not find_null_parents(["a_b"], {"a": kind}).children
    assert not find_null_parents(["a_b"], {}, ["a"]).children


@pytest.mark.parametrize("line", [b'{"a": null}', b'{"b": 1, "a":{ }}', b'{"\\u0061" : null}', b'{"a":\t{}}'])
def test_a_line_with_a_null_parent_is_found_however_it_is_written(line: bytes) -> None:
    assert find_null_parents(["a_email"], {}).may_apply(line)
    assert not find_null_parents(["a"], {}).may_apply(line)
    assert not find_null_parents(["a_email"], {}).may_apply(b'{"a": {"b": "null"}, "null": 1}')


def test_a_column_is_expected_only_if_nothing_else_of_its_object_is_declared() -> None:
    assert expected_columns(["a_b", "a_b", None, "x_y"], {"a": NOTHING}) == ["a_b"]
    assert expected_columns(["a.b"], {"a": NOTHING}) == ["a.b"]
    # A misspelt name must be found.
    assert expected_columns(["a_bb"], {"a": NOTHING, "a_b": TEXT}) == []
    assert expected_columns(["a_b"], {"a": {"type": ["object", "null"]}}) == []
