"""Small files that unpack to far more: memory is bounded, whatever a file claims."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from pyarrow import parquet

from target_pinterest_audience.records.long_lines import LineError, whole_lines
from target_pinterest_audience.records.parquet.errors import ParquetError
from target_pinterest_audience.records.parquet.pages import longest_text
from target_pinterest_audience.records.parquet.reader import read_tables
from target_pinterest_audience.records.parquet.thrift import ThriftError, read_struct
from tests.support.batch_files import batch
from tests.support.messages import address, people, schema, state
from tests.support.processes import environment

MEASURED = """
import sys
from target_pinterest_audience.main import main
from target_pinterest_audience.system import signals

def leave(code):
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print("peak", peak, file=sys.stderr, flush=True)
    left(code)

left, signals.leave = signals.leave, leave
main()
"""

MEGABYTE = 1 << 20
MODEST = 290
"""Megabytes: a run that reads pieces of 8 MB takes up to 250 with Arrow and NumPy, and one that does not, 700."""


class Ended(NamedTuple):
    code: int
    stderr: str
    megabytes: float


@pytest.fixture
def measure(config: dict[str, Any], tmp_path: Path) -> Any:
    """Run the process that users start, and say how much memory it took at most."""

    def run(stream: Path | list[dict[str, Any]], **settings: Any) -> Ended:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, **settings}))
        if isinstance(stream, list):
            lines, stream = stream, tmp_path / "stream"
            stream.write_text("".join(json.dumps(each) + "\n" for each in lines))
        with stream.open("rb") as source:
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, "--config", str(path)],
                stdin=source, capture_output=True, check=False, timeout=120, env=environment(LOGLEVEL="INFO"),
            )  # fmt: skip
        told = done.stderr.decode()
        return Ended(done.returncode, told, int(told.rpartition("peak ")[2]) / 1024)

    return run


def write(path: Path, table: pa.Table, **options: Any) -> str:
    parquet.write_table(table, path, compression="zstd", store_schema=False, write_statistics=False, **options)
    return path.as_uri()


def repeated(text: str, times: int) -> pa.Array:
    """A text that is stored once, and meant many times."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([text]))


def compress(path: Path, pieces: Iterable[bytes]) -> str:
    with gzip.open(path, "wb", 1) as file:
        for piece in pieces:
            file.write(piece)
    return path.as_uri()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["columns", "records"])
def test_a_text_that_is_stored_once_for_many_rows_is_unpacked_in_pieces(measure: Any, tmp_path: Path, way: str) -> None:
    table = pa.table({"id": [7] * 10_000, "email": repeated("a" * 60_000, 10_000)})
    url = write(tmp_path / "f", table)
    assert (tmp_path / "f").stat().st_size < 2_000
    maps = {"customers": {"email": "email", "id": "id"}} if way == "records" else {}
    done = measure([schema("email"), batch("parquet", url)], stream_maps=maps)
    assert done.code == 0, done.stderr
    assert "10,000 rejected" in done.stderr
    assert done.megabytes < MODEST


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY"])
def test_very_long_texts_are_read_a_few_at_a_time(measure: Any, tmp_path: Path, encoding: str) -> None:
    table = pa.table({"id": [7] * 300, "email": ["a" * MEGABYTE] * 300})
    encodings = {"email": encoding, "id": "PLAIN"}
    url = write(tmp_path / "f", table, use_dictionary=False, column_encoding=encodings, write_batch_size=10)
    done = measure([schema("email"), batch("parquet", url)])
    assert done.code == 0, done.stderr
    assert done.megabytes < MODEST


def test_a_page_that_is_too_big_is_refused_and_earlier_rows_are_delivered(measure: Any, tmp_path: Path) -> None:
    table = pa.table({"id": [7], "email": ["a" * 200 * MEGABYTE]})
    url = write(tmp_path / "f", table, use_dictionary=False)
    done = measure([schema("email"), *people(range(3)), state(0), batch("parquet", url), state(1)])
    assert done.code == 8
    assert "has a page that unpacks to 200 MB" in done.stderr
    assert done.megabytes < 150


def test_lists_that_unpack_to_far_more_than_their_file_are_refused(measure: Any, tmp_path: Path) -> None:
    lists = pa.ListArray.from_arrays(pa.array([0, 5_000_000], pa.int32()), repeated("a" * 100, 5_000_000))
    done = measure([schema("email"), batch("parquet", write(tmp_path / "f", pa.table({"id": [7], "email": lists})))])
    assert done.code == 8
    assert "its lists unpack to" in done.stderr
    assert done.megabytes < 150


def test_rows_without_values_are_read_in_pieces() -> None:
    file = io.BytesIO()
    nobody = pa.chunked_array([pa.nulls(3_000_000, pa.string())])
    parquet.write_table(pa.table({"email": nobody}), file, row_group_size=10_000_000)
    for columns in (["email"], ["other"]):
        sizes = [size for _, size in read_tables(file, columns)]
        assert (sum(sizes), max(sizes)) == (3_000_000, 10_000)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b'{"id": 1, "email": "', *[b"a" * MEGABYTE] * 300], "a line is longer than 64 MB"),
        ([b'{"id": 1, "email": [', *[b"[]," * 300_000] * 60, b"1]}\n"], "a line has more than 4,000,000 values"),
    ],
    ids=["one line", "many values"],
)
def test_a_line_of_a_file_has_limits(measure: Any, tmp_path: Path, pieces: list[bytes], words: str) -> None:
    url = compress(tmp_path / "f", [json.dumps({"id": 0, "email": address(0)}).encode() + b"\n", *pieces])
    done = measure([schema("email"), batch("gzip", url)])
    assert done.code == 8
    assert words in done.stderr
    assert done.megabytes < 300
    assert "1 to add" in done.stderr


def test_a_line_of_the_stream_has_limits_and_the_rest_is_read_in_blocks(measure: Any, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("wb") as file:
        file.write(json.dumps(schema("email")).encode() + b"\n")
        file.write(b'{"type": "RECORD", "stream": "customers", "record": {"id": 0, "note": "')
        file.writelines([b"a" * MEGABYTE] * 60)
        file.write(b'", "email": "%b"}}\n' % address(0).encode())
        file.writelines(json.dumps(each).encode() + b"\n" for each in [*people(range(1, 3)), state(1)])
        file.write(b'{"type": "RECORD", "stream": "customers", "record": {"id": 0, "email": "')
        file.writelines([b"a" * MEGABYTE] * 300)
    done = measure(path)
    assert done.code == 8
    assert "Line 6 of the stream is longer than 64 MB" in done.stderr
    assert "3 to add" in done.stderr
    assert done.megabytes < 400


def test_lines_are_whole_whatever_the_pieces_are() -> None:
    text = b"a\nbb\n\nccc"
    for size in range(1, len(text) + 1):
        assert b"".join(whole_lines(reader(text, size))) == text
        assert all(each.endswith(b"\n") for each in list(whole_lines(reader(text, size)))[:-1])


def reader(text: bytes, size: int) -> Any:
    file = io.BytesIO(text)
    return lambda: file.read(size)


def test_an_endless_line_is_refused_before_it_is_read() -> None:
    pieces = iter([b"a" * MEGABYTE] * 1000)
    with pytest.raises(LineError):
        list(whole_lines(lambda: next(pieces)))
    assert sum(1 for _ in pieces) > 900


# Parquet's own structures


def test_every_encoding_of_a_column_gives_the_same_values(tmp_path: Path) -> None:
    emails = [address(n) if n % 7 else None for n in range(3_000)]
    table = pa.table({"id": range(3_000), "email": emails, "few": [f"{n % 5}" for n in range(3_000)]})
    ways: list[dict[str, Any]] = [
        {}, {"use_dictionary": False}, {"row_group_size": 7}, {"data_page_size": 100},
        {"dictionary_pagesize_limit": 500},
        {"data_page_version": "2.0"}, {"compression": "none"}, {"compression": "brotli"}, {"compression": "lz4"},
        {"use_dictionary": False, "column_encoding": {"email": "DELTA_BYTE_ARRAY"}},
        {"use_dictionary": False, "column_encoding": {"email": "DELTA_LENGTH_BYTE_ARRAY"}},
    ]  # fmt: skip
    for number, options in enumerate(ways):
        path = tmp_path / str(number)
        parquet.write_table(table, path, **options)
        with path.open("rb") as file:
            found = list(read_tables(file, ["id", "email", "few", "nobody"]))
        for name in table.column_names:
            values = [value for columns, _ in found for value in columns[name]]
            assert values == table[name].to_pylist(), (options, name)


def test_a_damaged_file_is_an_error_and_not_a_crash() -> None:
    file = io.BytesIO()
    parquet.write_table(pa.table({"id": range(50), "email": [address(n) for n in range(50)]}), file, row_group_size=20)
    for seed in range(900):
        data = bytearray(file.getvalue())
        # The footer is at the end.
        data[len(data) - 9 - seed] ^= 1 << seed % 8
        # Arrow raises errors of many kinds. An error in C++ that it does not catch would end the process.
        with contextlib.suppress(Exception):
            list(read_tables(io.BytesIO(data), ["id", "email"]))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x1c" * 50, ThriftError),
        (b"\x15\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ThriftError),
        (b"\x19\xfc\xff\xff\xff\x7f", ThriftError),
        (b"\x1b", ThriftError),
        (b"\x18\x7f\x00", IndexError),
        (b"", IndexError),
    ],
    ids=["deep", "long integer", "long list", "a map", "half a text", "nothing"],
)
def test_bytes_that_are_not_a_struct_are_an_error(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_struct(data, 0, {1: None})


def test_a_dictionary_is_no_longer_than_its_page() -> None:
    assert longest_text(b"\x01\0\0\0a\x02\0\0\0bc", 2) == 2
    for values in (3, 100):
        with pytest.raises(ParquetError):
            longest_text(b"\x01\0\0\0a\x02\0\0\0bc", values)
    with pytest.raises(ParquetError):
        longest_text(b"\xff\xff\xff\x7fa", 1)
