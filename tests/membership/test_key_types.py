"""The same key in another form is the same row, or the run ends: it never becomes two rows."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from pyarrow import parquet

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.ledger.schema import LOADERS, MIGRATIONS
from target_pinterest_audience.membership.key_forms import FIRST_RULES
from target_pinterest_audience.membership.row_keys import Digester, realm_of
from target_pinterest_audience.records import batch_files
from target_pinterest_audience.records.arrow_column import UuidBytes
from target_pinterest_audience.records.parquet.reader import Table
from tests.support.account import ACCOUNT, Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema, state
from tests.support.processes import Companion, Target

UUID = "ea7583cd-b890-48bc-8f00-0123456789ab"
MOMENT = {"type": "string", "format": "date-time"}
TEXT = {"type": "string"}
NUMBER = {"type": "number"}
DECIMAL_TEXT = {"type": ["null", "string"], "format": "singer.decimal"}


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "max_removal_percent": 100}


def keyed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A SCHEMA whose key has these properties."""
    message = schema("email", "_sdc_deleted_at", key=list(properties))
    message["schema"]["properties"].update(properties)
    return message


def stream(key: Any, property_schema: Mapping[str, Any], **values: Any) -> list[dict[str, Any]]:
    return [keyed({"id": property_schema}), record(id=key, **values), state(1)]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ((1, {"type": "integer"}), ("1", TEXT)),
        (("1", TEXT), (1, {"type": "integer"})),
        ((-12_345, {}), ("-12345", {})),
        ((12345678901234567890, NUMBER), ("12345678901234567890", TEXT)),
        ((1.5, NUMBER), ("1.50", DECIMAL_TEXT)),
        (("1.50", DECIMAL_TEXT), ("1.5", DECIMAL_TEXT)),
        (("1.0", NUMBER), (1, NUMBER)),
        ((UUID, TEXT), (UUID.upper(), TEXT)),
        ((UUID.upper(), {**TEXT, "format": "uuid"}), (UUID, TEXT)),
        (
            ("2026-01-01T00:00:01.000000+00:00", {"anyOf": [MOMENT, {"type": ["string", "null"]}]}),
            ("2026-01-01 00:00:01+00", {"anyOf": [MOMENT, {"type": ["string", "null"]}]}),
        ),
        (
            ("2026-01-01T00:00:01Z", MOMENT),
            ("2026-01-01 01:00:01+01", {"oneOf": [{"type": "null"}, MOMENT]}),
        ),
    ],
)
def test_a_delete_finds_its_row_in_whatever_form_its_key_comes(
    emulator: Emulator, run_target: Target, first: tuple[Any, Any], then: tuple[Any, Any]
) -> None:
    assert run_target([*stream(*first, email=address(1)), record(id="2", email=address(2))]).code == 0
    run = run_target(stream(*then, _sdc_deleted_at="2026-11-21T00:00:00Z"))
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([2])


CHANGES = [
    ((1, {}), ("one", TEXT)),
    ((1, {}), ("01", TEXT)),
    ((1.5, NUMBER), ("1.50", TEXT)),
    (("1.50", TEXT), (1.5, NUMBER)),
    (("one", TEXT), (1, {})),
    (("2026-01-01T00:00:01Z", MOMENT), ("2026-01-01T00:00:01Z", TEXT)),
    (("2026-01-01T00:00:01Z", TEXT), ("2026-01-01T00:00:01Z", MOMENT)),
    (("2026-01-01T00:00:01Z", MOMENT), (1767225601, {})),
    ((True, {}), (1, {})),
    (("1", TEXT), (True, {})),
    (("a", TEXT), (["a"], {})),
    ((1, NUMBER), (UUID, TEXT)),
]


@pytest.mark.parametrize(("first", "then"), CHANGES)
def test_a_key_whose_type_would_make_other_rows_ends_the_run_before_its_rows_are_sent(
    emulator: Emulator, run_target: Target, sent: Sent, first: tuple[Any, Any], then: tuple[Any, Any]
) -> None:
    assert run_target(stream(*first, email=address(1))).code == 0
    sent()
    run = run_target(stream(*then, email=address(2)))
    assert (run.code, run.states, sent()) == (2, [], [])
    assert "The key property id of source customers changed its type" in run.stderr
    assert "another `source_name`" in run.stderr
    # It is no better the next time, and the former type is as good as before.
    assert run_target(stream(*then, email=address(2))).code == 2
    assert run_target(stream(*first, email=address(3))).code == 0
    assert members(emulator) == digests([3])
    assert run_target(stream(*then, email=address(2)), source_name="again").code == 0
    assert members(emulator) == digests([2, 3])


def test_each_key_property_is_checked_by_itself(run_target: Target, sent: Sent) -> None:
    both = keyed({"id": {}, "part": TEXT})
    run_target([both, record(id=1, part="a", email=address(1)), record(id=2, part="2", email=address(2))])
    sent()
    assert run_target([both, record(id="1", part="a", email=address(1))]).code == 0
    assert sent() == []
    run = run_target([both, record(id=1, part=3, email=address(3))])
    assert run.code == 2
    assert "The key property part of source customers changed its type" in run.stderr
    assert "text in former runs and now holds numbers" in run.stderr


def test_no_state_covers_rows_before_a_changed_key_that_were_not_delivered(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([schema("email"), *people([1, 2])])
    changed = [record(id=1, email=address(3)), state(1), record(id="two", email=address(4)), state(2)]
    run = run_target([schema("email"), *changed])
    assert (run.code, run.states) == (2, [])
    assert members(emulator) == digests([1, 2])
    assert run_target([schema("email"), *changed[:2]]).states == [state(1)["value"]]
    assert members(emulator) == digests([2, 3])


def test_a_deleted_row_with_a_changed_key_ends_the_run_too(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people([1])])
    run = run_target([message, record(id="x1", _sdc_deleted_at="2026-11-21")])
    assert run.code == 2
    assert members(emulator) == digests([1])


@pytest.mark.parametrize("many", [1, pytest.param(60_000, marks=pytest.mark.slow)])
def test_keys_that_are_mixed_from_the_first_run_on_may_stay_mixed(
    run_target: Target, sent: Sent, emulator: Emulator, many: int
) -> None:
    rows = [*people(range(many)), record(id="x", email="x@example.com"), record(id=True, email="true@example.com")]
    assert run_target([schema("email"), *rows]).code == 0
    assert len(members(emulator)) == many + 2
    sent()
    assert run_target([schema("email"), *reversed(rows)]).code == 0
    assert sent() == []


def test_a_column_of_digits_may_continue_as_text(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email"), *people([1, 2])])
    run_target([schema("email"), record(id="1", email=address(3))])
    run = run_target([schema("email"), record(id="2", email=address(2)), record(id="C-4", email=address(4))])
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([2, 3, 4])
    assert run_target(stream("01", TEXT, email=address(5))).code == 2
    # Where the schema says that it is a number, it is the number.
    assert run_target([schema("email"), record(id="01", email=address(5))]).code == 0
    assert members(emulator) == digests([2, 4, 5])


def test_streams_of_one_source_may_have_their_keys_in_two_types(emulator: Emulator, run_target: Target) -> None:
    streams = [
        schema("email"),
        *people([1]),
        schema("email", stream="leads"),
        record("leads", id="x", email=address(2)),
    ]
    names = {"customer_list_name": "L", "source_name": "people", "streams": {"leads": {}}}
    assert run_target(streams, **names).code == 0
    assert run_target(streams, **names).code == 0
    assert members(emulator, "L") == digests([1, 2])


def test_a_dry_run_learns_nothing_of_keys(run_target: Target, sent: Sent) -> None:
    run_target([schema("email"), record(id=None, email=address(1))])
    assert run_target([schema("email"), *people([1])], dry_run=True).code == 0
    assert run_target([schema("email"), record(id="x", email=address(1))]).code == 0
    assert len(sent()) == 1


def parquet_batch(path: Path, **columns: Any) -> dict[str, Any]:
    # Without Arrow's own schema, as any other program writes it.
    parquet.write_table(pa.table(columns), path, store_schema=False)
    encoding = {"format": "parquet", "compression": "snappy"}
    return {"type": "BATCH", "stream": "customers", "encoding": encoding, "manifest": [path.as_uri()]}


def uuids(*texts: str) -> Any:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(each).bytes for each in texts], pa.binary(16)))


@pytest.mark.parametrize("text", [UUID, UUID.upper()])
def test_the_uuids_of_a_parquet_file_and_their_texts_are_one_row(
    emulator: Emulator, run_target: Target, sent: Sent, tmp_path: Path, text: str
) -> None:
    from_file = parquet_batch(tmp_path / "f", id=uuids(UUID), email=[address(1)])
    message = keyed({"id": TEXT})
    assert run_target([message, record(id=text, email=address(1))]).code == 0
    sent()
    assert run_target([message, from_file]).code == 0
    assert sent() == []
    assert run_target([message, record(id=text, _sdc_deleted_at="2026-11-21")]).code == 0
    assert members(emulator) == frozenset()


def test_the_uuids_of_an_older_arrow_are_distinguished_from_other_bytes(tmp_path: Path, monkeypatch: Any) -> None:
    as_new = parquet.ParquetFile
    monkeypatch.setattr(
        parquet, "ParquetFile", lambda *given, **named: as_new(*given, **named, arrow_extensions_enabled=False)
    )
    message = parquet_batch(tmp_path / "f", id=uuids(UUID), raw=pa.array([uuid.UUID(UUID).bytes], pa.binary(16)))
    ((columns, _),) = cast("list[Table]", list(batch_files.BatchFiles.of(message, 1).pieces(None)))
    assert list(map(type, columns["id"])) == [UuidBytes]
    assert list(map(type, columns["raw"])) == [bytes]


def test_uuids_are_not_mistaken_for_other_text(run_target: Target, tmp_path: Path, sent: Sent) -> None:
    message = keyed({"id": TEXT})
    assert run_target([message, record(id=UUID.replace("-", ""), email=address(1))]).code == 0
    sent()
    run = run_target([message, parquet_batch(tmp_path / "f", id=uuids(UUID), email=[address(1)])])
    assert (run.code, sent()) == (2, [])
    assert "now holds UUIDs" in run.stderr


LONG = "12345678901234567890.123456789"


def long_number(digits: str, **values: Any) -> str:
    rows = [keyed({"id": NUMBER}), record(id="KEY", **values)]
    return "".join(json.dumps(each) + "\n" for each in rows).replace('"KEY"', digits)


def test_a_long_number_that_arrives_rounded_ends_the_run(emulator: Emulator, run_target: Target) -> None:
    first = run_target(long_number(LONG, email=address(1)))
    assert first.code == 0
    assert "the key property id has numbers with more digits than a floating-point number holds" in first.stderr
    again = run_target(long_number(LONG, email=address(1)))
    assert (again.code, "more digits" in again.stderr) == (0, False)
    rounded = run_target(long_number("1.2345678901234567e+19", _sdc_deleted_at="2026-11-21"))
    assert rounded.code == 2
    assert "now holds numbers rounded to what a floating-point number holds" in rounded.stderr
    assert members(emulator) == digests([1])


def test_a_change_back_from_rounded_numbers_ends_the_run_too(run_target: Target) -> None:
    assert run_target(long_number("1.2345678901234567e+19", email=address(1))).code == 0
    assert run_target(long_number(LONG, email=address(1))).code == 2


@pytest.mark.parametrize("scale", ["", ".0", ".00", ".00000000000000000000", "e0"])
def test_numbers_that_a_float_holds_are_one_row_with_any_scale(run_target: Target, sent: Sent, scale: str) -> None:
    assert run_target(long_number("9007199254740993", email=address(1))).code == 0
    assert run_target(long_number("9007199254740993" + scale, email=address(1))).code == 0
    assert len(sent()) == 1


# Ledgers of former versions

FORMER = MIGRATIONS.index(LOADERS)
"""The version before keys had rules."""


@pytest.fixture
def old_ledger(emulator: Emulator, tmp_path: Path) -> Path:
    """A ledger from before keys had rules, which knows the source `customers`."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for step in MIGRATIONS[:FORMER]:
            for statement in step:
                connection.execute(statement.format(blob="BLOB", clustered="WITHOUT ROWID"))
        connection.execute(f"PRAGMA user_version = {FORMER}")
        connection.execute("INSERT INTO meta VALUES ('secret', ?), ('rows', 'placed')", (b"s" * 32,))
        connection.execute("UPDATE meta SET value = CAST(value AS BLOB)")
        connection.execute("INSERT INTO realms VALUES (1, ?, ?)", (emulator.url, ACCOUNT))
        connection.execute("""INSERT INTO sources VALUES (1, 1, 'customers', '["id"]', 1.0)""")
    return path


def rows_of(path: Path) -> set[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return {row for (row,) in connection.execute("SELECT row_key FROM row_says")}


@pytest.mark.parametrize(
    ("key", "property_schema"),
    [
        ("17", TEXT),
        (17, {}),
        (UUID.upper(), TEXT),
        ("1.50", DECIMAL_TEXT),
        ("2026-01-01T00:00:01Z", {"anyOf": [MOMENT]}),
    ],
)
def test_the_rows_of_an_old_ledger_keep_their_digests(
    run_target: Target, emulator: Emulator, old_ledger: Path, key: Any, property_schema: Any
) -> None:
    assert run_target(stream(key, property_schema, email=address(1))).code == 0
    digester = Digester(b"s" * 32, realm_of(emulator.url, ACCOUNT)).rows("customers", ["id"], {}, FIRST_RULES)
    assert rows_of(old_ledger) == {digester({"id": key})}
    assert run_target(stream(key, property_schema, _sdc_deleted_at="2026-11-21")).code == 0
    assert members(emulator) == frozenset()


@pytest.mark.usefixtures("old_ledger")
@pytest.mark.parametrize(("first", "then"), [(1, "1"), ("1", 1), (UUID, None)])
def test_in_an_old_ledger_a_key_that_changes_between_number_and_text_ends_the_run(
    run_target: Target, sent: Sent, tmp_path: Path, first: Any, then: Any
) -> None:
    from_file = parquet_batch(tmp_path / "f", id=uuids(UUID), email=[address(1)])
    assert run_target(stream(first, TEXT, email=address(1))).code == 0
    sent()
    run = run_target(stream(then, TEXT, email=address(1)) if then is not None else [keyed({"id": TEXT}), from_file])
    assert (run.code, sent()) == (2, [])
    assert "The key property id of source customers changed its type" in run.stderr


@pytest.mark.usefixtures("old_ledger")
def test_in_an_old_ledger_new_sources_have_the_newest_rules(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    names = {"source_name": "new"}
    assert run_target([message, *people([1])], **names).code == 0
    assert run_target([message, record(id="1", _sdc_deleted_at="2026-11-21")], **names).code == 0
    assert members(emulator) == frozenset()


def test_ledger_find_accepts_any_form_of_the_key(run_target: Target, run_companion: Companion, tmp_path: Path) -> None:
    def found(*keys: str) -> bool:
        pairs = [part for key in keys for part in ("--key", key)]
        told = run_companion("ledger", "find", "--json", "--source", "customers", *pairs)
        assert told.code == 0, told.stderr
        return bool(json.loads(told.stdout)["known"])

    code = keyed({"id": NUMBER, "code": TEXT, "at": {"anyOf": [MOMENT]}})
    row = {"id": "1.50", "code": "1.10", "at": "2026-01-01T00:00:01Z"}
    path = tmp_path / "rejects.jsonl"
    run = run_target([code, record(**row, email="no address")], rejects_path=str(path))
    assert run.code == 0, run.stderr
    run_target([code, record(**row, email=address(1))])
    assert found("id=1.5", "code=1.10", "at=2026-01-01T00:00:01Z")
    assert found('id="1.50"', 'code="1.10"', "at=2026-01-01 00:00:01+00")
    assert not found("id=1.5", "code=1.1", "at=2026-01-01T00:00:01Z")
    assert not found("id=1.6", "code=1.10", "at=2026-01-01T00:00:01Z")
    digest = json.loads(path.read_text())["row"]
    assert json.loads(run_companion("ledger", "find", "--json", "--row", digest).stdout)["known"]


@pytest.mark.parametrize("key", [1, "1"])
def test_digits_find_their_row_with_and_without_quotes(
    run_target: Target, run_companion: Companion, key: int | str
) -> None:
    run_target([schema("email"), record(id=key, email=address(1))])
    for given in ("id=1", 'id="1"'):
        told = run_companion("ledger", "find", "--json", "--source", "customers", "--key", given)
        assert json.loads(told.stdout)["known"], given


@pytest.mark.usefixtures("old_ledger")
@pytest.mark.parametrize("key", [1, "1"])
def test_in_an_old_ledger_digits_find_their_row_by_the_known_kinds_of_the_key(
    run_target: Target, run_companion: Companion, key: int | str
) -> None:
    run_target([schema("email"), record(id=key, email=address(1))])
    told = run_companion("ledger", "find", "--json", "--source", "customers", "--key", "id=1")
    assert json.loads(told.stdout)["known"]


def test_after_a_refused_change_of_the_key_former_keys_still_match(sent: Sent, run_target: Target) -> None:
    """Rows with keys of the former kinds go on as if nothing had been refused."""
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people([1, 2])])
    assert run_target([message, record(id="x", email=address(3))]).code == 2
    sent()
    assert run_target([message, deleted(2)]).code == 0
    assert sent() == [Write("REMOVE", digests([2]))]
