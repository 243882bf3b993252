"""Column names behind the byte order mark that a CSV file begins with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.membership.row_keys import Digester
from target_pinterest_audience.records.column_names import marked_names, plain_columns, plain_expressions, plain_name
from tests.support.account import Sent, members
from tests.support.messages import address, digests, record, schema, state
from tests.support.processes import Target

MARK = "\ufeff"
LATIN = "\xef\xbb\xbf"
UPSERT: dict[str, Any] = {"load_method": "upsert"}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("email", "email"), (f"{MARK}email", "email"), (f"{LATIN}email", "email"), (f"{MARK}{LATIN}{MARK}id", "id"),
        (f'{MARK}"email"', "email"), ('"email"', '"email"'), (f"e{MARK}mail", f"e{MARK}mail"), (MARK, MARK),
        (f'{MARK}""', f'{MARK}""'), ("", ""), (f"{MARK} email", " email"),
    ],
)  # fmt: skip
def test_a_byte_order_mark_is_not_part_of_a_name(name: str, plain: str) -> None:
    assert plain_name(name) == plain
    assert marked_names([name, name]) == ({plain: [name]} if name != plain else {})


def test_of_two_columns_that_become_one_the_one_with_a_value_counts() -> None:
    assert plain_columns({f"{MARK}email": None, "email": "a", "id": 1}) == {"email": "a", "id": 1}
    assert plain_columns({f"{MARK}email": "a", "email": None}) == {"email": "a"}


def test_stream_maps_that_name_the_mark_still_work() -> None:
    maps = {
        "a": {f"{MARK}email": "__NULL__", "email": rf"record['\ufeffemail'] or record['{MARK}email']"},
        "b": {"email": "email", "__else__": "__NULL__", "__key_properties__": ["id"]},
        "c": None, "d": {"__key_properties__": [f"{MARK}id"], f"{MARK}id": "self"},
    }  # fmt: skip
    assert plain_expressions(maps) == {
        "a": {"email": "record['email'] or record['email']"},
        "b": maps["b"], "c": None, "d": {"__key_properties__": ["id"], "id": "self"},
    }  # fmt: skip


def marked(message: dict[str, Any], *names: str, mark: str = MARK) -> dict[str, Any]:
    """A message in which some columns are behind a byte order mark."""

    def rename(columns: dict[str, Any]) -> dict[str, Any]:
        return {f"{mark}{name}" if name in names else name: value for name, value in columns.items()}

    message = json.loads(json.dumps(message))
    if message["type"] == "RECORD":
        return {**message, "record": rename(message["record"])}
    message["schema"]["properties"] = rename(message["schema"]["properties"])
    return {**message, "key_properties": [*rename(dict.fromkeys(message["key_properties"]))]}


def customers(numbers: range) -> list[dict[str, Any]]:
    return [record(id=n, email=address(n)) for n in numbers]


SCHEMA = schema("email", "_sdc_deleted_at")
GONE = record(id=2, _sdc_deleted_at="2026-11-21T00:00:00Z")


@pytest.mark.parametrize("settings", [{}, {"validate_records": True}], ids=["in blocks", "one by one"])
@pytest.mark.parametrize("column", ["email", "id"])
@pytest.mark.parametrize("mark", [MARK, LATIN])
@pytest.mark.parametrize("escapes", [True, False])
def test_a_byte_order_mark_makes_no_difference_in_any_place(
    emulator: Emulator, run_target: Target, column: str, mark: str, settings: dict[str, Any], *, escapes: bool
) -> None:
    # A SCHEMA with it, records with and without it; then a SCHEMA without it, and records with it.
    stream = [marked(SCHEMA, column, mark=mark)]
    stream += [marked(each, column, mark=mark) for each in customers(range(20))] + customers(range(20, 40))
    stream += [marked(GONE, column, mark=mark), SCHEMA, *customers(range(40, 60))]
    stream += [marked(each, column, mark=mark) for each in customers(range(60, 80))]
    stream += [state({f"{mark}{column}": 1})]
    text = "".join(json.dumps(each, ensure_ascii=escapes) + "\n" for each in stream)
    run = run_target(text, **UPSERT, **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(80)) - digests([2])
    assert run.states == [{"bookmarks": {"at": {f"{mark}{column}": 1}}}]


def test_a_quoted_header_after_a_byte_order_mark_is_read(emulator: Emulator, run_target: Target) -> None:
    name = f'{MARK}"email"'
    named: dict[str, Any] = {"id": 1, name: address(1)}
    stream = [schema(name), record(**named), record(id=2, email=address(2))]
    assert run_target(stream).code == 0
    assert members(emulator) == digests([1, 2])


@pytest.mark.parametrize(
    "settings",
    [
        {"identity_columns": {f"{MARK}email": "EMAIL"}},
        {"streams": {"customers": {"identity_columns": {f"{MARK}email": "EMAIL"}}}},
        {"consent_column": f"{MARK}email", "identity_columns": {"mail": "EMAIL"}, "consent_values": [address(1)]},
        {"list_name_column": f"{MARK}segment"},
        {"stream_maps": {"customers": {"email": f"record['{MARK}email'].lower()", f"{MARK}email": "__NULL__"}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("in_stream", [True, False])
def test_settings_may_name_the_column_with_or_without_the_mark(
    emulator: Emulator, run_target: Target, settings: dict[str, Any], *, in_stream: bool
) -> None:
    names = ("email", "mail", "segment") if in_stream else ()
    is_list = "list_name_column" in settings
    row = record(id=1, email=address(1), mail=address(1), segment="vip")
    run = run_target([marked(schema("email", "mail", "segment"), *names), marked(row, *names)], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator, "vip" if is_list else "customers") == digests([1])


@pytest.mark.parametrize("settings", [{}, {"validate_records": True}], ids=["in blocks", "one by one"])
def test_files_are_read_in_the_same_way(
    emulator: Emulator, run_target: Target, tmp_path: Path, settings: dict[str, Any]
) -> None:
    rows = [each["record"] for each in customers(range(20))]
    plain, lines, columns = (tmp_path / name for name in ("plain.jsonl", "marked.jsonl", "marked.parquet"))
    plain.write_text("".join(json.dumps(each) + "\n" for each in rows[:5]))
    lines.write_text(
        "".join(json.dumps({"id": each["id"], f"{MARK}email": each["email"]}) + "\n" for each in rows[5:10])
    )
    parquet.write_table(
        pa.table({f"{MARK}id": [each["id"] for each in rows[10:]], "email": [each["email"] for each in rows[10:]]}),
        columns,
    )

    def batch(*files: Path, **encoding: str) -> dict[str, Any]:
        return {
            "type": "BATCH", "stream": "customers", "encoding": encoding,
            "manifest": [f"file://{each}" for each in files],
        }  # fmt: skip

    stream = [schema("email"), batch(plain, lines, format="jsonl", compression="none")]
    stream += [marked(schema("email"), "id"), batch(columns, format="parquet")]
    run = run_target(stream, **UPSERT, **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(20))


def test_rows_stored_under_a_key_with_the_mark_are_still_found(
    run_target: Target, sent: Sent, rename_key: Callable[[], None]
) -> None:
    # Under one digest, or the second run would add the new address beside the old one.
    rows = Digester(b"secret", "realm").rows("customers", ["id", "at"], {}, known_as={"id": f"{MARK}id"})
    before = Digester(b"secret", "realm").rows("customers", [f"{MARK}id", "at"], {})
    assert rows({"id": 1, "at": 2}) == before({f"{MARK}id": 1, "at": 2})
    assert run_target([schema("email"), *customers(range(3))], **UPSERT).code == 0
    rename_key()
    run = run_target([marked(schema("email"), "id"), *(marked(each, "id") for each in customers(range(3)))], **UPSERT)
    assert run.code == 0, run.stderr
    changed = run_target([schema("email", "x", key=["x"]), record(id=1, x="1", email=address(1))], **UPSERT)
    assert changed.code == 2
    assert len(sent()) == 1


@pytest.fixture
def rename_key(config: dict[str, Any]) -> Callable[[], None]:
    """Have the ledger name the key as earlier versions did, for whom the mark was a part of it."""

    def rename() -> None:
        with sqlite3.connect(config["ledger_url"].removeprefix("sqlite:///")) as ledger:
            assert ledger.execute("UPDATE sources SET key_properties = ?", [json.dumps([f"{MARK}id"])]).rowcount == 1

    return rename
