"""BATCH messages: the rows of files are treated as RECORDs in the message's place."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.records.decoder import RecordDecoder
from tests.support.account import ACCOUNT, TOKEN, Sent, members
from tests.support.batch_files import batch, rows, write
from tests.support.in_process import run
from tests.support.lengths import examples
from tests.support.messages import address, digests, people, record, schema, sha256, state
from tests.support.processes import Target, environment
from tests.support.random_streams import streams
from tests.support.waiting import wait_until

METHODS = pytest.mark.parametrize("load_method", ["append-only", "upsert"])
KINDS = pytest.mark.parametrize("kind", ["jsonl", "gzip", "parquet"])


@KINDS
@METHODS
def test_rows_of_files_are_sent_like_records(
    emulator: Emulator, run_target: Target, tmp_path: Path, sent: Sent, kind: str, load_method: str
) -> None:
    first = write(tmp_path / "a file.1", rows(range(25)), kind)
    second = str(tmp_path / "2")
    write(Path(second), rows(range(25, 36)), kind)
    third = write(tmp_path / "3", rows(range(36, 40)), kind).replace("file://", "local://")
    stream = [schema("email"), state(0), batch(kind, first, second, third), state(1), *people(range(40, 43)), state(2)]
    done = run_target(stream, batch_size_rows=10, load_method=load_method)
    assert done.code == 0, done.stderr
    assert members(emulator) == digests(range(43))
    assert [len(each.identities) for each in sent()] == [10, 10, 10, 10, 3]
    assert done.states[-1] == state(2)["value"]
    assert "43 rows" in done.stderr


@KINDS
def test_a_row_is_the_same_from_a_record_and_from_a_file(
    emulator: Emulator, run_target: Target, tmp_path: Path, sent: Sent, kind: str
) -> None:
    moment = datetime(2026, 11, 22, 8, 30, tzinfo=timezone.utc)
    texts: dict[str, Any] = {"id": 7, "part": "1.50", "since": "2026-11-22T09:30:00+01:00"}
    values = {"id": 7, "part": Decimal("1.50"), "since": moment} if kind == "parquet" else {**texts, "part": 1.5}
    described = schema("email", key=["id", "part", "since"])
    described["schema"]["properties"]["since"] = {"type": "string", "format": "date-time"}
    described["schema"]["properties"]["part"] = {"type": "number"}
    assert run_target([described, record(**{**texts, "part": 1.5}, email=address(1))], load_method="upsert").code == 0
    assert len(sent()) == 1
    again = write(tmp_path / "again", [{**values, "email": address(1)}], kind)
    assert run_target([described, batch(kind, again)], load_method="upsert").code == 0
    assert sent() == []
    changed = write(tmp_path / "changed", [{**values, "email": address(2)}], kind)
    assert run_target([described, batch(kind, changed)], load_method="upsert", max_removal_percent=100).code == 0
    assert members(emulator) == digests([2])


@KINDS
def test_deletes_and_bad_values_in_files_are_treated_as_in_records(
    emulator: Emulator, run_target: Target, tmp_path: Path, kind: str
) -> None:
    assert run_target([schema("email"), *people(range(5))], load_method="upsert").code == 0
    odd: list[dict[str, Any]] = [
        {"id": 1, "email": None, "_sdc_deleted_at": "2026-11-22"}, {"id": 6, "email": " PERSON6@example.com"},
        {"id": 8, "email": "no address"}, {"id": None, "email": address(9)},
    ]  # fmt: skip
    columns = ("id", "email", "_sdc_deleted_at")
    url = write(tmp_path / "odd", [{name: row.get(name) for name in columns} for row in odd], kind)
    path = tmp_path / "rejects.jsonl"
    stream = [schema("email", "_sdc_deleted_at"), batch(kind, url), state(1)]
    done = run_target(stream, load_method="upsert", rejects_path=str(path))
    assert done.code == 0, done.stderr
    assert members(emulator) == digests([0, 2, 3, 4, 6])
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["line"], each["file_row"], each["column"]) for each in told] == [(2, 3, "email"), (2, 4, "email")]
    assert "not an e-mail address (first on line 2 of the stream, row 3 of its files)" in done.stderr
    assert "no address" not in done.stderr


def test_a_file_goes_through_stream_maps_and_validation(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    described = schema("mail", "since", key=[])
    described["schema"]["properties"]["since"] = {"type": ["string", "null"], "format": "date-time"}
    moment = datetime(2026, 11, 22, tzinfo=timezone.utc)
    url = write(tmp_path / "f", [{"id": n, "mail": address(n), "since": moment} for n in range(3)], "parquet")
    maps = {"customers": {"email": "mail", "since": "since", "id": "id"}}
    done = run_target([described, batch("parquet", url)], stream_maps=maps, validate_records=True)
    assert done.code == 0, done.stderr
    assert members(emulator) == digests(range(3))


def test_columns_that_a_file_lacks_are_columns_that_records_lack(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    both = schema("email", "maid")
    uuid = "ea7583cd-b890-48bc-8f00-0123456789ab"
    assert run_target([both, record(id=1, email=address(1), maid=uuid)], load_method="upsert").code == 0
    url = write(tmp_path / "f", [{"id": 1, "email": address(1)}], "parquet")
    assert run_target([both, batch("parquet", url)], load_method="upsert").code == 0
    assert members(emulator) == digests([1]) | {sha256(uuid)}
    done = run_target([schema("email", key=["number"]), batch("parquet", url)], customer_list_name="other")
    assert done.code == 8
    assert "lacks the key property number" in done.stderr


@METHODS
@pytest.mark.parametrize("broken", ["gone", "cut off", "no parquet", "no json", "two values"])
def test_rows_before_a_broken_file_are_delivered(
    emulator: Emulator, run_target: Target, tmp_path: Path, broken: str, load_method: str
) -> None:
    good = write(tmp_path / "good", rows(range(5)), "jsonl")
    path = tmp_path / "broken"
    compressed = gzip.compress(json.dumps(rows([5])[0]).encode() + b"\n")
    content = {
        "cut off": compressed[:-9], "no parquet": b"PAR1person@example.comPAR1", "no json": b'{"id": 9, "email',
        "two values": b'{"id": 9, "email": null}, "type": "STATE", "value": {"at": "person"}, "x": {}\n',
    }  # fmt: skip
    if broken in content:
        path.write_bytes(content[broken])
    kind = "jsonl" if broken in {"gone", "no json", "two values"} else "gzip" if broken == "cut off" else "parquet"
    stream = [schema("email"), batch("jsonl", good), state(1), batch(kind, path.as_uri()), state(2)]
    done = run_target(stream, load_method=load_method)
    assert done.code == 8, done.stderr
    assert "line 4" in done.stderr.lower()
    assert "person" not in done.stderr
    assert members(emulator) >= digests(range(5))
    assert done.states == [state(1)["value"]]


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({"encoding": {"format": "avro"}, "manifest": []}, 2, "neither JSONL"),
        ({"encoding": {"format": "jsonl", "compression": "zstd"}, "manifest": []}, 2, "neither JSONL"),
        ({"encoding": "jsonl", "manifest": []}, 8, "has no `encoding`"),
        ({"encoding": {"format": "jsonl"}, "manifest": "person@example.com"}, 8, "no list of files"),
        ({"manifest": []}, 8, "lacks encoding"),
        ({"encoding": {"format": "jsonl", "compression": ["gzip"]}, "manifest": []}, 2, "neither JSONL"),
        ({"encoding": {"format": "jsonl"}, "manifest": ["gs://person@example.com/f"]}, 2, "driver is not installed"),
        ({"encoding": {"format": "jsonl"}, "manifest": [], "stream": "orders"}, 8, "came before its SCHEMA"),
    ],
)
def test_an_invalid_batch_message_is_an_error(
    run_target: Target, message: dict[str, Any], code: int, words: str
) -> None:
    done = run_target([schema("email"), {"type": "BATCH", "stream": "customers", **message}])
    assert done.code == code
    assert words in done.stderr
    assert "person" not in done.stderr


SLOW_STORE = """
import io, sys, time
import fsspec, pyarrow as pa
from pyarrow import parquet
from target_pinterest_audience.main import main

table = pa.table({"id": range(20_000), "email": [f"person{n}@example.com" for n in range(19_999)] + ["no address"]})
file = io.BytesIO()
parquet.write_table(table, file)


class Slow(io.BytesIO):
    reads = 0

    def read(self, size=-1):
        # What comes after the footer is read by Arrow's own threads.
        self.reads += 1
        if self.reads > 1:
            time.sleep(6)
        return super().read(size)


class Store(fsspec.AbstractFileSystem):
    protocol = "s3"

    def _open(self, path, mode="rb", **options):
        return Slow(file.getvalue()) if path.endswith("slow") else io.BytesIO(file.getvalue())


fsspec.register_implementation("s3", Store, clobber=True)
main()
"""


@pytest.mark.parametrize("ends_by", ["a bad record", "a signal"])
def test_a_run_ends_while_a_file_is_being_read(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path, ends_by: str
) -> None:
    path = tmp_path / "config.json"
    bad_records = "fail" if ends_by == "a bad record" else "skip"
    path.write_text(json.dumps({**config, "load_method": "append-only", "bad_records": bad_records}))
    messages = [schema("email"), batch("parquet", "s3://quick", "s3://slow")]
    with (tmp_path / "stderr").open("wb") as errors, subprocess.Popen(
        [sys.executable, "-c", SLOW_STORE, "--config", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write("".join(json.dumps(message) + "\n" for message in messages).encode())
        process.stdin.flush()
        if ends_by == "a signal":
            wait_until(lambda: len(emulator.backend.writes()) > 0)
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(30)
        finally:
            process.kill()
    told = (tmp_path / "stderr").read_text()
    assert code == (5 if ends_by == "a bad record" else 128 + signal.SIGTERM), told
    assert "Fatal" not in told
    assert len(members(emulator)) >= 10_000


def test_a_state_waits_for_the_rows_of_files(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", skip=1, status=500, times=None))
    url = write(tmp_path / "f", rows(range(25)), "jsonl")
    done = run_target([schema("email"), state(0), batch("jsonl", url), state(1)], batch_size_rows=10, max_retries=0)
    assert (done.code, done.states) == (4, [state(0)["value"]])


def test_files_of_a_stream_without_identities_are_skipped(run_target: Target, tmp_path: Path) -> None:
    done = run_target([schema("name"), batch("jsonl", (tmp_path / "gone").as_uri()), state(1)], unmapped_streams="warn")
    assert (done.code, done.states) == (0, [state(1)["value"]])


@pytest.mark.random
@settings(max_examples=examples(10, 80), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), consent=st.booleans(), method=st.sampled_from(["append-only", "upsert", "overwrite"]))
def test_files_give_the_same_result_as_records(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, *, consent: bool, method: str
) -> None:
    folder = tmp_path_factory.mktemp("files")
    lines = data.draw(streams(consent=consent))
    config: dict[str, Any] = {
        "ad_account_id": ACCOUNT, "access_token": TOKEN, "load_method": method, "operation": "add",
        "create_audience": False,
        "initial_backoff_ms": 1, "max_backoff_ms": 1, **({"consent_column": "ok"} if consent else {}),
    }  # fmt: skip
    by_records = run([line + b"\n" for line in lines], config, RecordDecoder())
    by_files = run([line + b"\n" for line in in_files(lines, folder)], config, RecordDecoder())
    assert by_files.writes == by_records.writes
    assert by_files.states == by_records.states
    assert (by_files.error is None) == (by_records.error is None)


def in_files(lines: Sequence[bytes], folder: Path) -> list[bytes]:
    """Put each record that is well-formed into a file that a BATCH message names."""
    result = []
    for number, line in enumerate(lines):
        try:
            message = json.loads(line.decode())
        except (ValueError, RecursionError):
            message = None
        is_record = isinstance(message, dict) and message.get("type") == "RECORD" and "stream" in message
        if message is not None and is_record and isinstance(message.get("record"), dict):
            path = folder / str(number)
            path.write_bytes(json.dumps(message["record"]).encode() + b"\n")
            line = json.dumps(batch("jsonl", path.as_uri(), stream=message["stream"])).encode()  # noqa: PLW2901 - in its place
        result.append(line)
    return result
