"""BATCH files that are not what the manifest says, hold odd values, or lie where none may."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.membership.key_forms import canonical
from target_pinterest_audience.records.arrow_column import MomentText, UuidBytes, values_of
from target_pinterest_audience.records.file_addresses import FileAddress
from target_pinterest_audience.records.parquet.reader import read_tables
from tests.support.account import Sent, members
from tests.support.batch_files import batch, rows, write
from tests.support.messages import address, digests, record, schema, state
from tests.support.processes import Target

NOT_UTF8 = pa.array([address(0).encode(), b"person\xc3@example.com", address(2).encode()], pa.binary()).view(
    pa.string()
)
MOMENTS = pa.array([1_000, 1_001, -1], pa.timestamp("ns", "UTC"))


def write_table(path: Path, **columns: Any) -> str:
    parquet.write_table(pa.table(columns), path)
    return path.as_uri()


# Values


@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_a_text_that_is_not_utf_8_costs_only_its_row(
    emulator: Emulator, run_target: Target, tmp_path: Path, load_method: str
) -> None:
    url = write_table(tmp_path / "f", id=[0, 1, 2], email=NOT_UTF8)
    done = run_target([schema("email"), batch("parquet", url), state(1)], load_method=load_method)
    assert (done.code, done.states) == (0, [state(1)["value"]]), done.stderr
    assert members(emulator) == digests([0, 2])
    assert "1 in column email: bytes that are not text in UTF-8 (first on line 2 of the stream, row 2" in done.stderr


def test_a_line_of_jsonl_that_is_not_utf_8_ends_the_run_and_the_rows_before_it_are_delivered(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    lines = b'{"id":0,"email":"%b"}\n{"id":1,"email":"person\xc3@example.com"}\n{"id":2,"email":"%b"}\n'
    (tmp_path / "f").write_bytes(lines % (address(0).encode(), address(2).encode()))
    done = run_target([schema("email"), batch("jsonl", (tmp_path / "f").as_uri()), state(1)])
    assert (done.code, done.states) == (8, [])
    assert "Line 2 of the stream, row 2 of its files is not valid JSON in UTF-8" in done.stderr
    assert members(emulator) == digests([0])


@pytest.mark.parametrize(
    "column",
    [NOT_UTF8, MOMENTS, pa.array([1, 2, 3], pa.time64("ns")), pa.array([3_000_000] * 3, pa.date32())],
    ids=["not UTF-8", "nanoseconds", "nanoseconds of a day", "after the year 9999"],
)
@pytest.mark.parametrize("way", ["columns", "records"])
def test_a_column_that_nobody_needs_costs_nothing(
    emulator: Emulator, run_target: Target, tmp_path: Path, column: pa.Array, way: str
) -> None:
    url = write_table(tmp_path / "f", id=[0, 1, 2], email=[address(n) for n in range(3)], other=column)
    maps = {"customers": {"email": "email", "id": "id"}} if way == "records" else None
    done = run_target([schema("email", "other"), batch("parquet", url)], stream_maps=maps)
    assert done.code == 0, done.stderr
    assert members(emulator) == digests(range(3))


@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_a_key_that_is_nan_is_null(emulator: Emulator, run_target: Target, tmp_path: Path, load_method: str) -> None:
    """Pandas makes a column of integers a column of floating-point numbers if it lacks some."""
    keys = pa.array([1, float("nan"), float("nan"), None])
    url = write_table(tmp_path / "f", id=keys, email=[address(n) for n in range(4)])
    done = run_target([schema("email"), batch("parquet", url)], load_method=load_method)
    assert done.code == 0
    assert members(emulator) == digests([0])
    assert "3 in column email: in a row whose key property is null" in done.stderr


def test_keys_that_python_cannot_represent_distinguish_rows(
    emulator: Emulator, run_target: Target, tmp_path: Path, sent: Sent
) -> None:
    described = schema("email", key=["at", "name"])
    described["schema"]["properties"] |= {"at": {"type": "string", "format": "date-time"}, "name": {"type": "string"}}
    names = pa.array([b"a\xc3", b"a\xc4", b"a"], pa.binary()).view(pa.string())
    emails = [address(n) for n in range(3)]
    stream = [described, batch("parquet", write_table(tmp_path / "f", at=MOMENTS, name=names, email=emails))]
    done = run_target(stream, load_method="upsert")
    assert done.code == 0, done.stderr
    assert members(emulator) == digests(range(3))
    sent()
    assert run_target(stream, load_method="upsert").code == 0
    assert sent() == []
    as_record = {"at": "1969-12-31T23:59:59.999999999+00:00", "name": "a", "email": address(4)}
    assert run_target([described, record(**as_record)], load_method="upsert", max_removal_percent=100).code == 0
    assert members(emulator) == digests([0, 1, 4])


def test_a_more_precise_time_does_not_change_the_type_of_a_key(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    described = schema("email", key=["at"])
    described["schema"]["properties"]["at"] = {}
    for number, moment in enumerate([1_000, 1_001]):
        at = pa.array([moment], pa.timestamp("ns", "UTC"))
        url = write_table(tmp_path / str(number), at=at, email=[address(number)])
        assert run_target([described, batch("parquet", url)], load_method="upsert").code == 0
    assert members(emulator) == digests(range(2))


def test_text_stored_as_bytes_is_read_as_text(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    emails = [address(n).encode() for n in range(3)]
    url = write_table(tmp_path / "f", id=[0, 1, 2], email=pa.array(emails, pa.binary()))
    assert run_target([schema("email"), batch("parquet", url)]).code == 0
    assert members(emulator) == digests(range(3))


UTC = timezone.utc


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (MOMENTS, [datetime(1970, 1, 1, microsecond=1, tzinfo=UTC), "1970-01-01T00:00:00.000001001+00:00",
                   "1969-12-31T23:59:59.999999999+00:00"]),
        (pa.array([0, 253402300800, -62135596801, None], pa.timestamp("s")),
         [datetime(1970, 1, 1), "10000-01-01T00:00:00", "0000-12-31T23:59:59", None]),  # noqa: DTZ001 - none is stored
        (pa.array([1, 3_000_000, -800_000], pa.date32()), [date(1970, 1, 2), "10183-09-21", "-0221-09-04"]),
        (pa.array([1_000, 1], pa.time64("ns")), [time(microsecond=1), "00:00:00.000000001"]),
        (pa.array([1_000, 1], pa.duration("ns")), [timedelta(microseconds=1), "1 ns"]),
        (pa.array([1], pa.timestamp("us", "No/Where")), [datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)]),
        (pa.array([b"ab", b"\xffb"], pa.binary(2)), ["ab", b"\xffb"]),
        (pa.array([b"ab", b"\xffb"]), ["ab", b"\xffb"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (NOT_UTF8.dictionary_encode(), [address(0), b"person\xc3@example.com", address(2)]),
        (pa.array([Decimal("1.50")], pa.decimal256(70, 2)), [Decimal("1.50")]),
        (pa.array([{"at": [1], "name": "a"}], pa.struct([("at", pa.list_(pa.timestamp("ns"))), ("name", pa.string())])),
         [{"at": ["1970-01-01T00:00:00.000000001"], "name": "a"}]),
    ],
)  # fmt: skip
def test_the_form_of_a_value_does_not_depend_on_the_others(array: pa.Array, values: list[Any]) -> None:
    assert list(values_of(array)) == values
    assert [value for each in range(len(array)) for value in values_of(array[each : each + 1])] == values


def test_uuids_have_one_form() -> None:
    assert [type(value) for value in values_of(pa.array([b"\xff" * 16, None], pa.binary(16)), is_uuid=True)] == [
        UuidBytes, type(None),
    ]  # fmt: skip


def test_timestamps_of_96_bits_do_not_overflow() -> None:
    last, file = datetime(9999, 12, 31), io.BytesIO()  # noqa: DTZ001 - the type has none
    table = pa.table({"at": pa.array([last], pa.timestamp("us"))})
    parquet.write_table(table, file, use_deprecated_int96_timestamps=True)
    assert [list(columns["at"]) for columns, _ in read_tables(file, None)] == [[last]]


def test_a_time_of_any_year_has_one_form() -> None:
    assert canonical(MomentText("-0221-09-04"), "date") == b"s-0221-09-04"


# What a file is


def packed(text: bytes) -> bytes:
    return gzip.compress(text)


@pytest.mark.parametrize("claimed", ["jsonl", "gzip", "parquet"])
@pytest.mark.parametrize("real", ["jsonl", "gzip", "parquet", "bom", "gzip with bom"])
def test_the_format_of_a_file_is_detected(
    emulator: Emulator, run_target: Target, tmp_path: Path, claimed: str, real: str
) -> None:
    path = tmp_path / "f"
    write(path, rows(range(5)), real if real in {"gzip", "parquet"} else "jsonl")
    if real.endswith("bom"):
        text = codecs.BOM_UTF8 + path.read_bytes()
        path.write_bytes(gzip.compress(text) if real.startswith("gzip") else text)
    done = run_target([schema("email"), batch(claimed, path.as_uri())])
    assert done.code == 0, done.stderr
    assert members(emulator) == digests(range(5))


@pytest.mark.parametrize(
    ("content", "claimed", "code", "words"),
    [
        (b"\x28\xb5\x2f\xfd person", "jsonl", 2, "compressed with zstd"),
        (b"PK\x03\x04 person", "gzip", 2, "a zip archive"),
        ("\ufeff{}".encode("utf-16-le"), "jsonl", 2, "text in UTF-16"),
        (b"person@example.com", "parquet", 8, "neither Parquet nor JSONL"),
        (b"", "parquet", 8, "neither Parquet nor JSONL"),
        (gzip.compress(b"PAR1", mtime=0), "gzip", 8, "not valid JSON"),
        (b"PAR1", "parquet", 8, "truncated"),
    ],
)
def test_a_file_in_another_format_is_refused_by_name(
    run_target: Target, tmp_path: Path, content: bytes, claimed: str, code: int, words: str
) -> None:
    (tmp_path / "f").write_bytes(content)
    done = run_target([schema("email"), batch(claimed, str(tmp_path / "f"))])
    assert done.code == code, done.stderr
    assert words in done.stderr
    assert "person" not in done.stderr


def test_of_several_columns_with_one_name_the_last_counts() -> None:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), file)
    assert [list(columns["a"]) for columns, _ in read_tables(file, None)] == [[2]]


@pytest.mark.parametrize("columns", [None, ["email"], ["nobody"]])
def test_row_groups_without_rows_are_skipped(columns: list[str] | None) -> None:
    file = io.BytesIO()
    with parquet.ParquetWriter(file, pa.schema([("email", pa.string())])) as writer:
        for emails in ([], ["a"], []):
            writer.write_table(pa.table({"email": pa.array(emails, pa.string())}))
    assert [size for _, size in read_tables(file, columns)] == [1]


# Where it lies


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/person", "https://example.com/person", "ftp://example.com/f", "data:text/plain,person",
        "memory://person", "github://person:repo@main/f", "simplecache::s3://bucket/person", "simplecache::/tmp/person",
        "zip://person::https://example.com/f.zip", "s3://bucket/f::https://example.com/person", "file::/tmp/person",
        "HTTPS://example.com/person", "s3:person", "dir:///tmp",
    ],
)  # fmt: skip
def test_an_address_that_is_not_allowed_is_refused_before_anything_is_sent(
    emulator: Emulator, run_target: Target, tmp_path: Path, url: str
) -> None:
    good = write(tmp_path / "good", rows(range(5)), "jsonl")
    done = run_target([schema("email"), state(0), batch("jsonl", good, url), state(1)])
    assert (done.code, done.states) == (2, [state(0)["value"]]), done.stderr
    assert "File 2 of 2 in the BATCH message on line 3 has" in done.stderr
    assert "person" not in done.stderr
    assert emulator.backend.writes() == []


@pytest.mark.parametrize("url", ["https://example.com/f", "s3://bucket/f::zip://f", "simplecache::f"])
def test_an_address_that_is_not_allowed_loads_no_library(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("fsspec.open", None)
    with pytest.raises(ConfigurationError):
        FileAddress.of(url, "File 1")


@pytest.mark.parametrize(
    "url", ["s3://b/f", "s3a://b/f", "gs://b/f", "gcs://b/f", "az://b/f", "abfs://b/f", "abfss://b@c/f"]
)
def test_object_stores_are_allowed(url: str) -> None:
    assert FileAddress.of(url, "File 1") == (url.partition(":")[0], url)


@pytest.mark.parametrize(
    "url", ["{}/a b::c%20d", "file://{}/a%20b::c%2520d", "local://{}/a b::c%20d", "file://localhost{}/a b::c%20d",
            "file:{}/a b::c%20d", "FILE://{}/a b::c%20d"],
)  # fmt: skip
def test_a_file_on_this_machine_may_have_any_name(tmp_path: Path, url: str) -> None:
    (tmp_path / "a b::c%20d").write_bytes(b"here")
    with FileAddress.of(url.format(tmp_path), "File 1").open() as file:
        assert file.read() == b"here"


def test_a_name_in_the_working_directory_may_have_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "customers:1").write_bytes(b"here")
    assert FileAddress.of("customers:1", "File 1") == ("file", "customers:1")


@pytest.mark.parametrize(
    ("kind", "words"), [("pipe", "not a regular file"), ("folder", "a folder"), ("gone", "No such file")]
)
def test_a_path_that_is_not_a_file_is_an_error_without_a_wait(
    run_target: Target, tmp_path: Path, kind: str, words: str
) -> None:
    path = tmp_path / "f"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    done = run_target([schema("email"), batch("jsonl", path.as_uri())])
    assert done.code == 8
    assert words in done.stderr


# What was rejected altogether


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[[address(n)]] for n in range(15)], "They are arrays."),
        ([{"value": address(n)} for n in range(15)], "They are objects."),
        ([*range(13), True, True], "They are numbers (13), true or false (2)."),
        ([f"person {n}" for n in range(15)], "They are text without an @."),
        ([json.dumps([address(n)]) for n in range(15)], "They are text that holds JSON."),
        ([f"person {n} <{address(n)}>" for n in range(15)], "They are text with an @."),
        ([f"person {n}" for n in range(1200)], "The first 1,000 are text without an @."),
    ],
)
@pytest.mark.parametrize("way", ["records", "a file", "one by one"])
def test_a_column_without_a_valid_value_is_a_warning_that_describes_it(
    run_target: Target, tmp_path: Path, values: list[Any], words: str, way: str
) -> None:
    found = [{"id": n, "email": value} for n, value in enumerate(values)]
    path = tmp_path / "f"
    path.write_text("".join(json.dumps(each) + "\n" for each in found))
    stream = [record(**each) for each in found] if way != "a file" else [batch("jsonl", path.as_uri())]
    done = run_target([schema("email"), *stream], validate_records=way == "one by one" or None)
    assert done.code == 0, done.stderr
    if way == "one by one" and not isinstance(values[0], str):
        words = "The log lines about rejected values give the reasons."
    assert f"all {len(values):,} values in column email were rejected. {words}" in done.stderr
    assert "person" not in done.stderr


@pytest.mark.parametrize(
    "rest", [[record(id=99, email=address(99))], [record(id=99, idfa="2F1E4FC0-81FD-4F8C-B4A1-0C2D3E4F5A6B")]]
)
def test_a_column_with_a_valid_value_or_few_bad_ones_is_not_a_warning(run_target: Target, rest: list[Any]) -> None:
    is_good = "email" in rest[0]["record"]
    bad = [record(id=n, email=[n]) for n in range(15 if is_good else 10)]
    done = run_target([schema("email", "idfa"), *bad, *rest])
    assert done.code == 0
    assert "were rejected." not in done.stderr
